"""What a file is, by its content.

Names lie (a WebP called .jpg is common), so they count only where content cannot decide: a camera
RAW that is a plain TIFF at its start. Formats that are not in the table are not media, even where
Pillow could open them: EPS would run Ghostscript, and textures or game sprites are no photos.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from pictor.library.images.rawkind import raw_kind

Kind = Literal["image", "raw", "video", "archive"]

#: How many bytes of the start of a file `sniff` wants to see: enough for the first tags of a TIFF.
HEAD_BYTES = 8192


@dataclass(frozen=True)
class MediaType:
    """A type of file pictor knows.

    Attributes:
        name: upper-case, as in `Metadata.format`.
        kind: which decoder takes it.
        decoder: the Pillow formats that may open it, or the FFmpeg demuxer; empty for none.
        bytes_per_pixel: peak memory of its decoder including the decoded picture: measured on 24 MP
            (Pillow 13: WebP 16.1, JPEG 2000 19.4, AVIF 9.3 without alpha; pillow-heif 1.8: 7.5
            without alpha), rounded up.
    """

    name: str
    kind: Kind
    decoder: tuple[str, ...] = ()
    bytes_per_pixel: int = 4


def _image(name: str, *decoder: str, bytes_per_pixel: int = 4) -> MediaType:
    return MediaType(name, "image", decoder, bytes_per_pixel)


JPEG = _image("JPEG", "JPEG")
PNG = _image("PNG", "PNG")
WEBP = _image("WEBP", "WEBP", bytes_per_pixel=17)
GIF = _image("GIF", "GIF", bytes_per_pixel=9)
BMP = _image("BMP", "BMP")
TIFF = _image("TIFF", "TIFF", bytes_per_pixel=6)
PNM = _image("PNM", "PPM")
PAM = _image("PAM", bytes_per_pixel=8)
JPEG2000 = _image("JPEG2000", "JPEG2000", bytes_per_pixel=20)
AVIF = _image("AVIF", "AVIF", bytes_per_pixel=12)
HEIF = _image("HEIF", "HEIF", bytes_per_pixel=10)
ICO = _image("ICO", "ICO", bytes_per_pixel=8)
JPEG_XL = _image("JXL")  # known, so that it is reported as unsupported and not as "no picture"

_VIDEO_DEMUXERS = {
    "MP4": "mov",
    "MOV": "mov",
    "MKV": "matroska",
    "WEBM": "matroska",
    "AVI": "avi",
    "MPEG": "mpeg",
    "MPEG-TS": "mpegts",
    "MPEG-VIDEO": "mpegvideo",
    "FLV": "flv",
    "ASF": "asf",
    "OGG": "ogg",
}
VIDEO = {name: MediaType(name, "video", (demuxer,)) for name, demuxer in _VIDEO_DEMUXERS.items()}

_MAGIC: tuple[tuple[bytes, MediaType], ...] = (
    (b"\xff\xd8\xff", JPEG),
    (b"\x89PNG\r\n\x1a\n", PNG),
    (b"GIF87a", GIF),
    (b"GIF89a", GIF),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", JPEG2000),
    (b"\xff\x4f\xff\x51", JPEG2000),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", JPEG_XL),
    (b"\xff\x0a", JPEG_XL),
    (b"\x00\x00\x01\xba", VIDEO["MPEG"]),
    (b"\x00\x00\x01\xb3", VIDEO["MPEG-VIDEO"]),
    (b"FLV\x01", VIDEO["FLV"]),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", VIDEO["ASF"]),
    (b"\x1f\x8b\x08", MediaType("GZIP", "archive")),
    (b"BZh", MediaType("BZIP2", "archive")),
    (b"\xfd7zXZ\x00", MediaType("XZ", "archive")),
    (b"PK\x05\x06", MediaType("ZIP", "archive")),
)
_TIFF_MAGIC = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_BMP_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)  # lengths of the second header, by version
# After the magic a netpbm header has blank-separated numbers, with comments; prose has not.
_PNM = re.compile(rb"P[1-6](?:\s|#[^\n]*\n)+\d+(?:\s|#[^\n]*\n)+\d+")
_PAM = re.compile(rb"P7\s*\n(?:#[^\n]*\n)*(?:WIDTH|HEIGHT|DEPTH|MAXVAL|TUPLTYPE)\s")
_QUICKTIME_ATOMS = (b"moov", b"wide", b"pnot", b"free", b"skip")
_AUDIO_BRANDS = (b"M4A ", b"M4B ", b"M4P ")
_HEIF_BRANDS = frozenset(b"heic heix heim heis hevc hevx hevm hevs mif1 mif3 msf1".split())
# Office documents and programs are zip files too; nobody wants them unpacked for pictures.
_DOCUMENT_MEMBERS = (b"[Content_Types].xml", b"mimetype", b"_rels/", b"META-INF/", b"AndroidMan")


def sniff(head: bytes, name_hint: bytes = b"") -> MediaType | None:
    """The type of a file, or None for what is no image, RAW, video or archive.

    Args:
        head: its first `HEAD_BYTES` bytes, or all of it.
        name_hint: its name; only asked whether a TIFF is a camera RAW.
    """
    if raw := raw_kind(head, name_hint):
        return MediaType(raw, "raw")
    for magic, media in _MAGIC:
        if head.startswith(magic):
            return media
    if head[:4] in _TIFF_MAGIC:
        return TIFF
    if head[:4] == b"RIFF":
        return {b"WEBP": WEBP, b"AVI ": VIDEO["AVI"]}.get(head[8:12])
    if head[:4] == b"PK\x03\x04":
        is_document = head[30:].startswith(_DOCUMENT_MEMBERS)
        return None if is_document else MediaType("ZIP", "archive")
    return _sniff_boxes(head) or _sniff_loose(head)


def _sniff_boxes(head: bytes) -> MediaType | None:
    """HEIF, AVIF, MP4 and QuickTime: files of length-prefixed boxes."""
    # Only the pixel data are ever longer than 16 MB; "The free" is the start of a text.
    if head[4:8] == b"mdat" or (head[:1] == b"\0" and head[4:8] in _QUICKTIME_ATOMS):
        return VIDEO["MOV"]
    if head[4:8] != b"ftyp":
        return None
    length = int.from_bytes(head[:4], "big")
    major = head[8:12]
    brands = {major} | {head[i : i + 4] for i in range(16, min(length, len(head)) - 3, 4)}
    if brands & {b"avif", b"avis"}:
        return AVIF
    if brands & _HEIF_BRANDS:
        return HEIF
    if major in _AUDIO_BRANDS:
        return None
    return VIDEO["MOV"] if major == b"qt  " else VIDEO["MP4"]


def _sniff_loose(head: bytes) -> MediaType | None:
    """Formats whose magic is too short to be trusted alone."""
    if head[:2] == b"BM":
        header = int.from_bytes(head[14:18], "little")
        return BMP if header in _BMP_HEADERS or head[6:10] == bytes(4) else None
    if _PNM.match(head):
        return PNM
    if _PAM.match(head):
        return PAM
    if head[:4] == b"\x00\x00\x01\x00" and _is_icon(head):
        return ICO
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return VIDEO["WEBM"] if b"webm" in head[:64] else VIDEO["MKV"]
    if head[:4] == b"OggS" and (b"theora" in head or b"OVP80" in head):
        return VIDEO["OGG"]
    if head[257:262] == b"ustar":
        return MediaType("TAR", "archive")
    # MPEG transport streams are packets of 188 bytes (192 with a time code) that start with 0x47.
    for start, step in ((0, 188), (4, 192)):
        if len(head) > start + 4 * step and all(head[start + i * step] == 0x47 for i in range(5)):
            return VIDEO["MPEG-TS"]
    return None


def _is_icon(head: bytes) -> bool:
    count = int.from_bytes(head[4:6], "little")
    size = int.from_bytes(head[14:18], "little")
    offset = int.from_bytes(head[18:22], "little")
    return 0 < count < 1024 and size > 0 and offset >= 6 + 16 * count
