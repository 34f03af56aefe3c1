"""One picture laid over another, and what differs then. All arrays are (h, w, 3) uint8 RGB."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pictor.duplicates.comparison.alignment import (
    full,
    inverted,
    orientations,
    resized,
    scaling,
    warped,
    whole,
)
from pictor.duplicates.comparison.feature_fits import fits
from pictor.duplicates.comparison.still import WORK_EDGE, Still
from pictor.library.records import DoubleMatrix, Mask, PixelArray

#: How much stronger than they are differences are shown.
GAIN = 4
#: Levels (of 255) from which people see that a pixel differs, side by side.
VISIBLE = 12
_CHOOSING_EDGE = 160  # longest side on which ways of laying over are weighed
_LEAST_INLIERS = 10
_LEAST_COVERED = 0.08
_GOOD = 0.1  # a misfit below which no better map is looked for: features take 0.1 s
_FIT_GAIN = 0.85  # a map by features must differ so much less than the whole on the whole
_OUTSIDE = (np.array([70, 70, 78], np.uint8), np.array([92, 92, 100], np.uint8))  # stripes


class Difference(NamedTuple):
    """What differs between a keeper and another picture laid over it.

    Attributes:
        aligned: the other picture in the keeper's frame; striped where it has nothing.
        amplified: absolute differences times GAIN, on black; striped likewise.
        is_plain: the other picture covers the keeper's frame as it is, neither cut nor turned.
        covered: share of the keeper's frame that the other one shows, 0 to 1.
        visible: share of those pixels that differ by VISIBLE or more, 0 to 1.
        largest: the largest difference of a channel, 0 to 255.
    """

    aligned: PixelArray
    amplified: PixelArray
    is_plain: bool
    covered: float
    visible: float
    largest: int


def difference(keeper: PixelArray, other: PixelArray) -> Difference:
    """Lay a picture over a keeper, as a whole, turned or mirrored, or as the part that it shows."""
    a, b = _picture(other), _picture(keeper)
    matrix, is_plain = _best(a, b)
    laid, inside = _laid(other, _at_size(matrix, (a, other), (b, keeper)), keeper.shape[:2])
    deltas = np.abs(keeper.astype(np.int16) - laid.astype(np.int16))
    deltas[~inside] = 0
    stripes = _stripes(keeper.shape[:2])
    amplified = np.minimum(deltas * GAIN, 255).astype(np.uint8)
    amplified[~inside] = stripes[~inside]
    laid[~inside] = stripes[~inside]
    common = max(1, int(inside.sum()))
    visible = int((deltas.max(axis=2) >= VISIBLE).sum()) / common
    covered = float(inside.mean())
    largest = int(deltas.max(initial=0))
    return Difference(laid, amplified, is_plain, covered, visible, largest)


def _picture(pixels: PixelArray) -> Still:
    """A picture for comparing; it is known by nothing but its pixels."""
    height, width = pixels.shape[:2]
    shrink = min(1.0, WORK_EDGE / max(height, width))
    size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    return Still(b"", width, height, resized(pixels, size))


def _best(a: Still, b: Still) -> tuple[DoubleMatrix, bool]:
    """The map of a's working pixels to b's that leaves least difference; whether it is plain."""
    turns = list(dict.fromkeys((1, *(turn for _, turn in orientations(a, b)[:2]))))
    found = [(_misfit(a, b, whole(a, b, turn)), turn) for turn in turns]
    # As it is, unless a turn is clearly better: a flat picture is like itself in every turn.
    as_is = found[0][0]
    best, turn = min(found)
    if best > as_is * _FIT_GAIN:
        best, turn = as_is, 1
    chosen = whole(a, b, turn)
    is_plain = turn == 1 and abs(np.log(_aspect(a) / _aspect(b))) < 0.02
    if best < _GOOD:
        return chosen, is_plain
    for fit in fits(a.features, a.grey.shape[1], b.features):
        if fit.inliers < _LEAST_INLIERS:
            continue
        misfit = _misfit(a, b, fit.matrix)
        if misfit < best * _FIT_GAIN:
            best, chosen, is_plain = misfit, fit.matrix, False
    return chosen, is_plain


def _aspect(picture: Still) -> float:
    return picture.width / picture.height


def _misfit(a: Still, b: Still, matrix: DoubleMatrix) -> float:
    """Mean difference of grey levels where both are, without what light and contrast make."""
    if abs(float(np.linalg.det(matrix[:, :2]))) < 1e-6:
        return float("inf")
    height, width = b.grey.shape
    shrink = min(1.0, _CHOOSING_EDGE / max(height, width))
    size = (max(1, round(height * shrink)), max(1, round(width * shrink)))
    there = resized(b.pixels, (size[1], size[0]))
    laid, inside = _laid(a.pixels, _scale(size, (height, width)) @ full(matrix), size)
    if inside.mean() < _LEAST_COVERED:
        return float("inf")
    x = laid.mean(axis=2)[inside]
    y = there.mean(axis=2)[inside]
    x = (x - x.mean()) / max(float(x.std()), 4.0)
    y = (y - y.mean()) / max(float(y.std()), 4.0)
    return float(np.abs(x - y).mean()) + 1e-6


def _at_size(
    matrix: DoubleMatrix, a: tuple[Still, PixelArray], b: tuple[Still, PixelArray]
) -> DoubleMatrix:
    """A map between working pixels as one between the pixels of the shown pictures, (3, 3)."""
    down = _scale(a[0].pixels.shape[:2], a[1].shape[:2])
    up = _scale(b[1].shape[:2], b[0].pixels.shape[:2])
    return np.asarray(up @ full(matrix) @ down)


def _scale(to: tuple[int, ...], size: tuple[int, ...]) -> DoubleMatrix:
    """(3, 3): pixels of a picture of one (height, width) to those of another."""
    return scaling(to[1] / size[1], to[0] / size[0])


def _laid(
    pixels: PixelArray, matrix: DoubleMatrix, size: tuple[int, ...]
) -> tuple[PixelArray, Mask]:
    """A picture in another's frame, and where it is; `matrix` (3, 3): its pixels to the frame's."""
    frame = (size[1], size[0])
    # Half a pixel and what rounding the shrunk size moves.
    return warped(pixels, inverted(matrix[:2]), frame, margin=1)


def _stripes(size: tuple[int, ...]) -> PixelArray:
    rows, columns = np.indices(size[:2])
    return np.where((((rows + columns) // 8) % 2 == 0)[..., None], *_OUTSIDE).astype(np.uint8)
