"""Affine maps from one picture to another that most of their local features agree on.

What a mirror does to a descriptor is a fixed exchange of its bins, so a mirrored picture needs no
second search for features.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pictor.duplicates.comparison.still import Features, Points
from pictor.library.records import DoubleMatrix

#: Ratio of the distances to the nearest and the second nearest feature (Lowe 2004, section 7.1).
_RATIO = 0.8
#: Greatest stretch of one axis against the other: 16:9 squeezed into a square is 1.8.
_MOST_STRETCH = 2.2
_MOST_SCALE = 10.0
_SEED = 20_040_111


class FitBounds(NamedTuple):
    """When features agree.

    Attributes:
        least: features that must.
        inlier_px: how far from its place one may be.
    """

    least: int
    inlier_px: float
    iterations: int


#: Of pictures of 448 pixels: lens and rounding, not parallax.
_BOUNDS = FitBounds(least=6, inlier_px=2.5, iterations=2000)


class FeatureFit(NamedTuple):
    """An affine map that features agree on.

    Attributes:
        matrix: (2, 3) float64, from pixels of a to pixels of b, the mirror included.
        inliers: how many features agree.
    """

    matrix: DoubleMatrix
    inliers: int
    mirrored: bool


def mirrored(features: Features, width: int) -> Features:
    """The features of the same picture, `width` pixels wide, flipped left to right."""
    points = features.points.copy()
    points[:, 0] = (width - 1) - points[:, 0]
    # 4 x 4 cells of 8 directions in the feature's own frame: a mirror turns the rows around and
    # changes the sign of each direction.
    cells = features.descriptors.reshape(-1, 4, 4, 8)[:, ::-1, :, -np.arange(8) % 8]
    return Features(points, np.ascontiguousarray(cells.reshape(-1, 128)))


def fits(a: Features, width: int, b: Features, bounds: FitBounds = _BOUNDS) -> list[FeatureFit]:
    """Plausible maps of a onto b, plain and mirrored, that with most inliers first.

    Args:
        width: of picture a, pixels.
    """
    found = []
    for is_mirrored in (False, True):
        features = mirrored(a, width) if is_mirrored else a
        fit = _fit(features, b, bounds)
        if fit is None:
            continue
        matrix, inliers = fit
        if is_mirrored:
            flip = np.array([[-1.0, 0, width - 1], [0, 1, 0], [0, 0, 1]])
            matrix = matrix @ flip
        found.append(FeatureFit(matrix, inliers, is_mirrored))
    return sorted(found, key=lambda one: -one.inliers)


def _matches(a: Features, b: Features) -> tuple[Points, Points]:
    """Points of both that belong together by their descriptors alone."""
    if len(a.points) < 2 or len(b.points) < 2:
        return a.points[:0], b.points[:0]
    scores = a.descriptors @ b.descriptors.T
    rows = np.arange(len(scores))
    best = scores.argmax(axis=1)
    top = scores[rows, best]
    scores[rows, best] = -1.0
    second = scores.max(axis=1)
    scores[rows, best] = top
    distances, others = 2.0 - 2.0 * top, 2.0 - 2.0 * second
    good = distances < _RATIO**2 * others
    good &= scores.argmax(axis=0)[best] == rows
    return a.points[good], b.points[best[good]]


def _fit(a: Features, b: Features, bounds: FitBounds) -> tuple[DoubleMatrix, int] | None:
    import cv2

    here, there = _matches(a, b)
    if len(here) < bounds.least:
        return None
    params = cv2.UsacParams()
    params.score = cv2.SCORE_METHOD_MAGSAC
    params.sampler = cv2.SAMPLING_UNIFORM
    params.threshold = bounds.inlier_px
    params.confidence = 0.999
    params.maxIterations = bounds.iterations
    params.randomGeneratorState = _SEED
    params.isParallel = False
    fitted, mask = cv2.estimateAffine2D(here, there, params)
    if fitted is None or mask is None or not np.isfinite(fitted).all():
        return None
    matrix = np.asarray(fitted, np.float64)
    kept = mask.ravel().astype(bool)
    if kept.sum() < bounds.least or not is_plausible(matrix):
        return None
    return matrix, int(kept.sum())


def is_plausible(matrix: DoubleMatrix) -> bool:
    """Whether an affine map (without mirror) neither folds, flattens nor scales beyond reason."""
    linear = np.asarray(matrix, np.float64)[:, :2]
    greatest, least = np.linalg.svd(linear, compute_uv=False)
    if np.linalg.det(linear) <= 0 or least <= 0:
        return False
    stretch = greatest / least
    return bool(stretch <= _MOST_STRETCH and 1 / _MOST_SCALE <= least <= greatest <= _MOST_SCALE)
