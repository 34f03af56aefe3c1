"""What negative parts do to a search: they leave items out, and steer the ranking away from them.

Words leave out what they explain better than everyday captions do, and what is left is ranked away
from them; the arithmetic of both is `ranking/negation.py`. A picture leaves out what is nearer to
being identical with it than to a usual picture of the collection. How a text says that something
must not be there is read in `query/`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from sqlalchemy import Connection

from pictor.library.catalog import caption_bank
from pictor.library.errors import QueryError
from pictor.library.records import BoolVector, FloatMatrix, FloatVector, IdArray
from pictor.search.query import Query, WordsPart
from pictor.search.ranking.judge import SAMPLE
from pictor.search.ranking.negation import away_from, explains
from pictor.search.run import SearchRun, SpaceQuery

#: Which of some items ((n,) ids, (n, d) vectors of the first space) are to be left out.
Exclusion = Callable[[IdArray, FloatMatrix], BoolVector]


def exclusion(run: SearchRun) -> Exclusion | None:
    """What tells the items to leave out; None where the query has no negative part.

    Where the first space has no levels yet, words leave out what is more like them than like the
    query.

    Raises:
        QueryError: it has none, and there is nothing positive to compare with.
    """
    if not run.query.negative:
        return None
    vectors, judge, connection = run.spaces[0].vectors, run.spaces[0].judge, run.connection
    is_words = _are_words(run.query)
    words, pictures = vectors.negative[is_words], vectors.negative[~is_words]
    if judge is None and len(words) and not len(vectors.query):
        raise QueryError(
            "a query of only negative words needs levels, which this library does not have yet; "
            "add what to look for, or compute the levels with: pictor index"
        )
    limits = _limits(run, pictures)

    def is_out(ids: IdArray, rows: FloatMatrix) -> BoolVector:
        found: BoolVector = np.any(rows @ pictures.T >= limits, axis=1)
        if not len(words):
            return found
        if judge is not None:
            setting = judge.setting(connection)
            images = judge.images(connection, ids.tolist(), rows)
            return found | explains(vectors.query, words, images, setting, judge.calibration)
        likeness = (rows @ words.T).max(axis=1)
        found |= likeness > (rows @ vectors.query.T)[:, 0]
        return found

    return is_out


def steered(connection: Connection, query: Query, space: SpaceQuery) -> SpaceQuery:
    """The same, ranked away from the negative words, where something is looked for."""
    vectors = space.vectors
    words = vectors.negative[_are_words(query)]
    if not len(words) or not len(vectors.query):
        return space
    setting = None if space.judge is None else space.judge.setting(connection)
    away = away_from(vectors.query, words, setting)
    return replace(space, vectors=replace(vectors, steered=away))


def _are_words(query: Query) -> BoolVector:
    """(m,) which of the negative parts are words."""
    return np.array([isinstance(part, WordsPart) for part in query.negative], np.bool_)


def _limits(run: SearchRun, pictures: FloatMatrix) -> FloatVector:
    """For each picture, the cosine half way from usual pictures of the collection to itself."""
    if not len(pictures):
        return np.empty(0, np.float32)
    space = run.spaces[0].vectors.space
    _, sample = caption_bank.sample(run.connection, space.id, space.dimension, SAMPLE)
    cosines = sample.astype(np.float32) @ pictures.T
    usual = np.median(cosines, axis=0) if len(sample) else np.zeros(len(pictures))
    limits: FloatVector = ((1 + usual) / 2).astype(np.float32)
    return limits
