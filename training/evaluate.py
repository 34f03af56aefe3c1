"""Measure the shipped files themselves on the Flickr8k test split, exact search.

    python -m training.evaluate --data DATA --model library/encoders/builtin

Needs onnxruntime, tokenizers and Pillow only: no torch. Reads ``card.toml`` for the preprocessing,
so a wrong card shows up here as a low figure.
"""

from __future__ import annotations

import argparse
import json
import tarfile
import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image
from tokenizers import Tokenizer

from training.data import LANGUAGES, held_out, load_class_names, read_jsonl
from training.ranks import FloatMatrix, IntVector, first_ranks, recall

CUTS = (1, 5, 10)
BOOTSTRAP_DRAWS = 1000
THREADS = 2


@dataclass(frozen=True)
class Figures:
    """Recall in percent at ``CUTS``, each with its 95 % bootstrap interval."""

    recall: list[float]
    low: list[float]
    high: list[float]

    def __str__(self) -> str:
        parts = zip(CUTS, self.recall, self.low, self.high, strict=True)
        return "  ".join(f"R@{k} {r:4.1f} [{lo:.1f}, {hi:.1f}]" for k, r, lo, hi in parts)


class ShippedEncoder:
    """The files of one model folder, used as the product uses them."""

    def __init__(self, folder: Path, threads: int = THREADS) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.card = tomllib.loads((folder / "card.toml").read_text(encoding="utf-8"))
        self.image = onnxruntime.InferenceSession(folder / "image.onnx", options)
        self.text = onnxruntime.InferenceSession(folder / "text.onnx", options)
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))

    def pixels(self, image: Image.Image) -> NDArray[np.uint8]:
        """(h, w, 3) uint8: the picture resized exactly, as the card says."""
        size = (self.card["image"]["width"], self.card["image"]["height"])
        resample = Image.Resampling[self.card["image"]["resample"].upper()]
        rgb = image.convert("RGB")
        return np.asarray(rgb if rgb.size == size else rgb.resize(size, resample), dtype=np.uint8)

    def encode_images(self, pixels: Sequence[NDArray[np.uint8]], batch: int = 16) -> FloatMatrix:
        """(n, d) unit rows."""
        starts = range(0, len(pixels), batch)
        feeds = ({"pixels": np.stack(pixels[start : start + batch])} for start in starts)
        return np.concatenate([self.image.run(["vectors"], feed)[0] for feed in feeds])

    def encode_texts(self, texts: Sequence[str], batch: int = 64) -> FloatMatrix:
        """(n, d) unit rows."""
        parts = []
        for start in range(0, len(texts), batch):
            rows = [e.ids for e in self.tokenizer.encode_batch(list(texts[start : start + batch]))]
            ids = np.full(
                (len(rows), max(map(len, rows))), self.card["text"]["pad_id"], dtype=np.int64
            )
            mask = np.zeros_like(ids)
            for index, row in enumerate(rows):
                ids[index, : len(row)] = row
                mask[index, : len(row)] = 1
            parts.append(self.text.run(["vectors"], {"input_ids": ids, "attention_mask": mask})[0])
        return np.concatenate(parts)


def measure_retrieval(encoder: ShippedEncoder, data: Path) -> dict[str, Figures]:
    """Figures by name, such as ``en_text_to_image``; all captions of each language."""
    records = read_jsonl(data / "flickr8k" / "test.jsonl")
    folder = data / "flickr8k" / "test"
    photos = encoder.encode_images([_open(encoder, folder / str(r["image"])) for r in records])
    rows = np.arange(len(records))
    found = {}
    for language in (*LANGUAGES, "zh_translated"):
        texts, owner = _captions(records, language)
        vectors = encoder.encode_texts(texts)
        ranks = first_ranks(vectors, photos, owner, rows)
        found[f"{language}_text_to_image"] = bootstrap(ranks, owner)
        found[f"{language}_image_to_text"] = bootstrap(
            first_ranks(photos, vectors, rows, owner), rows
        )
    return found


