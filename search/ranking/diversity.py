"""Hits that differ from one another, on request: maximal marginal relevance.

Carbonell and Goldstein, SIGIR 1998.
"""

from __future__ import annotations

import numpy as np

from pictor.library.records import FloatMatrix, FloatVector


def diversify(scores: FloatVector, vectors: FloatMatrix, weight: float, top: int) -> list[int]:
    """Row numbers of at most `top` candidates, chosen one after the other.

    The next is always the one with the largest `(1 - weight) * score - weight * nearest`, where
    `nearest` is its largest cosine with those chosen before. Cost: O(top · n · d).

    Args:
        scores: (n,) float32, finite; best on the scale of cosines or probabilities, since they are
            compared with cosines.
        vectors: (n, d) float32, rows unit-norm.
        weight: 0 ranks by score alone, 1 by difference alone.

    Returns:
        Best first; ties go to the smaller row number.

    Raises:
        ValueError: the weight is not in 0 to 1, or there are not as many scores as vectors.
    """
    if not 0 <= weight <= 1:
        raise ValueError(f"the weight must be in 0 to 1, not {weight}")
    if len(scores) != len(vectors):
        raise ValueError(f"{len(scores)} scores have {len(vectors)} vectors")
    relevance = (1 - weight) * np.asarray(scores, np.float64)
    nearest = np.zeros(len(scores))
    value = relevance.copy()
    chosen: list[int] = []
    for _ in range(min(top, len(scores))):
        best = int(np.argmax(value))
        similar = (vectors @ vectors[best]).astype(np.float64)
        nearest = np.maximum(nearest, similar) if chosen else similar
        chosen.append(best)
        relevance[best] = -np.inf
        value = relevance - weight * nearest
    return chosen
