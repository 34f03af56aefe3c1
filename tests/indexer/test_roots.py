"""What a name means, what covers what, whether a root is there, and the write lock."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import filelock
import pytest

from pictor.indexer import roots
from pictor.indexer.roots import Scope, check_reachable, require_any_reachable, resolve
from pictor.indexer.sources.base import ScanOptions
from pictor.library.catalog import files
from pictor.library.catalog.rows import FileChange, RootRow
from pictor.library.config import Settings
from pictor.library.errors import LibraryError, LibraryLocked, SourceError
from pictor.library.lock import write_lock
from pictor.library.records import Outcome
from pictor.library.store import Store

OPTIONS = ScanOptions()


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """Folders a/b/c and a2 with a picture each, a hidden one, and links to a folder."""
    top = tmp_path / "top"
    for name in ("a/x.png", "a/b/x.png", "a/b/c/x.png", "a2/x.png", "a/.h/x.png"):
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_bytes(b"x")
    (top / "a/out").symlink_to(top / "a2")
    (top / "a/back").symlink_to(top / "a/b")
    return top


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Store]:
    with Store.create(tmp_path / "library", Settings()) as made:
        yield made


def names(library: Store, top: Path, *named: str, options: ScanOptions = OPTIONS) -> list[Any]:
    """(location of the root, prefix) of each scope, below `top`."""
    scopes = resolve(library, [os.fsencode(top / name) for name in named], options)
    for scope in scopes:
        assert scope.source.location == scope.root.location
    return [
        (os.path.relpath(os.fsdecode(one.root.location), top), one.prefix.decode())
        for one in scopes
    ]


def known(library: Store, top: Path) -> list[str]:
    with library.reading() as connection:
        rows = files.roots(connection)
    return [os.path.relpath(os.fsdecode(row.location), top) for row in rows]


def add_file(library: Store, root_id: int, path: bytes) -> None:
    from pictor.library.catalog import contents

    with library.writing() as connection:
        run_id = files.start_run(connection)
        change = FileChange(root_id, path, 1, 1, Outcome.FAILED)
        contents.apply(connection, run_id, [], [change])


def test_parts_of_a_root_are_no_roots(library: Store, top: Path) -> None:
    assert names(library, top, "a") == [("a", "")]
    for part, prefix in (("a/b", "b/"), ("a/b/c", "b/c/"), ("a/x.png", "x.png"), ("a/b/", "b/")):
        assert names(library, top, part) == [("a", prefix)]
    assert known(library, top) == ["a"]
    for part in ("a/.h", "a/out", "a/back", "a2"):
        assert names(library, top, part) == [(part, "")]
    assert known(library, top) == ["a", "a/.h", "a/out", "a/back", "a2"]
    assert len(names(library, top)) == 5
    follows = ScanOptions(follow_symlinks=True, hidden=True)
    assert names(library, top, "a/b/c", options=follows) == [("a", "b/c/")]


@pytest.mark.parametrize(
    ("part", "options", "is_part"),
    [
        ("a/out", ScanOptions(), False),
        ("a/out", ScanOptions(follow_symlinks=True), True),
        ("a/back", ScanOptions(follow_symlinks=True), False),
        ("a/.h", ScanOptions(hidden=True), True),
        ("a/b", ScanOptions(exclude=("b/",)), False),
        ("a/x.png", ScanOptions(exclude=("x.png",)), False),
        ("a/x.png", ScanOptions(include=("x.png",)), True),
    ],
)
def test_a_part_is_what_a_scan_of_the_root_comes_to(
    library: Store, top: Path, part: str, options: ScanOptions, is_part: bool
) -> None:
    names(library, top, "a", options=options)
    (found,) = names(library, top, part, options=options)
    assert (found[0] == "a") is is_part


def test_a_folder_takes_over_roots_inside_it(library: Store, top: Path) -> None:
    assert names(library, top, "a/b/c", "a2", "a/x.png") == [
        ("a/b/c", ""), ("a2", ""), ("a/x.png", ""),
    ]  # fmt: skip
    add_file(library, 1, b"x.png")
    add_file(library, 3, b"")
    assert names(library, top, "a/b/c", "a/b", "a/x.png") == [("a/b", ""), ("a/x.png", "")]
    assert known(library, top) == ["a2", "a/x.png", "a/b"]
    assert names(library, top, "a/b/c", "a") == [("a", "")]
    assert known(library, top) == ["a2", "a"]
    with library.reading() as connection:
        scope = files.in_scope(5)
        rows = files.scan_page(connection, scope, None, 9)
        assert [row.path for row in rows] == [b"b/c/x.png", b"x.png"]


def test_braces_name_roots_that_are_known(library: Store, top: Path) -> None:
    for _ in range(2):
        assert names(library, top, "{a,a2}") == [("a", ""), ("a2", "")]
    assert known(library, top) == ["a", "a2"]


def test_a_root_inside_that_is_away_stays_one(library: Store, top: Path) -> None:
    names(library, top, "a/b")
    add_file(library, 1, b"x.png")
    (top / "a/b").rename(top / "away")
    assert names(library, top, "a") == [("a", "")]
    assert known(library, top) == ["a/b", "a"]


def test_what_is_gone_is_a_part_if_it_is_known(library: Store, top: Path) -> None:
    names(library, top, "a")
    add_file(library, 1, b"gone/x.png")
    assert names(library, top, "a/gone") == [("a", "gone/")]
    assert names(library, top, "a/gone/x.png") == [("a", "gone/x.png")]
    for name in ("a/never", "a/gone/x", "b", "a/gon"):
        with pytest.raises(SourceError):
            names(library, top, name)
        with pytest.raises(SourceError):
            names(library, top, "a2", name)
    assert known(library, top) == ["a"]  # nothing is registered


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ([(1, ""), (1, "a/"), (2, "a/")], [(1, ""), (2, "a/")]),
        ([(1, "a/b/"), (1, "a/"), (1, "a/b/c"), (1, "ab/")], [(1, "a/"), (1, "ab/")]),
        ([(1, "a/b"), (1, "a/b"), (1, "a")], [(1, "a/b"), (1, "a")]),
        ([(1, "a/"), (1, "a/")], [(1, "a/")]),
        ([(1, "/")], [(1, "/")]),
        ([(1, "a//"), (1, "a/")], [(1, "a/")]),
    ],
)
def test_a_scope_inside_another_is_left_out(given: list[Any], left: list[Any]) -> None:
    scopes: list[Any] = [
        Scope(SimpleNamespace(id=number), None, prefix.encode())  # type: ignore[arg-type]
        for number, prefix in given
    ]
    found = [(one.root.id, one.prefix.decode()) for one in roots._without_covered(scopes)]
    assert found == left


# --- whether it is there


@pytest.mark.parametrize(
    ("volume", "now", "sample", "said"),
    [
        ("dev=1", "dev=1", [b"gone"], None),
        ("dev=1", "dev=2", [b"gone"], "another volume"),
        ("dev=1", "dev=2", [b"gone", b"x.png"], None),
        ("dev=1", "dev=2", [], None),
        ("", "dev=2", [b"gone"], None),
    ],
)
def test_another_volume_is_told_by_its_files(
    top: Path,
    monkeypatch: pytest.MonkeyPatch,
    volume: str,
    now: str,
    sample: list[bytes],
    said: str | None,
) -> None:
    asked: list[int] = []

    def sample_paths(_: object, root_id: int, limit: int) -> list[bytes]:
        asked.append(limit)
        return sample

    monkeypatch.setattr(roots.files, "sample_paths", sample_paths)
    monkeypatch.setattr(roots, "volume_id", lambda _: now)
    root = RootRow(1, "folder", os.fsencode(top / "a"), volume, "reachable", "", None)
    why, found = check_reachable(None, root)  # type: ignore[arg-type]
    assert (why is None) is (said is None) and (said or "") in (why or "")
    assert found == (None if said else now)
    assert asked in ([], [100])
    one = root._replace(kind="file", location=os.fsencode(top / "a" / "x.png"))
    assert check_reachable(None, one) == (None, now)  # type: ignore[arg-type]


def test_a_root_that_is_away_or_empty_is_unreachable(
    library: Store, top: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names(library, top, "a2")
    add_file(library, 1, b"x.png")
    empty = top / "empty"
    empty.mkdir()
    with library.reading() as connection:
        (root,) = files.roots(connection)
        assert check_reachable(connection, root) == (None, root.volume)
        (top / "a2/x.png").unlink()
        why, volume = check_reachable(connection, root)
        assert why is not None and "it is empty" in why and volume is None
        never = root._replace(id=9, location=os.fsencode(empty))
        assert check_reachable(connection, never)[0] is None
        for kind in ("folder", "file", "archive"):
            away = root._replace(kind=kind, location=b"/nowhere")
            why = "it cannot be opened: No such file or directory"
            assert check_reachable(connection, away) == (why, None)

        def fails(_: bytes) -> str:
            raise SourceError("cannot read it")

        monkeypatch.setattr(roots, "volume_id", fails)
        assert check_reachable(connection, root) == ("cannot read it", None)


def test_a_run_needs_one_root_that_is_there(top: Path) -> None:
    scopes: list[Any] = [
        SimpleNamespace(root=SimpleNamespace(location=name)) for name in (b"/one", b"/two")
    ]
    require_any_reachable([], [])
    require_any_reachable(scopes, [])
    require_any_reachable(scopes, ["away"])
    with pytest.raises(SourceError, match="'/one' is unreachable: away; nothing"):
        require_any_reachable(scopes, ["away", "empty"])


# --- the lock


class FakeLock:
    """A lock that fails as told."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error
        self.events: list[Any] = []

    def acquire(self, *, timeout: float) -> None:
        self.events.append(timeout)
        if self.error is not None:
            raise self.error

    def release(self) -> None:
        self.events.append("released")


