"""Zip and tar archives as roots, the honest ones and the others."""

from __future__ import annotations

import io
import os
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pictor.indexer.sources import FoundFile, ScanOptions, ScanProblem, read_bytes
from pictor.indexer.sources import tar_compression as unpacking_module
from pictor.indexer.sources.archive import ArchiveSource
from pictor.indexer.sources.tar_format import TarDamaged, read_members
from pictor.library.errors import ImageError, SourceError
from pictor.library.records import Reason

Paths = Callable[..., list[bytes]]
LIMIT = 1 << 20
HOSTILE = [b"../../etc/passwd", b"/etc/passwd", b"a/../../b.jpg", b"C:\\x.jpg", b"a\nb.jpg"]


def files_in(path: Path, options: ScanOptions | None = None) -> dict[bytes, FoundFile]:
    source = ArchiveSource(os.fsencode(path), options or ScanOptions())
    found = {each.path: each for each in source.scan() if isinstance(each, FoundFile)}
    found_source[path] = source  # a compressed tar's copy lives as long as its source
    return found


found_source: dict[Path, ArchiveSource] = {}


def read(found: FoundFile, limit: int = LIMIT) -> bytes:
    return read_bytes(found.locator, limit, 1)


def reason_of(found: FoundFile, limit: int = LIMIT) -> tuple[Reason, str]:
    with pytest.raises(ImageError) as caught:
        read(found, limit)
    return caught.value.reason, caught.value.detail


def make_zip(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, (2020, 5, 6, 7, 8, 10)), data, method)
    return path


def make_tar(
    path: Path, members: list[tuple[bytes, bytes]], mode: str = "w", form: int = tarfile.PAX_FORMAT
) -> Path:
    with tarfile.open(path, mode, format=form) as archive:  # type: ignore[call-overload]
        for name, data in members:
            info = tarfile.TarInfo(os.fsdecode(name))
            info.size, info.mtime = len(data), 1_600_000_000
            archive.addfile(info, io.BytesIO(data))
    return path


METHODS = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]


@pytest.mark.parametrize("method", METHODS)
def test_zip_members_are_listed_in_order_and_read(
    tmp_path: Path, paths_of: Paths, method: int
) -> None:
    members = {
        "b.jpg": os.urandom(300_000),
        "a/x.jpg": b"x" * 500_000,
        "empty.jpg": b"",
        "a-.jpg": b"1",
    }
    path = make_zip(tmp_path / "x.zip", {**members, "folder/": b""}, method)
    source = ArchiveSource(os.fsencode(path), ScanOptions())
    assert paths_of(source) == [b"a-.jpg", b"a/x.jpg", b"b.jpg", b"empty.jpg"]
    assert paths_of(source, b"a/") == [b"a/x.jpg"]
    found = files_in(path)
    for name, data in members.items():
        assert found[name.encode()].size_bytes == len(data)
        assert read(found[name.encode()]) == data
    assert found[b"b.jpg"].mtime_ns == 1_588_748_890 * 10**9  # 2020-05-06T07:08:10Z


TAR_MODES = ["w", "w:gz", "w:bz2", "w:xz"]


@pytest.mark.parametrize("mode", TAR_MODES)
def test_tar_members_are_listed_in_order_and_read(
    tmp_path: Path, paths_of: Paths, mode: str
) -> None:
    members = [(b"b.jpg", os.urandom(3000)), (b"./a/x.jpg", b"x" * 512), (b"empty.jpg", b"")]
    path = make_tar(tmp_path / "x.any", members, mode)
    source = ArchiveSource(os.fsencode(path), ScanOptions())
    assert paths_of(source) == [b"a/x.jpg", b"b.jpg", b"empty.jpg"]
    found = files_in(path)
    assert [read(found[name.removeprefix(b"./")]) for name, _ in members] == [
        data for _, data in members
    ]
    assert found[b"b.jpg"].mtime_ns == 1_600_000_000 * 10**9


