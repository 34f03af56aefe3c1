"""Videos through FFmpeg (extra `video`): frames spread over the length, and the container's tags.

FFmpeg reads from a file object with a fixed demuxer, so that no file can make it open another one
or a network address.
"""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image

from pictor.library.errors import ImageError
from pictor.library.images.faults import check_complete
from pictor.library.images.limits import Limits, check_pixels
from pictor.library.images.metadata import merge
from pictor.library.images.picture import Picture, even_times
from pictor.library.images.source import MediaFile
from pictor.library.images.text import MAX_TEXT_CHARS, camera_name, clean, parse_date
from pictor.library.records import Metadata, Reason

_SEEK_AHEAD_S = 3.0  # nearer frames are reached by decoding on, which is cheaper than a seek
_SLACK_S = 0.001  # time stamps are rounded
_ISO_6709 = re.compile(r"([+-]\d+(?:\.\d+)?)([+-]\d+(?:\.\d+)?)([+-]\d+(?:\.\d+)?)?")
_APPLE = "com.apple.quicktime."
_TURNS = {
    90: Image.Transpose.ROTATE_90,
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_270,
}


def load_video(
    source: MediaFile, limits: Limits, deadline: float, time_s: float | None = None
) -> Iterator[tuple[Metadata, Picture]]:
    """Up to `limits.frames` frames evenly over the length, in order.

    Args:
        deadline: of `time.monotonic()`; when it passes, the frames found so far are all.
        time_s: give the frame at this time only.

    Raises:
        ImageError: EXTRA_MISSING without PyAV, or what is wrong with the file.
    """
    try:
        import av
    except ImportError as error:
        detail = f"{source.media.name} files need FFmpeg; run: pip install 'pictor-search[video]'"
        raise ImageError(Reason.EXTRA_MISSING, detail) from error
    check_complete(source)
    with (
        source.open() as file,
        av.open(file, format=source.media.decoder[0], metadata_errors="replace") as container,
    ):
        streams = container.streams.video
        covers = [s for s in streams if s.disposition & type(s.disposition).attached_pic]
        stream = next((s for s in streams if s not in covers), None)
        if stream is None:
            raise ImageError(Reason.NOT_MEDIA, f"the {source.media.name} has no moving picture")
        stream.codec_context.thread_count = 1  # as many processes as cores decode at once
        check_pixels(stream.width, stream.height, limits.max_pixels, "the video")
        reader = _Reader(container, stream, deadline)
        length_s = reader.length_s()
        tags = {**stream.metadata, **container.metadata}
        facts = _facts({name.lower(): value for name, value in tags.items()})
        metadata = replace(
            merge(source.media.name, 1, facts),
            duration_s=round(length_s, 3) if length_s else None,
        )
        moments = [time_s] if time_s is not None else even_times(length_s, limits.frames)
        if not length_s and time_s is None:
            moments = [0.0]
        for picture in reader.pictures(moments):
            check_pixels(*picture.image.size, limits.max_pixels, "a frame of the video")
            yield metadata, picture


