"""What a larger picture shows around a smaller one: more of the scene, a frame, other pictures.

A crop goes on beyond its edge. A border, a screenshot and a collage do not; of these the first two
are plain around the picture, and the third is not.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pictor.duplicates.comparison.alignment import AlignedPair
from pictor.duplicates.comparison.still import Still
from pictor.library.records import PixelArray

_STEP_PX = 2.5  # to either side of the edge, in pixels of the larger picture
_SAMPLES = 64  # along each edge
_CELL = 16
_MOST_COLOURS = 3
#: A step over the edge this many times that inside is no continuation.
_BREAK = 2.5
#: Share of what lies around that has one of three colours: below, it is no frame.
_PLAIN = 0.4
_ALL_PLAIN = 0.9


class Surroundings(NamedTuple):
    """What lies around the smaller picture in the larger one.

    Attributes:
        broken: step of grey levels over the edge in units of the steps along it inside; about 1
            where the scene goes on. 0 where there is no edge inside the larger picture.
        plain: share of the pixels around that have one of three colours, 0 to 1.
    """

    broken: float
    plain: float

    @property
    def is_framed(self) -> bool:
        """A border or a screen."""
        is_plain = self.plain >= _PLAIN and self.broken > _BREAK
        return is_plain or self.plain >= _ALL_PLAIN

    @property
    def is_collage(self) -> bool:
        """Other pictures beside it."""
        return self.broken > _BREAK and self.plain < _PLAIN


def surroundings(pair: AlignedPair, a: Still, b: Still) -> Surroundings:
    """Look at what the larger picture shows outside of the frame."""
    larger = (b if pair.is_a_frame else a).pixels
    height, width = pair.inside.shape
    corners = np.array(
        [[-0.5, -0.5], [width - 0.5, -0.5], [width - 0.5, height - 0.5], [-0.5, height - 0.5]]
    )
    shape = corners @ pair.to_other[:, :2].T + pair.to_other[:, 2]
    return Surroundings(_broken(larger, shape), _plain(larger, shape))


def _broken(pixels: PixelArray, shape: NDArray[np.float64]) -> float:
    """Median step over the edges that lie inside the picture, against the step inside of them."""
    centre = shape.mean(axis=0)
    over, inner = [], []
    for start, end in zip(shape, np.roll(shape, -1, axis=0), strict=True):
        along = start + (end - start) * np.linspace(0.05, 0.95, _SAMPLES)[:, None]
        normal = np.array([end[1] - start[1], start[0] - end[0]])
        normal /= max(1e-9, float(np.hypot(*normal)))
        if normal @ (along.mean(axis=0) - centre) < 0:
            normal = -normal
        outside, first = along + _STEP_PX * normal, along - _STEP_PX * normal
        second = along - 3 * _STEP_PX * normal
        here = _is_inside(pixels, outside) & _is_inside(pixels, second)
        if here.sum() < _SAMPLES // 2:
            continue
        rows = [_at(pixels, points[here]) for points in (outside, first, second)]
        over.append(np.abs(rows[0] - rows[1]).mean())
        inner.append(np.abs(rows[1] - rows[2]).mean())
    if not over:
        return 0.0
    return float(np.median(np.array(over) / (np.array(inner) + 2.0)))


def _is_inside(pixels: PixelArray, points: NDArray[np.float64]) -> NDArray[np.bool_]:
    height, width = pixels.shape[:2]
    x, y = points[:, 0], points[:, 1]
    return np.asarray((x >= 0) & (y >= 0) & (x <= width - 1) & (y <= height - 1))


def _at(pixels: PixelArray, points: NDArray[np.float64]) -> NDArray[np.float64]:
    places = np.rint(points).astype(np.int64)
    return pixels[places[:, 1], places[:, 0]].astype(np.float64)


def _plain(pixels: PixelArray, shape: NDArray[np.float64]) -> float:
    import cv2

    covered = np.zeros(pixels.shape[:2], np.uint8)
    cv2.fillConvexPoly(covered, np.rint(shape).astype(np.int32), 1)
    outside = np.asarray(cv2.dilate(covered, np.ones((3, 3), np.uint8))) == 0
    colours = pixels[outside]
    if len(colours) < 16:
        return 1.0
    cells = (colours // _CELL).astype(np.int64) @ np.array([256, 16, 1])
    counts = np.sort(np.bincount(cells))[::-1]
    return float(counts[:_MOST_COLOURS].sum() / len(colours))
