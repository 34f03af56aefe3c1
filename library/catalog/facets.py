"""How many items there are of each kind: by year, camera, tag and what else is known of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, case, func, select

from pictor.library.catalog.filter_sql import ANIMATED, condition
from pictor.library.catalog.filters import Filter
from pictor.library.catalog.schema import CONTENT, ITEM, TAG

_FACTS: dict[str, ColumnElement[str]] = {
    "year": func.substr(CONTENT.c.taken_at, 1, 4),
    "month": func.substr(CONTENT.c.taken_at, 1, 7),
    "camera": CONTENT.c.camera,
    "lens": CONTENT.c.lens,
    "format": func.lower(CONTENT.c.format),
    "rating": CONTENT.c.rating,
    "type": case(
        (ITEM.c.time_s.is_(None), "image"),
        (CONTENT.c.format.in_(ANIMATED), "animation"),
        else_="video",
    ),
    "shape": case(
        (ITEM.c.width > ITEM.c.height, "landscape"),
        (ITEM.c.width < ITEM.c.height, "portrait"),
        else_="square",
    ),
}
#: What items can be counted by.
NAMES = (*_FACTS, "tag")


def counts(
    connection: Connection,
    name: str,
    wanted: Filter | None,
    item_ids: Sequence[int] | None = None,
    most: int = 100,
) -> list[tuple[str, int]]:
    """(value, items) of a facet, the most frequent first, equal ones by value; unknown ones aside.

    Args:
        name: of `NAMES`.
        wanted: counts only items that pass it; item_ids: only some, at most 5,000.

    Raises:
        QueryError: the filter names a root or tag that the library does not have.
    """
    number = func.count(ITEM.c.id.distinct())
    value: ColumnElement[str] = TAG.c.label if name == "tag" else _FACTS[name]
    query: Any = select(value, number).select_from(ITEM)
    query = query.join(CONTENT, CONTENT.c.id == ITEM.c.content_id)
    if name == "tag":
        query = query.join(TAG, TAG.c.content_id == CONTENT.c.id)
    query = query.where(value.is_not(None))
    if wanted is not None:
        query = query.where(condition(connection, wanted))
    if item_ids is not None:
        query = query.where(ITEM.c.id.in_(item_ids))
    query = query.group_by(value).order_by(number.desc(), value).limit(most)
    return [(str(found), int(items)) for found, items in connection.execute(query) if found != ""]
