"""The exact scan of `scan`, one query at a time, by the kernel that FAISS has for float16 rows.

It reads the rows where they are mapped, in a quarter of the time that numpy takes to widen them,
and holds no interpreter lock. The scores that are returned are settled as those of `scan` are.
"""

from __future__ import annotations

import importlib
from functools import lru_cache
from typing import Any

import numpy as np

from pictor.library.records import FloatMatrix, HalfMatrix, IdArray
from pictor.library.vectors.base import Neighbours
from pictor.library.vectors.scan import (
    MARGIN,
    RowMask,
    Rows,
    empty_neighbours,
    pair_scores,
    scan,
    top_k,
)

faiss: Any = importlib.import_module("faiss")  # its own type stubs contradict its wrappers

# Candidates beyond k and an eighth of it: those that tie with the k-th lie among them.
_MORE = 16
_IN_BLOCK = 32  # a label is the number of a block, and in so many bits the row in it
# With fewer wanted rows than this share, gathering them beats testing every row for being wanted.
_GATHER_SHARE = 32
_GATHER_ROWS = 16_384  # gathered at once: 16 MiB at d = 512


def half_scan(
    queries: FloatMatrix, vectors: HalfMatrix, ids: IdArray, k: int, mask: RowMask | None = None
) -> Neighbours:
    """What `scan` returns; O(q n d), in memory some 16 MiB beside the result."""
    rows = None
    size = len(ids) if mask is None else int(np.count_nonzero(mask))
    if mask is not None and size * _GATHER_SHARE < len(mask):
        rows = np.flatnonzero(mask)
    fetch = min(k + k // 8 + _MORE, size)
    answers = []
    for query in queries[:, None]:
        found, worst = _candidates(query, vectors, fetch, mask, rows)
        scores = pair_scores(query, vectors, np.zeros(len(found), np.int64), found)
        best = top_k(np.zeros(len(found), np.int64), ids[found], scores, 1, k)
        margin = MARGIN * max(np.float32(1), np.linalg.norm(query))
        if fetch < size and best.scores[0, -1] - margin <= worst:  # ties that may go on
            best = scan(query, vectors, ids, k, mask)
        answers.append(best)
    if not answers:
        return empty_neighbours(0, k)
    return Neighbours(*(np.concatenate(arrays) for arrays in zip(*answers, strict=True)))


def _candidates(
    query: FloatMatrix, vectors: HalfMatrix, fetch: int, mask: RowMask | None, rows: Rows | None
) -> tuple[Rows, np.float32]:
    """The `fetch` best rows in no order, and the lowest score among them."""
    selector = None
    if mask is not None and rows is None:
        selector = faiss.IDSelectorBitmap(np.packbits(mask, bitorder="little"))
    scanner = _codes(vectors.shape[1]).get_InvertedListScanner(True, selector, None)
    query = np.ascontiguousarray(query)
    scanner.set_query(faiss.swig_ptr(query))
    scores, labels = np.full(fetch, -np.inf, np.float32), np.full(fetch, -1, np.int64)
    heap = (faiss.swig_ptr(scores), faiss.swig_ptr(labels), fetch)
    step = len(vectors) if rows is None else _GATHER_ROWS
    for start in range(0, len(vectors) if rows is None else len(rows), max(1, step)):
        block = vectors if rows is None else vectors[rows[start : start + step]]
        scanner.set_list(start // step, 0.0)
        codes = np.ascontiguousarray(block).view(np.uint8)
        scanner.scan_codes(len(block), faiss.swig_ptr(codes), None, *heap)
    held = labels >= 0
    found = (labels[held] >> _IN_BLOCK) * step + (labels[held] & ((1 << _IN_BLOCK) - 1))
    return found if rows is None else rows[found], scores.min(initial=np.inf)


@lru_cache(maxsize=8)
def _codes(dimension: int) -> Any:
    """An empty index whose codes are float16 rows: it is asked for nothing but scanners."""
    return faiss.IndexIVFScalarQuantizer(
        faiss.IndexFlatIP(dimension),
        dimension,
        1,
        faiss.ScalarQuantizer.QT_fp16,
        faiss.METRIC_INNER_PRODUCT,
        False,  # of the rows themselves, not of what is left after the centre of a list
    )
