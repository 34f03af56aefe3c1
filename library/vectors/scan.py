"""Exact nearest neighbours of float16 rows in numpy, with bounded memory and a fixed order of ties.

Scores are settled pair by pair (`pair_scores`), not taken from the matrix product that finds the
candidates: a product rounds a row differently by its place in a block (seen with OpenBLAS: two
equal rows, two scores), and equal vectors must score equal for ties to follow their ids.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pictor.library.records import FloatMatrix, HalfMatrix, IdArray
from pictor.library.vectors.base import Neighbours

RowMask = NDArray[np.bool_]  # (n,), True where a row takes part
Floats = NDArray[np.float32]
Rows = NDArray[np.int64]  # row numbers, which are not ids

# float32 values of one widened block: 1 MiB, so that it stays in a second-level cache. Measured at
# 100k x 512, one query: 15 ms; 90 ms with numpy's own float16 conversion or with 2 MiB blocks.
_BLOCK_VALUES = 1 << 18
# Of many queries a block is larger: a product that two threads share has to take a while, or they
# spend it waiting for each other (measured with 200 queries, 60k x 512: 0.7 s of CPU, not 3.0 s).
_MANY_QUERIES = 16
_MANY_BLOCK_VALUES = 1 << 22
_SCORE_VALUES = 1 << 21  # float32 scores held at once: 8 MiB
_QUERY_ROWS = 1024  # queries scanned together
_PAIR_VALUES = 1 << 21  # float32 values gathered at once to settle scores: 8 MiB for each side
# How far the matrix product may be from the settled score of unit vectors. The worst seen in
# float32 at d = 1024 is 5e-7; a larger margin only means a few more candidates.
MARGIN = np.float32(1e-5)
_GATHER_SHARE = 4  # below 1/4 of the rows, gathering them beats scanning all and masking
_LOWEST = np.finfo(np.float32).min
# The bits of a float16, moved where float32 keeps exponent and mantissa, read as value * 2**-112.
_HALF_SHIFT = 13
_HALF_MASK = np.int32(-0x70000001)  # 0x8FFFFFFF clears the copies of the sign bit
_HALF_SCALE = np.float32(2.0**112)


def empty_neighbours(q: int, k: int) -> Neighbours:
    """q rows of nothing but padding."""
    return Neighbours(np.full((q, k), -np.inf, np.float32), np.full((q, k), -1, np.int64))


def scan(
    queries: FloatMatrix, vectors: HalfMatrix, ids: IdArray, k: int, mask: RowMask | None = None
) -> Neighbours:
    """The k nearest rows of each query by brute force; equal scores in ascending id.

    O(q n d). Beside the result it holds at most some 60 MiB, whatever n is.
    """
    rows = None
    if mask is not None and np.count_nonzero(mask) * _GATHER_SHARE < len(mask):
        rows, mask = np.flatnonzero(mask), None
    parts = [
        _scan_part(queries[start : start + _QUERY_ROWS], vectors, ids, k, mask, rows)
        for start in range(0, len(queries), _QUERY_ROWS)
    ]
    if not parts:
        return empty_neighbours(0, k)
    return Neighbours(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def pair_scores(queries: FloatMatrix, vectors: HalfMatrix, query_rows: Rows, rows: Rows) -> Floats:
    """The inner products of queries[query_rows[i]] and vectors[rows[i]], in float32.

    The score of a pair depends on nothing but the pair.
    """
    scores = np.empty(len(rows), np.float32)
    step = max(1, _PAIR_VALUES // max(1, vectors.shape[1]))
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        left = vectors[rows[part]].astype(np.float32)
        scores[part] = np.vecdot(left, queries[query_rows[part]])
    return scores


def top_k(query_rows: Rows, ids: IdArray, scores: Floats, q: int, k: int) -> Neighbours:
    """The k best of a flat list of candidates for each of q queries; equal scores by ascending id.

    An id must not occur twice for one query.
    """
    order = np.lexsort((ids, -scores, query_rows))
    query_rows = query_rows[order]
    starts = np.searchsorted(query_rows, np.arange(q))
    rank = np.arange(len(order)) - starts[query_rows]
    keep = rank < k
    best = empty_neighbours(q, k)
    best.scores[query_rows[keep], rank[keep]] = scores[order[keep]]
    best.ids[query_rows[keep], rank[keep]] = ids[order[keep]]
    return best


def merge(parts: Sequence[Neighbours], q: int, k: int) -> Neighbours:
    """The k best of several answers to the same q queries that share no id."""
    if len(parts) == 1 and parts[0].ids.shape == (q, k):
        return parts[0]
    flat = [_flatten(part) for part in parts]
    if not flat:
        return empty_neighbours(q, k)
    query_rows, ids, scores = (np.concatenate(arrays) for arrays in zip(*flat, strict=True))
    return top_k(query_rows, ids, scores, q, k)


def check_queries(queries: FloatMatrix, k: int, dimension: int) -> FloatMatrix:
    """The queries as a contiguous float32 matrix.

    Raises:
        ValueError: k < 1, queries are not (q, d), or hold a value that is not finite.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")
    if queries.ndim != 2 or queries.shape[1] != dimension:
        raise ValueError(f"queries must be (q, {dimension}), not {queries.shape}")
    queries = np.ascontiguousarray(queries, dtype=np.float32)
    if not np.isfinite(queries).all():
        raise ValueError("a query holds a value that is not finite")
    return queries


