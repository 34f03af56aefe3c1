"""What people decided of pairs of contents. By hash, so that it outlives rows, moves and encoders.

Nothing removes a decision but the person who made it: a content that was purged and comes back is
what it was before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, and_, delete, insert, or_, select

from pictor.library.catalog.files import chunked, now, rows_in
from pictor.library.catalog.schema import CONTENT, DECISION
from pictor.library.errors import DecisionError
from pictor.library.pairs import Verdict

_COLUMNS = (DECISION.c.low_hash, DECISION.c.high_hash, DECISION.c.verdict, DECISION.c.decided_at)


class DecisionRow(NamedTuple):
    """One decision; `low` and `high` are content hashes, low < high."""

    low: bytes
    high: bytes
    verdict: Verdict
    decided_at: str


def decide(connection: Connection, low: bytes, high: bytes, verdict: Verdict) -> None:
    """Store what was decided of two contents, in place of what was decided before.

    Args:
        low, high: their hashes, 32 bytes each, low < high.

    Raises:
        DecisionError: the two are one content.
        ValueError: low > high.
    """
    if low == high:
        raise DecisionError(
            f"both files have the same content ({low.hex()[:12]}…): decide on two different ones"
        )
    if low > high:
        raise ValueError("the content whose hash comes first must be given first")
    forget(connection, low, high)
    values = {"low_hash": low, "high_hash": high, "verdict": verdict.value, "decided_at": now()}
    connection.execute(insert(DECISION), values)


def forget(connection: Connection, low: bytes, high: bytes) -> bool:
    """Take back what was decided of two contents; whether anything was."""
    where = (DECISION.c.low_hash == low, DECISION.c.high_hash == high)
    return connection.execute(delete(DECISION).where(*where)).rowcount > 0


def decisions(connection: Connection) -> Iterator[DecisionRow]:
    """Every decision, the newest first."""
    order = (DECISION.c.decided_at.desc(), DECISION.c.low_hash, DECISION.c.high_hash)
    yield from map(_decision, connection.execute(select(*_COLUMNS).order_by(*order)))


def decided(connection: Connection, pairs: Sequence[tuple[bytes, bytes]]) -> list[DecisionRow]:
    """The decisions on some pairs of hashes, each with the lower one first."""
    found: list[DecisionRow] = []
    for chunk in chunked(pairs, 100):  # SQLite takes expressions of 1,000 levels
        cases = [and_(DECISION.c.low_hash == a, DECISION.c.high_hash == b) for a, b in chunk]
        found += map(_decision, connection.execute(select(*_COLUMNS).where(or_(*cases))))
    return found


def of_contents(connection: Connection, hashes: Iterable[bytes]) -> list[DecisionRow]:
    """The decisions that some contents are part of, by their hashes."""
    wanted = sorted(set(hashes))
    found: set[DecisionRow] = set()
    for side in (DECISION.c.low_hash, DECISION.c.high_hash):
        found.update(map(_decision, rows_in(connection, select(*_COLUMNS), side, wanted)))
    return sorted(found)


def _decision(row: Any) -> DecisionRow:  # Any: a row of _COLUMNS
    low, high, verdict, moment = row
    return DecisionRow(bytes(low), bytes(high), Verdict(verdict), moment)


def decided_contents(connection: Connection) -> Iterator[tuple[int, int, Verdict]]:
    """(id of the low content, id of the high one, verdict) where the library has both."""
    low, high = CONTENT.alias("low_content"), CONTENT.alias("high_content")
    query = (
        select(low.c.id, high.c.id, DECISION.c.verdict)
        .join(low, low.c.hash == DECISION.c.low_hash)
        .join(high, high.c.hash == DECISION.c.high_hash)
        .order_by(DECISION.c.low_hash, DECISION.c.high_hash)
    )
    for low_id, high_id, verdict in connection.execute(query):
        yield int(low_id), int(high_id), Verdict(verdict)
