"""Every file seen has one outcome; the counts add up; one bad file takes nothing with it."""

from __future__ import annotations

import os
import shutil
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from small_world import StopAfter, World

import pictor.indexer.encode
import pictor.indexer.pipeline
import pictor.indexer.scan
import pictor.indexer.worker
from pictor.indexer.sources.base import FoundFile, Locator
from pictor.indexer.sources.folder import FolderSource
from pictor.library.encoders.onnx_image import OnnxImageEncoder
from pictor.library.errors import ImageError, ModelError
from pictor.library.records import Reason
from pictor.library.status import problems, status


def test_each_kind_of_outcome_is_counted_and_stored(world: World) -> None:
    (world.root / "text.txt").write_text("not a picture")
    (world.root / "empty.jpg").touch()
    whole = world.draw("good.png").read_bytes()
    (world.root / "cut.png").write_bytes(whole[: len(whole) // 2])
    (world.root / "noise.png").write_bytes(whole[:30] + os.urandom(500))
    summary = world.index()
    assert (summary.seen, summary.indexed, summary.skipped, summary.failed) == (5, 1, 2, 2)
    stored = world.files()
    assert stored["text.txt"] == ("skipped", Reason.NOT_MEDIA, False)
    assert stored["empty.jpg"] == ("skipped", Reason.EMPTY, False)
    assert stored["cut.png"][0] == stored["noise.png"][0] == "failed"
    again = world.index()
    assert (again.seen, again.unchanged, again.skipped, again.failed) == (5, 1, 2, 2)
    with world.open() as library:
        assert {os.path.basename(p.path): p.outcome for p in problems(library)} == {
            b"text.txt": "skipped",
            b"empty.jpg": "skipped",
            b"cut.png": "failed",
            b"noise.png": "failed",
        }
        assert all(problem.detail for problem in problems(library, page=1))
        held = status(library)
    assert (held.files, held.contents, held.items, held.failed, held.skipped) == (5, 1, 1, 2, 2)
    assert world.sql("SELECT state, json_extract(summary, '$.seen') FROM run ORDER BY id") == [
        ("finished", 5),
        ("finished", 5),
    ]


def test_only_what_may_be_gone_is_tried_again_and_all_of_it_when_asked(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[bytes] = []
    decode = pictor.indexer.worker.decode

    def failing(data: bytes, specs: object, limits: object, name: bytes, **o: Any) -> Any:
        tried.append(os.path.basename(name))
        reason = Reason.IO_ERROR if b"disk" in tried[-1] else Reason.CORRUPT
        raise ImageError(reason, "it is as it is")

    monkeypatch.setattr(pictor.indexer.worker, "decode", failing)
    world.draw("disk.png", 1)
    world.draw("file.png", 2)
    assert world.index().failed == 2
    tried.clear()
    assert world.index().failed == 2
    assert tried == [b"disk.png"]
    tried.clear()
    assert world.index(retry=True).failed == 2
    assert sorted(tried) == [b"disk.png", b"file.png"]
    monkeypatch.setattr(pictor.indexer.worker, "decode", decode)
    world.commit_always()  # also between decode and encode
    assert world.index(retry=True).indexed == 2
    assert world.verify().ok


def test_copies_of_a_refused_content_are_not_decoded_again_also_not_on_a_retry(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = 0

    def failing(*_: object, **__: object) -> Any:
        nonlocal tried
        tried += 1
        raise ImageError(Reason.TIMEOUT, "it took a minute")

    monkeypatch.setattr(pictor.indexer.worker, "decode", failing)
    # The first is in the catalog, as refused, before the second is asked for.
    world.commit_always()
    for name in ("a.png", "b.png", "c.png"):
        world.draw(name, 1)
    assert world.index().failed == 3
    assert tried == 1
    assert world.index(retry=True).failed == 3
    assert tried == 2
    shutil.copy(world.root / "a.png", world.root / "d.png")
    assert world.index().failed == 4
    assert tried == 2
    assert {row[1] for row in world.files().values()} == {Reason.TIMEOUT}


def test_a_content_that_becomes_bad_leaves_search_with_its_file(world: World) -> None:
    path = world.draw("a.png")
    world.draw("b.png")
    world.index()
    path.write_bytes(path.read_bytes()[:60])
    summary = world.index()
    assert (summary.unchanged, summary.failed) == (1, 1)
    assert set(world.found()) == {"b.png"}
    assert world.verify().ok


def spoiled(
    monkeypatch: pytest.MonkeyPatch, spoil: Callable[[np.ndarray, np.ndarray], None]
) -> None:
    """Let the encoder treat pictures that are red all over in its own way."""
    encode = OnnxImageEncoder.encode

    def odd(self: OnnxImageEncoder, pixels: Any) -> Any:
        vectors = encode(self, pixels)
        for picture, row in zip(pixels, vectors, strict=True):
            if (picture == (255, 0, 0)).all():
                spoil(picture, row)
        return vectors

    monkeypatch.setattr(OnnxImageEncoder, "encode", odd)


def test_a_vector_that_is_not_finite_fails_its_file_alone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nan(_: np.ndarray, row: np.ndarray) -> None:
        row[3] = np.nan

    spoiled(monkeypatch, nan)
    for i in range(4):
        world.draw(f"{i}.png")
    world.colour("red.png", (255, 0, 0))
    summary = world.index()
    assert (summary.indexed, summary.failed, summary.encoded) == (4, 1, 4)
    assert world.files()["red.png"] == ("failed", Reason.NOT_FINITE, False)
    assert world.verify().ok


def test_a_picture_on_which_the_encoder_raises_fails_alone_and_says_why(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Fail(Exception):
        """As those of onnxruntime: derived from Exception itself."""

    def fail(*_: object) -> None:
        raise Fail("a node returned a non-zero status")

    spoiled(monkeypatch, fail)
    for i in range(4):
        world.draw(f"{i}.png")
    world.colour("red.png", (255, 0, 0))
    summary = world.index()
    assert (summary.indexed, summary.failed) == (4, 1)
    with world.open() as library:
        (problem,) = problems(library)
    assert problem.path.endswith(b"/red.png")
    assert "failed on it: a node returned" in problem.detail


def test_an_encoder_that_fails_on_everything_is_blamed_and_the_files_are_not(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: object) -> Any:
        raise RuntimeError("CUDA error: device lost")

    for i in range(pictor.indexer.encode.MAX_FAILURES_IN_A_ROW + 2):
        world.draw(f"{i}.png", i)
    world.set(index__checkpoint_s=60.0)  # all of them in one batch, however slow the machine is
    monkeypatch.setattr(OnnxImageEncoder, "encode", lost)
    with pytest.raises(ModelError, match="'builtin' fails: CUDA error"):
        world.index()
    assert world.files() == {}
    monkeypatch.undo()


def test_a_crash_and_a_hang_are_outcomes_of_their_files_in_a_whole_run(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pictor.indexer.reader

    modules = world.folder / "modules"
    modules.mkdir()
    (modules / "odd_decoder.py").write_text(
        "import os, time, pictor.indexer.worker\n"
        "from pictor.indexer.worker import main\n"
        "decode = pictor.indexer.worker.decode\n"
        "def odd(data, specs, limits, name, **options):\n"
        "    name = os.path.basename(name)\n"
        "    if b'crash' in name: os.abort()\n"
        "    if b'hang' in name: time.sleep(600)\n"
        "    return decode(data, specs, limits, name, **options)\n"
        "pictor.indexer.worker.decode = odd\n"
    )
    monkeypatch.syspath_prepend(modules)
    monkeypatch.setattr(pictor.indexer.reader, "WORKER_MODULE", "odd_decoder")
    world.use_processes()
    world.set(index__time_limit_s=3.0, index__workers=2)
    for name in ("a", "b", "c", "crash", "hang"):
        world.draw(f"{name}.png")
    summary = world.index()
    assert (summary.indexed, summary.failed) == (3, 2)
    stored = world.files()
    assert stored["crash.png"][1] == Reason.CRASHED
    assert stored["hang.png"][1] == Reason.TIMEOUT
    world.set(index__time_limit_s=60.0)
    assert world.index().failed == 2  # known by their contents: neither is tried again


def test_text_that_no_database_takes_is_stored_readable(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A title or an error may hold lone surrogates and NULs; it must not take its batch with it."""

    decode = pictor.indexer.worker.decode

    def odd(data: bytes, specs: Any, limits: Any, name: bytes, **o: Any) -> Any:
        if b"bad" in name:
            raise ImageError(Reason.CORRUPT, "chunk \ud800\0 is odd")
        decoded = decode(data, specs, limits, name, **o)
        metadata = replace(decoded.metadata, title="a\udcff\0b", keywords=("\ud800",))
        return replace(decoded, metadata=metadata, warnings=("\udcff",))

    monkeypatch.setattr(pictor.indexer.worker, "decode", odd)
    for name in ("a.png", "bad.png", "c.png"):
        world.draw(name)
    summary = world.index()
    assert (summary.indexed, summary.failed) == (2, 1)
    assert world.sql("SELECT DISTINCT title FROM content WHERE outcome = 'indexed'") == [
        ("a\\udcff b",)
    ]
    with world.open() as library:
        assert problems(library)[0].detail.encode() == rb"chunk \ud800  is odd"


# --- stopping and going on


def test_a_stopped_run_keeps_what_it_did_and_the_next_one_does_the_rest(world: World) -> None:
    for i in range(20):
        world.draw(f"{i:02}.png", i)
    world.set(encoder__batch_size=4)
    first = world.index(observer=StopAfter(9))
    assert first.stopped
    assert 0 < first.indexed < 20
    assert first.indexed == first.encoded == first.items
    assert world.verify().ok
    assert len(world.search("a picture")) == first.items
    world.forget_work()
    second = world.index()
    assert not second.stopped
    assert (second.unchanged, second.indexed) == (first.indexed, 20 - first.indexed)
    assert world.encoded == 20 - first.indexed
    assert [row[0] for row in world.sql("SELECT state FROM run ORDER BY id")] == [
        "interrupted",
        "finished",
    ]


def test_a_stopped_run_calls_nothing_missing_that_it_did_not_come_to(world: World) -> None:
    for i in range(6):
        world.draw(f"{i}.png", i)
    world.index()
    world.draw("new.png")
    (world.root / "0.png").unlink()
    assert world.index(observer=StopAfter(0)).missing == 0
    assert world.index().missing == 1


def test_a_stopped_run_calls_nothing_missing_whose_new_place_it_did_not_come_to(
    world: World,
) -> None:
    for name in ("a.png", "b.png", "c.png"):
        world.draw(name)
    world.index()
    (world.root / "a.png").rename(world.root / "z.png")
    world.draw("b.png", 9)
    first = world.index(observer=StopAfter(1))
    assert first.stopped
    assert (first.moved, first.missing) == (0, 0)
    second = world.index()
    assert (second.moved, second.missing) == (1, 0)


def test_a_run_that_was_killed_is_marked_by_the_next(world: World) -> None:
    world.draw("a.png")
    world.index()
    world.sql("UPDATE run SET state = 'running', finished_at = NULL")
    world.index()
    assert [r[0] for r in world.sql("SELECT state FROM run ORDER BY id")] == [
        "interrupted",
        "finished",
    ]


# --- constant memory


def test_a_scan_of_many_unchanged_files_stays_in_constant_memory(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither side of the merge is held: rows come by pages, files one by one."""
    count = 80_000
    world.draw("a.png")
    world.index()
    world.sql(
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?) INSERT "
        "INTO file (id, root_id, path, size_bytes, mtime_ns, content_id, outcome, run_id) "
        "SELECT 10 + i, 1, CAST(printf('f/%07d.png', i) AS BLOB), 9, 9, 1, 'indexed', 1 FROM n",
        count,
    )
    monkeypatch.setattr(pictor.indexer.scan, "PAGE", 1000)
    real = FolderSource.scan

    def scan(self: FolderSource, prefix: bytes = b"") -> Iterator[Any]:
        yield from real(self, prefix)
        for i in range(count):
            path = b"f/%07d.png" % i
            yield FoundFile(path, 9, 9, Locator("file", b"/nowhere/" + path))

    monkeypatch.setattr(FolderSource, "scan", scan)
    monkeypatch.setattr("pictor.indexer.file_counter.FileCounter._run", lambda self: None)
    with world.open() as library:  # what is imported once is not the run's
        status(library)
    tracemalloc.start()
    try:
        summary = world.index()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (summary.seen, summary.unchanged, summary.missing) == (count + 1, count + 1, 0)
    assert peak < 3 << 20


@pytest.mark.slow
def test_hostile_files_are_indexed_in_bounded_memory(
    world: World, data_dir: Callable[[str], Path]
) -> None:
    import threading

    import psutil

    folder = data_dir("hostile")
    before = psutil.Process().memory_info().rss  # of all that other tests loaded
    peak = 0
    done = threading.Event()

    def sample() -> None:
        nonlocal peak
        me = psutil.Process()
        while not done.wait(0.2):
            total = 0
            for process in [me, *me.children(recursive=True)]:
                try:
                    total += process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            peak = max(peak, total)

    world.use_processes()
    world.set(index__workers=2)
    watcher = threading.Thread(target=sample)
    watcher.start()
    try:
        summary = world.index(folder)
    finally:
        done.set()
        watcher.join()
    there = sum(1 for path in folder.rglob("*") if path.is_file() and path.name[0] != ".")
    assert summary.seen == there
    assert summary.indexed > 100
    assert peak - before < 2 << 30
    assert world.verify().ok
    again = world.index(folder)
    assert (again.seen, again.failed, again.skipped) == (there, summary.failed, summary.skipped)


def test_pictures_of_every_shape_are_indexed(world: World) -> None:
    for size in ((1, 1), (1, 3000), (3000, 1), (7, 5)):
        Image.new("RGB", size, (9, 99, 199)).save(world.root / f"{size[0]}x{size[1]}.png")
    assert world.index().indexed == 4
    assert world.verify().ok
