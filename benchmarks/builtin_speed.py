"""How fast the built-in encoder is: photos against a ViT-B/32 in the same run, and a text.

    python benchmarks/builtin_speed.py

The ViT-B/32 has drawn weights: speed does not depend on them. It runs as pictor would run it here
("auto"). Both encode the same pictures, already of their size, in batches of 16, in turn.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from index_throughput import open_encoder, vit_checkpoint
from measure import arguments, report

from pictor.library.encoders import towers
from pictor.library.encoders.base import EncoderOptions, ImageEncoder

BATCH = 16
TEXTS = ("a dog runs on the beach", "一只狗在沙滩上奔跑", "coffee", "two men in red shirts")


def main() -> None:
    """Print one row: photos a second of both, their ratio, and milliseconds a text."""
    options = arguments(__doc__, photos=96, rounds=5)
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        ours = towers.open_image_encoder(
            towers.resolve_card("builtin"), EncoderOptions(), cache / "builtin"
        )
        theirs = open_encoder(vit_checkpoint(cache / "vit", 32), cache / "cache", "auto")
        rates: list[list[float]] = [[], []]
        for _ in range(options.rounds + 1):  # the first round warms up
            for encoder, found in zip((ours, theirs), rates, strict=True):
                found.append(photos_a_second(encoder, options.photos))
        mine, other = (statistics.median(found[1:]) for found in rates)
    row = {
        "built-in photos/s": round(mine, 1),
        "ViT-B/32 photos/s": round(other, 1),
        "ratio": round(mine / other, 2),
        "bar": 3,
        "text ms": round(text_ms(), 2),
        "text bar ms": 5,
    }
    report("the built-in encoder", [row], as_json=options.json)


def photos_a_second(encoder: ImageEncoder, count: int) -> float:
    """Encoding alone, of random pixels of the encoder's size."""
    spec = encoder.card.spec
    assert spec is not None
    drawn = np.random.default_rng(0)
    pixels = [
        drawn.integers(0, 256, (spec.height, spec.width, 3), dtype=np.uint8) for _ in range(count)
    ]
    started = time.perf_counter()
    for start in range(0, count, BATCH):
        encoder.encode(pixels[start : start + BATCH])
    return count / (time.perf_counter() - started)


def text_ms() -> float:
    """Median time of one text, tokenizer and tower, once they are loaded."""
    with tempfile.TemporaryDirectory() as folder:
        encoder = towers.open_text_encoder(towers.resolve_card("builtin"), Path(folder))
        times = []
        for _ in range(50):
            for text in TEXTS:
                started = time.perf_counter()
                encoder.encode([text])
                times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times[len(TEXTS) :])


if __name__ == "__main__":
    main()
