"""The training data: photos as one array a set, captions as lists of texts.

Owns the layout of the data folder and of the stamps. Knows nothing about models. Photos are decoded
once, squashed to ``EDGE_PX`` square (as Flickr8k is delivered), and kept as a memory map in a cache
folder.
"""

from __future__ import annotations

import io
import json
import re
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
HELD_OUT_A_CLASS = 3  # photos of each Caltech101 class that only measure
_EMOJI = "lobehub-fluent-emoji-3d-1.1.0.tgz"
_NO_THING = re.compile(
    r"\b(face|hand|hands|button|arrow|family|couple|kiss|clock|flag|sign|symbol|heart|square|circle"
    r"|diamond|skin tone|finger|thumbs|fist|mark|person|men|women|eyes)\b|:|o’clock|-thirty"
)
_STAMP_PX = 200  # the longer side of a stamp within its square

Pixels = NDArray[np.uint8]  # (n, EDGE_PX, EDGE_PX, 3), RGB; stamps have a fourth channel, alpha
Groups = dict[str, list[list[str]]]  # language -> the texts of each photo or concept


@dataclass(frozen=True)
class PhotoSet:
    """Photos with captions: row i of ``pixels`` belongs to ``captions[language][i]``."""

    pixels: Pixels
    captions: Groups
    labels: list[str]  # class of each photo, or its file name where the set has no classes

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
    return PhotoSet(pixels, captions, names)


def load_caltech(data: Path, cache: Path) -> PhotoSet:
    """The named Caltech101 photos; captions are the class names of ``class_names.toml``."""
    records = read_jsonl(data / "caltech101" / "train.jsonl")
    names = [str(record["image"]) for record in records]
    labels = [str(record["label"]) for record in records]
    pixels = _decoded(data / "caltech101" / "train.tar", names, cache / "caltech101.npy")
    table = load_class_names()
    captions = {language: [table[label][language] for label in labels] for language in LANGUAGES}
    return PhotoSet(pixels, captions, labels)


def held_out(labels: list[str]) -> NDArray[np.int64]:
    """Rows of Caltech101 photos that are never trained on: HELD_OUT_A_CLASS of each class."""
    rng = np.random.default_rng(0)
    rows: list[int] = []
    for label in sorted(set(labels)):
        of_class = [row for row, other in enumerate(labels) if other == label]
        rows += rng.permutation(of_class)[:HELD_OUT_A_CLASS].tolist()
    return np.array(sorted(rows), dtype=np.int64)


def load_stamps(extra: Path) -> PhotoSet:
    """Cut-out pictures of Tux Paint with a caption in English and, where there is one, Chinese.

    Letters, coins and other signs are left out, and so are mirrored twins.
    """
    from opencc import OpenCC  # evaluate.py reads photos too, and does without

    to_simplified = OpenCC("t2s").convert
    pixels: list[Pixels] = []
    labels: list[str] = []
    captions: Groups = {"en": [], "zh": []}
    for path in sorted((extra / "stamps").rglob("*.png")):
        name = path.relative_to(extra / "stamps")
        note = path.with_suffix(".txt")
        if name.parts[0] == "symbols" or path.stem.endswith(("_mirror", "_flip")):
            continue
        if not note.exists():
            continue
        english, chinese = _stamp_captions(note, to_simplified)
        if english:
            with Image.open(path) as image:
                pixels.append(_centred(image))
            labels.append(str(name))
            captions["en"].append([english])
            captions["zh"].append([chinese or english])
    if not pixels:
        raise ValueError(f"there are no stamps in {extra}; run: sh training/collect.sh {extra}")
    return PhotoSet(np.stack(pixels), captions, labels)


def load_emoji(data: Path, extra: Path, concepts: Concepts) -> PhotoSet:
    """Rendered emoji of Fluent Emoji, named by CLDR and by the concepts of the same name.

    Signs, clock faces, flags, smileys, families and variants in skin colour are left out.
    """
    records = read_jsonl(data / "emoji" / "all_names_en_zh.jsonl")
    file_of = {str(r["hexcode"]).lower().replace("-fe0f", ""): r for r in records}
    row_of = {names[0]: row for row, names in enumerate(concepts.names["en"])}
    pixels: list[Pixels] = []
    labels: list[str] = []
    captions: Groups = {"en": [], "zh": []}
    with tarfile.open(extra / _EMOJI) as tar:
        for member in sorted(tar.getmembers(), key=lambda each: each.name):
            record = file_of.get(Path(member.name).stem.replace("-fe0f", ""))
            file = tar.extractfile(member) if record is not None else None
            if record is None or file is None or not _is_thing(record):
                continue
            with Image.open(file) as image:
                pixels.append(_centred(image))
            labels.append(Path(member.name).name)
            row = row_of.get(str(record["en"]))
            for language in LANGUAGES:
                others = concepts.names[language][row] if row is not None else []
                captions[language].append(list(dict.fromkeys([str(record[language]), *others])))
    return PhotoSet(np.stack(pixels), captions, labels)


def _is_thing(record: dict[str, object]) -> bool:
    """Whether an emoji shows a thing, a person at something, or a place."""
    return bool(record["tags_en"]) and not _NO_THING.search(str(record["en"]))


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


@dataclass(frozen=True)
class Concepts:
    """Things and their names in both languages, of ``vocabulary.toml``, and emoji by CLDR."""

    names: Groups  # language -> the names of each concept
    row_of_key: dict[str, int]  # such as "lvis:mug"


def load_concepts(data: Path) -> Concepts:
    """Every concept; emoji without tags (letters, flags and other signs) are left out."""
    path = Path(__file__).with_name("vocabulary.toml")
    table = tomllib.loads(path.read_text(encoding="utf-8"))["concepts"]
    names: Groups = {language: [entry[language] for entry in table] for language in LANGUAGES}
    keys = {entry["key"]: row for row, entry in enumerate(table) if "key" in entry}
    for record in read_jsonl(data / "emoji" / "all_names_en_zh.jsonl"):
        if record["tags_en"]:
            for language in LANGUAGES:
                names[language].append([str(record[language])])
    return Concepts(names, keys)


def _strings(value: object) -> list[str]:
    if not isinstance(value, list):
        raise TypeError(f"expected a list of captions, found {value!r}")
    return [str(text).strip() for text in value]


def _stamp_captions(note: Path, to_simplified: object) -> tuple[str, str]:
    assert callable(to_simplified)
    lines = note.read_text(encoding="utf-8", errors="replace").splitlines() or [""]
    fields = dict(line.partition("=")[::2] for line in lines[1:])
    chinese = fields.get("zh_CN.utf8") or to_simplified(fields.get("zh_TW.utf8", ""))
    chinese = chinese.strip().rstrip("。.!！")
    return lines[0].strip().rstrip(".!"), chinese if re.search(r"[\u4e00-\u9fff]", chinese) else ""


def _centred(image: Image.Image) -> Pixels:
    """(EDGE_PX, EDGE_PX, 4): what is not transparent, scaled into the middle of a square."""
    rgba = image.convert("RGBA")
    box = rgba.getchannel("A").getbbox()
    rgba = rgba.crop(box) if box else rgba
    factor = _STAMP_PX / max(rgba.size)
    size = (max(8, round(rgba.width * factor)), max(8, round(rgba.height * factor)))
    rgba = rgba.resize(size, Image.Resampling.LANCZOS)
    square = Image.new("RGBA", (EDGE_PX, EDGE_PX))
    square.paste(rgba, ((EDGE_PX - rgba.width) // 2, (EDGE_PX - rgba.height) // 2))
    return np.asarray(square, dtype=np.uint8)


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
