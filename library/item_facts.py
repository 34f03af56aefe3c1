"""All that a library knows of some items, by their ids."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection

from pictor.library.catalog import contents, decisions, files, items, members, pairs, tags
from pictor.library.catalog.filter_sql import ANIMATED, items_of
from pictor.library.catalog.filters import Kind as MediaKind
from pictor.library.catalog.rows import FilePlace, ItemRow
from pictor.library.errors import QueryError
from pictor.library.pairs import DUPLICATES, Kind, Verdict
from pictor.library.records import Caption, Metadata
from pictor.library.store import Store

#: Items before and after one in time.
NEIGHBOURS = 3
Choice = Literal["not-duplicate", "related", "keep-this", "keep-other"]
#: What a verdict says to the content whose hash comes first, and to the other.
_CHOICES: dict[Verdict, tuple[Choice, Choice]] = {
    Verdict.NOT_DUPLICATE: ("not-duplicate", "not-duplicate"),
    Verdict.RELATED: ("related", "related"),
    Verdict.KEEP_LOW: ("keep-this", "keep-other"),
    Verdict.KEEP_HIGH: ("keep-other", "keep-this"),
}


@dataclass(frozen=True)
class ItemFile:
    """A file that has an item's content.

    Attributes:
        path: absolute, as the bytes of the file system.
        state: "present", "unreachable" or "missing".
        root: the path of what was indexed.
        size_bytes, mtime_ns: when it was last indexed; of a member, as its archive states them.
    """

    path: bytes
    state: str
    root: bytes
    size_bytes: int
    mtime_ns: int


@dataclass(frozen=True)
class ItemTag:
    """A tag: of which set, and its score from 0 to 1; None of one that a person gave."""

    set_name: str
    label: str
    score: float | None


@dataclass(frozen=True)
class ItemDecision:
    """What a person decided of this content and another, whose hash is `content`, in hex."""

    content: str
    choice: Choice
    decided_at: str


@dataclass(frozen=True)
class ItemDuplicate:
    """Another content that a comparison found to be the same picture.

    Attributes:
        item: its first item.
        content: its hash, in hex.
        kind: "pixels" or "near".
        confidence: 0 to 1, that the kind is right.
    """

    item: int
    content: str
    kind: Kind
    confidence: float


@dataclass(frozen=True)
class ItemFacts:
    """One item: a still, or a moment of a video or animation.

    Attributes:
        content: hash of the whole file, in hex; the facts below `time_s` are the content's.
        kind: "image", "animation" or "video".
        width, height: of the item in pixels, as displayed.
        time_s: seconds into a video or animation; None for a still.
        size_bytes: of a file.
        files: those that can be read first.
        duplicates: contents that were compared with it and are the same picture, unless a person
            said otherwise; nothing is compared for it.
        earlier, later: first items of what was taken right before and after, the nearest first.
    """

    id: int
    content: str
    kind: MediaKind
    width: int
    height: int
    time_s: float | None
    size_bytes: int
    files: tuple[ItemFile, ...]
    metadata: Metadata
    tags: tuple[ItemTag, ...]
    captions: tuple[Caption, ...]
    decisions: tuple[ItemDecision, ...]
    duplicates: tuple[ItemDuplicate, ...]
    earlier: tuple[int, ...]
    later: tuple[int, ...]


def item_facts(library: Store, ids: Iterable[int], neighbours: int = NEIGHBOURS) -> list[ItemFacts]:
    """What is known of some items, in the order they are given; unknown ones are left out.

    Args:
        neighbours: at most so many items before and after each in time.

    Raises:
        QueryError: one is no whole number.
    """
    asked = list(ids)
    for one in asked:
        if type(one) is not int:  # nor bool
            raise QueryError(f"the id of an item is a whole number above 0, not {one!r:.40}")
    wanted = [one for one in asked if 0 < one < 1 << 63]
    with library.reading() as connection:
        rows = contents.items(connection, list(dict.fromkeys(wanted)))
        hashes = {row.content_id: row.hash for row in rows.values()}
        known = items.facts_of(connection, hashes)
        places = files.places(connection, list(hashes))
        labels = _tags(connection, list(hashes))
        texts = contents.captions_of(connection, list(hashes))
        chosen = _decisions(connection, hashes.values())
        copies = _duplicates(connection, hashes, chosen)
        around = items.surroundings(connection, hashes, neighbours)
        near = {one for both in around.values() for side in both for one in side}
        first = {one: found[0] for one, found in items_of(connection, sorted(near)).items()}

    def facts(row: ItemRow) -> ItemFacts:
        content, (size, metadata) = row.content_id, known[row.content_id]
        earlier, later = around.get(content, items.TimeNeighbours())
        return ItemFacts(
            id=row.id,
            content=row.hash.hex(),
            kind=_kind(row, metadata),
            width=row.width,
            height=row.height,
            time_s=row.time_s,
            size_bytes=size,
            files=tuple(_file(place) for place in places[content]),
            metadata=metadata,
            tags=tuple(labels.get(content, ())),
            captions=tuple(texts.get(content, ())),
            decisions=tuple(chosen.get(row.hash, ())),
            duplicates=tuple(copies.get(content, ())),
            earlier=tuple(first[one] for one in earlier),
            later=tuple(first[one] for one in later),
        )

    return [facts(rows[one]) for one in wanted if one in rows]


def _file(place: FilePlace) -> ItemFile:
    return ItemFile(place.full_path, place.state, place.location, place.size_bytes, place.mtime_ns)


def _kind(row: ItemRow, metadata: Metadata) -> MediaKind:
    if row.time_s is None:
        return "image"
    return "animation" if metadata.format in ANIMATED else "video"


def _tags(connection: Connection, content_ids: Sequence[int]) -> dict[int, list[ItemTag]]:
    names = {row.id: row.name for row in tags.tag_sets(connection)}
    found: dict[int, list[ItemTag]] = {}
    for tag in tags.tags_of(connection, content_ids):
        one = ItemTag(names[tag.set_id], tag.label, tag.score)
        found.setdefault(tag.content_id, []).append(one)
    return found


def _decisions(connection: Connection, hashes: Iterable[bytes]) -> dict[bytes, list[ItemDecision]]:
    found: dict[bytes, list[ItemDecision]] = {}
    for row in decisions.of_contents(connection, hashes):
        sides = ((row.low, row.high), (row.high, row.low))
        for (this, other), choice in zip(sides, _CHOICES[row.verdict], strict=True):
            one = ItemDecision(other.hex(), choice, row.decided_at)
            found.setdefault(this, []).append(one)
    return found


def _duplicates(
    connection: Connection,
    hashes: Mapping[int, bytes],
    chosen: Mapping[bytes, Sequence[ItemDecision]],
) -> dict[int, list[ItemDuplicate]]:
    """The duplicates of some contents, the surest first."""
    sides = [
        (this, other, row)
        for row in pairs.of_contents(connection, hashes, DUPLICATES)
        for this, other in ((row.low, row.high), (row.high, row.low))
        if this in hashes
    ]
    there = members.present(connection, list({other for _, other, _ in sides}))
    firsts = [found[0] for found in items_of(connection, there).values() if found]
    others = {row.content_id: row for row in contents.items(connection, firsts).values()}
    found: dict[int, list[ItemDuplicate]] = {}
    for this, other, row in sorted(sides, key=lambda side: -side[2].confidence):
        apart = {
            one.content
            for one in chosen.get(hashes[this], ())
            if one.choice in ("not-duplicate", "related")
        }
        if other in others and others[other].hash.hex() not in apart:
            item = others[other]
            one = ItemDuplicate(item.id, item.hash.hex(), row.kind, row.confidence)
            found.setdefault(this, []).append(one)
    return found
