from __future__ import annotations

import io
import struct

import pytest
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from pictor.library.images import decode
from pictor.library.images.text import camera_name, clean, clean_keywords, parse_date, parse_offset
from pictor.library.records import Metadata

EXIF_IFD, GPS_IFD = 0x8769, 0x8825


def with_exif(
    encoded,
    tags: dict[int, object] | None = None,
    photo: dict[int, object] | None = None,
    gps: dict[int, object] | None = None,
    format_name: str = "JPEG",
) -> Metadata:
    exif = Image.Exif()
    exif.update(tags or {})
    exif.get_ifd(EXIF_IFD).update(photo or {})
    exif.get_ifd(GPS_IFD).update(gps or {})
    if format_name == "TIFF":  # whose writer drops sub-directories that are not tags themselves
        exif.update({EXIF_IFD: exif.get_ifd(EXIF_IFD), GPS_IFD: exif.get_ifd(GPS_IFD)})
    data = encoded(Image.new("RGB", (8, 8)), format_name, exif=exif)
    return decode(data, []).metadata


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_exif_is_read_from_every_format(encoded, format_name):
    metadata = with_exif(
        encoded,
        {0x010F: "Canon", 0x0110: "Canon EOS 5D", 0x010E: "Boats at dusk"},
        {0x9003: "2012:09:08 07:06:05", 0x9011: "+02:00", 0xA434: "EF 50mm"},
        {1: "S", 2: (33.0, 51.0, 30.0), 3: "E", 4: (151.0, 12.0, 36.0), 5: b"\x01", 6: 12.5},
        format_name,
    )
    assert metadata.camera == "Canon EOS 5D"
    assert metadata.lens == "EF 50mm"
    assert metadata.taken_at == "2012-09-08T07:06:05+02:00"
    assert metadata.description == "Boats at dusk"
    assert metadata.latitude == pytest.approx(-33.858333, abs=1e-6)
    assert metadata.longitude == pytest.approx(151.21, abs=1e-6)
    assert metadata.altitude_m == -12.5


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2012:09:08 07:06:05", "2012-09-08T07:06:05"),
        ("2012-09-08T07:06:05.123+08:00", "2012-09-08T07:06:05+08:00"),
        ("2012-09-08T07:06:05Z", "2012-09-08T07:06:05+00:00"),
        ("2012-09-08T07:06", "2012-09-08T07:06:00"),
        ("2012-09-08", "2012-09-08T00:00:00"),
        ("20120908 070605+0100", "2012-09-08T07:06:05+01:00"),
        ("2012:09:08 07:06:05\0\0", "2012-09-08T07:06:05"),
        ("2012:09:08 07:06:05+99:00", "2012-09-08T07:06:05"),
        ("0000:00:00 00:00:00", None),
        ("    :  :     :  :  ", None),
        ("2012:13:08 07:06:05", None),
        ("2012:02:30 07:06:05", None),
        ("2012:09:08 25:06:05", None),
        ("0012:09:08 07:06:05", None),
        ("yesterday", None),
        ("", None),
        (None, None),
        (b"2012:09:08 07:06:05", "2012-09-08T07:06:05"),
        (7, None),
    ],
)
def test_dates_are_read_or_none(text, expected):
    assert parse_date(text) == expected


def test_an_offset_that_is_kept_apart():
    assert parse_date("2012:09:08 07:06:05", "+05:30") == "2012-09-08T07:06:05+05:30"
    assert parse_date("2012:09:08 07:06:05Z", "+05:30") == "2012-09-08T07:06:05+00:00"
    assert [parse_offset(text) for text in ("-0800", "+15:00", "   ", None, "+01:75")] == [
        "-08:00",
        "",
        "",
        "",
        "",
    ]


def test_the_digitised_date_stands_in(encoded):
    metadata = with_exif(
        encoded, photo={0x9003: "0000:00:00 00:00:00", 0x9004: "2001:01:02 03:04:05"}
    )
    assert metadata.taken_at == "2001-01-02T03:04:05"


@pytest.mark.parametrize(
    ("latitude", "longitude", "expected"),
    [
        ((48.0, 51.0, 29.6), (2.0, 17.0, 40.2), (48.858222, 2.2945)),
        ((48.5,), (2.25,), (48.5, 2.25)),
        ((48.0, 30.0), (2.0, 15.0), (48.5, 2.25)),
        ((48.0, 30.0, IFDRational(0, 0)), (2.0, 15.0, IFDRational(0, 0)), (48.5, 2.25)),
        ((IFDRational(0, 0), 0.0, 0.0), (2.0, 15.0, 0.0), (None, None)),
        ((91.0, 0.0, 0.0), (2.0, 0.0, 0.0), (None, None)),
        ((48.0, 0.0, 0.0), (181.0, 0.0, 0.0), (None, None)),
        ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), (None, None)),
    ],
)
def test_positions_in_odd_spellings(encoded, latitude, longitude, expected):
    metadata = with_exif(encoded, gps={1: "N", 2: latitude, 3: "E", 4: longitude})
    assert (metadata.latitude, metadata.longitude) == pytest.approx(expected, abs=1e-5) or (
        metadata.latitude,
        metadata.longitude,
    ) == expected


