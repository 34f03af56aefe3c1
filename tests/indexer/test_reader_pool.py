"""The pool of decoding processes: crashes, hangs, bounded look-ahead, and no orphans."""

from __future__ import annotations

import itertools
import os
import queue
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image

import pictor.indexer.reader
import pictor.indexer.worker_pool
from pictor.indexer.reader import ReaderPool
from pictor.indexer.sources.base import Locator
from pictor.indexer.worker import ReadOptions, ReadResult, ReadTask, Refusal, WorkerOptions
from pictor.indexer.worker_pool import Worker
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


def pool(*, workers: int = 2, time_limit_s: float = 30, mib: float = 64, **o: Any) -> ReaderPool:
    options = WorkerOptions(
        specs=(SPEC,),
        reading=ReadOptions(
            limits=Limits(max_pixels=10**8, max_bytes=1 << 30, frames=1),
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
        wanted=o.get("wanted", lambda _: True),
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


def test_a_slow_consumer_bounds_what_is_decoded_ahead(tmp_path: Path) -> None:
    handed_out = 0

    def counted() -> Iterator[ReadTask]:
        nonlocal handed_out
        for task in draw(tmp_path, [f"{i}" for i in range(300)]):
            handed_out += 1
            yield task

    one = SPEC.height * SPEC.width * 3
    with pool(workers=2, mib=10 * one / (1 << 20)) as reader:
        results = (result for result in reader.run(counted()) if result is not None)
        first = list(itertools.islice(results, 3))
        time.sleep(1.0)  # the pool would decode hundreds meanwhile
        assert reader._waiting_bytes <= (10 + 2) * one
        assert handed_out <= 3 + 12 + pictor.indexer.reader.QUEUED_TASKS + 3
        assert len(first) + sum(1 for _ in results) == 300


def test_results_without_pixels_are_bounded_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictor.indexer.reader, "QUEUED_RESULTS", 5)
    with pool(workers=1, wanted=lambda _: False) as reader:
        results = (r for r in reader.run(draw(tmp_path, [f"{i}" for i in range(50)])) if r)
        next(results)
        time.sleep(0.7)
        assert reader._results.qsize() <= 6
        assert sum(1 for _ in results) == 49


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
        from pictor.indexer.worker import ReadOptions, ReadTask, WorkerOptions
        from pictor.library.images import Limits
        from pictor.library.records import ImageSpec
        import time
        options = WorkerOptions((ImageSpec(8, 8),), ReadOptions(Limits(), 1 << 30, 1.0), 1.0)
        pool = ReaderPool(options, workers=1, time_limit_s=600, lookahead_bytes=1 << 20,
                          wanted=lambda _: True)
        def tasks():
            yield ReadTask(0, Locator("file", {os.fsencode(tmp_path / (name + ".png"))!r}), -1, -1)
            time.sleep(2)
            print(*[worker.process.pid for worker in pool._pool.workers], flush=True)
            time.sleep(600)
        for _ in pool.run(tasks()):
            pass
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        workers = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
        assert len(workers) == 1
        parent.kill()
    _, alive = psutil.wait_procs(workers, timeout=5)
    assert not alive


def test_ctrl_c_ends_no_worker_not_even_one_that_just_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A terminal sends it to the whole group: a file must not be noted as crashed because of it."""
    started: list[Worker[Any]] = []

    class Interrupted(Worker[Any]):
        def __init__(self, options: object, module: str) -> None:
            super().__init__(options, module)
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
