"""Tags: the sets they come from, the vectors a pass scores, and who bears which."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    delete,
    func,
    or_,
    select,
    update,
)

from pictor.library.catalog.files import chunked, insert_rows, now, rows_in
from pictor.library.catalog.schema import BACKGROUND, CONTENT, FILE, ITEM, TAG, TAG_SET, VECTOR
from pictor.library.catalog.spaces import LITTLE_FLOAT16
from pictor.library.errors import LibraryCorrupt, QueryError, quoted
from pictor.library.records import HalfMatrix, IdArray, JsonObject

#: The one set of tags that people gave, and its kind.
PERSON = "person"
LABELS = "labels"
#: Items read at once: 4,096 rows of scores of 1,000 labels are 16 MB.
BLOCK = 4096
#: Between the parts of a person's tag that stands under another: "places|Vienna".
PATH_MARK = "|"


class TagSetRow(NamedTuple):
    """A set of tags as stored; `labels` is a list of {"label", "names", "parent", "threshold"}."""

    id: int
    name: str
    kind: str
    space_id: int | None
    version: str
    labels: list[JsonObject]
    templates: list[str]
    change: int
    tagged_at: str


class TagRow(NamedTuple):
    """One tag of a content; `score` is None for a person's."""

    content_id: int
    set_id: int
    label: str
    score: float | None


class TagCount(NamedTuple):
    """How many contents that lie somewhere bear a label of a set."""

    set_name: str
    kind: str
    label: str
    contents: int


class ItemBlock(NamedTuple):
    """Items of whole contents, in order of content.

    Attributes:
        content_ids: (n,) ascending, one for each item.
        vectors: (n, d) float16.
        background: (n,) float32, how well the background bank explains each.
    """

    content_ids: IdArray
    vectors: HalfMatrix
    background: NDArray[np.float32]


# --- sets


def tag_sets(connection: Connection) -> list[TagSetRow]:
    """Every set, by name."""
    query = select(*TAG_SET.c[TagSetRow._fields]).order_by(TAG_SET.c.name)
    return [TagSetRow._make(row) for row in connection.execute(query)]


def tag_set(connection: Connection, name: str) -> TagSetRow | None:
    """The set of a name."""
    return next((row for row in tag_sets(connection) if row.name == name), None)


def write_set(connection: Connection, name: str, **values: Any) -> int:
    """Add a set, or change the one of that name; its id. `values` are columns of `tag_set`."""
    held = tag_set(connection, name)
    values["tagged_at"] = now()
    if held is not None:
        connection.execute(update(TAG_SET).where(TAG_SET.c.id == held.id).values(**values))
        return held.id
    return insert_rows(connection, TAG_SET, [values | {"name": name}])


# --- what a pass reads


def item_blocks(
    connection: Connection, space_id: int, dimension: int, after_change: int = -1
) -> Iterator[ItemBlock]:
    """Items of a space that have a background, by content, in blocks that cut no content in two.

    Args:
        after_change: only contents with a vector of a later change, with all their items.

    Raises:
        LibraryCorrupt: a stored vector has not `dimension` values.
    """
    changed = None
    if after_change >= 0:
        changed = select(ITEM.c.content_id).join(VECTOR, VECTOR.c.item_id == ITEM.c.id)
        changed = changed.where(VECTOR.c.space_id == space_id, VECTOR.c.change > after_change)
    last = -1
    while True:
        where = [ITEM.c.content_id > last]
        if changed is not None:
            where.append(ITEM.c.content_id.in_(changed))
        rows = _rows(connection, space_id, and_(*where), BLOCK)
        if len(rows) == BLOCK and rows[0][0] != rows[-1][0]:  # the last content may go on
            end = rows[-1][0]
            rows = [row for row in rows if row[0] != end]
        elif len(rows) == BLOCK:  # a content of so many items comes alone
            rows = _rows(connection, space_id, ITEM.c.content_id == rows[0][0])
        if not rows:
            return
        last = rows[-1][0]
        scored = [row for row in rows if row[1] is not None and row[2] is not None]
        if scored:
            yield _block(scored, space_id, dimension)


def _rows(
    connection: Connection, space_id: int, where: ColumnElement[bool], limit: int | None = None
) -> Sequence[Any]:  # Any: rows of (content id, vector, background), None where there is none
    """Items in order of content and position.

    They are chosen before anything is joined to them: else SQLite sorts all that follow, each time.
    """
    chosen = select(ITEM.c.id, ITEM.c.content_id, ITEM.c.position).where(where)
    page = chosen.order_by(ITEM.c.content_id, ITEM.c.position).limit(limit).subquery()
    vector = and_(VECTOR.c.space_id == space_id, VECTOR.c.item_id == page.c.id)
    stored = and_(BACKGROUND.c.space_id == space_id, BACKGROUND.c.item_id == page.c.id)
    query = select(page.c.content_id, VECTOR.c.data, BACKGROUND.c.value)
    query = query.select_from(page.outerjoin(VECTOR, vector).outerjoin(BACKGROUND, stored))
    return connection.execute(query.order_by(page.c.content_id, page.c.position)).fetchall()


def _block(rows: Sequence[Any], space_id: int, dimension: int) -> ItemBlock:
    data = b"".join(row[1] for row in rows)
    size = dimension * LITTLE_FLOAT16.itemsize
    if len(data) != len(rows) * size or any(len(row[1]) != size for row in rows):
        raise LibraryCorrupt(
            f"a vector in space {space_id} has not the {size} bytes it must; see: pictor verify"
        )
    ids = np.fromiter((row[0] for row in rows), dtype=np.int64, count=len(rows))
    vectors = np.frombuffer(data, dtype=LITTLE_FLOAT16).reshape(len(rows), dimension)
    values = np.fromiter((row[2] for row in rows), dtype=np.float32, count=len(rows))
    return ItemBlock(ids, vectors.astype(np.float16, copy=False), values)


