"""The cache of an index is whole and its own, or it is not served."""

from __future__ import annotations

import errno
import fcntl
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pictor.library.errors import LibraryFull, LibraryLocked
from pictor.library.vectors import files
from pictor.library.vectors.cache import CacheInfo, IndexCache, Opened, Stamp, Unusable
from pictor.library.vectors.manifest import MANIFEST

D = 16
STEPS = ["make_folder", "write", "truncate", "sync_file", "sync_folder", "rename", "remove"]
KINDS = ["exact", "ivf"]
OLD = Stamp("library-1", 3, "f00d", 200, 7)
NEW = replace(OLD, count=260, last_change=9)


def rows(stamp: Stamp) -> tuple[Any, Any]:
    """As many vectors as the stamp counts; those of another `last_change` differ."""
    rng = np.random.default_rng(stamp.last_change)
    vectors = rng.standard_normal((stamp.count, D))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.arange(stamp.count, dtype=np.int64), vectors.astype(np.float16)


def blocks(stamp: Stamp) -> Iterator[tuple[Any, Any]]:
    ids, vectors = rows(stamp)
    for start in range(0, len(ids), 150):
        yield ids[start : start + 150], vectors[start : start + 150]


def build(cache: IndexCache, stamp: Stamp, kind: Any = "exact") -> CacheInfo:
    return cache.build(blocks(stamp), stamp.count, D, stamp, kind=kind)


def opened(cache: IndexCache) -> Opened:
    result = cache.open(OLD.library_id, OLD.space_id, OLD.fingerprint)
    assert isinstance(result, Opened), result
    return result


def refused(cache: IndexCache) -> str:
    result = cache.open(OLD.library_id, OLD.space_id, OLD.fingerprint)
    assert isinstance(result, Unusable)
    return result.reason


def check_serves(cache: IndexCache, stamp: Stamp) -> None:
    """The cache serves exactly the vectors of this stamp."""
    found = opened(cache)
    ids, vectors = rows(stamp)
    assert found.info.stamp == stamp
    assert len(found.index) == stamp.count
    best = found.index.search(vectors.astype(np.float32), 1, ids)
    np.testing.assert_array_equal(best.ids[:, 0], ids)
    found.index.close()


def names(cache: IndexCache) -> set[str]:
    return {path.name for path in cache.folder.iterdir()}


@pytest.fixture
def cache(tmp_path: Path) -> IndexCache:
    return IndexCache(tmp_path / "vectors" / "3")


class Killed(BaseException):
    """The process died here: nothing after this step happens."""


def arm(
    patch: pytest.MonkeyPatch, number: int, error: BaseException, *, dead: bool = False
) -> list[str]:
    """Make the n-th step from now raise, and every later one too if `dead`; the steps taken."""
    taken: list[str] = []

    def wrap(name: str, step: Callable[..., None]) -> Callable[..., None]:
        def run(*args: Any) -> None:
            taken.append(name)
            if len(taken) == number or (dead and len(taken) > number):
                raise error
            step(*args)

        return run

    for name in STEPS:
        patch.setattr(files, name, wrap(name, getattr(files, name)))
    return taken


def steps_of_a_build(kind: str, folder: Path) -> int:
    """How many steps it takes to replace one generation by another."""
    cache = IndexCache(folder)
    build(cache, OLD, kind)
    with pytest.MonkeyPatch.context() as patch:
        taken = arm(patch, 10**9, Killed())
        build(cache, NEW, kind)
    assert set(taken) == set(STEPS)
    return len(taken)


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_built_is_served(cache: IndexCache, kind: str) -> None:
    info = build(cache, OLD, kind)
    assert info.index_type.startswith(kind)
    assert info.recall_at_10 >= 0.95
    assert opened(cache).info == info == cache.info("library-1", 3, "f00d")
    assert info.size_bytes == sum(
        path.stat().st_size for path in (cache.folder / info.generation).iterdir()
    )
    assert cache.verify() == []
    check_serves(cache, OLD)


def test_a_small_library_is_exact_and_loads_no_faiss(cache: IndexCache) -> None:
    assert build(cache, OLD, "auto").index_type == "exact"


