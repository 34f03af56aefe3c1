"""Zip and tar records byte by byte, and the edges of lists and globs."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest

from pictor.indexer.sources import path_list, zip_format
from pictor.indexer.sources.base import Locator, ScanOptions
from pictor.indexer.sources.path_list import is_listed, read_records
from pictor.indexer.sources.selection import Selector, is_hidden, is_sidecar
from pictor.indexer.sources.tar_format import (
    TarDamaged,
    TarMember,
    _decimal_ns,
    _number,
    _padded,
    is_tar,
    read_members,
)
from pictor.indexer.sources.zip_format import (
    ZipMember,
    _dos_time_ns,
    _parse_record,
    _wide,
    find_directory,
    read_directory,
    read_member,
    read_span,
)
from pictor.library.errors import ImageError, SourceError
from pictor.library.records import Reason

FULL = 0xFFFFFFFF


# --- zip


def record(name: bytes = b"a.jpg", extra: bytes = b"", comment: bytes = b"", **facts: int) -> bytes:
    """A record of a central directory."""
    known = {
        "made_by": 3 << 8, "flags": 0, "method": 0, "time": 0, "date": 33, "crc": 0, "stored": 4,
        "size": 4, "attributes": 0o100644 << 16, "offset": 0, **facts,
    }  # fmt: skip
    return struct.pack(
        "<4s6H3L5H2L", b"PK\1\2", known["made_by"], 20, known["flags"], known["method"],
        known["time"], known["date"], known["crc"], known["stored"], known["size"], len(name),
        len(extra), len(comment), 0, 0, known["attributes"], known["offset"],
    ) + name + extra + comment  # fmt: skip


def test_a_record_is_read_field_by_field() -> None:
    data = record(
        b"n", b"\7\0\1\0x", b"cc", flags=8, method=12, crc=5, stored=6, size=7, offset=9,
        time=(3 << 11) | (4 << 5) | 5, date=(40 << 9) | (6 << 5) | 7,
    )  # fmt: skip
    member, length = _parse_record(b"xx" + data + b"yy", 2)
    assert length == len(data)
    assert member == ZipMember(b"n", 8, 12, 5, 6, 7, 9, 0o100644, _NS)


#: 2020-06-07 03:04:10 UTC.
_NS = 1_591_499_050 * 1_000_000_000


@pytest.mark.parametrize(
    ("date", "time", "seconds"),
    [
        (33, 0, 315_532_800),  # 1980-01-01
        (0, 0, 315_532_800),
        ((13 << 5) | 1, 0, 344_476_800),  # the twelfth month at most: 1980-12-01
        (33, (23 << 11) | (59 << 5) | 29, 315_532_800 + 86_398),
        (33, (24 << 11) | (63 << 5) | 31, 315_532_800 + 24 * 3600 + 63 * 60 + 62),
        ((127 << 9) | (12 << 5) | 31, 0, 4_354_732_800),  # 2107-12-31
    ],
)
def test_times_of_dos_are_seconds_by_two(date: int, time: int, seconds: int) -> None:
    assert _dos_time_ns(date, time) == seconds * 1_000_000_000


@pytest.mark.parametrize(
    ("cut", "change", "said"),
    [
        (0, {}, ""),
        (1, {}, "is cut short"),
        (0, {"size": FULL, "extra": struct.pack("<2HQ", 1, 8, (1 << 62) + 1)}, "absurd size"),
        (0, {"size": FULL, "extra": struct.pack("<2HQ", 1, 8, 1 << 62)}, ""),
    ],
)
def test_records_that_cannot_be_are_refused(cut: int, change: dict[str, Any], said: str) -> None:
    for comment in (b"", b"comment"):
        data = record(comment=comment, **change)
        data = data[: len(data) - cut]
        if not said:
            assert _parse_record(data, 0)[1] == len(data)
            continue
        with pytest.raises(ValueError, match=said):
            _parse_record(data, 0)
    for data in (record(b"")[:45], b"PK\1\3" + record()[4:], b""):
        with pytest.raises(ValueError, match="is damaged"):
            _parse_record(data, 0)
    assert _parse_record(record(b""), 0)[0].name == b""


def test_wide_numbers_stand_in_order_where_they_are_full() -> None:
    field = struct.pack("<2H2Q", 1, 16, 70, 80)
    other = struct.pack("<2H", 9, 3) + b"abc"
    for extra in (field, other + field, other + field + other):
        assert _wide(extra, 5, FULL, FULL) == [5, 70, 80]
        assert _wide(extra, FULL, 6, FULL) == [70, 6, 80]
        assert _wide(extra, FULL, FULL, FULL) == [70, 80, FULL]
        assert _wide(extra, FULL - 1, 0, 1) == [FULL - 1, 0, 1]
    assert _wide(other, FULL) == [FULL] == _wide(b"\1\0\4", FULL) == _wide(field[:11], FULL)
    assert _wide(field[:12], FULL) == [70] and _wide(b"\1\0\0\0", FULL) == [FULL]


@pytest.mark.parametrize(
    ("name", "made_by", "mode", "is_file"),
    [
        (b"a", 3, 0o100644, True),
        (b"a", 3, 0, True),
        (b"a/", 3, 0o100644, False),
        (b"a", 3, 0o120777, False),
        (b"a", 3, 0o040755, False),
        (b"a", 0, 0o120777, True),
    ],
)
def test_links_and_folders_are_no_files(
    name: bytes, made_by: int, mode: int, is_file: bool
) -> None:
    member, _ = _parse_record(record(name, made_by=made_by << 8, attributes=mode << 16), 0)
    assert member.is_file is is_file and member.mode == (mode if made_by == 3 else 0)


def opened(path: Path, data: bytes) -> int:
    path.write_bytes(data)
    return os.open(path, os.O_RDONLY)


def zip_of(
    records: bytes, *, before: bytes = b"", comment: bytes = b"", wide: bool = False,
    size: int | None = None, offset: int | None = None,
) -> bytes:  # fmt: skip
    """Bytes before, a directory, and its end."""
    size = len(records) if size is None else size
    offset = len(before) if offset is None else offset
    end = b""
    if wide:
        end = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, size, offset)
        end += struct.pack("<4sLQL", b"PK\6\7", 0, offset + size, 1)
        size, offset = 7, 8
    end += struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, size, offset, len(comment))
    return before + records + end + comment


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("comment", [b"", b"c", b"c" * 0xFFFF])
@pytest.mark.parametrize("before", [b"", b"b" * 10])
def test_the_directory_is_found(tmp_path: Path, wide: bool, comment: bytes, before: bytes) -> None:
    records = record(b"one") + record(b"two", comment=b"x")
    data = zip_of(records, before=before, comment=comment, wide=wide)
    descriptor = opened(tmp_path / "z", data)
    try:
        found = find_directory(descriptor, b"/z")
        assert found == (len(before), len(records), 0)
        members = list(read_directory(descriptor, found))
        assert [(at, one.name) for at, one in members] == [
            (len(before), b"one"), (len(before) + 49, b"two"),
        ]  # fmt: skip
    finally:
        os.close(descriptor)
    shifted = opened(tmp_path / "s", b"stub" + data)
    assert find_directory(shifted, b"/s") == (len(before) + 4, len(records), 4)
    os.close(shifted)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is missing"),
        (b"PK\5\6" + bytes(17), "is missing"),
        (zip_of(record())[:-1], "is missing"),
        (zip_of(record(), size=51 + 1), "is out of bounds"),
        (zip_of(record(), offset=1), "is out of bounds"),
        (zip_of(record()) + b"c" * 0x10100, "is missing"),
    ],
)
def test_a_zip_without_its_directory_is_damaged(tmp_path: Path, data: bytes, said: str) -> None:
    descriptor = opened(tmp_path / "z", data)
    try:
        with pytest.raises(SourceError, match=f"'/z' is a damaged zip: its directory {said}"):
            find_directory(descriptor, b"/z")
    finally:
        os.close(descriptor)


def lzma_head(length: int = 5, packed: int = 93, dictionary: int = 1 << 16) -> bytes:
    return struct.pack("<2HBL", 20, length, packed, dictionary)


def test_a_dictionary_is_no_larger_than_what_comes_out(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    monkeypatch.setattr(
        zip_format.lzma, "LZMADecompressor", lambda _, filters: made.append(filters[0])
    )
    for packed, dictionary, size in ((93, 1 << 16, 9999), (93, 8192, 9999), (0, 1, 1)):
        zip_format._lzma_inflater(lzma_head(packed=packed, dictionary=dictionary), size)
    assert [(one["lc"], one["lp"], one["pb"], one["dict_size"]) for one in made] == [
        (3, 0, 2, 9999), (3, 0, 2, 8192), (0, 0, 0, 4096),
    ]  # fmt: skip
    zip_format._lzma_inflater(lzma_head(packed=(1 * 5 + 2) * 9 + 4), 1)
    assert (made[-1]["lc"], made[-1]["lp"], made[-1]["pb"]) == (4, 2, 1)
    with pytest.raises(ValueError, match="properties are damaged"):
        zip_format._lzma_inflater(lzma_head(length=6), 1)


def member_of(tmp_path: Path, body: bytes, limit: int = 99, skip: int = 0, **facts: int) -> bytes:
    """What is read of a member with these bytes after its local header."""
    local = struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 0, 0, 0, 0, 0, 0, 5, 2) + b"a.jpgee"
    data = b"base" + local + body
    known: dict[str, Any] = {"stored": len(body), "size": len(body), "crc": zlib.crc32(body)}
    known |= facts
    path = tmp_path / "z"
    descriptor = opened(path, data + record(**known))
    try:
        name = os.fsencode(path)
        locator = Locator("zip", name, member=b"a.jpg", offset=len(data) + skip, base=4)
        return read_member(descriptor, locator, limit)
    finally:
        os.close(descriptor)


def test_a_stored_member_is_read(tmp_path: Path) -> None:
    assert member_of(tmp_path, b"12345", limit=5) == b"12345"
    assert member_of(tmp_path, b"") == b""
    packed = zlib.compressobj(wbits=-15)
    body = packed.compress(b"x" * 50) + packed.flush()
    facts = {"method": 8, "size": 50, "crc": zlib.crc32(b"x" * 50)}
    assert member_of(tmp_path, body, **facts) == b"x" * 50


@pytest.mark.parametrize(
    ("facts", "reason", "said"),
    [
        ({"limit": 4}, Reason.TOO_LARGE, "has 5 bytes, more than the limit of 4"),
        ({"flags": 1}, Reason.UNSUPPORTED, "is encrypted"),
        ({"method": 99}, Reason.UNSUPPORTED, "method 99"),
        ({"skip": 1}, Reason.CHANGED, "is not where it was listed"),
        ({"size": 6}, Reason.TRUNCATED, "ends after 5 of 6 bytes"),
        ({"crc": 1}, Reason.CORRUPT, "does not match its checksum"),
        ({"size": 4}, Reason.CORRUPT, "does not match its checksum"),
        ({"offset": 1}, Reason.CORRUPT, "has no local header"),
        ({"offset": 9999}, Reason.CORRUPT, "has no local header"),
        ({"method": 8}, Reason.CORRUPT, "cannot be unpacked"),
        ({"method": 14}, Reason.CORRUPT, "cannot be unpacked"),
    ],
)
def test_a_member_that_is_not_as_recorded_is_refused(
    tmp_path: Path, facts: dict[str, int], reason: Reason, said: str
) -> None:
    with pytest.raises(ImageError) as caught:
        member_of(tmp_path, b"12345", **facts)
    assert caught.value.reason is reason and said in caught.value.detail


def test_long_members_are_fed_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zip_format, "_BLOCK", 3)
    monkeypatch.setattr(zip_format, "_SPAN", 2)
    plain = bytes(range(200)) * 3
    packed = zlib.compressobj(wbits=-15)
    body = packed.compress(plain) + packed.flush()
    facts = {"method": 8, "size": 600, "crc": zlib.crc32(plain)}
    assert member_of(tmp_path, body, limit=600, **facts) == plain
    with pytest.raises(ImageError, match="ends after"):
        member_of(tmp_path, body, limit=600, **facts | {"stored": len(body) - 9})
    descriptor = opened(tmp_path / "s", b"0123456789")
    spans = [read_span(descriptor, *span) for span in ((2, 5), (8, 9), (10, 1), (0, 0))]
    os.close(descriptor)
    assert spans == [b"23456", b"89", b"", b""]


# --- tar


def header(
    name: bytes = b"a", size: int = 0, kind: bytes = b"0", mtime: int = 9, folder: bytes = b"",
    magic: bytes = b"ustar\0", sparse: int = 0,
) -> bytes:  # fmt: skip
    made = bytearray(512)
    made[: len(name)] = name
    made[124:136] = b"%011o\0" % size
    made[136:148] = b"%011o\0" % mtime
    made[156:157], made[257:263] = kind, magic
    made[345 : 345 + len(folder)] = folder
    if sparse:
        made[482] = sparse
    made[148:156] = b" " * 8
    made[148:156] = b"%06o\0 " % sum(made)
    return bytes(made)


def body(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def pax(*records: tuple[bytes, bytes], kind: bytes = b"x") -> bytes:
    text = b""
    for key, value in records:
        length = len(key) + len(value) + 3
        length += len(str(length + len(str(length))))
        text += b"%d %s=%s\n" % (length, key, value)
    return header(b"pax", len(text), kind) + body(text)


END = bytes(1024)


def members(data: bytes, **more: int) -> list[TarMember]:
    return list(read_members(io.BytesIO(data), **more))


def test_members_of_a_tar_have_their_offsets() -> None:
    data = b"".join(
        [
            header(b"a", 5), body(b"12345"),
            header(b"link", 700, b"2"),
            header(b"folder/", 0, b"5"),
            header(b"b", 512, b"\0"), bytes(512),
            header(b"x" * 100, 0, b"7", folder=b"f"),
            header(b"named/", 3), body(b"abc"),
            header(b"odd", 3, b"9"), body(b"abc"),
            header(b"c", 1, mtime=0o77777777777, magic=b"ustar ", folder=b"none"), body(b"z"),
        ]
    )  # fmt: skip
    expected = [
        TarMember(b"a", 512, 5, 9 * 10**9, False),
        TarMember(b"b", 2560, 512, 9 * 10**9, False),
        TarMember(b"f/" + b"x" * 100, 3584, 0, 9 * 10**9, False),
        TarMember(b"c", 6144, 1, 0o77777777777 * 10**9, False),
    ]
    for end in (END, b"", END + b"rest"):
        assert members(data + end) == expected
    assert members(data + END, until=1024) == expected[:1]
    assert members(data + END, until=1025 + 512) == expected[:1]
    assert is_tar(data) and is_tar(data[:512]) and not is_tar(data[:511])
    assert not is_tar(bytes(512)) and not is_tar(b"x" + data[1:])


def test_headers_before_a_member_say_more_of_it() -> None:
    long = header(b"././@LongLink", 201, b"L") + body(b"n" * 200 + b"\0")
    other = header(b"././@LongLink", 3, b"K") + body(b"abc")
    data = long + other + header(b"cut", 2) + body(b"12") + header(b"next") + END
    assert [(one.name, one.offset, one.size) for one in members(data)] == [
        (b"n" * 200, 2560, 2), (b"next", 3584, 0),
    ]  # fmt: skip
    given = pax((b"path", b"p"), (b"size", b"600"), (b"mtime", b"1.5"), (b"x", b"y" * 99))
    for kind, taken in ((b"x", True), (b"X", True), (b"g", False)):
        data = given[:156] + kind + given[157:]
        data = _checked(data) + header(b"h", 600) + bytes(1024) + header(b"next") + END
        one, other_one = members(data)
        assert (one.name, one.mtime_ns) == ((b"p", 1_500_000_000) if taken else (b"h", 9 * 10**9))
        assert one.size == 600 and other_one.name == b"next" and not one.is_sparse
    sparse = pax((b"GNU.sparse.major", b"1"), (b"GNU.sparse.name", b"real"))
    (one,) = members(sparse + header(b"h") + END)
    assert one.is_sparse and one.name == b"real"
    (one,) = members(pax((b"size", b"3")) + header(b"h", 0) + body(b"abc") + END)
    assert one.size == 3


def _checked(data: bytes) -> bytes:
    """The same with the checksum of its first header right."""
    made = bytearray(data)
    made[148:156] = b" " * 8
    made[148:156] = b"%06o\0 " % sum(made[:512])
    return bytes(made)


def test_old_sparse_members_have_maps_before_their_data() -> None:
    more, last = bytearray(512), bytearray(512)
    more[504] = 1
    tail = header(b"next") + END
    for maps in ([], [last], [more, last]):
        head = header(b"s", 3, b"S", sparse=1 if maps else 0)
        one, other = members(head + b"".join(map(bytes, maps)) + body(b"abc") + tail)
        assert (one.offset, one.is_sparse, other.name) == (512 + 512 * len(maps), True, b"next")
    with pytest.raises(TarDamaged, match="the map at byte 512 is cut short"):
        members(header(b"s", 3, b"S", sparse=1) + b"short")


def test_a_cut_member_is_given_before_the_damage() -> None:
    data = header(b"a") + header(b"b", 600) + bytes(600)
    file = io.BytesIO(data)
    given = read_members(file)
    assert [next(given).name, next(given).name] == [b"a", b"b"]
    with pytest.raises(TarDamaged, match="ends within its last member"):
        next(given)
    exact = header(b"b", 512) + bytes(512)
    assert [one.name for one in members(exact)] == [b"b"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "it is empty"),
        (header()[:511], "no header at byte 0"),
        (b"x" + header()[1:], "no header at byte 0"),
        (header() + b"x" * 512, "no header at byte 512"),
        (header(b"L", (1 << 20) + 1, b"L"), "at byte 0 claims 1048577 bytes"),
        (header(b"L", 1 << 20, b"L"), "at byte 0 is cut short"),
        (header() + header(b"L", 9, b"L") + b"12345678", "at byte 512 is cut short"),
        (pax((b"size", b"x")) + header(), "no number"),
        (pax((b"mtime", b"")) + header(), "no number"),
        (pax((b"size", b"-1")) + header(), "claims a size of -1"),
        (pax((b"size", str((1 << 63) // 2 - 1).encode())) + header(), "claims a size"),
        (header(b"p", 9, b"x") + body(b"99 a=b\n") + header(), "extended header is damaged"),
        (header(b"p", 9, b"x") + body(b"x a=b\n") + header(), "extended header is damaged"),
        (header(b"p", 9, b"x") + body(b"2 a=b\n") + header(), "extended header is damaged"),
    ],
)
def test_damage_of_a_tar_is_told(data: bytes, said: str) -> None:
    with pytest.raises(TarDamaged, match=said):
        members(data)


def test_an_extended_header_ends_at_zeros() -> None:
    text = b"6 a=b\n"
    assert len(members(header(b"p", 20, b"x") + body(text) + header() + END)) == 1
    assert members(header(b"p", len(text), b"x") + body(text) + header() + END)[0].name == b"a"


def test_numbers_of_a_tar() -> None:
    cases: dict[bytes, int] = {
        b"0000017\0": 15, b" 17 \0\0\0": 15, bytes(8): 0, b"17777777": 0o17777777,
        b"\x80" + bytes(5) + b"\1\2": 258, b"\xff" * 8: -1, b"\xff" * 7 + b"\xfe": -2,
    }  # fmt: skip
    assert {field: _number(field) for field in cases} == cases
    for field in (b"8", b"x", b"1 1"):
        with pytest.raises(TarDamaged, match="no number"):
            _number(field)
    assert [_padded(n) for n in (0, 1, 511, 512, 513)] == [0, 512, 512, 512, 1024]
    times = {
        b"1": 10**9, b"1.5": 1_500_000_000, b"-1.25": -1_250_000_000, b"0.0000000019": 1,
        b"-0.5": -500_000_000, b"2.": 2 * 10**9, b"1.000000001": 1_000_000_001,
    }  # fmt: skip
    assert {text: _decimal_ns(text) for text in times} == times
    end = (1 << 63) - 1
    for value, stored in ((b"9" * 30, end), (b"-" + b"9" * 30, -end)):
        assert members(pax((b"mtime", value)) + header() + END)[0].mtime_ns == stored


# --- lists and globs


@pytest.mark.parametrize(
    ("data", "records"),
    [
        (b"a\r\n# no\n \n\nb c\n", [b"a", b"b c"]),
        (b"\xef\xbb\xbfa\nb", [b"a", b"b"]),
        (b"a\0#b\0\0 c\n\0", [b"a", b"#b", b" c\n"]),
        (b"", []),
        (b" #a\n", [b" #a"]),
    ],
)
def test_records_of_a_list(data: bytes, records: list[bytes]) -> None:
    assert list(read_records(io.BytesIO(data), b"/l")) == records


def test_lists_of_16_bits_are_refused() -> None:
    for mark in (b"\xff\xfe", b"\xfe\xff"):
        with pytest.raises(SourceError, match="is UTF-16"):
            list(read_records(io.BytesIO(mark + b"a\0"), b"/l"))


def test_what_tells_a_list_from_text(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path)
    (tmp_path / "a").write_bytes(b"")
    limit = path_list.LONGEST_PATH
    known = {
        b"a": True, b"b": False, b"http://x": True, b" HTTPS://x ": True, b"ftp://x": False,
        b"a\0": False, b"https://" + b"x" * (limit - 8): True, b"https://" + b"x" * (limit - 7):
        False, b"./" * (limit // 2 - 1) + b"a": True, folder + b"/a": True,
    }  # fmt: skip
    assert {one: is_listed(one, folder) for one in known} == known


def test_entries_that_are_too_long_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = [len(path_list._normalised(b"/" + b"p" * n, b"/f")) for n in (65_535, 65_536)]
    assert lengths == [65_536, 203]
    monkeypatch.setattr(path_list, "LONGEST_ENTRY", 300)
    cut = path_list._normalised
    for start in (b"http://", b"data:", b"s3://"):
        assert cut(b" " + start + b"x" * 280 + b" ", b"/f") == start + b"x" * 280
        assert cut(start + b"x" * 300, b"/f") == (start + b"x" * 300)[:200] + b"..."
    assert cut(b"p" * 300, b"/f") == b"/f/" + b"p" * 300
    assert cut(b"p" * 301, b"/f") == b"/f/" + b"p" * 200 + b"..."
    assert cut(b"../a/./b", b"/f/g") == b"/f/a/b" and cut(b"/x", b"/f") == b"/x"


@pytest.mark.parametrize(
    ("glob", "path", "is_match"),
    [
        ("[a-c]", b"b", True),
        ("[a-c]", b"-", False),
        ("[a-a]", b"a", True),
        ("[a-]", b"-", True),
        ("[-a]", b"-", True),
        ("[a-cx-z]", b"y", True),
        ("[a-cx]", b"x", True),
        ("[!]a]", b"b", True),
        ("[!]a]", b"]", False),
        ("[]", b"[]", True),
        ("[&&~~]", b"~", True),
        ("[\\]x]", b"\\x]", True),
        ("a\\", b"a\\", True),
        ("***", b"a/b", True),
        ("a**/b", b"ax/y/b", True),
        ("a/**b", b"a/x/b", True),
        ("**/b", b"b", True),
        ("**b", b"a/xb", True),
        ("*", b".a/b", True),
        ("x*", b"ax", False),
    ],
)
def test_globs_at_their_edges(glob: str, path: bytes, is_match: bool) -> None:
    chosen = Selector(ScanOptions(include=(glob,)))
    assert chosen.has_globs and chosen.matches(path) is is_match
    assert Selector(ScanOptions(exclude=(glob,))).matches(path) is not is_match
    assert chosen.wants(path) is (is_match and not is_hidden(path.split(b"/")[0]))


def test_what_is_wanted_of_a_root() -> None:
    plain, hidden = Selector(ScanOptions()), Selector(ScanOptions(hidden=True))
    assert plain.hides and not hidden.hides and not plain.has_globs
    for path, wanted, with_hidden in (
        (b"a/b", True, True), (b"a/.b/c", False, True), (b"@EADIR/c", False, True),
        (b"a.XMP", False, False), (b"a.xmp/", True, True), (b"a/./b", True, True),
        (b"..", True, True),
    ):  # fmt: skip
        assert (plain.wants(path), hidden.wants(path)) == (wanted, with_hidden), path
    assert is_sidecar(b".xmp") and not is_sidecar(b"xmp") and not is_sidecar(b"a.xmpx")
