"""What a location is, braces, and volumes."""

from __future__ import annotations

import bz2
import gzip
import os
import random
import tarfile
import zipfile
from pathlib import Path

import pytest

from pictor.indexer.sources import (
    FoundFile,
    RootKind,
    ScanOptions,
    open_source,
    read_bytes,
    reopen,
    same_volume,
    volume_id,
)
from pictor.indexer.sources import volumes as volumes_module
from pictor.library.errors import SourceError

OPTIONS = ScanOptions()
JPEG = b"\xff\xd8\xff\xe0" + bytes(range(256))


def kind_of(path: Path) -> RootKind:
    (source,) = open_source(path, OPTIONS)
    return source.kind


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("x.jpg", JPEG, RootKind.FILE),
        ("empty", b"", RootKind.FILE),
        ("x.svg", b"<svg></svg>", RootKind.FILE),
        ("x.md", b"# title\nno such file\n", RootKind.FILE),
        ("x.gz", gzip.compress(b"no tar", mtime=0), RootKind.FILE),
        ("x.bz2", bz2.compress(b"no tar" * 1000), RootKind.FILE),
        ("x.TXT", b"no/such/file.jpg\n", RootKind.LIST),
        ("empty.lst", b"", RootKind.LIST),
        ("paths", b"# mine\nx.jpg\n\nx.jpg", RootKind.LIST),
        ("paths0", b"x.jpg\0x.jpg\0", RootKind.LIST),
        ("urls", b"https://example.org/a.jpg\r\n", RootKind.LIST),
        ("some urls", b"https://example.org/a.jpg\nand prose", RootKind.FILE),
        ("utf16", "x.jpg\n".encode("utf-16"), RootKind.FILE),
        ("empty.tar", bytes(10_240), RootKind.ARCHIVE),
        (
            "cut.tar.gz",
            gzip.compress(bytes(100) + random.Random(1).randbytes(9000), mtime=0)[:5000],
            RootKind.FILE,
        ),
        ("broken.zip", b"anything", RootKind.ARCHIVE),
    ],
)
def test_files_are_told_apart_by_content(
    tmp_path: Path, name: str, data: bytes, kind: RootKind
) -> None:
    (tmp_path / "x.jpg").write_bytes(JPEG)
    (tmp_path / name).write_bytes(data)
    assert kind_of(tmp_path / name) is kind


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_archives_are_known_whatever_their_name(tmp_path: Path, mode: str) -> None:
    with tarfile.open(tmp_path / "tar", mode) as archive:
        archive.addfile(tarfile.TarInfo("x.jpg"))
    with zipfile.ZipFile(tmp_path / "zip.jpg", "w"):
        pass
    assert kind_of(tmp_path / "tar") is RootKind.ARCHIVE
    assert kind_of(tmp_path / "zip.jpg") is RootKind.ARCHIVE


@pytest.mark.parametrize(
    ("head", "what"),
    [
        (b"7z\xbc\xaf\x27\x1c", "a 7z"),
        (b"Rar!\x1a\x07\1\0", "a RAR"),
        (b"\x28\xb5\x2f\xfd", "a zstd"),
    ],
)
def test_foreign_archives_are_named(tmp_path: Path, head: bytes, what: str) -> None:
    (tmp_path / "x").write_bytes(head)
    with pytest.raises(SourceError, match=f"is {what} archive, which is not read"):
        open_source(tmp_path / "x", OPTIONS)


def test_a_single_file_has_the_empty_path(tmp_path: Path) -> None:
    (tmp_path / ".x.jpg").write_bytes(JPEG)
    (source,) = open_source(tmp_path / ".x.jpg", ScanOptions(exclude=("*",)))
    (found,) = source.scan()
    assert isinstance(found, FoundFile)
    assert (found.path, found.size_bytes) == (b"", len(JPEG))
    assert read_bytes(found.locator, 1000, 1) == JPEG
    assert list(source.scan(b"x")) == []
    (tmp_path / ".x.jpg").unlink()
    with pytest.raises(SourceError, match="no such file"):
        list(source.scan())
    (tmp_path / ".x.jpg").mkdir()
    with pytest.raises(SourceError, match="was a regular file and is none"):
        list(source.scan())


def test_locations_become_absolute_and_links_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    monkeypatch.chdir(tmp_path)
    expected = os.fsencode(tmp_path / "link")
    for location in ("link", b"./link/", Path("link"), "link/../link//."):
        (source,) = open_source(location, OPTIONS)
        assert (source.location, source.kind) == (expected, RootKind.FOLDER)


