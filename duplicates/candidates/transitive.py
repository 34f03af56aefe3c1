"""Pairs that follow from pairs: two copies of one picture are worth a look at each other.

Neighbours by vector are few, and a picture with twenty copies has more. So a content that was found
to have a duplicate is also held against the duplicates of that one. The look decides, as ever: a
group is never joined by a chain alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

from sqlalchemy import Connection

from pictor.library.catalog import pairs
from pictor.library.pairs import DUPLICATES

#: Pairs that one content gets in this way in a round, however many copies it has.
MOST_RELATIVES = 64
#: Rounds: each doubles how far along a chain of copies is looked.
ROUNDS = 3


def unseen_relatives(
    connection: Connection, content_ids: Collection[int], comparison: int
) -> list[tuple[int, int]]:
    """(low, high) of contents with a duplicate in common that nobody looked at as a pair."""
    beside: dict[int, set[int]] = defaultdict(set)
    near = pairs.of_contents(connection, content_ids, DUPLICATES)
    around = {one for row in near for one in (row.low, row.high)}
    for row in pairs.of_contents(connection, around, DUPLICATES):
        beside[row.low].add(row.high)
        beside[row.high].add(row.low)
    seen = pairs.known(connection, content_ids, comparison)
    found: set[tuple[int, int]] = set()
    for content_id in sorted(content_ids):
        relatives = set().union(*(beside[one] for one in beside[content_id])) - {content_id}
        ordered = [(min(content_id, one), max(content_id, one)) for one in sorted(relatives)]
        found.update([pair for pair in ordered if pair not in seen][:MOST_RELATIVES])
    return sorted(found)
