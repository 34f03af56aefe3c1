"""The pool of decoding processes: crashes, hangs, bounded look-ahead, and no orphans."""

from __future__ import annotations

import multiprocessing
import os
import queue
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image

import pictor.indexer.dispatcher
import pictor.indexer.reader
import pictor.indexer.worker_pool
from pictor.indexer.messages import ReadOptions, ReadResult, ReadTask, Refusal, WorkerOptions
from pictor.indexer.pixel_blocks import Batch
from pictor.indexer.reader import BatchShape, Encoding, ReaderPool
from pictor.indexer.sources.base import Locator
from pictor.indexer.worker_pool import Worker, WorkerPool
from pictor.library.errors import PictorError
from pictor.library.images import Limits
from pictor.library.records import Decoded, ImageSpec, Reason

#: A worker whose decoder misbehaves on files whose names say so.
ODD_WORKER = """
    import os, time
    import pictor.indexer.worker
    from pictor.indexer.worker import main

    decode = pictor.indexer.worker.decode

    def odd(data, specs, limits, name, **options):
        name = os.path.basename(name)
        if b"crash" in name:
            os.abort()
        if b"exit" in name:
            os._exit(7)
        if b"hang" in name:
            time.sleep(600)
        if b"slow" in name:
            time.sleep(0.2)
        if b"deep" in name:
            def deeper(): return deeper()
            deeper()
        if b"memory" in name:
            raise MemoryError
        return decode(data, specs, limits, name, **options)

    pictor.indexer.worker.decode = odd
"""
SPEC = ImageSpec(64, 64)


@pytest.fixture
def odd_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "odd_worker.py").write_text(textwrap.dedent(ODD_WORKER))
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(pictor.indexer.reader, "WORKER_MODULE", "odd_worker")


class Encoder:
    """Takes batches as a lane does: keeps a copy of the pixels by task id, and releases."""

    def __init__(self, *, size: int = 4, releases: bool = True) -> None:
        self.size = size
        self.releases = releases
        self.pixels: dict[int, list[np.ndarray]] = {}
        self.sizes: list[int] = []
        self.pool: ReaderPool | None = None

    def shape(self, pool: ReaderPool) -> BatchShape:
        self.pool = pool
        return BatchShape(self.size, 1)

    def take(self, batch: Batch) -> None:
        assert self.pool is not None and self.pool.blocks is not None
        pictures = self.pool.blocks.pixels(batch.block, batch.rows, 0)
        self.sizes.append(len(batch.keys))
        for key, picture in zip(batch.keys, pictures, strict=True):
            self.pixels.setdefault(key.task_id, []).append(np.array(picture))
        if self.releases:
            self.pool.release(batch)


def pool(
    *,
    workers: int = 2,
    time_limit_s: float = 30,
    mib: float = 64,
    encoder: Encoder | None = None,
    patience_s: float = 60.0,
    frames: int = 1,
    **o: Any,
) -> ReaderPool:
    encoder = encoder or Encoder()
    options = WorkerOptions(
        specs=(SPEC,),
        reading=ReadOptions(
            limits=Limits(max_pixels=10**8, max_bytes=1 << 30, frames=frames),
            max_file_bytes=1 << 30,
            fetch_timeout_s=1.0,
        ),
        deadline_s=time_limit_s / 2,
    )
    return ReaderPool(
        options,
        workers=workers,
        time_limit_s=time_limit_s,
        lookahead_bytes=int(mib * (1 << 20)),
        wanted=o.get("wanted", lambda digests: [True] * len(digests)),
        encoding=Encoding(encoder.shape, encoder.take, patience_s),
    )


