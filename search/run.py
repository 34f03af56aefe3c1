"""One search: the query in the spaces it is put to, and what has been done for it so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection

from pictor.library.catalog import spaces as catalog_spaces
from pictor.library.records import FloatVector
from pictor.library.store import Store
from pictor.library.vectors.layers import VectorIndex
from pictor.search.encoding import QueryVectors
from pictor.search.neighbours import FilterTest
from pictor.search.options import SearchOptions
from pictor.search.plan import QueryReport, Trace
from pictor.search.query import Query, WordsPart
from pictor.search.ranking.judge import Judge

_NONE: Mapping[int, FloatVector] = {}


@dataclass(frozen=True)
class SpaceQuery:
    """The query in one space, and what ranks and judges items there.

    Attributes:
        judge: None where the space has no levels yet, or nothing of the query needs them.
        index: None where nothing is looked for by content.
    """

    vectors: QueryVectors
    judge: Judge | None
    index: VectorIndex | None

    @property
    def encoder(self) -> str:
        """The id of the encoder."""
        return self.vectors.space.encoder


@dataclass(frozen=True)
class SearchRun:
    """What every step of one search works with.

    Attributes:
        connection: all that is read of the catalog is of one moment.
        spaces: those the query is put to, best first; never empty. Candidates name theirs by its
            place in this order.
        hidden: hashes of contents that are not shown.
    """

    library: Store
    connection: Connection
    query: Query
    options: SearchOptions
    spaces: tuple[SpaceQuery, ...]
    selector: FilterTest
    hidden: frozenset[bytes]

    @property
    def trace(self) -> Trace:
        """What has been done so far."""
        return self.selector.trace

    @property
    def lacks_levels(self) -> bool:
        """The query could be judged, but the library has no levels yet."""
        return is_judged(self.query) and self.spaces[0].judge is None

    @property
    def is_whole(self) -> bool:
        """Whether the hits end somewhere; without levels every picture is one."""
        return not self.query.positive or (is_judged(self.query) and not self.lacks_levels)

    def vectors(
        self, at: int, items: Sequence[int], known: Mapping[int, FloatVector] = _NONE
    ) -> dict[int, FloatVector]:
        """Vectors of some items in a space: (d,) float32 unit rows of those that have one.

        Args:
            at: the place of the space.
            known: vectors that were read before, and are not read again.
        """
        space = self.spaces[at]
        held = {item: known[item] for item in items if item in known}
        if space.index is not None:
            ids = np.array([item for item in items if item not in held], np.int64)
            held |= space.index.vectors_of(ids)
        lacking = [item for item in items if item not in held]
        if lacking:  # without a vector, or newer than the index
            held |= catalog_spaces.rows_of(self.connection, space.vectors.space.id, lacking)
        return held

    def report(self) -> QueryReport:
        """How the query was understood, and what has been done."""
        first = self.spaces[0].index
        return QueryReport(
            query=str(self.query),
            spaces=tuple(space.encoder for space in self.spaces),
            indexes=tuple(one.index.index_type if one.index else "" for one in self.spaces),
            items=len(first) if first else 0,
            lacks_levels=self.lacks_levels,
            minimum_level=self.options.minimum_level,
            offset=self.options.offset,
            is_known=any(space.vectors.is_known for space in self.spaces),
            trace=self.trace,
        )


def is_judged(query: Query) -> bool:
    """Whether hits have levels: they say how words explain a picture, against everyday captions."""
    return bool(query.positive) and all(isinstance(p, WordsPart) for p in query.positive)
