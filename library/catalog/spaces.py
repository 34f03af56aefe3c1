"""Spaces and their vectors: what caches are built from and kept in step with."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from sqlalchemy import ColumnElement, Connection, delete, func, select, tuple_, update

from pictor.library.catalog import facts
from pictor.library.catalog.files import chunked, count_rows, insert_rows, reachable_file
from pictor.library.catalog.rows import SpaceRow
from pictor.library.catalog.schema import (
    CONTENT,
    ITEM,
    REMOVED_VECTOR,
    SPACE,
    VECTOR,
)
from pictor.library.errors import LibraryCorrupt
from pictor.library.records import EncoderCard, FloatVector, HalfMatrix, IdArray

#: Vectors read at once: 8,192 × 1,152 float16 is 19 MB.
BLOCK = 8192
LITTLE_FLOAT16 = np.dtype("<f2")
#: Changes are numbered upwards in random steps of at most this: two histories of one catalog (it
#: was restored from a backup, or its folder copied, and both went on) then share no number, and a
#: cache of one cannot pass for a cache of the other. 2^63 holds 4 billion steps.
MAX_STEP = 1 << 31
_NEXT_DEFAULT = "next_default_space"


def spaces(connection: Connection) -> list[SpaceRow]:
    """Every space, the default one first."""
    query = select(*SPACE.c[SpaceRow._fields]).order_by(SPACE.c.is_default.desc(), SPACE.c.id)
    rows = connection.execute(query).fetchall()
    return [SpaceRow._make(row)._replace(card=EncoderCard.from_json(row.card)) for row in rows]


def add_space(connection: Connection, card: EncoderCard, *, default: bool) -> int:
    """A new space in state "building"; its id."""
    row = {"encoder": card.id, "fingerprint": card.fingerprint, "dimension": card.dimension}
    row |= {"card": card.to_json(), "state": "building", "is_default": default, "last_change": 0}
    return insert_rows(connection, SPACE, [row])


def remove_space(connection: Connection, space_id: int) -> None:
    """Forget a space that has no vectors."""
    connection.execute(delete(SPACE).where(SPACE.c.id == space_id))


def set_state(connection: Connection, space_id: int, state: str) -> None:
    """Mark a space "building" or "ready"."""
    connection.execute(update(SPACE).where(SPACE.c.id == space_id).values(state=state))


def set_default(connection: Connection, space_id: int) -> None:
    """Make one space the one that answers when none is named."""
    connection.execute(update(SPACE).values(is_default=SPACE.c.id == space_id))
    facts.drop(connection, _NEXT_DEFAULT)


def plan_default(connection: Connection, space_id: int) -> None:
    """Note that a space is to become the default one once it is complete."""
    facts.put(connection, _NEXT_DEFAULT, str(space_id))


def planned_default(connection: Connection) -> int | None:
    """The space that is to become the default one, if one was named."""
    value = facts.get(connection, _NEXT_DEFAULT)
    return None if value is None else int(value)


def count_vectors(connection: Connection, space_id: int, after_change: int = -1) -> int:
    """Vectors in a space, of changes above `after_change`."""
    is_later = VECTOR.c.change > after_change
    return count_rows(connection, VECTOR, VECTOR.c.space_id == space_id, is_later)


def count_items(connection: Connection) -> int:
    """Items of the library."""
    return count_rows(connection, ITEM)


def count_contents(connection: Connection) -> int:
    """Contents that are indexed."""
    return count_rows(connection, CONTENT, CONTENT.c.outcome == "indexed")


def vector_blocks(
    connection: Connection, space_id: int, dimension: int, after_change: int = -1
) -> Iterator[tuple[IdArray, HalfMatrix]]:
    """Item ids and vectors of a space, of changes above `after_change`, in blocks.

    Each block is found where an index of the table has the one before it end: ascending by item
    where all are read, by change where later ones are.

    Yields:
        (n,) int64 and (n, d) float16 with 0 < n ≤ BLOCK.

    Raises:
        LibraryCorrupt: a stored vector has not `dimension` values.
    """
    is_whole = after_change < 0
    key = (VECTOR.c.item_id,) if is_whole else (VECTOR.c.change, VECTOR.c.id)
    query = select(VECTOR.c.item_id, VECTOR.c.data, *key).where(VECTOR.c.space_id == space_id)
    query = query.order_by(*key).limit(BLOCK)
    after: tuple[int, ...] = (0,) if is_whole else (after_change, sys.maxsize)
    while rows := connection.execute(query.where(tuple_(*key) > tuple_(*after))).fetchall():
        yield _block(rows, space_id, dimension)
        after = tuple(rows[-1][2:])


def _block(rows: Sequence[Any], space_id: int, dimension: int) -> tuple[IdArray, HalfMatrix]:
    wanted = dimension * LITTLE_FLOAT16.itemsize
    for row in rows:
        if len(row[1]) != wanted:
            raise LibraryCorrupt(
                f"the vector of item {row[0]} in space {space_id} has {len(row[1])} bytes, not "
                f"{wanted}; see: pictor verify"
            )
    data = np.frombuffer(b"".join(row[1] for row in rows), dtype=LITTLE_FLOAT16)
    ids = np.fromiter((row[0] for row in rows), dtype=np.int64, count=len(rows))
    return ids, data.reshape(len(rows), dimension).astype(np.float16, copy=False)


def vectors_of(
    connection: Connection, space_id: int, item_ids: Sequence[int]
) -> dict[int, HalfMatrix]:
    """The stored vectors of some items, each (d,) float16."""
    query = select(VECTOR.c.item_id, VECTOR.c.data).where(VECTOR.c.space_id == space_id)
    found: dict[int, HalfMatrix] = {}
    for chunk in chunked(item_ids, 10_000):
        for item_id, data in connection.execute(query.where(VECTOR.c.item_id.in_(chunk))).all():
            found[item_id] = np.frombuffer(data, dtype=LITTLE_FLOAT16)
    return found


def rows_of(
    connection: Connection, space_id: int, item_ids: Sequence[int]
) -> dict[int, FloatVector]:
    """As `vectors_of`, each (d,) float32, to compute with."""
    held = vectors_of(connection, space_id, item_ids)
    return dict(zip(held, np.array(list(held.values()), np.float32), strict=True))


def removed_since(connection: Connection, space_id: int, after_change: int) -> IdArray:
    """Item ids whose vectors left a space after `after_change`."""
    query = select(REMOVED_VECTOR.c.item_id).where(
        REMOVED_VECTOR.c.space_id == space_id, REMOVED_VECTOR.c.change > after_change
    )
    return np.array(connection.scalars(query).all(), dtype=np.int64)


def next_change(connection: Connection, space_id: int) -> int:
    """Number one more transaction that touches a space's vectors."""
    value = SPACE.c.last_change + 1 + secrets.randbelow(MAX_STEP)
    connection.execute(update(SPACE).where(SPACE.c.id == space_id).values(last_change=value))
    return last_change(connection, space_id)