def test_a_position_with_a_part_missing_is_none(encoded):
    assert with_exif(encoded, gps={1: "N", 2: (48.0, 0.0, 0.0)}).latitude is None
    west = with_exif(encoded, gps={2: (48.0, 0.0, 0.0), 3: "w", 4: (2.0, 0.0, 0.0)})
    assert (west.latitude, west.longitude) == (48.0, -2.0)


@pytest.mark.parametrize(
    ("make", "model", "expected"),
    [
        ("Canon", "Canon EOS 5D", "Canon EOS 5D"),
        ("NIKON CORPORATION", "NIKON D750", "NIKON D750"),
        ("Apple", "iPhone 12", "Apple iPhone 12"),
        ("OLYMPUS IMAGING CORP.", "E-M5", "OLYMPUS E-M5"),
        ("FUJIFILM\0\0rubbish", "X-T3 ", "FUJIFILM X-T3"),
        ("SAMSUNG ELECTRONICS CO.,LTD", None, "SAMSUNG ELECTRONICS"),
        (None, "Pixel 3", "Pixel 3"),
        ("  ", "\0", None),
        (None, 7, None),
    ],
)
def test_camera_names_have_the_maker_once(make, model, expected):
    assert camera_name(make, model) == expected


def test_strings_are_cleaned():
    assert clean("a\x00b") == "a"
    assert clean(" a \r\n\x07\tb ") == "a b"
    assert clean("x" * 999) == "x" * 300
    assert clean("caf\xc3\xa9") == "café"  # UTF-8 that an EXIF reader took for Latin-1
    assert clean("caf\xe9") == "café"
    assert clean(b"\xe4\xb8\xad\xe6\x96\x87") == "中文"
    assert clean("\ud800x") == "?x"
    assert clean(None) is None and clean(3.5) is None and clean("\0") is None
    assert clean_keywords(["Sea", "sea ", "", None, "Boat"]) == ("Sea", "Boat")


def test_keywords_rating_and_title_of_windows(encoded):
    def wide(text: str) -> bytes:
        return text.encode("utf-16-le") + b"\0\0"

    metadata = with_exif(
        encoded,
        {0x9C9E: wide("sea;海边;sea"), 0x9C9B: wide("Harbour"), 0x4746: 4, 0x010E: "SONY DSC"},
    )
    assert metadata.keywords == ("sea", "海边")
    assert (metadata.title, metadata.rating, metadata.description) == ("Harbour", 4, None)


def test_the_user_comment_is_read_by_its_code(encoded):
    ascii_comment = with_exif(encoded, photo={0x9286: b"ASCII\0\0\0by the sea"})
    assert ascii_comment.description == "by the sea"
    assert with_exif(encoded, photo={0x9286: b"\0" * 8 + b"\x01\x02"}).description is None


