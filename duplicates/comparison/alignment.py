"""Two pictures laid over each other: whole on whole, or by an affine map."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pictor.duplicates.comparison.still import FloatImage, Still
from pictor.library.orientations import TURNS, Turn
from pictor.library.records import DoubleMatrix, PixelArray

#: Longest side on which pixels are compared. Finer detail is what compression and noise change.
FRAME_EDGE = 224
_LEAST_FRAME_EDGE = 16
_RIM = 0.008  # of the longest side


def _rows(turn: Turn) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """What a turn does to the unit square: x' = m00 x + m01 y + m02, and y' alike."""
    across, down = ((0, 1, 0), (1, 0, 0)) if turn.is_transposed else ((1, 0, 0), (0, 1, 0))
    if turn.is_mirrored_across:
        across = (-across[0], -across[1], 1)
    if turn.is_mirrored_down:
        down = (-down[0], -down[1], 1)
    return across, down


_MAPS = {orientation: _rows(turn) for orientation, turn in TURNS.items()}


class AlignedPair(NamedTuple):
    """The common area of two pictures, in pixels of the one that shows less.

    Attributes:
        a, b: (h, w, 3) uint8 RGB.
        inside: (h, w) bool, where both have pixels, the frame's outermost ones left out.
        is_a_frame: whether the frame is that of picture a.
        covered: share of the frame's picture that the other one shows, 0 to 1.
        covered_other: share of the other picture that lies in the frame, 0 to 1.
        to_other: (2, 3) float64, from pixels of the frame to working pixels of the other picture.
    """

    a: PixelArray
    b: PixelArray
    inside: NDArray[np.bool_]
    is_a_frame: bool
    covered: float
    covered_other: float
    to_other: DoubleMatrix


def turned(thumb: FloatImage, orientation: int) -> FloatImage:
    """A picture turned as an EXIF orientation (1 to 8) says."""
    turn = TURNS[orientation]
    image = thumb.T if turn.is_transposed else thumb
    if turn.is_mirrored_across:
        image = image[:, ::-1]
    if turn.is_mirrored_down:
        image = image[::-1]
    return image


def orientations(a: Still, b: Still) -> list[tuple[float, int]]:
    """(correlation of the squeezed pictures, orientation of a), best first; -1 to 1."""
    return squeezed_orientations(a.thumb, b.thumb)


def squeezed_orientations(a: FloatImage, b: FloatImage) -> list[tuple[float, int]]:
    """`orientations` of two thumbs."""
    here, there = _standard(a), _standard(b)
    every = np.stack([turned(here, orientation).ravel() for orientation in TURNS])
    scores = (every @ there.ravel() / there.size).tolist()
    return sorted(zip(scores, TURNS, strict=True), key=lambda one: (-one[0], one[1]))


def whole(a: Still, b: Still, orientation: int) -> DoubleMatrix:
    """(2, 3) float64: pixels of a to pixels of b where a, turned, covers b exactly."""
    height_a, width_a = a.grey.shape
    height_b, width_b = b.grey.shape
    turn = np.array([*_MAPS[orientation], (0, 0, 1)], np.float64)
    unit = np.array([[1 / width_a, 0, 0.5 / width_a], [0, 1 / height_a, 0.5 / height_a], [0, 0, 1]])
    pixels = np.array([[width_b, 0, -0.5], [0, height_b, -0.5], [0, 0, 1]])
    return np.asarray((pixels @ turn @ unit)[:2])


def farthest(one: DoubleMatrix, other: DoubleMatrix, a: Still) -> float:
    """By how many pixels of the second picture two maps (2, 3) of a differ at most."""
    height, width = a.grey.shape
    corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]], np.float64)
    return float(np.hypot(*(corners @ (one - other).T).T).max())


def turn_of(matrix: DoubleMatrix) -> int:
    """The EXIF orientation (1 to 8) that a map of pixels, (2, 3), is nearest to."""
    linear = matrix[:, :2] / np.linalg.norm(matrix[:, :2])
    fits = {o: float((np.array(_MAPS[o])[:, :2] * linear).sum()) for o in TURNS}
    return max(fits, key=lambda o: fits[o])


def shear(matrix: DoubleMatrix) -> float:
    """Degrees that right angles are off, beyond what turning and stretching along an edge explain.

    Edits turn and stretch. Who takes a step to the side shears: near things shift, far ones do not.
    """
    linear = matrix[:, :2]
    angles = []
    for one in (linear, linear.T):
        x, y = one[:, 0], one[:, 1]
        cosine = float(x @ y) / max(1e-12, float(np.hypot(*x) * np.hypot(*y)))
        angles.append(math.degrees(math.asin(min(1.0, abs(cosine)))))
    return min(angles)


def turn_scale_stretch(matrix: DoubleMatrix) -> tuple[float, float, float]:
    """Turn (degrees, -180 to 180; of a mirrored map after the mirror), scale and stretch."""
    linear = matrix[:, :2].copy()
    if np.linalg.det(linear) < 0:
        linear[:, 0] *= -1
    turn = math.degrees(math.atan2(linear[1, 0] - linear[0, 1], linear[0, 0] + linear[1, 1]))
    greatest, least = np.linalg.svd(linear, compute_uv=False)
    return turn, float(math.sqrt(greatest * least)), float(greatest / max(least, 1e-9))


def align(a: Still, b: Still, matrix: DoubleMatrix) -> AlignedPair | None:
    """Both pictures in one frame, or None where they have too little in common.

    The frame is that of the picture that covers less of the scene, at the coarser of the two
    resolutions, so that neither is enlarged.

    Args:
        matrix: (2, 3), pixels of a to pixels of b.
    """
    area = abs(float(np.linalg.det(matrix[:, :2])))
    size_a, size_b = a.grey.size, b.grey.size
    is_a_frame = area * size_a <= size_b
    frame, other = (a, b) if is_a_frame else (b, a)
    forward = matrix if is_a_frame else inverted(matrix)
    scale = float(np.sqrt(area if is_a_frame else 1 / area))  # pixels of other per pixel of frame
    height, width = frame.grey.shape
    shrink = min(1.0, FRAME_EDGE / max(height, width), scale)
    size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    if max(size) < _LEAST_FRAME_EDGE or min(size) < 4:
        return None
    to_other = np.asarray(forward @ scaling(width / size[0], height / size[1]))
    here = resized(frame.pixels, size)
    there, inside = warped(other.pixels, to_other, size)
    covered = float(inside.mean())
    inside = _without_rim(inside)
    ratio = (size_a if is_a_frame else size_b) * scale**2 / (size_b if is_a_frame else size_a)
    pair = (here, there) if is_a_frame else (there, here)
    shown = min(1.0, covered * ratio)
    return AlignedPair(*pair, inside, is_a_frame, covered, shown, to_other)


def _without_rim(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Not the outermost pixels: maps are off by half a pixel, and what borders on them shows."""
    height, width = inside.shape
    rim = round(_RIM * max(inside.shape))
    middle = np.zeros_like(inside)
    middle[rim : height - rim, rim : width - rim] = True
    return inside & middle


