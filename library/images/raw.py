"""Camera RAW through LibRaw (extra `raw`): the camera's own preview where it is large enough.

The preview is what the photographer saw, and takes a hundredth of the time of developing the sensor
data. It is used where it shows the whole picture at the size that is needed.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

from PIL import Image

from pictor.library.errors import ImageError
from pictor.library.images.exif import exif_facts
from pictor.library.images.limits import Limits, check_bytes, check_memory, check_pixels
from pictor.library.images.metadata import merge
from pictor.library.images.picture import Picture, upright
from pictor.library.images.source import MediaFile
from pictor.library.images.stills import load_still
from pictor.library.records import Metadata, Reason

_ORIENTATIONS = {0: 1, 3: 3, 5: 8, 6: 6}  # of LibRaw's flip, as in EXIF
_ASPECT_TOLERANCE = 0.05  # a preview cut to 16:9 does not show the whole picture
# LibRaw keeps the sensor values (2 bytes), 4 channels of 16 bits and the 8-bit result.
_FULL_BYTES_PER_PIXEL, _HALF_BYTES_PER_PIXEL = 17, 6
_TIFF_LIKE = {b"IIRO": b"II*\0", b"IIRS": b"II*\0", b"IIU\0": b"II*\0", b"MMOR": b"MM\0*"}


class _Shape(NamedTuple):
    size: tuple[int, int]  # as displayed
    orientation: int


def load_raw(
    source: MediaFile, min_edge: int, limits: Limits
) -> Iterator[tuple[Metadata, Picture]]:
    """The picture of a RAW file, and what the file says.

    Raises:
        ImageError: EXTRA_MISSING without rawpy, or what is wrong with the file.
    """
    try:
        import rawpy
    except ImportError as error:
        detail = f"{source.media.name} files need LibRaw; run: pip install 'pictor-search[raw]'"
        raise ImageError(Reason.EXTRA_MISSING, detail) from error
    check_bytes(source.size_bytes, limits, f"the {source.media.name}")
    with source.open() as file:
        try:
            raw = rawpy.imread(file)
        except rawpy.LibRawFileUnsupportedError as error:
            detail = f"LibRaw {rawpy.libraw_version} does not know this {source.media.name}"
            raise ImageError(Reason.UNSUPPORTED, detail) from error
    with raw:
        shape = _shape(raw, limits, source.media.name)
        preview = _preview(raw, rawpy, limits, shape, min_edge)
        facts = _facts(source, raw)
        metadata = merge(source.media.name, shape.orientation, facts)
        if preview is not None:
            said, picture = preview
            yield _filled(metadata, said), Picture(picture.image, shape.size)
            return
        yield metadata, Picture(_develop(raw, shape, min_edge, limits), shape.size)


def _shape(raw: Any, limits: Limits, name: str) -> _Shape:  # rawpy has no type stubs
    sizes = raw.sizes
    what = f"the {name}"
    check_pixels(sizes.raw_width, sizes.raw_height, limits.max_header_pixels, what)
    check_pixels(sizes.width, sizes.height, limits.max_header_pixels, what)
    orientation = _ORIENTATIONS.get(sizes.flip, 1)
    is_turned = orientation >= 5
    size = (sizes.height, sizes.width) if is_turned else (sizes.width, sizes.height)
    return _Shape(size, orientation)


def _preview(
    raw: Any, rawpy: Any, limits: Limits, shape: _Shape, min_edge: int
) -> tuple[Metadata, Picture] | None:
    """The embedded JPEG, upright, if it is whole and large enough; None if anything is wrong."""
    try:
        thumb = raw.extract_thumb()
        if thumb.format != rawpy.ThumbFormat.JPEG:
            return None
        metadata, picture = load_still(MediaFile(bytes(thumb.data)), min_edge, limits)
    except (rawpy.LibRawError, ImageError, OSError, ValueError, SyntaxError):
        return None
    image, (width, height) = picture.image, picture.full_size
    # A preview is stored as the sensor lies, unless it is turned or states its own orientation.
    is_turned = (width > height) == (shape.size[0] > shape.size[1])
    if metadata.orientation == 1 and (not is_turned or shape.orientation == 3):
        image = upright(image, shape.orientation)
        width, height = (height, width) if shape.orientation >= 5 else (width, height)
    need = min(min_edge or max(shape.size), round(0.9 * min(shape.size)))
    aspect = (width / height) / (shape.size[0] / shape.size[1])
    if min(width, height) < need or abs(aspect - 1) > _ASPECT_TOLERANCE:
        return None
    return metadata, Picture(image, (width, height))


def _develop(raw: Any, shape: _Shape, min_edge: int, limits: Limits) -> Image.Image:
    """The sensor data, white-balanced; at half size where that is enough or memory is short."""
    count = shape.size[0] * shape.size[1]
    is_enough = bool(min_edge) and min(shape.size) // 2 >= min_edge
    is_half = is_enough or _FULL_BYTES_PER_PIXEL * count > limits.max_memory_bytes
    if is_half:
        check_memory(_HALF_BYTES_PER_PIXEL * count, limits, "the RAW picture")
    pixels = raw.postprocess(half_size=is_half, use_camera_wb=True, output_bps=8)
    image: Image.Image = Image.fromarray(pixels)
    return image.convert("RGB")


def _facts(source: MediaFile, raw: Any) -> Metadata:
    """EXIF where the file is a kind of TIFF, else what LibRaw found."""
    exif = Image.Exif()
    facts = Metadata()
    try:
        with source.open() as file:
            start = file.read(4)
            file.seek(0)
            if start in _TIFF_LIKE:
                exif.load(_TIFF_LIKE[start] + file.read()[4:])
                facts = exif_facts(exif)
            elif start in (b"II*\0", b"MM\0*"):
                exif.load_from_fp(file)
                facts = exif_facts(exif)  # it still reads the file
    except Exception as error:  # the EXIF reader raises nearly anything
        warnings.warn(f"EXIF metadata is broken: {error}", stacklevel=2)
    return facts if facts.taken_at or facts.camera else replace(facts, taken_at=_taken_at(raw))


def _taken_at(raw: Any) -> str | None:
    """LibRaw turns the camera's local time into seconds by this machine's zone; undo that."""
    moment = getattr(getattr(raw, "other", None), "timestamp", None)
    if isinstance(moment, datetime):
        moment = moment.timestamp()
    if not isinstance(moment, int | float) or moment <= 0:
        return None
    return datetime.fromtimestamp(moment).replace(microsecond=0).isoformat()


def _filled(metadata: Metadata, preview: Metadata) -> Metadata:
    """What the RAW says, completed by what its preview says (RAF and CR3 keep their EXIF there)."""
    names = (
        *("taken_at", "camera", "lens", "latitude", "longitude", "altitude_m", "rating"),
        *("keywords", "title", "description"),
    )
    missing = {n: getattr(preview, n) for n in names if getattr(metadata, n) in (None, "", ())}
    if metadata.camera is None and preview.taken_at:
        missing["taken_at"] = preview.taken_at
    return replace(metadata, **missing)
