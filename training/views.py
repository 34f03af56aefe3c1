"""Where a step's image features come from: kept ones, kept middle layers, or fresh views.

Pictures take most of the time, so each stage computes no more than what it trains: the heads train
on kept features of fixed random views, the upper modules on the kept output of the lower ones, and
only the last tuning runs the whole network on fresh views.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.augment import lay_on_backgrounds, random_views, whole_views
from training.batches import Rows
from training.data import PhotoSet
from training.model import FEATURES, SHIPPED_EDGE_PX, ImageTower

_CHUNK = 64  # photos at once where nothing is trained


class Photos:
    """The photo sets as pixels: any view of any row. Cut-out pictures are laid on backgrounds."""

    def __init__(self, sets: Sequence[PhotoSet], generator: torch.Generator) -> None:
        self._sets = sets
        self._generator = generator

    def sizes(self) -> list[int]:
        """Photos in each set."""
        return [len(group) for group in self._sets]

    def random(self, number: int, rows: Rows, edge_px: int) -> Tensor:
        """A random view of each of these photos of one set: (n, 3, edge, edge) in [0, 255]."""
        pixels = self._pixels(self._sets[number], rows)
        if pixels.shape[3] == 4:
            drawn = torch.randint(len(self._sets[0]), (len(rows),), generator=self._generator)
            behind = self._pixels(self._sets[0], drawn.numpy())
            pixels = lay_on_backgrounds(pixels, behind, self._generator)
        return random_views(pixels, edge_px, self._generator)

    def _pixels(self, photos: PhotoSet, rows: Rows) -> Tensor:
        order = np.argsort(rows, kind="stable")  # a memory map is read in order
        return torch.from_numpy(np.array(photos.pixels[rows[order]])[np.argsort(order)])


class FreshViews:
    """New random views, through the whole network."""

    def __init__(self, tower: ImageTower, photos: Photos, edge_px: int) -> None:
        self._tower, self._photos, self._edge_px = tower, photos, edge_px

    def features(self, rows: Sequence[Rows]) -> Tensor:
        """(n, 1280) float32 of the named rows of each set, sets in order."""
        views = [self._photos.random(i, part, self._edge_px) for i, part in enumerate(rows)]
        with torch.autocast("cpu", torch.bfloat16):
            features = self._tower.features(torch.cat(views))
        return features.float()


class KeptMiddle:
    """Fixed random views as the lower modules see them; the upper modules are run anew."""

    def __init__(
        self, tower: ImageTower, photos: Photos, edge_px: int, views: int, folder: Path
    ) -> None:
        self._tower, self._views = tower, views
        self._rng = np.random.default_rng(edge_px)
        self._kept = []
        for number, size in enumerate(photos.sizes()):
            path = folder / f"middle_{number}.npy"
            edge = edge_px // 16
            shape = (views, size, 64, edge, edge)
            kept = np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=shape)
            for view in range(views):
                for start, stop in _chunks(size):
                    x = photos.random(number, np.arange(start, stop), edge_px)
                    kept[view, start:stop] = self._lower(x)
            self._kept.append(kept)

    def _lower(self, pixels: Tensor) -> NDArray[np.float16]:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            lower = self._tower.backbone.lower(self._tower.normalised(pixels))
        found: NDArray[np.float16] = lower.half().numpy()
        return found

    def features(self, rows: Sequence[Rows]) -> Tensor:
        """As ``FreshViews.features``; each view is mirrored or not."""
        parts = [
            kept[self._rng.integers(self._views, size=len(part)), part]
            for kept, part in zip(self._kept, rows, strict=True)
        ]
        x = torch.from_numpy(np.concatenate(parts)).float()
        mirrored = torch.from_numpy(self._rng.random(len(x)) < 0.5)
        x[mirrored] = x[mirrored].flip(-1)
        with torch.autocast("cpu", torch.bfloat16):
            out = self._tower.backbone.upper(x.contiguous(memory_format=torch.channels_last))
        return out.float()


class KeptFeatures:
    """Features of fixed random views at the shipped sizes; nothing of the network is run.

    They are kept in ``folder`` under a name that says which network made them, for another run.
    """

    def __init__(self, tower: ImageTower, photos: Photos, views: int, folder: Path) -> None:
        self._rng = np.random.default_rng(views)
        self._kept: list[Tensor] = []
        for number in range(len(photos.sizes())):
            path = folder / f"features_{_fingerprint(tower.backbone)}_{views}_{number}.pt"
            if not path.exists():
                torch.save(self._made(tower, photos, number, views), path)
            self._kept.append(torch.load(path))

    def _made(self, tower: ImageTower, photos: Photos, number: int, views: int) -> Tensor:
        size = photos.sizes()[number]
        kept = torch.empty(views, size, FEATURES, dtype=torch.half)
        for view in range(views):
            for start, stop in _chunks(size):
                x = photos.random(number, np.arange(start, stop), SHIPPED_EDGE_PX)
                kept[view, start:stop] = features_of(tower, x).half()
        return kept

    def features(self, rows: Sequence[Rows]) -> Tensor:
        """As ``FreshViews.features``."""
        parts = [
            kept[torch.from_numpy(self._rng.integers(len(kept), size=len(part))), part]
            for kept, part in zip(self._kept, rows, strict=True)
        ]
        return torch.cat(parts).float()


def features_of(tower: ImageTower, pixels: Tensor) -> Tensor:
    """(n, 1280) float32 of (n, 3, h, w) pixels in [0, 255], without gradients.

    Pixels of the shipped size are seen at both sizes, as the shipped tower does it.
    """
    is_shipped = pixels.shape[-1] == SHIPPED_EDGE_PX
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        found = tower.features_of_two_sizes(pixels) if is_shipped else tower.features(pixels)
    return found.float()


def whole_features(tower: ImageTower, photos: PhotoSet, rows: Rows, edge_px: int) -> Tensor:
    """Features of whole photos, as a search makes them: (n, 1280)."""
    parts = []
    for start, stop in _chunks(len(rows)):
        pixels = torch.from_numpy(np.array(photos.pixels[rows[start:stop]]))
        parts.append(features_of(tower, whole_views(pixels, edge_px)))
    return torch.cat(parts)


def _fingerprint(network: torch.nn.Module) -> str:
    digest = hashlib.sha256()
    for value in network.state_dict().values():
        digest.update(value.contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]


def _chunks(size: int) -> Iterator[tuple[int, int]]:
    return ((start, min(start + _CHUNK, size)) for start in range(0, size, _CHUNK))