def bootstrap(ranks: IntVector, photo: IntVector) -> Figures:
    """Recall with intervals from resampling photos, whose captions are not independent."""
    rng = np.random.default_rng(0)
    count = int(photo.max()) + 1
    captions = np.bincount(photo, minlength=count)
    found: list[tuple[float, float, float]] = []
    for k in CUTS:
        hits = np.bincount(photo, weights=ranks < k, minlength=count)
        drawn = rng.integers(0, count, (BOOTSTRAP_DRAWS, count))
        rates = hits[drawn].sum(axis=1) / captions[drawn].sum(axis=1) * 100
        low, high = np.percentile(rates, [2.5, 97.5])
        found.append((recall(ranks, k), float(low), float(high)))
    columns = [list(column) for column in zip(*found, strict=True)]
    return Figures(*columns)


def measure_classes(encoder: ShippedEncoder, data: Path) -> dict[str, tuple[float, float, float]]:
    """Zero-shot top-1 in percent, with its interval, of Caltech101 photos not trained on.

    By language of the class names; the first name of each class alone is asked.
    """
    records = read_jsonl(data / "caltech101" / "train.jsonl")
    labels = [str(record["label"]) for record in records]
    rows = held_out(labels)
    wanted = {str(records[row]["image"]): labels[row] for row in rows}
    pixels, truth = [], []
    with tarfile.open(data / "caltech101" / "train.tar") as tar:
        for member in tar:
            file = tar.extractfile(member) if Path(member.name).name in wanted else None
            if file is not None:
                with Image.open(file) as image:
                    pixels.append(encoder.pixels(image))
                truth.append(wanted[Path(member.name).name])
    photos = encoder.encode_images(pixels)
    names = load_class_names()
    classes = sorted(names)
    found = {}
    for language in LANGUAGES:
        vectors = encoder.encode_texts([names[label][language][0] for label in classes])
        best = (photos @ vectors.T).argmax(axis=1)
        right = np.array([classes[i] == label for i, label in zip(best, truth, strict=True)])
        drawn = np.random.default_rng(0).integers(0, len(right), (BOOTSTRAP_DRAWS, len(right)))
        low, high = np.percentile(right[drawn].mean(axis=1) * 100, [2.5, 97.5])
        found[language] = (float(right.mean() * 100), float(low), float(high))
    return found


def measure_speed(encoder: ShippedEncoder, data: Path, photos: int = 192) -> tuple[float, float]:
    """Images a second with decoding, and without it, in batches of 16."""
    paths = sorted((data / "flickr8k" / "test").iterdir())[:photos]
    started = time.perf_counter()
    pixels = [_open(encoder, path) for path in paths]
    decoded = time.perf_counter()
    encoder.encode_images(pixels)
    ended = time.perf_counter()
    return photos / (ended - started), photos / (ended - decoded)


def _open(encoder: ShippedEncoder, path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return encoder.pixels(image)


def _captions(records: list[dict[str, object]], language: str) -> tuple[list[str], IntVector]:
    texts: list[str] = []
    owner: list[int] = []
    for row, record in enumerate(records):
        captions = record[language]
        if not isinstance(captions, list):
            raise TypeError(f"expected a list of captions, found {captions!r}")
        texts += captions
        owner += [row] * len(captions)
    return texts, np.array(owner, dtype=np.int64)


def main() -> None:
    """Print the figures, one line each; ``--json`` prints one object instead."""
    parser = argparse.ArgumentParser(description="Measure the shipped built-in encoder.")
    parser.add_argument("--data", type=Path, required=True, help="the data folder")
    parser.add_argument("--model", type=Path, required=True, help="folder of the shipped files")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args()
    encoder = ShippedEncoder(options.model)
    figures = measure_retrieval(encoder, options.data)
    classes = measure_classes(encoder, options.data)
    with_decoding, without = measure_speed(encoder, options.data)
    if options.json:
        print(json.dumps({name: vars(figure) for name, figure in figures.items()}))
        return
    for name, figure in figures.items():
        print(f"{name:28} {figure}")
    for language, (top1, low, high) in classes.items():
        print(f"{language} class names, top-1    {top1:.1f} [{low:.1f}, {high:.1f}]")
    print(f"images/s, {THREADS} threads: {with_decoding:.0f} with decoding, {without:.0f} without")


if __name__ == "__main__":
    main()
