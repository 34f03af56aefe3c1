"""What differs where two aligned pictures differ: something laid over, or another scene.

The changed pixels fall into parts: a line of text is one, a plate, a stamp, a person who came in.
`traits.py` measures each, `network.py` says how surely it was laid over the picture afterwards.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pictor.duplicates.comparison.alignment import AlignedPair
from pictor.duplicates.comparison.overlay_detector.network import laid_over
from pictor.duplicates.comparison.overlay_detector.traits import (
    PartContext,
    Traits,
    steepness,
    traits_of,
)
from pictor.duplicates.comparison.still import FloatImage
from pictor.duplicates.comparison.window_agreement import Agreement, grey_of
from pictor.library.records import Mask

#: Difference of grey levels, after tones were matched, that counts as another pixel.
_DIFFERS = 26.0
_BY_COLOUR = 1.5  # times as many pixels with the colours as by their grey
_USUAL = 90  # percentile of the colour differences where nothing changed
_MOVED_SCORE = 0.85  # correlation of a patch with where it went
_MOVED_PX = 4
_SEARCH_SHARE = 0.3  # of the frame's longest side
_MOST_PATCHES = 4
_MOST_PARTS = 16
_LEAST_PART = 0.001
# Fitted as those of `pixel_verdict.py`.
#: A part of this share of the picture that is rather no overlay is a thing.
_THING, _IS_THING = 0.002, 0.5
#: What is so surely laid over is; what else differs beside it must be next to nothing.
_LAID_OVER = 0.85
_MOST_OTHER = 0.003
_OTHER_SHARE = 0.2
_JOIN_PX = 7  # what lies nearer is one part, as the letters of a line are


class ChangedPart(NamedTuple):
    """One connected part of the changed pixels.

    Attributes:
        share: of the common area, 0 to 1.
        is_on_a: it lies on picture a rather than on b.
        laid_over: how surely it lies over the picture as text, a plate or a logo does, 0 to 1.
    """

    share: float
    is_on_a: bool
    laid_over: float


class Changes(NamedTuple):
    """What the changed pixels look like.

    Attributes:
        share: changed pixels of the common area, 0 to 1.
        parts: the larger ones, the largest first.
    """

    share: float
    parts: tuple[ChangedPart, ...]

    @property
    def sides(self) -> set[str]:
        """On which of the pictures, "a" or "b", parts that show lie."""
        return {"a" if one.is_on_a else "b" for one in self.parts if one.share > _THING}

    @property
    def has_thing(self) -> bool:
        """Whether a part that shows is no overlay."""
        return any(one.share > _THING and one.laid_over < _IS_THING for one in self.parts)

    @property
    def is_overlay(self) -> bool:
        """Whether what differs was laid over, but for next to nothing."""
        other = self.share - sum(p.share for p in self.parts if p.laid_over >= _LAID_OVER)
        return other <= min(_MOST_OTHER, _OTHER_SHARE * self.share)


class MeasuredPart(NamedTuple):
    """A connected part of the changed pixels: (h, w) bool; the rest is as of `ChangedPart`."""

    mask: Mask
    share: float
    is_on_a: bool
    traits: Traits


def find_changes(pair: AlignedPair, agreement: Agreement) -> Changes:
    """Look at the pixels in the changed windows."""
    if not agreement.changed_share:
        return Changes(0.0, ())
    pixels = changed_pixels(pair, agreement)
    if not pixels.any():
        return Changes(0.0, ())
    parts = parts_of(pair, agreement, pixels)
    sure = laid_over([part.traits for part in parts]).tolist()
    return Changes(
        share=float(pixels.sum()) / int(pair.inside.sum()),
        parts=tuple(ChangedPart(p.share, p.is_on_a, s) for p, s in zip(parts, sure, strict=True)),
    )


def changed_pixels(pair: AlignedPair, agreement: Agreement) -> Mask:
    """(h, w) True where the pictures differ, in and around the changed windows."""
    import cv2

    window = max(3, max(agreement.changed_mask.shape) // 20) | 1
    kernel = np.ones((window, window), np.uint8)
    near = np.asarray(cv2.dilate(agreement.changed_mask.astype(np.uint8), kernel)) > 0
    pixels = near & pair.inside & (agreement.difference > _DIFFERS)
    coloured = near & pair.inside & (_colour_off(pair, pair.inside & ~near) > _DIFFERS)
    if (pixels | coloured).sum() > _BY_COLOUR * pixels.sum():
        # A red plate on a grey wall. Else grey alone: compressed colours bleed over edges.
        pixels |= coloured
    return np.asarray(pixels)


def parts_of(pair: AlignedPair, agreement: Agreement, pixels: Mask) -> list[MeasuredPart]:
    """The larger parts of some changed pixels, the largest first, and what each is like."""
    import cv2

    kernel = np.ones((_JOIN_PX, _JOIN_PX), np.uint8)
    closed = cv2.morphologyEx(pixels.astype(np.uint8), cv2.MORPH_CLOSE, kernel)
    count, labels = cv2.connectedComponents(closed)
    sizes = np.bincount(labels[pixels], minlength=count) / int(pair.inside.sum())
    moved = _moved(grey_of(pair.a), grey_of(pair.b), agreement.changed_mask & pair.inside)
    steep = (steepness(pair.a), steepness(pair.b))
    context = PartContext(pair, agreement, pixels, _depth(pixels), steep, moved)
    parts = []
    for label in np.argsort(-sizes, kind="stable")[:_MOST_PARTS]:
        share = float(sizes[label])
        if share < _LEAST_PART:
            break
        whole = labels == label
        traits, is_on_a = traits_of(context, whole, share)
        parts.append(MeasuredPart(pixels & whole, share, is_on_a, traits))
    return parts


def _depth(pixels: Mask) -> FloatImage:
    """(h, w) float32 distance to what did not change, as a share of the longest side."""
    import cv2

    depth = np.asarray(cv2.distanceTransform(pixels.astype(np.uint8), cv2.DIST_L2, 3), np.float32)
    return depth / np.float32(max(pixels.shape))


def _colour_off(pair: AlignedPair, clean: Mask) -> FloatImage:
    """(h, w) difference of the colours beside their grey; 0 where whole pictures differ in it."""
    import cv2

    off = cv2.GaussianBlur(pair.a.astype(np.float32) - pair.b.astype(np.float32), (0, 0), 0.7)
    off = np.abs(off - off.mean(axis=2, keepdims=True)).max(axis=2)
    usual = float(np.percentile(off[clean], _USUAL)) if clean.any() else np.inf
    return np.asarray(off if usual < _DIFFERS / 2 else np.zeros_like(off), np.float32)


def _moved(a: FloatImage, b: FloatImage, where: Mask) -> bool:
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
