"""Which candidates are sure enough to be shown, and how sure.

The ranking is judged in slices in its order, and looked through until enough is found or STOP_AFTER
candidates in a row are below the level that is asked for. Levels never change the order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from pictor.library.records import FloatVector, Level
from pictor.search.candidates import Written
from pictor.search.encoding import Asked
from pictor.search.neighbours import Run
from pictor.search.options import Minimum
from pictor.search.plan import Trace
from pictor.search.ranking.judge import Judge

#: Candidates judged together at first, then twice as many each time, up to the most.
SLICE, MOST = 96, 512
#: So many in a row must be too weak to end the search. Among 1,000 photos (Flickr8k test, 260
#: queries in English and Chinese) at most 20 weak ones stood before one that was not.
STOP_AFTER = 250
#: Words that were all found, in whatever field, score at least this much (`catalog.words`).
ALL_WORDS = 0.7

_ORDER = {Level.WEAK: 0, Level.POSSIBLE: 1, Level.LIKELY: 2}
_LEAST = {"any": 0, "possible": 1, "likely": 2}


class Candidate(NamedTuple):
    """One item of the ranking that is to be shown if nothing else is against it.

    `by_words`: its level is that of what is written about it; its vector says less.
    """

    item: int
    score: float
    asked: int
    probability: float | None = None
    level: Level | None = None
    by_words: bool = False


def sure_enough(
    runs: Iterator[Run],
    asked: Sequence[Asked],
    judges: Sequence[Judge | None],
    found: Written,
    least: Minimum,
    trace: Trace,
) -> Iterator[list[Candidate]]:
    """The candidates of a ranking that are at a level or above, in slices.

    Args:
        judges: of each asked space; None where it has no levels, and all its candidates are kept.
    """
    dry, size = 0, SLICE
    for run in runs:
        start = 0
        while start < len(run.ids):
            part = run.take(slice(start, start + size))
            start, size = start + size, min(2 * size, MOST)
            with trace.time("cut-off"):
                candidates = _judged(part, asked, judges, found)
                kept = _counted(candidates, _LEAST[least], trace)
            yield kept
            dry = 0 if kept else dry + len(candidates)
            if dry >= STOP_AFTER:
                return


def _judged(
    run: Run, asked: Sequence[Asked], judges: Sequence[Judge | None], found: Written
) -> list[Candidate]:
    probability: FloatVector = np.zeros(len(run.ids), np.float32)
    levels: list[Level | None] = [None] * len(run.ids)
    is_raised = [False] * len(run.ids)
    for at in sorted(set(run.asked.tolist())):
        judge = judges[at]
        if judge is None:
            continue
        rows = np.flatnonzero(run.asked == at)
        judgement = judge.judge(asked[at].query, run.ids[rows], run.scores[rows])
        probability[rows] = judgement.probability
        for row, level in zip(rows.tolist(), judgement.level, strict=True):
            levels[row] = _with_words(level, found, int(run.ids[row]))
            is_raised[row] = levels[row] != level
    columns = (run.ids.tolist(), run.scores.tolist(), run.asked.tolist(), probability.tolist())
    return [
        Candidate(item, score, at, None if level is None else chance, level, raised)
        for item, score, at, chance, level, raised in zip(*columns, levels, is_raised, strict=True)
    ]


def _with_words(level: Level, found: Written, item: int) -> Level:
    """What is written about an item counts too: a whole name for sure, all words for much."""
    hit = found.hits.get(item)
    if hit is None or level == Level.LIKELY:
        return level
    if hit.is_exact:
        return Level.LIKELY
    return Level.POSSIBLE if hit.score >= ALL_WORDS else level


def _counted(candidates: Sequence[Candidate], least: int, trace: Trace) -> list[Candidate]:
    """Those at a level or above; the trace counts them all."""
    trace.candidates += len(candidates)
    for candidate in candidates:
        if candidate.level is not None:
            name = candidate.level.value
            trace.levels[name] = trace.levels.get(name, 0) + 1
    return [c for c in candidates if c.level is None or _ORDER[c.level] >= least]
