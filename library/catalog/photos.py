"""Photos by their paths, as a file of captions or labels names them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, and_, select

from pictor.library.catalog.files import Places, chunked, of_roots
from pictor.library.catalog.rows import PhotoRow
from pictor.library.catalog.schema import FILE, ITEM


def photos_at(connection: Connection, paths: Sequence[bytes]) -> dict[bytes, PhotoRow]:
    """What is known of the files at some absolute paths. Unknown and missing ones are left out.

    A path known under several roots has the row that holds an item, if one does. Members of
    archives have no path of their own.
    """
    found: dict[bytes, PhotoRow] = {}
    places = Places(connection)
    named: dict[tuple[int, ...], dict[bytes, bytes]] = {}
    for path in paths:
        for of, inside in places.of(path):
            named.setdefault(tuple(root.id for root in of), {})[inside] = path
    for root_ids, by_inside in named.items():
        for chunk in chunked(list(by_inside)):
            query = _rows().where(of_roots(root_ids), FILE.c.path.in_(chunk))
            for row in connection.execute(query):
                path = by_inside[row[0]]
                if path not in found or found[path].item_id is None:
                    found[path] = PhotoRow(*row[1:])
    return found


def _rows() -> Any:  # a select of six columns, whose types nobody reads
    first = and_(ITEM.c.content_id == FILE.c.content_id, ITEM.c.position == 0)
    columns = (FILE.c.path, FILE.c.content_id, ITEM.c.id, FILE.c.outcome)
    query = select(*columns, FILE.c.reason, FILE.c.detail).outerjoin(ITEM, first)
    return query.where(FILE.c.missing_since.is_(None))
