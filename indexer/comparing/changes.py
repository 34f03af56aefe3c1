"""What differs where two aligned pictures differ: something laid over, or another scene.

Text, a stamp, a logo's plate or the corners of a turned canvas have few colours, all in one of the
two pictures. What moved, or was never the same, has the colours of things on both sides.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from indexer.comparing.agreeing import Agreement, grey_of
from indexer.comparing.aligning import Overlay
from indexer.comparing.pictures import FloatImage
from library.records import PixelArray

#: Difference of grey levels, after tones were matched, that counts as another pixel.
_DIFFERS = 26.0
#: Distance in RGB from a mixture of what was there and the colour laid over it.
_ONE_COLOUR = 22.0
_STEP = 32
_SMALL_PRINT = 0.012
_BY_COLOUR = 1.5  # times as many pixels with the colours as by their grey
_MOST_TRIES = 5
_USUAL = 90  # percentile of the colour differences where nothing changed
_MOST_AROUND = 0.5  # share of the pixels around a part that may have its colour
_MOVED_SCORE = 0.85  # correlation of a patch with where it went
_MOVED_PX = 4
_SEARCH_SHARE = 0.3  # of the frame's longest side
_MOST_PATCHES = 4
_WIDEST = 95  # percentile of the depth of changed pixels
_MOST_PARTS = 16
_LEAST_PART = 0.001
_JOIN_PX = 7  # what lies nearer is one part, as the letters of a line are


class Part(NamedTuple):
    """One connected part of the changed pixels; a line of text is one.

    Attributes:
        share: of the common area, 0 to 1.
        colours: share of its pixels of one of two colours, in the picture where that is more.
        thick: half the width of its strokes, as a share of the frame's longest side: text is thin,
            things are not.
        filled: share of the upright box around it that its hull covers: a plate fills its box.
        spans: share of the picture's width or height that this box takes, whichever is more.
    """

    share: float
    colours: float
    thick: float
    filled: float
    spans: float


class Change(NamedTuple):
    """What the changed pixels look like.

    Attributes:
        share: changed pixels of the common area, 0 to 1.
        thick: as of a part, of all of them.
        parts: the larger ones, the largest first.
        moved: a changed part of one picture is found elsewhere in the other.
    """

    share: float
    thick: float
    parts: tuple[Part, ...]
    moved: bool


def change(laid: Overlay, found: Agreement) -> Change:
    """Look at the pixels in the changed windows."""
    import cv2

    window = max(3, max(found.where.shape) // 20) | 1
    kernel = np.ones((window, window), np.uint8)
    near = np.asarray(cv2.dilate(found.where.astype(np.uint8), kernel)) > 0
    pixels = near & laid.inside & (found.off > _DIFFERS)
    coloured = near & laid.inside & (_colour_off(laid, laid.inside & ~near) > _DIFFERS)
    if (pixels | coloured).sum() > _BY_COLOUR * pixels.sum():
        # A red plate on a grey wall. Else grey alone: compressed colours bleed over edges.
        pixels |= coloured
    if not pixels.any():
        return Change(0.0, 0.0, (), moved=False)
    area = int(laid.inside.sum())
    depth = np.asarray(cv2.distanceTransform(pixels.astype(np.uint8), cv2.DIST_L2, 3))
    depth = depth / max(pixels.shape)
    return Change(
        share=float(pixels.sum()) / area,
        thick=float(np.percentile(depth[pixels], _WIDEST)),
        parts=tuple(_parts(laid, pixels, np.asarray(depth, np.float32), area)),
        moved=_moved(grey_of(laid.a), grey_of(laid.b), found.where & laid.inside),
    )


def _parts(
    laid: Overlay, pixels: NDArray[np.bool_], depth: FloatImage, area: int
) -> Iterator[Part]:
    import cv2

    kernel = np.ones((_JOIN_PX, _JOIN_PX), np.uint8)
    closed = cv2.morphologyEx(pixels.astype(np.uint8), cv2.MORPH_CLOSE, kernel)
    count, labels = cv2.connectedComponents(closed)
    sizes = np.bincount(labels[pixels], minlength=count)
    for label in np.argsort(-sizes, kind="stable")[:_MOST_PARTS]:
        share = float(sizes[label]) / area
        if share < _LEAST_PART:
            return
        mine = pixels & (labels == label)
        contours, _ = cv2.findContours(
            (labels == label).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
        )
        hull = cv2.convexHull(np.concatenate(contours))
        _, _, width, height = cv2.boundingRect(hull)
        # A contour runs through the middles of its pixels.
        filled = float(cv2.contourArea(hull)) / max(1, (width - 1) * (height - 1))
        # Small print is judged without: a few letters on a bright sky have it all around them.
        beside = _ring(mine, pixels) & laid.inside & (share >= _SMALL_PRINT)
        colours = max(
            _two_colours(over[mine], under[mine], over[beside])
            for over, under in ((laid.a, laid.b), (laid.b, laid.a))
        )
        spans = max(width / pixels.shape[1], height / pixels.shape[0])
        thick = float(np.percentile(depth[mine], _WIDEST))
        yield Part(share, colours, thick, filled, spans)


def _ring(mine: NDArray[np.bool_], pixels: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What lies close around a part and did not change."""
    import cv2

    near = cv2.dilate(mine.astype(np.uint8), np.ones((13, 13), np.uint8))
    changed = cv2.dilate(pixels.astype(np.uint8), np.ones((3, 3), np.uint8))
    return np.asarray((np.asarray(near) > 0) & (np.asarray(changed) == 0))