def test_auto_chooses_by_size(cache: IndexCache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pictor.library.vectors.cache.EXACT_MAX", 200)
    assert build(cache, OLD, "auto").index_type == "exact"
    assert build(cache, NEW, "auto").index_type == "ivf32-pq4"


def test_an_empty_space_has_a_cache_too(cache: IndexCache) -> None:
    stamp = replace(OLD, count=0)
    for kind in KINDS:
        assert build(cache, stamp, kind).recall_at_10 == 1.0
        assert len(opened(cache).index) == 0


def test_queries_like_those_asked_count_for_recall(cache: IndexCache) -> None:
    queries = np.random.default_rng(1).standard_normal((50, D)).astype(np.float32)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    info = cache.build(blocks(OLD), OLD.count, D, OLD, kind="ivf", queries=queries)
    assert 0.95 <= info.recall_at_10 <= 1


@pytest.mark.parametrize("kind", KINDS)
def test_changes_after_opening_stay_in_memory(cache: IndexCache, kind: str) -> None:
    build(cache, OLD, kind)
    index = opened(cache).index
    _, vectors = rows(NEW)
    index.add(np.array([500, 3], np.int64), vectors[:2])
    assert index.remove(np.array([5], np.int64)) == 1
    assert (len(index), index.changes) == (200, 4)
    assert index.search(vectors[:1].astype(np.float32), 1).ids[0, 0] == 500
    index.close()
    assert cache.verify() == []
    check_serves(cache, OLD)


@pytest.mark.parametrize(
    ("wanted", "word"),
    [
        (("library-2", 3, "f00d"), "library"),
        (("library-1", 4, "f00d"), "space"),
        (("library-1", 3, "beef"), "encoder"),
    ],
)
def test_a_cache_of_something_else_is_not_served(
    cache: IndexCache, wanted: tuple[str, int, str], word: str
) -> None:
    build(cache, OLD)
    for result in (cache.open(*wanted), cache.info(*wanted)):
        assert isinstance(result, Unusable)
        assert f"the cache is of {word}" in result.reason


def test_an_absent_cache_is_not_served(cache: IndexCache) -> None:
    assert "there is no cache" in refused(cache)
    assert "there is no cache" in cache.verify()[0]


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b"null",
        b'{"format": 1, "crc32": 0, "content": {}}',
        b'{"format": 2, "crc32": 0, "content": {}}',
        b"[" * 5000,
    ],
)
def test_a_damaged_manifest_is_not_served(cache: IndexCache, damage: bytes) -> None:
    build(cache, OLD)
    (cache.folder / MANIFEST).write_bytes(damage)
    assert "damaged" in refused(cache)
    build(cache, NEW)
    check_serves(cache, NEW)


def test_a_manifest_changed_by_one_value_is_not_served(cache: IndexCache) -> None:
    build(cache, OLD)
    path = cache.folder / MANIFEST
    data = json.loads(path.read_bytes())
    data["content"]["info"]["stamp"]["last_change"] += 1
    path.write_text(json.dumps(data))
    assert "checksum" in refused(cache)


@pytest.mark.parametrize("kind", KINDS)
def test_a_generation_with_a_damaged_file_is_not_served(cache: IndexCache, kind: str) -> None:
    folder = cache.folder / build(cache, OLD, kind).generation
    originals = {path: path.read_bytes() for path in folder.iterdir()}
    assert len(originals) >= 3
    for path, data in originals.items():
        longer = [] if path.name in files.GROWING else [data + b"\0"]
        for damaged in (data[:-1], *longer, data[: len(data) // 2], b"", None):
            path.unlink()
            if damaged is not None:
                path.write_bytes(damaged)
            assert "damaged" in refused(cache)
            assert cache.verify()
            path.write_bytes(data)
        for at in (0, len(data) - 1):
            path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
            assert "damaged" in refused(cache)
            path.write_bytes(data)
    check_serves(cache, OLD)


def test_verify_reads_every_byte(cache: IndexCache) -> None:
    stamp = replace(OLD, count=3000)
    folder = cache.folder / build(cache, stamp).generation
    path = folder / files.VECTORS_FILE
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert cache.verify() == [f"{str(path)!r} is not as it was written: its checksum differs"]


def test_a_folder_in_the_place_of_a_file_is_not_served(cache: IndexCache) -> None:
    (cache.folder / MANIFEST).mkdir(parents=True)
    assert "damaged" in refused(cache)


@pytest.mark.parametrize("kind", KINDS)
def test_a_kill_at_any_step_leaves_the_old_or_the_new(tmp_path: Path, kind: str) -> None:
    served = []
    for number in range(1, steps_of_a_build(kind, tmp_path / "count") + 1):
        cache = IndexCache(tmp_path / str(number))
        build(cache, OLD, kind)
        with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
            arm(patch, number, Killed(), dead=True)
            build(cache, NEW, kind)
        stamp = opened(cache).info.stamp
        check_serves(cache, stamp)
        served.append(stamp)
        build(cache, NEW)
        check_serves(cache, NEW)
        assert len(names(cache)) == 3, "a later build removes what the killed one left"
    assert served == sorted(served, key=lambda stamp: stamp.last_change)
    assert set(served) == {OLD, NEW}


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("exact", errno.ENOSPC),
        ("exact", errno.EDQUOT),
        ("ivf", errno.ENOSPC),
    ],
)
def test_a_full_disk_leaves_the_old_and_no_debris(tmp_path: Path, kind: str, code: int) -> None:
    outcomes = set()
    for number in range(1, steps_of_a_build(kind, tmp_path / "count") + 1):
        cache = IndexCache(tmp_path / str(number))
        build(cache, OLD, kind)
        before = names(cache)
        full = False
        with pytest.MonkeyPatch.context() as patch:
            taken = arm(patch, number, OSError(code, "no room"))
            try:
                build(cache, NEW, kind)
            except LibraryFull as error:
                full = True
                assert "space 3 needs some 1 MB" in str(error)
        published = opened(cache).info.stamp == NEW
        check_serves(cache, NEW if published else OLD)
        failed = taken[number - 1]
        outcomes.add((failed, full, published))
        if failed != "remove":
            assert full, "only clearing up may fail in silence"
            assert len(names(cache)) == 3 and (published or names(cache) == before)
    assert {(step, True, False) for step in STEPS if step != "remove"} <= outcomes


