"""Sketches of a run: which are lacking, and those that are kept for pairs to come."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from pictor.duplicates.candidates.hash_neighbours import RADIUS
from pictor.duplicates.comparison.jobs import PairJob, SketchJob
from pictor.duplicates.comparison.metadata_verdict import SIMILAR_SCORE, PairFacts
from pictor.duplicates.comparison.sketch import Sketch


class Sketches:
    """The sketches that were used last, by content, up to a number of bytes."""

    def __init__(self, most_bytes: int) -> None:
        """None yet."""
        self._most_bytes = most_bytes
        self._kept: OrderedDict[int, Sketch] = OrderedDict()
        self._bytes = 0

    def lacking(self, pairs: Iterable[PairJob]) -> list[SketchJob]:
        """What is to be sketched before pairs are compared, in their order."""
        doubtful = [pair for pair in pairs if _is_doubtful(pair.facts)]
        subjects = {one.content_id: one for pair in doubtful for one in (pair.a, pair.b)}
        return [SketchJob(one) for key, one in subjects.items() if key not in self._kept]

    def keep(self, content_id: int, sketch: Sketch) -> None:
        """Keep one for pairs to come; those unused for longest go."""
        self._kept[content_id] = sketch
        self._bytes += sketch.nbytes
        while self._bytes > self._most_bytes:
            self._bytes -= self._kept.popitem(last=False)[1].nbytes

    def with_sketches(self, pair: PairJob) -> PairJob:
        """The same pair with its sketches, if it needs a first look and both are there."""
        if not _is_doubtful(pair.facts) or not self._kept.keys() >= set(pair.ids):
            return pair
        for one in pair.ids:
            self._kept.move_to_end(one)
        low, high = pair.ids
        return pair._replace(sketches=(self._kept[low], self._kept[high]))


def _is_doubtful(facts: PairFacts) -> bool:
    """Whether two contents are so little alike that a first look may refuse them."""
    is_near = facts.hash_distance is not None and facts.hash_distance <= RADIUS
    return not is_near and (facts.vector_score or 0.0) < SIMILAR_SCORE
