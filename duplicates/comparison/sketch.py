"""A first look at two pictures, by sketches that are small enough to keep of tens of thousands.

Whole pictures are held against each other in 32 x 32 pixels, in eight orientations, and the local
features of a small copy for what is cropped, framed or turned. Most candidates are strangers,
and strangers agree in neither; what agrees is not yet a duplicate.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pictor.duplicates.comparison.alignment import squeezed_orientations
from pictor.duplicates.comparison.feature_fits import FeatureFit, FitBounds, fits
from pictor.duplicates.comparison.still import (
    SMALL_EDGE,
    SMALL_FEATURES,
    Features,
    Points,
    Still,
    find_features,
)
from pictor.library.records import PixelArray

#: Correlation of two pictures of 32 x 32 pixels from which they are laid over each other as wholes.
_WHOLE = 0.6
#: Of the features of small copies: strangers agree in three, now and then in four.
_BOUNDS = FitBounds(least=4, inlier_px=1.9, iterations=500)
#: Pictures with fewer features than this cannot be told apart by them.
_FEW = 16
_STEPS = 255  # of a descriptor's value


class Sketch(NamedTuple):
    """What is kept of a still, 20 to 36 kB.

    Attributes:
        thumb: (32, 32) uint8, as `Still.thumb`.
        width: of the small copy, pixels.
        points: (n, 2) float32, x and y in the small copy.
        descriptors: (n, 128) uint8.
    """

    thumb: PixelArray
    width: int
    points: Points
    descriptors: NDArray[np.uint8]

    @property
    def features(self) -> Features:
        """As they were found, but for rounding."""
        rows = self.descriptors.astype(np.float32)
        return Features(self.points, rows * np.float32(1 / _STEPS))

    @property
    def nbytes(self) -> int:
        """Of the arrays."""
        return self.thumb.nbytes + self.points.nbytes + self.descriptors.nbytes


class FirstLook(NamedTuple):
    """What two sketches say.

    Attributes:
        orientation: EXIF value of the turn of a in which the squeezed pictures are most alike.
        is_whole: whether they are alike enough to be laid over each other as wholes.
        fits: maps of pixels of the small copies that features agree on, the best first.
        is_sure: whether both have enough features for an agreement to be seen.
    """

    orientation: int
    is_whole: bool
    fits: list[FeatureFit]
    is_sure: bool

    @property
    def is_refused(self) -> bool:
        """Whether a look at the pixels is not worth its time: the pictures are strangers."""
        return not self.is_whole and not self.may_fit

    @property
    def may_fit(self) -> bool:
        """Whether more features may agree on a map."""
        return bool(self.fits) or not self.is_sure


def sketch_of(still: Still) -> Sketch:
    """The sketch of a still (some 6 ms for 224 pixels)."""
    small = still.small
    most = SMALL_FEATURES * max(SMALL_EDGE, *small.grey.shape) // SMALL_EDGE
    points, rows = find_features(small.grey, most)
    descriptors = np.rint(rows * _STEPS).astype(np.uint8)
    return Sketch(still.thumb.astype(np.uint8), small.grey.shape[1], points, descriptors)


def first_look(a: Sketch, b: Sketch) -> FirstLook:
    """Hold two sketches against each other (some 0.5 ms)."""
    best, orientation = squeezed_orientations(
        a.thumb.astype(np.float32), b.thumb.astype(np.float32)
    )[0]
    found = fits(a.features, a.width, b.features, _BOUNDS)
    is_sure = min(len(a.points), len(b.points)) >= _FEW
    return FirstLook(orientation, best >= _WHOLE, found, is_sure)