@pytest.mark.parametrize("ending", [".faiss", ".lists"])
def test_a_full_disk_seen_by_faiss_is_an_os_error(
    cache: IndexCache, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    """The index file itself is written through the same step, from inside faiss."""
    real = files.write

    def write(file: Any, data: Any) -> None:
        if file.name.endswith(ending):
            raise OSError(errno.ENOSPC, "no room")
        real(file, data)

    monkeypatch.setattr(files, "write", write)
    with pytest.raises(LibraryFull):
        build(cache, OLD, "ivf")
    assert names(cache) == {"build.lock"}


def test_other_disk_errors_are_not_called_full(cache: IndexCache) -> None:
    with pytest.MonkeyPatch.context() as patch, pytest.raises(OSError, match="broken"):
        arm(patch, 3, OSError(errno.EIO, "broken"))
        build(cache, OLD)
    assert names(cache) == {"build.lock"}


def test_what_a_killed_build_left_makes_room_first(cache: IndexCache) -> None:
    build(cache, OLD)
    debris = cache.folder / "unfinished-0123" / "vectors.npy"
    debris.parent.mkdir()
    debris.write_bytes(b"left")

    def watching() -> Iterator[tuple[Any, Any]]:
        assert not debris.exists()
        yield from blocks(NEW)

    cache.build(watching(), NEW.count, D, NEW)
    check_serves(cache, NEW)


def test_unsound_blocks_leave_the_old(cache: IndexCache) -> None:
    build(cache, OLD)
    before = names(cache)
    with pytest.raises(ValueError, match="announced"):
        cache.build(blocks(OLD), 260, D, NEW, kind="exact")
    with pytest.raises(ValueError, match="the stamp counts 260 vectors, but 200"):
        cache.build(blocks(OLD), 200, D, NEW)
    assert names(cache) == before
    check_serves(cache, OLD)


def test_an_interrupt_leaves_the_old_and_no_debris(cache: IndexCache) -> None:
    build(cache, OLD)
    before = names(cache)

    def interrupted() -> Iterator[tuple[Any, Any]]:
        yield from blocks(OLD)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.build(interrupted(), 260, D, NEW, kind="exact")
    assert names(cache) == before
    check_serves(cache, OLD)


def test_two_builds_at_once_are_refused(cache: IndexCache) -> None:
    build(cache, OLD)
    with (cache.folder / "build.lock").open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(LibraryLocked, match="another process is building"):
            build(cache, NEW)
        check_serves(cache, OLD)
    build(cache, NEW)
    check_serves(cache, NEW)


@pytest.mark.parametrize("kind", KINDS)
def test_a_reader_keeps_the_generation_it_opened(cache: IndexCache, kind: str) -> None:
    build(cache, OLD, kind)
    reader = opened(cache)
    build(cache, NEW, kind)
    assert not (cache.folder / reader.info.generation).exists()
    ids, vectors = rows(OLD)
    found = reader.index.search(vectors.astype(np.float32), 1, ids)
    np.testing.assert_array_equal(found.ids[:, 0], ids)
    reader.index.close()
    check_serves(cache, NEW)


def test_a_reader_overtaken_by_a_build_looks_again(
    cache: IndexCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(cache, OLD)
    stale = (cache.folder / MANIFEST).read_bytes()
    build(cache, NEW)
    reads = iter([stale])
    real = Path.read_bytes

    def read_bytes(path: Path) -> bytes:
        return next(reads, real(path)) if path.name == MANIFEST else real(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    assert opened(cache).info.stamp == NEW
