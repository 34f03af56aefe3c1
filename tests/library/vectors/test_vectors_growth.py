"""Changes appended to a generation: it serves the old state or the new one, and nothing else."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pictor.library.errors import LibraryFull, LibraryLocked
from pictor.library.vectors import files, parts
from pictor.library.vectors.cache import CacheInfo, Changes, IndexCache, Opened, Stamp, Unusable
from pictor.library.vectors.exact import ExactIndex

D = 16
BUILT = 300
STEPS = ["make_folder", "write", "truncate", "sync_file", "sync_folder", "rename", "remove"]
KINDS = ["exact", "ivf"]
STAMP = Stamp("library-1", 3, "f00d", BUILT, 7)


def drawn(count: int, seed: int) -> Any:
    vectors = np.random.default_rng(seed).standard_normal((count, D))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)


class Space:
    """The truth, as the catalog has it, and the changes since a cache was written."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.cache, self.kind = IndexCache(folder), kind
        self.held = dict(zip(range(BUILT), drawn(BUILT, 7), strict=True))
        self.change = 7
        self.old = dict(self.held)
        ids = np.arange(BUILT, dtype=np.int64)
        self.cache.build(iter([(ids, drawn(BUILT, 7))]), BUILT, D, STAMP, kind=kind)  # type: ignore[arg-type]

    def append(self, put: list[int], removed: list[int]) -> CacheInfo | Unusable:
        """Remove, then add or replace, first in the truth."""
        self.change += 1
        self.old = dict(self.held)
        vectors = drawn(len(put), self.change)
        for one in removed:
            self.held.pop(one, None)
        self.held |= dict(zip(put, vectors, strict=True))
        return self.cache.append(self.changes(put, vectors, removed), self.stamp)

    @staticmethod
    def changes(put: list[int], vectors: Any, removed: list[int]) -> Changes:
        def blocks() -> Iterator[tuple[Any, Any]]:
            for start in range(0, len(put), 20):
                yield np.array(put[start : start + 20], np.int64), vectors[start : start + 20]

        return Changes(blocks(), len(put), np.array(removed, np.int64))

    @property
    def stamp(self) -> Stamp:
        return replace(STAMP, count=len(self.held), last_change=self.change)

    def opened(self) -> Opened:
        result = self.cache.open(STAMP.library_id, STAMP.space_id, STAMP.fingerprint)
        assert isinstance(result, Opened), result
        return result

    def check(self, opened: Opened | None = None, held: dict[int, Any] | None = None) -> None:
        """What is served is the truth, or what was the truth before."""
        found = opened or self.opened()
        held = self.held if held is None else held
        assert len(found.index) == len(held)
        oracle, ids = ExactIndex(D), np.array(sorted(held), np.int64)
        rows = np.array([held[one] for one in ids.tolist()])
        oracle.add(ids, rows)
        for k, allowed in ((1, ids), (5, ids[::3])):
            right = oracle.search(rows.astype(np.float32), k, allowed)
            answer = found.index.search(rows.astype(np.float32), k, allowed)
            np.testing.assert_array_equal(answer.ids, right.ids)
            np.testing.assert_allclose(answer.scores, right.scores, atol=1e-6)
        every = found.index.vectors_of(np.arange(2 * BUILT, dtype=np.int64))
        assert set(every) == set(held)
        if opened is None:
            assert self.cache.verify() == []
            found.index.close()


@pytest.fixture(params=KINDS)
def space(request: pytest.FixtureRequest, tmp_path: Path) -> Space:
    return Space(tmp_path / "vectors" / "3", request.param)


