"""Limits and edges of opening, sorting, unpacking and reading files."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import tarfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pictor.indexer.sources import descriptors, external_sort, shard, tar_compression, volumes
from pictor.indexer.sources.archive import Contents, _put, label_of
from pictor.indexer.sources.base import FoundFile, Locator, RootKind, ScanOptions, ScanProblem
from pictor.indexer.sources.descriptors import far_entries, identity, kind_of, opened
from pictor.indexer.sources.external_sort import sorted_unique, split_records
from pictor.indexer.sources.file_bytes import read_bytes
from pictor.indexer.sources.folder import FolderSource
from pictor.indexer.sources.locations import _choices, _expanded, kind_at
from pictor.indexer.sources.path_list import ListSource
from pictor.indexer.sources.raw_pairs import pair_raws
from pictor.indexer.sources.tar_compression import UnpackedCopy, open_stream
from pictor.library.errors import ImageError, SourceError
from pictor.library.records import Reason

OPTIONS = ScanOptions()


@pytest.fixture
def short_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A folder whose path is as long as the system takes."""
    folder = os.fsencode(tmp_path / "near")
    os.mkdir(folder)
    monkeypatch.setattr(descriptors, "LONGEST_PATH", len(folder))
    return folder


def test_long_paths_are_reached_part_by_part(
    short_paths: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = short_paths + b"/deep"
    os.mkdir(inside)
    Path(os.fsdecode(inside), "file").write_bytes(b"data")
    Path(os.fsdecode(inside), "sub").mkdir()
    Path(os.fsdecode(inside), "link").symlink_to("sub")
    Path(os.fsdecode(inside), "lost").symlink_to("nowhere")
    facts = os.stat(inside)
    before = len(os.listdir("/dev/fd"))
    assert identity(inside) == (facts.st_dev, facts.st_ino)
    assert identity(short_paths)[1] == os.stat(short_paths).st_ino
    with opened(inside + b"/file", os.O_RDONLY) as file:
        assert os.read(file, 9) == b"data"
    entries = {entry.name: entry for entry in far_entries(inside)}
    assert sorted(entries) == [b"file", b"link", b"lost", b"sub"]
    assert [entries[name].is_dir() for name in sorted(entries)] == [False, True, False, True]
    assert not entries[b"link"].is_dir(follow_symlinks=False) and entries[b"link"].is_symlink()
    assert entries[b"sub"].is_dir(follow_symlinks=False) and not entries[b"sub"].is_symlink()
    assert entries[b"file"].path == inside + b"/file" and entries[b"file"].stat().st_size == 4
    assert entries[b"link"].stat().st_ino == entries[b"sub"].stat().st_ino
    assert entries[b"link"].stat(follow_symlinks=False).st_ino != entries[b"link"].stat().st_ino
    with pytest.raises(FileNotFoundError):
        entries[b"lost"].stat()
    for name, error in ((b"/" + b"n" * len(inside) * 2, "File name too long"), (b"/no", "No such")):
        with pytest.raises(OSError, match=error), opened(inside + name, os.O_RDONLY):
            pass
    assert len(os.listdir("/dev/fd")) == before
    opened_at: list[bytes] = []
    monkeypatch.setattr(descriptors, "_open_long", lambda path, _: opened_at.append(path))
    monkeypatch.setattr(os, "close", lambda _: None)
    with opened(short_paths, os.O_RDONLY) as folder:
        assert not opened_at
    monkeypatch.undo()
    os.close(folder)


def test_the_longest_path_leaves_room_for_a_name() -> None:
    assert (3800 if os.uname().sysname == "Linux" else 700) == descriptors.LONGEST_PATH


def test_kinds_have_names() -> None:
    names = [kind_of(bits) for bits in (0o100644, 0o040000, 0o010000, 0o140000, 0o020000, 0o060000)]
    assert names == [
        "a regular file", "a folder", "a named pipe", "a socket", "a device", "a device",
    ]  # fmt: skip
    assert kind_of(0) == "a special file"


# --- sorting


def test_many_runs_are_merged_into_one(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    real = external_sort._written

    def written(files: Any, records: Any) -> Any:
        made.append(real(files, records))
        return made[-1]

    monkeypatch.setattr(external_sort, "_written", written)
    records = [b"%02d" % (number * 7 % 20) for number in range(24)]
    given = sorted_unique(iter(records), run_bytes=4, most_runs=3)
    assert next(given) == b"00"
    assert [run.closed for run in made].count(False) == 2 and len(made) == 17
    assert [b"00", *given] == sorted(set(records)) and all(run.closed for run in made)
    made.clear()
    assert list(sorted_unique([b"b", b"a"], run_bytes=3)) == [b"a", b"b"] and not made
    assert list(sorted_unique([b"b", b"a"], run_bytes=2)) == [b"a", b"b"] and len(made) == 1
    assert list(sorted_unique([])) == []


def test_records_that_are_too_long_are_kept_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(external_sort, "_BLOCK", 4)
    data = b"ab\n" + b"x" * 40 + b"\nlast"
    assert list(split_records(io.BytesIO(data), b"\n")) == [b"ab", b"x" * 40, b"last"]
    first, long, last = split_records(io.BytesIO(data), b"\n", 9)
    assert (first, last) == (b"ab", b"last") and 9 < len(long) <= 18 and set(long) == {120}
    assert list(split_records(io.BytesIO(b"x" * 9 + b"\n"), b"\n", 9)) == [b"x" * 9]
    assert list(split_records(io.BytesIO(b"a\n\nb\n"), b"\n")) == [b"a", b"", b"b"]


# --- unpacking


def test_a_copy_holds_no_more_than_its_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tar_compression.tempfile, "mkstemp", _mkstemp_in(tmp_path))
    packed = gzip.compress(b"x" * 100)
    free = tar_compression._LEFT_FREE
    assert free == 1 << 30

    def copy(room: int, limit: int = 1000, data: bytes = packed) -> UnpackedCopy:
        monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=room + free))
        monkeypatch.setattr(tar_compression, "UNPACKED_LIMIT", limit)
        stream = open_stream(io.BytesIO(data), data)
        assert stream is not None
        return UnpackedCopy(stream, b"/t.tgz", (1, 2))

    made = copy(100)
    assert made.problem == "" and made.stamp == (1, 2)
    assert Path(os.fsdecode(made.path)).read_bytes() == b"x" * 100
    made.close()
    assert not os.path.exists(made.path)
    for room, limit, said in ((99, 1000, "99 bytes"), (-5, 1000, "0 bytes"), (500, 99, "99 bytes")):
        with pytest.raises(SourceError, match=f"unpacks to more than {said}"):
            copy(room, limit)
    assert not list(tmp_path.glob("pictor-*"))
    cut = copy(500, data=packed[:-9])
    assert "damaged after " in cut.problem
    tar_compression._remove(cut.path, os.getpid() + 1)  # another process leaves it
    assert os.path.exists(cut.path)
    del cut
    assert not list(tmp_path.glob("pictor-*"))
    assert open_stream(io.BytesIO(b""), b"plain") is None


