"""The nearest vectors of many pictures at once, without an n × n matrix.

Where it is feasible this is exact: products of blocks of rows, only half of them where every row
asks. Otherwise the rows are put into cells around centres, as an IVF index does, and each row is
compared with the cells nearest to it; whole cells against whole groups of rows, so that it is still
products of matrices. What the cells lose is measured against the exact answer.
"""

from __future__ import annotations

import importlib
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pictor.library.observer import SILENT, Observer, check
from pictor.library.records import FloatMatrix, HalfMatrix, IdArray

#: Neighbours a row has, and the least cosine of one. Measured with the built-in encoder among
#: 1,034 photos: of crops of 40 %, borders, overlaid text and photos framed as screenshots 0.99 and
#: more are among the 8 nearest, of rotations by 25° 0.94, and above 0.5 lie all but one in twenty.
NEIGHBOURS = 8
LEAST_SCORE = 0.5
#: Multiplications up to which the search is exact: 100,000 rows of 256 values, each with each.
EXACT_WORK = 1.4e12
#: Rows of one product: 2,048 × 8,192 scores are 64 MB.
_ASKING_ROWS, _HELD_ROWS = 2048, 8192
#: Cells that a row is compared with. Measured at 1,000,000 × 256 random vectors with planted near
#: copies, which have no clusters to help: 24 find 98.3 % of those at cosines of 0.8 to 0.98
#: (benchmarks/duplicates_scale.py).
PROBES = 24
_CELLS_PER_ROOT = 2  # times the square root of n, as the index of the library has
_ROWS_PER_CELL = 50  # to train with: k-means wants at least 39 (faiss, ClusteringParameters)
_TRAIN_ROUNDS = 6
SAMPLE = 500  # rows of which recall is measured: a standard error of at most 0.7 % at 0.98


class VectorNeighbours(NamedTuple):
    """For each of m asking rows: k rows and their cosines, best first; -1 and -inf where there are
    no more. `recall` is the share of the exact answer that a sample of them has; 1 where exact."""

    rows: NDArray[np.int32]
    scores: FloatMatrix
    recall: float


def nearest(
    vectors: HalfMatrix, asking: IdArray, k: int = NEIGHBOURS, observer: Observer = SILENT
) -> VectorNeighbours:
    """The k nearest rows of each asking row whose cosine is at least `LEAST_SCORE`.

    Args:
        vectors: (n, d) float16, unit rows; rows of zeros have no neighbours. May be on disk.
        asking: rows, ascending.
        observer: asked now and then whether to stop; the search is then left with `Stopped`.
    """
    n, d = vectors.shape
    share = 0.5 if len(asking) == n else 1.0
    if share * len(asking) * n * d <= EXACT_WORK:
        best = exact(vectors, asking, k, observer)
        return VectorNeighbours(best.rows, best.scores, 1.0)
    best = _by_cells(vectors, asking, k, observer)
    best.sort()
    return VectorNeighbours(best.rows, best.scores, _recall(vectors, asking, best, k, observer))


class _Best:
    """The k best scores of each of some rows so far, and whose they are."""

    def __init__(self, count: int, k: int) -> None:
        self.k = k
        self.scores = np.full((count, k), -np.inf, np.float32)
        self.rows = np.full((count, k), -1, np.int32)
        #: What a score must exceed.
        self.worst = np.full(count, LEAST_SCORE, np.float32)

    def offer(self, places: IdArray | slice, block: FloatMatrix, rows: IdArray) -> None:
        """Scores (a, b) of a places with b rows; each row is offered to a place once."""
        better = np.flatnonzero(block.max(axis=1) > self.worst[places])
        if not len(better):
            return
        at = np.arange(len(self.worst))[places][better]
        self._merge(at, block[better], rows)

    def offer_across(self, places: slice, block: FloatMatrix, rows: IdArray) -> None:
        """Scores (b, a) of b rows with a places: as `offer`, without turning all of the block."""
        better = np.flatnonzero(block.max(axis=0) > self.worst[places])
        if len(better):
            at = np.arange(len(self.worst))[places][better]
            self._merge(at, np.ascontiguousarray(block[:, better].T), rows)

    def _merge(self, at: IdArray, scores: FloatMatrix, rows: IdArray) -> None:
        k = self.k
        if scores.shape[1] > k:
            top = np.argpartition(scores, -k, axis=1)[:, -k:]
            scores = np.take_along_axis(scores, top, axis=1)
            found = rows[top].astype(np.int32)
        else:
            found = np.broadcast_to(rows.astype(np.int32), scores.shape)
        all_scores = np.concatenate([self.scores[at], scores], axis=1)
        all_rows = np.concatenate([self.rows[at], found], axis=1)
        all_scores[all_scores <= LEAST_SCORE] = -np.inf
        top = np.argpartition(all_scores, -k, axis=1)[:, -k:]
        self.scores[at] = kept = np.take_along_axis(all_scores, top, axis=1)
        self.rows[at] = np.take_along_axis(all_rows, top, axis=1)
        self.worst[at] = np.maximum(kept.min(axis=1), LEAST_SCORE)

    def sort(self) -> None:
        """Best first; nothing but padding where a score is none."""
        order = np.argsort(-self.scores, axis=1, kind="stable")
        self.scores = np.take_along_axis(self.scores, order, axis=1)
        self.rows = np.take_along_axis(self.rows, order, axis=1)
        self.rows[np.isneginf(self.scores)] = -1


