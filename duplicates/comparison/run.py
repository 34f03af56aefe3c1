"""A comparison run: contents that are new are compared with all others, once.

It fills missing fingerprints, finds candidates, compares their pixels in processes of their own,
and stores what it found, different ones too. It commits every few seconds, and a content counts as
compared in the same transaction as the last of its pairs: a kill costs what was not committed.

A content that cannot be read now stays to do; those it was to be compared with do not.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pictor.duplicates.candidates import candidate_pairs
from pictor.duplicates.candidates.candidate_pairs import ROUNDS, Candidates, FingerprintTable
from pictor.duplicates.candidates.hash_neighbours import MOST_NEIGHBOURS
from pictor.duplicates.comparison.jobs import COMPARISON, Jobs, JobSlice, PairJob
from pictor.duplicates.comparison.missing_fingerprints import NOT_COMPARED, fill
from pictor.duplicates.comparison.sketches import Sketches
from pictor.duplicates.comparison.workers import (
    ComparisonOptions,
    ComparisonPool,
    Job,
    PairResult,
    Result,
    SketchResult,
)
from pictor.indexer.content_places import ContentPlaces
from pictor.indexer.messages import ReadOptions
from pictor.indexer.run_loop import run_loop
from pictor.indexer.worker_pool import worker_count
from pictor.library.catalog import fingerprints, pairs, spaces
from pictor.library.names import display
from pictor.library.observer import SILENT, Observer, Progress, Stopped
from pictor.library.pairs import DUPLICATES, Kind, PairRow
from pictor.library.store import Store

__all__ = ["COMPARISON", "Compared", "compare_all", "is_due"]

#: Pictures that each process keeps for pairs to come: some 150 of them.
CACHE_BYTES = 256 << 20
#: Sketches that are kept for pairs to come: 20,000 and more. In the order of pairs a third of
#: all contents is still to come up again.
SKETCH_BYTES = 640 << 20
#: Contents that could not be read of which a run says the reason.
MOST_NOTICES = 5


class Compared(NamedTuple):
    """What a run did.

    Attributes:
        contents: that have a fingerprint; fresh: of those, what this run compared with all.
        candidates: pairs worth comparing; looked_at: those that were, the rest was known or unread.
        pairs: of those, that are alike in some way.
        candidate_recall: share of the nearest vectors that the search found, as measured on a
            sample; 1 where it was exact; None where nothing was searched.
        filled: fingerprints made; unread: contents that could not be read now.
        crowded: contents with more neighbours by hash than are compared.
        stopped: the observer ended the run; what was found until then is kept.
    """

    contents: int
    fresh: int
    candidates: int
    looked_at: int
    pairs: int
    candidate_recall: float | None
    filled: int = 0
    unread: int = 0
    crowded: int = 0
    seconds: float = 0.0
    stopped: bool = False


def is_due(library: Store) -> bool:
    """Whether a run would have anything to do."""
    with library.reading() as connection:
        if fingerprints.count_lacking(connection):
            return True
        return fingerprints.count_fresh(connection, COMPARISON) > 0


def compare_all(library: Store, observer: Observer = SILENT) -> Compared:
    """Compare every content that is new since the last run with all others.

    Raises:
        LibraryLocked: another process writes the library.
    """
    started = time.monotonic()
    if not is_due(library):
        return _nothing(library)
    with library.writer():
        filled = fill(library, observer)
        done = _nothing(library) if filled.stopped else _compared(library, observer)
    return done._replace(
        filled=filled.filled,
        unread=done.unread + filled.unread,
        seconds=round(time.monotonic() - started, 3),
        stopped=filled.stopped or done.stopped,
    )


def _nothing(library: Store) -> Compared:
    with library.reading() as connection:
        return Compared(fingerprints.count(connection), 0, 0, 0, 0, None)


def _compared(library: Store, observer: Observer) -> Compared:
    try:
        with library.reading() as connection:
            rows = spaces.spaces(connection)
            contents = candidate_pairs.load(connection, rows[0] if rows else None, COMPARISON)
            found = candidate_pairs.find(connection, contents, observer)
    except Stopped:
        return _nothing(library)._replace(stopped=True)
    return _ComparisonRun(library, observer, contents).run(found)


class _ComparisonRun:
    """One run; what it found and did not yet commit."""

    def __init__(self, library: Store, observer: Observer, contents: FingerprintTable) -> None:
        self._library = library
        self._observer = observer
        self._contents = contents
        self._places = ContentPlaces(library)
        self._jobs = Jobs(library, self._places)
        self._sketches = Sketches(SKETCH_BYTES)
        self._total = self._settled = self._looked_at = self._alike = 0
        # What the next commit writes.
        self._rows: list[PairRow] = []
        self._pixels: dict[int, bytes] = {}
        self._finished: list[int] = []
        # Of the whole run.
        self._hashed: set[int] = set()
        self._unread: dict[int, str] = {}
        self._left = np.zeros(len(contents.ids), np.int64)
        #: Contents that have a duplicate: compared once their relatives are too.
        self._with_copies: set[int] = set()

    def run(self, found: Candidates) -> Compared:
        """Compare what was found, and what follows from it."""
        self._begin(found)
        stopped = self._compare_all(found)
        if not stopped:
            self._finished.extend(self._with_copies)
            self._with_copies = set()
            self._commit()
            self._tell(found.crowded)
        return Compared(
            contents=len(self._contents.ids),
            fresh=int(np.count_nonzero(self._contents.fresh)),
            candidates=self._total,
            looked_at=self._looked_at,
            pairs=self._alike,
            candidate_recall=found.recall if len(self._contents.fresh_stills) else None,
            unread=len(self._unread),
            crowded=found.crowded,
            stopped=stopped,
        )

    def _compare_all(self, found: Candidates) -> bool:
        """Compare what was found and the relatives of duplicates; True if it was stopped."""
        with self._pool() as pool:
            stopped = self._compare(pool, found)
            for _ in range(ROUNDS):
                if stopped:
                    break
                with self._library.reading() as connection:
                    copied = self._with_copies
                    unseen = candidate_pairs.unseen_relatives(connection, copied, COMPARISON)
                if not unseen:
                    break
                self._total += len(unseen)
                stopped = self._compare(pool, candidate_pairs.between(self._contents, unseen))
        return stopped

    def _begin(self, found: Candidates) -> None:
        """Count the pairs of each fresh content; one without any is compared by now."""
        contents = self._contents
        self._total = len(found)
        for side in (found.low, found.high):
            self._left += np.bincount(contents.rows_of(side), minlength=len(contents.ids))
        self._left[~contents.fresh] = 0
        alone = contents.fresh & (self._left == 0)
        self._finished.extend(contents.ids[alone].tolist())
        self._commit()

    def _pool(self) -> ComparisonPool:
        settings = self._library.settings
        options = ComparisonOptions(ReadOptions.of(settings), CACHE_BYTES)
        limit = settings.index.time_limit_s
        return ComparisonPool(options, workers=worker_count(settings), time_limit_s=limit)

    def _compare(self, pool: ComparisonPool, found: Candidates) -> bool:
        """Compare pairs and commit what was found; True if the observer stopped it."""
        for part in self._jobs.slices(found):
            self._settle_unlooked(part)
            lacking = self._sketches.lacking(part.jobs)
            if self._done(pool, [job for job in lacking if not self._unread.keys() & job.ids]):
                return True
            if self._done(pool, self._sketched(part)):
                return True
        self._commit()
        return False

    def _done(self, pool: ComparisonPool, jobs: Sequence[Job]) -> bool:
        """Do some jobs and commit what they gave; True if the observer stopped it."""
        stopped = run_loop(
            pool.run(jobs),
            self._take,
            self._commit,
            lambda: Progress("comparing", self._settled, self._total, "pairs"),
            self._observer,
            self._library.settings.index.checkpoint_s,
        )
        self._commit()
        return stopped

    def _settle_unlooked(self, part: JobSlice) -> None:
        """The pairs of a slice whose pixels are not compared."""
        for row in part.known:
            self._note(row)
        for row in part.by_name:
            self._rows.append(row)
            self._note(row)
        for low, high, unread in part.unread:
            self._not_read(low, high, unread)
        for low, high in part.passed:
            self._settle(low, high)

    def _sketched(self, part: JobSlice) -> list[PairJob]:
        """The pairs of a slice to compare, with their sketches; without those that are unread."""
        jobs = []
        for job in part.jobs:
            unread = {one: self._unread[one] for one in job.ids if one in self._unread}
            if unread:
                self._not_read(*job.ids, unread)
            else:
                jobs.append(self._sketches.with_sketches(job))
        return jobs

    def _take(self, result: Result | None) -> None:
        if isinstance(result, SketchResult):
            self._take_sketch(result)
        elif result is not None:
            self._take_pair(result)

    def _take_sketch(self, made: SketchResult) -> None:
        if made.sketch is None:
            self._unread[made.content_id] = made.unread
        else:
            self._sketches.keep(made.content_id, made.sketch)
            self._take_pixels({made.content_id: made.pixels})

    def _take_pixels(self, pixels: Mapping[int, bytes]) -> None:
        fresh_pixels = pixels.keys() - self._hashed
        self._pixels.update((one, pixels[one]) for one in fresh_pixels)
        self._hashed |= fresh_pixels

    def _take_pair(self, looked: PairResult) -> None:
        low, high = looked.pair
        self._take_pixels(looked.pixels)
        if looked.finding is None:
            self._not_read(low, high, looked.unread)
            return
        self._looked_at += 1
        self._alike += looked.finding.kind is not Kind.DIFFERENT
        row = PairRow(low, high, *looked.finding)
        self._rows.append(row)
        self._note(row)

    def _note(self, row: PairRow) -> None:
        """A pair whose kind is known."""
        if row.kind in DUPLICATES:
            fresh = self._contents.fresh
            rows = self._contents.rows_of(np.array([row.low, row.high]))
            self._with_copies.update(
                one for one, at in zip((row.low, row.high), rows, strict=True) if fresh[at]
            )
        self._settle(row.low, row.high)

    def _not_read(self, low: int, high: int, unread: Mapping[int, str]) -> None:
        """A pair of which a content could not be read: that one stays to do."""
        self._unread.update(unread)
        self._settle(low, high)

    def _settle(self, low: int, high: int) -> None:
        """One pair less; a fresh content whose last one it was is compared."""
        self._settled += 1
        for one, at in zip((low, high), self._contents.rows_of(np.array([low, high])), strict=True):
            self._left[at] -= 1
            if self._left[at] == 0 and self._contents.fresh[at]:
                self._finished.append(one)

    def _commit(self) -> None:
        """One transaction: what was found, and which contents are compared by that."""
        finished = set(self._finished) - self._with_copies - self._unread.keys()
        if not (self._rows or self._pixels or finished or self._unread):
            return
        with self._library.writing() as connection:
            pairs.write(connection, self._rows, COMPARISON)
            fingerprints.write_pixels(connection, self._pixels)
            fingerprints.mark_compared(connection, finished, COMPARISON)
            fingerprints.mark_compared(connection, self._unread, 0)
        self._rows, self._pixels, self._finished = [], {}, []

    def _tell(self, crowded: int) -> None:
        """What a person should know of this run."""
        with self._library.reading() as connection:
            some = fingerprints.facts(connection, list(self._unread)[:MOST_NOTICES])
        for content_id, facts in some.items():
            name = display(facts.names[0]) if facts.names else facts.hash.hex()
            self._observer.notice(f"{name!r} was not compared: {self._unread[content_id]}")
        more = len(self._unread) - len(some)
        if more > 0:
            self._observer.notice(f"{more:,} more were not compared; the next run tries again")
        for problem in self._places.archives.problems.values():
            self._observer.notice(f"{NOT_COMPARED}: {problem}")
        if crowded:
            self._observer.notice(
                f"{crowded:,} pictures have hashes like many others', as flat ones do; "
                f"each was compared with only {MOST_NEIGHBOURS} of them"
            )
