"""Local features of a picture, and the affine map that most of them agree on.

SIFT (Lowe 2004) by OpenCV, as square roots of L1-normalised histograms (Arandjelovic and Zisserman
2012, "RootSIFT"). What a mirror does to a descriptor is a fixed exchange of its bins, so a mirrored
picture needs no second look.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pictor.library.records import DoubleMatrix, FloatMatrix, PixelArray

#: Features kept of a picture, the strongest. 500 cost 3 ms to match and suffice for a 40 % crop.
MOST_FEATURES = 500
#: Ratio of the distances to the nearest and the second nearest feature (Lowe 2004, section 7.1).
_RATIO = 0.8
#: Contrast thresholds, the second for pictures that are too soft or dark for the first.
_CONTRASTS = (0.02, 0.003)
_FEW = 60
_LEAST_MATCHES = 6
_LEAST_INLIERS = 6
#: Greatest stretch of one axis against the other: 16:9 squeezed into a square is 1.8.
_MOST_STRETCH = 2.2
_MOST_SCALE = 10.0
_INLIER_PX = 2.5  # on a picture of 448 px; lens and rounding, not parallax
_SEED = 20_040_111

Points = NDArray[np.float32]  # (n, 2): x, y in pixels


class Features(NamedTuple):
    """Local features of one picture.

    Attributes:
        points: (n, 2) float32, x and y.
        descriptors: (n, 128) float32, unit rows.
    """

    points: Points
    descriptors: FloatMatrix


class Fit(NamedTuple):
    """An affine map that features agree on.

    Attributes:
        matrix: (2, 3) float64, from pixels of a to pixels of b, the mirror included.
        inliers: how many features agree.
    """

    matrix: DoubleMatrix
    inliers: int
    mirrored: bool


def find_features(grey: PixelArray) -> Features:
    """The strongest features of a grey picture (h, w) uint8; none for a very small one."""
    import cv2

    none = Features(np.zeros((0, 2), np.float32), np.zeros((0, 128), np.float32))
    if min(grey.shape) < 8:
        return none
    for contrast in _CONTRASTS:
        sift = cv2.SIFT.create(nfeatures=MOST_FEATURES, contrastThreshold=contrast)
        keypoints, descriptors = sift.detectAndCompute(grey, None)
        if len(keypoints) >= _FEW:
            break
    if not keypoints:
        return none
    points = np.array([one.pt for one in keypoints], np.float32)
    rows = np.asarray(descriptors, np.float32)
    rows = np.sqrt(rows / np.maximum(rows.sum(axis=1, keepdims=True), 1e-6))
    return Features(points, rows)


def mirrored(features: Features, width: int) -> Features:
    """The features of the same picture, `width` pixels wide, flipped left to right."""
    points = features.points.copy()
    points[:, 0] = (width - 1) - points[:, 0]
    # 4 x 4 cells of 8 directions in the feature's own frame: a mirror turns the rows around and
    # changes the sign of each direction.
    cells = features.descriptors.reshape(-1, 4, 4, 8)[:, ::-1, :, -np.arange(8) % 8]
    return Features(points, np.ascontiguousarray(cells.reshape(-1, 128)))


def fits(a: Features, width: int, b: Features) -> list[Fit]:
    """Plausible maps of a onto b, plain and mirrored, that with most inliers first.

    Args:
        width: of picture a, pixels.
    """
    found = []
    for is_mirrored in (False, True):
        features = mirrored(a, width) if is_mirrored else a
        fit = _fit(features, b)
        if fit is None:
            continue
        matrix, inliers = fit
        if is_mirrored:
            flip = np.array([[-1.0, 0, width - 1], [0, 1, 0], [0, 0, 1]])
            matrix = matrix @ flip
        found.append(Fit(matrix, inliers, is_mirrored))
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


def _fit(a: Features, b: Features) -> tuple[DoubleMatrix, int] | None:
    import cv2

    here, there = _matches(a, b)
    if len(here) < _LEAST_MATCHES:
        return None
    params = cv2.UsacParams()
    params.score = cv2.SCORE_METHOD_MAGSAC
    params.sampler = cv2.SAMPLING_UNIFORM
    params.threshold = _INLIER_PX
    params.confidence = 0.999
    params.maxIterations = 2000
    params.randomGeneratorState = _SEED
    params.isParallel = False
    fitted, mask = cv2.estimateAffine2D(here, there, params)
    if fitted is None or mask is None or not np.isfinite(fitted).all():
        return None
    matrix = np.asarray(fitted, np.float64)
    kept = mask.ravel().astype(bool)
    if kept.sum() < _LEAST_INLIERS or not is_plausible(matrix):
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