XMP = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"
 photoshop:DateCreated="2003-02-01T10:11:12" {rating_attribute}>
{rating_element}
<dc:subject><rdf:Bag><rdf:li>dog</rdf:li><rdf:li>海滩</rdf:li></rdf:Bag></dc:subject>
<dc:title><rdf:Alt><rdf:li xml:lang="de">Hund</rdf:li>
<rdf:li xml:lang="x-default">Dog</rdf:li></rdf:Alt></dc:title>
<dc:description><rdf:Alt><rdf:li xml:lang="x-default">A dog runs</rdf:li></rdf:Alt></dc:description>
</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>"""


def xmp(rating: str, *, as_element: bool = False) -> bytes:
    return XMP.format(
        rating_attribute="" if as_element else f'xmp:Rating="{rating}"',
        rating_element=f"<xmp:Rating>{rating}</xmp:Rating>" if as_element else "",
    ).encode()


def xmp_file(format_name: str, packet: bytes) -> bytes:
    image, file = Image.new("RGB", (8, 8)), io.BytesIO()
    if format_name == "PNG":
        from PIL.PngImagePlugin import PngInfo

        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", packet.decode())
        image.save(file, "PNG", pnginfo=info)
    elif format_name == "TIFF":
        image.save(file, "TIFF", tiffinfo={700: packet})
    else:
        image.save(file, format_name, xmp=packet)
    return file.getvalue()


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_xmp_is_read_from_every_format(format_name):
    decoded = decode(xmp_file(format_name, xmp("5")), [])
    metadata = decoded.metadata
    assert decoded.warnings == ()
    assert metadata.keywords == ("dog", "海滩")
    assert (metadata.rating, metadata.title) == (5, "Dog")
    assert metadata.description == "A dog runs"
    assert metadata.taken_at == "2003-02-01T10:11:12"


@pytest.mark.parametrize(("text", "expected"), [("3", 3), ("0", 0), ("-1", None), ("many", None)])
def test_ratings_as_elements(text, expected):
    packet = xmp(text, as_element=True)
    assert decode(xmp_file("JPEG", packet), []).metadata.rating == expected


@pytest.mark.parametrize(
    "packet",
    [
        b"<x:xmpmeta",
        b"\xff\xfe\x00rubbish",
        b'<!DOCTYPE a [<!ENTITY b "cccccccc">]><a>&b;&b;</a>',
    ],
)
def test_broken_or_hostile_xmp_is_a_warning(packet):
    decoded = decode(xmp_file("JPEG", packet), [])
    assert decoded.metadata.width == 8
    assert any("XMP" in warning for warning in decoded.warnings)


def iptc_jpeg(encoded, records: list[tuple[int, int, bytes]]) -> bytes:
    body = b"".join(
        struct.pack(">BBBH", 0x1C, record, number, len(value)) + value
        for record, number, value in records
    )
    resource = b"8BIM" + struct.pack(">HHI", 0x0404, 0, len(body)) + body + b"\0" * (len(body) % 2)
    segment = b"Photoshop 3.0\0" + resource
    data = encoded(Image.new("RGB", (8, 8)), "JPEG")
    return data[:2] + b"\xff\xed" + struct.pack(">H", len(segment) + 2) + segment + data[2:]


def test_iptc_is_read_in_its_character_set(encoded):
    data = iptc_jpeg(
        encoded,
        [
            (1, 90, b"\x1b%G"),
            (2, 5, "Hütte".encode()),
            (2, 25, "山".encode()),
            (2, 25, b"snow"),
            (2, 55, b"19991231"),
            (2, 60, b"235958+0100"),
            (2, 120, b"A hut"),
        ],
    )
    metadata = decode(data, []).metadata
    assert metadata.keywords == ("山", "snow")
    assert (metadata.title, metadata.description) == ("Hütte", "A hut")
    assert metadata.taken_at == "1999-12-31T23:59:58+01:00"
    latin = decode(iptc_jpeg(encoded, [(2, 25, b"H\xfctte")]), []).metadata
    assert latin.keywords == ("Hütte",)


def test_png_texts_are_read():
    from PIL.PngImagePlugin import PngInfo

    info, file = PngInfo(), io.BytesIO()
    info.add_text("Title", "A title")
    info.add_itxt("Description", "描述")
    Image.new("RGB", (8, 8)).save(file, "PNG", pnginfo=info)
    metadata = decode(file.getvalue(), []).metadata
    assert (metadata.title, metadata.description) == ("A title", "描述")


def test_metadata_of_heic(scene):
    pillow_heif = pytest.importorskip("pillow_heif")
    exif = Image.Exif()
    exif[0x0110] = "iPhone 12"
    exif.get_ifd(EXIF_IFD)[0x9003] = "2020:05:17 13:00:59"
    file = io.BytesIO()
    pillow_heif.from_pillow(scene()).save(file, exif=exif.tobytes())
    metadata = decode(file.getvalue(), []).metadata
    assert (metadata.camera, metadata.taken_at) == ("iPhone 12", "2020-05-17T13:00:59")


def test_random_damage_to_metadata_never_fails_the_picture(encoded):
    import numpy as np

    exif = Image.Exif()
    exif.update({0x010F: "Canon", 0x0110: "Canon EOS", 0x0112: 1, 0x010E: "text"})
    exif.get_ifd(EXIF_IFD).update({0x9003: "2012:09:08 07:06:05", 0x9286: b"ASCII\0\0\0hello"})
    exif.get_ifd(GPS_IFD).update({1: "N", 2: (1.0, 2.0, 3.0), 3: "E", 4: (1.0, 2.0, 3.0)})
    data = encoded(Image.new("RGB", (8, 8), "red"), "JPEG", exif=exif)
    start, length = data.index(b"Exif\0\0") + 6, len(exif.tobytes()) - 6
    random = np.random.default_rng(11)
    for _ in range(300):
        broken = bytearray(data)
        for at in random.integers(start, start + length, 4):
            broken[at] = random.integers(256)
        metadata = decode(bytes(broken), []).metadata
        assert (metadata.width, metadata.height) == (8, 8)
        assert metadata.latitude is None or abs(metadata.latitude) <= 90
        for text in (metadata.camera, metadata.description, metadata.taken_at):
            assert text is None or (text and "\0" not in text)


def test_odd_exif_of_real_files_is_read_or_warned_of(data_dir):
    files = sorted((data_dir / "hostile" / "exif_bad").iterdir())
    found = {path.name: decode(path, []).metadata for path in files}
    assert found["22-canon_tags.jpg"].camera.startswith("Canon")
    assert sum(metadata.taken_at is not None for metadata in found.values()) >= 6