def _mkstemp_in(folder: Path) -> Any:
    real = tar_compression.tempfile.mkstemp
    return lambda **options: real(dir=folder, **options)


# --- reading


def test_files_up_to_the_limit_are_read(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path / "f")
    Path(os.fsdecode(path)).write_bytes(b"0123456789")
    stamp = os.stat(path).st_mtime_ns
    assert read_bytes(Locator("file", path), 10, 0) == b"0123456789"
    part = Locator("tar", path, b"m", 2, 5, 0, stamp)
    assert read_bytes(part, 5, 0) == b"23456"
    assert read_bytes(part._replace(stamp_ns=-1), 5, 0) == b"23456"
    for locator, limit, reason, said in (
        (Locator("file", path), 9, Reason.TOO_LARGE, "has 10 bytes, more than the limit of 9"),
        (part, 4, Reason.TOO_LARGE, "'m' in "),
        (part._replace(size=9), 99, Reason.TRUNCATED, "ends after 8 of 9 bytes"),
        (part._replace(stamp_ns=stamp + 1), 5, Reason.CHANGED, "changed since it was listed"),
        (Locator("zip", path, b"m", 0, -1, 0, 1), 5, Reason.CHANGED, "changed since"),
        (Locator("file", path + b"x"), 5, Reason.VANISHED, "cannot read"),
    ):
        with pytest.raises(ImageError) as caught:
            read_bytes(locator, limit, 0)
        assert caught.value.reason is reason and said in caught.value.detail


def test_of_one_label_the_last_member_counts() -> None:
    file = FoundFile(b"x", 1, 1, Locator("zip", b"/z"))
    contents = Contents()
    _put(contents, b"./a", file)
    _put(contents, b".//b", file)
    _put(contents, b"././/c", file)
    assert [one.path for one in contents.files.values()] == [b"a", b"b", b"c"]
    for name, found in ((b"a", None), (b"./", file), (b"b", file), (b"no", None)):
        _put(contents, name, found)
    assert sorted(contents.files) == [b"b", b"c"]
    assert [label_of(name) for name in (b"./", b"a/./b", b".x", b"../a")] == [
        b"", b"a/./b", b".x", b"../a",
    ]  # fmt: skip


# --- shards


