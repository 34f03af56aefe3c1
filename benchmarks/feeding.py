"""Feeding an accelerator: how busy a run of the indexer keeps it, and what that costs the CPU.

    python benchmarks/feeding.py [--photos 20000] [--against CHECKOUT] [--json]

The accelerator is simulated and needs no GPU: a thread that takes one batch at a time, with two in
its queue, waits without the interpreter's lock for as long as a real one would compute (38 ms for
256 pictures of 224 × 224 is what a ViT-B/16 took on an H200) and gives unit vectors back. All else
is the real thing: files, decoding processes, catalog, commits, index. `--against` names another
checkout, such as a worktree of the commit before; its runs alternate with ours.

Printed for each run: files a second; the share of the time between its first and its last batch
that the accelerator computed; CPU milliseconds a file of the main process, all its threads, so
without decoding; commits; the peak memory of the main process. `bounds` has decoding alone and the
accelerator alone, and the share of the lesser one that the whole run reached.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import queue
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from measure import cost, medians, note, report
from PIL import Image

SIDE_PX = 224
BATCH = 256
DIMENSION = 512
HERE = Path(__file__).resolve().parent.parent
QUEUED = 2


def main() -> None:
    """Compare the checkouts on each scenario, or measure one run where `--child` asks for it."""
    options = parsed()
    if options.child:
        print(json.dumps(CHILDREN[options.child](options)))
        return
    with tempfile.TemporaryDirectory(prefix="pictor-feeding-") as name:
        folder = Path(name)
        rows = list(compared(folder, options))
        bounds = list(bounded(folder, options, rows))
    report("feeding", rows, as_json=options.json)
    report("bounds", bounds, as_json=options.json)


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object a table")
    parser.add_argument("--photos", type=int, default=20_000, help="small JPEGs")
    parser.add_argument("--others", type=int, default=2_000, help="WebP and PNG pictures")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch-ms", type=float, default=38.0, help="of 256 pictures")
    parser.add_argument("--slow-ms", type=float, default=1600.0, help="when decoding is no limit")
    parser.add_argument("--against", type=Path, help="another checkout")
    parser.add_argument("--only", nargs="*", choices=SCENARIOS, default=list(SCENARIOS))
    parser.add_argument("--child", choices=CHILDREN, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--home", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--lanes", type=int, default=1, help=argparse.SUPPRESS)
    return parser.parse_args()


# --- scenarios

#: By name: the pictures, whether the accelerator is the slow one, and how many there are.
SCENARIOS = {
    "JPEG": ("jpeg", False, 1),
    "JPEG, slow accelerator": ("jpeg", True, 1),
    "JPEG, two slow accelerators": ("jpeg", True, 2),
    "WebP and PNG": ("others", False, 1),
    "moved": ("jpeg", False, 1),
}


def compared(folder: Path, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A row for each scenario and checkout: medians of the rounds, which alternate."""
    make_jpegs(folder / "jpeg", options.photos)
    make_others(folder / "others", options.others)
    checkouts = {"this": HERE} | ({"other": options.against} if options.against else {})
    for scenario in options.only:
        pictures, is_slow, lanes = SCENARIOS[scenario]
        found: dict[str, list[dict[str, Any]]] = {name: [] for name in checkouts}
        for turn in range(options.rounds):
            for name, checkout in checkouts.items():
                if lanes > 1 and name == "other" and not has_lanes(checkout):
                    continue
                note(f"{scenario}, {name}, round {turn + 1}…")
                batch_ms = options.slow_ms if is_slow else options.batch_ms
                wanted = {"batch_ms": batch_ms * (2 if lanes > 1 else 1), "lanes": lanes}
                found[name].append(one_run(checkout, folder, scenario, pictures, wanted))
        for name, runs in found.items():
            if runs:
                names = [key for key in runs[0] if key != "files"]
                values = medians(*([run[key] for run in runs] for key in names))
                facts = dict(zip(names, values, strict=True))
                yield {"scenario": scenario, "checkout": name, "files": runs[0]["files"]} | facts


def one_run(
    checkout: Path, folder: Path, scenario: str, pictures: str, wanted: dict[str, Any]
) -> dict[str, Any]:
    """One run in a fresh library; of a scenario "moved" the run after all files were renamed."""
    with tempfile.TemporaryDirectory(dir=folder) as home:
        where = {"folder": folder / pictures, "home": Path(home) / "library"} | wanted
        if scenario != "moved":
            return child(checkout, "run", **where)
        child(checkout, "run", **(where | {"batch_ms": 0.0}))
        moved = folder / pictures / "moved"
        (folder / pictures / "a").rename(moved)
        try:
            return child(checkout, "run", **where)
        finally:
            moved.rename(folder / pictures / "a")