def draw(folder: Path, names: list[str]) -> Iterator[ReadTask]:
    for i, name in enumerate(names):
        path = folder / name
        Image.new("RGB", (80, 80), (i % 256, i // 256, 9)).save(path, "PNG")
        facts = path.stat()
        locator = Locator("file", os.fsencode(path))
        yield ReadTask(i, locator, facts.st_size, facts.st_mtime_ns)


def read_all(pool: ReaderPool, tasks: Iterator[ReadTask]) -> dict[int, ReadResult]:
    with pool:
        return {result.task_id: result for result in pool.run(tasks) if result is not None}


def reasons(results: dict[int, ReadResult]) -> list[Reason | None]:
    outcomes = [results[i].pictures for i in range(len(results))]
    return [o.reason if isinstance(o, Refusal) else None for o in outcomes]


@pytest.mark.usefixtures("odd_workers")
def test_one_bad_file_fails_alone_whatever_it_does(tmp_path: Path) -> None:
    names = ["a", "crash", "b", "exit", "c", "deep", "d", "memory", "e"]
    results = read_all(pool(), draw(tmp_path, names))
    assert reasons(results) == [
        None,
        Reason.CRASHED,
        None,
        Reason.CRASHED,
        None,
        Reason.CORRUPT,
        None,
        Reason.OUT_OF_MEMORY,
        None,
    ]
    crashed, exited = (results[i].pictures for i in (1, 3))
    assert isinstance(crashed, Refusal) and f"signal {signal.SIGABRT:d}" in crashed.detail
    assert isinstance(exited, Refusal) and "exit code 7" in exited.detail
    assert all(results[i].digest is not None for i in results)  # the content failed, not the path


@pytest.mark.usefixtures("odd_workers")
def test_many_files_that_crash_in_a_row_do_not_end_the_run(tmp_path: Path) -> None:
    count = pictor.indexer.worker_pool.MAX_DEATHS_IN_A_ROW + 2
    names = [f"crash{i}" for i in range(count)] + ["good"]
    results = read_all(pool(workers=2), draw(tmp_path, names))
    assert reasons(results) == [Reason.CRASHED] * count + [None]


@pytest.mark.usefixtures("odd_workers")
def test_a_hanging_file_ends_at_the_limit_and_the_others_go_on(tmp_path: Path) -> None:
    names = ["hang", *(f"{i}" for i in range(20))]
    results = read_all(pool(time_limit_s=1.0), draw(tmp_path, names))
    assert reasons(results) == [Reason.TIMEOUT] + [None] * 20
    outcome = results[0].pictures
    assert isinstance(outcome, Refusal) and "longer than 1 s" in outcome.detail


def test_workers_that_cannot_start_end_the_run_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pictor.indexer.reader, "WORKER_MODULE", "no_such_module_anywhere")
    with pytest.raises(PictorError, match=r"did not start .*pictor doctor"):
        read_all(pool(), draw(tmp_path, ["a", "b"]))


def test_a_worker_killed_while_idle_costs_no_file(tmp_path: Path) -> None:
    arrived: queue.Queue[ReadResult] = queue.Queue()

    def one_at_a_time() -> Iterator[ReadTask]:
        for task in draw(tmp_path, [f"{i}" for i in range(4)]):
            yield task
            arrived.get(timeout=60)  # its worker has nothing to do from here on
            workers = [
                child
                for child in psutil.Process().children()
                if any("pictor.indexer.worker" in part for part in child.cmdline())
            ]
            assert workers
            for worker in workers:
                worker.kill()
                worker.wait(60)

    results = []
    with pool(workers=1) as readers:
        for result in readers.run(one_at_a_time()):
            if result is not None:
                results.append(result)
                arrived.put(result)
    assert [type(result.pictures) for result in results] == [Decoded] * 4


def test_the_memory_bounds_what_is_decoded_ahead_of_the_encoder(tmp_path: Path) -> None:
    handed_out = 0

    def counted() -> Iterator[ReadTask]:
        nonlocal handed_out
        for task in draw(tmp_path, [f"{i}" for i in range(600)]):
            handed_out += 1
            yield task

    one = SPEC.height * SPEC.width * 3
    encoder = Encoder(size=4, releases=False)
    held: list[Batch] = []
    take = encoder.take
    encoder.take = lambda batch: (take(batch), held.append(batch))  # type: ignore[assignment]
    with pool(workers=2, mib=22 * one / (1 << 20), encoder=encoder) as reader:
        results = (result for result in reader.run(counted()) if result is not None)
        first = [next(results)]
        time.sleep(1.5)  # the pool would decode hundreds meanwhile
        assert sum(encoder.sizes) <= 22
        most = 22 + 2 * (pictor.indexer.dispatcher.BATCH_TASKS + 1)
        assert handed_out <= most + pictor.indexer.reader.QUEUED_TASKS + 1
        encoder.releases = True
        for batch in held:
            reader.release(batch)
        assert len(first) + sum(1 for _ in results) == 600
    assert sum(encoder.sizes) == 600


def test_results_without_pixels_are_bounded_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictor.indexer.reader, "QUEUED_RESULTS", 5)
    with pool(workers=1, wanted=lambda digests: [False] * len(digests)) as reader:
        results = (r for r in reader.run(draw(tmp_path, [f"{i}" for i in range(500)])) if r)
        next(results)
        time.sleep(0.7)
        assert reader._results.qsize() <= 6
        assert sum(1 for _ in results) == 499


