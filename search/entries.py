"""From candidates to what is shown: where their files lie, one entry a content.

Entries are read a few at a time, so that a page costs what the page weighs. What is negated, hidden
or nowhere to be found is left out here, and the next candidates move up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from sqlalchemy import Connection

from pictor.library.catalog import contents, files, filters, spaces
from pictor.library.catalog.filters import Filter
from pictor.library.catalog.rows import FilePlace, ItemRow
from pictor.library.library import Library
from pictor.library.records import BoolVector, FloatMatrix, FloatVector, IdArray
from pictor.search.cutoff import Candidate
from pictor.search.encoding import Asked
from pictor.search.plan import Trace

SLICE = 48  # candidates read at once: a page of the usual size and some that fold

#: Which of some items ((n,) ids, (n, d) vectors of the first space) are to be left out.
Negation = Callable[[IdArray, FloatMatrix], BoolVector]


@dataclass(eq=False)
class Entry:
    """What becomes a hit.

    Attributes:
        places: where its content lies; never empty.
        vector: (d,) float32 in the first space; None where it has none, or none was needed.
        folded: near-identical entries that it stands for.
    """

    candidate: Candidate
    row: ItemRow
    places: Sequence[FilePlace]
    vector: FloatVector | None = None
    folded: list[Entry] = field(default_factory=list)


class EntryReader:
    """Reads the entries of one search."""

    def __init__(
        self,
        library: Library,
        asked: Asked,
        wanted: Filter | None,
        hidden: frozenset[bytes],
        negation: Negation | None,
        trace: Trace,
        *,
        with_vectors: bool,
    ) -> None:
        """`hidden` are hashes of contents that are not shown."""
        self._library = library
        self._asked = asked
        self._preferred = _preferred(wanted)
        self._hidden = hidden
        self._negation = negation
        self._trace = trace
        self._with_vectors = with_vectors or negation is not None
        self._seen: set[int] = set()

    def entries(self, candidates: Iterable[Sequence[Candidate]]) -> Iterator[Entry]:
        """One entry a content, in the order of its best candidate."""
        for slice_ in candidates:
            for start in range(0, len(slice_), SLICE):
                yield from self._read(slice_[start : start + SLICE])

    def _read(self, candidates: Sequence[Candidate]) -> list[Entry]:
        ids = [candidate.item for candidate in candidates]
        with self._trace.time("describe"), self._library.reading() as connection:
            rows = contents.items(connection, ids)
            fresh = {row.content_id for row in rows.values()} - self._seen
            places = files.places(connection, sorted(fresh))
            vectors = self._vectors(connection, ids) if self._with_vectors else {}
        negated = self._negated(ids, vectors)
        entries = []
        for candidate in candidates:
            row = rows.get(candidate.item)
            if row is None or row.content_id in self._seen or row.hash in self._hidden:
                continue
            where = [place for place in places[row.content_id] if place.state != "missing"]
            if candidate.item in negated:
                self._trace.negated += 1
            elif where:
                self._seen.add(row.content_id)
                where.sort(key=lambda place: not self._preferred(place))
                entries.append(Entry(candidate, row, where, vectors.get(candidate.item)))
        return entries

    def _vectors(self, connection: Connection, ids: list[int]) -> dict[int, FloatVector]:
        space = self._asked.space
        held = spaces.vectors_of(connection, space.id, space.dimension, ids)
        return {item: vector.astype(np.float32) for item, vector in held.items()}

    def _negated(self, ids: Sequence[int], vectors: dict[int, FloatVector]) -> set[int]:
        held = [item for item in ids if item in vectors]
        if self._negation is None or not held:
            return set()
        with self._trace.time("negation"):
            stacked = np.stack([vectors[item] for item in held])
            is_out = self._negation(np.array(held, np.int64), stacked)
        return {item for item, out in zip(held, is_out.tolist(), strict=True) if out}


def _preferred(wanted: Filter | None) -> Callable[[FilePlace], bool]:
    """Whether a place is one that the filter asks for: it is shown before other copies."""
    leaves = [leaf for leaf in _leaves(wanted) if isinstance(leaf, filters.InFolder)]

    def is_preferred(place: FilePlace) -> bool:
        path = place.full_path
        return all(
            path.startswith(leaf.path.rstrip(b"/") + b"/")
            if leaf.path.startswith(b"/")
            else b"/" + leaf.path + b"/" in path
            for leaf in leaves
        )

    return is_preferred


def _leaves(wanted: Filter | None) -> Iterator[Filter]:
    """The filters that every hit must pass."""
    if isinstance(wanted, filters.AllOf):
        for one in wanted.filters:
            yield from _leaves(one)
    elif wanted is not None:
        yield wanted
