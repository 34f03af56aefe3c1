"""How sure a search is of each hit, and what a negated concept leaves out (`negation.py`).

A `Judge` holds what it takes to judge any query of one space: the background bank, a sample of the
collection, and the calibration of the encoder's family. `evidence.py` says what is weighed,
`calibration.py` how it becomes a probability.

The probability of a hit is the share of right ones to expect among hits with the same evidence,
where one query in two asks for something that is not in the collection.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from sqlalchemy import Connection

from pictor.library.caption_bank import Bank, captions, digest_of, log_sum_exp, open_bank
from pictor.library.catalog import caption_bank, spaces
from pictor.library.catalog.files import chunked
from pictor.library.catalog.rows import SpaceRow
from pictor.library.library import Library
from pictor.library.records import (
    BoolVector,
    DoubleVector,
    FloatMatrix,
    FloatVector,
    HalfMatrix,
    IdArray,
    Level,
)
from pictor.search.ranking.calibration import LIKELY, POSSIBLE, calibration_for
from pictor.search.ranking.evidence import Images, Setting, evidence, see
from pictor.search.ranking.negation import away_from, explains

#: Images of the collection that a query is held against; about as many as calibrations are fitted
#: on. Reading them takes 10 ms.
SAMPLE = 1024


class Judgement(NamedTuple):
    """Of n items, (n,) float32 probabilities in 0 to 1, and the level of each."""

    probability: FloatVector
    level: Sequence[Level]


class Judge:
    """Judges queries of one space of a library; keep it for as long as the library is open."""

    def __init__(self, library: Library, space: SpaceRow, bank: Bank) -> None:
        """Use `Judge.open`."""
        self._library = library
        self._space = space
        self._bank = bank
        self._calibration = calibration_for(space.card.family, space.card.scoring)
        self._change = -1
        self._setting: Setting

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

    def judge(self, query: FloatMatrix, item_ids: IdArray, scores: FloatVector) -> Judgement:
        """How sure it is that a query explains some items.

        Args:
            query: (1, d) float32 unit row.
            item_ids: (n,) of items; those without a vector in the space are given 0.
            scores: (n,) cosines with the query. They are not used: each number comes from stored
                vectors, so that an approximate index is judged as an exact one.
        """
        with self._library.reading() as connection:
            setting = self._current(connection)
            held, vectors = self._vectors(connection, item_ids.tolist())
            images = self._images(connection, held, vectors)
        found = dict(zip(held, self._probability(query[0], images, setting).tolist(), strict=True))
        probability = np.array([found.get(i, 0.0) for i in item_ids.tolist()], np.float32)
        return Judgement(probability, levels_of(probability))

    def negation(
        self, query: FloatMatrix, negated: FloatMatrix, item_ids: IdArray, vectors: FloatMatrix
    ) -> BoolVector:
        """(n,) True where a negated concept explains an item, which is to be left out.

        Args:
            query: (1, d) float32 unit row, what is looked for; (0, d) where that is anything.
            negated: (m, d) float32 unit rows, one a concept.
            item_ids: (n,) of the items; vectors: (n, d) float32 unit rows.
        """
        with self._library.reading() as connection:
            setting = self._current(connection)
            images = self._images(connection, item_ids.tolist(), vectors)
        return explains(query, negated, images, setting, self._calibration)

    def away_from(self, query: FloatMatrix, negated: FloatMatrix) -> FloatMatrix:
        """(1, d) unit row that ranks what is like a query first and like no negated concept.

        Args: as of `negation`, with a query.
        """
        with self._library.reading() as connection:
            setting = self._current(connection)
        return away_from(query, negated, setting)

    def _probability(self, query: FloatVector, images: Images, setting: Setting) -> FloatVector:
        return self._calibration.probability(evidence(see(query, setting), images, setting))

    def _current(self, connection: Connection) -> Setting:
        """The sample and the count, read again where the space has changed."""
        change = spaces.last_change(connection, self._space.id)
        if change != self._change:
            ids, sample = caption_bank.sample(
                connection, self._space.id, self._space.dimension, SAMPLE
            )
            images = self._images(connection, ids.tolist(), sample.astype(np.float32))
            count = spaces.count_vectors(connection, self._space.id)
            scoring, usual = self._space.card.scoring, self._calibration.usual
            self._setting = Setting(self._bank, scoring, usual, images, count)
            self._change = change
        return self._setting

    def _vectors(
        self, connection: Connection, item_ids: Sequence[int]
    ) -> tuple[list[int], FloatMatrix]:
        """Those of some items that have a vector, and their vectors."""
        found: dict[int, HalfMatrix] = {}
        for chunk in chunked(item_ids):
            part = list(chunk)
            found |= spaces.vectors_of(connection, self._space.id, self._space.dimension, part)
        vectors = np.array(list(found.values()), np.float32)
        return list(found), vectors.reshape(-1, self._space.dimension)

    def _images(
        self, connection: Connection, item_ids: Sequence[int], vectors: FloatMatrix
    ) -> Images:
        """Items with their backgrounds: stored ones, or worked out where none is."""
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
