"""Bounds and numbers of decoding, written here once more, without files where none is needed."""

from __future__ import annotations

import importlib
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps
from PIL.TiffImagePlugin import IFDRational

from pictor.library.errors import ImageError
from pictor.library.images import Limits, decode, load_rgb, thumbnail
from pictor.library.images.colour import to_srgb
from pictor.library.images.exif import exif_facts, stars
from pictor.library.images.limits import check_bytes, check_memory, check_pixels
from pictor.library.images.picture import upright
from pictor.library.images.prepare import naflex_size, prepare, shortest_edge_size
from pictor.library.orientations import TURNS
from pictor.library.records import ImageSpec, Metadata, Reason

# --- limits


def test_the_limits_are_those_that_are_documented() -> None:
    megabytes = 1024 * 1024
    assert Limits() == Limits(100_000_000, 1_000_000_000, 600_000_000, 512 * megabytes, 8)


@pytest.mark.parametrize(
    ("width", "height", "limit", "said"),
    [
        (1, 1, 1, None),
        (1000, 2000, 2_000_000, None),
        (0, 1, 9, (Reason.CORRUPT, "x claims 0x1 pixels")),
        (1, 0, 9, (Reason.CORRUPT, "x claims 1x0 pixels")),
        (
            *(2000, 1500, 2_999_999),
            (Reason.TOO_LARGE, "x has 2000x1500 = 3.0 megapixels, the limit is 3.0"),
        ),
        (3, 1, 2, (Reason.TOO_LARGE, "x has 3x1 = 0.0 megapixels, the limit is 0.0")),
    ],
)
def test_pixels_have_a_limit(width: int, height: int, limit: int, said: Any) -> None:
    if said is None:
        check_pixels(width, height, limit, "x")
        return
    with pytest.raises(ImageError) as caught:
        check_pixels(width, height, limit, "x")
    assert (caught.value.reason, caught.value.detail) == said


def test_memory_and_bytes_have_a_limit() -> None:
    limits = Limits(max_memory_bytes=7_000_000, max_bytes=2_500_000)
    check_memory(7_000_000, limits, "x")
    check_bytes(2_500_000, limits, "x")
    with pytest.raises(ImageError, match="x would need 8 MB to decode, the limit is 7 MB"):
        check_memory(8_000_000, limits, "x")
    with pytest.raises(ImageError, match=r"x is 3\.5 MB, the limit is 2\.5 MB"):
        check_bytes(3_500_000, limits, "x")
    for check, least in ((check_memory, 7_000_001), (check_bytes, 2_500_001)):
        with pytest.raises(ImageError) as caught:
            check(least, limits, "x")
        assert caught.value.reason == Reason.TOO_LARGE


# --- EXIF


def facts(
    tags: dict[int, Any] | None = None,
    photo: dict[int, Any] | None = None,
    gps: dict[int, Any] | None = None,
    endian: str = "<",
) -> Metadata:
    exif = Image.Exif()
    exif.endian = endian
    exif.update(tags or {})
    exif.get_ifd(0x8769).update(photo or {})
    exif.get_ifd(0x8825).update(gps or {})
    return exif_facts(exif)


@pytest.mark.parametrize(
    ("latitude", "longitude", "expected"),
    [
        ((90.0,), (180.0,), (90.0, 180.0)),
        ((90.0, 0.0, 0.001), (0.0,), (None, None)),
        ((0.0,), (180.0, 0.0, 0.001), (None, None)),
        ((0.0,), (5.0,), (0.0, 5.0)),
        ((5.0,), (0.0,), (5.0, 0.0)),
        ((0.0,), (0.0,), (None, None)),
        ((1.0, 3.0, 36.0), (2.0, 30.0, 18.0), (1.06, 2.505)),
        ((1.0, 0.0, 1 / 3), (2.0,), (1.0000926, 2.0)),
        (1.5, "2.5", (1.5, 2.5)),
        ([1.5], ((2.5,),), (1.5, 2.5)),
        ((1.0, IFDRational(0, 0), 0.0), (2.0,), (None, None)),
        ((1.0, 30.0, IFDRational(0, 0)), (2.0,), (1.5, 2.0)),
        ((1.0, 0.0, 0.0, 0.0), (2.0,), (None, None)),
        ((), (2.0,), (None, None)),
        ((float("nan"),), (2.0,), (None, None)),
        ((-1.0,), (2.0,), (-1.0, 2.0)),
    ],
)
def test_degrees_are_read_up_to_their_bounds(latitude: Any, longitude: Any, expected: Any) -> None:
    found = facts(gps={2: latitude, 4: longitude})
    assert (found.latitude, found.longitude) == expected


