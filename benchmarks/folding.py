"""From which cosine on two pictures are shown as one: copies of photos against different photos.

python benchmarks/folding.py PHOTOS [--encoder builtin] [--photos 1000] [--copied 200] [--json]

Every photo of a folder is encoded, and of some of them copies as they come about: smaller, strongly
compressed, a little brighter, a little cut. Printed are, at several thresholds, the share of copies
that fold into their photo and the share of photos that fold into another one, for
`search/ranking/folding.py`, whose thresholds are by encoder family.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from measure import note, report
from PIL import Image, ImageEnhance

from pictor.library.encoders import towers
from pictor.library.encoders.base import ImageEncoder
from pictor.library.images import Limits, decode
from pictor.library.records import FloatMatrix
from pictor.search.ranking import folding

LIMITS = Limits(max_pixels=100_000_000, frames=1)
THRESHOLDS = (0.9, 0.92, 0.94, 0.95, 0.96, 0.97, 0.98, 0.99)
BATCH = 32


def main() -> None:
    """Encode, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--encoder", default="builtin")
    parser.add_argument("--photos", type=int, default=1000)
    parser.add_argument("--copied", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    photos = sorted(options.folder.rglob("*.jp*g"))[: options.photos]
    if not photos:
        raise SystemExit(f"there is no JPEG below {str(options.folder)!r}")
    encoder = towers.open_image_encoder(towers.resolve_card(options.encoder))
    note(f"encoding {len(photos):,} photos and {len(COPIES)} copies of {options.copied:,}…")
    data = [path.read_bytes() for path in photos]
    vectors = encode(encoder, data)
    copied = vectors[: options.copied]
    likeness = {}
    for name, copy in COPIES.items():
        copies = [copy(Image.open(io.BytesIO(content))) for content in data[: len(copied)]]
        likeness[name] = (encode(encoder, copies) * copied).sum(axis=1)
    nearest = np.sort((vectors @ vectors.T - 2 * np.eye(len(vectors))).max(axis=1))
    note(f"family {encoder.card.family}; nearest different photos: {nearest[-6:]}")
    rows = []
    for threshold in THRESHOLDS:
        groups = folding.fold(vectors, threshold)
        row: dict[str, object] = {"threshold": threshold}
        row |= {f"{name} %": 100 * (found >= threshold).mean() for name, found in likeness.items()}
        row["different photos folded %"] = 100 * (1 - len(groups) / len(vectors))
        rows.append(row)
    report(f"folding, {options.encoder}", rows, as_json=options.json)


def encode(encoder: ImageEncoder, files: list[bytes]) -> FloatMatrix:
    """Unit vectors of some pictures."""
    spec = encoder.card.spec
    assert spec is not None
    rows = []
    for start in range(0, len(files), BATCH):
        decoded = [decode(data, [spec], LIMITS) for data in files[start : start + BATCH]]
        rows.append(encoder.encode([one.frames[0].pixels[0] for one in decoded]))
    return np.concatenate(rows)


def _saved(picture: Image.Image, quality: int = 90) -> bytes:
    buffer = io.BytesIO()
    picture.convert("RGB").save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _cut(picture: Image.Image) -> Image.Image:
    dx, dy = round(picture.width * 0.02), round(picture.height * 0.02)
    return picture.crop((dx, dy, picture.width - dx, picture.height - dy))


COPIES: dict[str, Callable[[Image.Image], bytes]] = {
    "half the size": lambda p: _saved(p.resize((p.width // 2, p.height // 2))),
    "quality 40": lambda p: _saved(p, 40),
    "brighter by 10": lambda p: _saved(ImageEnhance.Brightness(p).enhance(1.1)),
    "4 cut off": lambda p: _saved(_cut(p)),
}

if __name__ == "__main__":
    main()
