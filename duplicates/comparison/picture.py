"""A still made ready for comparing: a hash of all its pixels, a small copy, its local features."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pictor.duplicates.comparison.local_features import Features, find_features
from pictor.library.arrays import LUMA
from pictor.library.hashing import Hasher
from pictor.library.images import Limits, load_rgb
from pictor.library.records import PixelArray

#: Longest side of the copy that is compared, pixels. Half of it still shows what a person sees on a
#: page of results; the time of everything below grows with its square.
WORK_EDGE = 448
THUMB_EDGE = 32
_LIMITS = Limits()

FloatImage = NDArray[np.float32]  # (h, w), grey levels 0 to 255


@dataclass
class Picture:
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


def picture_of(data: bytes, name: bytes = b"", limits: Limits = _LIMITS) -> Picture:
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
    return Picture(hasher.digest(), full.shape[1], full.shape[0], pixels)