@pytest.mark.parametrize(
    ("names", "is_shard"),
    [
        ("a.jpg a.txt", True),
        ("a.jpg a.CLS", True),
        ("a.jpg b.txt", False),
        ("a.jpg a.png", False),
        ("a.txt a.json", False),
        ("x/a.jpg y/a.txt", False),
        ("a.seg.png a.txt", False),
        ("a a.txt", False),
        ("./a.jpg a.txt", True),
    ],
)
def test_a_shard_has_texts_beside_pictures(names: str, is_shard: bool) -> None:
    assert shard.looks_like_shard(tar_of(*names.split())) is is_shard


def tar_of(*names: str, size: int = 0) -> io.BytesIO:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name in names:
            facts = tarfile.TarInfo(name)
            facts.size = size
            archive.addfile(facts, io.BytesIO(bytes(size)))
    file.seek(0)
    return file


def test_a_shard_is_known_by_its_first_members(monkeypatch: pytest.MonkeyPatch) -> None:
    others = [f"{number}.bmp" for number in range(62)]
    assert shard.looks_like_shard(tar_of(*others, "a.jpg", "a.txt"))
    assert not shard.looks_like_shard(tar_of(*others, "b.bmp", "a.jpg", "a.txt"))
    assert shard._PEEKED_BYTES == 64 << 20
    monkeypatch.setattr(shard, "_PEEKED_BYTES", 1024)
    assert not shard.looks_like_shard(tar_of("a.jpg", "a.txt", size=1))
    monkeypatch.setattr(shard, "_PEEKED_BYTES", 1025)
    assert shard.looks_like_shard(tar_of("a.jpg", "a.txt", size=1))


def test_captions_of_a_json_file() -> None:
    data = {"url": " u ", "caption": ["a\0", 7, "b"], "title": "t" * 10_001, "lang": "de"}
    found = [(one.text, one.language, one.source) for one in shard._json_captions(_json(data))]
    assert found == [
        ("a", "de", "json:caption"),
        ("b", "de", "json:caption"),
        ("t" * 10_000, "de", "json:title"),
        ("u", "", "json:url"),
    ]
    for language, kept in (("en", "en"), (7, ""), (None, "")):
        (one,) = shard._json_captions(_json({"text": "x", "language": language, "lang": "de"}))
        assert one.language == kept
    for bad in (b"", b"[1]", b"[" * 100_000):
        assert shard._json_captions(bad) == []


def _json(data: object) -> bytes:
    return json.dumps(data).encode()


# --- volumes, braces, pairs


@pytest.mark.parametrize(
    ("source", "share"),
    [
        ("nas:/p", "share=nas:/p;"), ("//nas/p", "share=//nas/p;"), ("a;b:c", "share=a_b:c;"),
        ("/dev/x", ""), ("tmpfs", ""),
    ],
)  # fmt: skip
def test_a_share_is_what_has_a_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, share: str
) -> None:
    device = os.stat(tmp_path).st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    mounts, uuids = tmp_path / "mounts", tmp_path / "uuids"
    mounts.write_text(
        f"1 0 9:9 / / rw - ext4 other:/x rw\n3 1 9:9 {number} / rw - ext4 wrong:/x rw\n"
        f"2 1 {number} / /m rw - cifs {source} rw\n"
    )
    monkeypatch.setattr(volumes, "_MOUNTS", str(mounts))
    monkeypatch.setattr(volumes, "_UUIDS", str(uuids))
    name = volumes.volume_id(os.fsencode(tmp_path))
    assert name.startswith((share or "fsid=", share or "dev="))
    assert name.endswith(f"dev={device:x}") and ("share=" in name) is bool(share)
    assert ("fsid=" in name) is bool(os.statvfs(tmp_path).f_fsid)
    uuids.mkdir()
    (uuids / "ABC").symlink_to("/dev/null")
    assert "uuid=" not in volumes.volume_id(os.fsencode(tmp_path))
    assert volumes._uuid("", os.stat("/dev/null").st_rdev) == "ABC"
    assert volumes._uuid("/dev/null", os.stat("/dev/null").st_rdev) == "ABC"


def test_braces_and_ranges() -> None:
    assert _choices(b"1..3") == [b"1", b"2", b"3"] and _choices(b"3..1") == [b"3", b"2", b"1"]
    assert _choices(b"08..10") == [b"08", b"09", b"10"] and _choices(b"5..5") == [b"5"]
    assert _choices(b"a,b,") == [b"a", b"b", b""] and _choices(b"a") == [b"{a}"]
    assert len(_choices(b"0..99999")) == 100_000
    with pytest.raises(SourceError, match="stands for more than 100000"):
        _choices(b"0..100000")
    assert len(_expanded(b"{1..1000}{1..100}")) == 100_000
    with pytest.raises(SourceError, match="stands for 101000 paths"):
        _expanded(b"{1..1000}{1..101}")
    assert _expanded(b"x") == [b"x"] and _expanded(b"a{b,c}d{1..2}") == [
        b"abd1", b"abd2", b"acd1", b"acd2",
    ]  # fmt: skip


