"""The zip format: the members of an archive from its central directory, and one member's bytes.

Written against PKWARE's APPNOTE 6.3.10 instead of the standard `zipfile`, for three reasons: a
worker reads a member from its record's offset without parsing all others; one name that is not the
UTF-8 it claims to be does not hide the rest; names stay the bytes they are.
"""

from __future__ import annotations

import bz2
import calendar
import lzma
import os
import stat
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from pictor.indexer.sources.base import Locator, quoted
from pictor.library.errors import ImageError, SourceError
from pictor.library.records import Reason

_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64 = struct.Struct("<4sLQL")
_RECORD = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_STORED, _DEFLATED, _BZIP2, _LZMA = 0, 8, 12, 14
_FULL_16, _FULL_32 = 0xFFFF, 0xFFFFFFFF
_MOST = 1 << 62  # leaves room to add offsets within a signed 64-bit number
_BLOCK = 1 << 18
_SPAN = 1 << 30  # bytes a read, below the system's limit; what comes in one is not copied


class ZipMember(NamedTuple):
    """One record of a central directory; sizes in bytes."""

    name: bytes
    flags: int
    method: int
    crc: int
    stored_size: int
    size: int
    header_offset: int
    mode: int  # st_mode, 0 where the archive states none
    mtime_ns: int  # DOS local time, taken as UTC

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file by its name and mode."""
        return not self.name.endswith(b"/") and stat.S_IFMT(self.mode) in (0, stat.S_IFREG)


class _Inflater(Protocol):
    @property
    def eof(self) -> bool: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class Directory(NamedTuple):
    """Where a central directory is: its offset and size, and the bytes before the zip proper."""

    offset: int
    size: int
    base: int


def find_directory(descriptor: int, location: bytes) -> Directory:
    """Where the central directory is.

    Raises:
        SourceError: there is none, as in a zip that was cut short.
    """
    length = os.fstat(descriptor).st_size
    start = max(0, length - _END.size - _FULL_16 - _LOCATOR_64.size - _END_64.size)
    tail = os.pread(descriptor, length - start, start)
    at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) - at < _END.size:
        raise SourceError(f"{quoted(location)} is a damaged zip: its directory is missing")
    _, _, _, _, _, size, offset, _ = _END.unpack_from(tail, at)
    end = start + at
    at_64 = at - _LOCATOR_64.size - _END_64.size
    if at_64 >= 0 and tail[at_64 : at_64 + 4] == b"PK\6\6":
        *_, size, offset = _END_64.unpack_from(tail, at_64)
        end = start + at_64
    base = end - size - offset
    if base < 0 or size > end:
        raise SourceError(f"{quoted(location)} is a damaged zip: its directory is out of bounds")
    return Directory(base + offset, size, base)


def read_directory(descriptor: int, found: Directory) -> Iterator[tuple[int, ZipMember]]:
    """Each member with its record's offset in the file, in the archive's order.

    Raises:
        ValueError: a record is damaged; those before it have been given.
    """
    data = read_span(descriptor, found.offset, found.size)
    at = 0
    while at < len(data):
        member, length = _parse_record(data, at)
        yield found.offset + at, member
        at += length


def read_member(descriptor: int, locator: Locator, max_bytes: int) -> bytes:
    """The bytes of one member.

    Raises:
        ImageError: it is larger than `max_bytes`, encrypted, damaged, or not there any more.
    """
    shown = f"{quoted(locator.member)} in {quoted(locator.path)}"
    head = os.pread(descriptor, _RECORD.size + 3 * _FULL_16, locator.offset)
    try:
        member, _ = _parse_record(head, 0)
    except ValueError:
        member = None
    if member is None or member.name != locator.member:
        raise ImageError(Reason.CHANGED, f"{shown} is not where it was listed")
    if member.flags & 1:
        detail = f"{shown} is encrypted; unpack the zip and index the folder"
        raise ImageError(Reason.UNSUPPORTED, detail)
    if member.size > max_bytes:
        detail = f"{shown} has {member.size} bytes, more than the limit of {max_bytes}"
        raise ImageError(Reason.TOO_LARGE, detail)
    start = locator.base + member.header_offset
    local = os.pread(descriptor, _LOCAL.size, start)
    if len(local) < _LOCAL.size or local[:4] != b"PK\3\4":
        raise ImageError(Reason.CORRUPT, f"{shown} has no local header where its record says")
    names = struct.unpack_from("<2H", local, 26)
    try:
        return _inflated(descriptor, start + _LOCAL.size + sum(names), member, shown)
    except (zlib.error, lzma.LZMAError, OSError, ValueError, struct.error) as error:
        raise ImageError(Reason.CORRUPT, f"{shown} cannot be unpacked: {error}") from error


def _parse_record(data: bytes, at: int) -> tuple[ZipMember, int]:
    if len(data) - at < _RECORD.size or data[at : at + 4] != b"PK\1\2":
        raise ValueError("a record of the directory is damaged")
    fields = _RECORD.unpack_from(data, at)
    made_by, flags, method, time, date, crc, stored_size, size = (fields[1], *fields[3:10])
    name_length, extra_length, comment_length = fields[10:13]
    attributes, header_offset = fields[15:17]
    end = at + _RECORD.size + name_length
    if end + extra_length + comment_length > len(data):
        raise ValueError("a record of the directory is cut short")
    extra = data[end : end + extra_length]
    size, stored_size, header_offset = _wide(extra, size, stored_size, header_offset)
    if max(size, stored_size, header_offset) > _MOST:
        raise ValueError("a record of the directory claims an absurd size")
    member = ZipMember(
        name=data[at + _RECORD.size : end],
        flags=flags,
        method=method,
        crc=crc,
        stored_size=stored_size,
        size=size,
        header_offset=header_offset,
        mode=attributes >> 16 if made_by >> 8 == 3 else 0,  # 3: made on Unix
        mtime_ns=_dos_time_ns(date, time),
    )
    return member, end - at + extra_length + comment_length


def _wide(extra: bytes, *values: int) -> list[int]:
    """The values, those that are all ones replaced by the zip64 field's, in order."""
    at, wide = 0, b""
    while at + 4 <= len(extra):
        tag, length = struct.unpack_from("<2H", extra, at)
        if tag == 1:
            wide = extra[at + 4 : at + 4 + length]
            break
        at += 4 + length
    result = list(values)
    for index, value in enumerate(values):
        if value == _FULL_32 and len(wide) >= 8:
            (result[index],) = struct.unpack_from("<Q", wide)
            wide = wide[8:]
    return result


