"""Spaces and their vectors: what caches are built from and kept in step with."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from sqlalchemy import Connection, func, insert, select, update

from library.catalog.files import next_id
from library.catalog.rows import SpaceRow
from library.catalog.schema import Content, File, Item, RemovedVector, Root, Space, Vector
from library.records import EncoderCard, HalfMatrix, IdArray

#: Vectors read at once: 8,192 × 1,152 float16 is 19 MB.
BLOCK = 8192
LITTLE_FLOAT16 = np.dtype("<f2")


def spaces(connection: Connection) -> list[SpaceRow]:
    """Every space, the default one first."""
    columns = (Space.id, Space.encoder, Space.fingerprint, Space.card, Space.dimension)
    query = select(*columns, Space.state, Space.is_default, Space.last_change)
    rows = connection.execute(query.order_by(Space.is_default.desc(), Space.id))
    return [SpaceRow(r[0], r[1], r[2], EncoderCard.from_json(r[3]), *r[4:]) for r in rows]


def add_space(connection: Connection, card: EncoderCard, *, default: bool) -> int:
    """A new space in state "building"; its id."""
    space_id = next_id(connection, Space)
    facts = {"encoder": card.id, "fingerprint": card.fingerprint, "dimension": card.dimension}
    connection.execute(
        insert(Space).values(
            id=space_id,
            card=card.to_json(),
            state="building",
            is_default=default,
            last_change=0,
            **facts,
        )
    )
    return space_id


def set_state(connection: Connection, space_id: int, state: str) -> None:
    """Mark a space "building" or "ready"."""
    connection.execute(update(Space).where(Space.id == space_id).values(state=state))


def set_default(connection: Connection, space_id: int) -> None:
    """Make one space the one that answers when none is named."""
    connection.execute(update(Space).values(is_default=Space.id == space_id))


def count_vectors(connection: Connection, space_id: int) -> int:
    """Vectors in a space."""
    query = select(func.count()).select_from(Vector).where(Vector.space_id == space_id)
    return int(connection.scalar(query) or 0)


def count_items(connection: Connection) -> int:
    """Items of the library."""
    return int(connection.scalar(select(func.count()).select_from(Item)) or 0)


def count_contents(connection: Connection) -> int:
    """Contents that are indexed."""
    query = select(func.count()).select_from(Content).where(Content.outcome == "indexed")
    return int(connection.scalar(query) or 0)


def vector_blocks(
    connection: Connection, space_id: int, dimension: int, after_change: int = -1
) -> Iterator[tuple[IdArray, HalfMatrix]]:
    """Item ids and vectors of a space, of changes above `after_change`, in blocks.

    Yields:
        (n,) int64 and (n, d) float16 with n ≤ BLOCK, ascending by row id.
    """
    last = 0
    while True:
        query = select(Vector.id, Vector.item_id, Vector.data).where(Vector.space_id == space_id)
        if after_change >= 0:
            query = query.where(Vector.change > after_change)
        query = query.where(Vector.id > last).order_by(Vector.id).limit(BLOCK)
        rows = connection.execute(query).all()
        if not rows:
            return
        last = rows[-1][0]
        data = np.frombuffer(b"".join(row[2] for row in rows), dtype=LITTLE_FLOAT16)
        ids = np.fromiter((row[1] for row in rows), dtype=np.int64, count=len(rows))
        yield ids, data.reshape(len(rows), dimension).astype(np.float16, copy=False)


def vectors_of(
    connection: Connection, space_id: int, dimension: int, item_ids: list[int]
) -> dict[int, HalfMatrix]:
    """The stored vectors of some items, each (d,) float16."""
    query = select(Vector.item_id, Vector.data).where(Vector.space_id == space_id)
    rows = connection.execute(query.where(Vector.item_id.in_(item_ids)))
    return {item_id: np.frombuffer(data, dtype=LITTLE_FLOAT16) for item_id, data in rows}


def removed_since(connection: Connection, space_id: int, after_change: int) -> IdArray:
    """Item ids whose vectors left a space after `after_change`."""
    query = select(RemovedVector.item_id).where(
        RemovedVector.space_id == space_id, RemovedVector.change > after_change
    )
    return np.array(connection.scalars(query).all(), dtype=np.int64)


def next_change(connection: Connection, space_id: int) -> int:
    """Count one more transaction that touches a space's vectors; its number."""
    value = Space.last_change + 1
    connection.execute(update(Space).where(Space.id == space_id).values(last_change=value))
    return int(connection.scalar(select(Space.last_change).where(Space.id == space_id)) or 0)


def count_lacking(connection: Connection, space_id: int) -> int:
    """Items without a vector in a space, of contents that lie where they can be read."""
    there = select(Vector.id).where(Vector.space_id == space_id, Vector.item_id == Item.id).exists()
    placed = (
        select(File.id)
        .join(Root, Root.id == File.root_id)
        .where(File.content_id == Item.content_id, File.missing_since.is_(None))
        .where(Root.state == "reachable")
        .exists()
    )
    query = select(func.count()).select_from(Item).where(~there, placed)
    return int(connection.scalar(query) or 0)