def test_the_copy_of_a_compressed_tar_goes_with_its_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    path = make_tar(tmp_path / "x.tgz", [(b"a.jpg", b"a")], "w:gz")
    source = ArchiveSource(os.fsencode(path), ScanOptions())
    (found,) = source.scan()
    assert list(source.scan()) == [found]  # the first scan's files stay readable
    assert isinstance(found, FoundFile) and read(found) == b"a"
    make_tar(path, [(b"a.jpg", b"new")], "w:gz")
    (found,) = source.scan()
    assert isinstance(found, FoundFile) and read(found) == b"new"
    assert len(list(temporary.iterdir())) == 1
    del source
    assert not list(temporary.iterdir())


def test_a_compressed_tar_larger_than_the_room_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    monkeypatch.setattr(unpacking_module, "UNPACKED_LIMIT", 1 << 20)
    path = make_tar(tmp_path / "bomb.tgz", [(b"a.jpg", bytes(20 << 20))], "w:gz")
    with pytest.raises(SourceError, match="unpacks to more than 1048576 bytes"):
        files_in(path)
    assert not list(temporary.iterdir())


def test_hostile_names_are_labels(tmp_path: Path) -> None:
    members = [(name, b"data of " + name) for name in HOSTILE]
    for path in (
        make_zip(tmp_path / "x.zip", {name.decode(): data for name, data in members}),
        make_tar(tmp_path / "x.tar", members),
    ):
        found = files_in(path, ScanOptions(hidden=True))
        assert list(found) == sorted(HOSTILE)
        assert [read(found[name]) for name in HOSTILE] == [data for _, data in members]


def test_names_that_are_not_utf8_are_kept(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "x.zip", {"aaaa.jpg": b"1", "eeee.jpg": b"2"})
    data = path.read_bytes().replace(b"aaaa", b"\xb5\xf8\0\xff")
    # Claims to be UTF-8 and is not: the other member must not go with it.
    at = data.index(b"PK\1\2")
    path.write_bytes(data[: at + 8] + struct.pack("<H", 0x800) + data[at + 10 :])
    found = files_in(path)
    assert list(found) == [b"eeee.jpg", b"\xb5\xf8\0\xff.jpg"]
    assert read(found[b"\xb5\xf8\0\xff.jpg"]) == b"1"
    found = files_in(
        make_tar(tmp_path / "x.tar", [(b"\xb5\xf8.jpg", b"1")], form=tarfile.GNU_FORMAT)
    )
    assert read(found[b"\xb5\xf8.jpg"]) == b"1"


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_long_names_in_every_tar_format(tmp_path: Path, form: int) -> None:
    name = b"d" * 120 + b"/" + b"f" * 90 + b".jpg"
    found = files_in(make_tar(tmp_path / "x.tar", [(name, b"1"), (b"z", b"22")], form=form))
    assert list(found) == [name, b"z"]
    assert (read(found[name]), read(found[b"z"])) == (b"1", b"22")


def test_of_one_name_the_last_member_counts(tmp_path: Path) -> None:
    members = [(b"a.jpg", b"old"), (b"b.jpg", b"b"), (b"a.jpg", b"newer")]
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members[:2]:
            archive.writestr(name.decode(), data)
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a.jpg", b"newer")
    for each in (path, make_tar(tmp_path / "x.tar", members)):
        assert read(files_in(each)[b"a.jpg"]) == b"newer"


