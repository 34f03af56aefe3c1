"""The word index: how long a query takes, how large it is, and what it costs while indexing.

python benchmarks/words.py [--contents 100000] [--files 2000] [--rounds 3] [--json]

First a catalog of made-up names, every tenth with a Chinese caption, is searched; then a real run
over small pictures is held against one whose catalog has no triggers, so that no words are written.
"""

from __future__ import annotations

import os
import random
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from measure import arguments, cost, medians, note, report
from PIL import Image
from sqlalchemy import inspect, text

from pictor import open_library
from pictor.library.catalog import contents, files, words
from pictor.library.catalog.rows import ContentChange, FileChange
from pictor.library.config import Settings
from pictor.library.hashing import content_hash
from pictor.library.records import Caption, Metadata, Outcome
from pictor.library.store import Store

BATCH = 2000
REPEATS = 9
CHARACTERS = (
    "山水海天云雨雪风花草树木鸟鱼狗猫马牛羊人家门窗桥路船车灯红黄蓝绿白黑大小高老新春夏秋冬"
)


def main() -> None:
    """Both measurements, each a table."""
    options = arguments(__doc__, contents=100_000, files=2000, rounds=3)
    with tempfile.TemporaryDirectory() as folder:
        rows = searched(Path(folder) / "library", options.contents)
        report("word queries", rows, as_json=options.json)
    if options.files:
        with tempfile.TemporaryDirectory() as folder:
            rows = indexed(Path(folder), options.files, options.rounds)
            report("indexing with and without words", rows, as_json=options.json)


def searched(home: Path, count: int) -> list[dict[str, object]]:
    """Fill a catalog with names and ask it."""
    rng = random.Random(20261121)
    vocabulary = [made_word(rng) for _ in range(5000)]
    with Store.create(home, Settings()) as library:
        note(f"making {count:,} contents…")
        with library.writer(), cost() as filling:
            fill(library, count, vocabulary, rng)
        with library.reading() as connection:
            size = connection.scalar(text("SELECT sum(pgsize) FROM dbstat WHERE name LIKE 'word%'"))
            queries = {
                "one name": f"IMG_{count // 2:08d}",
                "a rare word": vocabulary[-1],
                "two words": f"{vocabulary[7]} {vocabulary[8]}",
                "a word of every name": "img",
                "a common and a rare word": f"img {vocabulary[-1]}",
                "two Chinese characters": "海天",
                "four Chinese characters": "山水海天",
                "nothing there": "xylophone quartet",
            }
            found = {}
            for name, query in queries.items():
                taken = []
                for _ in range(REPEATS):
                    started = time.process_time()  # one thread; the wall is the machine's business
                    hits = words.find(connection, query, 100)
                    taken.append(1000 * (time.process_time() - started))
                found[name] = (statistics.median(taken), len(hits))
    shared = {"contents": count, "filling CPU s": filling.cpu_s, "index MB": size / 1e6}
    return [
        {**shared, "query": name, "CPU ms": ms, "hits of 100": hits}
        for name, (ms, hits) in found.items()
    ]


def fill(library: Store, count: int, vocabulary: list[str], rng: random.Random) -> None:
    """Contents with a name in a folder of two words, as rows; nothing is decoded."""
    with library.writing() as connection:
        root = files.add_root(connection, "folder", b"/photos", "")
        run = files.start_run(connection)
    for start in range(0, count, BATCH):
        found, placed = [], []
        for i in range(start, min(start + BATCH, count)):
            # the smaller the number, the more common the word, as in any language
            album = " ".join(vocabulary[int(5000 * rng.random() ** 3)] for _ in range(2))
            path = f"{2000 + i % 25}/{album}/IMG_{i:08d}.jpg".encode()
            digest = content_hash(path)
            texts = [Caption("".join(rng.choices(CHARACTERS, k=12)))] if i % 10 == 0 else []
            found.append(
                ContentChange(
                    digest, 1, Outcome.INDEXED, metadata=Metadata(), captions=tuple(texts)
                )
            )
            placed.append(FileChange(root, path, 1, 1, Outcome.INDEXED, hash=digest))
        with library.writing() as connection:
            contents.apply(connection, run, found, placed)


def made_word(rng: random.Random) -> str:
    """A word that could be one."""
    return "".join(
        rng.choice("bdfgklmnprst") + rng.choice("aeiou") for _ in range(rng.choice([2, 3]))
    )


def indexed(folder: Path, count: int, rounds: int) -> list[dict[str, object]]:
    """CPU seconds of whole runs over new files, with and without words, in turn."""
    photos = folder / "photos"
    note(f"drawing {count:,} small pictures…")
    draw(photos, count)
    pairs = []
    for i in range(rounds):
        spent = []
        for has_words in (True, False):
            home = folder / f"library-{i}-{has_words}"
            Store.create(home, Settings()).close()
            if not has_words:
                drop_triggers(home)
            with open_library(home) as library, cost() as run:
                summary = library.index([photos])
            if summary.indexed != count:
                raise SystemExit(f"not everything was indexed: {summary}")
            spent.append(run.cpu_s)
        pairs.append(spent)
    on, off = medians(*zip(*pairs, strict=True))
    ratio = statistics.median(a / b for a, b in pairs)
    return [{"files": count, "with words CPU s": on, "without": off, "ratio": ratio}]


def draw(photos: Path, count: int) -> None:
    """Small distinct pictures, a hundred a folder."""
    rng = np.random.default_rng(20261121)
    for i in range(count):
        folder = photos / f"album {i // 100}"
        folder.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"IMG_{i:06d}.png")


def drop_triggers(home: Path) -> None:
    """A catalog in which nothing notes what changed."""
    with Store.open(home) as library, library.writer(), library.writing() as connection:
        assert inspect(connection).has_table("stale_word")
        names = connection.scalars(
            text("SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'stale%'")
        )
        for name in names.all():
            connection.execute(text(f"DROP TRIGGER {name}"))


if __name__ == "__main__":
    os.environ.setdefault("PICTOR_INDEX__WORKERS", "1")
    main()
