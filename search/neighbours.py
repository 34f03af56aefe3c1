"""The ranking of one space, best first, as far as it is asked for; exact under any filter.

A filter is answered in one of two ways, which give the same ranking. "Look first": the nearest of
all are asked for and tested, which reads a thousand rows. "Select first": the catalog names every
item that passes, and the index ranks those. The second is for filters that few pass, for what the
first way leaves over, and for an index that is not exhaustive.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from sqlalchemy import Connection

from pictor.library.arrays import is_among
from pictor.library.catalog import filter_sql
from pictor.library.catalog.filters import Filter
from pictor.library.records import FloatMatrix, FloatVector, IdArray
from pictor.library.vectors.layers import VectorIndex
from pictor.search.plan import Trace

#: Neighbours asked for at once; more, four times as many each time, once those are used up. Finding
#: 1,000 of 100,000 takes 6 % longer than finding 10.
FIRST = 1000
_GROWTH = 4
#: With fewer vectors than this, selecting first is as fast as looking first (some 5 ms).
LOOK_FIRST_ABOVE = 20_000
#: With a smaller share than this passing, a page is not filled from the first neighbours.
RARE = 1 / 16
#: Items that pass and fill a page of the usual size: 20, those that fold, and some that are weak.
PAGE = 100


class RankedItems(NamedTuple):
    """A stretch of a ranking, best first.

    Attributes:
        ids: (n,) of items.
        scores: (n,) cosines with the query, in the space that found the item.
        spaces: (n,) the place of that space among those the query is put to.
    """

    ids: IdArray
    scores: FloatVector
    spaces: IdArray

    def take(self, rows: IdArray | slice) -> RankedItems:
        """Some rows of it."""
        return RankedItems(self.ids[rows], self.scores[rows], self.spaces[rows])


class FilterTest:
    """Which items a filter lets through; the catalog is asked when it must be."""

    def __init__(self, connection: Connection, wanted: Filter | None, trace: Trace) -> None:
        """`wanted` None lets everything through."""
        self._connection = connection
        self.trace = trace
        self._wanted = wanted
        self._allowed: IdArray | None = None

    @property
    def is_open(self) -> bool:
        """Whether it lets everything through."""
        return self._wanted is None

    @property
    def allowed(self) -> IdArray | None:
        """Every item that passes, ascending; None where all do."""
        if self._wanted is not None and self._allowed is None:
            with self.trace.time("filter"):
                self._allowed = filter_sql.item_ids(self._connection, self._wanted)
            self.trace.passing = len(self._allowed)
        return self._allowed

    def among(self, ids: IdArray) -> IdArray:
        """Those of some items that pass, in their order."""
        if self._wanted is None or not len(ids):
            return ids
        if self._allowed is not None:
            return ids[is_among(ids, self._allowed)]
        with self.trace.time("filter"):
            return filter_sql.items_among(self._connection, self._wanted, ids)

    def share(self) -> float:
        """About which share of all items passes, 0 to 1; 1 where all do."""
        if self._wanted is None:
            return 1.0
        with self.trace.time("filter"):
            return filter_sql.share(self._connection, self._wanted)

    def newest_first(self) -> IdArray:
        """Every item that passes, by the time it was taken."""
        with self.trace.time("filter"):
            ids = np.array(filter_sql.newest_first(self._connection, self._wanted), np.int64)
        self.trace.passing = None if self._wanted is None else len(ids)
        return ids


def neighbours(
    index: VectorIndex, query: FloatMatrix, selector: FilterTest, space: int
) -> Iterator[RankedItems]:
    """All items of an index that pass a filter, best first; equal scores by id.

    Args:
        query: (1, d) unit row.
        space: the place of the index's space, which the items carry.
    """
    trace = selector.trace

    def nearest(k: int, allowed: IdArray | None) -> RankedItems:
        with trace.time("vectors"):
            found = index.search(query, k, allowed)
        held = found.ids[0] >= 0
        ids = found.ids[0][held]
        return RankedItems(ids, found.scores[0][held], np.full(len(ids), space))

    seen = np.empty(0, np.int64)
    is_exhaustive = not index.index_type.startswith("ivf")
    may_look = not selector.is_open and is_exhaustive and len(index) > LOOK_FIRST_ABOVE
    share = selector.share() if may_look else 0.0
    if may_look and share >= RARE:
        trace.method = "scan first"
        for part in _passing(nearest(FIRST, None), selector, int(PAGE / share)):
            seen = np.concatenate([seen, part.ids])
            yield part
    if not selector.is_open:
        trace.method = f"{trace.method}, then select" if trace.method else "select first"
    allowed = selector.allowed
    most = len(index) if allowed is None else min(len(allowed), len(index))
    while len(seen) < most:
        k = min(max(FIRST, _GROWTH * len(seen)), most)
        found = nearest(k, allowed)
        fresh = found.take(np.flatnonzero(~is_among(found.ids, seen)))
        seen = np.concatenate([seen, fresh.ids])
        yield fresh
        if len(found.ids) < k:
            return


def _passing(nearest: RankedItems, selector: FilterTest, size: int) -> Iterator[RankedItems]:
    """Those of a ranking that pass, tested `size` at a time."""
    for start in range(0, len(nearest.ids), size):
        part = nearest.take(slice(start, start + size))
        yield part.take(np.flatnonzero(is_among(part.ids, selector.among(part.ids))))
