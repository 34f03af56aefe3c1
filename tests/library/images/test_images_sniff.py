from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zipfile

import pytest
from PIL import Image

from pictor.library.errors import ImageError
from pictor.library.images import decode, sniff
from pictor.library.records import Reason


def zip_of(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")
    return file.getvalue()


def tar_bytes() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.jpg"))
    return file.getvalue()


def tiff_with(*entries: tuple[int, int, int, int], text: bytes = b"") -> bytes:
    """A little-endian TIFF header and first directory: (tag, type, count, value)."""
    body = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + body + bytes(4) + text


def after(entries: int) -> int:
    """Where the text of `tiff_with` starts."""
    return 8 + 2 + 12 * entries + 4


@pytest.mark.parametrize(
    ("format_name", "options", "name"),
    [
        ("JPEG", {}, "JPEG"),
        ("PNG", {}, "PNG"),
        ("WEBP", {}, "WEBP"),
        ("GIF", {}, "GIF"),
        ("BMP", {}, "BMP"),
        ("TIFF", {}, "TIFF"),
        ("TIFF", {"big_tiff": True}, "TIFF"),
        ("PPM", {}, "PNM"),
        ("JPEG2000", {}, "JPEG2000"),
        ("JPEG2000", {"no_jp2": True}, "JPEG2000"),
        ("AVIF", {}, "AVIF"),
        ("ICO", {}, "ICO"),
    ],
)
def test_a_format_is_known_by_content_whatever_its_name(encoded, scene, format_name, options, name):
    media = sniff(encoded(scene(), format_name, **options), b"misnamed.nef.txt")
    assert media is not None and (media.name, media.kind) == (name, "image")


def test_heic_is_known(scene):
    pillow_heif = pytest.importorskip("pillow_heif")
    file = io.BytesIO()
    pillow_heif.from_pillow(scene()).save(file)
    media = sniff(file.getvalue())
    assert media is not None and media.name == "HEIF"


@pytest.mark.parametrize(
    ("head", "name", "kind"),
    [
        (b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41", "MP4", "video"),
        (b"\0\0\0\x14ftypqt  \0\0\2\0qt  ", "MOV", "video"),
        (b"\0\0\0\x08wide\0\0\0\0mdat", "MOV", "video"),
        (b"RIFF\0\0\0\0AVI LIST", "AVI", "video"),
        (b"\x1a\x45\xdf\xa3\x9f\x42\x82\x84webm", "WEBM", "video"),
        (b"\x1a\x45\xdf\xa3\x9f\x42\x82\x88matroska", "MKV", "video"),
        (b"\0\0\1\xba\x44", "MPEG", "video"),
        (b"".join(b"G" + bytes(187) for _ in range(6)), "MPEG-TS", "video"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "CR3", "raw"),
        (b"II*\0\x10\0\0\0CR\2\0", "CR2", "raw"),
        (b"FUJIFILMCCD-RAW 0201", "RAF", "raw"),
        (b"IIRO\x08\0\0\0", "ORF", "raw"),
        (b"IIU\0\x08\0\0\0", "RW2", "raw"),
        (gzip.compress(b"x", mtime=0), "GZIP", "archive"),
        (zip_of("a.jpg"), "ZIP", "archive"),
        (tar_bytes(), "TAR", "archive"),
    ],
)
def test_videos_raw_and_archives_are_known_by_content(head, name, kind):
    media = sniff(head)
    assert media is not None and (media.name, media.kind) == (name, kind)


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"x",
        b"hello, world",
        b"The free encyclopaedia",
        b"BMW makes cars, among them this one",
        b"P3 is a road in Estonia",
        b"%!PS-Adobe-3.0 EPSF-3.0",
        b"8BPS\0\1",
        b"DDS |\0\0\0",
        b"\0\0\2\0\1\0",  # a mouse pointer
        b"\0\0\1\0\0\0",  # an icon file without an icon
        b"RIFF\0\0\0\0WAVEfmt ",
        b"\0\0\0\x18ftypM4A \0\0\0\0M4A mp42",
        b"OggS\0\2vorbis",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%PDF-1.7",
        zip_of("[Content_Types].xml", "word/document.xml"),
        zip_of("mimetype", "OEBPS/cover.jpg"),
    ],
)
def test_everything_else_is_no_media(head):
    assert sniff(head) is None


def test_raw_in_tiff_is_told_by_its_tags_or_its_name(encoded, scene):
    dng = tiff_with((50706, 1, 4, 1))
    assert sniff(dng).name == "DNG"
    nikon = tiff_with((254, 4, 1, 1), (271, 2, 18, after(3)), (330, 4, 1, 99), text=b"NIKON CORP\0")
    assert sniff(nikon).name == "NEF"
    sensor = tiff_with((262, 3, 1, 32803), (271, 2, 8, after(2)), text=b"Unheard\0")
    assert sniff(sensor).kind == "raw"
    plain = encoded(scene(), "TIFF")
    assert sniff(plain).name == "TIFF"
    assert sniff(plain, b"DSC_0001.NEF").name == "NEF"
    scanned = tiff_with((254, 4, 1, 0), (271, 2, 18, after(2)), text=b"NIKON CORP\0")
    assert sniff(scanned).name == "TIFF"  # film scanners write their maker too


@pytest.mark.parametrize("cut", range(0, 60, 7))
def test_a_short_head_never_raises(encoded, scene, cut):
    for format_name in ("TIFF", "JPEG", "AVIF", "ICO"):
        sniff(encoded(scene(), format_name)[:cut], b"a.dng")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", Reason.EMPTY),
        (b"plain text", Reason.NOT_MEDIA),
        (zip_of("a.jpg"), Reason.ARCHIVE),
        (b"\xff\x0a" + bytes(100), Reason.UNSUPPORTED),  # JPEG XL
    ],
)
def test_what_cannot_be_decoded_says_why(data, reason):
    with pytest.raises(ImageError) as caught:
        decode(data, [])
    assert caught.value.reason == reason


def test_formats_pillow_could_open_but_pictor_does_not_index(encoded, scene):
    for format_name in ("EPS", "PCX", "SGI", "DDS", "TGA"):
        Image.init()
        with pytest.raises(ImageError) as caught:
            decode(encoded(scene(), format_name), [])
        assert caught.value.reason == Reason.NOT_MEDIA, format_name
