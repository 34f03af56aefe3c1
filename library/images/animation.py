"""Animated GIF, PNG and WebP: which frames stand for the whole, and their pixels.

The delays are read from the structure of the file, without decoding, so that frames can be chosen
over the length before the first is decoded.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate
from typing import NamedTuple

from pictor.library.errors import ImageError
from pictor.library.images.colour import to_srgb
from pictor.library.images.limits import Limits, check_pixels
from pictor.library.images.metadata import orientation_of
from pictor.library.images.picture import Picture, displayed_size, even_times, upright
from pictor.library.images.sniff import GIF, PNG, WEBP, MediaType
from pictor.library.images.source import MediaFile
from pictor.library.images.stills import header_limit, opened
from pictor.library.records import Reason

_BROWSER_DELAY_S = 0.1  # what browsers make of a delay of 0 (and of 10 ms in a GIF)
_GIF_SHORTEST_S = 0.011


class Timeline(NamedTuple):
    """Of the frames of an animation.

    Attributes:
        starts: seconds at which each frame appears.
        length_s: when the last one ends.
        first: the index Pillow gives the first; a PNG may have a cover picture before it.
    """

    starts: tuple[float, ...]
    length_s: float
    first: int = 0


def timeline(data: bytes, media: MediaType) -> Timeline | None:
    """When the frames of an animation appear, or None for a still."""
    first = 0
    if media == GIF:
        delays = [d if d >= _GIF_SHORTEST_S else _BROWSER_DELAY_S for d in _gif_delays(data)]
    elif media == PNG:
        found = _png_delays(data)
        delays = [delay or _BROWSER_DELAY_S for delay, _ in found]
        first = found[0][1] if found else 0
    elif media == WEBP:
        delays = [delay or _BROWSER_DELAY_S for delay in _webp_delays(data)]
    else:
        return None
    if len(delays) < 2:
        return None
    ends = list(accumulate(delays))
    return Timeline((0.0, *ends[:-1]), ends[-1], first)


def choose(times: Timeline, count: int) -> list[int]:
    """The frames that stand for an animation: all, or those shown at evenly spread moments."""
    if len(times.starts) <= count:
        return list(range(len(times.starts)))
    moments = even_times(times.length_s, count)
    return sorted({bisect_right(times.starts, moment) - 1 for moment in moments})


def frame_at(times: Timeline, time_s: float) -> int:
    """The frame shown at `time_s`, with leeway for a time that was stored rounded."""
    return max(0, bisect_right(times.starts, time_s + 0.001) - 1)


def load_frames(
    source: MediaFile, times: Timeline, chosen: list[int], min_edge: int, limits: Limits
) -> Iterator[Picture]:
    """The chosen frames, in order. A broken or missing one raises: half an animation is none."""
    with opened(source, limits) as image:
        orientation = orientation_of(image)
        for index in chosen:
            _seek(image, index + times.first)
            check_pixels(*image.size, header_limit(source, limits), f"frame {index}")
            image.load()
            rgb = upright(to_srgb(image, min_edge), orientation)
            size = displayed_size(image.size, orientation)
            yield Picture(rgb, size, round(times.starts[index], 3))


def _seek(image: object, frame: int) -> None:
    try:
        image.seek(frame)  # type: ignore[attr-defined]  # a Pillow image
    except EOFError as error:
        raise ImageError(Reason.TRUNCATED, f"frame {frame} of the animation is missing") from error


def _gif_delays(data: bytes) -> list[float]:
    """Seconds of each frame (GIF89a specification, section 17 to 26)."""
    delays: list[float] = []
    position = 13 + _gif_table_bytes(data[10] if len(data) > 10 else 0)
    delay = 0.0
    while position + 10 < len(data):
        if data[position] == 0x21:  # extension
            if data[position + 1] == 0xF9:
                delay = int.from_bytes(data[position + 4 : position + 6], "little") / 100
            position += 2
        elif data[position] == 0x2C:  # image
            delays.append(delay)
            delay = 0.0
            position += 11 + _gif_table_bytes(data[position + 9])
        else:
            break
        while position < len(data) and data[position]:  # sub-blocks, each with its length
            position += 1 + data[position]
        position += 1
    return delays


def _gif_table_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _png_delays(data: bytes) -> list[tuple[float, int]]:
    """Seconds of each frame, and whether (1 or 0) a cover picture comes before it.

    Without an acTL chunk before the pixels there is no animation (PNG, third edition).
    """
    delays: list[tuple[float, int]] = []
    position, promised, has_pixels = 8, 0, False
    while position + 8 <= len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        name, body = data[position + 4 : position + 8], position + 8
        if name == b"acTL" and not has_pixels:
            promised = int.from_bytes(data[body : body + 4], "big")
        elif name == b"fcTL" and len(delays) < promised:
            parts = int.from_bytes(data[body + 20 : body + 22], "big")
            unit = int.from_bytes(data[body + 22 : body + 24], "big") or 100
            cover = int(has_pixels) if not delays else delays[0][1]
            delays.append((parts / unit, cover))
        elif name == b"IDAT":
            has_pixels = True
            if not promised:
                return []
        position = body + length + 4
    return delays


def _webp_delays(data: bytes) -> list[float]:
    """Seconds of each frame (WebP container specification, ANMF)."""
    delays: list[float] = []
    position = 12
    while position + 24 <= len(data):
        length = int.from_bytes(data[position + 4 : position + 8], "little")
        if data[position : position + 4] == b"ANMF":
            delays.append(int.from_bytes(data[position + 20 : position + 23], "little") / 1000)
        position += 8 + length + length % 2
    return delays
