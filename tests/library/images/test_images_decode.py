from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from pictor.library.errors import ImageError
from pictor.library.images import Limits, decode, load_rgb, thumbnail
from pictor.library.records import ImageSpec, Reason


def pixels_of(data: bytes, spec: ImageSpec, **options: object) -> np.ndarray:
    decoded = decode(data, [spec], **options)
    (frame,) = decoded.frames
    assert frame.time_s is None
    return frame.pixels[0]


LOSSLESS = [
    ("PNG", {}),
    ("BMP", {}),
    ("TIFF", {}),
    ("TIFF", {"compression": "tiff_lzw"}),
    ("TIFF", {"compression": "tiff_adobe_deflate"}),
    ("TIFF", {"big_tiff": True}),
    ("PPM", {}),
    ("WEBP", {"lossless": True}),
    ("JPEG2000", {}),
    ("JPEG2000", {"no_jp2": True}),
    ("ICO", {"sizes": [(96, 64)]}),
]
LOSSY = [("JPEG", {"quality": 95}), ("WEBP", {"quality": 95}), ("AVIF", {"quality": 95})]


@pytest.mark.parametrize(("format_name", "options"), LOSSLESS, ids=str)
def test_lossless_formats_give_the_drawn_pixels(encoded, scene, same_size, format_name, options):
    image = scene()
    found = pixels_of(encoded(image, format_name, **options), same_size(image))
    assert np.array_equal(found, np.asarray(image))


@pytest.mark.parametrize(("format_name", "options"), LOSSY, ids=str)
def test_lossy_formats_come_near(encoded, scene, same_size, distance, format_name, options):
    image = scene()
    assert distance(pixels_of(encoded(image, format_name, **options), same_size(image)), image) < 4


def heic(image: Image.Image, **options: object) -> bytes:
    pillow_heif = pytest.importorskip("pillow_heif")
    file = io.BytesIO()
    pillow_heif.from_pillow(image).save(file, quality=95, **options)
    return file.getvalue()


def test_heic_comes_near(scene, same_size, distance):
    image = scene()
    decoded = decode(heic(image), [same_size(image)])
    assert decoded.metadata.format == "HEIF"
    assert distance(decoded.frames[0].pixels[0], image) < 4


def test_metadata_names_the_format_and_the_size(encoded, scene):
    decoded = decode(encoded(scene(), "PNG"), [])
    assert (decoded.metadata.format, decoded.metadata.width, decoded.metadata.height) == (
        "PNG",
        96,
        64,
    )
    assert decoded.warnings == ()


# --- modes ---------------------------------------------------------------------------------------


def test_grey_palette_and_bilevel(encoded, scene, same_size):
    image = scene()
    for mode in ("L", "P", "1"):
        converted = image.convert(mode)
        found = pixels_of(encoded(converted, "PNG"), same_size(image))
        assert np.array_equal(found, np.asarray(converted.convert("RGB"))), mode


def test_transparency_becomes_white(encoded, same_size):
    image = Image.new("RGBA", (4, 4), (200, 0, 0, 255))
    image.paste((0, 0, 0, 0), (0, 0, 2, 4))
    image.paste((0, 0, 0, 128), (2, 0, 3, 4))
    found = pixels_of(encoded(image, "PNG"), same_size(image))
    assert found[0].tolist() == [[255] * 3, [255] * 3, [127] * 3, [200, 0, 0]]


def test_transparency_of_grey_palette_and_colour_key(encoded, same_size):
    grey = Image.new("LA", (2, 2), (0, 0))
    assert pixels_of(encoded(grey, "PNG"), same_size(grey)).min() == 255
    palette = Image.new("P", (2, 2), 1)
    palette.putpalette([0, 0, 0, 9, 9, 9])
    assert pixels_of(encoded(palette, "PNG", transparency=1), same_size(grey)).min() == 255
    assert pixels_of(encoded(palette, "PNG", transparency=0), same_size(grey)).max() == 9
    keyed = Image.new("RGB", (2, 2), (1, 2, 3))
    assert pixels_of(encoded(keyed, "PNG", transparency=(1, 2, 3)), same_size(grey)).min() == 255
    gif = encoded(palette, "GIF", transparency=1)
    assert pixels_of(gif, same_size(grey)).min() == 255