def _two_colours(over: PixelArray, under: PixelArray, beside: PixelArray) -> float:
    """Share of pixels that one of two colours, laid over `under` (n, 3), makes to `over` (n, 3).

    Edges of letters and half-clear plates are mixtures: points on the line from what was there to
    the colour. The two are the commonest colour, and the commonest of what that leaves open. A
    colour that is all around is none of them: that is where a thing was, and no longer is.
    """
    top, base = over.astype(np.float32), under.astype(np.float32)
    open_ = np.ones(len(top), bool)
    candidates = open_.copy()
    colours = 0
    for _ in range(_MOST_TRIES):
        if colours == 2 or not candidates.any():
            break
        cells = (over[candidates] // _STEP).astype(np.int64) @ np.array([64, 8, 1])
        mode = cells == np.bincount(cells).argmax()
        colour = top[candidates][mode].mean(axis=0)
        around = np.abs(beside.astype(np.float32) - colour).max(axis=1) < _ONE_COLOUR
        if len(around) and around.mean() > _MOST_AROUND:
            candidates[np.flatnonzero(candidates)[mode]] = False
            continue
        colours += 1
        way = colour - base
        part = ((top - base) * way).sum(axis=1) / np.maximum((way * way).sum(axis=1), 1.0)
        mixed = base + np.clip(part, 0, 1)[:, None] * way
        open_ &= ((top - mixed) ** 2).sum(axis=1) > _ONE_COLOUR**2
        candidates &= open_
    return 1 - float(open_.mean())


def _colour_off(laid: Overlay, clean: NDArray[np.bool_]) -> FloatImage:
    """(h, w) difference of the colours beside their grey; 0 where whole pictures differ in it."""
    import cv2

    off = cv2.GaussianBlur(laid.a.astype(np.float32) - laid.b.astype(np.float32), (0, 0), 0.7)
    off = np.abs(off - off.mean(axis=2, keepdims=True)).max(axis=2)
    usual = float(np.percentile(off[clean], _USUAL)) if clean.any() else np.inf
    return np.asarray(off if usual < _DIFFERS / 2 else np.zeros_like(off), np.float32)


def _moved(a: FloatImage, b: FloatImage, where: NDArray[np.bool_]) -> bool:
    """Whether a changed part of one picture is elsewhere, near by, in the other."""
    import cv2

    count, _, stats, _ = cv2.connectedComponentsWithStats(where.astype(np.uint8))
    parts = sorted(range(1, count), key=lambda i: -int(stats[i, cv2.CC_STAT_AREA]))
    reach = int(max(where.shape) * _SEARCH_SHARE)
    for part in parts[:_MOST_PATCHES]:
        x, y, width, height = (int(value) for value in stats[part, :4])
        if min(width, height) < 8:
            continue
        box = (x, y, width, height)
        if _found_elsewhere(a, b, box, reach) or _found_elsewhere(b, a, box, reach):
            return True
    return False


def _found_elsewhere(
    a: FloatImage, b: FloatImage, box: tuple[int, int, int, int], reach: int
) -> bool:
    import cv2

    x, y, width, height = box
    patch = a[y : y + height, x : x + width]
    if float(patch.std()) < 12:
        return False
    left, top = max(0, x - reach), max(0, y - reach)
    region = b[top : y + height + reach, left : x + width + reach]
    scores = cv2.matchTemplate(region, patch, cv2.TM_CCOEFF_NORMED)
    _, best, _, (at_x, at_y) = cv2.minMaxLoc(scores)
    distance = max(abs(at_x + left - x), abs(at_y + top - y))
    here = float(scores[y - top, x - left])
    return bool(best > _MOVED_SCORE and distance >= _MOVED_PX and here < best - 0.3)
