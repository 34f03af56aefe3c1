"""Hits that look the same, folded into the best-ranked of them."""

from __future__ import annotations

import numpy as np

from pictor.library.records import FloatMatrix

#: The least cosine of two pictures that look the same, by encoder family. Measured with
#: benchmarks/folding.py: of 1,000 different photos the two nearest have 0.933 in the space of the
#: built-in encoder, where nearly all lightly changed copies have more than 0.94; of 983 photos they
#: have 0.930 in that of CLIP ViT-B/32.
NEAR_IDENTICAL = {"builtin": 0.94, "clip": 0.95}
#: For families that were not measured: none of those measured folds different photos at 0.95.
NEAR_IDENTICAL_ELSEWHERE = 0.96


def near_identical(family: str) -> float:
    """The least cosine of two pictures that look the same to encoders of a family."""
    return NEAR_IDENTICAL.get(family, NEAR_IDENTICAL_ELSEWHERE)


def fold(vectors: FloatMatrix, threshold: float) -> list[list[int]]:
    """Groups of rows that look the same, each around its first.

    A row joins the first group whose first row it resembles. Only first rows are compared with, so
    a chain of small steps does not gather what is far apart. All rows are compared at once: of
    2,000 that takes 20 MB.

    Args:
        vectors: (n, d) float32, rows unit-norm, in rank order.
        threshold: the least cosine of two that look the same; see `near_identical`. Above 1 nothing
            is folded.

    Returns:
        Every row number once: groups in order of their first rows, rows of a group ascending.
    """
    is_alike = vectors @ vectors.T >= threshold
    is_first = np.zeros(len(vectors), np.bool_)
    groups: dict[int, list[int]] = {}
    for row in range(len(vectors)):
        leaders = np.flatnonzero(is_alike[row] & is_first)
        if leaders.size:
            groups[int(leaders[0])].append(row)
        else:
            is_first[row] = True
            groups[row] = [row]
    return list(groups.values())
