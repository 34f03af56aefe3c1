"""The one door for pixels: any file to the pixels of encoders, a picture, or a thumbnail."""

from __future__ import annotations

import io
import math
import time
import warnings
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from PIL import Image

from pictor.library.errors import ImageError
from pictor.library.images import fingerprint
from pictor.library.images.animation import choose, frame_at, load_frames, timeline
from pictor.library.images.faults import as_image_error, is_cut_off
from pictor.library.images.limits import Limits, check_bytes
from pictor.library.images.metadata import read_metadata
from pictor.library.images.native import quiet_decoding
from pictor.library.images.picture import Picture
from pictor.library.images.prepare import prepare
from pictor.library.images.raw import load_raw
from pictor.library.images.sniff import GIF, PNG, WEBP
from pictor.library.images.source import MediaFile
from pictor.library.images.stills import header_limit, load_still, opened
from pictor.library.images.video import load_video
from pictor.library.records import Decoded, Frame, ImageSpec, Metadata, PixelArray, Reason

_DEFAULT_LIMITS = Limits()
_THUMBNAIL_QUALITY = 85  # of JPEG; below, flat colours show blocks


def decode(
    data: bytes | Path,
    specs: Sequence[ImageSpec],
    limits: Limits = _DEFAULT_LIMITS,
    name_hint: bytes = b"",
    *,
    deadline_s: float = math.inf,
    with_hashes: bool = False,
) -> Decoded:
    """All items of one file, each with the pixels of every spec; the file is decoded once.

    A still gives one frame without a time. A video or animation gives up to `limits.frames` frames,
    spread evenly over its length. Pixels are upright, in sRGB, and on white where transparent.
    Safe in several threads.

    Args:
        data: the file's bytes, or its path; a path suits videos, which are then not read whole.
        specs: may be empty, for metadata only (the picture is decoded and checked all the same).
        name_hint: the file's name; tells some RAW formats from TIFF. A path needs none.
        with_hashes: also make the perceptual hashes of a still, some 0.5 ms; imports OpenCV.
        deadline_s: seconds after which no further frame of a video is decoded. Checked between
            frames only; a hard limit needs a process that can be killed.

    Raises:
        ImageError: the file gives no picture; its `reason` says why.
    """
    min_edge = max((spec.draft_edge for spec in specs), default=1)
    frames: list[Frame] = []
    metadata = Metadata()
    hashes: bytes | None = None
    if with_hashes:
        min_edge = max(min_edge, fingerprint.DRAFT_EDGE_PX)
    source = MediaFile(data, name_hint)
    with quiet_decoding(header_limit(source, limits)) as heard:
        try:
            with closing(_pictures(source, min_edge, limits, deadline_s)) as pictures:
                for said, picture in pictures:
                    metadata = said
                    frames.append(_frame(len(frames), picture, specs))
                    if with_hashes:  # of a still; none of a moment of something that moves
                        is_still = picture.time_s is None
                        hashes = fingerprint.fingerprint(picture.image) if is_still else b""
        except Exception as error:
            # The one boundary per file: decoders raise nearly anything on hostile data.
            raise as_image_error(error, source, heard) from error
    if not frames:
        raise ImageError(Reason.CORRUPT, f"the {source.media.name} has no picture")
    width, height = frames[0].width, frames[0].height
    metadata = replace(metadata, width=width, height=height)
    return Decoded(metadata, tuple(frames), tuple(heard), hashes)


