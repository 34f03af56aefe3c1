"""Eight perceptual hashes of a picture, one for each way it may be turned or mirrored.

They are the bits of OpenCV's `img_hash.PHash` (the signs of the 64 lowest frequencies of a cosine
transform against their mean) of one small grey copy and its seven other orientations, made here
because OpenCV has them in its contributed modules only. Copies that were recompressed, resized,
recoloured a little or blurred differ in few bits; a turned or mirrored one does in another of the
eight. Only processes that decode import this: a search never does.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

#: Rises when the same picture would get other hashes, so that stored ones are made anew.
VERSION = 1
ORIENTATIONS = 8
#: Side of the grey copy: PHash shrinks anything else to this by itself (img_hash 5.0, phash.cpp).
EDGE_PX = 32
#: The short side that a decoder must leave: an encoder's wish may leave more, and the mean over
#: the squares of the grey copy then differs by less than a bit of the hash in most pictures.
DRAFT_EDGE_PX = 256

HashMatrix = NDArray[np.uint64]  # (n, 8): row i is of one picture, column j of orientation j + 1

_FREQUENCIES = np.arange(8)
#: (8, 32): the lowest frequencies of the orthonormal cosine transform (DCT-II).
_COSINES = np.sqrt(2 / EDGE_PX) * np.cos(
    np.pi * _FREQUENCIES[:, None] * (2 * np.arange(EDGE_PX) + 1) / (2 * EDGE_PX)
)
_COSINES[0] /= np.sqrt(2)
#: What a mirror does to the frequencies along its axis.
_MIRROR = np.where(_FREQUENCIES % 2, -1.0, 1.0)


def fingerprint(image: Image.Image) -> bytes:
    """64 bytes: the hashes, 8 bytes each, of the picture turned as EXIF orientations 1 to 8 say.

    The first is of the picture as it is shown. So hash j of one picture equals hash 0 of another
    one exactly where orientation j + 1 turns the first into the second.

    Args:
        image: mode RGB, upright, sRGB, as `load_rgb` gives it.
    """
    small = image.convert("L").resize((EDGE_PX, EDGE_PX), Image.Resampling.BOX)
    grey = np.asarray(small, np.float64)
    # the mean is no part of a hash; without a corner's grey a flat picture gives exact zeros
    plain = _COSINES @ (grey - grey[0, 0]) @ _COSINES.T
    plain[0, 0] = 0
    across, down = _MIRROR, _MIRROR[:, None]
    turned = [
        orientation
        for one in (plain, plain.T)  # 1 to 4, and 5 to 8, which exchange rows and columns
        for orientation in (one, one * across, one * across * down, one * down)
    ]
    rows = np.reshape(turned, (ORIENTATIONS, -1))
    return np.packbits(rows > rows.mean(axis=1, keepdims=True), bitorder="little").tobytes()


def unpacked(rows: list[bytes]) -> HashMatrix:
    """What `fingerprint` gave for n pictures, as an (n, 8) array."""
    data = np.frombuffer(b"".join(rows), dtype="<u8").reshape(len(rows), ORIENTATIONS)
    return data.astype(np.uint64, copy=False)
