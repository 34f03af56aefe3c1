"""What every local index shares: stored rows that never change, and a small layer of changes above.

An index opened from a cache is memory-mapped and stays as it is. Rows added since are in memory,
rows removed or replaced since are masked, and a search merges both. So a change costs what the
change weighs, not what the index weighs.

Both layers are values: a change makes new ones, which share the rows with the old ones. So a search
in one thread goes on with what it began with, whatever another thread changes.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np

from pictor.library.arrays import distinct, is_among
from pictor.library.records import FloatMatrix, FloatVector, HalfMatrix, IdArray
from pictor.library.vectors import files
from pictor.library.vectors.base import Neighbours
from pictor.library.vectors.files import check_rows
from pictor.library.vectors.nearest import nearest_rows
from pictor.library.vectors.parts import Extent
from pictor.library.vectors.scan import RowMask, Rows, check_queries, merge

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
    """Ids and vectors that never change, and a mask of those of the rows that were removed.

    An id may lie in several rows, of which at most the last one is live.

    Attributes:
        dead: how many rows are masked.
        changes: how many of these were masked since it was opened.
    """

    def __init__(self, ids: IdArray, vectors: HalfMatrix, dead: Rows | None = None) -> None:
        """`dead` are rows that were removed or replaced before it was opened."""
        self.ids = ids
        self.vectors = vectors
        self.dead = 0 if dead is None else len(dead)
        self.changes = 0
        self._live: RowMask | None = None
        if dead is not None:
            self._live = np.ones(len(ids), np.bool_)
            self._live[dead] = False

    @cached_property
    def _order(self) -> Rows | None:
        """The rows by ascending id, those of one id as they lie; None if all lie so."""
        if (self.ids[1:] > self.ids[:-1]).all():
            return None
        return np.argsort(self.ids, kind="stable")

    @property
    def dead_rows(self) -> Rows:
        """(n,) the masked rows."""
        return np.empty(0, np.int64) if self._live is None else np.flatnonzero(~self._live)

    def rows_of(self, ids: IdArray) -> Rows:
        """The live rows of those ids that are held."""
        if not len(self.ids):
            return np.empty(0, np.int64)
        at = np.searchsorted(self.ids, ids, side="right", sorter=self._order)
        at = np.maximum(at - 1, 0)
        rows: Rows = at if self._order is None else self._order[at]
        rows = rows[self.ids[rows] == ids]
        return rows if self._live is None else rows[self._live[rows]]

    def vectors_of(self, ids: IdArray) -> dict[int, FloatVector]:
        """(d,) float32 of those of some ids that are held and live."""
        return _as_float32(self.ids, self.vectors, self.rows_of(ids))

    def without(self, ids: IdArray) -> StoredRows:
        """The same with the rows of these ids masked."""
        rows = distinct(self.rows_of(ids))
        if not len(rows):
            return self
        rest = copy.copy(self)
        rest._live = np.ones(len(self.ids), np.bool_) if self._live is None else self._live.copy()
        rest._live[rows] = False
        rest.dead = self.dead + len(rows)
        rest.changes = self.changes + len(rows)
        return rest

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


class AddedRows:
    """Rows in memory, in no order, the older ones of which may be masked.

    They are the first rows of a buffer that grows at its end, so one that was made from another
    shares the rows of both.
    """

    def __init__(self, dimension: int) -> None:
        self._buffer = _Buffer(np.empty(0, np.int64), np.empty((0, dimension), np.float16))
        self._live: RowMask = np.empty(0, np.bool_)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def ids(self) -> IdArray:
        """(n,)."""
        return self._buffer.ids[: len(self._live)][self._live]

    @property
    def vectors(self) -> HalfMatrix:
        """(n, d)."""
        return self._buffer.vectors[: len(self._live)][self._live]

    def plus(self, ids: IdArray, vectors: HalfMatrix) -> AddedRows:
        """These and more rows, which replace those of ids that are held."""
        kept = self.without(ids)
        if 2 * len(kept) < len(kept._live):  # most are masked
            buffer, live = _Buffer(kept.ids, kept.vectors), np.ones(len(kept), np.bool_)
        else:
            buffer, live = kept._buffer, kept._live
        more = copy.copy(kept)
        more._buffer = buffer.plus(len(live), ids, vectors)
        more._live = np.concatenate([live, np.ones(len(ids), np.bool_)])
        more._count = len(kept) + len(ids)
        return more

    def without(self, ids: IdArray) -> AddedRows:
        """These without the rows of some ids."""
        held = self._buffer.ids[: len(self._live)]
        ids = ids[(ids >= held.min()) & (ids <= held.max())] if len(held) else ids[:0]
        if not len(ids):
            return self
        rest = copy.copy(self)
        rest._live = self._live & ~is_among(held, ids)
        rest._count = int(np.count_nonzero(rest._live))
        return rest

    def vectors_of(self, ids: IdArray) -> dict[int, FloatVector]:
        """(d,) float32 of those of some ids that are held."""
        held = self._buffer.ids[: len(self._live)]
        rows = np.flatnonzero(self._live & is_among(held, ids))
        return _as_float32(held, self._buffer.vectors, rows)

    def nearest(self, queries: FloatMatrix, k: int, allowed: IdArray | None) -> Neighbours:
        """The k nearest of each query, among `allowed` if given."""
        size = len(self._live)
        ids, mask = self._buffer.ids[:size], None if self._count == size else self._live
        if allowed is not None:
            mask = self._live & is_among(ids, allowed)
        return nearest_rows(queries, self._buffer.vectors[:size], ids, k, mask)


class _Buffer:
    """Room for rows, of which the first `used` are taken and are never written again."""

    def __init__(self, ids: IdArray, vectors: HalfMatrix) -> None:
        self.ids = ids
        self.vectors = vectors
        self.used = len(ids)

    def plus(self, size: int, ids: IdArray, vectors: HalfMatrix) -> _Buffer:
        """A buffer of the first `size` rows and these: this one where they are its last."""
        total = size + len(ids)
        buffer = self
        if size != self.used or total > len(self.ids):
            capacity = max(total, 2 * len(self.ids), 64)
            buffer = _Buffer(
                np.zeros(capacity, np.int64), np.zeros((capacity, vectors.shape[1]), np.float16)
            )
            buffer.ids[:size], buffer.vectors[:size] = self.ids[:size], self.vectors[:size]
        buffer.ids[size:total], buffer.vectors[size:total] = ids, vectors
        buffer.used = total
        return buffer


class VectorIndex(ABC):
    """Unit-norm float16 vectors by id, searched by inner product, also by several threads at once.

    They are stored rows plus changes; a subclass says how stored rows are searched. Each passes one
    contract test and agrees with `ExactIndex`, ties allowed.

    Searches may run at the same time as each other and as one `add` or `remove`, of which they see
    all or nothing, but not during `close`.

    Attributes:
        dimension: d.
    """

    def __init__(self, dimension: int) -> None:
        """An empty index in memory."""
        self.dimension = dimension
        self._layers = _empty(dimension)
        self._is_open = True

    @property
    @abstractmethod
    def index_type(self) -> str:
        """For people: "exact", "flat-f16", "ivf4096-sq8"…."""

    @abstractmethod
    def _search_stored(self, queries: FloatMatrix, k: int, selection: Selection) -> Neighbours:
        """The k nearest stored rows among those selected (at least one), at settled scores."""

    def _map_rows(self, folder: Path, extent: Extent | None) -> None:
        """Open on the rows of a folder; None for all of its files, with none of them dead."""
        rows = files.count_rows(folder) if extent is None else extent.rows
        dead = files.read_array(folder / extent.dead) if extent and extent.dead else None
        stored = StoredRows(*files.read_rows(folder, rows, self.dimension), dead)
        self._layers = (stored, self._layers[1])

    @property
    def stored(self) -> StoredRows:
        """The rows it was opened with."""
        return self._layers[0]

    @property
    def changes(self) -> int:
        """Rows added plus rows removed since it was opened: what every search pays extra for."""
        stored, added = self._layers
        return len(added) + stored.changes

    def __len__(self) -> int:
        stored, added = self._layers
        return len(stored.ids) - stored.dead + len(added)

    def copy(self) -> Self:
        """One of the same vectors that is changed apart from this one; they share their rows."""
        self._check_open()
        return copy.copy(self)

    def add(self, ids: IdArray, vectors: HalfMatrix) -> None:
        """Add n vectors ((n,) int64 unique ids, (n, d) float16). An id it holds is replaced.

        Raises:
            ValueError: shapes disagree, an id is negative or occurs twice, or a value is not
                finite.
        """
        self._check_open()
        check_rows(ids, vectors, self.dimension)
        stored, added = self._layers
        self._layers = (stored.without(ids), added.plus(ids, vectors))

    def remove(self, ids: IdArray) -> int:
        """Remove these ids; unknown ones are ignored. Returns how many were held."""
        self._check_open()
        before = len(self)
        stored, added = self._layers
        self._layers = (stored.without(ids), added.without(ids))
        return before - len(self)

    def search(self, queries: FloatMatrix, k: int, allowed: IdArray | None = None) -> Neighbours:
        """The k nearest of each query ((q, d) float32 unit rows), among `allowed` if given.

        A filter is exact for the ids it names: no allowed id is lost because of it. Ids of
        `allowed` that are not held are ignored; it may be in any order and repeat itself.

        Raises:
            ValueError: k < 1, queries are not (q, d), or hold a value that is not finite.
        """
        self._check_open()
        queries = check_queries(queries, k, self.dimension)
        stored, added = self._layers
        parts = []
        selection = stored.select(allowed)
        if selection.size:
            parts.append(self._search_stored(queries, k, selection))
        if len(added):
            parts.append(added.nearest(queries, k, allowed))
        return merge(parts, len(queries), k)

    def vectors_of(self, ids: IdArray) -> dict[int, FloatVector]:
        """The vectors of those of some ids that it holds, each (d,) float32, to compute with."""
        self._check_open()
        stored, added = self._layers
        return stored.vectors_of(ids) | added.vectors_of(ids)

    def close(self) -> None:
        """Release memory maps. A closed index answers nothing more."""
        self._is_open = False
        self._layers = _empty(self.dimension)

    def _check_open(self) -> None:
        if not self._is_open:
            raise ValueError(f"the {self.index_type!r} index is closed")


def _as_float32(ids: IdArray, vectors: HalfMatrix, rows: Rows) -> dict[int, FloatVector]:
    """Some rows, by their id."""
    return dict(zip(ids[rows].tolist(), vectors[rows].astype(np.float32), strict=True))


def _empty(dimension: int) -> tuple[StoredRows, AddedRows]:
    added = AddedRows(dimension)
    return StoredRows(added.ids, added.vectors), added
