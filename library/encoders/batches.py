"""What all image encoders do with their input and output rows, whichever engine runs them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pictor.library.records import EncoderCard, FloatMatrix, Pictures


def check_pixels(pixels: Pictures, card: EncoderCard) -> None:
    """Raise ValueError unless every array is uint8 (h, w, 3) of the size the card's spec makes."""
    spec = card.spec
    if spec is None:
        raise ValueError(f"the card of {card.id!r} is not resolved: it has no spec")
    # Of pictures that are one array, one stands for all.
    for array in pixels[:1] if isinstance(pixels, np.ndarray) else pixels:
        good = array.dtype == np.uint8 and array.ndim == 3 and array.shape[2] == 3
        if good and spec.resize == "naflex":
            rows, columns = array.shape[0] / spec.patch, array.shape[1] / spec.patch
            good = rows % 1 == columns % 1 == 0 and 0 < rows * columns <= spec.max_patches
        elif good:
            good = array.shape[:2] == (spec.height, spec.width)
        if not good:
            raise ValueError(
                f"pixels are {array.dtype} {array.shape}, not what {card.id!r} takes: {spec}"
            )


def stack(pixels: Pictures) -> NDArray[np.uint8]:
    """(n, h, w, 3), contiguous; pictures that are one such array already are not copied."""
    if isinstance(pixels, np.ndarray):
        return np.ascontiguousarray(pixels)
    return np.stack([np.ascontiguousarray(array) for array in pixels])


def mark_broken_rows(
    vectors: FloatMatrix, again: Callable[[int], NDArray[np.float32]]
) -> FloatMatrix:
    """The vectors with each row that is not finite encoded once more, and NaN if it still is not.

    Args:
        vectors: (n, d) float32, fresh from the engine.
        again: row number → (d,) from a pass of that picture alone, in float32.
    """
    broken = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if broken.size:
        vectors = vectors.copy()
    for row in broken:
        second = again(int(row))
        vectors[row] = second if np.isfinite(second).all() else np.nan
    return vectors