def has_lanes(checkout: Path) -> bool:
    """Whether a checkout knows several devices."""
    return (checkout / "indexer" / "lanes.py").exists()


def bounded(
    folder: Path, options: argparse.Namespace, rows: list[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """How near each of our runs came to the lesser of its two bounds."""
    decoding: dict[str, float] = {}
    for row in rows:
        pictures, is_slow, _ = SCENARIOS[row["scenario"]]
        if row["checkout"] != "this" or row["scenario"] == "moved":
            continue
        if pictures not in decoding:
            runs = [
                child(HERE, "decode", folder=folder / pictures, home=folder)
                for _ in range(options.rounds)
            ]
            (decoding[pictures],) = medians([run["files /s"] for run in runs])
        accelerator = 1000 * BATCH / (options.slow_ms if is_slow else options.batch_ms)
        yield {
            "scenario": row["scenario"],
            "decode alone /s": decoding[pictures],
            "accelerator alone /s": accelerator,
            "whole /s": row["files /s"],
            "whole ÷ lesser": row["files /s"] / min(decoding[pictures], accelerator),
        }


def child(checkout: Path, kind: str, **given: Any) -> dict[str, Any]:
    """What a process that imports pictor from a checkout measures."""
    command = [sys.executable, __file__, "--child", kind]
    for name, value in given.items():
        command += [f"--{name.replace('_', '-')}", str(value)]
    environment = os.environ | {"PYTHONPATH": str(checkout), "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment)
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured


# --- pictures


def drawn(seed: int) -> Image.Image:
    """A smooth picture with some grain, as a small photo has."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC), np.int16)
    grain = rng.integers(-5, 6, (SIDE_PX, SIDE_PX, 1), dtype=np.int16)
    return Image.fromarray(np.clip(smooth + grain, 0, 255).astype(np.uint8))


def make_jpegs(folder: Path, count: int) -> None:
    """JPEGs whose contents differ by a comment, which costs no drawing."""
    (folder / "a").mkdir(parents=True)
    buffer = io.BytesIO()
    drawn(0).save(buffer, "JPEG", quality=80)
    data = buffer.getvalue()
    for i in range(count):
        comment = f"photo {i:06d}".encode()
        marker = b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment
        (folder / "a" / f"{i:06d}.jpg").write_bytes(data[:2] + marker + data[2:])


def make_others(folder: Path, count: int) -> None:
    """WebP and PNG pictures, each drawn anew."""
    (folder / "a").mkdir(parents=True)
    for i in range(count):
        if i % 2:
            drawn(i).save(folder / "a" / f"{i:06d}.webp", quality=80, method=0)
        else:
            drawn(i).save(folder / "a" / f"{i:06d}.png", compress_level=1)


# --- the accelerator


class Accelerator:
    """An image encoder on a device that is not there: one batch at a time, two in its queue."""

    def __init__(self, card: Any, batch_ms: float) -> None:
        self.card = card
        self.batch_size = BATCH
        self.busy_s = 0.0
        self.began = self.ended = 0.0
        self._batch_s = batch_ms / 1000
        vectors = np.random.default_rng(0).standard_normal((BATCH, DIMENSION), np.float32)
        self._vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        self._queue: queue.Queue[tuple[int, Future[Any]] | None] = queue.Queue(QUEUED)
        threading.Thread(target=self._compute, daemon=True).start()

    def submit(self, pixels: Sequence[Any]) -> Callable[[], Any]:
        """Put a batch into the device's queue; calling what is returned waits for its vectors."""
        from pictor.library.encoders.batches import stack

        stack(pixels)  # what a real one copies to its device
        done: Future[Any] = Future()
        self._queue.put((len(pixels), done))
        return done.result

    def encode(self, pixels: Sequence[Any]) -> Any:
        """The vectors of n pictures."""
        starts = range(0, len(pixels), BATCH)
        return np.concatenate([self.submit(pixels[i : i + BATCH])() for i in starts])

    def lock_pages(self, memory: Any) -> None:
        """Nothing: it takes no pixels."""

    def close(self) -> None:
        """End the device's thread."""
        self._queue.put(None)

    def _compute(self) -> None:
        while (item := self._queue.get()) is not None:
            count, done = item
            began = time.perf_counter()
            self.began = self.began or began
            time.sleep(self._batch_s * max(0.25, count / BATCH))
            self.ended = time.perf_counter()
            self.busy_s += self.ended - began
            done.set_result(self._vectors[:count])


# --- what a child measures


def run(options: argparse.Namespace) -> dict[str, Any]:
    """One run of the indexer, from the scan to the last commit and the index."""
    from pictor.indexer.roots import resolve
    from pictor.indexer.run import index_scopes
    from pictor.indexer.sources.base import ScanOptions
    from pictor.library.observer import SILENT
    from pictor.library.store import Store

    with Store.create(options.home) as library, library.writer(), commits() as committed:
        scopes = resolve(library, [os.fsencode(options.folder)], ScanOptions())
        devices = [Accelerator(card(), options.batch_ms) for _ in range(options.lanes)]
        spaces = open_spaces(library, devices)
        before = len(committed)
        with cost() as spent:
            cpu = own_cpu_s()
            summary = index_scopes(library, spaces, scopes, SILENT)
            cpu = own_cpu_s() - cpu
        spaces.close()
    assert summary.encoded in (0, summary.seen), summary
    assert summary.failed == 0, summary
    began = min(device.began for device in devices)
    between_s = max(device.ended for device in devices) - began
    busy = sum(device.busy_s for device in devices) / len(devices)
    return {
        "files": summary.seen,
        "files /s": summary.seen / spent.wall_s,
        "busy": busy / between_s if between_s else 0.0,
        "main CPU ms": 1000 * cpu / summary.seen,
        "all CPU ms": 1000 * spent.cpu_s / summary.seen,
        "commits": len(committed) - before,
        "peak MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def decode(options: argparse.Namespace) -> dict[str, Any]:
    """Decoding alone, in the processes of the indexer, with nothing to encode or commit."""
    from pictor.indexer.messages import ReadOptions, ReadTask, WorkerOptions
    from pictor.indexer.reader import BatchShape, Encoding, ReaderPool
    from pictor.indexer.sources.base import Locator
    from pictor.indexer.worker_pool import worker_count
    from pictor.library.config import Settings

    settings = Settings()
    files = sorted(path for path in options.folder.rglob("*") if path.is_file())
    tasks = [
        ReadTask(i, Locator("file", bytes(file)), file.stat().st_size, file.stat().st_mtime_ns)
        for i, file in enumerate(files)
    ]
    pool: Any = None
    encoding = Encoding(lambda _: BatchShape(BATCH, 1), lambda batch: pool.release(batch), 3.0)
    with cost() as spent:
        pool = ReaderPool(
            WorkerOptions((card().spec,), ReadOptions.of(settings), 60.0),
            workers=worker_count(settings),
            time_limit_s=60.0,
            lookahead_bytes=settings.index.lookahead_mib << 20,
            wanted=lambda digests: [True] * len(digests),
            encoding=encoding,
        )
        with pool:
            read = sum(1 for result in pool.run(iter(tasks)) if result is not None)
    assert read == len(files)
    return {"files /s": read / spent.wall_s}


CHILDREN = {"run": run, "decode": decode}


def card() -> Any:
    """The card of the simulated encoder."""
    from pictor.library.records import EncoderCard, ImageSpec

    spec = ImageSpec(SIDE_PX, SIDE_PX)
    return EncoderCard("simulated", "vit", "1", DIMENSION, image_size=SIDE_PX, spec=spec)


def open_spaces(library: Any, devices: Sequence[Accelerator]) -> Any:
    """The one space of a library, with its encoder on simulated devices."""
    import pictor
    from pictor.indexer.spaces import OpenSpace, OpenSpaces
    from pictor.library.catalog import spaces as catalog_spaces
    from pictor.library.observer import SILENT

    if not library.spaces():
        with library.writing() as connection:
            catalog_spaces.add_space(connection, card(), default=True)
    (row,) = library.spaces()
    loaders = [lambda device=device: device for device in devices]
    knows_lanes = has_lanes(Path(pictor.__file__).parent.parent)
    space = OpenSpace(row, 0, loaders if knows_lanes else loaders[0])
    return OpenSpaces([space], [row.card.spec], SILENT)


@contextmanager
def commits() -> Iterator[list[None]]:
    """One entry for each transaction that was written in the block."""
    from sqlalchemy import Engine, event

    from pictor.library.catalog.connect import WRITES

    seen: list[None] = []

    def committed(connection: Any) -> None:
        if connection.get_execution_options().get(WRITES):
            seen.append(None)

    event.listen(Engine, "commit", committed)
    yield seen
    event.remove(Engine, "commit", committed)


def own_cpu_s() -> float:
    """CPU seconds of this process and all its threads, without its children."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    sys.exit(main())
