"""Scores of labels as the encoder's family gives them, and which of them are tags.

A label is a tag where two things hold. Its score, a softmax over the set or a sigmoid, reaches the
least score: of all labels it is one that fits. And its logit exceeds how well the background bank
explains the item by at least the set's level: the picture shows something of the set at all. A
label is not compared with captions of the bank that say the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pictor.library.label_scores import probabilities
from pictor.library.records import (
    BoolMatrix,
    DoubleVector,
    FloatMatrix,
    FloatVector,
    IdArray,
    Scoring,
)

#: The background of some rows without the captions that say the same as a label, by its place.
Without = Callable[[int, IdArray], DoubleVector]
#: The least scores. Softmax, one label an item: below, the second best is about as good. Softmax,
#: several labels: they share the sum of 1. Sigmoid: SigLIP's true pairs often score so low (its
#: bias starts at -10, Zhai et al. 2023). Measured: docs/tagging.md.
LEAST_BEST, LEAST_OF_SEVERAL, LEAST_SIGMOID = 0.3, 0.2, 0.05


def default_minimum(scoring: Scoring, *, multi_label: bool) -> float:
    """The least score of a tag where none is asked for."""
    if scoring.kind == "sigmoid":
        return LEAST_SIGMOID
    return LEAST_OF_SEVERAL if multi_label else LEAST_BEST


@dataclass(frozen=True)
class Rules:
    """What decides the tags of a set in one space.

    Attributes:
        parents: the place of each label's parent, -1 for none.
        level: least excess of a label's logit over the background.
        minimum: the least score.
        multi_label: all labels that pass are tags, not only the best one and those above it.
    """

    scoring: Scoring
    parents: Sequence[int]
    level: float
    minimum: float
    multi_label: bool

    def tags(
        self, logits: FloatMatrix, background: FloatVector, without: Without | None = None
    ) -> FloatMatrix:
        """The scores of (n, labels) logits that are tags, 0 elsewhere.

        A label above others has the sum of their scores and its own (of sigmoids the largest), and
        is held to the background where one of them is; so a tag's labels above are tags too.

        Args:
            background: (n,) with all captions of the bank.
            without: asked for labels that reach the least score and do not exceed that.
        """
        scores = probabilities(logits, self.scoring)
        passes = logits >= background[:, None] + np.float32(self.level)
        allowed = None if self.multi_label else self._line_of_best(logits)
        if without is not None:
            failing = (scores >= self.minimum) & ~passes
            if allowed is not None:
                failing &= allowed
            for at in np.flatnonzero(failing.any(axis=0)).tolist():
                rows = np.flatnonzero(failing[:, at])
                passes[rows, at] = logits[rows, at] >= without(at, rows) + self.level
        self._roll_up(scores, passes)
        passes &= scores >= self.minimum
        if allowed is not None:
            passes &= allowed
        scores *= passes
        return np.minimum(scores, 1, out=scores)

    def _roll_up(self, scores: FloatMatrix, passes: BoolMatrix) -> None:
        """Let each label above others take part in what they have, from the bottom up."""
        children = [at for at, parent in enumerate(self.parents) if parent >= 0]
        for child in sorted(children, key=lambda at: -len(self._line(at))):
            parent = self.parents[child]
            if self.scoring.kind == "sigmoid":
                np.maximum(scores[:, parent], scores[:, child], out=scores[:, parent])
            else:
                scores[:, parent] += scores[:, child]
            passes[:, parent] |= passes[:, child]

    def _line(self, at: int) -> list[int]:
        """The places of a label and of all above it."""
        line = [at]
        while (parent := self.parents[line[-1]]) >= 0:
            line.append(parent)
        return line

    def _line_of_best(self, logits: FloatMatrix) -> BoolMatrix:
        """(n, labels): the label with the highest logit of its own, and those above it."""
        lines = np.zeros((len(self.parents), len(self.parents)), dtype=np.bool_)
        for at in range(len(self.parents)):
            lines[at, self._line(at)] = True
        allowed: BoolMatrix = lines[logits.argmax(axis=1)]
        return allowed
