"""Files that may be copies of each other, as the catalog knows them: places, facts and links.

Missing files are left out everywhere: only what lies somewhere can be a copy of something.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, func, select

from pictor.library.catalog import pairs
from pictor.library.catalog.files import pages, rows_in
from pictor.library.catalog.rows import Member, full_path
from pictor.library.catalog.schema import CONTENT, FILE, PAIR, ROOT, TAG, TAG_SET
from pictor.library.catalog.tags import PERSON
from pictor.library.pairs import Kind, PairRow
from pictor.library.records import IdArray

#: Every kind, in the order that `EdgeArrays.kinds` counts them.
KINDS = tuple(Kind)
#: Columns of CONTENT that a member has as they are.
_FACTS = ("width", "height", "size_bytes", "taken_at", "camera", "rating")


class EdgeArrays(NamedTuple):
    """Every compared pair of contents.

    Attributes:
        low, high: (n,) content ids, low < high.
        kinds: (n,) uint8, places in KINDS.
        confidences: (n,) float32, 0 to 1.
    """

    low: IdArray
    high: IdArray
    kinds: NDArray[np.uint8]
    confidences: NDArray[np.float32]


def edges(connection: Connection) -> EdgeArrays:
    """All pairs that were compared, without their evidence; 21 bytes a pair."""
    rank = {kind.value: place for place, kind in enumerate(KINDS)}
    rows = connection.execute(select(PAIR.c.low_id, PAIR.c.high_id, PAIR.c.kind, PAIR.c.confidence))
    kind = [("low", "<i8"), ("high", "<i8"), ("kind", "u1"), ("confidence", "<f4")]
    table = np.fromiter((((a, b, rank[k], c)) for a, b, k, c in rows), dtype=np.dtype(kind))
    return EdgeArrays(table["low"], table["high"], table["kind"], table["confidence"])


def pairs_among(connection: Connection, content_ids: Sequence[int]) -> list[PairRow]:
    """The compared pairs of which both contents are among some, by id."""
    wanted = set(content_ids)
    rows = rows_in(connection, select(*pairs.COLUMNS), PAIR.c.low_id, sorted(wanted))
    found = [pairs.row_of(row) for row in rows if row.high_id in wanted]
    return sorted(found, key=lambda row: row[:2])


def files_of(connection: Connection, content_ids: Sequence[int]) -> list[Member]:
    """The files of some indexed contents that are not missing, by content, root and path."""
    place = (FILE.c.id, FILE.c.content_id, ROOT.c.kind, ROOT.c.location, FILE.c.path)
    state = (ROOT.c.state, FILE.c.mtime_ns)
    facts = (CONTENT.c.hash, CONTENT.c.format, CONTENT.c.latitude, CONTENT.c.keywords)
    query = select(*place, *state, *facts, *CONTENT.c[_FACTS])
    query = query.join(ROOT, ROOT.c.id == FILE.c.root_id)
    query = query.join(CONTENT, CONTENT.c.id == FILE.c.content_id)
    query = query.where(FILE.c.missing_since.is_(None), CONTENT.c.outcome == "indexed")
    query = query.order_by(FILE.c.content_id, FILE.c.root_id, FILE.c.path)
    return [
        _member(row) for row in rows_in(connection, query, FILE.c.content_id, sorted(content_ids))
    ]


def _member(row: Any) -> Member:  # Any: a row of `files_of`
    return Member(
        file_id=row.id,
        content_id=row.content_id,
        path=full_path(row.kind, row.location, row.path),
        content=bytes(row.hash).hex(),
        mtime_ns=row.mtime_ns,
        format=row.format.lower(),
        has_place=row.latitude is not None,
        keywords=tuple(row.keywords or ()),
        state="unreachable" if row.state == "unreachable" else "present",
        root_kind=row.kind,
        root=row.location,
        **{name: getattr(row, name) for name in _FACTS},
    )


def place_pages(
    connection: Connection, *, copied: bool, page: int = 20_000
) -> Iterator[list[tuple[int, bytes]]]:
    """(content id, absolute path) of files that are not missing and have a picture, in pages.

    Args:
        copied: only those of contents that several files hold.
    """
    columns = (FILE.c.id, FILE.c.content_id, ROOT.c.kind, ROOT.c.location, FILE.c.path)
    query = select(*columns).join(ROOT, ROOT.c.id == FILE.c.root_id).where(*_is_there())
    if copied:
        query = query.where(FILE.c.content_id.in_(_copied()))
    for rows in pages(connection, query, FILE.c.id, page):
        yield [(row[1], full_path(row[2], row[3], row[4])) for row in rows]


def present(connection: Connection, content_ids: Sequence[int]) -> list[int]:
    """Those of some contents that a file holds which is not missing, ascending."""
    query = select(FILE.c.content_id).where(*_is_there()).distinct().order_by(FILE.c.content_id)
    return [row[0] for row in rows_in(connection, query, FILE.c.content_id, sorted(content_ids))]


def copied_contents(connection: Connection) -> list[int]:
    """Ids of the contents that several files hold, ascending."""
    query = _copied().order_by(FILE.c.content_id)
    return [int(content_id) for content_id in connection.scalars(query)]


def person_tags(connection: Connection, content_ids: Sequence[int]) -> dict[int, list[str]]:
    """The tags that people gave some contents, by content."""
    found: dict[int, list[str]] = {}
    query = select(TAG.c.content_id, TAG.c.label).join(TAG_SET, TAG_SET.c.id == TAG.c.set_id)
    query = query.where(TAG_SET.c.kind == PERSON).order_by(TAG.c.label)
    for content_id, label in rows_in(connection, query, TAG.c.content_id, sorted(content_ids)):
        found.setdefault(content_id, []).append(label)
    return found


def _is_there() -> tuple[Any, ...]:  # Any: conditions on FILE
    # One look-up a file: a set of all indexed contents would be made anew for each chunk of ids.
    content = select(CONTENT.c.id).where(CONTENT.c.id == FILE.c.content_id)
    is_indexed = content.where(CONTENT.c.outcome == "indexed").exists()
    return (FILE.c.missing_since.is_(None), is_indexed)


def _copied() -> Any:  # Any: a select of content ids
    query = select(FILE.c.content_id).where(*_is_there()).group_by(FILE.c.content_id)
    return query.having(func.count() > 1)
