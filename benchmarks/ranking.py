"""The whole ranking against the bare vector search, in one process, with where the time goes.

    python benchmarks/ranking.py [--vectors 100000] [--rounds 15] [--json]

The whole of it: encode the words, look them up in the word index, rank, test two filters, judge and
cut off, read where the files lie, fold near-identical ones, give 20 hits. The bare search: the 20
nearest of the same vector. The library is made here: pictures of a few subjects among noise, each
subject drawn around the vector of its words, every tenth near-identical to the one before; dates
over ten years, three cameras.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from measure import arguments, note, report
from synthetic import make_library

from pictor.library import caption_bank
from pictor.library.encoders import towers
from pictor.library.observer import SILENT
from pictor.library.records import FloatMatrix, Metadata
from pictor.library.store import Store
from pictor.search.engine import Engine
from pictor.search.query import parse

SUBJECTS = ("a dog on the beach", "a red car", "两个孩子在雪地里玩", "a bowl of fruit")
SHARE = 0.02  # of the library for each subject
CAMERAS = ("SONY ILCE-7M3", "Canon EOS R5", "Apple iPhone 14")
QUERIES = (
    ("words", "a dog on the beach"),
    ("words, two filters (1 in 6)", "a dog on the beach after:2021 camera:sony"),
    ("words, two filters (1 in 30)", "两个孩子在雪地里玩 taken:2023 camera:canon"),
    ("words, two filters (1 in 400)", "a red car taken:2023-05 camera:apple"),
    ("words that nothing shows", "an aeroplane above the clouds after:2021 camera:sony"),
)
TOP = 20
BAR = 3.0


def main() -> None:
    """Time both in turn for each query and print medians, and the medians of each step."""
    options = arguments(__doc__, vectors=100_000, rounds=15)
    with tempfile.TemporaryDirectory() as folder:
        note(f"making a library of {options.vectors:,} vectors…")
        home = Path(folder) / "library"
        paths = [b"%03d/%08d.jpg" % (i // 1000, i) for i in range(options.vectors)]
        facts, vectors = drawn_facts(options.vectors), drawn_vectors(options.vectors)
        make_library(home, Path(folder) / "p", paths, on_disk=False, facts=facts, vectors=vectors)
        with Store.open(home) as library, library.writer():
            note("filling the background…")
            caption_bank.fill(library, library.space(), SILENT)
        with Store.open(home) as library, Engine(library) as engine:
            rows = [measure(engine, name, text, options.rounds) for name, text in QUERIES]
    report("ranking", rows, as_json=options.json)


def measure(engine: Engine, name: str, text: str, rounds: int) -> dict[str, Any]:
    """One query: medians in milliseconds."""
    query = parse(text)
    space = engine._library.space()
    with engine._encoder._towers.text(space) as tower:
        vector = tower.encode([query.words or ""])
    index = engine._indexes.current(space)
    engine.search(query)  # opens what is opened once
    bare, whole, steps = [], [], []
    for _ in range(rounds):
        started = time.perf_counter()
        index.search(vector, TOP)
        between = time.perf_counter()
        ranking = engine.search(query)
        whole.append(time.perf_counter() - between)
        bare.append(between - started)
        steps.append(ranking.plan.trace.seconds)
    row: dict[str, Any] = {"query": name, "hits": len(ranking.hits)}
    row |= {"bare ms": median_ms(bare), "whole ms": median_ms(whole)}
    row |= {"ratio": row["whole ms"] / row["bare ms"], "bar": BAR}
    for step in ("encode", "words", "vectors", "filter", "cut-off", "describe", "fold"):
        row[step] = median_ms([seconds.get(step, 0.0) for seconds in steps])
    return row


def median_ms(seconds: list[float]) -> float:
    """The median in milliseconds."""
    return 1000 * statistics.median(seconds)


def drawn_facts(n: int) -> list[Metadata]:
    """Dates over ten years and three cameras."""
    rng = np.random.default_rng(20261121)
    months, cameras = rng.integers(0, 120, n), rng.integers(0, len(CAMERAS), n)
    return [
        Metadata(
            format="JPEG",
            width=640,
            height=480,
            taken_at=f"{2016 + month // 12}-{month % 12 + 1:02}-11T10:00:00",
            camera=CAMERAS[camera],
        )
        for month, camera in zip(months.tolist(), cameras.tolist(), strict=True)
    ]


def drawn_vectors(n: int) -> FloatMatrix:
    """(n, d) unit rows: noise, and subjects around the vectors of their words."""
    rng = np.random.default_rng(20261122)
    subjects = towers.open_text_encoder(towers.resolve_card("builtin")).encode(list(SUBJECTS))
    rows = rng.standard_normal((n, subjects.shape[1]), dtype=np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    for subject, vector in enumerate(subjects):
        some = rng.choice(n, int(SHARE * n), replace=False)
        strength = rng.uniform(0.3, 0.6, (len(some), 1)).astype(np.float32)
        rows[some] = strength * vector + (1 - strength) * rows[some]
        note(f"{SUBJECTS[subject]}: {len(some):,}")
    twins = np.arange(10, n, 10)
    rows[twins] = rows[twins - 1] + 0.002 * rng.standard_normal(rows[twins].shape, np.float32)
    unit: FloatMatrix = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


if __name__ == "__main__":
    main()
