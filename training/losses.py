"""The losses: contrastive between things that belong together, and towards a teacher."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional


def contrastive(
    a: Tensor, b: Tensor, scale: Tensor, clash: NDArray[np.bool_] | None = None
) -> Tensor:
    """Symmetric InfoNCE (arXiv 2103.00020, figure 3) of rows that belong together.

    Args:
        a: (n, d) unit rows.
        b: (n, d) unit rows; row i belongs to row i of ``a``.
        scale: factor on the cosines.
        clash: (n, n), true where row i and row j are no counter-examples of each other.
    """
    logits = scale * a @ b.T
    if clash is not None:
        logits = logits.masked_fill(torch.from_numpy(clash), -1e4)
    target = torch.arange(len(a))
    return (
        functional.cross_entropy(logits, target) + functional.cross_entropy(logits.T, target)
    ) / 2


def divergence(logits: Tensor, teacher: Tensor) -> Tensor:
    """Mean Kullback-Leibler divergence of rows of logits from the teacher's logits (n, m)."""
    target = teacher.softmax(dim=1)
    return functional.kl_div(logits.log_softmax(dim=1), target, reduction="batchmean")
