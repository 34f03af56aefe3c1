"""Photos by their paths, as a file of captions or labels names them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, and_, select

from pictor.library.catalog.files import chunked, roots
from pictor.library.catalog.rows import PhotoRow, RootRow
from pictor.library.catalog.schema import FILE, ITEM


def photos_at(connection: Connection, paths: Sequence[bytes]) -> dict[bytes, PhotoRow]:
    """What is known of the files at some absolute paths. Unknown and missing ones are left out.

    A path known under several roots has the row that holds an item, if one does. Members of
    archives have no path of their own.
    """
    found: dict[bytes, PhotoRow] = {}
    for root in roots(connection):
        places = dict(_places(root, paths))
        for chunk in chunked(list(places)):
            query = _rows().where(FILE.c.root_id == root.id, FILE.c.path.in_(chunk))
            for row in connection.execute(query):
                path = places[row[0]]
                if path not in found or found[path].item_id is None:
                    found[path] = PhotoRow(*row[1:])
    return found


def _places(root: RootRow, paths: Sequence[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """(path as the root's rows have it, absolute path) of those that may be under a root."""
    if root.kind == "folder":
        start = root.location.rstrip(b"/") + b"/"
        yield from ((path[len(start) :], path) for path in paths if path.startswith(start))
    elif root.kind == "list":
        yield from ((path, path) for path in paths)
    elif root.kind == "file" and root.location in paths:
        yield b"", root.location


def _rows() -> Any:  # a select of six columns, whose types nobody reads
    first = and_(ITEM.c.content_id == FILE.c.content_id, ITEM.c.position == 0)
    columns = (FILE.c.path, FILE.c.content_id, ITEM.c.id, FILE.c.outcome)
    query = select(*columns, FILE.c.reason, FILE.c.detail).outerjoin(ITEM, first)
    return query.where(FILE.c.missing_since.is_(None))