def scaling(x: float, y: float) -> DoubleMatrix:
    """(3, 3): pixels of a picture to those of one so many times as wide and as high."""
    return np.array([[x, 0, x / 2 - 0.5], [0, y, y / 2 - 0.5], [0, 0, 1]])


def between_sizes(one: PixelArray, other: PixelArray) -> DoubleMatrix:
    """(3, 3): pixels of a picture to those of the same one in another size."""
    return scaling(other.shape[1] / one.shape[1], other.shape[0] / one.shape[0])


def full(matrix: DoubleMatrix) -> DoubleMatrix:
    """(3, 3) of a (2, 3) map."""
    return np.vstack([matrix, (0, 0, 1)])


def inverted(matrix: DoubleMatrix) -> DoubleMatrix:
    """The (2, 3) map the other way."""
    return np.asarray(np.linalg.inv(full(matrix))[:2])


def refined(pair: AlignedPair, a: Still, b: Still) -> DoubleMatrix | None:
    """The map bettered by the pixels themselves (ECC, Evangelidis and Psarakis 2008), or None."""
    import cv2

    grey_a, grey_b = (cv2.cvtColor(one, cv2.COLOR_RGB2GRAY) for one in (pair.a, pair.b))
    here, there = (grey_a, grey_b) if pair.is_a_frame else (grey_b, grey_a)
    start = np.eye(2, 3, dtype=np.float32)
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 1e-4)
    mask = pair.inside.astype(np.uint8)
    try:
        _, warp = cv2.findTransformECC(here, there, start, cv2.MOTION_AFFINE, criteria, mask, 5)
    except cv2.error:  # it does not converge where there is nothing to hold on to
        return None
    if not np.isfinite(warp).all():
        return None
    frame = (a if pair.is_a_frame else b).grey.shape
    height, width = pair.inside.shape
    shrink = scaling(1 / (frame[1] / width), 1 / (frame[0] / height))
    whole_map = full(pair.to_other) @ full(np.asarray(warp, np.float64)) @ shrink
    forward = np.asarray(whole_map[:2], np.float64)
    if abs(np.linalg.det(forward[:, :2])) < 1e-6:
        return None
    return forward if pair.is_a_frame else inverted(forward)


def resized(pixels: PixelArray, size: tuple[int, int]) -> PixelArray:
    """Averaged to (width, height), which is no larger."""
    import cv2

    if (pixels.shape[1], pixels.shape[0]) == size:
        return pixels
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def warped(
    pixels: PixelArray, matrix: DoubleMatrix, size: tuple[int, int], margin: float = 0.5
) -> tuple[PixelArray, NDArray[np.bool_]]:
    """The pixels in a frame, and which of the frame's pixels are inside the picture.

    Args:
        matrix: (2, 3), pixels of the frame to pixels of the picture.
        size: (width, height) of the frame.
        margin: pixels beyond the centre of an outermost one that still count as inside.
    """
    import cv2

    greatest, least = np.linalg.svd(matrix[:, :2], compute_uv=False)
    scales = (float(greatest), float(least))
    height, width = pixels.shape[:2]
    # Shrunk by averaging first: a warp that skips pixels would give moiré.
    factor = min(1.0, 1 / max(1e-6, min(scales)))
    small = (max(1, round(width * factor)), max(1, round(height * factor)))
    inner = np.asarray(scaling(small[0] / width, small[1] / height) @ full(matrix))[:2]
    source = resized(pixels, small)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    made = cv2.warpAffine(source, inner, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    columns, rows = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    at_x = inner[0, 0] * columns + inner[0, 1] * rows + inner[0, 2]
    at_y = inner[1, 0] * columns + inner[1, 1] * rows + inner[1, 2]
    inside = (at_x >= -margin) & (at_x <= small[0] - 1 + margin)
    inside &= (at_y >= -margin) & (at_y <= small[1] - 1 + margin)
    return np.asarray(made, np.uint8), inside


def _standard(image: FloatImage) -> FloatImage:
    centred = image - image.mean()
    return np.asarray(centred / max(float(centred.std()), 1.0), np.float32)
