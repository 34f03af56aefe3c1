"""How likely each hit of a search is right.

A `Judge` has what it takes to judge any query of one space: the background bank, a sample of the
collection, and the calibration of the encoder's family. `evidence.py` says what is weighed,
`calibration.py` how it becomes a probability.

The probability of a hit is the share of right ones to expect among hits with the same evidence,
where one query in two asks for something that is not in the collection.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from sqlalchemy import Connection

from pictor.library.caption_bank import Bank, captions, digest_of, log_sum_exp, open_bank
from pictor.library.catalog import caption_bank, spaces
from pictor.library.catalog.rows import SpaceRow
from pictor.library.library import Library
from pictor.library.records import DoubleVector, FloatMatrix, FloatVector, IdArray, Level
from pictor.search.ranking.calibration import LIKELY, POSSIBLE, calibration_for
from pictor.search.ranking.evidence import Images, Setting, evidence, see

#: Images of the collection that a query is held against; about as many as calibrations are fitted
#: on. Reading them takes 10 ms.
SAMPLE = 1024


class Judgement(NamedTuple):
    """Of n items, (n,) float32 probabilities in 0 to 1, and the level of each."""

    probability: FloatVector
    level: Sequence[Level]


class Judge:
    """Judges queries of one space of a library, in any number of threads; keep it while that is
    open.

    Attributes:
        calibration: of the encoder's family.
    """

    def __init__(self, library: Library, space: SpaceRow, bank: Bank) -> None:
        """Use `Judge.open`."""
        self._library = library
        self._space = space
        self._bank = bank
        self.calibration = calibration_for(space.card.family, space.card.scoring)
        self._read: tuple[int, Setting] | None = None
        self._lock = threading.Lock()

    @classmethod
    def open(cls, library: Library, space: SpaceRow) -> Judge | None:
        """The judge of a space; None where it has no background yet, or finds by images only.

        Raises:
            ModelError: the bank's vectors are not in the cache, and the text tower cannot be had.
        """
        if not space.card.has_text:
            return None
        with library.reading() as connection:
            bank, _ = caption_bank.bank_of(connection, space.id)
        if bank != digest_of(captions()):
            return None
        return cls(library, space, open_bank(library, space))

    def judge(
        self, query: FloatMatrix, item_ids: IdArray, vectors: Mapping[int, FloatVector]
    ) -> Judgement:
        """How likely it is that a query explains some items.

        Each number comes from stored vectors, so that an approximate index is judged as an exact
        one.

        Args:
            query: (1, d) float32 unit row.
            item_ids: (n,) of items; those without a vector are given 0.
            vectors: of those that have one, (d,) float32 unit rows.
        """
        held = np.array(list(vectors.values()), np.float32).reshape(-1, self._space.dimension)
        setting, images = self.setting(), self.images(list(vectors), held)
        table = evidence(see(query[0], setting), images, setting)
        by_item = dict(zip(vectors, self.calibration.probability(table).tolist(), strict=True))
        probability = np.array([by_item.get(i, 0.0) for i in item_ids.tolist()], np.float32)
        return Judgement(probability, levels_of(probability))

    def setting(self) -> Setting:
        """What queries are judged with; read again where the space has changed."""
        with self._library.reading() as connection:
            change = spaces.last_change(connection, self._space.id)
            if self._read is not None and self._read[0] == change:
                return self._read[1]
            with self._lock:  # of several threads one reads, and the others find it read
                if self._read is None or self._read[0] != change:
                    self._read = change, self._setting(connection)
                return self._read[1]

    def images(self, item_ids: Sequence[int], vectors: FloatMatrix) -> Images:
        """Items and their (n, d) vectors with their backgrounds: stored ones, or worked out where
        none is."""
        with self._library.reading() as connection:
            return self._images(connection, item_ids, vectors)

    def _setting(self, connection: Connection) -> Setting:
        space = self._space
        ids, sample = caption_bank.sample(connection, space.id, space.dimension, SAMPLE)
        images = self._images(connection, ids.tolist(), sample.astype(np.float32))
        count = spaces.count_vectors(connection, space.id)
        return Setting(self._bank, space.card.scoring, self.calibration.usual, images, count)

    def _images(
        self, connection: Connection, item_ids: Sequence[int], vectors: FloatMatrix
    ) -> Images:
        held = caption_bank.values_of(connection, self._space.id, item_ids)
        values: DoubleVector = np.array([held.get(item, np.nan) for item in item_ids], np.float64)
        lacking = np.flatnonzero(np.isnan(values))
        if lacking.size:
            scoring = self._space.card.scoring
            values[lacking] = log_sum_exp(vectors[lacking], self._bank.vectors, scoring)
        return Images(vectors, values)


def levels_of(probability: FloatVector) -> list[Level]:
    """The level of each probability."""
    names = (Level.WEAK, Level.POSSIBLE, Level.LIKELY)
    return [names[place] for place in np.digitize(probability, (POSSIBLE, LIKELY)).tolist()]