def has_change(connection: Connection, space_id: int, change: int) -> bool:
    """Whether a change is known to be part of this catalog's history.

    True means it is. One whose vectors were all replaced since is not known any more: its cache is
    rebuilt for nothing, which is rare and harmless.
    """
    if change == 0:
        return True
    for table in (VECTOR, REMOVED_VECTOR):
        query = select(table.c.id).where(table.c.space_id == space_id, table.c.change == change)
        if connection.scalar(query.limit(1)) is not None:
            return True
    return False


def last_change(connection: Connection, space_id: int) -> int:
    """The number of the newest change of a space."""
    return int(connection.scalar(select(SPACE.c.last_change).where(SPACE.c.id == space_id)) or 0)


def count_misshapen(connection: Connection, space_id: int, dimension: int) -> int:
    """Stored vectors that have not `dimension` values; for `verify`."""
    has_other_size = func.length(VECTOR.c.data) != dimension * LITTLE_FLOAT16.itemsize
    return count_rows(connection, VECTOR, VECTOR.c.space_id == space_id, has_other_size)


def has_vector(space_id: int) -> ColumnElement[bool]:
    """The condition "has a vector in a space" on ITEM."""
    query = select(VECTOR.c.id).where(VECTOR.c.space_id == space_id, VECTOR.c.item_id == ITEM.c.id)
    return query.exists()


def count_lacking(connection: Connection, space_id: int) -> int:
    """Items without a vector in a space, of contents that lie where they can be read."""
    return count_rows(connection, ITEM, ~has_vector(space_id), reachable_file(ITEM.c.content_id))