@pytest.mark.parametrize("format_name", ["PNG", "TIFF"])
def test_16_bit_grey_is_scaled_not_clipped(encoded, same_size, format_name):
    values = np.array([[0, 257, 32896, 65535]], np.uint16)
    image = Image.fromarray(values)
    found = pixels_of(encoded(image, format_name), same_size(image))
    assert found[0, :, 0].tolist() == [0, 1, 128, 255]


def test_deep_pnm_is_scaled(same_size):
    data = b"P5 3 1 1023\n" + struct.pack(">3H", 0, 512, 1023)
    found = pixels_of(data, ImageSpec(1, 3, resample="nearest"))
    assert found[0, :, 0].tolist() == [0, 128, 255]
    data = b"P6 1 1 65535\n" + struct.pack(">3H", 0, 32896, 65535)
    assert pixels_of(data, ImageSpec(1, 1))[0, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 0.5, 1.0], [0, 128, 255]),
        ([0.0, 128.0, 255.0], [0, 128, 255]),
        ([-1.0, 0.0, 1.0], [0, 128, 255]),
        ([0.0, np.nan, 1e6], [0, 0, 255]),
    ],
)
def test_floating_point_tiff_is_scaled_to_its_range(encoded, values, expected):
    image = Image.fromarray(np.array([values], np.float32))
    found = pixels_of(encoded(image, "TIFF"), ImageSpec(1, 3, resample="nearest"))
    assert found[0, :, 0].tolist() == expected


def test_signed_tiff_is_scaled_to_its_range(encoded):
    image = Image.fromarray(np.array([[-100_000, 0, 100_000]], np.int32))
    found = pixels_of(encoded(image, "TIFF"), ImageSpec(1, 3, resample="nearest"))
    assert found[0, :, 0].tolist() == [0, 128, 255]


def test_cmyk_jpeg_and_tiff_are_not_inverted(encoded, scene, same_size, distance):
    cmyk = scene().convert("CMYK")
    expected = cmyk.convert("RGB")
    for format_name, options in (("JPEG", {"quality": 95}), ("TIFF", {})):
        found = pixels_of(encoded(cmyk, format_name, **options), same_size(cmyk))
        assert distance(found, expected) < 5, format_name


def test_adobe_cmyk_of_a_real_file_is_not_inverted(data_dir):
    folder = data_dir / "hostile" / "pillow"
    image, metadata, _ = load_rgb(folder / "pil_sample_cmyk.jpg")
    reference, _, _ = load_rgb(folder / "pil_sample_rgb.jpg")
    assert metadata.format == "JPEG"
    difference = np.asarray(image).astype(float) - np.asarray(reference)
    assert np.abs(difference).mean() < 25  # inverted, it is over 100


def test_lab_tiff_is_converted(data_dir):
    for name, strongest in (("lab-red.tif", 0), ("lab-green.tif", 1)):
        image, _, _ = load_rgb(data_dir / "hostile" / "pillow" / name)
        assert np.asarray(image)[5, 5].argmax() == strongest, name


def test_pam_is_read():
    header = b"P7\nWIDTH 2\nHEIGHT 1\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n"
    pixels = bytes([10, 20, 30, 255, 10, 20, 30, 0])
    found = pixels_of(header + pixels, ImageSpec(1, 2, resample="nearest"))
    assert found[0].tolist() == [[10, 20, 30], [255, 255, 255]]
    deep = b"P7\nWIDTH 2\nHEIGHT 1\nDEPTH 1\nMAXVAL 1000\nENDHDR\n" + struct.pack(">2H", 0, 1000)
    assert pixels_of(deep, ImageSpec(1, 2, resample="nearest"))[0, :, 0].tolist() == [0, 255]
    with pytest.raises(ImageError) as caught:
        decode(header + pixels[:5], [])
    assert caught.value.reason == Reason.TRUNCATED


