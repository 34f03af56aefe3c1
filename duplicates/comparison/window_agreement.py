"""How far two aligned pictures agree, window by window, and what differs.

What whole files go through (compression, brightness, contrast, a colour cast, blur, noise) is taken
out first: grey levels of one are mapped to those of the other, and the sharper one is blurred. What
is left is local: an overlay, something that moved, another moment, another thing.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pictor.duplicates.comparison.alignment import AlignedPair
from pictor.duplicates.comparison.still import FloatImage
from pictor.library.arrays import LUMA
from pictor.library.records import FloatVector, Mask, PixelArray

_WINDOW_SHARE = 1 / 14  # of the frame's longest side; smaller windows see noise
_LEAST_WINDOW = 5
#: Variance in grey levels squared that compression and rounding explain.
_NOISE = 60.0
#: Windows below this standard deviation in both pictures say nothing: sky, paper, a wall.
_PLAIN_SPREAD = 6.0
#: Agreement below which a window shows something else; unrelated windows are about 0 or less.
_CHANGED = 0.35
#: Standard deviation of the grey levels of a usual photo; flatter ones are stretched towards it.
_USUAL_SPREAD = 50.0
_MOST_GAIN = 2.5
_BASE_BLUR = 0.7
_BLURS = (0.7, 1.2, 2.0, 3.0, 4.5)
_TONES = 32
#: Share of the common area that must be unchanged for tones to be taken from there alone.
_LEAST_CLEAN = 0.3
#: About so many pixels are enough for the tones, and four times as many for the sharpness.
_SAMPLED = 3000

Tones = NDArray[np.float64]


class Agreement(NamedTuple):
    """What the common area of two pictures shows.

    Attributes:
        score: mean agreement of the windows that have texture, 0 to 1.
        rest_score: the same of those that no changed window touches.
        changed_share: share of the common area that shows something else, 0 to 1.
        changed_texture_share: the same share of the windows with texture alone.
        textured_share: share of the common area that has texture in either picture.
        changed_mask: (h, w) bool, the changed windows.
        difference: (h, w) float32, difference of grey levels after all that was taken out.
        tone_shift: mean shift of grey levels that was taken out.
        blur_px: blur that was needed to make them alike, pixels; > 0 where b is the blurred one.
    """

    score: float
    rest_score: float
    changed_share: float
    changed_texture_share: float
    textured_share: float
    changed_mask: Mask
    difference: FloatImage
    tone_shift: float
    blur_px: float


def compare_windows(pair: AlignedPair) -> Agreement | None:
    """Compare the common area; None where it is too small to say anything."""
    here, there = grey_of(pair.a), grey_of(pair.b)
    window = max(_LEAST_WINDOW, round(max(here.shape) * _WINDOW_SHARE) | 1)
    usable = _box(pair.inside.astype(np.float32), window) > 0.999
    if usable.sum() < window * window:
        return None
    here, there = _blurred(here, _BASE_BLUR), _blurred(there, _BASE_BLUR)
    even = _evened(here, there, pair.inside, pair.inside)
    local, spread = _local(even.a, even.b, window)
    clean = pair.inside & (_box(((local < _CHANGED) & usable).astype(np.float32), window) < 1e-3)
    if _LEAST_CLEAN * pair.inside.sum() < clean.sum() < pair.inside.sum():
        # Once more: a plate's one grey level must not be taken for a tone of the picture.
        even = _evened(here, there, pair.inside, clean)
        local, spread = _local(even.a, even.b, window)
    where = (local < _CHANGED) & usable
    textured = usable & (spread > _PLAIN_SPREAD**2)
    count = int(usable.sum())
    apart = textured & (_box(where.astype(np.float32), window) < 1e-3)
    return Agreement(
        score=_mean(local, textured),
        rest_score=_mean(local, apart),
        changed_share=float(where.sum() / count),
        changed_texture_share=float(where[textured].mean()) if textured.any() else 1.0,
        textured_share=float(textured.sum() / count),
        changed_mask=where,
        difference=np.abs(even.a - even.b),
        tone_shift=even.tone,
        blur_px=even.sharpness,
    )


class _Levelled(NamedTuple):
    """Both without what whole files go through."""

    a: FloatImage
    b: FloatImage
    tone: float
    sharpness: float


def _evened(a: FloatImage, b: FloatImage, inside: Mask, clean: Mask) -> _Levelled:
    """Tones and sharpness made alike, as the pixels in `clean` say."""
    a, b, tone = _same_tone(a, b, clean)
    a, b = _scaled(a, b, inside)
    a, b, sharpness = _same_sharpness(a, b, inside)
    return _Levelled(a, b, tone, sharpness)


def _mean(local: FloatImage, where: Mask) -> float:
    return float(np.clip(local[where], 0, 1).mean()) if where.any() else 0.0


def grey_of(pixels: PixelArray) -> FloatImage:
    """(h, w) float32 luma of (h, w, 3) RGB."""
    return np.asarray(pixels.astype(np.float32) @ LUMA)


def _local(a: FloatImage, b: FloatImage, window: int) -> tuple[FloatImage, FloatImage]:
    """Agreement of each window, and the greater of its two variances.

    1 - E[(a-b)^2] / (var a + var b + noise): 1 for equal windows, about 0 for unrelated ones, and
    below where plain windows have other levels.
    """
    mean_a, mean_b = _box(a, window), _box(b, window)
    var_a = np.maximum(_box(a * a, window) - mean_a**2, 0)
    var_b = np.maximum(_box(b * b, window) - mean_b**2, 0)
    off = _box((a - b) ** 2, window)
    local = 1 - off / (var_a + var_b + _NOISE)
    return np.asarray(local, np.float32), np.asarray(np.maximum(var_a, var_b), np.float32)


def _same_tone(a: FloatImage, b: FloatImage, inside: Mask) -> tuple[FloatImage, FloatImage, float]:
    """Both with the same grey levels, and the mean shift that took.

    The levels of one are mapped to those of the other, whichever way leaves less: what was clipped
    to white in one cannot be made of it, but of the other.
    """
    step = max(1, math.isqrt(inside.size // _SAMPLED))
    some = inside[::step, ::step]
    x, y = a[::step, ::step][some], b[::step, ::step][some]
    off_b, curve_b = _curve(y, x)
    off_a, curve_a = _curve(x, y)
    if off_b <= off_a:
        mapped = np.interp(b, *curve_b).astype(np.float32)
        return a, mapped, float(np.abs(np.interp(y, *curve_b) - y).mean())
    mapped = np.interp(a, *curve_a).astype(np.float32)
    return mapped, b, float(np.abs(np.interp(x, *curve_a) - x).mean())


def _scaled(a: FloatImage, b: FloatImage, inside: Mask) -> tuple[FloatImage, FloatImage]:
    """Both with more contrast where they have little: what counts as noise goes by the contrast."""
    gain = min(_MOST_GAIN, _USUAL_SPREAD / max(1.0, float(a[inside].std())))
    if gain <= 1:
        return a, b
    return a * np.float32(gain), b * np.float32(gain)


def _curve(levels: FloatVector, target: FloatVector) -> tuple[float, tuple[Tones, Tones]]:
    """What is left when each level gets the mean of its targets, and that curve.

    Outliers are left out: an overlay must not bend the curve. What is left is relative to the
    spread of the target, so that a curve to nothing does not win.
    """
    bins = np.minimum((levels * (_TONES / 256)).astype(np.int64), _TONES - 1)
    keep = np.ones(len(bins), bool)
    curve = centres = np.zeros(0)
    off = np.zeros(len(bins))
    for _ in range(3):
        count = np.bincount(bins[keep], minlength=_TONES)
        known = count > 0
        curve = np.bincount(bins[keep], target[keep], _TONES)[known] / count[known]
        centres = np.bincount(bins[keep], levels[keep], _TONES)[known] / count[known]
        off = np.abs(target - np.interp(levels, centres, curve))
        keep = off <= max(8.0, 2 * float(np.median(off)))
    return float(off.mean()) / max(1.0, float(target.std())), (centres, curve)


def _same_sharpness(
    a: FloatImage, b: FloatImage, inside: Mask
) -> tuple[FloatImage, FloatImage, float]:
    """Both as sharp as the less sharp one, and the blur (pixels) that a (> 0) or b (< 0) took."""

    step = max(1, math.isqrt(inside.size // (4 * _SAMPLED)))
    some = inside[::step, ::step]

    def off(x: FloatImage, y: FloatImage) -> float:
        # Of the better four fifths: an overlay must not be what decides.
        squares = ((x[::step, ::step] - y[::step, ::step]) ** 2)[some]
        edge = int(len(squares) * 0.8)
        return float(np.partition(squares, edge)[:edge].mean()) if edge else 0.0

    best = (off(a, b) * 0.97 - 0.1, 0.0, a, b)
    blurs_a = _detail(a, inside) > _detail(b, inside)
    for sigma in _BLURS:
        x, y = (_blurred(a, sigma), b) if blurs_a else (a, _blurred(b, sigma))
        found = off(x, y)
        if found < best[0]:
            best = (found, sigma if blurs_a else -sigma, x, y)
        elif sigma > 2:
            break
    return best[2], best[3], best[1]


def _detail(image: FloatImage, inside: Mask) -> float:
    """Mean square of what a slight blur takes away."""
    return float(((image - _blurred(image, 1.5)) ** 2)[inside].mean())


def _blurred(image: FloatImage, sigma: float) -> FloatImage:
    import cv2

    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.float32)


def _box(image: FloatImage, window: int) -> FloatImage:
    import cv2

    size = (window, window)
    return np.asarray(
        cv2.boxFilter(image, cv2.CV_32F, size, borderType=cv2.BORDER_REFLECT), np.float32
    )
