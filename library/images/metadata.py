"""What a still image says of itself: EXIF, XMP, IPTC and PNG texts brought together.

Nothing here raises on broken metadata: it warns, and the picture is indexed all the same.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from itertools import chain

from PIL import Image, IptcImagePlugin
from PIL.ExifTags import Base

from pictor.library.images.exif import Facts, exif_facts
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


def merge(format_name: str, orientation: int, exif: Facts, *others: Facts) -> Metadata:
    """One record; EXIF is believed first of what a camera writes, the others of what people write.

    Keywords are those of all.
    """
    by_camera, by_people = (exif, *others), (*others, exif)
    keywords = chain.from_iterable(facts.keywords for facts in by_people)
    # The three parts of a position belong together.
    place = next((facts for facts in by_camera if facts.latitude is not None), exif)
    return Metadata(
        format=format_name,
        orientation=orientation,
        taken_at=next((f.taken_at for f in by_camera if f.taken_at), None),
        camera=next((f.camera for f in by_camera if f.camera), None),
        lens=next((f.lens for f in by_camera if f.lens), None),
        latitude=place.latitude,
        longitude=place.longitude,
        altitude_m=place.altitude_m,
        rating=next((f.rating for f in by_people if f.rating is not None), None),
        keywords=clean_keywords(list(keywords)),
        title=next((f.title for f in by_people if f.title), None),
        description=next((f.description for f in by_people if f.description), None),
    )


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


def _attempt(kind: str, read: Callable[[], Facts]) -> Facts:
    """The facts, or none and a warning: parsers of hostile data raise nearly anything."""
    try:
        return read()
    except Exception as error:
        warnings.warn(f"{kind} metadata is broken: {type(error).__name__}: {error}", stacklevel=2)
        return Facts()


def _xmp(image: Image.Image) -> Facts:
    packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    if not packet and hasattr(image, "tag_v2"):
        packet = image.tag_v2.get(_XMP_TAG)
    return xmp_facts(packet) if isinstance(packet, bytes | str) else Facts()


def _iptc(image: Image.Image) -> Facts:
    has_iptc = "photoshop" in image.info or hasattr(image, "tag_v2")
    records = IptcImagePlugin.getiptcinfo(image) if has_iptc else None  # type: ignore[arg-type]  # only ImageFiles have those
    return iptc_facts(records) if records else Facts()


def _png_texts(image: Image.Image) -> Facts:
    """The keywords that the PNG specification names (tEXt, zTXt, iTXt)."""
    if image.format != "PNG":
        return Facts()
    texts = image.info
    return Facts(
        taken_at=parse_date(texts.get("Creation Time")),
        title=clean(texts.get("Title")),
        description=clean(texts.get("Description"), MAX_TEXT_CHARS),
    )
