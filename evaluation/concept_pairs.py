"""Pairs of concepts to measure negation with: one that is looked for, one that is not wanted.

"dog" without "ball": pairs that enough captions mention together, so that leaving out matters, and
that are not each other's kinds. Right is a photo whose captions mention the first and not the
second.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pictor.evaluation.ranks import IntVector
from pictor.library.records import BoolMatrix, BoolVector, FloatMatrix, FloatVector

TOP = 10
LEAST_WANTED = 30  # photos that show the first concept
LEAST_BOTH = 5  # photos that show both
MOST_BOTH_SHARE = 0.6  # of those that show the first: else hardly a right one is left
PAIRS_EACH = 3  # second concepts a first one, those that come with it most often


class Pair(NamedTuple):
    """Two rows of concepts."""

    wanted: int
    unwanted: int


def pairs(shown: BoolMatrix, kin: BoolMatrix) -> list[Pair]:
    """The pairs of a collection.

    Args:
        shown: (concepts, photos) what is mentioned where.
        kin: (concepts, concepts) those that must not be paired.
    """
    together = shown.astype(np.int64) @ shown.T.astype(np.int64)
    counts = np.diag(together)
    found = []
    for wanted in np.flatnonzero(counts >= LEAST_WANTED).tolist():
        both = together[wanted]
        fits = (both >= LEAST_BOTH) & (both <= MOST_BOTH_SHARE * counts[wanted]) & ~kin[wanted]
        order = np.argsort(-both, kind="stable")
        found += [Pair(wanted, int(one)) for one in order[fits[order]][:PAIRS_EACH]]
    return found


def precision(order: IntVector, is_right: BoolVector) -> float:
    """The share of right ones among the first TOP rows; rows that are lacking are not right."""
    return float(is_right[order[:TOP]].sum()) / TOP


def plain(query: FloatVector, photos: FloatMatrix) -> IntVector:
    """Rows of photos, the most like the query first."""
    return np.argsort(-(photos @ query), kind="stable")


def left_out(query: FloatVector, photos: FloatMatrix, is_out: BoolVector) -> IntVector:
    """Rows of photos, the most like the query first, without those that are out."""
    order = plain(query, photos)
    return order[~is_out[order]]