@pytest.mark.parametrize(
    ("south", "west", "expected"),
    [
        ("S", "W", (-1.0, -2.0)),
        ("South", " w", (-1.0, -2.0)),
        ("N", "E", (1.0, 2.0)),
        ("W", "S", (1.0, 2.0)),
        (None, b"W\0", (1.0, -2.0)),
    ],
)
def test_south_and_west_are_negative(south: Any, west: Any, expected: Any) -> None:
    for sign in (1.0, -1.0) if expected == (-1.0, -2.0) else (1.0,):
        found = facts(gps={1: south, 2: (sign,), 3: west, 4: (2 * sign,)})
        assert (found.latitude, found.longitude) == expected


@pytest.mark.parametrize(
    ("value", "reference", "expected"),
    [
        (12.5, None, 12.5),
        (12.5, b"\0", 12.5),
        (12.5, 1, -12.5),
        (12.5, b"\x01", -12.5),
        (12.5, "1", -12.5),
        (12.5, (1,), -12.5),
        (-12.5, 1, -12.5),
        (12.5, 2, 12.5),
        (100_000.0, 0, 100_000.0),
        (-100_000.0, 0, -100_000.0),
        (100_000.1, 0, None),
        (IFDRational(1, 0), 0, None),
        (None, 1, None),
        ((3.0, 4.0), 0, None),
    ],
)
def test_an_altitude_is_one_of_the_earth(value: Any, reference: Any, expected: Any) -> None:
    assert facts(gps={5: reference, 6: value}).altitude_m == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *((number, number) for number in range(6)),
        (-1, None),
        (6, None),
        (2.5, None),
        ("4", 4),
        ((3,), 3),
        ([3], 3),
        ((3, 4), None),
        ((), None),
        (None, None),
        (float("inf"), None),
        (10**400, None),
    ],
)
def test_stars_are_whole_and_up_to_five(value: Any, expected: int | None) -> None:
    assert stars(value) == expected


def wide(text: str) -> bytes:
    return text.encode("utf-16-le") + b"\0\0rest"


@pytest.mark.parametrize(
    ("tags", "title", "description", "keywords"),
    [
        ({0x9C9B: wide("A"), 0x9C9F: wide("B")}, "A", None, ("",)),
        ({0x9C9F: wide("B")}, "B", None, ("",)),
        ({0x9C9C: wide("C")}, None, "C", ("",)),
        ({0x9C9C: wide("C"), 0x010E: "D"}, None, "D", ("",)),
        ({0x9C9C: wide("C"), 0x010E: "Untitled"}, None, "C", ("",)),
        ({0x010E: "Untitled work"}, None, "Untitled work", ("",)),
        ({0x9C9E: wide("k;l")}, None, None, ("k", "l")),
        ({0x9C9E: tuple(wide("k;l"))}, None, None, ("k", "l")),
        ({0x9C9E: "k;l"}, None, None, ("",)),
        ({0x9C9E: ("k", "l")}, None, None, ("",)),
        ({0x9C9B: tuple(value + 256 for value in wide("A"))}, "A", None, ("",)),
    ],
)
def test_titles_and_keywords_of_windows(
    tags: dict[int, Any], title: str | None, description: str | None, keywords: tuple[str, ...]
) -> None:
    found = facts(tags)
    assert (found.title, found.description, found.keywords) == (title, description, keywords)