@pytest.fixture(autouse=True)
def short_tail(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts are made of a few rows, and filters go through faiss."""
    monkeypatch.setattr(parts, "TAIL_ROWS", 15)
    monkeypatch.setattr("pictor.library.vectors.faiss_index.EXACT_ROWS", 0)
    monkeypatch.setattr("pictor.library.vectors.faiss_index._EXACT_SHARE", 1000)
    monkeypatch.setattr("pictor.library.vectors.faiss_index._FETCH_FILTERED", 40)


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


def numbers(start: int, count: int) -> list[int]:
    return list(range(start, start + count))


def test_what_is_appended_replaced_and_removed_is_served(space: Space) -> None:
    first = space.opened()
    generation = first.info.generation
    for put, removed in (
        (numbers(300, 10), []),
        ([5, 310], [6, 299, 4000]),
        (numbers(311, 17), [5]),  # one that was replaced before is removed
        ([], [310]),
        ([6, 7], [7]),  # one that was removed comes back, one is removed and added at once
        (numbers(330, 9), []),
    ):
        info = space.append(put, removed)
        assert isinstance(info, CacheInfo) and info.stamp == space.stamp
        assert info.generation == generation
        space.check()
        assert space.opened().index.changes == 0
        folder = space.cache.folder / generation
        named = {info.extent.dead} - {""}
        named |= {f"{part.name}.{end}" for part in info.extent.parts for end in ("npy", "lists")}
        found = {path.name for path in folder.iterdir() if path.name.startswith(("dead", "part"))}
        assert found == named, "what is no longer in force is gone"
        assert info.size_bytes == sum(path.stat().st_size for path in folder.iterdir())
    assert isinstance(info, CacheInfo)
    assert len(info.extent.parts) == (1 if space.kind == "ivf" else 0)
    space.check(first, dict(zip(range(BUILT), drawn(BUILT, 7), strict=True)))


def test_parts_are_merged_as_they_grow(space: Space) -> None:
    stops = []
    for at in (300, 316, 334):
        info = space.append(numbers(at, 16 if at == 300 else 18), [])
        assert isinstance(info, CacheInfo)
        stops.append([part.stop for part in info.extent.parts])
        space.check()
    assert stops == ([[316], [334], [334, 352]] if space.kind == "ivf" else [[], [], []])


def test_too_much_change_is_refused_before_anything_is_written(space: Space) -> None:
    before = sorted(path.read_bytes() for path in space.cache.folder.rglob("*.*") if path.is_file())
    result = space.append([], numbers(0, 61))
    assert isinstance(result, Unusable) and "too much has changed" in result.reason
    after = sorted(path.read_bytes() for path in space.cache.folder.rglob("*.*") if path.is_file())
    assert before == after
    space.check(held=space.old)
    space.held, space.change = space.old, 7
    assert isinstance(space.append([], numbers(0, 60)), CacheInfo)
    space.check()


def test_only_lists_mind_how_much_is_appended(space: Space) -> None:
    result = space.append(numbers(300, 61), [])
    assert isinstance(result, Unusable if space.kind == "ivf" else CacheInfo)


def test_an_exact_index_that_is_too_large_is_to_be_built_anew(
    space: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pictor.library.vectors.growth.EXACT_MAX", 310)
    assert isinstance(space.append(numbers(300, 10), []), CacheInfo)
    result = space.append([310], [])
    assert isinstance(result, Unusable if space.kind == "exact" else CacheInfo)


@pytest.mark.parametrize("dead", [True, False])
def test_a_kill_at_any_step_leaves_the_old_or_the_new(space: Space, dead: bool) -> None:
    """Also where the process lives on to clear up, and where the next one finds what it left."""
    put, removed = [3, *numbers(300, 18)], [9]
    with pytest.MonkeyPatch.context() as patch:
        taken = arm(patch, 10**9, Killed())
        assert isinstance(space.append(put, removed), CacheInfo)
    assert {"write", "truncate", "sync_file", "sync_folder", "rename"} <= set(taken)
    states = set()
    for number in range(1, len(taken) + 1):
        other = Space(space.cache.folder.parent / str(number), space.kind)
        reader = other.opened()
        with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
            arm(patch, number, Killed(), dead=dead)
            other.append(put, removed)
        is_new = other.opened().info.stamp == other.stamp
        states.add(is_new)
        other.check(held=None if is_new else other.old)
        other.check(reader, other.old)
        if not is_new:
            other.held = dict(other.old)
        assert isinstance(other.append([3, *numbers(320, 18)], [8]), CacheInfo)
        other.check()
        folder = other.cache.folder / other.opened().info.generation
        assert not any(path.name.startswith("unfinished") for path in other.cache.folder.iterdir())
        assert len(list(folder.glob("dead-*"))) == 1
    assert states == {True, False}


def test_a_full_disk_leaves_the_old_and_no_debris(space: Space) -> None:
    put, removed = [3, *numbers(300, 18)], [9]
    with pytest.MonkeyPatch.context() as patch:
        taken = arm(patch, 10**9, Killed())
        space.append(put, removed)
    for number in range(1, len(taken) + 1):
        other = Space(space.cache.folder.parent / str(number), space.kind)
        before = {path: path.stat().st_size for path in other.cache.folder.rglob("*")}
        with pytest.MonkeyPatch.context() as patch:
            steps = arm(patch, number, OSError(errno.ENOSPC, "no room"))
            try:
                other.append(put, removed)
            except LibraryFull as error:
                assert "space 3 needs some 1 MB" in str(error)
            else:
                assert steps[number - 1] == "remove", "only clearing up may fail in silence"
        is_new = other.opened().info.stamp == other.stamp
        other.check(held=None if is_new else other.old)
        if not is_new and steps[number - 1] not in ("sync_file", "sync_folder", "rename"):
            after = {path: path.stat().st_size for path in other.cache.folder.rglob("*")}
            folder = other.cache.folder / other.opened().info.generation
            grown = {folder / name for name in files.GROWING}
            assert set(after) == set(before)
            assert {path: after[path] for path in set(after) - grown} == {
                path: before[path] for path in set(before) - grown
            }


def test_a_reader_overtaken_by_an_append_looks_again(
    space: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    space.append(numbers(300, 3), [1])
    stale = (space.cache.folder / "current.json").read_bytes()
    space.append(numbers(303, 3), [2])  # the dead rows that the stale manifest names are gone
    reads = iter([stale])
    real = Path.read_bytes

    def read_bytes(path: Path) -> bytes:
        return next(reads, real(path)) if path.name == "current.json" else real(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    assert space.opened().info.stamp == space.stamp


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_or_foreign_part_is_not_served(tmp_path: Path, kind: str) -> None:
    space = Space(tmp_path / "one", kind)
    info = space.append(numbers(300, 18), [4])
    assert isinstance(info, CacheInfo)
    folder = space.cache.folder / info.generation
    written = [path for path in folder.iterdir() if path.name.startswith(("dead", "part"))]
    assert len(written) == (3 if kind == "ivf" else 1)
    for path in written:
        data = path.read_bytes()
        for damaged in (data[:-1], data + b"\0", b"", None, data[:-1] + bytes([data[-1] ^ 1])):
            path.unlink()
            if damaged is not None:
                path.write_bytes(damaged)
            result = space.cache.open(STAMP.library_id, STAMP.space_id, STAMP.fingerprint)
            assert isinstance(result, Unusable) and "damaged" in result.reason
            assert space.cache.verify()
            refused = space.cache.append(space.changes([], drawn(0, 1), []), space.stamp)
            assert isinstance(refused, Unusable)
            path.write_bytes(data)
    space.check()
    for name in files.GROWING:  # rows that were appended are checked as those that were built
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[:-1])
        result = space.cache.open(STAMP.library_id, STAMP.space_id, STAMP.fingerprint)
        assert isinstance(result, Unusable)
        (folder / name).write_bytes(data + b"left by a killed append")
        space.check()
        (folder / name).write_bytes(data)


def test_a_cache_of_another_library_is_not_appended_to(space: Space) -> None:
    changes = space.changes([400], drawn(1, 1), [])
    result = space.cache.append(changes, replace(STAMP, library_id="library-2", count=301))
    assert isinstance(result, Unusable) and "of library" in result.reason
    nothing = IndexCache(space.cache.folder / "nowhere").append(changes, STAMP)
    assert isinstance(nothing, Unusable) and "there is no cache" in nothing.reason


@pytest.mark.parametrize("total", [1, 3])
def test_numbers_that_do_not_add_up_are_refused(space: Space, total: int) -> None:
    changes = replace(space.changes([400, 401], drawn(2, 1), []), total=total)
    with pytest.raises(ValueError, match="announced"):
        space.cache.append(changes, replace(STAMP, count=BUILT + total, last_change=8))
    twice = Changes(iter([(np.array([400, 400]), drawn(2, 1))]), 2, np.empty(0, np.int64))
    with pytest.raises(ValueError, match="twice"):
        space.cache.append(twice, replace(STAMP, count=BUILT + 2, last_change=8))
    known = space.changes([5], drawn(1, 1), [])  # it is held: 301 cannot be
    with pytest.raises(ValueError, match="301 rows and 1 dead ones, but 301 and 0 announced"):
        space.cache.append(known, replace(STAMP, count=BUILT + 1, last_change=8))
    space.check()


def test_two_that_append_at_once_are_refused(space: Space) -> None:
    with space.cache._lock(), pytest.raises(LibraryLocked):
        space.append([400], [])
    space.check(held=space.old)