def test_pixels_reach_the_encoder_as_they_were_decoded(tmp_path: Path) -> None:
    encoder = Encoder(size=4)
    results = read_all(pool(encoder=encoder), draw(tmp_path, [f"{i}" for i in range(11)]))
    assert sorted(encoder.pixels) == list(range(11))
    for number, (picture,) in encoder.pixels.items():
        assert picture.shape == (64, 64, 3) and (picture == (number, 0, 9)).all()
        decoded = results[number].pictures
        assert isinstance(decoded, Decoded) and decoded.frames[0].pixels == ()
    assert sum(encoder.sizes) == 11 and max(encoder.sizes) == 4


def draw_moving(folder: Path, name: str, frames: int) -> ReadTask:
    """A GIF whose frames are told apart by their grey."""
    images = [Image.new("RGB", (80, 80), (20 * i + 10,) * 3) for i in range(frames)]
    path = folder / name
    images[0].save(path, "GIF", save_all=True, append_images=images[1:], duration=100, loop=0)
    return ReadTask(0, Locator("file", os.fsencode(path)), -1, -1)


@pytest.mark.parametrize("slots", [1, 3, 64])
def test_frames_of_one_file_go_through_memory_of_any_size_in_their_order(
    tmp_path: Path, slots: int
) -> None:
    encoder = Encoder(size=4)
    one = SPEC.height * SPEC.width * 3
    reader = pool(encoder=encoder, frames=8, mib=slots * one / (1 << 20))
    results = read_all(reader, iter([draw_moving(tmp_path, "moving.gif", 8)]))
    decoded = results[0].pictures
    assert isinstance(decoded, Decoded) and len(decoded.frames) == 8
    greys = [int(picture.mean()) for picture in encoder.pixels[0]]
    assert greys == sorted(greys) and len(set(greys)) == 8


def test_a_picture_waits_for_its_batch_no_longer_than_it_may(tmp_path: Path) -> None:
    encoder = Encoder(size=100)
    over = threading.Event()

    def slow() -> Iterator[ReadTask]:
        yield from draw(tmp_path, ["a"])
        assert over.wait(60)

    with pool(encoder=encoder, patience_s=0.3) as reader:
        for _ in reader.run(slow()):
            if encoder.sizes:
                over.set()
    assert encoder.sizes == [1]


@pytest.mark.usefixtures("odd_workers")
def test_a_process_that_dies_costs_one_file_of_those_it_had(tmp_path: Path) -> None:
    """The others of its batch are decoded, each once for the encoder, and no slot is lost."""
    names = [f"{i}" for i in range(40)]
    for i in (3, 17, 39):
        names[i] = f"crash{i}"
    encoder = Encoder(size=4)
    one = SPEC.height * SPEC.width * 3
    reader = pool(workers=1, encoder=encoder, mib=20 * one / (1 << 20))
    asked: list[bytes] = []
    reader._dispatcher._wanted = lambda digests: [not asked.append(one) for one in digests]  # type: ignore[func-returns-value]
    results = read_all(reader, draw(tmp_path, names))
    bad = [i for i, reason in enumerate(reasons(results)) if reason is Reason.CRASHED]
    assert bad == [3, 17, 39] and len(results) == 40
    assert sorted(encoder.pixels) == [i for i in range(40) if i not in bad]
    assert all(len(pictures) == 1 for pictures in encoder.pixels.values())
    assert all(results[i].digest is not None for i in bad)  # the content failed, not the path


