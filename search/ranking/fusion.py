"""One ranking out of several: of two spaces, or of vectors and words.

Scores of different encoders, and of words, share no scale, so only ranks are fused: reciprocal-rank
fusion (Cormack, Clarke, Büttcher, SIGIR 2009).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pictor.library.arrays import distinct
from pictor.library.records import FloatVector, IdArray

#: The constant of the paper, where it was best between 10 and 1,000: the first rank counts 1/61 and
#: the sixtieth about half as much.
K = 60.0


def reciprocal_rank(
    rankings: Sequence[IdArray], weights: Sequence[float], k: float = K
) -> tuple[IdArray, FloatVector]:
    """Every id that is in some ranking, best first.

    An id scores the sum of `weight / (k + rank)` over the rankings that hold it, ranks from 1; one
    that a ranking holds twice counts where it stands first.

    Args:
        rankings: each (n_i,) int64, best first.
        weights: one a ranking, none negative.
        k: above 0; the larger, the less the first ranks stand out.

    Returns:
        Ids (n,) int64 and scores (n,) float32, descending; ties in ascending id.

    Raises:
        ValueError: there are not as many weights as rankings, or a number is out of range.
    """
    if len(rankings) != len(weights):
        raise ValueError(f"{len(rankings)} rankings have {len(weights)} weights")
    if k <= 0 or any(weight < 0 for weight in weights):
        raise ValueError(f"k must be above 0 and no weight below it, not {k} and {list(weights)}")
    if not rankings:
        return np.empty(0, np.int64), np.empty(0, np.float32)
    everything = np.concatenate([np.asarray(ranking, np.int64) for ranking in rankings])
    ids = distinct(everything)
    scores = np.zeros(len(ids))
    for ranking, weight in zip(rankings, weights, strict=True):
        place = np.searchsorted(ids, np.asarray(ranking, np.int64))
        ranks = np.full(len(ids), np.inf)
        np.minimum.at(ranks, place, np.arange(len(place), dtype=np.float64))
        scores += weight / (k + 1 + ranks)
    order = np.argsort(-scores, kind="stable")  # ids are ascending, so ties are too
    return ids[order], scores[order].astype(np.float32)