# --- tags


def add_tags(
    connection: Connection, set_id: int, tags: Sequence[tuple[int, str, float | None]]
) -> None:
    """Write (content id, label, score) of tags that are not there yet."""
    rows = [
        {"set_id": set_id, "content_id": content_id, "label": label, "score": score}
        for content_id, label, score in tags
    ]
    insert_rows(connection, TAG, rows)


def clear_tags(
    connection: Connection,
    set_id: int,
    content_ids: Sequence[int] | None = None,
    label: str | None = None,
) -> int:
    """Forget the tags of a set: all, or those of some contents, or of one label; how many."""
    where = [TAG.c.set_id == set_id]
    if label is not None:
        where.append(TAG.c.label == label)
    if content_ids is None:
        return int(connection.execute(delete(TAG).where(*where)).rowcount)
    gone = 0
    for chunk in chunked(content_ids):
        gone += connection.execute(delete(TAG).where(*where, TAG.c.content_id.in_(chunk))).rowcount
    return gone


def tags_of(connection: Connection, content_ids: Sequence[int]) -> list[TagRow]:
    """The tags of some contents, by content, set and label."""
    columns = (TAG.c.content_id, TAG.c.set_id, TAG.c.label, TAG.c.score)
    query = select(*columns).order_by(*columns[:3])
    rows = rows_in(connection, query, TAG.c.content_id, sorted(content_ids))
    return [TagRow._make(row) for row in rows]


def indexed_contents(connection: Connection, after_id: int, limit: int) -> list[int]:
    """Ids above `after_id` of contents that are indexed, ascending."""
    query = select(CONTENT.c.id).where(CONTENT.c.outcome == "indexed", CONTENT.c.id > after_id)
    return list(connection.scalars(query.order_by(CONTENT.c.id).limit(limit)))


def counts(connection: Connection) -> list[TagCount]:
    """Contents a label, of those that lie somewhere: by set, then the most first."""
    there = select(FILE.c.id).where(
        FILE.c.content_id == TAG.c.content_id, FILE.c.missing_since.is_(None)
    )
    number = func.count().label("number")
    query = (
        select(TAG_SET.c.name, TAG_SET.c.kind, TAG.c.label, number)
        .join(TAG_SET, TAG_SET.c.id == TAG.c.set_id)
        .where(there.exists())
        .group_by(TAG_SET.c.name, TAG_SET.c.kind, TAG.c.label)
        .order_by(TAG_SET.c.name, number.desc(), TAG.c.label)
    )
    return [TagCount(*row) for row in connection.execute(query)]


def count_tags(connection: Connection, set_id: int) -> tuple[int, int]:
    """(tags, contents that bear one) of a set."""
    columns = (func.count(), func.count(TAG.c.content_id.distinct()))
    row = connection.execute(select(*columns).where(TAG.c.set_id == set_id)).one()
    return int(row[0]), int(row[1])


# --- as conditions on contents


def contents_with(connection: Connection, name: str) -> ColumnElement[bool]:
    """The condition "bears a tag of this name" on CONTENT, in any language and letter case.

    A label above others is found by its own name, since contents bear it with those under it. A
    person's tag is found by each part of its path.

    Raises:
        QueryError: no set and no person knows the name.
    """
    wanted = name.strip().casefold()
    cases: list[ColumnElement[bool]] = []
    known: set[str] = set()
    for row in tag_sets(connection):
        labels = _names(connection, row)
        known.update(*labels.values())
        called = sorted(label for label, names in labels.items() if wanted in names)
        if called:
            cases.append(and_(TAG.c.set_id == row.id, TAG.c.label.in_(called)))
    if not cases:
        raise QueryError(f"no tag {quoted(name)}{_hint(wanted, known)}")
    return CONTENT.c.id.in_(select(TAG.c.content_id).where(or_(*cases)))


def contents_of_set(connection: Connection, name: str) -> ColumnElement[bool]:
    """The condition "bears a tag of this set" on CONTENT, whatever the letter case.

    Raises:
        QueryError: no such set was applied.
    """
    wanted = name.strip().casefold()
    names = {row.id: row.name.casefold() for row in tag_sets(connection)}
    ids = [at for at, known in names.items() if known == wanted]
    if not ids:
        raise QueryError(f"no label set {quoted(name)} was applied{_hint(wanted, names.values())}")
    return CONTENT.c.id.in_(select(TAG.c.content_id).where(TAG.c.set_id.in_(ids)))


def _names(connection: Connection, row: TagSetRow) -> dict[str, set[str]]:
    """Label → its names in lower case; of a person's the whole path and its parts."""
    if row.kind == PERSON:
        given = connection.scalars(select(TAG.c.label).where(TAG.c.set_id == row.id).distinct())
        return {label: {label.casefold(), *label.casefold().split(PATH_MARK)} for label in given}
    names = {one["label"]: one.get("names", {}).values() for one in row.labels}
    return {
        label: {name.casefold() for name in (label, *chain.from_iterable(groups))}
        for label, groups in names.items()
    }


def _hint(wanted: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches

    names = sorted(known)
    near = get_close_matches(wanted, names, n=3)
    if near:
        return f"; did you mean {' or '.join(map(repr, sorted(near)))}?"
    return "" if names else ": nothing is tagged yet"
