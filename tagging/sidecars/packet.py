"""One XMP packet: tags put in and taken out; everything else stays as it is.

Tags stand where other programs look for them: flat in `dc:subject` (all of them), with what is
above them in `lr:hierarchicalSubject` ("animal|dog"; Lightroom, immich) and `digiKam:TagsList`
("animal/dog"; digiKam, immich). What pictor itself put in stands once more in a property of its
own, so that it can take out again what does not hold any more, and nothing else.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any, NamedTuple
from xml.dom import Node
from xml.dom.minidom import Document, Element, Text
from xml.parsers.expat import ExpatError
from xml.sax.saxutils import escape, quoteattr

import defusedxml.minidom
from defusedxml.common import DefusedXmlException

from pictor.library.errors import SidecarError

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
DC = "http://purl.org/dc/elements/1.1/"
LIGHTROOM = "http://ns.adobe.com/lightroom/1.0/"
DIGIKAM = "http://www.digikam.org/ns/1.0/"
PICTOR = "urn:pictor:xmp/1.0/"
XMLNS = "http://www.w3.org/2000/xmlns/"
MAX_BYTES = 4_000_000  # larger ones hold pictures or an editor's history of years
MAX_DEPTH = 100  # real packets have ten levels
_ROOTS = frozenset({"xmpmeta", "xapmeta", "RDF"})
#: As the XMP specification, part 1, section 7.3.2, writes it; `begin` holds a byte order mark.
_FRESH = f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="pictor"><rdf:RDF xmlns:rdf="{RDF}">
<rdf:Description rdf:about=""/>
</rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>
"""


class PacketEntry(NamedTuple):
    """A tag as it is written: its set, and its names from the uppermost label down to itself."""

    set_name: str
    path: tuple[str, ...]

    @property
    def record(self) -> str:
        """In pictor's own property."""
        return "|".join((self.set_name, *self.path))


class _Kind(NamedTuple):
    """A property that lists tags."""

    namespace: str
    prefix: str
    name: str
    array: str


_SUBJECT = _Kind(DC, "dc", "subject", "Bag")
_HIERARCHY = _Kind(LIGHTROOM, "lr", "hierarchicalSubject", "Bag")
_TAGS_LIST = _Kind(DIGIKAM, "digiKam", "TagsList", "Seq")
_RECORDS = _Kind(PICTOR, "pictor", "Tags", "Bag")


class Merged(NamedTuple):
    """A packet brought up to date.

    Attributes:
        data: UTF-8; None where nothing changed.
        added, removed: names of tags.
    """

    data: bytes | None
    added: tuple[str, ...]
    removed: tuple[str, ...]


def merge(
    old: bytes | None,
    entries: Collection[PacketEntry],
    sets: Collection[str],
    *,
    may_remove: bool = True,
) -> Merged:
    """A packet with these tags.

    Args:
        old: the packet as it is; None for a new one.
        entries: the tags of the sets that are written.
        sets: their names. What pictor put in for one of them and is not in `entries` goes.
        may_remove: False leaves that in.

    Raises:
        SidecarError: the old packet is no XMP, or not one that can be trusted.
    """
    packet = _Packet(_parse(old) if old is not None else _parse(_FRESH.encode()))
    known = packet.texts(_RECORDS)
    wanted = {entry.record: entry for entry in sorted(entries)}
    gone = [
        _entry(record)
        for record in known
        if record not in wanted and record.partition("|")[0] in sets and may_remove
    ]
    added = [entry for entry in wanted.values() if _put(packet, entry)]
    kept = {record for record in known if _entry(record) not in gone} | set(wanted)
    staying = {form for record in kept for form in _forms(_entry(record))}
    for entry in gone:
        for kind, text in {(_RECORDS, entry.record), *_forms(entry)} - staying:
            packet.remove(kind, text)
    if not added and not gone:
        return Merged(None, (), ())
    names = tuple(entry.path[-1] for entry in added), tuple(entry.path[-1] for entry in gone)
    return Merged(packet.data(), *names)


def _forms(entry: PacketEntry) -> list[tuple[_Kind, str]]:
    """What a tag is written as for other programs: its name first."""
    tags_list = "/".join(part.replace("/", "-") for part in entry.path)
    hierarchy = "|".join(entry.path)
    return [(_SUBJECT, entry.path[-1]), (_HIERARCHY, hierarchy), (_TAGS_LIST, tags_list)]


def _put(packet: _Packet, entry: PacketEntry) -> bool:
    """Write a tag where it is lacking; whether it was.

    It is recorded as pictor's where its name was not there before: else it is somebody's own.
    """
    added = [packet.add(kind, text) for kind, text in _forms(entry)]
    if added[0]:
        packet.add(_RECORDS, entry.record)
    return any(added)


def _entry(record: str) -> PacketEntry:
    set_name, _, path = record.partition("|")
    return PacketEntry(set_name, tuple(path.split("|")))


