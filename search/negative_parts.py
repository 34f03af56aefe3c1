"""What negative parts do to a search: they leave items out, and lead the ranking away from them.

Words leave out what they explain better than everyday captions do, by the space's judge, and what
is left is ranked away from them (`search/ranking/negation.py`). A picture leaves out what is nearer
to being identical with it than to a usual picture of the collection.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pictor.library.catalog import caption_bank
from pictor.library.errors import QueryError
from pictor.library.library import Library
from pictor.library.records import BoolVector, FloatMatrix, FloatVector, IdArray
from pictor.search.encoding import Asked
from pictor.search.entries import Negation
from pictor.search.query import Query, WordsPart
from pictor.search.ranking.judge import SAMPLE, Judge
from pictor.search.ranking.negation import away_from


def negation_of(
    library: Library, query: Query, asked: Asked, judge: Judge | None
) -> Negation | None:
    """What tells the items to leave out; None where the query has no negative part.

    Args:
        judge: of the space; None where it has no levels yet. Words then leave out what is more like
            them than like the query.

    Raises:
        QueryError: there is no judge, and nothing positive to compare with.
    """
    if not query.negative:
        return None
    is_words = _are_words(query)
    words, pictures = asked.negative[is_words], asked.negative[~is_words]
    if judge is None and len(words) and not len(asked.query):
        raise QueryError(
            "a query of nothing but negative words needs levels, which this library does not have "
            "yet; say also what to look for, or fill them with: pictor index"
        )
    limits = _limits(library, asked, pictures)

    def is_out(ids: IdArray, vectors: FloatMatrix) -> BoolVector:
        found: BoolVector = np.any(vectors @ pictures.T >= limits, axis=1)
        if not len(words):
            return found
        if judge is not None:
            return found | judge.negation(asked.query, words, ids, vectors)
        likeness = (vectors @ words.T).max(axis=1)
        found |= likeness > (vectors @ asked.query.T)[:, 0]
        return found

    return is_out


def led_away(query: Query, asked: Asked, judge: Judge | None) -> Asked:
    """The same, ranked away from the negative words, where something is looked for.

    Args:
        judge: as of `negation_of`.
    """
    words = asked.negative[_are_words(query)]
    if not len(words) or not len(asked.query):
        return asked
    if judge is None:
        return replace(asked, towards=away_from(asked.query, words, None))
    return replace(asked, towards=judge.away_from(asked.query, words))


def _are_words(query: Query) -> BoolVector:
    """(m,) which of the negative parts are words."""
    return np.array([isinstance(part, WordsPart) for part in query.negative], np.bool_)


def _limits(library: Library, asked: Asked, pictures: FloatMatrix) -> FloatVector:
    """For each picture, the cosine half way from usual pictures of the collection to itself."""
    if not len(pictures):
        return np.empty(0, np.float32)
    with library.reading() as connection:
        _, sample = caption_bank.sample(connection, asked.space.id, asked.space.dimension, SAMPLE)
    cosines = sample.astype(np.float32) @ pictures.T
    usual = np.median(cosines, axis=0) if len(sample) else np.zeros(len(pictures))
    limits: FloatVector = ((1 + usual) / 2).astype(np.float32)
    return limits
