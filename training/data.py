"""The training and measuring data: photos as one uint8 array a set, captions as lists of texts.

Owns the layout of the data folder. Knows nothing about models. Photos are decoded once, squashed
to ``EDGE_PX`` square (as Flickr8k is delivered), and kept as a memory map in a cache folder.
"""

from __future__ import annotations

import io
import json
import tarfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

EDGE_PX = 224  # Flickr8k photos come as 224x224; more would only be interpolation
LANGUAGES = ("en", "zh")

Pixels = NDArray[np.uint8]  # (n, EDGE_PX, EDGE_PX, 3), RGB


@dataclass(frozen=True)
class PhotoSet:
    """Photos with captions: row i of ``pixels`` belongs to ``captions[language][i]``."""

    pixels: Pixels
    captions: dict[str, list[list[str]]]
    labels: list[str]  # class of each photo; "" where the set has captions of its own

    def __len__(self) -> int:
        return len(self.pixels)

    def texts(self, language: str) -> tuple[list[str], NDArray[np.int64]]:
        """All captions of a language, and for each the row of its photo, in row order."""
        groups = self.captions[language]
        owner = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
        return [text for group in groups for text in group], owner


def read_jsonl(path: Path) -> list[dict[str, object]]:
    """The records of a JSON-lines file, in file order."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]


def load_flickr(data: Path, split: str, cache: Path) -> PhotoSet:
    """A Flickr8k split ("train" or "val"; "test" is left to ``training.evaluate``)."""
    if split not in ("train", "val"):
        raise ValueError(f"split {split!r} is not for training; expected 'train' or 'val'")
    records = read_jsonl(data / "flickr8k" / f"{split}.jsonl")
    names = [str(record["image"]) for record in records]
    pixels = _decoded(data / "flickr8k" / f"{split}.tar", names, cache / f"flickr8k_{split}.npy")
    captions = {language: [_strings(r[language]) for r in records] for language in LANGUAGES}
    return PhotoSet(pixels, captions, [""] * len(names))


def load_caltech(data: Path, cache: Path) -> PhotoSet:
    """The named Caltech101 photos; captions are the class names of ``class_names.toml``."""
    records = read_jsonl(data / "caltech101" / "train.jsonl")
    names = [str(record["image"]) for record in records]
    labels = [str(record["label"]) for record in records]
    pixels = _decoded(data / "caltech101" / "train.tar", names, cache / "caltech101.npy")
    table = load_class_names()
    captions = {language: [table[label][language] for label in labels] for language in LANGUAGES}
    return PhotoSet(pixels, captions, labels)


def load_class_names() -> dict[str, dict[str, list[str]]]:
    """Names of each Caltech101 class, by language."""
    path = Path(__file__).with_name("class_names.toml")
    table: dict[str, dict[str, list[str]]] = tomllib.loads(path.read_text(encoding="utf-8"))
    return table


def load_coco_groups(data: Path) -> list[list[str]]:
    """COCO val2017 captions grouped by photo (about five English captions each), text only."""
    path = data / "coco_captions_val2017.json"
    groups: dict[int, list[str]] = {}
    for record in json.loads(path.read_text(encoding="utf-8"))["annotations"]:
        groups.setdefault(record["image_id"], []).append(record["caption"].strip())
    return [group for group in groups.values() if len(group) > 1]


def load_name_pairs(data: Path) -> list[tuple[list[str], list[str]]]:
    """(English names, Chinese names) of one thing: emoji, by CLDR, and the Caltech101 classes."""
    pairs = []
    for record in read_jsonl(data / "emoji" / "all_names_en_zh.jsonl"):
        if record["tags_en"]:  # without tags: letters, flags and other signs
            pairs.append(([str(record["en"])], [str(record["zh"])]))
    pairs += [(names["en"], names["zh"]) for names in load_class_names().values()]
    return pairs


def _strings(value: object) -> list[str]:
    if not isinstance(value, list):
        raise TypeError(f"expected a list of captions, found {value!r}")
    return [str(text).strip() for text in value]


def _decoded(archive: Path, names: list[str], cache_file: Path) -> Pixels:
    """Pixels of the named members, in that order, decoded once into ``cache_file``."""
    if not cache_file.exists():
        cache_file.parent.mkdir(parents=True, exist_ok=True)
        partial = cache_file.with_suffix(".partial")
        row_of = {name: row for row, name in enumerate(names)}
        shape = (len(names), EDGE_PX, EDGE_PX, 3)
        pixels = np.lib.format.open_memmap(partial, mode="w+", dtype=np.uint8, shape=shape)
        for name, image in _members(archive):
            if name in row_of:
                pixels[row_of.pop(name)] = image
        if row_of:
            first = next(iter(row_of))
            raise ValueError(f"{archive} lacks {len(row_of)} photos, such as {first!r}")
        pixels.flush()
        partial.rename(cache_file)
    loaded: Pixels = np.load(cache_file, mmap_mode="r")
    return loaded


def _members(archive: Path) -> Iterator[tuple[str, Pixels]]:
    with tarfile.open(archive) as tar:
        for member in tar:
            handle = tar.extractfile(member)
            if handle is not None:
                with Image.open(io.BytesIO(handle.read())) as image:
                    yield Path(member.name).name, squash(image, EDGE_PX)


def squash(image: Image.Image, edge_px: int) -> Pixels:
    """The picture as (edge, edge, 3) uint8 RGB, its aspect ratio given up."""
    rgb = image.convert("RGB")
    if rgb.size != (edge_px, edge_px):
        rgb = rgb.resize((edge_px, edge_px), Image.Resampling.BICUBIC)
    return np.asarray(rgb, dtype=np.uint8)