def test_links_devices_and_folders_are_not_listed(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
            info = tarfile.TarInfo(f"special-{kind!r}")
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        archive.addfile(tarfile.TarInfo("a.jpg"))
    assert list(files_in(path)) == [b"a.jpg"]
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("link.jpg")
        info.create_system, info.external_attr = 3, 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
        archive.writestr("a.jpg", b"1")
    assert list(files_in(path)) == [b"a.jpg"]


def test_options_apply_to_members(tmp_path: Path) -> None:
    names = ["a/x.jpg", "a/x.NEF", "__MACOSX/a/._x.jpg", "raw/y.jpg", "b.png"]
    path = make_zip(tmp_path / "x.zip", dict.fromkeys(names, b"1"))
    found = files_in(path, ScanOptions(exclude=("raw/", "*.png")))
    assert {name: each.skip for name, each in found.items()} == {
        b"a/x.NEF": Reason.SIDECAR,
        b"a/x.jpg": None,
    }


def test_a_member_above_the_limit_is_not_read(tmp_path: Path) -> None:
    bomb = make_zip(tmp_path / "x.zip", {"a.jpg": bytes(5 << 20)})
    reason, detail = reason_of(files_in(bomb)[b"a.jpg"])
    assert reason is Reason.TOO_LARGE
    assert detail.endswith("has 5242880 bytes, more than the limit of 1048576")
    plain = make_tar(tmp_path / "x.tar", [(b"a.jpg", bytes(5 << 20))])
    assert reason_of(files_in(plain)[b"a.jpg"])[0] is Reason.TOO_LARGE


@pytest.mark.parametrize("method", METHODS)
def test_a_zip_member_that_holds_more_than_it_says_ends_there(tmp_path: Path, method: int) -> None:
    path = make_zip(tmp_path / "x.zip", {"a.jpg": bytes(8 << 20)}, method)
    data = path.read_bytes()
    at = data.rindex(b"PK\1\2")
    path.write_bytes(data[: at + 24] + struct.pack("<L", 1000) + data[at + 28 :])
    assert reason_of(files_in(path)[b"a.jpg"])[0] is Reason.CORRUPT


@pytest.mark.parametrize("method", METHODS)
def test_damaged_zip_members_fail_alone(tmp_path: Path, method: int) -> None:
    path = make_zip(tmp_path / "x.zip", {"a.jpg": os.urandom(5000), "b.jpg": b"fine"}, method)
    data = bytearray(path.read_bytes())
    data[2000:2100] = bytes(100)
    path.write_bytes(data)
    found = files_in(path)
    assert reason_of(found[b"a.jpg"])[0] in (Reason.CORRUPT, Reason.TRUNCATED)
    assert read(found[b"b.jpg"]) == b"fine"


def test_an_encrypted_member_says_so(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "x.zip", {"a.jpg": b"1"})
    data = path.read_bytes()
    at = data.index(b"PK\1\2")
    path.write_bytes(data[: at + 8] + b"\1\0" + data[at + 10 :])
    reason, detail = reason_of(files_in(path)[b"a.jpg"])
    assert reason is Reason.UNSUPPORTED and "is encrypted; unpack the zip" in detail


def test_an_unknown_compression_says_so(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "x.zip", {"a.jpg": b"1"})
    data = path.read_bytes()
    at = data.index(b"PK\1\2")
    path.write_bytes(data[: at + 10] + b"\x09\0" + data[at + 12 :])
    reason, detail = reason_of(files_in(path)[b"a.jpg"])
    assert reason is Reason.UNSUPPORTED and "compressed by method 9" in detail


def test_a_zip_cut_short_is_an_error(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "x.zip", {"a.jpg": os.urandom(1000)})
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(SourceError, match="is a damaged zip: its directory is missing"):
        files_in(path)


def test_a_damaged_directory_gives_its_part_and_a_problem(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "x.zip", {"a.jpg": b"1", "b.jpg": b"2"})
    data = path.read_bytes()
    at = data.rindex(b"PK\1\2")
    path.write_bytes(data[:at] + b"????" + data[at + 4 :])
    problem, found = ArchiveSource(os.fsencode(path), ScanOptions()).scan()
    assert isinstance(problem, ScanProblem) and problem.prefix == b""
    assert problem.detail.endswith("is damaged: a record of the directory is damaged")
    assert isinstance(found, FoundFile) and read(found) == b"1"


def test_zips_behind_other_bytes_and_of_64_bits(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "x.zip", {"a.jpg": b"1"})
    path.write_bytes(b"#!/bin/sh\n" + path.read_bytes() + b"")
    assert read(files_in(path)[b"a.jpg"]) == b"1"
    with zipfile.ZipFile(path, "w") as archive:
        with archive.open("a.jpg", "w", force_zip64=True) as member:
            member.write(b"2")
        archive.comment = b"PK" * 1000
    assert read(files_in(path)[b"a.jpg"]) == b"2"


def test_more_members_than_16_bits_count(tmp_path: Path) -> None:
    one = make_zip(tmp_path / "one.zip", {"00000.jpg": b"1"}).read_bytes()
    start, end = one.index(b"PK\1\2"), one.index(b"PK\5\6")
    names = [b"%05d.jpg" % number for number in range(66_000)]
    directory = b"".join(one[start:end].replace(b"00000.jpg", name) for name in names)
    at = start + len(directory)
    counts = (len(names), len(names), len(directory), start)
    end_64 = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, *counts)
    end_64 += struct.pack("<4sLQL", b"PK\6\7", 0, at, 1)
    full = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, *[0xFFFF] * 2, *[0xFFFFFFFF] * 2, 0)
    path = tmp_path / "x.zip"
    path.write_bytes(one[:start] + directory + end_64 + full)
    found = files_in(path)
    assert list(found) == names
    assert read(found[names[-1]]) == b"1"


