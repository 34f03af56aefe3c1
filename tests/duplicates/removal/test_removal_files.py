"""Single files: opened, moved, linked and settled, with whatever may come in between."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pictor.duplicates.removal import file_moves, preflight, recovery
from pictor.duplicates.removal.file_moves import (
    link_in_place,
    move,
    reserve,
    unlink_in_place,
)
from pictor.duplicates.removal.log_lines import Intent
from pictor.duplicates.removal.preflight import Refused, hash_of, open_at, open_in
from pictor.duplicates.removal.sidecar_moves import Companion, companions
from pictor.library.hashing import content_hash

DATA = b"some bytes of a photo"
HASH = content_hash(DATA).hex()
#: A regular file to which links lead.
REAL = __file__
OTHER = b"other bytes"


@pytest.fixture(autouse=True)
def all_files_are_closed() -> Iterator[None]:
    """No test leaves a descriptor open."""
    before = os.listdir("/dev/fd")
    yield
    assert len(os.listdir("/dev/fd")) == len(before)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A file in a folder of its own."""
    path = tmp_path / "from" / "a.png"
    path.parent.mkdir()
    path.write_bytes(DATA)
    path.chmod(0o640)
    os.utime(path, ns=(1_500_000_000_111_222_333, 1_600_000_000_123_456_789))
    return path


@pytest.fixture
def to(tmp_path: Path) -> Path:
    return tmp_path / "to" / "b.png"