def test_first_page_of_a_tiff_and_largest_icon(encoded):
    red, blue = Image.new("RGB", (5, 5), "red"), Image.new("RGB", (5, 5), "blue")
    tiff = encoded(red, "TIFF", save_all=True, append_images=[blue])
    assert pixels_of(tiff, ImageSpec(1, 1))[0, 0].tolist() == [255, 0, 0]
    icon = encoded(Image.new("RGB", (64, 64), "lime"), "ICO", sizes=[(16, 16), (48, 48)])
    assert decode(icon, []).metadata.width == 48


def test_first_picture_of_an_mpo(encoded):
    red, blue = Image.new("RGB", (16, 16), "red"), Image.new("RGB", (16, 16), "blue")
    data = encoded(red, "MPO", save_all=True, append_images=[blue])
    found = pixels_of(data, ImageSpec(1, 1))[0, 0]
    assert found[0] > 240 and found[2] < 15


# --- orientation ---------------------------------------------------------------------------------


def turned_file(encoded, image: Image.Image, orientation: int, format_name: str) -> bytes:
    """A file that shows `image` once its orientation is applied."""
    undo = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    stored = image if undo is None else image.transpose(undo)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"compression": "tiff_lzw"} if format_name == "TIFF-LZW" else {}
    options |= {"lossless": True} if format_name == "WEBP" else {}
    return encoded(stored, format_name.partition("-")[0], exif=exif, **options)


