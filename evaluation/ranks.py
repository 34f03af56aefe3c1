"""Where the right answer stands: ranks from exact scores, and from what an index returns.

A rank counts from 1. Ties are pessimistic: a wrong answer whose score equals that of the best right
one stands before it, so a model that scores everything alike gets the last rank and not the first.
Scores closer than `SAME` are a tie: two products of equal vectors may differ by rounding.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pictor.library.records import FloatMatrix, IdArray
from pictor.library.vectors.layers import VectorIndex

IntVector = NDArray[np.int64]

SAME = np.float32(1e-6)
#: The rank of a right answer that an index did not return at all.
NOT_FOUND = np.iinfo(np.int32).max
#: How many neighbours an index is asked for: as many as `pictor search` asks for its 20 hits.
DEPTH = 48
_CELLS = 1 << 23  # scores in memory at once: 32 MiB, and masks of them


class Pairs(NamedTuple):
    """Which answers are right: query `queries[i]` and target `targets[i]` belong together.

    Attributes:
        queries: (p,) positions of queries, ascending. Every query has a pair.
        targets: (p,) positions of targets.
    """

    queries: IntVector
    targets: IntVector

    def turned(self) -> Pairs:
        """The same pairs, asked the other way round."""
        order = np.argsort(self.targets, kind="stable")
        return Pairs(self.targets[order], self.queries[order])


def exact_ranks(queries: FloatMatrix, targets: FloatMatrix, pairs: Pairs) -> IntVector:
    """(q,) the rank of the first right target of each query among all targets.

    Args:
        queries, targets: (q, d) and (n, d) float32 unit rows.
    """
    ranks = np.empty(len(queries), np.int64)
    step = max(1, _CELLS // max(1, len(targets)))
    for start in range(0, len(queries), step):
        low, high = np.searchsorted(pairs.queries, [start, start + step])
        rows = pairs.queries[low:high] - start
        scores = queries[start : start + step] @ targets.T
        ranks[start : start + step] = ranks_of(scores, rows, pairs.targets[low:high])
    return ranks


def ranks_of(scores: FloatMatrix, rows: IntVector, columns: IntVector) -> IntVector:
    """(q,) the rank of the best right target of each row of (q, n) scores, which are changed.

    Args:
        rows, columns: where the right ones stand; each row has one.
    """
    best = np.full(len(scores), -np.inf, np.float32)
    np.maximum.at(best, rows, scores[rows, columns])
    scores[rows, columns] = -np.inf
    ranks: IntVector = 1 + (scores >= (best - SAME)[:, None]).sum(axis=1)
    return ranks


def index_ranks(
    index: VectorIndex, ids: IdArray, queries: FloatMatrix, pairs: Pairs, depth: int = DEPTH
) -> IntVector:
    """(q,) ranks as `exact_ranks`, but through an index; `NOT_FOUND` beyond `depth` neighbours.

    Args:
        ids: (n,) the ids of the targets in the index, ascending. What else it holds is no
            candidate: it is asked for more until `depth` targets came, as a search does that folds
            or hides neighbours.
    """
    ranks = np.full(len(queries), NOT_FOUND, np.int64)
    step = max(1, _CELLS // max(1, 16 * depth))
    for start in range(0, len(queries), step):
        left = np.arange(start, min(start + step, len(queries)))
        asked = min(depth, len(index))
        while len(left) and asked:
            found = index.search(queries[left], asked)
            places, is_target = _places(ids, found.ids)
            is_target &= np.cumsum(is_target, axis=1) <= depth
            enough = (is_target.sum(axis=1) >= min(depth, len(ids))) | (asked == len(index))
            enough |= found.ids[:, -1] < 0  # it has no more to give
            right = is_target & _are_pairs(pairs, left, places, len(ids))
            ranks[left[enough]] = _first(found.scores, is_target, right)[enough]
            left, asked = left[~enough], min(4 * asked, len(index))
    return ranks


def _first(
    scores: FloatMatrix, is_target: NDArray[np.bool_], right: NDArray[np.bool_]
) -> IntVector:
    best = np.where(right, scores, -np.inf).max(axis=1)
    before = is_target & ~right & (scores >= (best - SAME)[:, None])
    return np.where(right.any(axis=1), 1 + before.sum(axis=1), NOT_FOUND)


def _places(ids: IdArray, found: IdArray) -> tuple[IntVector, NDArray[np.bool_]]:
    """Positions of found ids among `ids`, and which of them are there at all."""
    places = np.minimum(np.searchsorted(ids, found), len(ids) - 1)
    return places, ids[places] == found


def _are_pairs(
    pairs: Pairs, queries: IntVector, places: IntVector, targets: int
) -> NDArray[np.bool_]:
    codes = np.sort(pairs.queries * targets + pairs.targets)
    wanted = queries[:, None] * targets + places
    at = np.minimum(np.searchsorted(codes, wanted), len(codes) - 1)
    found: NDArray[np.bool_] = codes[at] == wanted
    return found
