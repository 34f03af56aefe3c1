"""Eight perceptual hashes of a picture, one for each way it may be turned or mirrored.

They are OpenCV's `img_hash.PHash` (64 bits: the signs of the lowest frequencies of a cosine
transform against their mean) of one small grey copy and its seven other orientations. Copies that
were recompressed, resized, recoloured a little or blurred differ in few bits; a turned or mirrored
one does in another of the eight. Only processes that decode import this: a search never does.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pictor.library.images.picture import upright

#: Rises when the same picture would get other hashes, so that stored ones are made anew.
VERSION = 1
ORIENTATIONS = 8
HASH_BYTES = 8
#: Side of the grey copy: PHash shrinks anything else to this by itself (img_hash 5.0, phash.cpp).
EDGE_PX = 32
#: The short side that a decoder must leave: an encoder's wish may leave more, and the mean over
#: the squares of the grey copy then differs by less than a bit of the hash in most pictures.
DRAFT_EDGE_PX = 256

HashMatrix = NDArray[np.uint64]  # (n, 8): row i is of one picture, column j of orientation j + 1


def fingerprint(image: Image.Image) -> bytes:
    """64 bytes: the hashes, 8 bytes each, of the picture turned as EXIF orientations 1 to 8 say.

    The first is of the picture as it is shown. So hash j of one picture equals hash 0 of another
    one exactly where orientation j + 1 turns the first into the second.

    Args:
        image: mode RGB, upright, sRGB, as `load_rgb` gives it.
    """
    small = image.convert("L").resize((EDGE_PX, EDGE_PX), Image.Resampling.BOX)
    hasher = _hasher()
    turned = (np.ascontiguousarray(upright(small, value + 1)) for value in range(ORIENTATIONS))
    return b"".join(hasher.compute(pixels).tobytes() for pixels in turned)


def load() -> None:
    """Import what `fingerprint` needs, so that no file's time is spent on it."""
    _hasher()


def unpacked(rows: list[bytes]) -> HashMatrix:
    """What `fingerprint` gave for n pictures, as an (n, 8) array."""
    data = np.frombuffer(b"".join(rows), dtype="<u8").reshape(len(rows), ORIENTATIONS)
    return data.astype(np.uint64, copy=False)


@lru_cache(maxsize=1)
def _hasher() -> Any:  # Any: OpenCV has no types for its contributed modules
    import cv2

    return cv2.img_hash.PHash_create()  # type: ignore[attr-defined]  # as above
