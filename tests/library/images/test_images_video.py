from __future__ import annotations

import io
import struct
import sys

import numpy as np
import pytest
from PIL import Image

from pictor.library.errors import ImageError
from pictor.library.images import Limits, decode, load_rgb, thumbnail
from pictor.library.records import ImageSpec, Reason

av = pytest.importorskip("av")

SPEC = ImageSpec(16, 16, resample="box")
RATE = 10


def brightness(index: int, count: int) -> int:
    return 20 + 210 * index // count


def video(
    container: str = "mp4",
    codec: str = "mpeg4",
    count: int = 40,
    gop: int = 10,
    rate: int = RATE,
    **tags: str,
) -> bytes:
    """A video that brightens evenly, with a white bar along its left side."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        output.metadata.update(tags)
        stream = output.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.gop_size = gop
        for index in range(count):
            grey = np.full((64, 96, 3), brightness(index, count), np.uint8)
            grey[:, :8] = 255
            output.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
        output.mux(stream.encode(None))
    return file.getvalue()


def middle(frame) -> int:
    return int(frame.pixels[0][8, 8].mean())


@pytest.mark.parametrize(
    ("container", "codec", "name"),
    [
        ("mp4", "mpeg4", "MP4"),
        ("mp4", "h264", "MP4"),
        ("mov", "mpeg4", "MOV"),
        ("matroska", "mpeg4", "MKV"),
        ("webm", "libvpx", "WEBM"),
        ("avi", "mpeg4", "AVI"),
        ("mpegts", "mpeg2video", "MPEG-TS"),
    ],
)
def test_frames_are_spread_over_the_length(container, codec, name):
    rate = 25 if codec == "mpeg2video" else RATE  # the least MPEG-2 allows is 23.976
    data = video(container, codec, 4 * rate, rate=rate)
    decoded = decode(data, [SPEC], Limits(frames=4))
    assert decoded.metadata.format == name
    assert (decoded.metadata.width, decoded.metadata.height) == (96, 64)
    times = [frame.time_s for frame in decoded.frames]
    length = decoded.metadata.duration_s
    assert len(times) == 4 and length is not None
    for number, time in enumerate(times):
        assert length * number / 4 - 0.11 <= time <= length * (number + 1) / 4, times
    for frame in decoded.frames:
        index = round(frame.time_s * rate)
        assert abs(middle(frame) - brightness(index, round(length * rate))) < 16


def test_distant_key_frames_do_not_repeat_a_frame():
    decoded = decode(video(gop=1000), [SPEC], Limits(frames=8))
    times = [frame.time_s for frame in decoded.frames]
    assert len(times) == len(set(times)) == 8 and times == sorted(times)


def test_a_video_shorter_than_the_frames_asked_for():
    decoded = decode(video(count=3), [SPEC], Limits(frames=8))
    assert [frame.time_s for frame in decoded.frames] == [0.0, 0.1, 0.2]


def turned_clockwise(data: bytes) -> bytes:
    """The MP4 with a track matrix as phones write it for a portrait video."""
    at = data.index(b"tkhd") + 4 + 40
    matrix = struct.pack(">9i", 0, 0x10000, 0, -0x10000, 0, 0, 64 << 16, 0, 0x40000000)
    return data[:at] + matrix + data[at + 36 :]


def test_the_rotation_of_a_phone_video_is_applied():
    decoded = decode(turned_clockwise(video()), [SPEC])
    assert (decoded.metadata.width, decoded.metadata.height) == (64, 96)
    # A quarter turn clockwise brings the white bar from the left to the top.
    pixels = decoded.frames[0].pixels[0]
    assert pixels[0].mean() > 200 and pixels[-1].mean() < 100 and pixels[:, 0].mean() < 150


def test_the_tags_of_a_video_are_read():
    data = video("mov", creation_time="2019-08-07T06:05:04.000000Z", title="At sea")
    metadata = decode(data, []).metadata
    assert metadata.taken_at == "2019-08-07T06:05:04+00:00"
    assert metadata.title == "At sea"
    assert metadata.duration_s == 4.0
    tagged = video("matroska", location="+48.8577+002.2950+035/", make="Acme", model="Acme One")
    metadata = decode(tagged, []).metadata
    assert (metadata.latitude, metadata.longitude, metadata.altitude_m) == (48.8577, 2.295, 35.0)
    assert metadata.camera == "Acme One"


def test_a_picture_and_a_thumbnail_of_a_given_moment(tmp_path):
    path = tmp_path / "video.bin"
    path.write_bytes(video())
    image, metadata, _ = load_rgb(path, time_s=3.0)
    assert metadata.duration_s == 4.0
    assert abs(int(np.asarray(image)[32, 60].mean()) - brightness(30, 40)) < 12
    with Image.open(io.BytesIO(thumbnail(path, 48, time_s=3.0))) as small:
        assert small.size == (48, 32)


def test_a_passed_deadline_ends_the_work():
    with pytest.raises(ImageError) as caught:
        decode(video(), [SPEC], deadline_s=-1)
    assert caught.value.reason == Reason.TIMEOUT


def test_a_cut_off_mp4_is_truncated():
    data = video(count=40)
    with pytest.raises(ImageError) as caught:
        decode(data[: len(data) // 2], [SPEC])
    assert caught.value.reason == Reason.TRUNCATED


def test_damaged_video_fails_cleanly_or_gives_frames():
    data = bytearray(video("matroska"))
    random = np.random.default_rng(3)
    for _ in range(20):
        broken = bytearray(data)
        for at in random.integers(64, len(data), 60):
            broken[at] = random.integers(256)
        try:
            assert decode(bytes(broken), [SPEC]).frames
        except ImageError as error:
            assert error.detail


def test_too_large_frames_are_refused():
    with pytest.raises(ImageError) as caught:
        decode(video(), [SPEC], Limits(max_pixels=1000))
    assert caught.value.reason == Reason.TOO_LARGE


def test_sound_alone_is_no_media():
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as output:
        stream = output.add_stream("pcm_s16le", rate=8000)
        silence = np.zeros((1, 8000), np.int16)
        frame = av.AudioFrame.from_ndarray(silence, format="s16", layout="mono")
        frame.sample_rate = 8000
        output.mux(stream.encode(frame))
    with pytest.raises(ImageError) as caught:
        decode(file.getvalue(), [SPEC])
    assert caught.value.reason == Reason.NOT_MEDIA


def test_without_pyav_the_extra_is_named(monkeypatch):
    data = video()
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ImageError, match=r"pictor-search\[video\]") as caught:
        decode(data, [SPEC])
    assert caught.value.reason == Reason.EXTRA_MISSING
