"""What one changed part of two aligned pictures is like, in numbers.

Text, a stamp, a plate or a logo has few colours, sharp edges, an upright box, strokes of one width,
all of it in one of the two pictures. What moved, or came in, has the colours and the texture of
things. No number decides alone: `network.py` weighs them.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pictor.duplicates.comparison.alignment import AlignedPair
from pictor.duplicates.comparison.still import FloatImage
from pictor.duplicates.comparison.window_agreement import Agreement, grey_of
from pictor.library.records import Mask, PixelArray

#: Distance in RGB from a mixture of what was there and the colour laid over it.
_ONE_COLOUR = 22.0
_STEP = 32
_SMALL_PRINT = 0.012
_MOST_TRIES = 5
_SAMPLED = 1000  # pixels; more say the same
_MOST_AROUND = 0.5  # share of the pixels around a part that may have its colour
_WIDEST = 95
_RING_PX = 6
_EDGE_PX = 1.5
_LEAST_LETTER = 3
_BORDER_PX = 3
_BLUR = 0.7


#: Traits of a side that are taken of both pictures.
_OF_BOTH = ("two_colours", "flat", "edge", "texture")


class Traits(NamedTuple):
    """Traits of a part. "Over" is the picture in which it has fewer colours, "under" the other.

    Attributes:
        share, changed: natural logarithms of the part's share of the common area, and of that of
            all changed windows.
        two_colours, two_colours_under: share of the pixels that one of two colours, laid over the
            other picture, makes; colours that are all around the part are none of them.
        two_anywhere: the same, colours from around allowed.
        flat, flat_under: share of the pixels that have the commonest colour.
        around: share of the pixels around the part that have it.
        extreme, vivid: how near that colour is to white or black, and its saturation, 0 to 1.
        thick, depth: half the width of the strokes (95th percentile, and mean), percent of the
            frame's longest side.
        filled: share of the upright box around the part that its hull covers.
        spans, wide, high: share of the picture's width or height (whichever is more), of its
            width, and of its height that the box takes.
        aspect: natural logarithm of the box's width to its height.
        density, solid: share of the box, and of the part without its gaps, that changed.
        edge, edge_under, texture, texture_under: mean steepness along the strokes' edges, and
            within them, in grey levels a pixel.
        letters, uneven: natural logarithm of the number of strokes, and how much their heights
            differ (standard deviation by mean).
        rest, score: agreement of the rest of the picture, and of all of it.
        moved: 1 where something of one picture is elsewhere in the other.
        borders: how many sides of the picture the box touches.
    """

    share: float
    changed: float
    two_colours: float
    two_colours_under: float
    two_anywhere: float
    flat: float
    flat_under: float
    around: float
    extreme: float
    vivid: float
    thick: float
    depth: float
    filled: float
    spans: float
    wide: float
    high: float
    aspect: float
    density: float
    solid: float
    edge: float
    edge_under: float
    texture: float
    texture_under: float
    letters: float
    uneven: float
    rest: float
    score: float
    moved: float
    borders: float


class PartContext(NamedTuple):
    """What the parts of one pair share.

    Attributes:
        pair, agreement: the pair.
        pixels: (h, w) bool, all that changed.
        depth: (h, w) float32, of each changed pixel, as a share of the longest side.
        steep: (h, w) float32 of both pictures, grey levels a pixel.
        moved: something of one picture is elsewhere in the other.
    """

    pair: AlignedPair
    agreement: Agreement
    pixels: Mask
    depth: FloatImage
    steep: tuple[FloatImage, FloatImage]
    moved: bool


class _Side(NamedTuple):
    """What one of the two pictures shows in a part, named as in `Traits`."""

    two_colours: float
    two_anywhere: float
    flat: float
    around: float
    extreme: float
    vivid: float
    edge: float
    texture: float


def traits_of(context: PartContext, whole: Mask, share: float) -> tuple[Traits, bool]:
    """The traits of one part, and whether it lies over picture a rather than b.

    Args:
        context: the pair.
        whole: (h, w) bool, the part with its gaps closed.
        share: of the common area, 0 to 1.
    """
    import cv2

    height, width = whole.shape
    contours, _ = cv2.findContours(whole.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    hull = cv2.convexHull(np.concatenate(contours))
    left, top, wide, high = cv2.boundingRect(hull)
    box = (
        slice(max(0, top - _RING_PX), top + high + _RING_PX),
        slice(max(0, left - _RING_PX), left + wide + _RING_PX),
    )
    mine, depth = (context.pixels & whole)[box], context.depth[box]
    a, b = _sides(context, box, mine, share)
    is_on_a = a.two_colours >= b.two_colours
    over, under = (a, b) if is_on_a else (b, a)
    letters, uneven = _strokes(mine)
    beneath = {f"{name}_under": getattr(under, name) for name in _OF_BOTH}
    traits = Traits(
        **over._asdict(),
        **beneath,
        share=math.log(share),
        changed=math.log(max(1e-4, context.agreement.changed_share)),
        thick=100 * float(np.percentile(depth[mine], _WIDEST)),
        depth=100 * float(depth[mine].mean()),
        # A contour runs through the middles of its pixels.
        filled=float(cv2.contourArea(hull)) / max(1, (wide - 1) * (high - 1)),
        spans=max(wide / width, high / height),
        wide=wide / width,
        high=high / height,
        aspect=math.log(wide / high),
        density=float(mine.sum()) / (wide * high),
        solid=float(mine.sum()) / float(whole.sum()),
        letters=letters,
        uneven=uneven,
        rest=context.agreement.rest_score,
        score=context.agreement.score,
        moved=float(context.moved),
        borders=_borders((left, top, left + wide, top + high), (width, height)),
    )
    return traits, is_on_a


def _borders(box: tuple[int, int, int, int], size: tuple[int, int]) -> float:
    """How many sides of a picture (width, height) a box (left, top, right, bottom) touches."""
    near = (box[0], box[1], size[0] - box[2], size[1] - box[3])
    return float(sum(distance <= _BORDER_PX for distance in near))


def _sides(
    context: PartContext, box: tuple[slice, slice], mine: Mask, share: float
) -> tuple[_Side, _Side]:
    """Both pictures in a part."""
    ring = _ring(mine, context.pixels[box]) & context.pair.inside[box]
    inner = context.depth[box] * max(context.pixels.shape) > _EDGE_PX
    a, b = context.pair.a[box], context.pair.b[box]
    # Small print is judged without: a few letters on a bright sky have it all around them.
    beside = ring & (share >= _SMALL_PRINT)
    first, second = (
        _side(one[mine], other[mine], one[ring], one[beside], steep[box], (mine, inner))
        for one, other, steep in ((a, b, context.steep[0]), (b, a, context.steep[1]))
    )
    return first, second


def _side(
    over: PixelArray,
    under: PixelArray,
    ring: PixelArray,
    beside: PixelArray,
    steep: FloatImage,
    where: tuple[Mask, Mask],
) -> _Side:
    mine, inner = where
    colour = _commonest(over)[1]
    two_colours = _two_colours(over, under, beside)
    return _Side(
        two_colours=two_colours,
        two_anywhere=_two_colours(over, under, over[:0]) if len(beside) else two_colours,
        flat=_has_colour(over, colour),
        around=_has_colour(ring, colour),
        extreme=max(float(colour.min()), 255 - float(colour.max())) / 255,
        vivid=float(colour.max() - colour.min()) / 255,
        edge=_mean(steep[mine & ~inner]),
        texture=_mean(steep[mine & inner]),
    )


def _mean(values: NDArray[np.float32]) -> float:
    return float(values.mean()) if len(values) else 0.0


def _commonest(pixels: PixelArray) -> tuple[Mask, NDArray[np.float32]]:
    """Which of (n, 3) pixels lie in the fullest cell of colours, and their mean (3,)."""
    cells = (pixels // _STEP).astype(np.int64) @ np.array([64, 8, 1])
    mode = cells == np.bincount(cells).argmax()
    return mode, np.asarray(pixels[mode].astype(np.float32).mean(axis=0))


def _has_colour(pixels: PixelArray, colour: NDArray[np.float32]) -> float:
    """Share of (n, 3) pixels that have about one colour; 0 of none."""
    if not len(pixels):
        return 0.0
    return float((np.abs(pixels.astype(np.float32) - colour).max(axis=1) < _ONE_COLOUR).mean())


def _strokes(mine: Mask) -> tuple[float, float]:
    """Logarithm of the number of connected strokes, and the spread of their heights."""
    import cv2

    _, _, stats, _ = cv2.connectedComponentsWithStats(mine.astype(np.uint8))
    large = stats[1:][stats[1:, cv2.CC_STAT_AREA] >= _LEAST_LETTER]
    heights = large[:, cv2.CC_STAT_HEIGHT].astype(np.float64)
    if not len(heights):
        return 0.0, 0.0
    return math.log(len(heights)), float(heights.std() / heights.mean())


def steepness(pixels: PixelArray) -> FloatImage:
    """(h, w) float32 length of the gradient (Sobel) of the slightly blurred grey levels."""
    import cv2

    grey = cv2.GaussianBlur(grey_of(pixels), (0, 0), _BLUR)
    across, down = cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)
    return np.asarray(cv2.magnitude(across, down), np.float32)


def _ring(mine: Mask, pixels: Mask) -> Mask:
    """What lies close around a part and did not change."""
    import cv2

    edge = 2 * _RING_PX + 1
    near = cv2.dilate(mine.astype(np.uint8), np.ones((edge, edge), np.uint8))
    changed = cv2.dilate(pixels.astype(np.uint8), np.ones((3, 3), np.uint8))
    return np.asarray((np.asarray(near) > 0) & (np.asarray(changed) == 0))


def _two_colours(over: PixelArray, under: PixelArray, beside: PixelArray) -> float:
    """Share of pixels that one of two colours, laid over `under` (n, 3), makes to `over` (n, 3).

    Edges of letters and half-clear plates are mixtures: points on the line from what was there to
    the colour. The two are the commonest colour, and the commonest of what that leaves open. A
    colour that is all around is none of them: that is where a thing was, and no longer is.
    """
    step = 1 + len(over) // _SAMPLED
    over, under = over[::step], under[::step]
    top, base = over.astype(np.float32), under.astype(np.float32)
    open_ = np.ones(len(top), bool)
    candidates = open_.copy()
    colours = 0
    for _ in range(_MOST_TRIES):
        if colours == 2 or not candidates.any():
            break
        mode, colour = _commonest(over[candidates])
        if _has_colour(beside, colour) > _MOST_AROUND:
            candidates[np.flatnonzero(candidates)[mode]] = False
            continue
        colours += 1
        way = colour - base
        part = ((top - base) * way).sum(axis=1) / np.maximum((way * way).sum(axis=1), 1.0)
        mixed = base + np.clip(part, 0, 1)[:, None] * way
        open_ &= ((top - mixed) ** 2).sum(axis=1) > _ONE_COLOUR**2
        candidates &= open_
    return 1 - float(open_.mean())
