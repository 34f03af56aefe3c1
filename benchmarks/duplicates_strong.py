"""Duplicates under strong change: precision and recall where everything happened to a copy at once.

    python benchmarks/duplicates_strong.py DATA [--pictures 24] [--copies 5] [--json]

DATA is the folder with `permissive_photos`, `emoji` and `flickr8k/test`. Of each set so many
pictures are taken, and of each picture so many copies: squashed to a square, mirrored, turned by
5 to 30 degrees either way and covered with noise of a standard deviation of 25 to 40 grey levels,
all in one file. They are indexed and compared as `pictor duplicates` does it.

`recall` is over pictures and their copies, `recall of all` also over two copies of one picture;
every pair of files of different pictures that comes out as a duplicate counts against `precision`.
Pictures that are alike to begin with (arrows to the left and to the right) are left out.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from duplicates_library import Made, Pairs, found_by_library
from duplicates_truth import Made as File
from duplicates_truth import encoded
from measure import cost, note, report
from PIL import Image

from pictor.library.images import load_rgb

SETS = ("permissive_photos/images", "emoji/images", "flickr8k/test")
#: Mean difference of grey levels of two small copies, in any orientation, that are one picture.
_ALIKE, _SMALL = 12.0, 24
_TURNS = (5.0, 30.0)
_NOISE = (25.0, 40.0)


def main() -> None:
    """A row of each set, and one of all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--pictures", type=int, default=24, help="of each set")
    parser.add_argument("--copies", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    paths = {name: _distinct(options.data / name, options.pictures) for name in SETS}
    for name in [name for name, some in paths.items() if not some]:
        note(f"{name} is not at {options.data}: left out")
        del paths[name]
    pictures = [path for some in paths.values() for path in some]
    if not pictures:
        return
    with tempfile.TemporaryDirectory() as home:
        files = list(_written(Path(home) / "files", pictures, options.copies))
        with cost() as spent:
            found = found_by_library(Path(home), files)
    rows, first = [], 0
    for name, some in paths.items():
        rows.append(_row(name, files, found, range(first, first + len(some))))
        first += len(some)
    rows.append(_row("all", files, found, range(first)) | {"CPU s": round(spent.cpu_s, 1)})
    report(f"duplicates_strong, {options.copies} copies each", rows, as_json=options.json)


def _distinct(folder: Path, count: int) -> list[Path]:
    """Pictures of a folder, always the same ones, none like another."""
    files = sorted(path for path in folder.glob("*") if path.is_file())
    random.Random(7).shuffle(files)
    kept: list[Path] = []
    seen: list[np.ndarray[Any, Any]] = []
    for path in files:
        small = load_rgb(path.read_bytes())[0].convert("L").resize((_SMALL, _SMALL))
        turned = [_turned(small, turn) for turn in (None, *Image.Transpose)]
        if any(np.abs(one - other).mean() < _ALIKE for one in turned for other in seen):
            continue
        kept.append(path)
        seen.append(turned[0])
        if len(kept) == count:
            break
    return kept


def _turned(image: Image.Image, turn: Image.Transpose | None) -> np.ndarray[Any, Any]:
    return np.asarray(image if turn is None else image.transpose(turn), np.float32)


def _written(folder: Path, pictures: Sequence[Path], copies: int) -> Iterator[Made]:
    """Pictures and their copies as files."""
    folder.mkdir()
    for number, path in enumerate(pictures):
        data = path.read_bytes()
        image = load_rgb(data)[0]
        made = [("photo", (data, path.suffix[1:]))]
        made += [("copy", changed(image, random.Random(f"{number} {i}"))) for i in range(copies)]
        for place, (role, (content, ending)) in enumerate(made):
            target = folder / f"{number:04d}_{place:02d}.{ending}"
            target.write_bytes(content)
            yield Made(target, number, role, "strong")


def changed(image: Image.Image, seed: random.Random) -> File:
    """Squashed, mirrored, turned and noisy, with the corners of the turn in one colour."""
    edge = max(image.size)
    image = image.resize((edge, edge), Image.Resampling.LANCZOS)
    image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    angle = seed.uniform(*_TURNS) * seed.choice((-1, 1))
    ground = seed.choice(("white", "black", "grey"))
    grows = seed.random() < 0.5
    image = image.rotate(angle, Image.Resampling.BICUBIC, grows, fillcolor=ground)
    sigma = seed.uniform(*_NOISE)
    grain = np.random.default_rng(seed.getrandbits(32)).normal(0, sigma, (*image.size[::-1], 3))
    pixels = np.clip(np.asarray(image, np.float32) + grain, 0, 255)
    return encoded(Image.fromarray(pixels.astype(np.uint8)))


def _row(name: str, files: Sequence[Made], found: Pairs, pictures: range) -> dict[str, Any]:
    """Precision and recall of the files of some pictures; pairs with others count as wrong."""
    mine = [i for i, one in enumerate(files) if one.photo in pictures]
    alike = [(i, j) for i, j in combinations(mine, 2) if files[i].photo == files[j].photo]
    plain = [(i, j) for i, j in alike if files[i].role == "photo"]
    held = set(mine)
    mixed = [one for one in found if held & set(one)]
    right = sum(files[i].photo == files[j].photo for i, j in mixed)
    return {
        "set": name,
        "pictures": len(pictures),
        "recall": round(sum(one in found for one in plain) / len(plain), 3),
        "recall of all": round(sum(one in found for one in alike) / len(alike), 3),
        "precision": round(right / len(mixed), 3) if mixed else 1.0,
    }


if __name__ == "__main__":
    main()
