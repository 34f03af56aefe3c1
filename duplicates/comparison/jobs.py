"""Candidates made ready for a look: what the catalog says of both contents, and where they lie."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from pictor.duplicates.candidates.candidate_pairs import Candidates
from pictor.duplicates.comparison import metadata_verdict
from pictor.duplicates.comparison.content_places import Place, Places
from pictor.duplicates.comparison.facts import PairFacts, Side
from pictor.duplicates.comparison.job_order import reading_order
from pictor.duplicates.comparison.worker import LookTask, Subject
from pictor.library.catalog import fingerprints, pairs
from pictor.library.catalog.fingerprints import ContentFacts
from pictor.library.library import Library
from pictor.library.pairs import PairRow

#: Rises with every change of how pairs are found or judged: all contents are then compared anew.
COMPARISON = 2
#: Pairs made ready at once, and pairs that one process takes at a time.
SLICE, BATCH = 2048, 32
UNREAD = "none of its files can be read now"


class UnreadPair(NamedTuple):
    """A pair of which a content cannot be read; `unread` says which and why."""

    low: int
    high: int
    unread: dict[int, str]


@dataclass
class Slice:
    """Some pairs, by what is to be done with them.

    Attributes:
        batches: to look at.
        known: an earlier pass that was cut short has them.
        by_name: related, as their names say; one is a video, which is not looked at.
        passed: one is a video, and the names say nothing.
    """

    batches: list[list[LookTask]] = field(default_factory=list)
    known: list[PairRow] = field(default_factory=list)
    by_name: list[PairRow] = field(default_factory=list)
    unread: list[UnreadPair] = field(default_factory=list)
    passed: list[tuple[int, int]] = field(default_factory=list)


class _Known(NamedTuple):
    """What the catalog says of the contents of a slice."""

    facts: Mapping[int, ContentFacts]
    places: Mapping[int, Place]
    pairs: Mapping[tuple[int, int], PairRow]


class Tasks:
    """Makes tasks of candidates, and remembers which pair each is of until it is asked."""

    def __init__(self, library: Library, places: Places) -> None:
        """Nothing is looked up yet."""
        self._library = library
        self._places = places
        self._waiting: dict[int, tuple[int, int]] = {}
        self._next_id = 0

    def pair_of(self, task_id: int) -> tuple[int, int]:
        """(low, high) of a task, which is then forgotten."""
        return self._waiting.pop(task_id)

    def slices(self, found: Candidates) -> Iterator[Slice]:
        """All candidates, in an order in which few pictures are decoded twice."""
        order = reading_order(found.low, found.high)
        for start in range(0, len(order), SLICE):
            yield self._slice(found, order[start : start + SLICE].tolist())

    def _slice(self, found: Candidates, rows: list[int]) -> Slice:
        low, high = found.low[rows].tolist(), found.high[rows].tolist()
        known = self._look_up(set(low) | set(high))
        made = Slice()
        tasks: list[LookTask] = []
        for row, *pair in zip(rows, low, high, strict=True):
            task = self._sorted_in(found, row, (pair[0], pair[1]), known, made)
            if task is not None:
                tasks.append(task)
        made.batches = [tasks[start : start + BATCH] for start in range(0, len(tasks), BATCH)]
        return made

    def _look_up(self, ids: set[int]) -> _Known:
        with self._library.reading() as connection:
            facts = fingerprints.facts(connection, ids)
            rows = pairs.of_contents(connection, ids, version=COMPARISON)
        return _Known(facts, self._places.find(ids), {(row.low, row.high): row for row in rows})

    def _sorted_in(
        self, found: Candidates, row: int, pair: tuple[int, int], known: _Known, made: Slice
    ) -> LookTask | None:
        """A task, or None where the pair needs no look or can have none; `made` says which."""
        stored = known.pairs.get(pair)
        if stored is not None:
            made.known.append(stored)
            return None
        facts = _facts(found, row, *(known.facts[one] for one in pair))
        if facts.hash_distance is None:
            finding = metadata_verdict.related(facts)
            if finding is None:
                made.passed.append(pair)
            else:
                made.by_name.append(
                    PairRow(*pair, finding.kind, finding.confidence, finding.evidence)
                )
            return None
        lost = [one for one in pair if one not in known.places]
        if lost:
            made.unread.append(UnreadPair(*pair, dict.fromkeys(lost, UNREAD)))
            return None
        a, b = (Subject(one, known.facts[one].hash, known.places[one]) for one in pair)
        self._next_id += 1
        self._waiting[self._next_id] = pair
        return LookTask(self._next_id, a, b, facts)


def _facts(found: Candidates, row: int, a: ContentFacts, b: ContentFacts) -> PairFacts:
    bits, score = int(found.bits[row]), float(found.scores[row])
    return PairFacts(
        hash_distance=bits if bits >= 0 else None,
        orientation=int(found.turns[row]),
        vector_score=None if math.isnan(score) else score,
        a=Side(a.taken_at, a.camera, a.format, a.names),
        b=Side(b.taken_at, b.camera, b.format, b.names),
    )
