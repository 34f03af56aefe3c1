"""The comparing pass: contents that are new are held against all others, once.

It fills fingerprints that lack, finds candidates, looks at their pixels in processes of their own,
and stores what it found, different ones too. It commits every few seconds, and a content counts as
compared in the same transaction as the last of its pairs: a kill costs what was not committed.

A content that cannot be read now is the one that stays to do, not those it was to be held against.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from pictor.duplicates.candidates import candidate_pairs as finding
from pictor.duplicates.candidates.candidate_pairs import Candidates, Contents
from pictor.duplicates.candidates.hash_neighbours import MOST_NEIGHBOURS
from pictor.duplicates.candidates.transitive import ROUNDS, unseen_relatives
from pictor.duplicates.comparison.content_places import Places
from pictor.duplicates.comparison.fingerprint_run import fill, read_limits
from pictor.duplicates.comparison.jobs import COMPARISON, Tasks
from pictor.duplicates.comparison.pool import LookPool
from pictor.duplicates.comparison.worker import Looked, LookOptions, LookTask
from pictor.indexer.pipeline import MIB, default_workers
from pictor.library.catalog import fingerprints, pairs, spaces
from pictor.library.library import Library
from pictor.library.names import display
from pictor.library.observer import Observer, Progress, Silent
from pictor.library.pairs import DUPLICATES, Kind, PairRow

__all__ = ["COMPARISON", "Compared", "compare_all", "is_due"]

#: Pictures that each process keeps for pairs to come: some 150 of them.
CACHE_BYTES = 256 << 20
#: Contents that could not be read of which a pass says the reason.
MOST_NOTICES = 5


class Compared(NamedTuple):
    """What a pass did.

    Attributes:
        contents: that have a fingerprint; fresh: of those, what this pass held against all.
        candidates: pairs worth a look; looked_at: those that were, the rest was known or unread.
        pairs: of those looked at, that are alike in some way.
        candidate_recall: share of the nearest vectors that the search found, as measured on a
            sample; 1 where it was exact; None where nothing was searched.
        filled: fingerprints made; unread: contents that could not be read now.
        crowded: contents with more neighbours by hash than are compared.
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


def is_due(library: Library) -> bool:
    """Whether a pass would have anything to do."""
    with library.reading() as connection:
        if fingerprints.count_lacking(connection):
            return True
        return fingerprints.count_fresh(connection, COMPARISON) > 0


def compare_all(library: Library, observer: Observer | None = None) -> Compared:
    """Compare every content that is new since the last pass with all others.

    Raises:
        LibraryLocked: another process writes the library.
        KeyboardInterrupt: the observer stopped it; what was committed is kept.
    """
    watching = observer or Silent()
    started = time.monotonic()
    if not is_due(library):
        with library.reading() as connection:
            return Compared(fingerprints.count(connection), 0, 0, 0, 0, None)
    with library.writer():
        filled = fill(library, watching)
        with library.reading() as connection:
            rows = spaces.spaces(connection)
            contents = finding.load(connection, rows[0] if rows else None, COMPARISON)
            found = finding.find(connection, contents, lambda: _go_on(watching))
        done = _Pass(library, watching, contents).run(found)
    seconds = round(time.monotonic() - started, 3)
    unread = done.unread + filled.unread
    return done._replace(filled=filled.filled, unread=unread, seconds=seconds)