@pytest.fixture
def two_disks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Renaming from folder to folder fails, as it does from disk to disk."""
    real = os.rename

    def rename(old: bytes, new: bytes, **folders: int) -> None:
        if folders:
            raise OSError(errno.EXDEV, "another disk")
        real(old, new)

    monkeypatch.setattr(os, "rename", rename)


def moved(photo: Path, to: Path, between: Any = None, content: str = HASH) -> None:
    """Move a file; `between` is called once it is open."""
    with open_at(os.fsencode(photo)) as file:
        if between is not None:
            between()
        move(file, os.fsencode(to), os.fsencode(to.with_name("part")), content)


def noted(events: list[str], name: str, real: Any) -> Any:
    """The same, noted before it is done."""

    def act(*given: Any, **more: Any) -> None:
        events.append(name)
        real(*given, **more)

    return act


def names_in(*folders: Path) -> list[str]:
    return sorted(name for folder in folders if folder.is_dir() for name in os.listdir(folder))


def is_at(path: Path, data: bytes = DATA) -> bool:
    """Whether a file is there, and nothing else beside it."""
    return names_in(path.parent) == [path.name] and path.read_bytes() == data


# --- open files


def test_a_name_is_taken_once(to: Path) -> None:
    reserve(os.fsencode(to))
    assert to.read_bytes() == b"" and stat.S_IMODE(to.stat().st_mode) == 0o600
    to.write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        reserve(os.fsencode(to))
    assert to.read_bytes() == b"mine"


def test_an_open_file_knows_whether_it_is_the_same(photo: Path) -> None:
    with open_at(os.fsencode(photo)) as file:
        assert file.name == b"a.png" and file.is_same() and file.has_name() is True
        assert file.digest() == hash_of(file.file) == HASH
        photo.rename(photo.with_name("c.png"))
        assert not file.is_same() and file.has_name() is False
        photo.write_bytes(DATA)
        assert not file.is_same() and file.has_name() is True
        with pytest.raises(Refused, match="changes while it is read"):
            file.digest()
        photo.unlink()
        photo.symlink_to("nothing")
        assert not file.is_same() and file.has_name() is True
    photo.unlink()
    photo.write_bytes(DATA)
    with open_at(os.fsencode(photo)) as file:
        photo.write_bytes(DATA)
        with pytest.raises(Refused, match="changes while it is read"):
            file.digest()


def test_only_regular_files_are_opened(photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = photo.parent
    (folder / "link").symlink_to(photo)
    os.mkfifo(folder / "pipe")
    (folder / "sub").symlink_to(folder)
    os.mkdir(folder / "own")
    for name, said in (
        ("link", "no regular file"),
        ("pipe", "no regular file"),
        ("own", "no regular file"),
        ("none", "not there any more"),
        ("a.png/x", "a symbolic link, or a file, is where a folder"),
        ("n" * 300, "cannot be opened: File name too long"),
    ):
        with pytest.raises(Refused, match=said), open_at(os.fsencode(folder / name)):
            pass
    for inside in (b"sub/a.png", b"own/../sub/a.png"):
        with (
            pytest.raises(Refused, match="a symbolic link, or a file, is where a folder"),
            preflight._open_below(os.fsencode(folder), inside),
        ):
            pass
    with preflight._open_below(os.fsencode(folder.parent), b"from/a.png") as file:
        assert file.digest() == HASH
    facts = os.stat(photo)
    monkeypatch.setattr(os, "stat", lambda *_, **__: facts)  # it is exchanged right after
    for name, error in (("own", Refused), ("pipe", Refused), ("link", OSError)):
        with pytest.raises(error):
            _open_in(folder, name)
    with (
        pytest.raises(Refused, match="where a folder of its path was"),
        open_at(os.fsencode(folder / "link")),
    ):
        pass


def _open_in(folder: Path, name: str) -> None:
    parent = os.open(folder, os.O_RDONLY)
    try:
        with open_in(parent, os.fsencode(name)):
            pass
    finally:
        os.close(parent)


# --- moves


@pytest.mark.parametrize("disks", [1, 2])
def test_a_move_takes_all_of_a_file(
    photo: Path, to: Path, disks: int, request: pytest.FixtureRequest
) -> None:
    if disks == 2:
        request.getfixturevalue("two_disks")
    before = photo.stat()
    with_xattr = _has_attribute(photo)
    moved(photo, to)
    assert is_at(to) and names_in(photo.parent) == []
    after = to.stat()
    for name in ("st_mode", "st_uid", "st_gid", "st_mtime_ns", "st_size"):
        assert getattr(after, name) == getattr(before, name), name
    assert not with_xattr or os.getxattr(to, "user.of") == b"mine"


def _has_attribute(path: Path) -> bool:
    try:
        os.setxattr(path, "user.of", b"mine")
    except (OSError, AttributeError):
        return False
    return True


def test_a_copy_has_the_facts_of_its_file(
    photo: Path, to: Path, two_disks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[tuple[Any, ...]] = []
    facts = photo.stat()
    monkeypatch.setattr(os, "listxattr", lambda _: ["user.x"], raising=False)
    monkeypatch.setattr(os, "getxattr", lambda _, name: name.encode(), raising=False)
    monkeypatch.setattr(os, "setxattr", lambda _, *a: given.append(a), raising=False)
    monkeypatch.setattr(os, "fchown", lambda _, *a: given.append(a))
    monkeypatch.setattr(os, "utime", lambda _, ns: given.append(ns))
    moved(photo, to)
    times = (facts.st_atime_ns, facts.st_mtime_ns)
    assert given == [("user.x", b"user.x"), (facts.st_uid, facts.st_gid), times]


def test_large_files_are_copied_to_the_end(
    photo: Path, to: Path, two_disks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:3]))
    monkeypatch.setattr(file_moves, "_BLOCK", 7)
    monkeypatch.setattr(preflight, "_READ", 5)
    moved(photo, to)
    assert is_at(to)


@pytest.mark.parametrize("disks", [1, 2])
def test_a_move_is_on_the_disk_when_it_is_over(
    photo: Path,
    to: Path,
    disks: int,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if disks == 2:
        request.getfixturevalue("two_disks")
    events: list[str] = []
    fsync, unlink, rename = os.fsync, os.unlink, os.rename

    def synced(file: int) -> None:
        events.append(os.path.basename(os.readlink(f"/proc/self/fd/{file}")))
        fsync(file)

    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("the names of open files are not known here")
    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "unlink", noted(events, "-", unlink))
    monkeypatch.setattr(os, "rename", noted(events, ">", rename))
    moved(photo, to)
    copied = [">", "part", ">", "to", "-"] if disks == 2 else [">"]
    assert events == [*copied, "to", "from"]


@pytest.mark.parametrize("disks", [1, 2])
def test_a_move_takes_no_name_that_something_has(
    photo: Path, to: Path, disks: int, request: pytest.FixtureRequest
) -> None:
    if disks == 2:
        request.getfixturevalue("two_disks")
    to.parent.mkdir()
    for taken in (to, to.with_name("part"))[:disks]:
        taken.write_bytes(b"mine")
        with pytest.raises(FileExistsError):
            moved(photo, to)
        assert is_at(photo)
        if taken == to:
            assert is_at(taken, b"mine")
            taken.unlink()


def test_what_cannot_be_moved_leaves_nothing_behind(
    photo: Path, to: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "not allowed")

    monkeypatch.setattr(os, "rename", fails)
    with pytest.raises(PermissionError):
        moved(photo, to)
    assert is_at(photo) and names_in(to.parent) == []


def exchanged(photo: Path) -> None:
    """Another file takes the name."""
    other = photo.with_name("new")
    other.write_bytes(OTHER)
    other.replace(photo)


def test_a_file_that_took_the_place_is_put_back(photo: Path, to: Path) -> None:
    with pytest.raises(Refused, match="another file replaced it"):
        moved(photo, to, lambda: exchanged(photo))
    assert is_at(photo, OTHER) and names_in(to.parent) == []


def test_a_link_that_took_the_place_is_put_back(photo: Path, to: Path) -> None:
    def linked() -> None:
        photo.rename(photo.parent.with_name("real"))
        photo.symlink_to("../real")

    with pytest.raises(Refused, match="another file replaced it"):
        moved(photo, to, linked)
    assert photo.is_symlink() and photo.read_bytes() == DATA and names_in(to.parent) == []


def test_what_cannot_be_put_back_stays_where_it_is(
    photo: Path, to: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A third file has taken the name meanwhile: both others are kept."""
    lstat = os.lstat

    def third(path: bytes) -> os.stat_result:
        photo.write_bytes(b"third")
        return lstat(path)

    monkeypatch.setattr(os, "lstat", third)
    with pytest.raises(FileExistsError):
        moved(photo, to, lambda: exchanged(photo))
    monkeypatch.undo()
    assert is_at(photo, b"third") and is_at(to, OTHER)