@dataclass
class _Reader:
    """Walks one video stream forwards."""

    container: Any
    stream: Any
    deadline: float

    def length_s(self) -> float:
        """By the container or the stream, else by reading through all packets; 0 if unknown."""
        if self.container.duration:
            return float(self.container.duration / 1_000_000)
        if self.stream.duration:
            return float(self.stream.duration * self.stream.time_base)
        last = 0.0
        for packet in self.container.demux(self.stream):
            if packet.pts is not None:
                last = max(last, float(packet.pts * packet.time_base) - self.start_s)
            if time.monotonic() > self.deadline:
                break
        self.container.seek(0)
        return last

    @property
    def start_s(self) -> float:
        """The time stamp of the first frame, which is often not 0."""
        return float((self.stream.start_time or 0) * self.stream.time_base)

    def pictures(self, moments: list[float]) -> Iterator[Picture]:
        """One picture for each moment, without repeating a frame.

        Raises:
            ImageError: CORRUPT or TIMEOUT where there is not even one.
        """
        spacing = moments[1] - moments[0] if len(moments) > 1 else 0.0
        shown, here = -1.0, -1.0
        frames: Iterator[Any] = iter(())
        for number, moment in enumerate(moments):
            if number == 0 or moment - here > _SEEK_AHEAD_S:
                frames = self._seek(moment)
            # A key frame in the same part of the video will do: what follows costs decoding.
            frame = self._next(frames, moment - spacing / 2 - _SLACK_S, moment, shown)
            if frame is None:
                break
            shown = here = frame.time - self.start_s
            yield _picture(frame, self.stream, shown)
        if shown < 0:
            is_late = time.monotonic() > self.deadline
            reason = Reason.TIMEOUT if is_late else Reason.CORRUPT
            raise ImageError(reason, "no frame of the video could be decoded")

    def _seek(self, moment: float) -> Iterator[Any]:
        with suppress(OSError, ValueError):  # not seekable: read on from the start
            offset = int((moment + self.start_s) / self.stream.time_base)
            self.container.seek(offset, stream=self.stream)
        return iter(self.container.decode(self.stream))

    def _next(self, frames: Iterator[Any], key_s: float, moment: float, shown: float) -> Any:
        """The first key frame from `key_s`, or any frame from `moment`, that was not shown yet.

        At the end of the video its last frame, if that is new; None where there is none.
        """
        last = None
        while True:
            if time.monotonic() > self.deadline:
                warnings.warn("time ran out before all frames were decoded", stacklevel=2)
                return last
            try:
                frame = next(frames, None)
            except (OSError, ValueError) as error:  # all errors of PyAV are one of these
                warnings.warn(f"the video is damaged: {error}", stacklevel=2)
                return last
            if frame is None:
                return last
            if frame.time is None or frame.is_corrupt or frame.time - self.start_s <= shown:
                continue
            last = frame
            now = frame.time - self.start_s
            if now >= moment or (frame.key_frame and now >= key_s):
                return frame


def _picture(frame: Any, stream: Any, time_s: float) -> Picture:
    """The frame upright and with square pixels."""
    image: Image.Image = frame.to_image()
    ratio = stream.sample_aspect_ratio
    if ratio and ratio != 1 and 0.2 < ratio < 5:
        image = image.resize((max(1, round(image.width * ratio)), image.height))
    turn = _TURNS.get(round(frame.rotation) % 360)
    if turn is not None:
        image = image.transpose(turn)
    return Picture(image, image.size, round(max(0.0, time_s), 3))


def _facts(tags: dict[str, str]) -> Metadata:
    """The tags of MP4, QuickTime and Matroska (which shouts), by lower-case names."""
    # Apple's own date has the local time and its offset; creation_time is in UTC.
    taken_at = parse_date(tags.get(_APPLE + "creationdate")) or parse_date(
        tags.get("creation_time") or tags.get("date")
    )
    if taken_at and taken_at < "1971":
        taken_at = None  # the epoch of MP4 (1904) or of the clock: it was not set
    latitude = longitude = altitude_m = None
    place = _ISO_6709.match(tags.get(_APPLE + "location.iso6709") or tags.get("location") or "")
    if place and abs(float(place[1])) <= 90 and abs(float(place[2])) <= 180:
        latitude, longitude = float(place[1]), float(place[2])
        altitude_m = float(place[3]) if place[3] else None
    return Metadata(
        taken_at=taken_at,
        camera=camera_name(
            tags.get(_APPLE + "make") or tags.get("make"),
            tags.get(_APPLE + "model") or tags.get("model"),
        ),
        latitude=latitude,
        longitude=longitude,
        altitude_m=altitude_m,
        title=clean(tags.get("title")),
        description=clean(tags.get("description") or tags.get("comment"), MAX_TEXT_CHARS),
    )