def _dos_time_ns(date: int, time: int) -> int:
    month = min(max((date >> 5) & 15, 1), 12)
    day = (1980 + (date >> 9), month, max(date & 31, 1))
    return calendar.timegm((*day, time >> 11, (time >> 5) & 63, (time & 31) * 2)) * 1_000_000_000


def _inflated(descriptor: int, offset: int, member: ZipMember, shown: str) -> bytes:
    """The plain bytes, checked against the size and checksum the directory states."""
    inflater = _inflater(descriptor, offset, member, shown)
    if inflater is None:
        plain = read_span(descriptor, offset, min(member.stored_size, member.size))
    else:
        if member.method == _LZMA:
            offset, member = offset + 9, member._replace(stored_size=member.stored_size - 9)
        plain = _fed(descriptor, offset, member, inflater)
    if len(plain) < member.size:
        detail = f"{shown} ends after {len(plain)} of {member.size} bytes"
        raise ImageError(Reason.TRUNCATED, detail)
    if len(plain) > member.size or zlib.crc32(plain) != member.crc:
        raise ImageError(Reason.CORRUPT, f"{shown} does not match its checksum")
    return plain


def _inflater(descriptor: int, offset: int, member: ZipMember, shown: str) -> _Inflater | None:
    if member.method == _STORED:
        return None
    if member.method == _DEFLATED:
        return zlib.decompressobj(-zlib.MAX_WBITS)
    if member.method == _BZIP2:
        return bz2.BZ2Decompressor()
    if member.method == _LZMA:
        return _lzma_inflater(os.pread(descriptor, 9, offset), member.size)
    detail = f"{shown} is compressed by method {member.method}, which is not read here"
    raise ImageError(Reason.UNSUPPORTED, detail)


def _lzma_inflater(head: bytes, size: int) -> _Inflater:
    """APPNOTE 5.8.8: two bytes of version, two of length (5), then LZMA's properties."""
    _, length, packed, dictionary = struct.unpack("<2HBL", head)
    if length != 5:
        raise ValueError("its LZMA properties are damaged")
    rest, lc = divmod(packed, 9)
    pb, lp = divmod(rest, 5)
    # A dictionary larger than the output is never used, and a hostile one would take 4 GB.
    filters = {"id": lzma.FILTER_LZMA1, "lc": lc, "lp": lp, "pb": pb}
    filters["dict_size"] = max(4096, min(dictionary, size))
    return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[filters])


def _fed(descriptor: int, offset: int, member: ZipMember, inflater: _Inflater) -> bytes:
    """What the inflater makes of the stored bytes: at most one byte more than it should."""
    parts: list[bytes] = []
    wanted = member.size + 1
    end = offset + member.stored_size
    data = b""
    while wanted and not inflater.eof:
        if not data:
            data = os.pread(descriptor, min(_BLOCK, end - offset), offset) if offset < end else b""
            offset += len(data)
        is_last = not data
        part = inflater.decompress(data, wanted)
        data = getattr(inflater, "unconsumed_tail", b"")
        parts.append(part)
        wanted -= len(part)
        if is_last and not part:
            break
    return b"".join(parts)


def read_span(descriptor: int, offset: int, size: int) -> bytes:
    """The `size` bytes from an offset on, fewer only at the end."""
    parts: list[bytes] = []
    while size and (part := os.pread(descriptor, min(size, _SPAN), offset)):
        parts.append(part)
        offset, size = offset + len(part), size - len(part)
    return b"".join(parts)
