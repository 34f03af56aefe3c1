"""A comparison run: contents that are new are compared with all others, once.

It fills missing fingerprints, finds candidates, compares their pixels in processes of their own,
and stores what it found, different ones too. It commits every few seconds, and a content counts as
compared in the same transaction as the last of its pairs: a kill costs what was not committed.

A content that cannot be read now stays to do; those it was to be compared with do not.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from itertools import count
from typing import NamedTuple

import numpy as np

from pictor.duplicates.candidates import candidate_pairs
from pictor.duplicates.candidates.candidate_pairs import ROUNDS, Candidates, FingerprintTable
from pictor.duplicates.candidates.hash_neighbours import MOST_NEIGHBOURS
from pictor.duplicates.comparison.jobs import COMPARISON, Jobs, PairJob
from pictor.duplicates.comparison.workers import ComparisonOptions, ComparisonPool, PairResult
from pictor.indexer.content_places import ContentPlaces
from pictor.indexer.reader import ReaderPool
from pictor.indexer.run_loop import run_loop
from pictor.indexer.worker import ReadOptions, ReadResult, ReadTask, WorkerOptions
from pictor.indexer.worker_pool import worker_count
from pictor.library.catalog import fingerprints, pairs, spaces
from pictor.library.names import display
from pictor.library.observer import SILENT, Observer, Progress, Stopped
from pictor.library.pairs import DUPLICATES, Kind, PairRow
from pictor.library.records import Decoded
from pictor.library.store import Store

__all__ = ["COMPARISON", "Compared", "compare_all", "is_due"]

#: Pictures that each process keeps for pairs to come: some 150 of them.
CACHE_BYTES = 256 << 20
#: Contents that could not be read of which a run says the reason.
MOST_NOTICES = 5
NOT_COMPARED = "its contents were not compared"  # of an archive that cannot be listed
#: Contents without a fingerprint that are looked up at once.
FILL_PAGE = 500


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


class Filled(NamedTuple):
    """Contents that got their fingerprint, and those whose files could not be read now."""

    filled: int
    unread: int
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


def fill(library: Store, observer: Observer) -> Filled:
    """Make the fingerprints that lack; hold the write lock. Videos get a row without hashes.

    What cannot be read now is left for the next time. Commits every few seconds.
    """
    with library.reading() as connection:
        total = fingerprints.count_lacking(connection)
    return _FingerprintRun(library, observer, total).run() if total else Filled(0, 0)


class _ComparisonRun:
    """One run; what it found and did not yet commit."""

    def __init__(self, library: Store, observer: Observer, contents: FingerprintTable) -> None:
        self._library = library
        self._observer = observer
        self._contents = contents
        self._places = ContentPlaces(library)
        self._jobs = Jobs(library, self._places)
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
        stopped = run_loop(
            pool.run(self._batches(found)),
            self._take,
            self._commit,
            lambda: Progress("comparing", self._settled, self._total, "pairs"),
            self._observer,
            self._library.settings.index.checkpoint_s,
        )
        self._commit()
        return stopped

    def _batches(self, found: Candidates) -> Iterator[list[PairJob]]:
        """Pairs to compare by pixels, as work for processes; the others are settled on the way."""
        for part in self._jobs.slices(found):
            for row in part.known:
                self._note(row)
            for row in part.by_name:
                self._rows.append(row)
                self._note(row)
            for low, high, unread in part.unread:
                self._not_read(low, high, unread)
            for low, high in part.passed:
                self._settle(low, high)
            yield from part.batches

    def _take(self, looked: PairResult | None) -> None:
        if looked is None:
            return
        low, high = looked.pair
        fresh_pixels = looked.pixels.keys() - self._hashed
        self._pixels.update((one, looked.pixels[one]) for one in fresh_pixels)
        self._hashed |= fresh_pixels
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


class _FingerprintRun:
    """One run over what lacks a fingerprint. `tasks` runs in the pool's feeder thread."""

    def __init__(self, library: Store, observer: Observer, total: int) -> None:
        self._library = library
        self._observer = observer
        self._total = total
        self._places = ContentPlaces(library)
        self._expected: dict[int, tuple[int, bytes]] = {}
        self._numbers = count(1)
        self._ready: dict[int, bytes] = {}
        self._filled = 0
        self._unread = 0
        self._done = 0

    def run(self) -> Filled:
        settings = self._library.settings.index
        options = WorkerOptions((), ReadOptions.of(self._library.settings), settings.time_limit_s)
        pool = ReaderPool(
            options,
            workers=worker_count(self._library.settings),
            time_limit_s=settings.time_limit_s,
            lookahead_bytes=settings.lookahead_mib << 20,
            wanted=lambda _: True,
        )
        with pool:
            stopped = run_loop(
                pool.run(self._tasks()),
                self._take,
                self._commit,
                lambda: Progress("fingerprinting", self._done, self._total, "pictures"),
                self._observer,
                settings.checkpoint_s,
            )
        self._commit()
        if stopped:
            return Filled(self._filled, 0, stopped=True)
        for problem in self._places.archives.problems.values():
            self._observer.notice(f"{NOT_COMPARED}: {problem}")
        return Filled(self._filled, self._total - self._filled)

    def _tasks(self) -> Iterator[ReadTask]:
        last = 0
        while True:
            with self._library.reading() as connection:
                page = fingerprints.lacking(connection, last, FILL_PAGE)
            if not page:
                return
            last = page[-1][0]
            self._ready.update((one, fingerprints.NO_HASHES) for one, _, still in page if not still)
            places = self._places.find(one for one, _, still in page if still)
            for content_id, digest, _ in page:
                if content_id in places:
                    number = next(self._numbers)
                    self._expected[number] = (content_id, digest)
                    yield ReadTask(number, places[content_id].locator, -1, -1, forced=True)

    def _take(self, result: ReadResult | None) -> None:
        if result is None:
            return
        content_id, digest = self._expected.pop(result.task_id)
        self._done += 1
        found = result.pictures
        if isinstance(found, Decoded) and found.hashes is not None and result.digest == digest:
            self._ready[content_id] = found.hashes

    def _commit(self) -> None:
        ready = {self_id: self._ready.pop(self_id) for self_id in list(self._ready)}
        if ready:
            with self._library.writing() as connection:
                fingerprints.write(connection, ready)
            self._filled += len(ready)
