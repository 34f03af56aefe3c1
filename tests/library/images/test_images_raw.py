"""RAW files: a DNG written by hand, as its specification (Adobe, 1.4) has it."""

from __future__ import annotations

import io
import struct
import sys

import numpy as np
import pytest
from PIL import Image

from pictor.library.errors import ImageError
from pictor.library.images import Limits, decode, load_rgb
from pictor.library.records import ImageSpec, Reason

pytest.importorskip("rawpy")

WIDTH, HEIGHT = 320, 240
SHORT, LONG, ASCII, BYTE, RATIONAL, SIGNED = 3, 4, 2, 1, 5, 10
SIZES = {SHORT: "H", LONG: "I", ASCII: "B", BYTE: "B", RATIONAL: "II", SIGNED: "ii"}


def dng(*, orientation: int = 1, preview: bytes = b"") -> bytes:
    """A mosaic whose left half is red and whose right half is blue; top rows darker."""
    mosaic = np.full((HEIGHT, WIDTH), 800, np.uint16)
    mosaic[0::2, 0::2][:, : WIDTH // 4] = 50_000  # red sites
    mosaic[1::2, 1::2][:, WIDTH // 4 :] = 50_000  # blue sites
    mosaic[: HEIGHT // 4] //= 4
    pixels = mosaic.tobytes()
    matrix = [(value, 10_000) for value in (10_000, 0, 0, 0, 10_000, 0, 0, 0, 10_000)]
    raw_tags = {
        254: (LONG, [0]),
        256: (LONG, [WIDTH]),
        257: (LONG, [HEIGHT]),
        258: (SHORT, [16]),
        259: (SHORT, [1]),
        262: (SHORT, [32803]),  # colour filter array
        277: (SHORT, [1]),
        278: (LONG, [HEIGHT]),
        279: (LONG, [len(pixels)]),
        33421: (SHORT, [2, 2]),
        33422: (BYTE, [0, 1, 1, 2]),
        50717: (LONG, [65535]),
    }
    shared_tags = {
        271: (ASCII, b"Acme\0"),
        272: (ASCII, b"Acme One\0"),
        274: (SHORT, [orientation]),
        50706: (BYTE, [1, 4, 0, 0]),
        50707: (BYTE, [1, 1, 0, 0]),
        50708: (ASCII, b"Acme One\0"),
        50721: (SIGNED, matrix),
        50728: (RATIONAL, [(1, 1)] * 3),
        50778: (SHORT, [21]),
    }
    exif_tags = {36867: (ASCII, b"2021:03:04 05:06:07\0")}
    if not preview:
        return assemble([({**raw_tags, **shared_tags}, pixels, 273)], exif_tags)
    preview_tags = {
        254: (LONG, [1]),
        256: (LONG, [WIDTH]),
        257: (LONG, [HEIGHT]),
        258: (SHORT, [8, 8, 8]),
        259: (SHORT, [7]),
        262: (SHORT, [6]),
        277: (SHORT, [3]),
        278: (LONG, [HEIGHT]),
        279: (LONG, [len(preview)]),
    }
    return assemble(
        [({**preview_tags, **shared_tags}, preview, 273), (raw_tags, pixels, 273)], exif_tags
    )


def assemble(parts: list[tuple[dict, bytes, int]], exif_tags: dict) -> bytes:
    """Pixels first, then the directories: the second is a sub-directory of the first."""
    out = bytearray(b"II*\0" + bytes(4))
    starts = []
    for _, pixels, _ in parts:
        starts.append(len(out))
        out += pixels
        out += bytes(len(out) % 2)
    exif_at = len(out)
    out += directory(exif_tags, exif_at)
    below_at = 0
    if len(parts) == 2:
        below_at = len(out)
        out += directory({**parts[1][0], 273: (LONG, [starts[1]])}, below_at)
    tags = {**parts[0][0], 273: (LONG, [starts[0]]), 34665: (LONG, [exif_at])}
    if below_at:
        tags[330] = (LONG, [below_at])
    struct.pack_into("<I", out, 4, len(out))
    out += directory(tags, len(out))
    return bytes(out)


def directory(tags: dict, position: int) -> bytes:
    entries, values = b"", b""
    values_at = position + 2 + 12 * len(tags) + 4
    for tag in sorted(tags):
        kind, value = tags[tag]
        flat = [part for item in value for part in (item if isinstance(item, tuple) else (item,))]
        packed = struct.pack(f"<{len(flat)}{SIZES[kind][0]}", *flat)
        place = packed.ljust(4, b"\0")
        if len(packed) > 4:
            place = struct.pack("<I", values_at + len(values))
            values += packed + bytes(len(packed) % 2)
        entries += struct.pack("<HHI", tag, kind, len(value)) + place
    return struct.pack("<H", len(tags)) + entries + bytes(4) + values


def halves(image: Image.Image) -> tuple[int, int]:
    """The strongest channel at the left and at the right."""
    pixels = np.asarray(image.resize((8, 6), Image.Resampling.BOX)).astype(int)
    return int(pixels[4, 1].argmax()), int(pixels[4, 6].argmax())


def test_a_dng_without_preview_is_developed():
    decoded = decode(dng(), [ImageSpec(32, 32)])
    assert decoded.metadata.format == "DNG"
    assert decoded.metadata.camera == "Acme One"
    assert decoded.metadata.taken_at == "2021-03-04T05:06:07"
    assert abs(decoded.metadata.width - WIDTH) <= 16 and abs(decoded.metadata.height - HEIGHT) <= 16
    image, _, _ = load_rgb(dng())
    assert halves(image) == (0, 2)
    small, metadata, _ = load_rgb(dng(), min_edge=100)
    assert small.height < 0.6 * metadata.height  # half size was enough
    assert halves(small) == (0, 2)


def test_the_orientation_of_a_dng_is_applied():
    image, metadata, _ = load_rgb(dng(orientation=6))
    assert metadata.orientation == 6
    assert (metadata.width, metadata.height) == image.size and image.height > image.width
    assert halves(image.transpose(Image.Transpose.ROTATE_90)) == (0, 2)


def green_preview(width: int = WIDTH, height: int = HEIGHT) -> bytes:
    file = io.BytesIO()
    image = Image.new("RGB", (width, height), (0, 200, 0))
    image.paste((255, 255, 255), (0, 0, width // 4, height))
    image.save(file, "JPEG", quality=95)
    return file.getvalue()


def test_a_whole_preview_is_used_and_turned():
    image, _, _ = load_rgb(dng(preview=green_preview()))
    assert halves(image)[1] == 1
    turned, _, _ = load_rgb(dng(preview=green_preview(), orientation=6))
    assert turned.height > turned.width
    assert np.asarray(turned)[2, turned.width // 2].min() > 230  # the white bar is on top


def test_a_preview_that_shows_a_part_only_is_not_used():
    image, _, _ = load_rgb(dng(preview=green_preview(WIDTH, HEIGHT // 2)))
    assert halves(image) == (0, 2)


@pytest.mark.parametrize("part", [0.02, 0.3, 0.7, 0.95])
def test_a_cut_off_raw_fails_cleanly(part):
    data = dng()
    with pytest.raises(ImageError) as caught:
        decode(data[: int(len(data) * part)], [ImageSpec(32, 32)], name_hint=b"a.dng")
    assert caught.value.reason in (Reason.TRUNCATED, Reason.CORRUPT, Reason.UNSUPPORTED)


@pytest.mark.parametrize(
    "head",
    [
        b"FUJIFILMCCD-RAW 0201FF393101",
        b"IIRO\x08\0\0\0",
        b"\0\0\0\x18ftypcrx \0\0\0\1crx isom",
        b"II*\0\x10\0\0\0CR\2\0",
    ],
)
def test_rubbish_behind_a_raw_header_fails_cleanly(head):
    rubbish = np.random.default_rng(5).integers(0, 256, 5000, np.uint8).tobytes()
    with pytest.raises(ImageError) as caught:
        decode(head + rubbish, [ImageSpec(32, 32)])
    assert caught.value.reason in (Reason.TRUNCATED, Reason.CORRUPT, Reason.UNSUPPORTED)


def test_a_tiff_that_is_only_named_raw_is_refused_as_unsupported_or_read(encoded, scene):
    try:
        decoded = decode(encoded(scene(), "TIFF"), [], name_hint=b"a.nef")
    except ImageError as error:
        assert error.reason in (Reason.UNSUPPORTED, Reason.CORRUPT)
    else:
        assert decoded.metadata.width == 96


def test_a_raw_over_the_limits_is_refused():
    with pytest.raises(ImageError) as caught:
        decode(dng(), [], Limits(max_memory_bytes=1000))
    assert caught.value.reason == Reason.TOO_LARGE


def test_without_rawpy_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "rawpy", None)
    with pytest.raises(ImageError, match=r"pictor-search\[raw\]") as caught:
        decode(dng(), [])
    assert caught.value.reason == Reason.EXTRA_MISSING