class _Packet:
    """A parsed packet and its lists of texts."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._rdf = _rdf_of(document)

    def texts(self, kind: _Kind) -> list[str]:
        """The items of a property."""
        return [_text(item) for item in self._items(kind)]

    def add(self, kind: _Kind, text: str) -> bool:
        """Append an item unless it is there; whether it was not."""
        if text in self.texts(kind):
            return False
        array = self._array(kind)
        item = self._document.createElementNS(RDF, f"{array.prefix}:li" if array.prefix else "li")
        item.appendChild(self._document.createTextNode(text))
        array.appendChild(item)
        return True

    def remove(self, kind: _Kind, text: str) -> None:
        """Drop the items with this text."""
        for item in self._items(kind):
            if _text(item) == text and item.parentNode is not None:
                item.parentNode.removeChild(item)

    def data(self) -> bytes:
        """The packet in UTF-8."""
        out = [_written(child) for child in self._document.childNodes]
        return ("\n".join(out) + "\n").encode("utf-8")

    def _items(self, kind: _Kind) -> list[Element]:
        found = self._property(kind)
        if found is None:
            return []
        return [li for array in _children(found) for li in _children(array) if li.localName == "li"]

    def _property(self, kind: _Kind) -> Element | None:
        found = (child for description in _children(self._rdf) for child in _children(description))
        return _first(found, kind.namespace, kind.name)

    def _array(self, kind: _Kind) -> Element:
        """The list of a property, made where there is none; a bare text becomes its first item."""
        found = self._property(kind)
        if found is None:
            found = self._document.createElementNS(kind.namespace, f"{kind.prefix}:{kind.name}")
            found.setAttributeNS(XMLNS, f"xmlns:{kind.prefix}", kind.namespace)
            self._description().appendChild(found)
        array = next(iter(_children(found)), None)
        if array is not None:
            return array
        bare = _text(found).strip()
        for child in list(found.childNodes):
            found.removeChild(child)
        array = self._document.createElementNS(RDF, f"rdf:{kind.array}")
        array.setAttributeNS(XMLNS, "xmlns:rdf", RDF)
        found.appendChild(array)
        if bare:
            self.add(kind, bare)
        return array

    def _description(self) -> Element:
        there = _first(_children(self._rdf), RDF, "Description")
        if there is not None:
            return there
        made = self._document.createElementNS(RDF, "rdf:Description")
        made.setAttributeNS(XMLNS, "xmlns:rdf", RDF)
        made.setAttributeNS(RDF, "rdf:about", "")
        self._rdf.appendChild(made)
        return made


# --- reading


def _parse(data: bytes) -> Document:
    if len(data) > MAX_BYTES:
        raise SidecarError(f"it has {len(data):,} bytes; at most {MAX_BYTES:,} are read")
    try:
        document: Document = defusedxml.minidom.parseString(
            data,  # type: ignore[arg-type]  # the stub says str; bytes may have any encoding
            forbid_dtd=True,
        )
    except DefusedXmlException as error:
        raise SidecarError("it declares a document type or entities, which no XMP needs") from error
    except (ExpatError, ValueError, LookupError) as error:
        raise SidecarError(f"it is no XML: {error}") from error
    _check_depth(document)
    return document


def _check_depth(document: Document) -> None:
    level: list[Any] = [document]  # Any: every kind of node
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in node.childNodes]
        if not level:
            return
    raise SidecarError(f"its elements are nested more than {MAX_DEPTH} deep")


def _rdf_of(document: Document) -> Element:
    root = document.documentElement
    is_known = root is not None and root.localName in _ROOTS
    found = _first((root, *_children(root)), RDF, "RDF") if root is not None and is_known else None
    if found is None:
        raise SidecarError("it is XML, but no XMP: it has no rdf:RDF")
    return found


def _first(elements: Iterable[Element], namespace: str, name: str) -> Element | None:
    """The first of some elements that has a name."""
    return next((e for e in elements if (e.namespaceURI, e.localName) == (namespace, name)), None)


def _children(element: Element) -> Iterator[Element]:
    yield from (child for child in element.childNodes if isinstance(child, Element))


def _text(element: Element) -> str:
    return "".join(child.data for child in element.childNodes if isinstance(child, Text))


# --- writing


def _written(node: Node) -> str:
    """A node as XML. minidom's own writer loses line ends in attributes (Python 3.11)."""
    if not isinstance(node, Element):
        if isinstance(node, Text) and node.nodeType == Node.TEXT_NODE:
            return escape(node.data, {"\r": "&#13;"})
        return str(node.toxml())  # type: ignore[attr-defined]  # every kind of node has it
    attributes = "".join(f" {one.name}={quoteattr(one.value)}" for one in node.attributes.values())
    inside = "".join(_written(child) for child in node.childNodes)
    if not inside:
        return f"<{node.tagName}{attributes}/>"
    return f"<{node.tagName}{attributes}>{inside}</{node.tagName}>"