def test_a_list_is_cut_by_prefix_and_globs(tmp_path: Path) -> None:
    location = tmp_path / "list.txt"
    location.write_text("/x/a.jpg\n/x/b.png\n/y/a.jpg\nhttp://x/a.jpg\nc/../d.gif\n")

    def paths(prefix: bytes, *include: str) -> list[bytes]:
        source = ListSource(os.fsencode(location), ScanOptions(include=include))
        return [getattr(one, "path", b"") for one in source.scan(prefix)]

    assert paths(b"/x/") == [b"/x/a.jpg", b"/x/b.png"]
    assert paths(b"/x/", "*.jpg") == [b"/x/a.jpg"] and paths(b"/z") == []
    assert paths(b"", "x/*.jpg") == [b"/x/a.jpg"]
    assert len(paths(b"")) == 5
    assert paths(b"", "*.gif") == [os.fsencode(tmp_path / "d.gif")]


def test_a_raw_is_paired_with_the_preferred_picture() -> None:
    paths = [b"a.HEIC", b"a.jpeg", b"A.cr3", b"x/a.jpg", b"b.nef", b"c.hif", b"c.dng", b"d.jpg"]
    assert pair_raws(paths) == {b"A.cr3": b"a.jpeg", b"c.dng": b"c.hif"}
    assert pair_raws(paths[:2]) == {} == pair_raws([b"b.nef", b"b.png"])
    assert pair_raws([b"a.nef", b"a.jpg", b"a.jpe", b"A.JPG"]) == {b"a.nef": b"A.JPG"}


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("a.zip", b"x", RootKind.ARCHIVE),
        ("a.zip", b"", RootKind.FILE),
        ("a.tar", bytes(1024), RootKind.ARCHIVE),
        ("a.tar", b"", RootKind.FILE),
        ("a.tar", b"x" + bytes(1023), RootKind.FILE),
        ("a.bin", bytes(1024), RootKind.FILE),
        ("a.TXT", b"words", RootKind.LIST),
        ("a", b"words", RootKind.FILE),
        ("a", b"https://x/y\nhttp://z", RootKind.LIST),
        ("a", b"https://x/y\nnothing", RootKind.FILE),
        ("a", b"https://x/y\n\x01", RootKind.FILE),
        ("a", b"#\n", RootKind.FILE),
        ("a", gzip.compress(tar_of("x.jpg").getvalue(), mtime=0), RootKind.ARCHIVE),
        ("a", gzip.compress(tar_of("x.jpg", "x.txt").getvalue(), mtime=0), RootKind.SHARD),
        ("a", gzip.compress(b"no tar", mtime=0), RootKind.FILE),
        ("a", gzip.compress(tar_of("x.jpg").getvalue(), mtime=0)[:30], RootKind.ARCHIVE),
        ("a", tar_of("x.jpg", "x.txt").getvalue(), RootKind.SHARD),
    ],
)
def test_content_decides_what_a_root_is(
    tmp_path: Path, name: str, data: bytes, kind: RootKind
) -> None:
    (tmp_path / name).write_bytes(data)
    assert kind_at(os.fsencode(tmp_path / name)) is kind


@pytest.mark.parametrize(
    ("prefix", "options", "expected"),
    [
        (b"", {}, "a.jpg d/b.jpg d/e/c.jpg d0.jpg"),
        (b"d", {}, "d/b.jpg d/e/c.jpg d0.jpg"),
        (b"d/", {}, "d/b.jpg d/e/c.jpg"),
        (b"d/e/", {}, "d/e/c.jpg"),
        (b"d/e/c", {}, "d/e/c.jpg"),
        (b"d/x", {}, ""),
        (b"no/", {}, ""),
        (b"d/../d/", {}, ""),
        (b"/d/", {}, ""),
        (b".h/", {}, ""),
        (b".h/", {"hidden": True}, ".h/h.jpg"),
        (b"l/", {}, ""),
        (b"l/", {"follow_symlinks": True}, ""),
        (b"out/", {}, ""),
        (b"out/", {"follow_symlinks": True}, "out/o.jpg"),
    ],
)
def test_a_prefix_is_walked_if_the_root_leads_to_it(
    tmp_path: Path, prefix: bytes, options: dict[str, Any], expected: str
) -> None:
    root = tmp_path / "r"
    for name in ("a.jpg", "d/b.jpg", "d/e/c.jpg", "d0.jpg", ".h/h.jpg", "../o/o.jpg"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    (root / "l").symlink_to("d")
    (root / "out").symlink_to("../o")
    found = list(FolderSource(os.fsencode(root), ScanOptions(**options)).scan(prefix))
    assert not any(isinstance(one, ScanProblem) for one in found)
    assert [getattr(one, "path", b"").decode() for one in found] == expected.split()
