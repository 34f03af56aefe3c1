"""The contrastive loss."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def contrastive(a: Tensor, b: Tensor, scale: Tensor, smoothing: float = 0.0) -> Tensor:
    """Symmetric InfoNCE (arXiv 2103.00020, figure 3) of rows that belong together.

    Args:
        a: (n, d) unit rows.
        b: (n, d) unit rows; row i belongs to row i of ``a``.
        scale: factor on the cosines.
        smoothing: share of the target spread over the whole batch.
    """
    logits = scale * a @ b.T
    target = torch.arange(len(a))
    rows = functional.cross_entropy(logits, target, label_smoothing=smoothing)
    columns = functional.cross_entropy(logits.T, target, label_smoothing=smoothing)
    return (rows + columns) / 2
