"""NaFlex inputs: pictures of any aspect as rows of patches, padded to one length with a mask.

As `Siglip2ImageProcessorPil` of transformers 5.23: patches in reading order, each flattened as
(row, column, channel).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pictor.library.records import ImageSpec, PixelArray


def patchify(
    pixels: Sequence[PixelArray], spec: ImageSpec
) -> tuple[NDArray[np.uint8], NDArray[np.int32], NDArray[np.int64]]:
    """n pictures as patches.

    Args:
        pixels: each (h, w, 3), h and w multiples of `spec.patch`, at most `spec.max_patches`
            patches.
        spec: of resize "naflex".

    Returns:
        (n, max_patches, patch * patch, 3) uint8 with zero pads; (n, max_patches) mask, 1 on
        patches; (n, 2) rows and columns of patches.
    """
    side = spec.patch
    patches = np.zeros((len(pixels), spec.max_patches, side * side, 3), np.uint8)
    mask = np.zeros((len(pixels), spec.max_patches), np.int32)
    shapes = np.zeros((len(pixels), 2), np.int64)
    for i, picture in enumerate(pixels):
        rows, columns = picture.shape[0] // side, picture.shape[1] // side
        grid = picture.reshape(rows, side, columns, side, 3).transpose(0, 2, 1, 3, 4)
        patches[i, : rows * columns] = grid.reshape(rows * columns, side * side, 3)
        mask[i, : rows * columns] = 1
        shapes[i] = rows, columns
    return patches, mask, shapes
