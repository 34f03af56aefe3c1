"""From candidates to what is shown: where their files lie, one entry a content.

Entries are read a few at a time, so that a page costs what the page weighs. What is negated, hidden
or nowhere to be found is left out here, and the next candidates move up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from pictor.library.catalog import contents, files, filters
from pictor.library.catalog.filters import Filter
from pictor.library.catalog.rows import FilePlace, ItemRow
from pictor.library.records import FloatVector
from pictor.search.cutoff import Candidate
from pictor.search.negative_parts import exclusion
from pictor.search.run import SearchRun

SLICE = 48  # candidates read at once: a page of the usual size and some that fold


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

    def __init__(self, run: SearchRun) -> None:
        """Nothing is read yet.

        Raises:
            QueryError: what the negative parts leave out cannot be told.
        """
        self._run = run
        self._exclusion = exclusion(run)
        self._is_preferred = _preferred(run.query.filter)
        needs = run.options.is_folded or run.options.diversity > 0 or self._exclusion is not None
        self._needs_vectors = needs
        self._seen: set[int] = set()

    def entries(self, candidates: Iterable[Sequence[Candidate]]) -> Iterator[Entry]:
        """One entry a content, in the order of its best candidate."""
        for slice_ in candidates:
            for start in range(0, len(slice_), SLICE):
                yield from self._read(slice_[start : start + SLICE])

    def _read(self, candidates: Sequence[Candidate]) -> list[Entry]:
        ids = [candidate.item for candidate in candidates]
        run = self._run
        with run.trace.time("describe"):
            rows = contents.items(run.connection, ids)
            fresh = {row.content_id for row in rows.values()} - self._seen
            places = files.places(run.connection, sorted(fresh))
            vectors = self._vectors(candidates) if self._needs_vectors else {}
        excluded = self._excluded(ids, vectors)
        entries = []
        for candidate in candidates:
            row = rows.get(candidate.item)
            if row is None or row.content_id in self._seen or row.hash in run.hidden:
                continue
            where = [place for place in places[row.content_id] if place.state != "missing"]
            if candidate.item in excluded:
                run.trace.negated += 1
            elif where:
                self._seen.add(row.content_id)
                where.sort(key=lambda place: not self._is_preferred(place))
                entries.append(Entry(candidate, row, where, vectors.get(candidate.item)))
        return entries

    def _vectors(self, candidates: Sequence[Candidate]) -> dict[int, FloatVector]:
        """In the first space, of those that have one there."""
        known = {c.item: c.vector for c in candidates if c.space == 0 and c.vector is not None}
        return self._run.vectors(0, [candidate.item for candidate in candidates], known)

    def _excluded(self, ids: Sequence[int], vectors: dict[int, FloatVector]) -> set[int]:
        held = [item for item in ids if item in vectors]
        if self._exclusion is None or not held:
            return set()
        with self._run.trace.time("negation"):
            stacked = np.stack([vectors[item] for item in held])
            is_out = self._exclusion(np.array(held, np.int64), stacked)
        return {item for item, out in zip(held, is_out.tolist(), strict=True) if out}


def _preferred(wanted: Filter | None) -> Callable[[FilePlace], bool]:
    """Whether a place is one that the filter asks for: it is shown before other copies."""
    folders = [leaf.path for leaf in _leaves(wanted) if isinstance(leaf, filters.InFolder)]

    def is_preferred(place: FilePlace) -> bool:
        return all(
            place.full_path.startswith(folder.rstrip(b"/") + b"/")
            if folder.startswith(b"/")
            else b"/" + folder + b"/" in place.full_path
            for folder in folders
        )

    return is_preferred


def _leaves(wanted: Filter | None) -> Iterator[Filter]:
    """The filters that every hit must pass."""
    if isinstance(wanted, filters.AllOf):
        for one in wanted.filters:
            yield from _leaves(one)
    elif wanted is not None:
        yield wanted