@pytest.mark.usefixtures("odd_workers")
def test_each_file_of_a_batch_has_the_whole_time_limit(tmp_path: Path) -> None:
    """Sixteen files of 0.2 s, given at once, take longer than the limit of one."""
    names = [f"slow{i}" for i in range(16)]
    results = read_all(pool(workers=1, time_limit_s=1.0), draw(tmp_path, names))
    assert reasons(results) == [None] * 16


@pytest.mark.parametrize("has_moved", [True, False])
def test_a_worker_that_went_on_just_before_its_time_was_up_is_not_blamed(
    monkeypatch: pytest.MonkeyPatch, *, has_moved: bool
) -> None:
    """What it is at by now is another file than the one that took so long."""
    monkeypatch.setattr(pictor.indexer.worker_pool, "Worker", SilentWorker)
    workers: WorkerPool[Any] = WorkerPool(None, "", "decoding", size=1, time_limit_s=30.0)
    workers.has_moved = lambda _: has_moved
    workers.give(SimpleNamespace(message="work"))
    (worker,) = workers.workers
    worker.is_ready, worker.deadline = True, time.monotonic() - 1
    said = list(workers.messages(0.0))
    if has_moved:
        assert said == [] and worker.deadline > time.monotonic() + 20
    else:
        assert [message.reason for _, message in said] == [Reason.TIMEOUT]
    workers.end()


class SilentWorker(Worker[Any]):
    """A process that is none and says nothing."""

    def __init__(self, *_: object) -> None:
        self.work, self.is_ready = None, False
        self.pipe, self._theirs = multiprocessing.Pipe()

    def end(self) -> None:
        self.pipe.close()


def test_a_process_that_waits_for_the_encoder_is_not_timed_out(tmp_path: Path) -> None:
    one = SPEC.height * SPEC.width * 3
    encoder = Encoder(size=1, releases=False)
    held: list[Batch] = []
    take = encoder.take
    encoder.take = lambda batch: (take(batch), held.append(batch))  # type: ignore[assignment]
    reader = pool(workers=1, time_limit_s=0.5, encoder=encoder, mib=1 * one / (1 << 20))
    found = {}
    with reader:
        for result in reader.run(draw(tmp_path, ["a", "b", "c"])):
            if result is not None:
                found[result.task_id] = result
            if held:
                time.sleep(1.2)
                reader.release(held.pop())
    assert reasons(found) == [None] * 3


@pytest.mark.usefixtures("odd_workers")
def test_a_file_that_is_read_again_is_not_asked_for_again(tmp_path: Path) -> None:
    """What says that a content is wanted would say that somebody has it by now."""
    asked: list[bytes] = []

    def once(digests: Sequence[bytes]) -> list[bool]:
        answers = [digest not in asked for digest in digests]
        asked.extend(digests)
        return answers

    names = ["crash", *(f"{i}" for i in range(12))]
    results = read_all(pool(workers=1, wanted=once), draw(tmp_path, names))
    assert reasons(results) == [Reason.CRASHED] + [None] * 12
    assert all(isinstance(results[i].pictures, Decoded) for i in range(1, 13))


def test_an_error_of_the_scan_reaches_the_caller(tmp_path: Path) -> None:
    def failing() -> Iterator[ReadTask]:
        yield from draw(tmp_path, ["a"])
        raise PictorError("the scan broke off")

    with pytest.raises(PictorError, match="broke off"):
        read_all(pool(workers=1), failing())


def test_a_run_that_is_left_ends_its_workers(tmp_path: Path) -> None:
    with pool(workers=2) as reader:
        results = reader.run(draw(tmp_path, [f"{i}" for i in range(50)]))
        next(result for result in results if result is not None)
        processes = [worker.process for worker in reader._pool.workers]
        results.close()  # type: ignore[attr-defined]
    assert all(process.poll() is not None for process in processes)