def during_copy(monkeypatch: pytest.MonkeyPatch, what: Any) -> None:
    """Call something once the copy is made and checked."""
    real = file_moves._copy

    def copy(*given: Any) -> None:
        real(*given)
        what()

    monkeypatch.setattr(file_moves, "_copy", copy)


def test_a_file_that_changes_while_it_is_copied_stays(
    photo: Path, to: Path, two_disks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    during_copy(monkeypatch, lambda: photo.write_bytes(OTHER))
    with pytest.raises(Refused, match="changed while it was copied"):
        moved(photo, to)
    assert is_at(photo, OTHER) and names_in(to.parent) == []


def test_a_copy_stays_if_its_file_went_meanwhile(
    photo: Path, to: Path, two_disks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    during_copy(monkeypatch, photo.unlink)
    with pytest.raises(Refused, match="changed while it was copied"):
        moved(photo, to)
    assert is_at(to)


def test_a_copy_with_other_bytes_is_refused(photo: Path, to: Path, two_disks: None) -> None:
    with pytest.raises(Refused, match="other bytes"):
        moved(photo, to, content="00" * 32)
    assert is_at(photo) and names_in(to.parent) == []


# --- hard links


@pytest.fixture
def keeper(photo: Path, tmp_path: Path) -> Path:
    """A file with the same bytes and rights, in another folder."""
    path = tmp_path / "kept" / "k.png"
    path.parent.mkdir()
    path.write_bytes(DATA)
    path.chmod(0o640)
    return path


def linked(photo: Path, keeper: Path, between: Any = None, **facts: int) -> None:
    """Link a name in place; `facts` are others that its file has."""
    with open_at(os.fsencode(photo)) as file, open_at(os.fsencode(keeper)) as kept:
        if between is not None:
            between()
        place = {"st_mode": 0, "st_dev": 2, "st_uid": 4, "st_gid": 5}
        known = list(file.facts)
        for name, value in facts.items():
            known[place[name]] = value
        link_in_place(replace(file, facts=os.stat_result(known)) if facts else file, kept, b"tmp")


def test_a_link_replaces_a_file_in_place(photo: Path, keeper: Path) -> None:
    linked(photo, keeper)
    assert photo.samefile(keeper) and is_at(photo) and is_at(keeper)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"st_dev": 99_999}, "on another file system"),
        ({"st_mode": 0o100600}, "access rights"),
        ({"st_uid": 99_999}, "access rights"),
        ({"st_gid": 99_999}, "access rights"),
    ],
)
def test_what_links_would_change_is_refused(
    photo: Path, keeper: Path, facts: dict[str, int], said: str
) -> None:
    with pytest.raises(Refused, match=said):
        linked(photo, keeper, **facts)
    assert not photo.samefile(keeper) and is_at(photo)


