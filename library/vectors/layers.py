"""What every local index shares: stored rows that never change, and a small layer of changes above.

An index opened from a cache is memory-mapped and stays as it is. Rows added since lie in memory,
rows removed or replaced since are masked, and a search merges both. So a change costs what the
change weighs, not what the index weighs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pictor.library.arrays import distinct, is_among
from pictor.library.records import FloatMatrix, HalfMatrix, IdArray
from pictor.library.vectors.base import Neighbours
from pictor.library.vectors.files import check_rows
from pictor.library.vectors.scan import RowMask, Rows, check_queries, merge, scan

SAVE_ROWS = 8192  # rows copied at a time when an index is written
# With fewer wanted ids than 1/16 of the rows, looking each up beats testing every row.
_LOOKUP_SHARE = 16


class Selection(NamedTuple):
    """Which stored rows a search may return.

    Attributes:
        mask: None for all of them.
        size: how many that is.
        is_filtered: the caller named ids (and not only that some rows were removed).
    """

    mask: RowMask | None
    size: int
    is_filtered: bool


class StoredRows:
    """Ids and vectors that never change, and a mask of the rows removed since."""

    def __init__(self, ids: IdArray, vectors: HalfMatrix) -> None:
        self.ids = ids
        self.vectors = vectors
        self.dead = 0
        self._live: RowMask | None = None

    @cached_property
    def _order(self) -> Rows | None:
        """The rows by ascending id; None if they lie so."""
        return None if (self.ids[1:] > self.ids[:-1]).all() else np.argsort(self.ids)

    def rows_of(self, ids: IdArray) -> Rows:
        """The live rows of those ids that are held."""
        if not len(self.ids):
            return np.empty(0, np.int64)
        at = np.searchsorted(self.ids, ids, sorter=self._order)
        at = np.minimum(at, len(self.ids) - 1)
        rows: Rows = at if self._order is None else self._order[at]
        rows = rows[self.ids[rows] == ids]
        return rows if self._live is None else rows[self._live[rows]]

    def remove(self, ids: IdArray) -> int:
        """Mask the rows of these ids; how many were live."""
        rows = distinct(self.rows_of(ids))
        if len(rows):
            live = np.ones(len(self.ids), np.bool_) if self._live is None else self._live.copy()
            live[rows] = False
            self._live = live
            self.dead += len(rows)
        return len(rows)

    def select(self, allowed: IdArray | None) -> Selection:
        """The live rows, or those of them that `allowed` names."""
        if allowed is None:
            return Selection(self._live, len(self.ids) - self.dead, False)
        if len(allowed) * _LOOKUP_SHARE < len(self.ids):
            mask = np.zeros(len(self.ids), np.bool_)
            mask[self.rows_of(allowed)] = True
        else:
            mask = is_among(self.ids, allowed)
            if self._live is not None:
                mask &= self._live
        return Selection(mask, int(np.count_nonzero(mask)), True)

    def live_rows(self) -> Rows:
        """The numbers of the rows not removed, ascending."""
        return np.arange(len(self.ids)) if self._live is None else np.flatnonzero(self._live)


class AddedRows:
    """Rows in memory, in no order. Adding and removing one is O(d)."""

    def __init__(self, dimension: int) -> None:
        self._ids = np.empty(0, np.int64)
        self._vectors = np.empty((0, dimension), np.float16)
        self._row_of: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._row_of)

    @property
    def ids(self) -> IdArray:
        """(n,)."""
        return self._ids[: len(self)]

    @property
    def vectors(self) -> HalfMatrix:
        """(n, d)."""
        return self._vectors[: len(self)]

    def put(self, ids: IdArray, vectors: HalfMatrix) -> None:
        """Add rows, or replace those of ids that are held."""
        rows = np.empty(len(ids), np.int64)
        for at, number in enumerate(ids.tolist()):
            rows[at] = self._row_of.setdefault(number, len(self._row_of))
        self._reserve(len(self._row_of))
        self._ids[rows] = ids
        self._vectors[rows] = vectors

    def remove(self, ids: IdArray) -> int:
        """Remove these ids; how many were held."""
        before = len(self)
        for number in ids.tolist():
            row = self._row_of.pop(number, None)
            last = len(self._row_of)
            if row is not None and row != last:
                self._ids[row] = self._ids[last]
                self._vectors[row] = self._vectors[last]
                self._row_of[int(self._ids[row])] = row
        return before - len(self)

    def _reserve(self, rows: int) -> None:
        if rows <= len(self._ids):
            return
        capacity = max(rows, 2 * len(self._ids), 64)
        ids = np.zeros(capacity, np.int64)
        vectors = np.zeros((capacity, self._vectors.shape[1]), np.float16)
        ids[: len(self._ids)] = self._ids
        vectors[: len(self._vectors)] = self._vectors
        self._ids, self._vectors = ids, vectors


class LayeredIndex(ABC):
    """A `VectorIndex` of stored rows plus changes; a subclass says how stored rows are searched.

    Searches may run at the same time as each other, but not during `add`, `remove` or `close`.
    """

    def __init__(self, dimension: int, ids: IdArray, vectors: HalfMatrix) -> None:
        self._dimension = dimension
        self._stored = StoredRows(ids, vectors)
        self._added = AddedRows(dimension)
        self._is_open = True

    @property
    @abstractmethod
    def index_type(self) -> str:
        """For people: "exact", "flat-f16", "ivf4096-sq8"…."""

    @abstractmethod
    def save(self, path: Path) -> None:
        """Write to the folder `path`, which must not exist. The caller makes it atomic."""

    @abstractmethod
    def _search_stored(self, queries: FloatMatrix, k: int, selection: Selection) -> Neighbours:
        """The k nearest stored rows among those selected (at least one), at settled scores."""

    @property
    def dimension(self) -> int:
        """d."""
        return self._dimension

    @property
    def stored(self) -> StoredRows:
        """The rows it was opened with."""
        return self._stored

    @property
    def changes(self) -> int:
        """Rows added plus rows removed since it was opened: what every search pays extra for."""
        return len(self._added) + self._stored.dead

    def __len__(self) -> int:
        return len(self._stored.ids) - self._stored.dead + len(self._added)

    def add(self, ids: IdArray, vectors: HalfMatrix) -> None:
        """Add n vectors ((n,) int64 unique ids, (n, d) float16). An id it holds is replaced.

        Raises:
            ValueError: shapes disagree, an id is negative or occurs twice, or a value is not
                finite.
        """
        self._check_open()
        check_rows(ids, vectors, self._dimension)
        self._stored.remove(ids)
        self._added.put(ids, vectors)

    def remove(self, ids: IdArray) -> int:
        """Remove these ids; unknown ones are ignored. Returns how many were held."""
        self._check_open()
        return self._stored.remove(ids) + self._added.remove(ids)

    def search(self, queries: FloatMatrix, k: int, allowed: IdArray | None = None) -> Neighbours:
        """The k nearest of each query ((q, d) float32 unit rows), among `allowed` if given.

        Ids of `allowed` that are not held are ignored; it may be in any order and repeat itself.

        Raises:
            ValueError: k < 1, queries are not (q, d), or hold a value that is not finite.
        """
        self._check_open()
        queries = check_queries(queries, k, self._dimension)
        parts = []
        selection = self._stored.select(allowed)
        if selection.size:
            parts.append(self._search_stored(queries, k, selection))
        if len(self._added):
            ids = self._added.ids
            mask = None if allowed is None else is_among(ids, allowed)
            parts.append(scan(queries, self._added.vectors, ids, k, mask))
        return merge(parts, len(queries), k)

    def blocks(self) -> Iterator[tuple[IdArray, HalfMatrix]]:
        """All it holds, in blocks of ascending ids."""
        self._check_open()
        live = self._stored.live_rows()
        ids = np.concatenate([self._stored.ids[live], self._added.ids])
        order = np.argsort(ids)
        for start in range(0, len(order), SAVE_ROWS):
            part = order[start : start + SAVE_ROWS]
            vectors = np.empty((len(part), self._dimension), np.float16)
            is_stored = part < len(live)
            vectors[is_stored] = self._stored.vectors[live[part[is_stored]]]
            vectors[~is_stored] = self._added.vectors[part[~is_stored] - len(live)]
            yield ids[part], vectors

    def close(self) -> None:
        """Release memory maps. A closed index answers nothing more."""
        self._is_open = False
        empty = AddedRows(self._dimension)
        self._stored = StoredRows(empty.ids, empty.vectors)
        self._added = empty

    def _check_open(self) -> None:
        if not self._is_open:
            raise ValueError(f"the {self.index_type!r} index is closed")