def memory_links(pid: int) -> Iterator[Path]:
    """Descriptors of a process that are the memory it shares with its parent."""
    for link in Path(f"/proc/{pid}/fd").iterdir():
        if re.search("memfd:pictor|left/", os.readlink(link)):
            yield link


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("hangs", [False, True])
def test_workers_end_when_their_parent_is_killed(tmp_path: Path, *, hangs: bool) -> None:
    """Also one that is in the middle of a decode that never ends."""
    (tmp_path / "odd_worker.py").write_text(textwrap.dedent(ODD_WORKER))
    name = "hang" if hangs else "fine"
    Image.new("RGB", (80, 80)).save(tmp_path / f"{name}.png")
    script = f"""
        import sys
        sys.path.insert(0, {str(tmp_path)!r})
        import pictor.indexer.reader
        pictor.indexer.reader.WORKER_MODULE = "odd_worker"
        from pictor.indexer.reader import ReaderPool
        from pictor.indexer.sources.base import Locator
        from pictor.indexer.messages import ReadOptions, ReadTask, WorkerOptions
        from pictor.library.images import Limits
        import time
        options = WorkerOptions((), ReadOptions(Limits(), 1 << 30, 1.0), 1.0)
        pool = ReaderPool(options, workers=1, time_limit_s=600, lookahead_bytes=1 << 20,
                          wanted=lambda digests: [True] * len(digests))
        def tasks():
            yield ReadTask(0, Locator("file", {os.fsencode(tmp_path / (name + ".png"))!r}), -1, -1)
            time.sleep(2)
            print(*[worker.process.pid for worker in pool._pool.workers], flush=True)
            time.sleep(600)
        for _ in pool.run(tasks()):
            pass
    """
    left = tmp_path / "left"
    left.mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        stdout=subprocess.PIPE,
        env=os.environ | {"TMPDIR": str(left)},
    ) as parent:
        assert parent.stdout is not None
        workers = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
        assert len(workers) == 1
        links = {os.readlink(link) for link in memory_links(workers[0].pid)}
        assert links and all(link.endswith("(deleted)") for link in links)  # it has no name
        parent.kill()
    _, alive = psutil.wait_procs(workers, timeout=5)
    assert not alive
    assert list(left.iterdir()) == []


def test_ctrl_c_ends_no_worker_not_even_one_that_just_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A terminal sends it to the whole group: a file must not be noted as crashed because of it."""
    started: list[Worker[Any]] = []

    class Interrupted(Worker[Any]):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            self.process.send_signal(signal.SIGINT)
            started.append(self)

    monkeypatch.setattr(pictor.indexer.worker_pool, "Worker", Interrupted)
    results = read_all(pool(workers=1), draw(tmp_path, ["a", "b"]))
    assert reasons(results) == [None, None]
    assert len(started) == 1


def test_a_script_without_a_main_guard_can_index(tmp_path: Path) -> None:
    """A spawned process of `multiprocessing` would run the script again, and index in it."""
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    script = tmp_path / "script.py"
    script.write_text(
        "from pictor import open_library\n"
        f"with open_library({str(tmp_path / 'lib')!r}) as library:\n"
        f"    print('indexed', library.index([{str(tmp_path / 'a.png')!r}]).indexed)\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert done.stdout == "indexed 1\n"


TELLING_WORKER = """
    import os
    from multiprocessing.connection import Connection

    def main(descriptor):
        names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")
        Connection(descriptor).send([os.environ.get(name) for name in names])
"""


@pytest.mark.parametrize(("asked", "given"), [(None, ["1", "1"]), ("3", ["3", "1"])])
def test_products_of_matrices_take_one_thread_unless_the_environment_says_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str | None, given: list[str]
) -> None:
    (tmp_path / "telling_worker.py").write_text(textwrap.dedent(TELLING_WORKER))
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    if asked:
        monkeypatch.setenv("OPENBLAS_NUM_THREADS", asked)
    worker: Worker[Any] = Worker(None, "telling_worker")
    try:
        assert worker.pipe.poll(60) and worker.pipe.recv() == given
    finally:
        worker.end()
