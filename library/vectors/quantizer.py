"""How vectors become 4-bit codes: centres of lists, a rotation, and sub-quantizers, all trained.

A vector is rotated, its list is that of the nearest centre, and what is left after the centre is
encoded two values at a time, in 4 bits (Jégou, Douze and Schmid 2011; scanned by the in-register
tables of André, Kermarrec and Le Scouarnec 2017). The rotation pairs the direction in which vectors
differ most with that in which they differ least, so that the bits go where they count (after Ge,
He, Ke and Sun 2013). Measured on 1M x 512 CLIP-like pictures, texts as queries, every list probed,
200 candidates settled: recall@10 0.998, and 0.940 without the rotation.
"""

from __future__ import annotations

import importlib
import math
from typing import Any

import numpy as np

from pictor.library.records import FloatMatrix, HalfMatrix

faiss: Any = importlib.import_module("faiss")  # its own type stubs contradict its wrappers

_BITS = 4
_ADD_ROWS = 16_384  # rows widened to float32 at once
_TRAIN_VALUES = 1 << 26  # float32 values in the training sample: 256 MiB
_POINTS_PER_LIST = 50  # k-means wants at least 39 (faiss, ClusteringParameters)
# Twice the square root of n lists trains in a third of the time of four times, and at equal recall
# searches 500k x 256 as fast (measured: 1414 lists, 16 probes against 2828 lists, 16 probes).
_LISTS_PER_ROOT = 2
_MAX_LISTS = 65_536
_TRAIN_ROUNDS = 6


def trained(vectors: HalfMatrix) -> tuple[Any, FloatMatrix]:
    """Empty inverted lists for (n, d) rows, and the (d, d) rotation of what they are to hold."""
    n, d = vectors.shape
    lists = max(1, min(round(_LISTS_PER_ROOT * math.sqrt(n)), _MAX_LISTS, n))
    sample = min(n, _POINTS_PER_LIST * lists, max(lists, _TRAIN_VALUES // d))
    picked = np.sort(np.random.default_rng(0).choice(n, sample, replace=False))
    rows = vectors[picked].astype(np.float32) if n else np.zeros((1, d), np.float32)
    pairs = d // 2 if d % 2 == 0 else d
    rotation = _rotation(rows, pairs)
    made = faiss.IndexIVFPQFastScan(
        faiss.IndexFlatIP(d), d, lists, pairs, _BITS, faiss.METRIC_INNER_PRODUCT
    )
    made.by_residual = True
    made.cp.niter = _TRAIN_ROUNDS
    for parameters in (made.cp, made.pq.cp):
        parameters.min_points_per_centroid = 1  # else faiss warns on stderr where rows are few
    made.train(np.resize(rows @ rotation, (max(len(rows), 1 << _BITS), d)))
    return made, rotation


def encode(lists: Any, vectors: HalfMatrix, rotation: FloatMatrix, first: int) -> None:
    """Put (n, d) rows, the first of which has the number `first`, into trained lists."""
    for start in range(0, len(vectors), _ADD_ROWS):
        block = vectors[start : start + _ADD_ROWS].astype(np.float32) @ rotation
        lists.add_with_ids(block, np.arange(first + start, first + start + len(block)))


def _rotation(rows: FloatMatrix, pairs: int) -> FloatMatrix:
    """(d, d) orthogonal: the principal axes of rows, the first beside the last, and so on."""
    centred = rows - rows.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    order = np.arange(axes.shape[1])[::-1]  # by falling variance
    if pairs < len(order):
        order = np.stack([order[:pairs], order[pairs:][::-1]], axis=1).ravel()
    return np.ascontiguousarray(axes[:, order], np.float32)
