"""How well the background bank explains each item: one number an item and space.

A row is there only while it fits both the item's vector and the bank that its space names: what
replaces or removes a vector drops its row in the same transaction (`library/catalog/contents.py`),
and another bank drops them all. So what is lacking is what has no row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from sqlalchemy import Connection, delete, func, insert, select, update

from pictor.library.arrays import distinct
from pictor.library.catalog.files import pages, rows_in
from pictor.library.catalog.schema import BACKGROUND, SPACE, VECTOR
from pictor.library.catalog.spaces import BLOCK, LITTLE_FLOAT16, vectors_of
from pictor.library.records import DoubleVector, HalfMatrix, IdArray


def bank_of(connection: Connection, space_id: int) -> tuple[str, int]:
    """The bank that the rows of a space were made with, and the newest change that they include.

    Returns:
        ("", 0) where there are none.
    """
    query = select(SPACE.c.background_bank, SPACE.c.background_change)
    row = connection.execute(query.where(SPACE.c.id == space_id)).one()
    return str(row[0]), int(row[1])


def begin(connection: Connection, space_id: int, bank: str) -> None:
    """Drop the rows of a space and name the bank that new ones will be made with."""
    connection.execute(delete(BACKGROUND).where(BACKGROUND.c.space_id == space_id))
    values = {"background_bank": bank, "background_change": 0}
    connection.execute(update(SPACE).where(SPACE.c.id == space_id).values(**values))


def complete(connection: Connection, space_id: int, change: int) -> None:
    """Note that every vector up to a change has its row."""
    where = SPACE.c.id == space_id
    connection.execute(update(SPACE).where(where).values(background_change=change))


def lacking_blocks(
    connection: Connection, space_id: int, dimension: int, after_change: int, after_item: int = 0
) -> Iterator[tuple[IdArray, HalfMatrix]]:
    """Ids and vectors of items without a row, of changes above `after_change`, ascending by item.

    Yields:
        (n,) int64 and (n, d) float16 with n at most `BLOCK`.
    """
    there = (
        select(BACKGROUND.c.item_id)
        .where(BACKGROUND.c.space_id == space_id, BACKGROUND.c.item_id == VECTOR.c.item_id)
        .exists()
    )
    lacking = select(VECTOR.c.item_id, VECTOR.c.data).where(
        VECTOR.c.space_id == space_id, VECTOR.c.change > after_change, ~there
    )
    for rows in pages(connection, lacking, VECTOR.c.item_id, BLOCK, after_item):
        ids = np.fromiter((row[0] for row in rows), dtype=np.int64, count=len(rows))
        data = np.frombuffer(b"".join(row[1] for row in rows), dtype=LITTLE_FLOAT16)
        yield ids, data.reshape(len(rows), dimension)


def add(connection: Connection, space_id: int, item_ids: IdArray, values: DoubleVector) -> None:
    """Add rows of items that have none."""
    rows = [
        {"space_id": space_id, "item_id": item_id, "value": value}
        for item_id, value in zip(item_ids.tolist(), values.tolist(), strict=True)
    ]
    connection.execute(insert(BACKGROUND), rows)


def values_of(connection: Connection, space_id: int, item_ids: Sequence[int]) -> dict[int, float]:
    """The values of those of some items that have one."""
    query = select(BACKGROUND.c.item_id, BACKGROUND.c.value)
    query = query.where(BACKGROUND.c.space_id == space_id)
    rows = rows_in(connection, query, BACKGROUND.c.item_id, item_ids)
    return {item_id: value for item_id, value in rows}


def sample(
    connection: Connection, space_id: int, dimension: int, size: int
) -> tuple[IdArray, HalfMatrix]:
    """Ids, ascending, and (n, d) float16 vectors spread evenly over the items of a space.

    At most `size` of them: all, where there are no more. Else items are asked for at even steps
    between the lowest and the highest id, so the same catalog gives the same sample. Where ids are
    missing it is smaller, but never empty unless the space is.
    """
    where = VECTOR.c.space_id == space_id
    ends = select(func.min(VECTOR.c.item_id), func.max(VECTOR.c.item_id), func.count())
    low, high, total = connection.execute(ends.where(where)).one()
    if total <= size:
        ids = connection.scalars(select(VECTOR.c.item_id).where(where)).all()
    else:
        ids = distinct(np.linspace(low, high, size).astype(np.int64)).tolist()
    found = vectors_of(connection, space_id, ids)
    held = sorted(found)
    rows = [np.empty((0, dimension), np.float16), *(found[item][None] for item in held)]
    return np.array(held, np.int64), np.concatenate(rows)
