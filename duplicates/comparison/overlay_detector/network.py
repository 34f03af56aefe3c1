"""Whether a changed part was laid over the picture afterwards, or another moment shows there.

A small network, one hidden layer, over the part's traits. It stands in configs/overlaid.toml, which
`benchmarks/fit_overlaid.py` writes: fitted on real photos with drawn overlays of many kinds, and on
the same photos with things that came in, left or moved.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from pictor.duplicates.comparison.overlay_detector.traits import Traits
from pictor.library.config import presets_dir
from pictor.library.records import DoubleMatrix, DoubleVector

OVERLAID_FILE = "overlaid.toml"
#: Traits further from their mean than so many standard deviations are held there: what is far from
#: everything it was fitted on must not decide by that alone.
MOST_SPREAD = 4.0


@dataclass(frozen=True)
class Weights:
    """The network: k traits, h hidden units.

    Attributes:
        mean, spread: (k,) of the traits.
        hidden: (h, k + 1), the last column constants; out: (h + 1,), the last one a constant.
    """

    mean: DoubleVector
    spread: DoubleVector
    hidden: DoubleMatrix
    out: DoubleVector

    def __call__(self, traits: DoubleMatrix) -> DoubleVector:
        """(n,) probabilities of (n, k) traits."""
        held = np.clip((traits - self.mean) / self.spread, -MOST_SPREAD, MOST_SPREAD)
        units = np.tanh(held @ self.hidden[:, :-1].T + self.hidden[:, -1])
        return np.asarray(1 / (1 + np.exp(-(units @ self.out[:-1] + self.out[-1]))))


def laid_over(traits: Sequence[Traits]) -> DoubleVector:
    """(n,) 0 to 1: how surely each part was laid over."""
    if not traits:
        return np.zeros(0)
    return read_weights(presets_dir() / OVERLAID_FILE)(np.array(traits, np.float64))


@lru_cache(maxsize=1)
def read_weights(path: Path) -> Weights:
    """The network in a file.

    Raises:
        ValueError: it weighs other traits than there are.
    """
    section = tomllib.loads(path.read_text(encoding="utf-8"))
    if tuple(section["traits"]) != Traits._fields:
        raise ValueError(f"{path.name} does not weigh the traits of a part in their order")
    names = ("mean", "spread", "hidden", "out")
    return Weights(*(np.array(section[name], np.float64) for name in names))
