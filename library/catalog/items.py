"""What is known of items beside their vectors: the facts of their contents, and what was taken
right before and after."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, select

from pictor.library.catalog.files import chunked, rows_in
from pictor.library.catalog.schema import CONTENT, FILE, ITEM
from pictor.library.records import Metadata

_FACTS = tuple(Metadata.__dataclass_fields__)


class TimeNeighbours(NamedTuple):
    """Contents that were taken before and after one, the nearest in time first."""

    earlier: Sequence[int] = ()
    later: Sequence[int] = ()


def facts_of(connection: Connection, content_ids: Iterable[int]) -> dict[int, tuple[int, Metadata]]:
    """(size in bytes, what it says of itself) of some contents, by id."""
    found: dict[int, tuple[int, Metadata]] = {}
    query = select(CONTENT.c.id, CONTENT.c.size_bytes, *CONTENT.c[_FACTS])
    for row in rows_in(connection, query, CONTENT.c.id, sorted(content_ids)):
        facts = dict(zip(_FACTS, row[2:], strict=True))
        facts["keywords"] = tuple(facts["keywords"] or ())
        found[row[0]] = (row[1], Metadata(**facts))
    return found


def surroundings(
    connection: Connection, content_ids: Iterable[int], count: int
) -> dict[int, TimeNeighbours]:
    """What was taken right before and after some contents, by their cameras' clocks.

    Contents of one moment follow each other by id. Those without a date have no surroundings;
    those of which no file is left are nobody's.

    Args:
        count: at most so many on each side.
    """
    dated = select(CONTENT.c.id, CONTENT.c.taken_at).where(CONTENT.c.taken_at.is_not(None))
    rows = rows_in(connection, dated, CONTENT.c.id, sorted(content_ids))
    moments: dict[int, str] = {content_id: moment for content_id, moment in rows}
    before = _steps(connection, set(moments.values()), count, forward=False)
    after = _steps(connection, set(moments.values()), count, forward=True)
    at = _contents_at(connection, {*moments.values(), *before.values(), *after.values()})
    found = {}
    for content_id, moment in moments.items():
        same = at.get(moment, [])
        place = bisect_left(same, content_id)
        beyond = place + (same[place : place + 1] == [content_id])
        earlier, later = same[max(0, place - count) : place], same[beyond : beyond + count]
        earlier.reverse()
        past, coming = before.get(moment), after.get(moment)
        while past is not None and len(earlier) < count:
            earlier += reversed(at[past][-count:])
            past = before.get(past)
        while coming is not None and len(later) < count:
            later += at[coming][:count]
            coming = after.get(coming)
        found[content_id] = TimeNeighbours(earlier[:count], later[:count])
    return found


def _steps(
    connection: Connection, moments: set[str], count: int, *, forward: bool
) -> dict[str, str]:
    """The next moment at which something was taken, of each of some and `count` beyond it."""
    steps: dict[str, str] = {}
    asked: set[str] = set()
    for _ in range(count):
        moments = moments - asked
        asked |= moments
        rows = [
            row for chunk in chunked(sorted(moments)) for row in _step(connection, chunk, forward)
        ]
        steps |= {moment: other for moment, other in rows if other is not None}
        moments = {other for _, other in rows if other is not None}
    return steps


def _step(connection: Connection, moments: Sequence[str], forward: bool) -> Sequence[Any]:
    """(moment, the next one or None): of each one look-up in the index of dates."""
    # Many contents may have one date: each date is looked up once.
    dates = select(CONTENT.c.taken_at).where(CONTENT.c.taken_at.in_(moments)).distinct().subquery()
    other = CONTENT.alias("other")
    is_beyond = (
        other.c.taken_at > dates.c.taken_at if forward else other.c.taken_at < dates.c.taken_at
    )
    order = other.c.taken_at if forward else other.c.taken_at.desc()
    nearest = (
        select(other.c.taken_at).where(is_beyond, _is_shown(other.c.id)).order_by(order).limit(1)
    )
    return connection.execute(select(dates.c.taken_at, nearest.scalar_subquery())).fetchall()


def _contents_at(connection: Connection, moments: set[str]) -> dict[str, list[int]]:
    """The contents of some moments, ascending."""
    found: dict[str, list[int]] = {}
    query = select(CONTENT.c.taken_at, CONTENT.c.id).where(_is_shown(CONTENT.c.id))
    query = query.order_by(CONTENT.c.id)
    for moment, content_id in rows_in(connection, query, CONTENT.c.taken_at, sorted(moments)):
        found.setdefault(moment, []).append(content_id)
    return found


def _is_shown(content_id: ColumnElement[int]) -> ColumnElement[bool]:
    """Whether a content has an item and a file that is not missing."""
    item = select(ITEM.c.id).where(ITEM.c.content_id == content_id).exists()
    file = select(FILE.c.id).where(FILE.c.content_id == content_id, FILE.c.missing_since.is_(None))
    return item & file.exists()