@pytest.mark.parametrize(("which", "left"), [("photo", OTHER), ("keeper", DATA), ("link", DATA)])
def test_files_that_are_exchanged_are_not_linked(
    photo: Path, keeper: Path, which: str, left: bytes
) -> None:
    def between() -> None:
        if which == "link":
            keeper.rename(keeper.parent.with_name("real"))
            keeper.symlink_to("../real")
        else:
            exchanged(photo if which == "photo" else keeper)

    with pytest.raises(Refused, match="was replaced while it was checked"):
        linked(photo, keeper, between)
    assert is_at(photo, left) and not photo.is_symlink() and photo.stat().st_nlink == 1


def test_a_link_takes_no_name_that_something_has(photo: Path, keeper: Path) -> None:
    photo.with_name("tmp").write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        linked(photo, keeper)
    assert photo.with_name("tmp").read_bytes() == b"mine" and not photo.samefile(keeper)


def apart(photo: Path) -> None:
    with open_at(os.fsencode(photo)) as file:
        unlink_in_place(file, b"tmp", (0o100604, 1_600_000_000_000_000_007, 0, 0))


def test_a_link_becomes_a_file_of_its_own(
    photo: Path, keeper: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    linked(photo, keeper)
    owners: list[tuple[int, int]] = []
    events: list[str] = []
    rename, fsync = os.rename, os.fsync
    monkeypatch.setattr(os, "fchown", lambda _, *ids: owners.append(ids))
    monkeypatch.setattr(os, "fsync", noted(events, "sync", fsync))
    monkeypatch.setattr(os, "rename", noted(events, ">", rename))
    apart(photo)
    assert not photo.samefile(keeper) and is_at(photo) and is_at(keeper)
    facts = photo.stat()
    assert (stat.S_IMODE(facts.st_mode), facts.st_mtime_ns) == (0o604, 1_600_000_000_000_000_007)
    assert facts.st_nlink == keeper.stat().st_nlink == 1
    assert owners == [(0, 0)] and events == ["sync", ">", "sync"]


def test_what_cannot_come_apart_stays_linked(
    photo: Path, keeper: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    linked(photo, keeper)
    taken = photo.with_name("tmp")
    taken.write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        apart(photo)
    assert taken.read_bytes() == b"mine"
    taken.unlink()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(file_moves, "_copy_bytes", full)
    with pytest.raises(OSError, match="full"):
        apart(photo)
    assert photo.samefile(keeper) and is_at(photo)


# --- what is found after a kill


@pytest.fixture
def intent(photo: Path, to: Path) -> Intent:
    """The move of the photo, in a folder that is there."""
    to.parent.mkdir()
    part = to.with_name("part")
    paths = [os.fsencode(path) for path in (photo, to, part, photo.with_name("keep"))]
    path, target, piece, keep = paths
    return Intent(1, "move", path, target, piece, keep, HASH, HASH, 1, 0o100644, 1, 0, 0, 1, "g")


def put(path: Path, what: str) -> None:
    """Make what stands at a place: "whole", "empty", "absent", or else "other"."""
    path.unlink(missing_ok=True)
    if what == "link":
        path.symlink_to(REAL)
    elif what != "absent":
        path.write_bytes({"whole": DATA, "empty": b""}.get(what, OTHER))


@pytest.mark.parametrize(
    ("here", "there", "goes_back", "owns", "state", "left"),
    [
        ("whole", "whole", False, True, "aborted", "h"),
        ("whole", "whole", False, False, "aborted!", "ht"),
        ("whole", "whole", True, True, "undone", "h"),
        ("whole", "whole", True, False, "undone", "h"),
        ("whole", "empty", False, False, "aborted", "h"),
        ("whole", "empty", True, False, "undone", "h"),
        ("whole", "absent", False, True, "aborted", "h"),
        ("whole", "other", False, True, "aborted", "ht"),
        ("whole", "other", True, True, "undone", "ht"),
        ("absent", "whole", False, True, "done", "t"),
        ("absent", "whole", True, True, "done", "t"),
        ("empty", "whole", True, True, "done", "t"),
        ("other", "whole", True, True, "done", "ht"),
        ("link", "whole", False, True, "done", "ht"),
        ("absent", "absent", False, True, "aborted!", ""),
        ("absent", "absent", True, True, "done!", ""),
        ("empty", "empty", False, True, "aborted!", "ht"),
        ("other", "link", True, True, "done!", "ht"),
    ],
)
def test_an_open_move_is_told_by_both_places(
    intent: Intent,
    photo: Path,
    to: Path,
    here: str,
    there: str,
    goes_back: bool,
    owns: bool,
    state: str,
    left: str,
) -> None:
    put(photo, here)
    put(to, there)
    parts = (to.with_name("part"), photo.with_name("part"))
    for part in parts:
        part.write_bytes(DATA)
    last = "undoing" if goes_back else "intent"
    found, notice = recovery._looked_at(intent, last, owns_target=owns)
    assert f"{found}{'!' if notice else ''}" == state
    assert "".join(k for k, path in (("h", photo), ("t", to)) if os.path.lexists(path)) == left
    assert not any(part.exists() for part in parts)


@pytest.mark.parametrize(
    ("keep", "goes_back", "state"),
    [
        ("linked", False, "done"),
        ("linked", True, "done"),
        ("other", False, "aborted"),
        ("other", True, "undone"),
        ("absent", False, "aborted"),
        ("absent", True, "done"),
    ],
)
def test_an_open_link_is_told_by_its_file(
    intent: Intent, photo: Path, to: Path, keep: str, goes_back: bool, state: str
) -> None:
    kept = photo.with_name("keep")
    put(kept, keep)
    if keep == "linked":
        kept.unlink()
        os.link(photo, kept)
    part = photo.with_name("part")
    part.write_bytes(DATA)
    link = replace(intent, action="hardlink", target=intent.path, part=b"part")
    last = "undoing" if goes_back else "intent"
    assert recovery._looked_at(link, last, owns_target=True) == (state, "")
    assert not part.exists() and photo.read_bytes() == DATA


# --- sidecars


@pytest.mark.parametrize(
    ("photo_name", "others", "gone", "goes"),
    [
        ("a.png", "a.png.xmp a.xmp", "", "a.png.xmp a.xmp"),
        ("a.png", "a.png.XMP a.XMP", "", "a.png.XMP a.XMP"),
        ("a.png", "b.xmp a.png.txt a.b.xmp", "", ""),
        ("a.png", "a.xmp a.jpg", "", ""),
        ("a.png", "a.xmp A.JPG", "", ""),
        ("a.png", "a.xmp a.png.xmp a.jpg", "", "a.png.xmp"),
        ("a.png", "a.xmp a.jpg", "a.jpg", "a.xmp"),
        ("a.png", "a.png.xmp A.PNG", "", ""),
        ("a.png", "a.png.xmp a.png.jpg", "", ""),
        ("a.png", "a.xmp a", "", ""),
        ("a", "a.xmp", "", "a.xmp"),
        ("a.b.png", "a.b.xmp a.xmp", "", "a.b.xmp"),
    ],
)
def test_a_sidecar_goes_only_with_its_last_photo(
    tmp_path: Path, photo_name: str, others: str, gone: str, goes: str
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in (photo_name, *others.split()):
        (folder / name).write_bytes(b"x")
    with open_at(os.fsencode(folder / photo_name)) as photo:
        found = list(companions(photo, [os.fsencode(name) for name in gone.split()]))
    assert [one.name.decode() for one in found] == goes.split()
    for one in found:
        assert one.has_whole_name is one.name.startswith(photo_name.encode() + b".")


@pytest.mark.parametrize("kind", ["empty", "link", "folder"])
def test_what_is_no_sidecar_stays(photo: Path, kind: str) -> None:
    sidecar = photo.with_name("a.xmp")
    if kind == "folder":
        sidecar.mkdir()
        (sidecar / "x").write_bytes(b"")
    else:
        put(sidecar, kind)
    with open_at(os.fsencode(photo)) as file:
        assert list(companions(file)) == []


def test_a_folder_without_sidecars_is_not_listed(
    photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(_: object) -> list[str]:
        raise AssertionError

    with open_at(os.fsencode(photo)) as file:
        monkeypatch.setattr(os, "listdir", never)
        assert list(companions(file)) == []
    monkeypatch.undo()


@pytest.mark.parametrize(
    ("name", "is_whole", "beside"),
    [
        (b"a.png.xmp", True, b"/t/a (2).png.xmp"),
        (b"a.xmp", False, b"/t/a (2).xmp"),
        (b"a.XMP", False, b"/t/a (2).XMP"),
    ],
)
def test_a_sidecar_is_named_after_where_its_photo_went(
    name: bytes, is_whole: bool, beside: bytes
) -> None:
    assert Companion(name, is_whole).beside(b"/t/a (2).png") == beside
