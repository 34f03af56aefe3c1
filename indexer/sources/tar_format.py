"""The tar format: the members of an archive with the offsets of their bytes.

Written against POSIX pax and GNU tar's manual instead of the standard `tarfile`: names stay the
bytes they are, a header of a hostile size is refused instead of read into memory, and an archive
that breaks off says so instead of just ending.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple, Protocol

_SECTOR = 512
_ZEROS = bytes(_SECTOR)
_MOST = (1 << 63) - 1  # of a signed 64-bit number: offsets and databases take no more
_LONGEST_HEADER = 1 << 20  # bytes of a pax or long-name header; real ones hold a few hundred
_FILES = (b"0", b"\0", b"7")
_WITHOUT_DATA = (b"1", b"2", b"3", b"4", b"5", b"6")  # links, devices, folders, pipes


class Readable(Protocol):
    """A file or an unpacked stream."""

    def read(self, size: int, /) -> bytes:
        """The next bytes, fewer only at the end."""
        ...

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Goes to an offset, which it gives."""
        ...


class TarDamaged(Exception):
    """A tar breaks off; the members before that point are sound."""


class TarMember(NamedTuple):
    """A regular file in a tar; sizes in bytes."""

    name: bytes
    offset: int
    size: int
    mtime_ns: int
    is_sparse: bool


class _Extended(NamedTuple):
    """What headers before a member's own say of it."""

    name: bytes | None = None
    size: int | None = None
    mtime_ns: int | None = None
    is_sparse: bool = False


def is_tar(head: bytes) -> bool:
    """Whether the first 512 bytes are a tar header with its checksum right."""
    return len(head) >= _SECTOR and head[0] != 0 and _has_checksum(head[:_SECTOR])


def read_members(file: Readable, until: int = _MOST) -> Iterator[TarMember]:
    """The regular files of a plain tar whose headers begin before byte `until`, in its order.

    Seeks forward only. A member that the end of the archive cuts off is still given.

    Raises:
        TarDamaged: a header is damaged, or the archive ends within a member.
    """
    extended = _Extended()
    at = 0
    while at < until:
        file.seek(at)
        header = file.read(_SECTOR)
        if not header and at == 0:
            raise TarDamaged("it is empty")
        if header == _ZEROS or (not header and file.seek(0, os.SEEK_END) >= at):
            return  # some tools leave out the two final blocks of zeros; the file ends just here
        if not header:
            raise TarDamaged("it ends within its last member")
        if len(header) < _SECTOR or not _has_checksum(header):
            raise TarDamaged(f"no header at byte {at}")
        kind, size = header[156:157], _checked_size(_number(header[124:136]))
        data = at + _SECTOR
        if kind in (b"x", b"L", b"g", b"K", b"X"):
            body = _header_body(file, size, at)
            extended = _extend(extended, kind, body)
            at = data + _padded(size)
            continue
        size = size if extended.size is None else extended.size
        if kind == b"S" and header[482]:
            data = _after_sparse_maps(file, data)
        if kind in _FILES or kind == b"S":
            member = _member(header, kind, data, size, extended)
            if not member.name.endswith(b"/"):
                yield member
        at = data + (0 if kind in _WITHOUT_DATA else _padded(size))
        extended = _Extended()


def _member(header: bytes, kind: bytes, offset: int, size: int, extended: _Extended) -> TarMember:
    name = _text(header[:100])
    if header[257:263] == b"ustar\0" and (folder := _text(header[345:500])):
        name = folder + b"/" + name
    mtime_ns = extended.mtime_ns
    if mtime_ns is None:
        mtime_ns = _number(header[136:148]) * 10**9
    return TarMember(
        name=name if extended.name is None else extended.name,
        offset=offset,
        size=size,
        mtime_ns=max(-_MOST, min(mtime_ns, _MOST)),
        is_sparse=kind == b"S" or extended.is_sparse,
    )


def _header_body(file: Readable, size: int, at: int) -> bytes:
    if size > _LONGEST_HEADER:
        raise TarDamaged(f"the header at byte {at} claims {size} bytes")
    body = file.read(size)
    if len(body) < size:
        raise TarDamaged(f"the header at byte {at} is cut short")
    return body


def _extend(extended: _Extended, kind: bytes, body: bytes) -> _Extended:
    if kind == b"L":
        return extended._replace(name=_text(body))
    if kind in (b"x", b"X"):
        return _with_pax(extended, body)
    return extended  # global headers and link names say nothing that is listed


def _with_pax(extended: _Extended, body: bytes) -> _Extended:
    """Records of "length key=value\\n", the length counting all of the record."""
    at = 0
    while at < len(body) and body[at]:
        digits, _, _ = body[at : at + 20].partition(b" ")
        length = int(digits) if digits.isdigit() else 0
        if length <= len(digits) + 1 or at + length > len(body):
            raise TarDamaged("an extended header is damaged")
        key, _, value = body[at + len(digits) + 1 : at + length - 1].partition(b"=")
        at += length
        try:
            if key == b"size":
                extended = extended._replace(size=_checked_size(int(value)))
            elif key == b"mtime":
                extended = extended._replace(mtime_ns=_decimal_ns(value))
        except ValueError as error:
            raise TarDamaged("an extended header has no number where one is required") from error
        if key in (b"path", b"GNU.sparse.name"):
            extended = extended._replace(name=value)
        if key.startswith(b"GNU.sparse."):
            extended = extended._replace(is_sparse=True)
    return extended


def _decimal_ns(value: bytes) -> int:
    """Nanoseconds of decimal seconds, without a float's loss. Seconds before 1970 round down."""
    whole, _, part = value.partition(b".")
    fraction = int(part[:9].ljust(9, b"0")) if part else 0
    return int(whole) * 10**9 + (-fraction if whole.startswith(b"-") else fraction)


def _after_sparse_maps(file: Readable, at: int) -> int:
    """Where the data begin behind the extra map blocks of an old GNU sparse member."""
    while True:
        file.seek(at)
        block = file.read(_SECTOR)
        if len(block) < _SECTOR:
            raise TarDamaged(f"the map at byte {at} is cut short")
        at += _SECTOR
        if not block[504]:
            return at


def _number(field: bytes) -> int:
    """Octal digits, or base 256 when the top bit is set (GNU)."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    if field[0] == 0xFF:  # a time before 1970
        return int.from_bytes(field, "big", signed=True)
    digits = _text(field).strip()
    try:
        return int(digits, 8) if digits else 0
    except ValueError as error:
        raise TarDamaged("a header has no number where one is required") from error


def _checked_size(size: int) -> int:
    if not 0 <= size < _MOST // 2:
        raise TarDamaged(f"a header claims a size of {size} bytes")
    return size


def _has_checksum(header: bytes) -> bool:
    try:
        stated = _number(header[148:156])
    except TarDamaged:
        return False
    return sum(header) - sum(header[148:156]) + 8 * 32 == stated


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _padded(size: int) -> int:
    return -(-size // _SECTOR) * _SECTOR