@pytest.mark.parametrize("format_name", ["PNG", "WEBP", "TIFF", "TIFF-LZW", "JPEG", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_gives_the_same_picture(
    encoded, scene, same_size, distance, orientation, format_name
):
    image = scene()
    data = turned_file(encoded, image, orientation, format_name)
    decoded = decode(data, [same_size(image)])
    assert (decoded.metadata.width, decoded.metadata.height) == image.size
    assert decoded.metadata.orientation == orientation
    limit = 6 if format_name in ("JPEG", "AVIF") else 0
    assert distance(decoded.frames[0].pixels[0], image) <= limit


def test_heic_that_is_turned_by_its_container_is_turned_once(scene, same_size, distance):
    image = scene()
    exif = Image.Exif()
    exif[0x0112] = 6
    data = heic(image.transpose(Image.Transpose.ROTATE_90), exif=exif.tobytes())
    decoded = decode(data, [same_size(image)])
    assert distance(decoded.frames[0].pixels[0], image) < 5


@pytest.mark.parametrize("value", [0, 9, 255])
def test_a_senseless_orientation_is_ignored(encoded, scene, value):
    exif = Image.Exif()
    exif[0x0112] = value
    metadata = decode(encoded(scene(), "JPEG", exif=exif), []).metadata
    assert (metadata.width, metadata.height, metadata.orientation) == (96, 64, 1)


def test_orientations_of_real_files_agree(data_dir, distance):
    folder = data_dir / "hostile" / "exif_orientation"
    for kind in ("landscape", "portrait"):
        # The files are numbered on the picture itself, so the corners are compared, coarsely.
        spec = ImageSpec(24, 24, resample="box")
        first = decode(folder / f"{kind}_1.jpg", [spec])
        for number in range(2, 9):
            other = decode(folder / f"{kind}_{number}.jpg", [spec])
            assert other.metadata.orientation == number
            assert (other.metadata.width > other.metadata.height) == (kind == "landscape")
            assert distance(other.frames[0].pixels[0], first.frames[0].pixels[0]) < 8, number


# --- colour profiles -----------------------------------------------------------------------------


def swapped_profile() -> bytes:
    """sRGB with the red and blue primaries exchanged: red pixels are meant to look blue."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = struct.unpack_from(">I", data, 128)[0]
    places = {bytes(data[at : at + 4]): at + 4 for at in range(132, 132 + 12 * count, 12)}
    red, blue = (bytes(data[places[name] : places[name] + 8]) for name in (b"rXYZ", b"bXYZ"))
    data[places[b"rXYZ"] : places[b"rXYZ"] + 8] = blue
    data[places[b"bXYZ"] : places[b"bXYZ"] + 8] = red
    return bytes(data)


@pytest.mark.parametrize("format_name", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_the_colour_profile_is_applied(encoded, format_name):
    image = Image.new("RGB", (16, 16), (255, 0, 0))
    data = encoded(image, format_name, icc_profile=swapped_profile())
    found = pixels_of(data, ImageSpec(1, 1))[0, 0]
    assert found[2] > 240 and found[0] < 15


def test_the_colour_profile_leaves_alpha_alone(encoded):
    image = Image.new("RGBA", (2, 1), (255, 0, 0, 255))
    image.putpixel((1, 0), (255, 0, 0, 0))
    data = encoded(image, "PNG", icc_profile=swapped_profile())
    found = pixels_of(data, ImageSpec(1, 2, resample="nearest"))[0]
    assert found[1].tolist() == [255, 255, 255] and found[0].argmax() == 2


def test_an_srgb_profile_changes_no_pixel(encoded, scene, same_size):
    image = scene()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    found = pixels_of(encoded(image, "PNG", icc_profile=profile), same_size(image))
    assert np.array_equal(found, np.asarray(image))


@pytest.mark.parametrize("profile", [b"rubbish", swapped_profile()[:300]])
def test_a_broken_profile_is_a_warning(encoded, scene, same_size, profile):
    image = scene()
    decoded = decode(encoded(image, "PNG", icc_profile=profile), [same_size(image)])
    assert np.array_equal(decoded.frames[0].pixels[0], np.asarray(image))
    assert any("colour profile" in warning for warning in decoded.warnings)


def test_a_profile_of_another_colour_space_is_a_warning(encoded, scene):
    decoded = decode(encoded(scene().convert("L"), "PNG", icc_profile=swapped_profile()), [])
    assert any("RGB" in warning for warning in decoded.warnings)


# --- shrinking and limits ------------------------------------------------------------------------


def test_a_jpeg_shrunk_on_load_is_nearly_the_full_one(encoded, scene, distance):
    image = scene(3000, 2000)
    data = encoded(image, "JPEG", quality=92)
    small = ImageSpec(224, 224, "shortest_edge", 224)
    whole = ImageSpec(3000, 3000, resample="nearest")
    decoded = decode(data, [small])
    assert (decoded.metadata.width, decoded.metadata.height) == (3000, 2000)
    full = decode(data, [small, whole])
    assert distance(decoded.frames[0].pixels[0], full.frames[0].pixels[0]) < 1
    shrunk, metadata, _ = load_rgb(data, min_edge=448)
    assert 448 <= min(shrunk.size) < 2 * 448 and metadata.width == 3000
    assert load_rgb(data)[0].size == (3000, 2000)


def test_equal_specs_share_their_pixels(encoded, scene):
    first = ImageSpec(32, 32)
    second = ImageSpec(32, 32, mean=(0.5, 0.5, 0.5))
    third = ImageSpec(16, 16)
    (frame,) = decode(encoded(scene(), "PNG"), [first, second, third]).frames
    assert frame.pixels[0] is frame.pixels[1]
    assert [pixels.shape for pixels in frame.pixels] == [(32, 32, 3), (32, 32, 3), (16, 16, 3)]


def test_a_large_picture_is_reduced_in_strips_like_a_whole_one(
    encoded, scene, distance, monkeypatch
):
    image = scene(500, 333)
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    data = encoded(image, "PNG")
    spec = ImageSpec(40, 40)
    whole = pixels_of(data, spec)
    full = load_rgb(data)[0]
    monkeypatch.setattr("pictor.library.images.colour._WHOLE_PIXELS", 1000)
    monkeypatch.setattr("pictor.library.images.colour._STRIP_PIXELS", 5000)
    assert distance(pixels_of(data, spec), whole) < 2
    assert load_rgb(data, min_edge=100)[0].size == (167, 111)
    assert np.array_equal(np.asarray(load_rgb(data)[0]), np.asarray(full))


def png_claiming(width: int, height: int) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        check = zlib.crc32(name + body)
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


def gif_claiming(width: int, height: int) -> bytes:
    size = struct.pack("<HH", width, height)
    image = b"\x2c" + bytes(4) + size + b"\0\2\2D\1\0;"
    return b"GIF89a" + size + b"\x80\0\0" + bytes(6) + image


@pytest.mark.parametrize(
    "data",
    [
        png_claiming(100_000, 100_000),
        png_claiming(12_000, 9_000),
        gif_claiming(60_000, 60_000),
        b"P6 40000 40000 255\n" + bytes(100),
        b"P7\nWIDTH 40000\nHEIGHT 40000\nDEPTH 3\nMAXVAL 255\nENDHDR\n" + bytes(100),
        b"BM" + struct.pack("<IIIIiiHHIIiiII", 54, 0, 54, 40, 50_000, 50_000, 1, 24, *[0] * 6),
    ],
    ids=["png", "png-108-mp", "gif", "ppm", "pam", "bmp"],
)
def test_a_bomb_is_refused_by_its_header(data):
    with pytest.raises(ImageError) as caught:
        decode(data, [ImageSpec(224, 224)])
    assert caught.value.reason == Reason.TOO_LARGE
    assert any(char.isdigit() for char in caught.value.detail)


def with_jpeg_size(data: bytes, width: int, height: int) -> bytes:
    """The JPEG with another size in its header."""
    at = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2"))
    return data[: at + 5] + struct.pack(">HH", height, width) + data[at + 9 :]


def test_the_header_of_a_jpeg_may_claim_more_as_it_is_shrunk(encoded, scene):
    data = encoded(scene(640, 480), "JPEG")
    tight = Limits(max_pixels=100_000)
    assert decode(data, [ImageSpec(32, 32)], tight).metadata.width == 640
    with pytest.raises(ImageError) as caught:
        decode(data, [ImageSpec(224, 224)], tight)  # needs 448: nothing to shrink
    assert caught.value.reason == Reason.TOO_LARGE
    with pytest.raises(ImageError) as caught:
        decode(with_jpeg_size(data, 65_000, 65_000), [ImageSpec(32, 32)])
    assert caught.value.reason == Reason.TOO_LARGE


def test_a_huge_progressive_jpeg_is_refused_for_its_coefficients(encoded, scene):
    data = encoded(scene(640, 480), "JPEG", progressive=True, subsampling=0)
    with pytest.raises(ImageError) as caught:
        decode(with_jpeg_size(data, 20_000, 20_000), [ImageSpec(32, 32)])
    assert caught.value.reason == Reason.TOO_LARGE
    assert "2400 MB" in caught.value.detail


def test_pixel_byte_and_memory_limits_are_ours(encoded, scene):
    data = encoded(scene(), "PNG")
    for limits in (
        Limits(max_pixels=96 * 64 - 1),
        Limits(max_bytes=10),
        Limits(max_memory_bytes=9),
    ):
        with pytest.raises(ImageError) as caught:
            decode(data, [], limits)
        assert caught.value.reason == Reason.TOO_LARGE
    assert decode(data, [], Limits(max_pixels=96 * 64)).frames
    before = Image.MAX_IMAGE_PIXELS
    decode(data, [])
    assert before == Image.MAX_IMAGE_PIXELS


def test_a_large_picture_pillow_would_warn_of_gives_no_warning(encoded, scene, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert decode(encoded(scene(), "PNG"), []).warnings == ()


# --- broken files --------------------------------------------------------------------------------

CUTTABLE = ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "JPEG2000", "AVIF", "HEIC"]


@pytest.mark.parametrize("part", [0.4, 0.7, 0.95])
@pytest.mark.parametrize("format_name", CUTTABLE)
def test_a_cut_off_file_is_truncated_not_half_grey(encoded, scene, format_name, part):
    image = scene(320, 240)
    data = heic(image) if format_name == "HEIC" else encoded(image, format_name)
    with pytest.raises(ImageError) as caught:
        decode(data[: int(len(data) * part)], [ImageSpec(32, 32)])
    assert caught.value.reason == Reason.TRUNCATED, caught.value.detail
    assert any(char.isdigit() for char in caught.value.detail)


def test_a_progressive_jpeg_cut_between_scans_is_truncated(encoded, scene):
    data = encoded(scene(320, 240), "JPEG", progressive=True)
    with pytest.raises(ImageError) as caught:
        decode(data[: len(data) * 2 // 3], [])
    assert caught.value.reason == Reason.TRUNCATED


def test_a_jpeg_whose_end_is_zeros_is_truncated(encoded, scene):
    data = encoded(scene(320, 240), "JPEG")
    half = len(data) // 2
    with pytest.raises(ImageError) as caught:
        decode(data[:half] + bytes(max(4096, half)), [])
    assert caught.value.reason == Reason.TRUNCATED


def test_bytes_after_the_end_do_no_harm(encoded, scene):
    for format_name in ("JPEG", "PNG", "GIF", "WEBP", "TIFF"):
        data = encoded(scene(), format_name) + b"appended by some program" * 9
        assert decode(data, []).metadata.width == 96, format_name


def test_damaged_pixels_are_corrupt(encoded, scene):
    data = bytearray(encoded(scene(320, 240), "PNG"))
    middle = data.index(b"IDAT") + 500
    data[middle : middle + 40] = bytes(40)
    with pytest.raises(ImageError) as caught:
        decode(bytes(data), [])
    assert caught.value.reason == Reason.CORRUPT


def test_an_unknown_variant_is_unsupported(encoded, scene):
    data = bytearray(encoded(scene(), "BMP"))
    data[28:30] = struct.pack("<H", 48)  # bits a pixel
    with pytest.raises(ImageError) as caught:
        decode(bytes(data), [])
    assert caught.value.reason == Reason.UNSUPPORTED


def test_running_out_of_memory_is_said(encoded, scene, monkeypatch):
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("pictor.library.images.stills.to_srgb", fail)
    with pytest.raises(ImageError) as caught:
        decode(encoded(scene(), "BMP"), [])
    assert caught.value.reason == Reason.OUT_OF_MEMORY


def test_paths_are_read_where_they_lie(encoded, scene, tmp_path):
    path = tmp_path / "bad\udcffname.jpg"
    path.write_bytes(encoded(scene(), "PNG"))
    assert decode(path, []).metadata.format == "PNG"
    for missing, reason in ((tmp_path / "gone.jpg", Reason.VANISHED), (tmp_path, Reason.IO_ERROR)):
        with pytest.raises(ImageError) as caught:
            decode(missing, [])
        assert caught.value.reason == reason


# --- thumbnails ----------------------------------------------------------------------------------


def test_a_thumbnail_is_an_upright_jpeg_without_metadata(encoded, scene):
    data = turned_file(encoded, scene(600, 400), 6, "JPEG")
    with Image.open(io.BytesIO(thumbnail(data, 120))) as small:
        assert (small.format, small.size) == ("JPEG", (120, 80))
        assert not small.getexif() and "icc_profile" not in small.info


def test_a_thumbnail_is_never_enlarged(encoded, scene):
    with Image.open(io.BytesIO(thumbnail(encoded(scene(), "PNG"), 500))) as small:
        assert small.size == (96, 64)
