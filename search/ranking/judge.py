"""How likely each hit of a search is right.

A `Judge` has what it takes to judge any query of one space: the background bank, a sample of the
collection, what absent things reach in it, and the calibration of the encoder's family.
`evidence.py` says what is weighed, `library/null_scores.py` where levels begin in this library.

The probability of a hit rises with its log-odds, and is POSSIBLE and LIKELY where those levels
begin. In a library that no run has scored the null on, it is what `calibration.py` was fitted to
give: the share of right ones among hits with the same evidence, where one query in two asks for
something that is not in the collection.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from sqlalchemy import Connection

from pictor.library import null_scores
from pictor.library.caption_bank import Bank, captions, digest_of, log_sum_exp, open_bank
from pictor.library.catalog import caption_bank, spaces
from pictor.library.catalog.rows import SpaceRow
from pictor.library.null_scores import Limits
from pictor.library.records import (
    DoubleMatrix,
    DoubleVector,
    FloatMatrix,
    FloatVector,
    IdArray,
    Level,
)
from pictor.library.store import Store
from pictor.search.ranking.calibration import (
    LIKELY,
    POSSIBLE,
    Calibration,
    calibration_for,
    logistic,
)
from pictor.search.ranking.evidence import (
    COLUMNS,
    Images,
    QueryEvidence,
    Setting,
    evidence,
    see,
)

#: Images of the collection that a query is compared with; about as many as calibrations are fitted
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

    def __init__(self, library: Store, space: SpaceRow, bank: Bank) -> None:
        """Use `Judge.open`."""
        self._library = library
        self._space = space
        self._bank = bank
        self.calibration = calibration_for(space.card.family, space.card.scoring)
        self._held: tuple[int, Setting] | None = None
        self._lock = threading.Lock()

    @classmethod
    def open(cls, library: Store, space: SpaceRow) -> Judge | None:
        """The judge of a space; None where it has no background yet, or finds by images only.

        Raises:
            ModelError: the bank's vectors are not cached, and the text tower is not available.
        """
        if not space.card.has_text:
            return None
        with library.reading() as connection:
            bank, _ = caption_bank.bank_of(connection, space.id)
        if bank != digest_of(captions()):
            return None
        return cls(library, space, open_bank(library, space))

    def of(self, connection: Connection, query: FloatMatrix, text: str = "") -> QueryJudge:
        """What judges items for one query.

        Args:
            query: (1, d) float32 unit row; text: its words, which tell its kind.
        """
        setting = self.setting(connection)
        limits = None if setting.null is None else setting.null.limits(text)
        return QueryJudge(self, setting, see(query[0], setting), limits)

    def setting(self, connection: Connection) -> Setting:
        """What queries are judged with; read again where the space has changed."""
        change = spaces.last_change(connection, self._space.id)
        held = self._held
        if held is None or held[0] != change:
            with self._lock:  # of several threads one reads, and the others find it read
                held = self._held
                if held is None or held[0] != change:
                    held = self._held = change, self._setting(connection)
        return held[1]

    def images(
        self, connection: Connection, item_ids: Sequence[int], vectors: FloatMatrix
    ) -> Images:
        """Items and their (n, d) vectors with their backgrounds: stored ones, or worked out where
        none is."""
        held = caption_bank.values_of(connection, self._space.id, item_ids)
        values: DoubleVector = np.array([held.get(item, np.nan) for item in item_ids], np.float64)
        lacking = np.flatnonzero(np.isnan(values))
        if lacking.size:
            scoring = self._space.card.scoring
            values[lacking] = log_sum_exp(vectors[lacking], self._bank.vectors, scoring)
        return Images(vectors, values)

    def _setting(self, connection: Connection) -> Setting:
        space = self._space
        ids, sample = caption_bank.sample(connection, space.id, space.dimension, SAMPLE)
        images = self.images(connection, ids.tolist(), sample.astype(np.float32))
        count = spaces.count_vectors(connection, space.id)
        null = null_scores.of_space(connection, space, self._bank)
        return Setting(self._bank, space.card.scoring, self.calibration.usual, images, count, null)


class QueryJudge(NamedTuple):
    """Judges items of a space for one query."""

    base: Judge
    setting: Setting
    query: QueryEvidence
    limits: Limits | None

    def judge(
        self, connection: Connection, item_ids: IdArray, vectors: Mapping[int, FloatVector]
    ) -> Judgement:
        """How likely it is that the query explains some items.

        Each number comes from stored vectors, so that an approximate index is judged as an exact
        one.

        Args:
            item_ids: (n,) of items; those without a vector are given 0.
            vectors: of those that have one, (d,) float32 unit rows.
        """
        held = np.array(list(vectors.values()), np.float32).reshape(-1, len(self.query.vector))
        images = self.base.images(connection, list(vectors), held)
        table = evidence(self.query, images, self.setting)
        found = probability(table, self.base.calibration, self.limits)
        by_item = dict(zip(vectors, found.tolist(), strict=True))
        each = np.array([by_item.get(i, 0.0) for i in item_ids.tolist()], np.float32)
        return Judgement(each, levels_of(each))


def probability(
    table: DoubleMatrix, calibration: Calibration, limits: Limits | None
) -> FloatVector:
    """(n,) of the evidence of n images: by what absent things reach in the collection, where that
    is known, else as it was fitted elsewhere.

    In the first case it rises with the log-odds, and is LIKELY and POSSIBLE at the limits.
    """
    if limits is None:
        return calibration.probability(table)
    slope = (_logit(LIKELY) - _logit(POSSIBLE)) / (limits.likely - limits.possible)
    ahead = table[:, COLUMNS.index("log_odds")] - limits.likely
    return logistic(_logit(LIKELY) + slope * ahead).astype(np.float32)


def _logit(share: float) -> float:
    return math.log(share / (1 - share))


def levels_of(probability: FloatVector) -> list[Level]:
    """The level of each probability."""
    names = (Level.WEAK, Level.POSSIBLE, Level.LIKELY)
    return [names[place] for place in np.digitize(probability, (POSSIBLE, LIKELY)).tolist()]