def exact(vectors: HalfMatrix, asking: IdArray, k: int, observer: Observer = SILENT) -> _Best:
    """The exact answer, sorted; O(m n d), half of it where every row asks."""
    n = len(vectors)
    best = _Best(len(asking), k)
    wide = vectors[asking].astype(np.float32)
    for first in range(0, n, _HELD_ROWS):
        held = np.arange(first, min(first + _HELD_ROWS, n))
        block = vectors[held[0] : held[-1] + 1].astype(np.float32)
        # Every row asks: of the rows before this block, and of itself against itself.
        stop = len(asking) if len(asking) < n else int(held[-1]) + 1
        for start in range(0, stop, _ASKING_ROWS):
            check(observer)
            places = slice(start, min(start + _ASKING_ROWS, stop))
            scores = wide[places] @ block.T
            mine = asking[places]
            _leave_out_self(scores, mine, held)
            best.offer(places, scores, held)
            if len(asking) == n and places.stop <= first:
                best.offer_across(slice(first, int(held[-1]) + 1), scores, mine)
    best.sort()
    return best


def _leave_out_self(scores: FloatMatrix, mine: IdArray, held: IdArray) -> None:
    """A row is no neighbour of itself. `held` is ascending without gaps."""
    inside = np.flatnonzero((mine >= held[0]) & (mine <= held[-1]))
    scores[inside, mine[inside] - held[0]] = -np.inf


# --- cells


def _by_cells(vectors: HalfMatrix, asking: IdArray, k: int, observer: Observer) -> _Best:
    """The best among the rows of the `PROBES` cells nearest to each asking row."""
    centres = _centres(vectors)
    check(observer)
    own, probed = _assigned(vectors, centres, asking, observer)
    order = np.argsort(own, kind="stable")
    starts = np.searchsorted(own[order], np.arange(len(centres) + 1))
    askers = np.argsort(probed.ravel(), kind="stable")
    asker_starts = np.searchsorted(probed.ravel()[askers], np.arange(len(centres) + 1))
    best = _Best(len(asking), k)
    for cell in range(len(centres)):
        check(observer)
        held = order[starts[cell] : starts[cell + 1]]
        places = askers[asker_starts[cell] : asker_starts[cell + 1]] // probed.shape[1]
        if not len(held):
            continue
        block = vectors[held].astype(np.float32)
        for start in range(0, len(places), _ASKING_ROWS):
            part = places[start : start + _ASKING_ROWS]
            scores = vectors[asking[part]].astype(np.float32) @ block.T
            at = np.searchsorted(held, asking[part])
            at = np.minimum(at, len(held) - 1)
            inside = np.flatnonzero(held[at] == asking[part])
            scores[inside, at[inside]] = -np.inf
            best.offer(part, scores, held)
    return best


def _centres(vectors: HalfMatrix) -> FloatMatrix:
    """The centres of the cells, by spherical k-means of a sample."""
    n, d = vectors.shape
    cells = max(1, round(_CELLS_PER_ROOT * np.sqrt(n)))
    size = min(n, _ROWS_PER_CELL * cells)
    rows = np.sort(np.random.default_rng(0).choice(n, size, replace=False))
    faiss: Any = importlib.import_module("faiss")  # its own type stubs contradict its wrappers
    means = faiss.Kmeans(d, cells, niter=_TRAIN_ROUNDS, spherical=True, seed=1)
    means.train(vectors[rows].astype(np.float32))
    centres: FloatMatrix = means.centroids
    return centres


def _assigned(
    vectors: HalfMatrix, centres: FloatMatrix, asking: IdArray, observer: Observer
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The cell of each row (n,), and the cells that each asking row is compared with (m, p)."""
    n, probes = len(vectors), min(PROBES, len(centres))
    own = np.empty(n, np.int32)
    probed = np.empty((len(asking), probes), np.int32)
    is_asking = np.zeros(n, np.bool_)
    is_asking[asking] = True
    done = 0
    for start in range(0, n, _HELD_ROWS):
        check(observer)
        block = vectors[start : start + _HELD_ROWS].astype(np.float32)
        scores = block @ centres.T
        own[start : start + len(block)] = scores.argmax(axis=1)
        wanted = scores[is_asking[start : start + len(block)]]
        cells = np.argpartition(wanted, -probes, axis=1)[:, -probes:]
        probed[done : done + len(wanted)] = cells
        done += len(wanted)
    return own, probed


def _recall(vectors: HalfMatrix, asking: IdArray, best: _Best, k: int, observer: Observer) -> float:
    """The share of the exact neighbours of a sample that was found, ties allowed."""
    size = min(SAMPLE, len(asking))
    places = np.sort(np.random.default_rng(2).choice(len(asking), size, replace=False))
    truth = exact(vectors, asking[places], k, observer)
    wanted = truth.scores > -np.inf
    if not wanted.any():
        return 1.0
    least = np.where(wanted, truth.scores, np.inf).min(axis=1)
    found = (best.scores[places] >= least[:, None] - 1e-5).sum(axis=1)
    return float(np.minimum(found, wanted.sum(axis=1)).sum() / wanted.sum())
