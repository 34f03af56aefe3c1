"""Hits that look the same, folded into the best-ranked of them."""

from __future__ import annotations

import numpy as np

from pictor.library.records import BoolVector, FloatMatrix

#: The least cosine of two pictures that look the same, by encoder family. Measured with
#: benchmarks/folding.py: of 1,000 different photos the two nearest have 0.933 in the space of the
#: built-in encoder, where nearly all lightly changed copies have more than 0.94; of 983 photos they
#: have 0.930 in that of CLIP ViT-B/32.
NEAR_IDENTICAL = {"builtin": 0.94, "clip": 0.95}
#: For families that were not measured: none of those measured folds different photos at 0.95.
NEAR_IDENTICAL_ELSEWHERE = 0.96

#: Rows compared at once: the block of similarities of 2,000 rows takes 2 MB.
_BLOCK = 256


def near_identical(family: str) -> float:
    """The least cosine of two pictures that look the same to encoders of a family."""
    return NEAR_IDENTICAL.get(family, NEAR_IDENTICAL_ELSEWHERE)


def fold(vectors: FloatMatrix, threshold: float) -> list[list[int]]:
    """Groups of rows that look the same, each around its first.

    A row joins the first group whose first row it resembles. Only first rows are compared with, so
    a chain of small steps does not gather what is far apart.

    Args:
        vectors: (n, d) float32, rows unit-norm, in rank order.
        threshold: the least cosine of two that look the same; see `near_identical`. Above 1 nothing
            is folded.

    Returns:
        Every row number once: groups in order of their first rows, rows of a group ascending.
    """
    firsts: list[int] = []
    groups: dict[int, list[int]] = {}
    for start in range(0, len(vectors), _BLOCK):
        block = vectors[start : start + _BLOCK]
        before = block @ vectors[firsts].T >= threshold if firsts else None
        within = block @ block.T >= threshold
        known = list(firsts)
        fresh: list[int] = []  # first rows of this block, counted within it
        for i in range(len(block)):
            leader = _leader(before[i] if before is not None else None, known)
            if leader is None:
                new = next((j for j in fresh if within[i, j]), None)
                leader = None if new is None else start + new
            if leader is None:
                fresh.append(i)
                firsts.append(start + i)
                groups[start + i] = [start + i]
            else:
                groups[leader].append(start + i)
    return list(groups.values())


def _leader(resembles: BoolVector | None, firsts: list[int]) -> int | None:
    if resembles is None or not resembles.any():
        return None
    return firsts[int(np.argmax(resembles))]
