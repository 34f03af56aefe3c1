"""Random views of photos, made on whole batches: crop, mirror, light and colour."""

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
