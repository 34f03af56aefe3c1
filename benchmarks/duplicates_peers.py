"""What imagededup does, computed here by the same public algorithms, for a table side by side.

Its defaults: pHash and dHash with at most 10 bits apart, and the cosine of CNN features from 0.9.
Its files are opened by Pillow as they are stored: an EXIF orientation is not applied.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MOST_BITS = 10
LEAST_COSINE = 0.9

Pairs = set[tuple[int, int]]
Bits = NDArray[np.bool_]


def found(files: list[Path], start_weights: Path | None) -> dict[str, Pairs]:
    """By method, the pairs of positions in `files` that it calls duplicates."""
    images = [Image.open(one).convert("RGB") for one in files]
    pairs = {
        "pHash": _within(np.array([_phash(one) for one in images])),
        "dHash": _within(np.array([_dhash(one) for one in images])),
    }
    if start_weights is not None:
        vectors = _cnn(images, start_weights)
        rows, columns = np.nonzero(np.triu(vectors @ vectors.T >= LEAST_COSINE, 1))
        pairs["CNN"] = set(zip(rows.tolist(), columns.tolist(), strict=True))
    return pairs


def _phash(image: Image.Image) -> Bits:
    """32 x 32 grey levels, DCT-II, the 8 x 8 lowest against their median without the first."""
    grey = np.asarray(image.convert("L").resize((32, 32), Image.Resampling.LANCZOS), np.float64)
    steps = np.arange(32)
    basis = 2 * np.cos(np.pi * np.outer(steps, 2 * steps + 1) / 64)
    low = (basis @ grey @ basis.T)[:8, :8].ravel()
    return np.asarray(low >= np.median(low[1:]))


def _dhash(image: Image.Image) -> Bits:
    """Whether each of 9 x 8 grey levels is darker than its right neighbour."""
    grey = np.asarray(image.convert("L").resize((9, 8), Image.Resampling.LANCZOS), np.int16)
    return np.asarray(grey[:, 1:] > grey[:, :-1]).ravel()


def _within(bits: Bits) -> Pairs:
    rows = bits.astype(np.int16)
    apart = rows @ (1 - rows).T
    apart += apart.T
    left, right = np.nonzero(np.triu(apart <= MOST_BITS, 1))
    return set(zip(left.tolist(), right.tolist(), strict=True))


def _cnn(images: Iterable[Image.Image], weights: Path) -> NDArray[np.float32]:
    """Pooled features of an ImageNet MobileNet, unit rows."""
    import torch

    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from training.model import Backbone

    backbone = Backbone().eval()
    backbone.load_start(weights)
    mean = np.array([0.485, 0.456, 0.406], np.float32)
    spread = np.array([0.229, 0.224, 0.225], np.float32)
    rows = []
    with torch.inference_mode():
        for image in images:
            small = image.resize((224, 224), Image.Resampling.BILINEAR)
            pixels = (np.asarray(small, np.float32) / 255 - mean) / spread
            rows.append(backbone(torch.from_numpy(pixels).permute(2, 0, 1)[None])[0].numpy())
    vectors = np.array(rows, np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
