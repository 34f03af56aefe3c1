"""Exact retrieval, judged: ranks and recall. Numpy only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatMatrix = NDArray[np.float32]  # (n, d), rows of unit norm
IntVector = NDArray[np.int64]


def first_ranks(
    queries: FloatMatrix,
    vectors: FloatMatrix,
    query_owner: IntVector,
    vector_owner: IntVector,
) -> IntVector:
    """The rank, from 0, of the best right vector for each query (q, d) among (n, d); exact.

    A vector is right where its owner is the query's. Ties count against the query.
    """
    scores = queries @ vectors.T
    right = query_owner[:, None] == vector_owner[None, :]
    best = np.where(right, scores, -np.inf).max(axis=1, keepdims=True)
    ranks: IntVector = ((scores >= best) & ~right).sum(axis=1)
    return ranks


def recall(ranks: IntVector, k: int) -> float:
    """Percentage of queries whose first right vector is among the first k."""
    return float((ranks < k).mean() * 100)