class _Pass:
    """One pass; what it found and did not yet commit."""

    def __init__(self, library: Library, observer: Observer, contents: Contents) -> None:
        self._library = library
        self._observer = observer
        self._contents = contents
        self._places = Places(library)
        self._tasks = Tasks(library, self._places)
        self._committed_at = time.monotonic()
        self._total = self._settled = self._looked_at = self._alike = 0
        # What the next commit writes.
        self._rows: list[PairRow] = []
        self._pixels: dict[int, bytes] = {}
        self._finished: list[int] = []
        # Of the whole pass.
        self._hashed: set[int] = set()
        self._unread: dict[int, str] = {}
        self._left = np.zeros(len(contents.ids), np.int64)
        #: Contents that have a duplicate: compared once their relatives are looked at too.
        self._with_copies: set[int] = set()

    def run(self, found: Candidates) -> Compared:
        """Look at what was found, and at what follows from it."""
        self._begin(found)
        with self._pool() as pool:
            self._look(pool, found)
            for _ in range(ROUNDS):
                with self._library.reading() as connection:
                    unseen = unseen_relatives(connection, self._with_copies, COMPARISON)
                if not unseen:
                    break
                self._total += len(unseen)
                self._look(pool, finding.between(self._contents, unseen))
        self._finished.extend(self._with_copies)
        self._with_copies = set()
        self._commit()
        self._tell()
        if found.crowded:
            self._observer.notice(
                f"{found.crowded:,} pictures have hashes like many others', as flat ones do; "
                f"each was compared with {MOST_NEIGHBOURS} of those only"
            )
        return Compared(
            contents=len(self._contents.ids),
            fresh=int(np.count_nonzero(self._contents.fresh)),
            candidates=self._total,
            looked_at=self._looked_at,
            pairs=self._alike,
            candidate_recall=found.recall if len(self._contents.fresh_stills) else None,
            unread=len(self._unread),
            crowded=found.crowded,
        )

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

    def _pool(self) -> LookPool:
        settings = self._library.settings.index
        options = LookOptions(
            limits=read_limits(self._library),
            max_file_bytes=settings.max_file_mib * MIB,
            fetch_timeout_s=settings.fetch_timeout_s,
            cache_bytes=CACHE_BYTES,
            offline=self._library.settings.network.offline,
        )
        workers = settings.workers or default_workers()
        return LookPool(options, workers=workers, time_limit_s=settings.time_limit_s)

    def _look(self, pool: LookPool, found: Candidates) -> None:
        """Look at pairs, and commit now and then.

        Raises:
            KeyboardInterrupt: the observer stopped it; what was found is committed.
        """
        for looked in pool.run(self._batches(found)):
            if looked is not None:
                self._take(looked)
            if time.monotonic() - self._committed_at > self._library.settings.index.checkpoint_s:
                self._commit()
            self._observer.progress(Progress(self._total, self._settled, self._settled, 0))
            if self._observer.should_stop():
                self._commit()
                raise KeyboardInterrupt
        self._commit()

    def _batches(self, found: Candidates) -> Iterator[list[LookTask]]:
        """The pairs that need a look, as work for processes; the others are settled on the way."""
        for part in self._tasks.slices(found):
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

    def _take(self, looked: Looked) -> None:
        low, high = self._tasks.pair_of(looked.task_id)
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
        self._committed_at = time.monotonic()
        finished = set(self._finished) - self._with_copies - self._unread.keys()
        if not (self._rows or self._pixels or finished or self._unread):
            return
        with self._library.writing() as connection:
            pairs.write(connection, self._rows, COMPARISON)
            fingerprints.write_pixels(connection, self._pixels)
            fingerprints.mark_compared(connection, finished, COMPARISON)
            fingerprints.mark_compared(connection, self._unread, 0)
        self._rows, self._pixels, self._finished = [], {}, []

    def _tell(self) -> None:
        """What a person should know of this pass."""
        with self._library.reading() as connection:
            some = fingerprints.facts(connection, list(self._unread)[:MOST_NOTICES])
        for content_id, facts in some.items():
            name = display(facts.names[0]) if facts.names else facts.hash.hex()
            self._observer.notice(f"{name!r} was not compared: {self._unread[content_id]}")
        more = len(self._unread) - len(some)
        if more > 0:
            self._observer.notice(f"{more:,} more were not compared; the next run tries again")
        for problem in self._places.problems:
            self._observer.notice(problem)


def _go_on(observer: Observer) -> None:
    if observer.should_stop():
        raise KeyboardInterrupt
