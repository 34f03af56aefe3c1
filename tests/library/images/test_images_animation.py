from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from pictor.library.errors import ImageError
from pictor.library.images import Limits, decode, load_rgb, thumbnail
from pictor.library.records import ImageSpec, Reason

SPEC = ImageSpec(8, 8, resample="nearest")
COLOURS = [(20 * i, 255 - 20 * i, 90) for i in range(12)]


def frames(count: int) -> list[Image.Image]:
    drawn = []
    for index in range(count):
        image = Image.new("RGB", (40, 30), COLOURS[index])
        image.paste((255, 255, 255), (index * 3, 0, index * 3 + 2, 30))
        drawn.append(image)
    return drawn


def animated(encoded, format_name: str, durations_ms: list[int], **options: object) -> bytes:
    first, *others = frames(len(durations_ms))
    if format_name == "WEBP":
        options["lossless"] = True
    return encoded(
        first, format_name, save_all=True, append_images=others, duration=durations_ms, **options
    )


FORMATS = ["GIF", "PNG", "WEBP"]


def corner(frame) -> np.ndarray:
    return frame.pixels[0][4, 7].astype(int)


@pytest.mark.parametrize("format_name", FORMATS)
def test_every_frame_of_a_short_animation_is_an_item_with_its_time(encoded, format_name):
    decoded = decode(animated(encoded, format_name, [100, 250, 400]), [SPEC])
    assert [frame.time_s for frame in decoded.frames] == [0.0, 0.1, 0.35]
    assert [frame.position for frame in decoded.frames] == [0, 1, 2]
    assert decoded.metadata.duration_s == 0.75
    for frame, colour in zip(decoded.frames, COLOURS, strict=False):
        assert (frame.width, frame.height) == (40, 30)
        assert np.abs(corner(frame) - colour).max() <= 8


@pytest.mark.parametrize("format_name", FORMATS)
def test_frames_are_chosen_over_the_length_by_time(encoded, format_name):
    # The first frame stands for 8 of 9 seconds, so most moments fall on it.
    data = animated(encoded, format_name, [8000] + [100] * 10)
    decoded = decode(data, [SPEC], Limits(frames=4))
    assert [frame.time_s for frame in decoded.frames] == [0.0]
    even = animated(encoded, format_name, [100] * 12)
    decoded = decode(even, [SPEC], Limits(frames=4))
    assert [frame.time_s for frame in decoded.frames] == [0.1, 0.4, 0.7, 1.0]
    for frame, colour in zip(decoded.frames, COLOURS[1::3], strict=True):
        assert np.abs(corner(frame) - colour).max() <= 8


@pytest.mark.parametrize("format_name", FORMATS)
def test_a_single_frame_is_a_still(encoded, format_name):
    (frame,) = decode(encoded(frames(1)[0], format_name), [SPEC]).frames
    assert frame.time_s is None and frame.position == 0


def test_a_delay_of_zero_is_what_browsers_make_of_it(encoded):
    decoded = decode(animated(encoded, "GIF", [0, 0, 0]), [SPEC])
    assert [frame.time_s for frame in decoded.frames] == [0.0, 0.1, 0.2]


def test_the_cover_picture_of_a_png_is_no_frame(encoded):
    cover = Image.new("RGB", (40, 30), "black")
    data = encoded(
        cover,
        "PNG",
        save_all=True,
        append_images=frames(2),
        default_image=True,
        duration=[500, 500],
    )
    decoded = decode(data, [SPEC])
    assert [frame.time_s for frame in decoded.frames] == [0.0, 0.5]
    assert corner(decoded.frames[0]).tolist() == list(COLOURS[0])


@pytest.mark.parametrize("format_name", FORMATS)
def test_a_cut_off_animation_is_truncated(encoded, format_name):
    data = animated(encoded, format_name, [100] * 8)
    with pytest.raises(ImageError) as caught:
        decode(data[: int(len(data) * 0.6)], [SPEC])
    assert caught.value.reason == Reason.TRUNCATED


def test_transparent_frames_are_on_white(encoded):
    clear = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    dot = clear.copy()
    dot.putpixel((7, 7), (255, 0, 0, 255))
    data = encoded(clear, "GIF", save_all=True, append_images=[dot], duration=100, disposal=2)
    decoded = decode(data, [SPEC])
    assert decoded.frames[-1].pixels[0][0, 0].tolist() == [255, 255, 255]
    assert decoded.frames[-1].pixels[0][7, 7].tolist() == [255, 0, 0]


def test_a_picture_of_a_given_moment(encoded):
    data = animated(encoded, "GIF", [100] * 12)
    image, metadata, _ = load_rgb(data, time_s=0.7)
    assert np.abs(np.asarray(image)[15, 39].astype(int) - COLOURS[7]).max() <= 8
    assert metadata.duration_s == 1.2
    with Image.open(io.BytesIO(thumbnail(data, 20, time_s=0.7))) as small:
        assert small.size == (20, 15)


def test_a_broken_animation_falls_back_to_its_default_image(data_dir):
    folder = data_dir / "hostile" / "pillow" / "apng"
    decoded = decode(folder / "sequence_start.png", [])
    assert len(decoded.frames) == 1 and decoded.frames[0].time_s is None
    assert any("animation is broken" in warning for warning in decoded.warnings)
