"""How sure a search is of each hit, and what a negated concept leaves out.

A `Judge` holds what it takes to judge any query of one space: the background bank, a sample of the
collection, and the calibration of the encoder's family. `evidence.py` says what is weighed,
`calibration.py` how it becomes a probability.

The probability of a hit is the share of right ones to expect among hits with the same evidence,
where one query in two asks for something that is not in the collection.

Negation leaves out what the negated concept explains, by the same probability with a threshold of
its own. It never subtracts vectors: the difference of "dog" and "ball" lies where neither is, and
finds no dogs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from sqlalchemy import Connection

from library.background import Bank, captions, digest_of, log_sum_exp, open_bank
from library.catalog import background, spaces
from library.catalog.files import chunked
from library.catalog.rows import SpaceRow
from library.library import Library
from library.records import (
    BoolVector,
    DoubleVector,
    FloatMatrix,
    FloatVector,
    HalfMatrix,
    IdArray,
    Level,
)
from search.ranking.calibration import Calibration, calibration_for
from search.ranking.evidence import Images, Setting, evidence, see

#: A hit is likely where it is right more often than not. Possible is chosen so that most searches
#: for what is not there show nothing: docs/evaluation.md has the figures.
LIKELY, POSSIBLE = 0.5, 0.2
#: Images of the collection that a query is held against; about as many as calibrations are fitted
#: on. Reading them takes 10 ms.
SAMPLE = 1024
#: A query finds this share of a sample, for what is negated to be held against; at least so many.
FOUND_SHARE, LEAST_FOUND = 0.15, 8


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
            bank, _ = background.bank_of(connection, space.id)
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

    def _probability(self, query: FloatVector, images: Images, setting: Setting) -> FloatVector:
        return self._calibration.probability(evidence(see(query, setting), images, setting))

    def _current(self, connection: Connection) -> Setting:
        """The sample and the count, read again where the space has changed."""
        change = spaces.last_change(connection, self._space.id)
        if change != self._change:
            ids, sample = background.sample(
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
        held = background.values_of(connection, self._space.id, item_ids)
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


def explains(
    query: FloatMatrix,
    negated: FloatMatrix,
    images: Images,
    setting: Setting,
    calibration: Calibration,
) -> BoolVector:
    """(n,) whether one of m concepts explains an image; arguments as of `Judge.negation`.

    A concept explains what it is likely to. It also explains, from a much lower probability on,
    what it fits better than most of what the query finds: a ball is a small part of a photo of a
    dog, so how much of a ball there is shows only beside other dogs.
    """
    is_out: BoolVector = np.zeros(len(images.vectors), np.bool_)
    for vector in negated:
        probability = calibration.probability(evidence(see(vector, setting), images, setting))
        is_out |= probability >= LIKELY
        if len(query):
            is_ahead = images.vectors @ vector > _usual_among(query[0], vector, setting)
            is_out |= is_ahead & (probability >= calibration.negation)
        else:
            is_out |= probability >= POSSIBLE
    return is_out


def _usual_among(query: FloatVector, negated: FloatVector, setting: Setting) -> float:
    """The median cosine of a negated concept with those of the sample that a query finds."""
    vectors = setting.sample.vectors
    count = min(len(vectors), max(LEAST_FOUND, int(FOUND_SHARE * len(vectors))))
    if not count:
        return -1.0
    found = np.argpartition(-(vectors @ query), count - 1)[:count]
    return float(np.median(vectors[found] @ negated))
