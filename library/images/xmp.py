"""What XMP and IPTC say: keywords, rating, title, description, and dates where EXIF has none."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from defusedxml import ElementTree

from pictor.library.images.exif import stars
from pictor.library.images.text import MAX_TEXT_CHARS, camera_name, clean, parse_date
from pictor.library.records import Metadata

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_DC = "{http://purl.org/dc/elements/1.1/}"
_XMP = "{http://ns.adobe.com/xap/1.0/}"
_EXIF = "{http://ns.adobe.com/exif/1.0/}"
_TIFF = "{http://ns.adobe.com/tiff/1.0/}"
_AUX = "{http://ns.adobe.com/exif/1.0/aux/}"
_EXIF_EX = "{http://cipa.jp/exif/1.0/}"
_PHOTOSHOP = "{http://ns.adobe.com/photoshop/1.0/}"
_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
_MAX_XMP_BYTES = 4_000_000  # larger packets hold embedded pictures or an editor's history

# IPTC-IIM 4.2, records 1 and 2.
_CODED_CHARACTER_SET = (1, 90)
_OBJECT_NAME, _KEYWORDS, _CAPTION = (2, 5), (2, 25), (2, 120)
_DATE_CREATED, _TIME_CREATED = (2, 55), (2, 60)
_UTF8_ESCAPE = b"\x1b%G"


def xmp_facts(packet: bytes | str) -> Metadata:
    """The facts of an XMP packet.

    Raises:
        Exception: it is no XML, or XML with entities (which is refused).
    """
    raw = packet.encode("utf-8", "replace") if isinstance(packet, str) else packet
    raw = raw.strip(b"\x00 \r\n\t\xef\xbb\xbf")
    if not raw or len(raw) > _MAX_XMP_BYTES:
        return Metadata()
    values: dict[str, list[str]] = {}
    for name, texts in _properties(ElementTree.fromstring(raw)):
        values.setdefault(name, texts)

    def first(*names: str) -> str | None:
        return next((values[name][0] for name in names if values.get(name)), None)

    dates = (_EXIF + "DateTimeOriginal", _PHOTOSHOP + "DateCreated", _XMP + "CreateDate")
    return Metadata(
        taken_at=next((date for name in dates if (date := parse_date(first(name)))), None),
        camera=camera_name(first(_TIFF + "Make"), first(_TIFF + "Model")),
        lens=clean(first(_EXIF_EX + "LensModel", _AUX + "Lens")),
        rating=stars(first(_XMP + "Rating")),
        keywords=tuple(values.get(_DC + "subject", ())),
        title=clean(first(_DC + "title", _PHOTOSHOP + "Headline")),
        description=clean(first(_DC + "description"), MAX_TEXT_CHARS),
    )


def _properties(root: Element) -> Iterator[tuple[str, list[str]]]:
    """Names and values of the top-level properties, written as attributes or as elements."""
    for description in root.iterfind(f".//{_RDF}RDF/{_RDF}Description"):
        for name, text in description.attrib.items():
            yield name, [text]
        for child in description:
            yield child.tag, _texts(child)
    if root.tag == f"{_RDF}RDF":
        for child in (grandchild for part in root for grandchild in part):
            yield child.tag, _texts(child)


def _texts(element: Element) -> list[str]:
    """The items of a bag, sequence or set of translations (the default one first), or the text."""
    items = list(element.iterfind(f"*/{_RDF}li"))
    items.sort(key=lambda item: item.get(_LANGUAGE, "x-default") != "x-default")
    texts = [item.text or "" for item in items] or [element.text or ""]
    return [text for text in texts if text.strip()]


def iptc_facts(records: Mapping[tuple[int, int], bytes | list[bytes]]) -> Metadata:
    """The facts of IPTC-IIM records as Pillow reads them."""
    is_utf8 = _values(records, _CODED_CHARACTER_SET)[:1] == [_UTF8_ESCAPE]

    def texts(key: tuple[int, int]) -> list[str | None]:
        return [
            clean(value.decode("utf-8", "replace") if is_utf8 else value, MAX_TEXT_CHARS)
            for value in _values(records, key)
        ]

    date = (texts(_DATE_CREATED) or [None])[0]
    time = (texts(_TIME_CREATED) or [None])[0]
    has_time = time is not None and re.match(r"\d{6}", time)
    return Metadata(
        taken_at=parse_date(f"{date} {time}" if has_time else date),
        keywords=tuple(filter(None, texts(_KEYWORDS))),
        title=clean((texts(_OBJECT_NAME) or [None])[0]),
        description=(texts(_CAPTION) or [None])[0],
    )


def _values(
    records: Mapping[tuple[int, int], bytes | list[bytes]], key: tuple[int, int]
) -> list[bytes]:
    value = records.get(key, [])
    return [value] if isinstance(value, bytes) else list(value)
