"""From an sRGB picture to the uint8 pixels of one encoder.

Byte for byte what the PIL image processors of transformers (5.23) hand to rescaling; the sources of
each rule are named beside it. Nothing here knows files.
"""

from __future__ import annotations

from math import ceil

import numpy as np
from PIL import Image

from pictor.library.records import ImageSpec, PixelArray

# Beyond this only the part that survives the centre crop is resized: a 100 000 x 2 strip would
# otherwise become 11 million pixels wide. The result may then differ in the last bit.
_MAX_RESIZED_PIXELS = 16_000_000


def prepare(
    image: Image.Image, spec: ImageSpec, full_size: tuple[int, int] | None = None
) -> PixelArray:
    """The pixels `spec` asks for.

    Args:
        image: mode RGB, upright, sRGB.
        spec: what the encoder wants.
        full_size: (width, height) of the picture before it was shrunk on load, if it was; sizes
            that follow the picture are computed from it, so that shrinking changes no shape.

    Returns:
        (height, width, 3) uint8, C-contiguous.
    """
    if image.mode != "RGB":
        raise ValueError(f"prepare wants mode 'RGB', not {image.mode!r}")
    width, height = full_size or image.size
    resample = Image.Resampling[spec.resample.upper()]
    if spec.resize == "exact":
        return np.array(image.resize((spec.width, spec.height), resample))
    if spec.resize == "naflex":
        size = naflex_size(width, height, spec.patch, spec.max_patches)
        return np.array(image.resize(size, resample))
    resized = shortest_edge_size(width, height, spec.edge)
    if resized[0] * resized[1] > _MAX_RESIZED_PIXELS:
        image, resized = _cut_then_resize(image, resized, spec, resample)
    else:
        image = image.resize(resized, resample)
    return _centre_crop(np.array(image), spec.height, spec.width)


def shortest_edge_size(width: int, height: int, edge: int) -> tuple[int, int]:
    """(width, height) by `get_resize_output_image_size`, which truncates the long side."""
    if width <= height:
        return edge, int(edge * height / width)
    return int(edge * width / height), edge


def naflex_size(width: int, height: int, patch: int, max_patches: int) -> tuple[int, int]:
    """(width, height) in whole patches, the most that fit, at nearly the aspect of the picture.

    The bisection is that of `get_image_size_for_max_num_patches` (Siglip2), rounding included.
    """
    epsilon = 1e-5
    low, high = epsilon / 10, 100.0
    while high - low >= epsilon:
        middle = (low + high) / 2
        columns = _scaled(middle, width, patch) / patch
        rows = _scaled(middle, height, patch) / patch
        if rows * columns <= max_patches:
            low = middle
        else:
            high = middle
    return _scaled(low, width, patch), _scaled(low, height, patch)


def _scaled(scale: float, size: int, patch: int) -> int:
    return int(max(patch, ceil(size * scale / patch) * patch))


def _centre_crop(pixels: PixelArray, height: int, width: int) -> PixelArray:
    """`center_crop`: zeros around what is smaller, and its own rounding of odd margins."""
    have_height, have_width = pixels.shape[:2]
    top, left = (have_height - height) // 2, (have_width - width) // 2
    if top >= 0 and left >= 0:
        return np.ascontiguousarray(pixels[top : top + height, left : left + width])
    canvas_height, canvas_width = max(height, have_height), max(width, have_width)
    top_pad = ceil((canvas_height - have_height) / 2)
    left_pad = ceil((canvas_width - have_width) / 2)
    canvas = np.zeros((canvas_height, canvas_width, 3), np.uint8)
    canvas[top_pad : top_pad + have_height, left_pad : left_pad + have_width] = pixels
    top, left = max(0, top), max(0, left)
    return np.ascontiguousarray(canvas[top : top + height, left : left + width])


def _cut_then_resize(
    image: Image.Image, resized: tuple[int, int], spec: ImageSpec, resample: Image.Resampling
) -> tuple[Image.Image, tuple[int, int]]:
    """Resize only the centre of a very long picture, somewhat more than the crop needs."""
    keep = (min(resized[0], spec.width + 2), min(resized[1], spec.height + 2))
    left, top = (resized[0] - keep[0]) // 2, (resized[1] - keep[1]) // 2
    across, down = image.width / resized[0], image.height / resized[1]
    box = (left * across, top * down, (left + keep[0]) * across, (top + keep[1]) * down)
    return image.resize(keep, resample, box=box), keep
