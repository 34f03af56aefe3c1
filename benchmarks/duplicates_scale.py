"""Candidates of duplicates among many contents: time, memory, and how many planted pairs are found.

    python benchmarks/duplicates_scale.py [--contents 1000000] [--json]

Hashes and vectors (256 values) are drawn at random, so nothing is alike by nature and vectors have
no clusters that would help an index. Of every 100 contents 2 are planted copies: a third exact
(equal hashes and vector), a third near by hash (up to 7 bits of 64 in any orientation, a vector no
better than a stranger's), a third near by vector (cosine 0.8 to 0.98, as crops of 5 to 40 % have
with the built-in encoder, with hashes of a stranger). What runs is what `pictor duplicates` runs
once the rows are read. No content has its pixels looked at.
"""

from __future__ import annotations

import os
import resource
import time

import numpy as np
from measure import arguments, cost, note, report
from numpy.typing import NDArray

from pictor.duplicates.candidates import hash_neighbours, vector_neighbours
from pictor.duplicates.candidates.candidate_pairs import AlikePairs, FingerprintTable, alike_pairs
from pictor.library.records import HalfMatrix, IdArray

DIMENSION = 256
BLOCK = 50_000
PLANTED_SHARE = 0.02
LEAST_COSINE, MOST_COSINE = 0.8, 0.98
KINDS = ("exact", "near by hash", "near by vector")


def main() -> None:
    """Draw, plant, search, and print a row."""
    options = arguments(__doc__, contents=1_000_000)
    if hasattr(os, "sched_setaffinity"):  # two cores, as the figures of the project are given
        os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:2]))
    contents, planted = drawn(options.contents)
    note(f"drew {options.contents:,} contents")
    started = time.perf_counter()
    with cost() as spent:
        found = alike_pairs(contents)
    row = {
        "contents": options.contents,
        "seconds": round(time.perf_counter() - started, 1),
        "CPU seconds": round(spent.cpu_s, 1),
        "peak MB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        **{f"{kind} %": 100 * share_found(found, *planted[kind]) for kind in KINDS},
        "pairs a content": len(found.low) / options.contents,
        "recall measured": found.recall,
        "hash radius": hash_neighbours.RADIUS,
        "cells probed": 0 if is_exact(options.contents) else vector_neighbours.PROBES,
    }
    report("duplicates_scale", [row], as_json=options.json)


def is_exact(count: int) -> bool:
    """Whether vectors are held against each other without cells."""
    return count * count * DIMENSION / 2 <= vector_neighbours.EXACT_WORK


def drawn(count: int) -> tuple[FingerprintTable, dict[str, tuple[IdArray, IdArray]]]:
    """Contents that are all fresh, and the rows of the planted pairs of each kind."""
    rng = np.random.default_rng(20261121)
    prints = rng.integers(0, 1 << 64, (count, 8), dtype=np.uint64)
    vectors = unit_vectors(rng, count)
    order = rng.permutation(count)
    each = int(count * PLANTED_SHARE / len(KINDS))
    planted = {}
    for place, kind in enumerate(KINDS):
        start = 2 * place * each
        old, new = order[start : start + each], order[start + each : start + 2 * each]
        planted[kind] = (old, new)
    old, new = planted["exact"]
    prints[new], vectors[new] = prints[old], vectors[old]
    old, new = planted["near by hash"]
    turns = rng.integers(0, 8, each)
    prints[new, 0] = prints[old, turns] ^ flips(rng, each)
    old, new = planted["near by vector"]
    vectors[new] = tilted(rng, vectors[old].astype(np.float32))
    rows = np.arange(count)
    contents = FingerprintTable(rows + 1, np.ones(count, np.bool_), rows, prints, vectors)
    return contents, planted


def unit_vectors(rng: np.random.Generator, count: int) -> HalfMatrix:
    """(count, 256) float16 unit rows in random directions."""
    vectors = np.empty((count, DIMENSION), np.float16)
    for start in range(0, count, BLOCK):
        size = min(BLOCK, count - start)
        block = rng.standard_normal((size, DIMENSION), dtype=np.float32)
        vectors[start : start + size] = block / np.linalg.norm(block, axis=1, keepdims=True)
    return vectors


def flips(rng: np.random.Generator, count: int) -> NDArray[np.uint64]:
    """Masks with 0 to `RADIUS` bits set at random places."""
    order = rng.permuted(np.broadcast_to(np.arange(64, dtype=np.uint64), (count, 64)), axis=1)
    bits = np.uint64(1) << order[:, : hash_neighbours.RADIUS]
    bits[
        np.arange(hash_neighbours.RADIUS) >= rng.integers(0, hash_neighbours.RADIUS + 1, (count, 1))
    ] = 0
    masks: NDArray[np.uint64] = np.bitwise_or.reduce(bits, axis=1)
    return masks


def tilted(rng: np.random.Generator, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Unit vectors at a random cosine between the bounds with each of the given ones."""
    cosines = rng.uniform(LEAST_COSINE, MOST_COSINE, (len(vectors), 1)).astype(np.float32)
    aside = rng.standard_normal(vectors.shape, dtype=np.float32)
    aside -= np.vecdot(aside, vectors)[:, None] * vectors
    aside /= np.linalg.norm(aside, axis=1, keepdims=True)
    tilt: NDArray[np.float32] = cosines * vectors + np.sqrt(1 - cosines**2) * aside
    return tilt


def share_found(found: AlikePairs, old: IdArray, new: IdArray) -> float:
    """The share of some pairs that are candidates."""
    count = int(max(found.high.max(initial=0), old.max(), new.max())) + 1
    keys = found.low * count + found.high
    wanted = np.minimum(old, new) * count + np.maximum(old, new)
    return float(np.isin(wanted, keys).mean())


if __name__ == "__main__":
    main()
