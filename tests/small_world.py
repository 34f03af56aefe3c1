"""A folder of drawn pictures and a library beside it, for tests of catalog, pipeline and search.

Files are read in the test's own process (`InlineWorker`), so a run takes a fraction of a second and
what it decodes and encodes can be counted; the encoder is the real built-in one. Tests of worker
processes ask for `world.use_processes()`.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import shutil
import sqlite3
import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import pictor.indexer.pipeline
import pictor.indexer.worker
import pictor.indexer.worker_pool
from pictor.indexer.run import Summary, index
from pictor.indexer.worker_pool import Worker
from pictor.library.config import Settings
from pictor.library.encoders.onnx_image import OnnxImageEncoder
from pictor.library.observer import Silent
from pictor.library.records import Decoded, Hit
from pictor.library.store import Store
from pictor.library.verify import VerifyReport, verify
from pictor.search import query
from pictor.search.engine import Engine
from pictor.search.options import SearchOptions


class InlineWorker(Worker[Any]):
    """A decoding process that is a thread of the test, so that its decoder can be replaced."""

    def __init__(self, options: object, module: str, inherited: Sequence[int] = ()) -> None:
        self.work = None
        self.deadline = 0.0
        self.is_ready = False
        self.pipe, theirs = multiprocessing.Pipe()
        threading.Thread(target=self._serve, args=(theirs, options), daemon=True).start()

    def _serve(self, pipe: Any, options: Any) -> None:
        with pipe, contextlib.suppress(EOFError, OSError):  # the pool has ended
            pictor.indexer.worker.serve(pipe, options)

    def end(self) -> None:
        self.pipe.close()

    def exit_code(self) -> str:
        return "its thread"


def worker(options: object, module: str, inherited: Sequence[int] = ()) -> Worker[Any]:
    """What a pool is to start: a thread that decodes; what compares is a process, as always."""
    kind = InlineWorker if module == pictor.indexer.worker.__name__ else Worker
    return kind(options, module, inherited)


class StopAfter(Silent):
    """An observer that stops the run once so many files are settled."""

    def __init__(self, settled: int) -> None:
        self._limit = settled
        self._settled = 0
        self.notices: list[str] = []

    def progress(self, state: Any) -> None:
        self._settled = state.done

    def notice(self, text: str) -> None:
        self.notices.append(text)

    def should_stop(self) -> bool:
        return self._settled >= self._limit


class World:
    """Pictures under `root`, a library at `path`, and what was decoded and encoded so far.

    `encoded` counts what the built-in encoder was given; `Summary.encoded` counts in all spaces.
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.root = folder / "photos"
        self.root.mkdir()
        self.path = folder / "library"
        self.monkeypatch = monkeypatch
        self.settings = Settings().with_values(
            {"index.checkpoint_s": 0.1, "index.workers": 1, "encoder.threads": 1}, "test"
        )
        self.decoded = 0
        self.encoded = 0
        self._count_work()
        monkeypatch.setattr(pictor.indexer.worker_pool, "Worker", worker)

    def commit_always(self) -> None:
        """Commit at each result that is taken, not every few seconds."""
        loop = pictor.indexer.pipeline.run_loop
        self.monkeypatch.setattr(
            pictor.indexer.pipeline, "run_loop", lambda *given: loop(*given[:-1], -1.0)
        )

    def become(self, folder: Path) -> None:
        """Take over the pictures and the library of another one, in `folder`."""
        shutil.copytree(folder / "photos", self.root, dirs_exist_ok=True)
        shutil.copytree(folder / "library", self.path)
        self.sql("UPDATE root SET location = ?", os.fsencode(self.root))

    # --- pictures

    def draw(self, name: str, seed: int | None = None, *, size: int = 64) -> Path:
        """A noise picture, distinct by its seed (by its name if None); the folder is made."""
        seed = sum(name.encode()) * 7919 if seed is None else seed
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((size, size), Image.Resampling.NEAREST).save(path, "PNG")
        return path

    def colour(self, name: str, rgb: tuple[int, int, int]) -> Path:
        """A picture of one colour."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (64, 64), rgb).save(path, "PNG")
        return path

    # --- the library

    def set(self, **values: object) -> None:
        """Settings for the runs to come: `index__workers=2`."""
        flat = {name.replace("__", "."): value for name, value in values.items()}
        self.settings = self.settings.with_values(flat, "test")

    def open(self) -> Store:
        """The library, to be closed by the caller."""
        return Store.open(self.path, self.settings)

    def index(self, *roots: Path | bytes | str, **options: Any) -> Summary:
        """A run over `roots`, or over the one root if none is named."""
        named = [os.fsencode(root) for root in roots or [self.root]]
        return self.index_named(named, **options)

    def index_named(self, named: list[bytes], encoders: tuple[str, ...] = (), **o: Any) -> Summary:
        """A run over exactly `named`, which may be nothing."""
        with Store.create(self.path, self.settings) as library:
            summary = index(library, named, encoders, **o)
        check_counts(summary)
        return summary

    def verify(self) -> VerifyReport:
        with self.open() as library:
            return verify(library)

    def search(self, what: str | Path, *, top: int = 100, encoder: str | None = None) -> list[Hit]:
        """All hits of words, or of a picture by its path: nothing is cut off or folded."""
        part = query.image(what) if isinstance(what, Path) else query.words(what)
        options = SearchOptions(top=top, encoder=encoder, minimum="any", is_folded=False)
        with self.open() as library, Engine(library) as engine:
            return list(engine.search(query.Query((part,)), options).hits)

    def found(self) -> dict[str, str]:
        """Every path any hit of a broad search names, relative to the root, with its state."""
        states = {}
        for hit in self.search("a picture", top=10_000):
            for path in (hit.path, *hit.other_paths):
                states[os.path.relpath(os.fsdecode(path), self.root)] = hit.state
        return states

    def sql(self, statement: str, *values: object) -> list[Any]:
        """Rows of the catalog, asked without pictor. Changes are committed."""
        with closing(sqlite3.connect(self.path / "catalog.sqlite")) as connection, connection:
            return connection.execute(statement, values).fetchall()

    def files(self) -> dict[str, tuple[str, str | None, bool]]:
        """Path → (outcome, reason, is missing) of every row."""
        rows = self.sql("SELECT path, outcome, reason, missing_since IS NOT NULL FROM file")
        return {os.fsdecode(row[0]): (row[1], row[2], bool(row[3])) for row in rows}

    # --- what it cost

    def forget_work(self) -> None:
        self.decoded = self.encoded = 0

    def use_processes(self) -> None:
        """Read files in worker processes, as a real run does."""
        self.monkeypatch.setattr(pictor.indexer.worker_pool, "Worker", Worker)

    def _count_work(self) -> None:
        decode, encode = pictor.indexer.worker.decode, OnnxImageEncoder.encode

        def counted_decode(*args: Any, **options: Any) -> Decoded:
            self.decoded += 1
            return decode(*args, **options)

        def counted_encode(encoder: OnnxImageEncoder, pixels: Any) -> Any:
            self.encoded += len(pixels) if encoder.card.id == "builtin" else 0
            return encode(encoder, pixels)

        self.monkeypatch.setattr(pictor.indexer.worker, "decode", counted_decode)
        self.monkeypatch.setattr(OnnxImageEncoder, "encode", counted_encode)


def check_counts(summary: Summary) -> None:
    """The promise of every run: what it saw is the sum of what became of it."""
    parts = Counter(
        indexed=summary.indexed,
        unchanged=summary.unchanged,
        moved=summary.moved,
        skipped=summary.skipped,
        failed=summary.failed,
    )
    assert summary.seen == parts.total(), summary


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A fresh one."""
    return World(tmp_path, monkeypatch)
