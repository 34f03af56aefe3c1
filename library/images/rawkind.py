"""Which camera RAW format a file is in, if any.

Most RAW formats are TIFF files, told from a picture by their first directory: a DNG version, a
colour filter array, or a thumbnail with the picture in a sub-directory, written by a camera maker.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

_MAGIC = (
    (b"FUJIFILMCCD-RAW", "RAF"),
    (b"IIRO", "ORF"),
    (b"IIRS", "ORF"),
    (b"MMOR", "ORF"),
    (b"IIU\x00", "RW2"),
    (b"FOVb", "X3F"),
    (b"\x00MRM", "MRW"),
)
_TIFF_ENDINGS = frozenset(
    b"3FR ARW CR2 DCR DNG ERF FFF IIQ KDC MEF MOS NEF NRW PEF RWL SR2 SRF SRW".split()
)
_MAKERS = ((b"NIKON", "NEF"), (b"SONY", "ARW"), (b"PENTAX", "PEF"), (b"SAMSUNG", "SRW"))
_SUBFILE_TYPE, _COMPRESSION, _PHOTOMETRIC = 254, 259, 262
_MAKE, _SUB_IFDS, _DNG_VERSION = 271, 330, 50706
_DIRECTORY_BYTES = 2 + 12 * 100  # larger than the first directory of any camera
_RAW_COMPRESSIONS = {32767, 34713, 65000, 65535}  # Sony, Nikon, Kodak, Pentax
_RAW_PHOTOMETRICS = {32803, 34892}  # colour filter array, linear raw (TIFF/EP, DNG 1.7)


def raw_kind(head: bytes, name_hint: bytes) -> str | None:
    """The name of the RAW format ("NEF", "DNG"…), or None."""
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    if head[6:14] == b"HEAPCCDR":
        return "CRW"
    if head[4:12] == b"ftypcrx ":
        return "CR3"
    if head[:4] not in (b"II*\x00", b"MM\x00*"):
        return None
    if head[8:10] == b"CR":
        return "CR2"
    ending = name_hint.rpartition(b".")[2].upper()
    return ending.decode() if ending in _TIFF_ENDINGS else _by_tags(_first_directory(head))


def with_far_directory(head: bytes, file: BinaryIO) -> bytes:
    """The head of a TIFF with its first directory, if that lies further on, moved to byte 8.

    Strings then are out of reach, which leaves the tags that tell a DNG or a colour filter array.
    """
    if head[:4] not in (b"II*\x00", b"MM\x00*") or len(head) < 8:
        return head
    order = "<" if head[:2] == b"II" else ">"
    (start,) = struct.unpack(order + "I", head[4:8])
    if start + _DIRECTORY_BYTES <= len(head):
        return head
    file.seek(start)
    return head[:4] + struct.pack(order + "I", 8) + file.read(_DIRECTORY_BYTES)


def _by_tags(tags: dict[int, int | bytes]) -> str | None:
    if _DNG_VERSION in tags:
        return "DNG"
    is_preview = tags.get(_SUBFILE_TYPE) == 1 and _SUB_IFDS in tags
    is_sensor = (
        tags.get(_COMPRESSION) in _RAW_COMPRESSIONS or tags.get(_PHOTOMETRIC) in _RAW_PHOTOMETRICS
    )
    if not (is_preview or is_sensor):
        return None
    make = tags.get(_MAKE, b"")
    if isinstance(make, bytes):
        for prefix, name in _MAKERS:
            if make.upper().startswith(prefix):
                return name
    return "RAW" if is_sensor else None


def _first_directory(head: bytes) -> dict[int, int | bytes]:
    """The first directory of a TIFF as far as `head` reaches: numbers, and strings as bytes."""
    order = "<" if head[:2] == b"II" else ">"
    tags: dict[int, int | bytes] = {}
    try:
        (start,) = struct.unpack_from(order + "I", head, 4)
        (count,) = struct.unpack_from(order + "H", head, start)
        for entry in range(start + 2, start + 2 + 12 * min(count, 256), 12):
            tag, kind, length, value = struct.unpack_from(order + "HHII", head, entry)
            if kind == 2 and length > 4:
                tags[tag] = head[value : value + min(length, 64)]
            elif kind == 3 and length == 1:
                (tags[tag],) = struct.unpack_from(order + "H", head, entry + 8)
            else:
                tags[tag] = value
    except struct.error:
        pass  # the directory reaches past the head: what was read so far decides
    return tags
