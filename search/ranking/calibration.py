"""From evidence to a probability: a few logistic functions for each encoder family, for libraries
whose own null is not known (`library/null_scores.py`), and for what negation leaves out.

They stand in configs/cutoff.toml, which `benchmarks/fit_cutoff.py` writes. Queries are of two
kinds, which an encoder scores very differently: single concepts ("dog") fit many images a little,
whole scenes ("a dog jumps over a fence") fit few images well. Each kind has a function of its own;
the evidence about the query tells how much it is of which:

    p = logistic(g * scene + (1 - g) * concept),  g = MOST_SCENE * logistic(gate)

where scene, concept and gate are constant + sum of weight * column, of which the columns about the
query are held within what was fitted on: a strange query, or one of a strange collection, is judged
like the strangest of those. For one query g is one number, so p rises with the image's evidence.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pictor.library.config import presets_dir
from pictor.library.records import DoubleMatrix, DoubleVector, FloatVector, JsonObject, Scoring
from pictor.search.ranking.evidence import COLUMNS, Usual

CUTOFF_FILE = "cutoff.toml"
#: Probabilities at which the levels begin. As fitted, a hit is likely where it is right more often
#: than not, and possible is chosen so that most searches for what is not there show nothing.
LIKELY, POSSIBLE = 0.5, 0.2
#: How much of a scene a query is at most. "A man" looks like a scene, to which nothing but a very
#: good match would do. Of 0.3 to 1, on the data of the fit: with 0.5 false hits are the least share
#: of the best threshold's over all levels, and recall is higher by a third than with 1.
MOST_SCENE = 0.5
_MOST_LOGIT = 60.0  # exp of more overflows before float32 could tell it from 1


@dataclass(frozen=True)
class Sum:
    """A weighted sum of the evidence: (len(COLUMNS),) weights and a constant."""

    weights: DoubleVector
    constant: float

    def __call__(self, evidence: DoubleMatrix) -> DoubleVector:
        """(n,) of (n, len(COLUMNS)) evidence."""
        found: DoubleVector = evidence @ self.weights + self.constant
        return found


@dataclass(frozen=True)
class Calibration:
    """One family's functions.

    Attributes:
        concept: for single concepts.
        scene, gate: for whole scenes, and how much a query is one; None where only one is known.
        low, high: (len(COLUMNS),) bounds of the evidence.
        negation: the least probability at which a negated concept can leave an image out.
        usual: scores of queries on images that have nothing to do with them.
    """

    concept: Sum
    scene: Sum | None
    gate: Sum | None
    low: DoubleVector
    high: DoubleVector
    negation: float
    usual: Usual

    def probability(self, evidence: DoubleMatrix) -> FloatVector:
        """(n,) float32 in 0 to 1 of (n, len(COLUMNS)) evidence."""
        held = np.clip(evidence, self.low, self.high)
        logits = self.concept(held)
        if self.scene is not None and self.gate is not None:
            share = MOST_SCENE * logistic(self.gate(held))
            logits = share * self.scene(held) + (1 - share) * logits
        return logistic(logits).astype(np.float32)


def logistic(logits: DoubleVector) -> DoubleVector:
    """1 / (1 + exp(-x)) of each."""
    found: DoubleVector = 1.0 / (1.0 + np.exp(-np.clip(logits, -_MOST_LOGIT, _MOST_LOGIT)))
    return found


def calibration_for(family: str, scoring: Scoring) -> Calibration:
    """That of an encoder family, or of its kind of scoring where the family has none."""
    sections = _read()
    kind = "sigmoid" if scoring.kind == "sigmoid" else "softmax"
    return from_section(sections.get(family) or sections[kind])


def from_section(section: JsonObject) -> Calibration:
    """The calibration that a section of the file holds."""
    bounds = [section.get("bounds", {}).get(name, (-np.inf, np.inf)) for name in COLUMNS]
    return Calibration(
        concept=_sum(section["concept"]),
        scene=_sum(section["scene"]) if "scene" in section else None,
        gate=_sum(section["gate"]) if "gate" in section else None,
        low=np.array([float(low) for low, _ in bounds]),
        high=np.array([float(high) for _, high in bounds]),
        negation=float(section["negation"]),
        usual=Usual(float(section["usual"]["centre"]), float(section["usual"]["spread"])),
    )


def _sum(values: JsonObject) -> Sum:
    """Weights by column, and "constant".

    Raises:
        ValueError: a name is no column.
    """
    unknown = set(values) - {*COLUMNS, "constant"}
    if unknown:
        raise ValueError(f"{CUTOFF_FILE} weighs {min(unknown)!r}, which is not evidence")
    weights = np.array([float(values.get(name, 0.0)) for name in COLUMNS])
    return Sum(weights, float(values["constant"]))


@lru_cache(maxsize=1)
def _read() -> JsonObject:
    return tomllib.loads((presets_dir() / CUTOFF_FILE).read_text(encoding="utf-8"))