def test_special_and_missing_locations_are_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "broken").symlink_to("nowhere")
    (tmp_path / "self").symlink_to("self")
    for location, match in [
        ("pipe", "is a named pipe, no folder or regular file"),
        ("/dev/null", "is a device, no folder"),
        ("no", "/no' does not exist"),
        ("broken", "/broken' does not exist"),
        ("self", "cannot read .*symbolic links"),
        ("https://example.org/x.jpg", "is a URL; write it to a list"),
        ("", "is no path"),
        ("a\0b", "is no path"),
    ]:
        monkeypatch.chdir(tmp_path)
        with pytest.raises(SourceError, match=match):
            open_source(location, OPTIONS)


@pytest.mark.parametrize("what", ["folder", "file"])
def test_unreadable_locations_are_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    def refuse(path: object, *args: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setattr(os, "scandir", refuse)
    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(SourceError) as caught:
        open_source(tmp_path / what, OPTIONS)
    monkeypatch.undo()
    assert str(caught.value).endswith(f"/{what}': permission denied")


def test_braces_name_several_roots(tmp_path: Path) -> None:
    for number in range(8, 12):
        (tmp_path / f"s-{number:04d}-a.jpg").write_bytes(JPEG)
        (tmp_path / f"s-{number}-b.jpg").write_bytes(JPEG)
    (tmp_path / "{literal}.jpg").write_bytes(JPEG)
    (tmp_path / "{0..1}").mkdir()

    def names(pattern: str) -> list[str]:
        sources = open_source(tmp_path / pattern, OPTIONS)
        return [Path(os.fsdecode(source.location)).name for source in sources]

    assert names("s-{0008..0010}-a.jpg") == ["s-0008-a.jpg", "s-0009-a.jpg", "s-0010-a.jpg"]
    assert names("s-{10..9}-b.jpg") == ["s-10-b.jpg", "s-9-b.jpg"]
    assert names("s-{0008,0009,0008}-a.jpg") == ["s-0008-a.jpg", "s-0009-a.jpg"]
    assert names("s-{8..9}-b.{jpg,jpg}") == ["s-8-b.jpg", "s-9-b.jpg"]
    assert names("{literal}.jpg") == ["{literal}.jpg"]
    assert names("{0..1}") == ["{0..1}"]
    with pytest.raises(SourceError, match=r"s-0012-a.jpg' does not exist"):
        names("s-{0010..0012}-a.jpg")
    with pytest.raises(SourceError, match=r"{none}' does not exist"):
        names("{none}")
    for pattern in ("{0..999999999}", "{1..1000}{1..1000}"):
        with pytest.raises(SourceError, match=r"stands for .*more than|more than 100000"):
            names(pattern)


@pytest.mark.parametrize("kind", list(RootKind))
def test_reopening_touches_no_disk(kind: RootKind) -> None:
    source = reopen(kind, b"/nowhere/at all", OPTIONS)
    assert (source.kind, source.location) == (kind, b"/nowhere/at all")
    assert type(reopen(RootKind(kind.value), b"/x", OPTIONS)) is type(source)
    with pytest.raises(SourceError, match="/nowhere/at all': no such file"):
        list(source.scan())


def test_a_volume_has_a_name_of_its_own(tmp_path: Path) -> None:
    here = volume_id(os.fsencode(tmp_path))
    assert "dev=" in here
    assert same_volume(here, volume_id(os.fsencode(tmp_path)))
    assert not same_volume(here, volume_id(b"/proc"))
    with pytest.raises(SourceError, match="no such file"):
        volume_id(b"/nowhere")


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("uuid=a;fsid=1;dev=1", "uuid=a;fsid=2;dev=2", True),
        ("uuid=a;fsid=1;dev=1", "uuid=b;fsid=1;dev=1", False),
        ("share=nas:/p;dev=1", "share=nas:/p;dev=2", True),
        ("share=nas:/p;fsid=1;dev=1", "fsid=2;dev=1", False),
        ("uuid=a;fsid=1;dev=1", "fsid=1;dev=2", True),
        ("dev=1", "dev=1", True),
        ("dev=1", "dev=2", False),
        ("", "", True),
        ("", "dev=1", False),
    ],
)
def test_the_most_durable_shared_fact_decides(one: str, other: str, is_same: bool) -> None:
    assert same_volume(one, other) is is_same
    assert same_volume(other, one) is is_same


def test_shares_are_known_by_what_they_are_mounted_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = os.stat(tmp_path).st_dev
    mounts = tmp_path / "mountinfo"
    number = f"{os.major(device)}:{os.minor(device)}"
    mounts.write_text(
        f"1 0 9:9 / / rw - ext4 /dev/x rw\n2 1 {number} / /m rw - cifs //nas/my\\040p rw\n"
    )
    monkeypatch.setattr(volumes_module, "_MOUNTS", str(mounts))
    monkeypatch.setattr(volumes_module, "_UUIDS", str(tmp_path / "none"))
    assert "share=//nas/my p;" in volume_id(os.fsencode(tmp_path))
    monkeypatch.setattr(volumes_module, "_MOUNTS", str(tmp_path / "none"))
    assert "share" not in volume_id(os.fsencode(tmp_path))