def _scan_part(
    queries: FloatMatrix,
    vectors: HalfMatrix,
    ids: IdArray,
    k: int,
    mask: RowMask | None,
    rows: Rows | None,
) -> Neighbours:
    """`scan` for one part of the queries, over all rows or over `rows`."""
    q, n = len(queries), len(vectors) if rows is None else len(rows)
    values = _BLOCK_VALUES if q < _MANY_QUERIES else _MANY_BLOCK_VALUES
    unit = max(1, values // max(1, vectors.shape[1]))
    span = max(unit, _SCORE_VALUES // q // unit * unit)
    buffer = np.empty((q, min(span, n)), np.float32)
    margin = MARGIN * np.maximum(1, np.linalg.norm(queries, axis=1))
    best = empty_neighbours(q, k)
    for start in range(0, n, span):
        stop = min(start + span, n)
        scores = buffer[:, : stop - start]
        picked: slice | Rows = slice(start, stop) if rows is None else rows[start:stop]
        _multiply(queries, vectors, picked, unit, scores)
        if mask is not None:
            scores[:, ~mask[start:stop]] = -np.inf
        at, columns = _candidates(scores, best.scores[:, -1], margin, k)
        found = columns + start if rows is None else rows[columns + start]
        if len(found):
            old_at, old_ids, old_scores = _flatten(best)
            best = top_k(
                np.concatenate([old_at, at]),
                np.concatenate([old_ids, ids[found]]),
                np.concatenate([old_scores, pair_scores(queries, vectors, at, found)]),
                q,
                k,
            )
    return best


def _multiply(
    queries: FloatMatrix, vectors: HalfMatrix, picked: slice | Rows, unit: int, scores: FloatMatrix
) -> None:
    """Fill `scores` with queries times the picked rows, widening `unit` rows at a time."""
    scaled = queries * _HALF_SCALE
    wide = np.empty((min(unit, scores.shape[1]), vectors.shape[1]), np.int32)
    for start in range(0, scores.shape[1], unit):
        stop = min(start + unit, scores.shape[1])
        if isinstance(picked, slice):
            block = vectors[picked.start + start : picked.start + stop]
        else:
            block = vectors[picked[start:stop]]
        part = wide[: stop - start]
        np.copyto(part, block.view(np.int16))
        np.left_shift(part, _HALF_SHIFT, out=part)
        np.bitwise_and(part, _HALF_MASK, out=part)
        np.matmul(scaled, part.view(np.float32).T, out=scores[:, start:stop])


def _candidates(scores: FloatMatrix, worst: Floats, margin: Floats, k: int) -> tuple[Rows, Rows]:
    """Where a score may be among the k best, given the k-th best so far: (query, column) pairs."""
    floor = np.maximum(worst - margin, _LOWEST)[:, None]
    keep = scores >= floor
    q, columns = scores.shape
    if columns > k and np.count_nonzero(keep) > 2 * q * k:
        kth = np.partition(scores, columns - k, axis=1)[:, columns - k]
        np.greater_equal(scores, np.maximum(floor[:, 0], kth - margin)[:, None], out=keep)
    at, columns = np.nonzero(keep)
    return at, columns


def _flatten(part: Neighbours) -> tuple[Rows, IdArray, Floats]:
    """The entries that are no padding, as (query row, id, score)."""
    held = part.ids >= 0
    return np.nonzero(held)[0], part.ids[held], part.scores[held]
