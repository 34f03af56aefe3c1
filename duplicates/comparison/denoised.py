"""Pictures under heavy noise: how much there is, the picture without it, and the ground it lies on.

A picture that was turned lies on a ground of one colour, which is no part of it. Under noise the
ground looks like any other part, so it is looked for in the denoised copy.
"""

from __future__ import annotations

import numpy as np

from pictor.duplicates.comparison.alignment import AlignedPair, align
from pictor.duplicates.comparison.still import SMALL_EDGE, Still
from pictor.library.records import DoubleMatrix, Mask

_LAPLACIAN = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
_MEDIAN_PX = 5
_CORNER_PX = 6
#: Grey levels by which the ground may differ from its colour.
_GROUND_LEVELS = 28
#: Share of its convex hull that what lies on the ground fills; a turned rectangle fills all.
_SOLID = 0.93
_LEAST_SHARE = 0.3


def noise_of(still: Still) -> float:
    """Standard deviation of the noise, grey levels (Immerkær 1996, by the median).

    Edges count little, fine texture does: a lawn may have 8.
    """
    import cv2

    if min(still.grey.shape) < 3:
        return 0.0
    curved = cv2.filter2D(still.grey.astype(np.float32), cv2.CV_32F, _LAPLACIAN)
    return float(np.median(np.abs(curved[1:-1, 1:-1]))) / (0.6745 * 6)


def denoised(still: Still) -> Still:
    """A copy of the size of `Still.small` with little noise."""
    import cv2

    height, width = still.small.pixels.shape[:2]
    calm = (
        cv2.medianBlur(still.pixels, _MEDIAN_PX)
        if max(still.grey.shape) > SMALL_EDGE
        else still.pixels
    )
    pixels = cv2.resize(calm, (width, height), interpolation=cv2.INTER_AREA)
    return Still(still.pixel_hash, still.width, still.height, np.asarray(pixels, np.uint8))


def off_ground(still: Still) -> Mask:
    """(h, w) whether a pixel belongs to the picture and not to a plain ground it was turned on."""
    import cv2

    pixels = still.pixels
    everything = np.ones(pixels.shape[:2], np.bool_)
    if min(pixels.shape[:2]) < 4 * _CORNER_PX:
        return everything
    ends = (slice(0, _CORNER_PX), slice(-_CORNER_PX, None))
    corners = np.array([np.median(pixels[y, x], axis=(0, 1)) for y in ends for x in ends])
    ground = np.median(corners, axis=0)
    if np.abs(corners - ground).max() > _GROUND_LEVELS:
        return everything
    apart = np.abs(pixels.astype(np.float32) - ground).max(axis=2) > _GROUND_LEVELS
    opened = cv2.morphologyEx(apart.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    if not opened.any():
        return everything
    shape = np.zeros(pixels.shape[:2], np.uint8)
    cv2.fillConvexPoly(shape, cv2.convexHull(cv2.findNonZero(opened)), 1)
    closed = cv2.morphologyEx(opened, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    inside = shape > 0
    if inside.mean() < _LEAST_SHARE or closed[inside].mean() < _SOLID:
        return everything
    return inside


def align_off_ground(a: Still, b: Still, matrix: DoubleMatrix) -> AlignedPair | None:
    """As `align`, with the ground of either picture left out of the common area."""
    import cv2

    pair = align(a, b, matrix)
    if pair is None:
        return None
    height, width = pair.inside.shape
    frame, other = (off_ground(one) for one in ((a, b) if pair.is_a_frame else (b, a)))
    here = cv2.resize(frame.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    there = cv2.warpAffine(other.astype(np.uint8), pair.to_other, (width, height), flags=flags)
    return pair._replace(
        inside=pair.inside & (here > 0) & (there > 0),
        covered=min(1.0, pair.covered / float(frame.mean())),
        covered_other=min(1.0, pair.covered_other / float(other.mean())),
    )