@pytest.mark.parametrize(
    ("comment", "endian", "expected"),
    [
        (b"ASCII\0\0\0by the sea", "<", "by the sea"),
        (b"ASCII\0\0\0SONY DSC", "<", None),
        (b"ASCII\0\0\0", "<", None),
        (b"UNICODE\0" + "海".encode("utf-16-le"), "<", "海"),
        (b"UNICODE\0" + "海".encode("utf-16-be"), ">", "海"),
        (b"ASCII\0\0x", "<", None),
        ("ASCII\0\0\0x", "<", None),
    ],
)
def test_comments_state_their_code(comment: Any, endian: str, expected: str | None) -> None:
    assert facts(photo={0x9286: comment}, endian=endian).description == expected


def test_a_comment_of_windows_goes_before_one_of_the_camera() -> None:
    photo = {0x9286: b"ASCII\0\0\0camera"}
    assert facts({0x9C9C: wide("windows")}, photo).description == "windows"
    assert facts({0x010E: "described"}, photo).description == "described"


# --- colour


def grey(values: list[float], kind: type = np.float32) -> Image.Image:
    return Image.fromarray(np.array([values], kind))


def levels(image: Image.Image) -> list[int]:
    found = to_srgb(image)
    assert found.mode == "RGB"
    pixels = np.asarray(found)
    assert (pixels == pixels[:, :, :1]).all()
    return [int(level) for level in pixels[0, :, 0]]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 0.5, 1.0], [0, 128, 255]),
        ([0.0, 0.25], [0, 64]),
        ([0.0, 1.5, 255.0], [0, 2, 255]),
        ([0.0, 300.0, 65535.0], [0, 1, 255]),
        ([0.0, 1.0, 70000.0], [0, 0, 255]),
        ([0.0, 35000.0, 70000.0], [0, 128, 255]),
        ([-1.0, 0.0, 1.0], [0, 128, 255]),
        ([100.0, 100.0], [100, 100]),
        ([-5.0, -5.0], [0, 0]),
        ([float("nan"), float("inf"), 1.0], [0, 0, 255]),
    ],
)
def test_floating_levels_have_the_nearest_white(values: list[float], expected: list[int]) -> None:
    assert levels(grey(values)) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 1, 255], [0, 1, 255]),
        ([0, 1], [0, 1]),
        ([0, 257, 65535], [0, 1, 255]),
        ([0, 256], [0, 1]),
        ([0, 50_000, 100_000], [0, 128, 255]),
        ([-100, 0, 150], [0, 102, 255]),
    ],
)
def test_wide_whole_levels_have_the_nearest_white(values: list[int], expected: list[int]) -> None:
    assert levels(grey(values, np.int32)) == expected


def test_sixteen_bits_are_scaled_as_the_file_says() -> None:
    image = grey([0, 2047.5, 4095], np.uint16)
    assert image.mode == "I;16"
    assert levels(image) == [0, 8, 16]
    image.tag_v2 = {258: (12,)}  # type: ignore[attr-defined]
    assert levels(image) == [0, 127, 255]
    over = grey([0, 4095, 4110], np.uint16)  # more than twelve bits hold
    over.tag_v2 = {258: (12,)}  # type: ignore[attr-defined]
    assert levels(over) == [0, 255, 255]
    image.tag_v2 = {258: (16,), 262: 0}  # type: ignore[attr-defined]
    assert levels(image) == [255, 247, 239]
    image.tag_v2 = {262: 1}  # type: ignore[attr-defined]
    assert levels(image) == [0, 8, 16]


def test_a_wide_ppm_has_been_scaled_already() -> None:
    image = grey([0, 255], np.int32)
    assert levels(image) == [0, 255]
    image.format = "PPM"
    assert levels(image) == [0, 1]


@pytest.mark.parametrize(
    "mode", ["1", "L", "P", "RGB", "LA", "RGBA", "YCbCr", "CMYK", "La", "RGBa"]
)
def test_every_mode_becomes_rgb(mode: str) -> None:
    white = Image.new(
        "RGBA" if mode == "RGBa" else "LA" if mode == "La" else "RGB", (2, 1), "white"
    )
    found = to_srgb(white.convert(mode))
    assert (found.mode, found.getpixel((0, 0))) == ("RGB", (255, 255, 255))


