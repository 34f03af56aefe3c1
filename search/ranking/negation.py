"""What "a dog without a ball" finds: dogs, the least like balls first, and none with a ball.

It takes two steps. What a negated concept explains is left out, by the probability that it would be
a hit of its own. What is left is ranked by a query that leans away from the concept: half of the
concept is taken off it, and both lean towards what they find in the collection (Rocchio's relevance
feedback). Taking off all of it, as arithmetic of vectors does, finds neither dogs nor balls.
docs/evaluation.md has the figures.
"""

from __future__ import annotations

import numpy as np

from pictor.library.arrays import quantiles
from pictor.library.records import BoolVector, FloatMatrix, FloatVector
from pictor.search.ranking.calibration import LIKELY, POSSIBLE, Calibration
from pictor.search.ranking.evidence import Images, Setting, evidence, see

#: How much of what is negated is taken off, and how far each leans towards what it finds. Precision
#: at 10 is flat around both: from 0.4 to 0.6, and from 0.1 to 0.3, on the data of the calibration.
TAKEN_OFF, LEANING = 0.5, 0.2
#: A query finds this share of a sample, to compare what is negated with; at least so many.
FOUND_SHARE, LEAST_FOUND = 0.15, 8
#: What is negated must fit an image better than this share of those.
AHEAD_OF = 0.7


def away_from(query: FloatMatrix, negated: FloatMatrix, setting: Setting | None) -> FloatMatrix:
    """(1, d) unit row to rank by.

    Args:
        query: (1, d) unit row; negated: (m, d) unit rows, one a concept.
        setting: of the space; None where nothing is known of its images.
    """
    if not len(negated):
        return query
    rows = np.concatenate([query, negated])
    leaning = rows
    if setting is not None:
        leaning = rows + LEANING * np.stack([see(row, setting).found for row in rows])
    taken = leaning[1:].sum(axis=0) / np.sqrt(len(negated))  # many count more, but not each in full
    found = leaning[0] - TAKEN_OFF * taken
    unit: FloatMatrix = (found / max(float(np.linalg.norm(found)), 1e-6))[None]
    return unit


def explains(
    query: FloatMatrix,
    negated: FloatMatrix,
    images: Images,
    setting: Setting,
    calibration: Calibration,
) -> BoolVector:
    """(n,) whether one of m concepts explains an image.

    A concept explains what it is likely to. It also explains, from a much lower probability on,
    what it fits better than most of what the query finds: a ball is a small part of a photo of a
    dog, so how much of a ball there is shows only beside other dogs.

    Args:
        query: (1, d) unit row, what is looked for; (0, d) where that is anything.
        negated: (m, d) unit rows, one a concept.
    """
    is_out: BoolVector = np.zeros(len(images.vectors), np.bool_)
    for vector in negated:
        probability = calibration.probability(evidence(see(vector, setting), images, setting))
        is_out |= probability >= LIKELY
        if len(query):
            is_ahead = images.vectors @ vector > _usual_among(query[0], vector, setting)
            is_out |= is_ahead & (probability >= calibration.negation)
        else:
            is_out |= probability >= POSSIBLE
    return is_out


def _usual_among(query: FloatVector, negated: FloatVector, setting: Setting) -> float:
    """The cosine of a negated concept that is high for those of the sample that a query finds."""
    vectors = setting.sample.vectors
    count = min(len(vectors), max(LEAST_FOUND, int(FOUND_SHARE * len(vectors))))
    if not count:
        return -1.0
    found = np.argpartition(-(vectors @ query), count - 1)[:count]
    return float(quantiles(vectors[found] @ negated, [AHEAD_OF])[0])