def test_a_tar_that_breaks_off_gives_its_part_and_a_problem(tmp_path: Path) -> None:
    path = make_tar(tmp_path / "x.tar", [(b"b.jpg", b"b" * 600), (b"a.jpg", b"a" * 2000)])
    whole = path.read_bytes()
    path.write_bytes(whole[:3000])  # within the second member
    problem, cut, found = ArchiveSource(os.fsencode(path), ScanOptions()).scan()
    assert isinstance(problem, ScanProblem) and isinstance(found, FoundFile)
    assert problem.detail.endswith("is damaged: it ends within its last member")
    assert read(found) == b"b" * 600
    assert isinstance(cut, FoundFile) and reason_of(cut)[0] is Reason.TRUNCATED
    path.write_bytes(whole[:1536] + b"?" * 512 + whole[2048:])
    problem, found = ArchiveSource(os.fsencode(path), ScanOptions()).scan()
    assert isinstance(problem, ScanProblem) and "no header at byte 1536" in problem.detail
    path.write_bytes(whole[:4096])  # no final blocks of zeros, as some tools write
    assert len(files_in(path)) == 2


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
def test_a_compressed_tar_that_breaks_off(tmp_path: Path, mode: str) -> None:
    path = make_tar(
        tmp_path / "x.any", [(name, os.urandom(1_200_000)) for name in (b"a", b"b")], mode
    )
    path.write_bytes(path.read_bytes()[:2_000_000])
    found = list(ArchiveSource(os.fsencode(path), ScanOptions()).scan())
    assert isinstance(found[0], ScanProblem) and found[0].prefix == b""
    assert "compressed data are damaged" in found[0].detail
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(SourceError, match="is damaged"):
        files_in(path)


def header(size: bytes, kind: bytes, name: bytes = b"x") -> bytes:
    block = bytearray(512)
    block[: len(name)] = name
    block[124 : 124 + len(size)] = size
    block[156:157] = kind
    block[257:263] = b"ustar\0"
    block[148:156] = b" " * 8
    block[148:155] = b"%06o\0" % sum(block)
    return bytes(block)


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (header(b"77777777777", b"x"), "claims 8589934591 bytes"),
        (header(b"\x80" + b"\xff" * 11, b"L"), "claims"),
        (header(b"100", b"x"), "is cut short"),
        (header(b"zzz", b"0"), "has no number"),
        (header(b"\xff" * 12, b"0"), "a size of -1 bytes"),
        (header(b"\x80" + b"\xff" * 11, b"0"), "claims a size of"),
        (header(b"15", b"x") + b"13 size=-100\n".ljust(512, b"\0"), "a size of -100 bytes"),
        (header(b"10", b"x") + b"99 path=\n".ljust(512, b"\0"), "extended header is damaged"),
        (header(b"12", b"x") + b"10 size=x\n".ljust(512, b"\0"), "no number where one is required"),
        (b"", "is empty"),
    ],
)
def test_hostile_tar_headers_are_damage(data: bytes, match: str) -> None:
    with pytest.raises(TarDamaged, match=match):
        list(read_members(io.BytesIO(data)))


