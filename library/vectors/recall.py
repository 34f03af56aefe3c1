"""How good an index is, measured on the vectors it holds and on queries like those that are asked.

A stored vector used as a query is its own nearest neighbour and always found; it is left out, or
recall@10 would be flattered by up to 0.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pictor.library.records import FloatMatrix, IdArray
from pictor.library.vectors.base import Neighbours
from pictor.library.vectors.layers import StoredRows, VectorIndex
from pictor.library.vectors.scan import scan

RECALL_AT = 10  # the k of every recall here
SAMPLE = 200  # queries of one measurement: recall then has a standard error of some 0.5 % at 0.98
_SAME = np.float32(1e-6)  # scores closer than this are a tie, and either neighbour will do


class Sample(NamedTuple):
    """Queries to measure with, and their true neighbours.

    Attributes:
        queries: (q, d) float32.
        own: (q,) the ids of the queries themselves, or -1 where a query is no stored vector.
        truth: of `k` neighbours, the query itself among them.
    """

    queries: FloatMatrix
    own: IdArray
    truth: Neighbours

    @property
    def k(self) -> int:
        """One more than the neighbours that count, for the query itself."""
        return int(self.truth.ids.shape[1])


def sample_stored(stored: StoredRows, seed: int, k: int = RECALL_AT) -> Sample:
    """Up to `SAMPLE` of the stored vectors, fewer for more neighbours; the same for a seed."""
    count = min(_count(k), len(stored.ids))
    rows = np.random.default_rng(seed).choice(len(stored.ids), count, replace=False)
    rows.sort()
    return _sample(stored, stored.vectors[rows].astype(np.float32), stored.ids[rows], k)


def sample_given(stored: StoredRows, queries: FloatMatrix, k: int = RECALL_AT) -> Sample:
    """Up to `SAMPLE` of queries that are not stored, fewer for more neighbours."""
    count = min(_count(k), len(queries))
    return _sample(stored, queries[:count], np.full(count, -1, np.int64), k)


def recalls(found: Neighbours, sample: Sample) -> NDArray[np.float64]:
    """For each query the share of its true neighbours that was found, ties allowed."""
    truth, own = sample.truth, sample.own[:, None]
    wanted = (truth.ids >= 0) & (truth.ids != own)
    wanted &= np.cumsum(wanted, axis=1) < sample.k
    worst = np.where(wanted, truth.scores, np.inf).min(axis=1, initial=np.inf)
    hits = (found.scores >= (worst - _SAME)[:, None]) & (found.ids >= 0) & (found.ids != own)
    most = wanted.sum(axis=1)
    shares = np.minimum(hits.sum(axis=1), most) / np.maximum(most, 1)
    return np.where(most > 0, shares, 1.0)


def measure_recall(index: VectorIndex, samples: Sequence[Sample]) -> float:
    """recall@10 of an unchanged index on its stored rows: the lowest over the samples."""
    asked = [sample for sample in samples if len(sample.queries)]
    found = (recalls(index.search(sample.queries, sample.k), sample) for sample in asked)
    return min((float(shares.mean()) for shares in found), default=1.0)


def _sample(stored: StoredRows, queries: FloatMatrix, own: IdArray, k: int) -> Sample:
    return Sample(queries, own, scan(queries, stored.vectors, stored.ids, k + 1))


def _count(k: int) -> int:
    """Queries enough: many neighbours of few say as much as few of many."""
    return SAMPLE if k <= RECALL_AT else SAMPLE // 8