def load_rgb(
    data: bytes | Path,
    limits: Limits = _DEFAULT_LIMITS,
    min_edge: int = 0,
    name_hint: bytes = b"",
    *,
    time_s: float | None = None,
) -> tuple[Image.Image, Metadata, tuple[str, ...]]:
    """One picture (mode RGB, upright, sRGB, on white), its metadata, and warnings.

    Args:
        min_edge: large pictures may be shrunk as long as the short side keeps so many pixels;
            0 keeps the full size. `Metadata.width` and `height` are the full size either way.
        time_s: of a video or animation, the frame shown then; None is one from its middle.

    Raises:
        ImageError: as `decode`.
    """
    source = MediaFile(data, name_hint)
    one = replace(limits, frames=1)
    with quiet_decoding(header_limit(source, limits)) as heard:
        try:
            with closing(_pictures(source, min_edge, one, math.inf, time_s)) as pictures:
                found = next(pictures, None)
                if found is None:
                    raise ImageError(Reason.CORRUPT, f"the {source.media.name} has no picture")
                metadata, picture = found
                # Pillow loads lazily; nothing may be left for after the file is closed.
                image = picture.image.copy()
        except Exception as error:
            raise as_image_error(error, source, heard) from error
    width, height = picture.full_size
    return image, replace(metadata, width=width, height=height), tuple(heard)


def thumbnail(
    data: bytes | Path,
    edge_px: int,
    limits: Limits = _DEFAULT_LIMITS,
    name_hint: bytes = b"",
    *,
    time_s: float | None = None,
) -> bytes:
    """A JPEG whose long side is at most `edge_px`, upright and without any metadata.

    Pictures are never enlarged.

    Raises:
        ImageError: as `decode`.
    """
    image, _, _ = load_rgb(data, limits, min_edge=edge_px, name_hint=name_hint, time_s=time_s)
    image.thumbnail((edge_px, edge_px), Image.Resampling.LANCZOS, reducing_gap=2.0)
    image.info.clear()
    file = io.BytesIO()
    image.save(file, "JPEG", quality=_THUMBNAIL_QUALITY, optimize=True)
    return file.getvalue()


def _pictures(
    source: MediaFile,
    min_edge: int,
    limits: Limits,
    deadline_s: float,
    time_s: float | None = None,
) -> Generator[tuple[Metadata, Picture]]:
    """Every picture of the file, each with the metadata of the file."""
    media = source.media
    if media.kind == "raw":
        yield from load_raw(source, min_edge, limits)
    elif media.kind == "video":
        yield from load_video(source, limits, time.monotonic() + deadline_s, time_s)
    elif media in (GIF, PNG, WEBP):
        yield from _still_or_animation(source, min_edge, limits, time_s)
    else:
        yield load_still(source, min_edge, limits)


def _still_or_animation(
    source: MediaFile, min_edge: int, limits: Limits, time_s: float | None
) -> Generator[tuple[Metadata, Picture]]:
    check_bytes(source.size_bytes, limits, f"the {source.media.name}")
    times = timeline(source.read(), source.media)
    if times is None:
        yield load_still(source, min_edge, limits)
        return
    with opened(source, limits) as image:
        metadata = read_metadata(image, source.media.name)
    metadata = replace(metadata, duration_s=round(times.length_s, 3))
    chosen = choose(times, limits.frames) if time_s is None else [frame_at(times, time_s)]
    found = 0
    try:
        for picture in load_frames(source, times, chosen, min_edge, limits):
            found += 1
            yield metadata, picture
    except SyntaxError as error:
        # What Pillow raises for chunks of an APNG in the wrong order. The PNG specification wants
        # the default image to be shown then, unless the file is just not all there.
        if is_cut_off(source):
            raise
        warnings.warn(f"the animation is broken: {error}", stacklevel=1)
        if not found:
            yield load_still(source, min_edge, limits)


def _frame(position: int, picture: Picture, specs: Sequence[ImageSpec]) -> Frame:
    """The pixels of each spec; specs that differ only in normalisation share them."""
    made: dict[tuple[object, ...], PixelArray] = {}
    for spec in specs:
        if spec.pixels_key not in made:
            made[spec.pixels_key] = prepare(picture.image, spec, picture.full_size)
    width, height = picture.full_size
    pixels = tuple(made[spec.pixels_key] for spec in specs)
    return Frame(position, picture.time_s, width, height, pixels)
