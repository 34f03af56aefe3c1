"""Searches a second of several threads that share one engine, against one thread.

    python benchmarks/concurrency.py [--vectors 20000] [--threads 8] [--seconds 5] [--rounds 3]
                                     [--searches 10000] [--json]

Text queries on a warm engine: encode, look up words, rank, judge and cut off, read where files are,
fold, give 20 hits. One thread and several are measured in turn, and the figures are medians. Then
the threads do `--searches` more between them, and the memory of the process is compared with what
it was before; `--searches 0` leaves that out.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

from measure import arguments, note, report
from ranking import drawn_facts, drawn_vectors
from synthetic import make_library

from pictor.library import caption_bank
from pictor.library.observer import SILENT
from pictor.library.store import Store
from pictor.search.engine import Engine
from pictor.search.query import Query, parse

TEXTS = (
    "a dog on the beach",
    "a red car",
    "两个孩子在雪地里玩",
    "a bowl of fruit",
    "a dog on the beach after:2021 camera:sony",
    "an aeroplane above the clouds",
)
BAR = 1.5
MOST_GROWTH = 0.02


def main() -> None:
    """Measure both in turn, then the growth of memory, and print one row."""
    options = arguments(__doc__, vectors=20_000, threads=8, seconds=5, rounds=3, searches=10_000)
    queries = [parse(text) for text in TEXTS]
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "library"
        note(f"making a library of {options.vectors:,} vectors…")
        paths = [b"%03d/%08d.jpg" % (i // 1000, i) for i in range(options.vectors)]
        facts, vectors = drawn_facts(options.vectors), drawn_vectors(options.vectors)
        make_library(home, Path(folder) / "p", paths, on_disk=False, facts=facts, vectors=vectors)
        with Store.open(home) as library, library.writer():
            caption_bank.fill(library, library.space(), SILENT)
        with Store.open(home) as library, Engine(library) as engine:
            for query in queries:
                engine.search(query)
            row: dict[str, Any] = {"vectors": options.vectors, "threads": options.threads}
            rates = [
                (rate(engine, queries, 1, options), rate(engine, queries, options.threads, options))
                for _ in range(options.rounds)
            ]
            one, many = (statistics.median(column) for column in zip(*rates, strict=True))
            row |= {"one /s": one, "all /s": many, "ratio": many / one, "bar": BAR}
            if options.searches:
                row |= growth(engine, queries, options.threads, options.searches)
    report("concurrency", [row], as_json=options.json)


def rate(engine: Engine, queries: list[Query], threads: int, options: Any) -> float:
    """Searches a second."""
    end = time.perf_counter() + options.seconds

    def search(number: int) -> int:
        done = 0
        while time.perf_counter() < end:
            engine.search(queries[(number + done) % len(queries)])
            done += 1
        return done

    started = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        done = sum(pool.map(search, range(threads)))
    return done / (time.perf_counter() - started)


def growth(engine: Engine, queries: list[Query], threads: int, searches: int) -> dict[str, Any]:
    """Megabytes before and after some searches, and the share they grew by."""
    numbers, lock = count(), threading.Lock()

    def search(_: int) -> None:
        while True:
            with lock:
                number = next(numbers)
            if number >= searches:
                return
            engine.search(queries[number % len(queries)])

    before = resident_mb()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(search, range(threads)))
    after = resident_mb()
    share = (after - before) / before
    return {"MB before": before, "MB after": after, "growth": share, "most": MOST_GROWTH}


def resident_mb() -> float:
    """What the process takes of memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    main()
