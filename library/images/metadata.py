"""What a still image says of itself: EXIF, XMP, IPTC and PNG texts brought together.

Nothing here raises on broken metadata: it warns, and the picture is indexed all the same.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from PIL import Image, IptcImagePlugin
from PIL.ExifTags import Base

from pictor.library.images.exif import exif_facts
from pictor.library.images.text import MAX_TEXT_CHARS, clean, clean_keywords, parse_date
from pictor.library.images.xmp import iptc_facts, xmp_facts
from pictor.library.records import Metadata

_XMP_TAG = 700  # of TIFF


def read_metadata(image: Image.Image, format_name: str) -> Metadata:
    """Everything but the size, which the decoder knows best."""
    exif = _attempt("EXIF", lambda: exif_facts(image.getexif()))
    return merge(
        format_name,
        _stated_orientation(image),
        exif,
        _attempt("XMP", lambda: _xmp(image)),
        _attempt("IPTC", lambda: _iptc(image)),
        _attempt("text", lambda: _png_texts(image)),
    )


def merge(format_name: str, orientation: int, exif: Metadata, *others: Metadata) -> Metadata:
    """One record; EXIF is believed first of what a camera writes, the others of what people write.

    Keywords are those of all.
    """
    by_camera, by_people = (exif, *others), (*others, exif)
    # The three parts of a position belong together.
    place = next((facts for facts in by_camera if facts.latitude is not None), exif)
    said = {name: _first(by_camera, name) for name in ("taken_at", "camera", "lens")}
    said |= {name: _first(by_people, name) for name in ("rating", "title", "description")}
    keywords = clean_keywords([word for facts in by_people for word in facts.keywords])
    return replace(place, format=format_name, orientation=orientation, keywords=keywords, **said)


def _first(facts: Sequence[Metadata], name: str) -> Any:  # Any: what a field of that name has
    values = (getattr(one, name) for one in facts)
    return next((value for value in values if value not in (None, "")), None)


def orientation_of(image: Image.Image) -> int:
    """The EXIF orientation that remains to be applied, 1 where it is missing or makes no sense."""
    try:
        value = image.getexif().get(Base.Orientation, 1)
        return int(value) if value in range(1, 9) else 1
    except Exception:
        # Any error of the EXIF reader; `read_metadata` has warned of it.
        return 1


def _stated_orientation(image: Image.Image) -> int:
    """What the file says, also where its decoder has turned the picture upright (HEIF)."""
    stated = image.info.get("original_orientation")
    if isinstance(stated, int) and 1 <= stated <= 8:
        return stated
    return orientation_of(image)


def _attempt(kind: str, read: Callable[[], Metadata]) -> Metadata:
    """The facts, or none and a warning: parsers of hostile data raise nearly anything."""
    try:
        return read()
    except Exception as error:
        warnings.warn(f"{kind} metadata is broken: {type(error).__name__}: {error}", stacklevel=2)
        return Metadata()


def _xmp(image: Image.Image) -> Metadata:
    packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    if not packet and hasattr(image, "tag_v2"):
        packet = image.tag_v2.get(_XMP_TAG)
    return xmp_facts(packet) if isinstance(packet, bytes | str) else Metadata()


def _iptc(image: Image.Image) -> Metadata:
    has_iptc = "photoshop" in image.info or hasattr(image, "tag_v2")
    records = IptcImagePlugin.getiptcinfo(image) if has_iptc else None  # type: ignore[arg-type]  # only ImageFiles have those
    return iptc_facts(records) if records else Metadata()


def _png_texts(image: Image.Image) -> Metadata:
    """The keywords that the PNG specification names (tEXt, zTXt, iTXt)."""
    if image.format != "PNG":
        return Metadata()
    texts = image.info
    return Metadata(
        taken_at=parse_date(texts.get("Creation Time")),
        title=clean(texts.get("Title")),
        description=clean(texts.get("Description"), MAX_TEXT_CHARS),
    )