def test_lab_is_seen_as_what_it_looks_like() -> None:
    lab = Image.new("LAB", (1, 1), (255, 128, 128))
    assert min(np.asarray(to_srgb(lab)).ravel()) >= 253


@pytest.mark.parametrize(
    ("size", "min_edge", "expected"),
    [
        ((8000, 4000), 1000, (8000, 4000)),
        ((8001, 4000), 0, (8001, 4000)),
        ((8001, 4000), 1000, (2001, 1000)),
        ((8001, 4000), 1334, (4001, 2000)),
        ((8001, 4000), 2001, (8001, 4000)),
        ((8001, 4000), 9000, (8001, 4000)),
    ],
)
def test_above_32_megapixels_a_picture_is_reduced(
    size: tuple[int, int], min_edge: int, expected: tuple[int, int]
) -> None:
    assert to_srgb(Image.new("RGB", size), min_edge).size == expected


@pytest.mark.parametrize("min_edge", [0, 10])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int32])
def test_strips_are_put_together_as_the_whole(
    monkeypatch: pytest.MonkeyPatch, min_edge: int, kind: type
) -> None:
    most = 200_000 if kind is np.int32 else np.iinfo(kind).max
    pixels = np.random.default_rng(1).integers(most // 3, most // 2, (43, 31)).astype(kind)
    pixels[0, 3], pixels[42, 30] = most, most // 4  # white and black of wide whole levels
    image = Image.fromarray(pixels)
    whole = to_srgb(image)
    monkeypatch.setattr("pictor.library.images.colour._WHOLE_PIXELS", 31 * 43 - 1)
    monkeypatch.setattr("pictor.library.images.colour._STRIP_PIXELS", 31 * 10)
    expected = whole.reduce(3) if min_edge else whole
    assert np.array_equal(np.asarray(to_srgb(image, min_edge)), np.asarray(expected))
    monkeypatch.setattr("pictor.library.images.colour._STRIP_PIXELS", 1)
    assert np.array_equal(np.asarray(to_srgb(image, min_edge)), np.asarray(expected))


# --- pixels of encoders


def test_sizes_follow_the_shorter_edge() -> None:
    assert shortest_edge_size(301, 200, 100) == (150, 100)
    assert shortest_edge_size(200, 301, 100) == (100, 150)
    assert shortest_edge_size(200, 200, 100) == (100, 100)


@pytest.mark.parametrize(
    ("asked", "size"),
    [
        ((1000, 500, 16, 256), (352, 176)),
        ((500, 1000, 16, 256), (176, 352)),
        ((640, 480, 16, 1024), (576, 432)),
        ((17, 3000, 14, 64), (14, 896)),
        ((300, 300, 32, 49), (224, 224)),
        ((10, 10, 16, 4), (32, 32)),
    ],
)
def test_patches_are_the_most_that_fit(asked: Any, size: tuple[int, int]) -> None:
    assert naflex_size(*asked) == size
    spec = ImageSpec(1, 1, "naflex", patch=asked[2], max_patches=asked[3])
    assert prepare(Image.new("RGB", (9, 9)), spec, asked[:2]).shape == (size[1], size[0], 3)


@pytest.mark.parametrize(
    ("height", "width", "top", "left"),
    [
        *((2, 3, 1, 1), (1, 2, 1, 1), (4, 5, 0, 0), (6, 7, -1, -1), (7, 8, -2, -2)),
        *((6, 3, -1, 1), (2, 8, 1, -2)),
    ],
)
def test_the_centre_is_cut_or_padded(height: int, width: int, top: int, left: int) -> None:
    """`top` and `left`: where the result begins in the picture, 4 high and 5 wide."""
    pixels = np.random.default_rng(2).integers(1, 256, (4, 5, 3)).astype(np.uint8)
    spec = ImageSpec(height, width, "shortest_edge", 4)
    expected = np.zeros((height, width, 3), np.uint8)
    for row in range(height):
        for column in range(width):
            if 0 <= row + top < 4 and 0 <= column + left < 5:
                expected[row, column] = pixels[row + top, column + left]
    found = prepare(Image.fromarray(pixels), spec)
    assert np.array_equal(found, expected)
    assert found.flags.c_contiguous


def test_a_long_strip_is_cut_to_what_the_centre_needs() -> None:
    across = np.linspace(0, 255, 6000).astype(np.uint8)
    strip = Image.fromarray(np.repeat(across[None], 6, axis=0)).convert("RGB")
    for image, turned in ((strip, False), (strip.transpose(Image.Transpose.ROTATE_90), True)):
        found = prepare(image, ImageSpec(140, 150, "shortest_edge", 160)).astype(int)
        line = found[:, 70, 0][::-1] if turned else found[70, :, 0]
        assert found.shape == (140, 150, 3)
        assert abs(line[len(line) // 2] - 127) <= 1  # the middle of the strip is the middle
        assert np.ptp(line) <= 1  # of which it shows a thousandth


def test_what_is_cut_before_it_is_resized_is_as_if_it_were_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (6, 4000, 3)).astype(np.uint8)
    spec = ImageSpec(140, 150, "shortest_edge", 160)
    images = [Image.fromarray(pixels), Image.fromarray(pixels.transpose(1, 0, 2).copy())]
    cut = [prepare(image, spec).astype(int) for image in images]
    module = importlib.import_module("pictor.library.images.prepare")  # the package has a function
    monkeypatch.setattr(module, "_MAX_RESIZED_PIXELS", 1 << 40)
    for image, found in zip(images, cut, strict=True):
        assert np.abs(prepare(image, spec).astype(int) - found).mean() < 0.5
    with pytest.raises(ValueError, match="prepare wants mode 'RGB', not 'L'"):
        prepare(images[0].convert("L"), spec)


# --- the door


def gif(colours: list[str]) -> bytes:
    frames = [Image.new("RGB", (8, 8), colour) for colour in colours]
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=1000)
    return file.getvalue()


def test_one_picture_of_an_animation_is_from_its_middle_or_of_a_moment() -> None:
    data = gif(["red", "lime", "blue"])
    red, lime, blue = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    for time_s, colour in ((None, lime), (0.0, red), (0.4, red), (1.0, lime), (99.0, blue)):
        assert load_rgb(data, time_s=time_s)[0].getpixel((0, 0)) == colour
    found = decode(data, [], with_hashes=True)
    assert [frame.position for frame in found.frames] == [0, 1, 2]
    assert (found.hashes, found.metadata.duration_s) == (b"", 3.0)
    assert decode(data, []).hashes is None


def test_a_thumbnail_is_a_jpeg_of_quality_85() -> None:
    image = Image.effect_noise((300, 200), 60).convert("RGB")
    file, expected = io.BytesIO(), io.BytesIO()
    image.save(file, "PNG")
    data = thumbnail(file.getvalue(), 150)
    found = Image.open(io.BytesIO(data))
    found.save(expected, "JPEG", quality=85)
    assert len(data) < len(expected.getvalue())  # its tables are made for it
    assert found.size == (150, 100)
    assert found.quantization == Image.open(expected).quantization  # type: ignore[attr-defined]


# --- orientations


def test_an_orientation_turns_as_exif_says() -> None:
    assert list(TURNS) == list(range(1, 9))
    image = Image.fromarray(np.arange(24, dtype=np.uint8).reshape(2, 4, 3))
    for orientation, turn in TURNS.items():
        image.getexif()[0x0112] = orientation
        right = np.asarray(ImageOps.exif_transpose(image))
        assert np.array_equal(np.asarray(upright(image, orientation)), right)
        pixels = np.asarray(image)
        pixels = pixels.transpose(1, 0, 2) if turn.is_transposed else pixels
        pixels = pixels[:, ::-1] if turn.is_mirrored_across else pixels
        pixels = pixels[::-1] if turn.is_mirrored_down else pixels
        assert np.array_equal(pixels, right)
    assert [turn.words for turn in TURNS.values()] == [
        *("", "mirrored", "turned by 180°", "mirrored upside down", "mirrored and turned"),
        *("turned by 90°", "mirrored and turned", "turned by 270°"),
    ]
