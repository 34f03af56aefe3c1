"""What comparisons found of pairs of contents."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, and_, delete, insert, or_, select

from pictor.library.catalog.files import chunked, rows_in
from pictor.library.catalog.schema import PAIR
from pictor.library.pairs import Evidence, Kind, PairRow

#: What `row_of` takes.
COLUMNS = (PAIR.c.low_id, PAIR.c.high_id, PAIR.c.kind, PAIR.c.confidence, PAIR.c.evidence)


def write(connection: Connection, rows: Sequence[PairRow], version: int) -> None:
    """Store what a comparison found, in place of what an earlier one did."""
    for chunk in chunked(list(rows), 200):  # SQLite takes expressions of 1,000 levels
        same = [and_(PAIR.c.low_id == row.low, PAIR.c.high_id == row.high) for row in chunk]
        connection.execute(delete(PAIR).where(or_(*same)))
    values = [
        {
            "low_id": row.low,
            "high_id": row.high,
            "kind": row.kind.value,
            "confidence": row.confidence,
            "evidence": row.evidence.to_json(),
            "version": version,
        }
        for row in rows
    ]
    if values:
        connection.execute(insert(PAIR), values)


def of_contents(
    connection: Connection,
    content_ids: Iterable[int],
    kinds: Iterable[Kind] = (),
    version: int | None = None,
) -> list[PairRow]:
    """The pairs that some contents are part of, by content ids: of some kinds, of one version."""
    query = select(*COLUMNS)
    if wanted := [kind.value for kind in kinds]:
        query = query.where(PAIR.c.kind.in_(wanted))
    if version is not None:
        query = query.where(PAIR.c.version == version)
    ids = sorted(set(content_ids))
    found: dict[tuple[int, int], PairRow] = {}
    for side in (PAIR.c.low_id, PAIR.c.high_id):
        found |= {(row[0], row[1]): row_of(row) for row in rows_in(connection, query, side, ids)}
    return [found[key] for key in sorted(found)]


def known(connection: Connection, content_ids: Iterable[int], version: int) -> set[tuple[int, int]]:
    """(low, high) of the pairs that some contents are part of and a comparison looked at."""
    query = select(PAIR.c.low_id, PAIR.c.high_id).where(PAIR.c.version == version)
    ids = sorted(set(content_ids))
    found: set[tuple[int, int]] = set()
    for side in (PAIR.c.low_id, PAIR.c.high_id):
        found.update((low, high) for low, high in rows_in(connection, query, side, ids))
    return found


def forget(connection: Connection, content_ids: Sequence[int]) -> None:
    """Drop the pairs that at most CHUNK contents are part of."""
    for side in (PAIR.c.low_id, PAIR.c.high_id):
        connection.execute(delete(PAIR).where(side.in_(content_ids)))


def row_of(row: Sequence[Any]) -> PairRow:
    """A row of COLUMNS as a record."""
    low, high, kind, confidence, evidence = row
    return PairRow(low, high, Kind(kind), confidence, Evidence.from_json(evidence))
