"""Random views of photos, made on whole batches: crop, mirror, light and colour.

Stamps are cut-out pictures: each view of one is laid on a plain colour or on a blurred piece of a
photo first, somewhere and in some size.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

# Area of a crop as a share of the photo, and the spread of its aspect ratio. Training photos are
# squashed to squares; crops of other aspects undo or add to that, so photos of any shape are met.
_CROP_AREA = (0.45, 1.0)
_CROP_LOG_ASPECT = 0.35
_COLOUR = 0.25  # brightness, contrast and saturation vary by up to this share


def random_views(pixels: Tensor, edge_px: int, generator: torch.Generator) -> Tensor:
    """One random view of each photo.

    Args:
        pixels: (n, h, w, 3) uint8.
        edge_px: edge of the square result.
        generator: source of all randomness.

    Returns:
        (n, 3, edge, edge) float32 in [0, 255], channels last in memory.
    """
    cropped = _random_crops(pixels.permute(0, 3, 1, 2).float(), edge_px, generator)
    coloured = _random_colour(cropped, generator)
    return coloured.contiguous(memory_format=torch.channels_last)


def whole_views(pixels: Tensor, edge_px: int) -> Tensor:
    """The whole photos at another size, as ``random_views`` returns them."""
    x = pixels.permute(0, 3, 1, 2).float()
    if x.shape[2:] != (edge_px, edge_px):
        size = (edge_px, edge_px)
        x = functional.interpolate(x, size, mode="bicubic", antialias=True).clamp(0, 255)
    return x.contiguous(memory_format=torch.channels_last)


def _random_crops(x: Tensor, edge_px: int, generator: torch.Generator) -> Tensor:
    n = len(x)
    low, high = _CROP_AREA
    area = low + (high - low) * torch.rand(n, generator=generator)
    aspect = torch.exp(_CROP_LOG_ASPECT * (2 * torch.rand(n, generator=generator) - 1))
    width = (area * aspect).sqrt().clamp(max=1)
    height = (area / aspect).sqrt().clamp(max=1)
    mirror = torch.where(torch.rand(n, generator=generator) < 0.5, -1.0, 1.0)
    affine = torch.zeros(n, 2, 3)
    affine[:, 0, 0] = width * mirror
    affine[:, 1, 1] = height
    affine[:, 0, 2] = (2 * torch.rand(n, generator=generator) - 1) * (1 - width)
    affine[:, 1, 2] = (2 * torch.rand(n, generator=generator) - 1) * (1 - height)
    grid = functional.affine_grid(affine, [n, 3, edge_px, edge_px], align_corners=False)
    return functional.grid_sample(x, grid, padding_mode="border", align_corners=False)


def _random_colour(x: Tensor, generator: torch.Generator) -> Tensor:
    def factors() -> Tensor:
        spread = 2 * torch.rand(len(x), 1, 1, 1, generator=generator) - 1
        return 1 + _COLOUR * spread

    grey = x.mean(dim=1, keepdim=True)
    x = grey + (x - grey) * factors()
    mean = grey.mean(dim=(2, 3), keepdim=True)
    x = mean + (x - mean) * factors()
    return (x * factors()).clamp(0, 255)


def lay_on_backgrounds(stamps: Tensor, photos: Tensor, generator: torch.Generator) -> Tensor:
    """Stamps laid on plain or photographic backgrounds.

    Args:
        stamps: (n, h, w, 4) uint8, the last channel alpha.
        photos: (n, h, w, 3) uint8, one to take the background of each from.
        generator: source of all randomness.

    Returns:
        (n, h, w, 3) uint8.
    """
    n, edge = len(stamps), stamps.shape[1]
    x = _placed(stamps.permute(0, 3, 1, 2).float(), generator)
    kind = torch.rand(n, 1, 1, 1, generator=generator)
    light = 255 - torch.rand(n, 3, 1, 1, generator=generator) * 80 * (kind / 0.35).clamp(max=1)
    plain = torch.rand(n, 3, 1, 1, generator=generator) * 255
    pieces = _random_crops(photos.permute(0, 3, 1, 2).float(), edge, generator)
    blurred = functional.avg_pool2d(pieces, 9, 1, 4)
    background = torch.where(kind < 0.35, light, torch.where(kind < 0.5, plain, blurred))
    alpha = x[:, 3:] / 255
    laid = x[:, :3] * alpha + background * (1 - alpha)
    return laid.clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


def _placed(x: Tensor, generator: torch.Generator) -> Tensor:
    """Each picture shrunk to 55 to 100 % of its square, mirrored or not, and moved within it."""
    n = len(x)
    factor = 1 / (0.55 + 0.45 * torch.rand(n, generator=generator))
    mirror = torch.where(torch.rand(n, generator=generator) < 0.5, -1.0, 1.0)
    affine = torch.zeros(n, 2, 3)
    affine[:, 0, 0] = factor * mirror
    affine[:, 1, 1] = factor
    for axis in (0, 1):
        shift = 2 * torch.rand(n, generator=generator) - 1
        affine[:, axis, 2] = shift * (factor - 1) * 0.8
    grid = functional.affine_grid(affine, list(x.shape), align_corners=False)
    return functional.grid_sample(x, grid, align_corners=False)