def test_pax_sizes_times_and_sparse_files(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("a.jpg")
        info.size, info.pax_headers = 3, {"mtime": "1600000000.123456789", "comment": "x"}
        archive.addfile(info, io.BytesIO(b"abc"))
        info = tarfile.TarInfo("GNUSparseFile.0/s.jpg")
        info.size = 3
        info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.name": "s.jpg"}
        archive.addfile(info, io.BytesIO(b"abc"))
    found = files_in(path)
    assert found[b"a.jpg"].mtime_ns == 1_600_000_000_123_456_789
    assert found[b"s.jpg"].skip is Reason.UNSUPPORTED
    assert "is stored sparse" in found[b"s.jpg"].skip_detail


def test_old_sparse_maps_are_stepped_over() -> None:
    first = bytearray(header(b"0", b"S", b"s.jpg"))
    first[482] = 1
    first[148:156] = b" " * 8
    first[148:155] = b"%06o\0" % sum(first)
    more, last = bytearray(512), bytearray(512)
    more[504] = 1
    data = bytes(first) + more + last + header(b"1", b"0", b"a.jpg") + b"1".ljust(512, b"\0")
    members = list(read_members(io.BytesIO(data)))
    assert [(each.name, each.is_sparse) for each in members] == [
        (b"s.jpg", True),
        (b"a.jpg", False),
    ]


def test_an_archive_written_again_is_noticed(tmp_path: Path) -> None:
    for path in (
        make_zip(tmp_path / "x.zip", {"a.jpg": b"1"}),
        make_tar(tmp_path / "x.tar", [(b"a.jpg", b"1")]),
    ):
        found = files_in(path)[b"a.jpg"]
        os.utime(path, ns=(1, 1))
        assert reason_of(found)[0] is Reason.CHANGED
        path.unlink()
        assert reason_of(found)[0] is Reason.VANISHED


def test_a_zip_record_that_moved_is_noticed(tmp_path: Path) -> None:
    found = files_in(make_zip(tmp_path / "x.zip", {"a.jpg": b"1"}))[b"a.jpg"]
    moved = found._replace(locator=found.locator._replace(offset=3))
    assert reason_of(moved)[0] is Reason.CHANGED
    other = found._replace(locator=found.locator._replace(member=b"b.jpg"))
    assert reason_of(other)[0] is Reason.CHANGED


def test_no_archive_and_empty_ones(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"neither")
    with pytest.raises(SourceError, match="damaged zip"):
        files_in(path)
    with pytest.raises(SourceError, match="no such file"):
        files_in(tmp_path / "gone.zip")
    assert files_in(make_zip(tmp_path / "e.zip", {})) == {}
    assert files_in(make_tar(tmp_path / "e.tar", [])) == {}


@given(cut=st.integers(0, 100_000), noise=st.binary(max_size=6), use_tar=st.booleans())
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_damage_anywhere_gives_our_errors_only(
    tmp_path: Path, cut: int, noise: bytes, use_tar: bool
) -> None:
    path = tmp_path / "x.any"
    if use_tar:
        make_tar(path, [(b"a" * 150, b"1" * 700), (b"b.jpg", b"2")])
    else:
        make_zip(path, {"a.jpg": b"1" * 700, "b.jpg": b"2"})
    data = path.read_bytes()
    cut %= len(data)
    path.write_bytes(data[:cut] + noise + data[cut + len(noise) :])
    try:
        found = files_in(path)
    except SourceError:
        return
    for each in found.values():
        try:
            read(each)
        except ImageError:
            continue


def test_zip_sizes_beyond_64_bits_are_damage(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "x.zip", {"a.jpg": b"1", "b.jpg": b"2"})
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\1\2")
    data[at + 24 : at + 28] = b"\xff" * 4  # the size is in the zip64 field
    data[at + 30 : at + 32] = struct.pack("<H", 12)
    data[at + 51 : at + 51] = struct.pack("<2HQ", 1, 8, 2**64 - 1)
    end = data.rindex(b"PK\5\6")
    data[end + 12 : end + 16] = struct.pack("<L", end - data.index(b"PK\1\2"))
    path.write_bytes(data)
    problem, found = ArchiveSource(os.fsencode(path), ScanOptions()).scan()
    assert isinstance(problem, ScanProblem) and "an absurd size" in problem.detail
    assert isinstance(found, FoundFile) and found.path == b"a.jpg"
