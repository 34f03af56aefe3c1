"""How a query is cut off: which candidates are shown, and how likely each is right.

The ranking is judged in slices in its order, and looked through until enough is found or STOP_AFTER
candidates in a row are below the level that is asked for. Levels never change the order.

What a judgement is made of stands in `ranking/`: `evidence.py` says what is weighed for an item,
`judge.py` turns it into a probability and a level for the items of a library.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from pictor.library.records import FloatVector, Level
from pictor.search.candidates import WordMatches
from pictor.search.neighbours import RankedItems
from pictor.search.plan import Trace
from pictor.search.ranking.judge import QueryJudge
from pictor.search.run import SearchRun, is_judged

#: Candidates judged together at first, then twice as many each time, up to the most.
SLICE, MOST = 96, 512
#: So many in a row must be too weak to end the search. Among 1,000 photos (Flickr8k test, 260
#: queries in English and Chinese) at most 20 weak ones stood before one that was not.
STOP_AFTER = 250
#: Words that were all found, in whatever field, score at least this much (`catalog.words`).
ALL_WORDS = 0.7

_ORDER = {Level.WEAK: 0, Level.POSSIBLE: 1, Level.LIKELY: 2}
_MINIMUM = {"any": 0, "possible": 1, "likely": 2}


class Candidate(NamedTuple):
    """One item of the ranking that is to be shown if nothing else is against it.

    Attributes:
        space: the place of the space that found it.
        by_words: its level is that of the words it matches; its vector says less.
        vector: (d,) float32 in that space, if it was read.
    """

    item: int
    score: float
    space: int
    probability: float | None = None
    level: Level | None = None
    by_words: bool = False
    vector: FloatVector | None = None


def filter_by_level(
    run: SearchRun, matches: WordMatches, ranking: Iterator[RankedItems]
) -> Iterator[list[Candidate]]:
    """The candidates of a ranking that are at the minimum level or above, in slices.

    Those of a space without levels are all kept.
    """
    minimum = _MINIMUM[run.options.minimum_level]
    judges = [
        space.judge.of(run.connection, space.vectors.query, run.query.words or "")
        if space.judge is not None and is_judged(run.query)
        else None
        for space in run.spaces
    ]
    run.trace.limits = next((judge.limits for judge in judges if judge is not None), None)
    dry, size = 0, SLICE
    for items in ranking:
        start = 0
        while start < len(items.ids):
            part = items.take(slice(start, start + size))
            start, size = start + size, min(2 * size, MOST)
            with run.trace.time("cut-off"):
                candidates = _judged(run, judges, matches, part)
                kept = _counted(candidates, minimum, run.trace)
            yield kept
            dry = 0 if kept else dry + len(candidates)
            if dry >= STOP_AFTER:
                return


def _judged(
    run: SearchRun, judges: Sequence[QueryJudge | None], matches: WordMatches, items: RankedItems
) -> list[Candidate]:
    candidates = [
        Candidate(item, score, at, vector=matches.vectors.get(item) if at == 0 else None)
        for item, score, at in zip(*(column.tolist() for column in items), strict=True)
    ]
    for at, judge in enumerate(judges):
        rows = np.flatnonzero(items.spaces == at).tolist()
        if judge is None or not rows:
            continue
        ids = items.ids[rows]
        vectors = run.vectors(at, ids.tolist(), matches.vectors if at == 0 else {})
        judgement = judge.judge(run.connection, ids, vectors)
        columns = (rows, judgement.probability.tolist(), judgement.level)
        for row, probability, level in zip(*columns, strict=True):
            candidate = candidates[row]
            raised = _with_words(level, matches, candidate.item)
            candidates[row] = candidate._replace(
                probability=probability,
                level=raised,
                by_words=raised != level,
                vector=vectors.get(candidate.item),
            )
    return candidates


def _with_words(level: Level, matches: WordMatches, item: int) -> Level:
    """What words an item matches counts too: a whole name for sure, all words for much."""
    hit = matches.hits.get(item)
    if hit is None or level == Level.LIKELY:
        return level
    if hit.is_exact:
        return Level.LIKELY
    return Level.POSSIBLE if hit.score >= ALL_WORDS else level


def _counted(candidates: Sequence[Candidate], minimum: int, trace: Trace) -> list[Candidate]:
    """Those at a level or above; the trace counts them all."""
    trace.candidates += len(candidates)
    for level in (candidate.level for candidate in candidates if candidate.level is not None):
        trace.levels[level.value] = trace.levels.get(level.value, 0) + 1
    return [c for c in candidates if c.level is None or _ORDER[c.level] >= minimum]
