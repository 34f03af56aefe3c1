"""Labels as vectors, and the scores of pictures against them as an encoder's family gives them.

A label is the mean of the unit vectors of its prompts, made unit again: the prompt ensemble of CLIP
(Radford et al. 2021, section 3.1.4).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from pictor.library.errors import LabelError
from pictor.library.records import FloatMatrix, Scoring

#: Stands for the label in a prompt.
PLACEHOLDER = "{label}"
#: (n, d) unit rows of n texts.
EncodeTexts = Callable[[Sequence[str]], FloatMatrix]


def label_vectors(texts: Sequence[Sequence[str]], encode: EncodeTexts) -> FloatMatrix:
    """(labels, d) float32 unit rows: the mean of each label's texts.

    Raises:
        LabelError: the texts of a label cancel out.
    """
    flat = [text for group in texts for text in group]
    starts = np.cumsum([0, *(len(group) for group in texts[:-1])])
    sums = np.add.reduceat(encode(flat), starts, axis=0)
    norms = np.linalg.norm(sums, axis=1, keepdims=True)
    if not (norms > 1e-6).all():
        at = int(np.argmin(norms))
        raise LabelError(f"the prompts of a label cancel out: {texts[at]!r}")
    vectors: FloatMatrix = (sums / norms).astype(np.float32)
    return vectors


def logits_of(vectors: FloatMatrix, labels: FloatMatrix, scoring: Scoring) -> FloatMatrix:
    """(n, labels) float32 `scale * cosine + bias` of n vectors with those of the labels."""
    logits = vectors @ labels.T
    logits *= np.float32(scoring.scale)
    if scoring.bias:
        logits += np.float32(scoring.bias)
    return logits


def probabilities(logits: FloatMatrix, scoring: Scoring) -> FloatMatrix:
    """Scores in [0, 1] of (n, labels) logits: a softmax over the labels, or sigmoids.

    A family without a score of its own gets a softmax.
    """
    if scoring.kind == "sigmoid":
        with np.errstate(over="ignore"):  # exp of a large number gives a score of 0
            scores: FloatMatrix = np.float32(1) / (np.float32(1) + np.exp(-logits))
        return scores
    powers: FloatMatrix = np.exp(logits - logits.max(axis=1, keepdims=True))
    powers /= powers.sum(axis=1, keepdims=True)
    return powers
