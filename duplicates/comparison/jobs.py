"""Candidates made ready for comparison: what the catalog says of both contents, and where they are.

Pairs are put into an order in which few pictures are decoded more than once.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from pictor.duplicates.candidates.candidate_pairs import Candidates
from pictor.duplicates.comparison import metadata_verdict
from pictor.duplicates.comparison.metadata_verdict import PairFacts
from pictor.duplicates.comparison.sketch import Sketch
from pictor.indexer.content_places import ContentPlace, ContentPlaces
from pictor.library.catalog import fingerprints, pairs
from pictor.library.catalog.fingerprints import ShotFacts
from pictor.library.pairs import PairRow
from pictor.library.records import IdArray
from pictor.library.store import Store

#: Rises with every change of how pairs are found or judged: all contents are then compared anew.
COMPARISON = 3
#: Pairs made ready at once.
SLICE = 2048
UNREAD = "none of its files can be read now"


class Subject(NamedTuple):
    """One content of a pair, and where to read it; `digest` is what its bytes must have."""

    content_id: int
    digest: bytes
    place: ContentPlace


class SketchJob(NamedTuple):
    """A content to decode and to sketch."""

    subject: Subject

    @property
    def ids(self) -> tuple[int]:
        """The content's."""
        return (self.subject.content_id,)


class PairJob(NamedTuple):
    """A pair to compare; `a` is the content with the lower id.

    Attributes:
        sketches: of both, for a first look; None where they are decoded at once.
    """

    a: Subject
    b: Subject
    facts: PairFacts
    sketches: tuple[Sketch, Sketch] | None = None

    @property
    def ids(self) -> tuple[int, int]:
        """(low, high) of the contents."""
        return self.a.content_id, self.b.content_id


@dataclass
class JobSlice:
    """Some pairs, by what is to be done with them.

    Attributes:
        jobs: to compare.
        known: an earlier run that was cut short has them.
        by_name: related, as their names say; one is a video, which is not compared.
        unread: (low, high, by content why it cannot be read).
        passed: one is a video, and the names say nothing.
    """

    jobs: list[PairJob] = field(default_factory=list)
    known: list[PairRow] = field(default_factory=list)
    by_name: list[PairRow] = field(default_factory=list)
    unread: list[tuple[int, int, dict[int, str]]] = field(default_factory=list)
    passed: list[tuple[int, int]] = field(default_factory=list)


class _SliceFacts(NamedTuple):
    """What the catalog says of the contents of a slice."""

    facts: Mapping[int, ShotFacts]
    places: Mapping[int, ContentPlace]
    pairs: Mapping[tuple[int, int], PairRow]


class Jobs:
    """Makes jobs of candidates."""

    def __init__(self, library: Store, places: ContentPlaces) -> None:
        """Nothing is looked up yet."""
        self._library = library
        self._places = places

    def slices(self, found: Candidates) -> Iterator[JobSlice]:
        """All candidates, in an order in which few pictures are decoded twice."""
        order = reading_order(found.low, found.high)
        for start in range(0, len(order), SLICE):
            yield self._slice(found, order[start : start + SLICE].tolist())

    def _slice(self, found: Candidates, rows: list[int]) -> JobSlice:
        low, high = found.low[rows].tolist(), found.high[rows].tolist()
        known = self._look_up(set(low) | set(high))
        made = JobSlice()
        for row, *pair in zip(rows, low, high, strict=True):
            self._sort_in(found, row, (pair[0], pair[1]), known, made)
        return made

    def _look_up(self, ids: set[int]) -> _SliceFacts:
        with self._library.reading() as connection:
            facts = fingerprints.facts(connection, ids)
            rows = pairs.of_contents(connection, ids, version=COMPARISON)
        return _SliceFacts(
            facts, self._places.find(ids), {(row.low, row.high): row for row in rows}
        )

    def _sort_in(
        self, found: Candidates, row: int, pair: tuple[int, int], known: _SliceFacts, made: JobSlice
    ) -> None:
        """Put a pair with those that are compared, or that need no look or can have none."""
        stored = known.pairs.get(pair)
        if stored is not None:
            made.known.append(stored)
            return
        facts = _facts(found, row, *(known.facts[one] for one in pair))
        if facts.hash_distance is None:
            finding = metadata_verdict.related(facts)
            if finding is None:
                made.passed.append(pair)
            else:
                made.by_name.append(
                    PairRow(*pair, finding.kind, finding.confidence, finding.evidence)
                )
            return
        lost = [one for one in pair if one not in known.places]
        if lost:
            made.unread.append((*pair, dict.fromkeys(lost, UNREAD)))
            return
        a, b = (Subject(one, known.facts[one].hash, known.places[one]) for one in pair)
        made.jobs.append(PairJob(a, b, facts))


def _facts(found: Candidates, row: int, a: ShotFacts, b: ShotFacts) -> PairFacts:
    bits, score = int(found.bits[row]), float(found.scores[row])
    return PairFacts(
        hash_distance=bits if bits >= 0 else None,
        orientation=int(found.turns[row]),
        vector_score=None if math.isnan(score) else score,
        a=a,
        b=b,
    )


def reading_order(low: IdArray, high: IdArray) -> IdArray:
    """The order of p pairs in which contents come up near to where they came up before.

    Contents are numbered breadth first from each that has no number yet, as Cuthill and McKee
    (1969) narrow the band of a matrix, and a pair stands where its later content does.
    """
    if not len(low):
        return np.empty(0, np.int64)
    ids, rows = np.unique(np.concatenate([low, high]), return_inverse=True)
    left, right = rows[: len(low)], rows[len(low) :]
    ends = np.concatenate([left, right])
    others = np.concatenate([right, left])[np.argsort(ends, kind="stable")].tolist()
    starts = np.searchsorted(np.sort(ends), np.arange(len(ids) + 1)).tolist()
    number = np.array(_numbered(others, starts), np.int64)
    first, second = number[left], number[right]
    return np.lexsort((np.minimum(first, second), np.maximum(first, second)))


def _numbered(others: list[int], starts: list[int]) -> list[int]:
    """The place of each content in a walk that is breadth first, component by component."""
    count = len(starts) - 1
    number = [-1] * count
    step = 0
    for root in range(count):
        if number[root] >= 0:
            continue
        number[root], step = step, step + 1
        waiting = deque([root])
        while waiting:
            at = waiting.popleft()
            for other in others[starts[at] : starts[at + 1]]:
                if number[other] < 0:
                    number[other], step = step, step + 1
                    waiting.append(other)
    return number