def test_a_lock_names_its_owner_and_is_released(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = FakeLock()
    paths: list[Path] = []

    def made(path: Path) -> FakeLock:
        paths.append(path)
        return lock

    monkeypatch.setattr(filelock, "FileLock", made)
    owner = tmp_path / "write.owner"
    with pytest.raises(KeyboardInterrupt), write_lock(tmp_path):
        assert owner.read_text() == str(os.getpid())
        raise KeyboardInterrupt
    assert not owner.exists() and paths == [tmp_path / "write.lock"]
    assert lock.events == [0, "released"]
    with write_lock(tmp_path / "no folder"):  # the name of the owner is lost, not the lock
        pass
    assert lock.events == [0, "released"] * 2


@pytest.mark.parametrize(
    ("owner", "said"),
    [("123", "process 123;"), ("x", "another process;"), (None, "another process;")],
)
def test_a_lock_that_is_held_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: str | None, said: str
) -> None:
    lock = FakeLock(filelock.Timeout("write.lock"))
    monkeypatch.setattr(filelock, "FileLock", lambda _: lock)
    if owner is not None:
        (tmp_path / "write.owner").write_text(owner)
    with pytest.raises(LibraryLocked, match=f"is being written by {said}"), write_lock(tmp_path):
        pass
    assert lock.events == [0] and (owner is None or (tmp_path / "write.owner").exists())


def test_a_folder_that_cannot_be_written_has_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = FakeLock(OSError(30, "read-only"))
    monkeypatch.setattr(filelock, "FileLock", lambda _: lock)
    with pytest.raises(LibraryError, match="cannot be written: read-only"), write_lock(tmp_path):
        pass
    assert lock.events == [0]
