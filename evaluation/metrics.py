"""Figures from ranks, each with a 95 % interval from resampling photos.

The captions of one photo are not independent, so photos are drawn, with all their captions. The
draws are seeded: the same ranks give the same intervals.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pictor.evaluation.ranks import NOT_FOUND, IntVector
from pictor.evaluation.task import Interval
from pictor.library.records import DoubleVector

CUTS = (1, 5, 10)
TOPS = (1, 5)
DRAWS = 1000
_BOUNDS = (2.5, 97.5)  # percentiles that hold 95 %

CountVector = NDArray[np.uint16]


class Recalls(NamedTuple):
    """Recall of one direction, in percent; the last two are of the three cuts and of all ranks.

    Attributes:
        median_rank: None where it lies beyond what an index returned.
        ci95: the interval of each field by its name.
    """

    r1: float
    r5: float
    r10: float
    mean_recall: float
    median_rank: float | None
    ci95: dict[str, Interval]


class Accuracies(NamedTuple):
    """Share of photos whose label is the first, or among the first five, in percent."""

    top1: float
    top5: float
    ci95: dict[str, Interval]


def recalls(ranks: IntVector, photo: IntVector) -> Recalls:
    """Recall at `CUTS`, their mean and the median rank.

    Args:
        ranks: (q,) from 1.
        photo: (q,) the photo that each query belongs to, for the intervals.
    """
    values = hits(ranks, CUTS)
    drawn = _drawn_counts(photo)
    rates = _rates(values, drawn)
    rates = np.column_stack([rates, rates.mean(axis=1)])
    order = np.argsort(ranks, kind="stable")
    medians = np.array([_median(ranks[order], times[order]) for times in drawn])
    figures = values.mean(axis=0) * 100
    names = ("r1", "r5", "r10", "mean_recall")
    low, high = np.percentile(medians, _BOUNDS)
    bounds = {
        **dict(zip(names, _intervals(rates), strict=True)),
        "median_rank": (_found(low), _found(high)),
    }
    median = _found(float(np.median(ranks)))
    r1, r5, r10 = figures.tolist()
    return Recalls(r1, r5, r10, float(figures.mean()), median, bounds)


def accuracies(ranks: IntVector) -> Accuracies:
    """Accuracy at `TOPS` of photos whose label has these ranks, from 1."""
    photo = np.arange(len(ranks))
    values = hits(ranks, TOPS)
    low_high = _intervals(_rates(values, _drawn_counts(photo)))
    top1, top5 = (values.mean(axis=0) * 100).tolist()
    return Accuracies(top1, top5, dict(zip(("top1", "top5"), low_high, strict=True)))


def hits(ranks: IntVector, cuts: Sequence[int]) -> DoubleVector:
    """(q, cuts) 1 where a rank is within a cut, else 0."""
    found: DoubleVector = (ranks[:, None] <= np.array(cuts)).astype(np.float64)
    return found


def _drawn_counts(photo: IntVector) -> list[CountVector]:
    """For each draw how often each query comes: as often as its photo was drawn."""
    numbers, place = np.unique(photo, return_inverse=True)
    rng = np.random.default_rng(0)
    count = len(numbers)
    draws = (rng.integers(0, count, count) for _ in range(DRAWS))
    return [np.bincount(drawn, minlength=count)[place].astype(np.uint16) for drawn in draws]


def _rates(values: DoubleVector, drawn: list[CountVector]) -> DoubleVector:
    """(draws, columns) percentages."""
    return np.array([100 * (times @ values) / times.sum() for times in drawn])


def _median(ranks: IntVector, times: CountVector) -> float:
    """The median of ascending ranks that come so many times each."""
    ends = np.cumsum(times)
    middle = [(ends[-1] - 1) // 2, ends[-1] // 2]
    low, high = ranks[np.searchsorted(ends, middle, side="right")]
    return float(low + high) / 2


def _intervals(rates: DoubleVector) -> list[Interval]:
    low, high = np.percentile(rates, _BOUNDS, axis=0)
    return [(float(a), float(b)) for a, b in zip(low, high, strict=True)]


def _found(rank: float) -> float | None:
    """A rank, unless an answer that was not found is part of it."""
    return None if rank >= NOT_FOUND / 2 else float(rank)
