"""A still made ready for comparing: a hash of all its pixels, a small copy, its local features.

The features are SIFT (Lowe 2004) by OpenCV, as square roots of L1-normalised histograms
(Arandjelovic and Zisserman 2012, "RootSIFT").
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pictor.library.arrays import LUMA
from pictor.library.hashing import Hasher
from pictor.library.images import Limits, load_rgb
from pictor.library.records import FloatMatrix, PixelArray

#: Longest side of the copy that is compared, pixels. Half of it still shows what a person sees on a
#: page of results; the time of everything below grows with its square.
WORK_EDGE = 448
THUMB_EDGE = 32
#: Features kept of a picture, the strongest. 500 cost 3 ms to match and suffice for a 40 % crop.
MOST_FEATURES = 500
#: Least longest side of the small copy that a sketch is made of, pixels, and the features kept of
#: one of that side; of a larger copy as many more. Measured on 32 photos: with 100 features, or
#: copies of 160 pixels at most, crops of 40 % and framed photos of gravel and a retina are lost.
SMALL_EDGE, SMALL_FEATURES = 128, 150
#: Contrast thresholds, the second for pictures that are too soft or dark for the first.
_CONTRASTS = (0.02, 0.003)
_FEW = 60
_LIMITS = Limits()

FloatImage = NDArray[np.float32]  # (h, w), grey levels 0 to 255
Points = NDArray[np.float32]  # (n, 2): x, y in pixels


class Features(NamedTuple):
    """Local features of one picture.

    Attributes:
        points: (n, 2) float32, x and y.
        descriptors: (n, 128) float32, unit rows.
    """

    points: Points
    descriptors: FloatMatrix


@dataclass
class Still:
    """One decoded still.

    Attributes:
        pixel_hash: BLAKE3 (32 bytes) over size and RGB of every pixel, upright, sRGB, on white. An
            animation stands for the frame in its middle and its length.
        width, height: of the full picture as shown.
        pixels: (h, w, 3) uint8 RGB, longest side at most `WORK_EDGE`; never enlarged.
    """

    pixel_hash: bytes
    width: int
    height: int
    pixels: PixelArray = field(repr=False)

    @cached_property
    def small(self) -> Still:
        """The same, averaged to half its size, not below `SMALL_EDGE`; of noise little is left."""
        import cv2

        height, width = self.pixels.shape[:2]
        shrink = min(1.0, max(0.5, SMALL_EDGE / max(height, width)))
        size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
        pixels = cv2.resize(self.pixels, size, interpolation=cv2.INTER_AREA)
        return Still(self.pixel_hash, self.width, self.height, np.asarray(pixels, np.uint8))

    @cached_property
    def grey(self) -> PixelArray:
        """(h, w) uint8."""
        return np.asarray(np.rint(self.pixels.astype(np.float32) @ LUMA), np.uint8)

    @cached_property
    def thumb(self) -> FloatImage:
        """(32, 32) float32: the whole picture squeezed into a square."""
        size = (THUMB_EDGE, THUMB_EDGE)
        small = Image.fromarray(self.grey).resize(size, Image.Resampling.BOX)
        return np.asarray(small, np.float32)

    @cached_property
    def spread(self) -> float:
        """Standard deviation of the grey levels, 0 to 127.5: near 0 is a flat picture."""
        return float(self.grey.std())

    @cached_property
    def features(self) -> Features:
        """Local features, found when they are first asked for (some 30 ms)."""
        return find_features(self.grey)


def decode_still(data: bytes, name: bytes = b"", limits: Limits = _LIMITS) -> Still:
    """The picture in a file, decoded once and at its full size.

    Args:
        data: the file's bytes.
        name: its name or path; tells some RAW formats from TIFF.

    Raises:
        ImageError: the file gives no picture; its `reason` says why.
    """
    image, metadata, _ = load_rgb(data, limits, name_hint=name)
    full = np.asarray(image)
    hasher = Hasher(b"%d %d %r " % (image.width, image.height, metadata.duration_s))
    hasher.update(np.ascontiguousarray(full).data)
    longest = max(image.size)
    if longest > WORK_EDGE:
        width, height = (max(1, round(edge * WORK_EDGE / longest)) for edge in image.size)
        image = image.resize((width, height), Image.Resampling.BOX, reducing_gap=3.0)
    # A copy: what it came from may be a hundred times as large, and would be kept alive.
    pixels = np.array(image, np.uint8)
    return Still(hasher.digest(), full.shape[1], full.shape[0], pixels)


def find_features(grey: PixelArray, most: int = MOST_FEATURES) -> Features:
    """The strongest features of a grey picture (h, w) uint8; none for a very small one."""
    import cv2

    none = Features(np.zeros((0, 2), np.float32), np.zeros((0, 128), np.float32))
    if min(grey.shape) < 8:
        return none
    for contrast in _CONTRASTS:
        sift = cv2.SIFT.create(nfeatures=most, contrastThreshold=contrast)
        keypoints, descriptors = sift.detectAndCompute(grey, None)
        if len(keypoints) >= min(_FEW, most // 2):
            break
    if not keypoints:
        return none
    points = np.array([one.pt for one in keypoints], np.float32)
    rows = np.asarray(descriptors, np.float32)
    rows = np.sqrt(rows / np.maximum(rows.sum(axis=1, keepdims=True), 1e-6))
    return Features(points, rows)
