"""The loop of an indexing run: scan, read, encode, commit.

Work flows in one direction through bounded queues, and its steps overlap: processes decode, a lane
a device encodes, and this thread takes what both have done and commits it. Every few seconds what
is finished is committed in one transaction, so a kill costs at most that; the next run goes on from
there because the catalog is the only memory a run has.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

from pictor.indexer.backfill import Backfill
from pictor.indexer.decoded_files import DecodedFile, DecodedFiles
from pictor.indexer.file_counter import FileCounter
from pictor.indexer.journal import Journal
from pictor.indexer.lanes import Lanes
from pictor.indexer.messages import ReadOptions, ReadResult, ReadTask, WorkerOptions
from pictor.indexer.reader import BatchShape, Encoding, ReaderPool
from pictor.indexer.run_loop import run_loop
from pictor.indexer.scan import Scan
from pictor.indexer.spaces import OpenSpaces
from pictor.indexer.worker_pool import worker_count
from pictor.library import indexes
from pictor.library.catalog import spaces as catalog_spaces
from pictor.library.catalog.contents import content_states
from pictor.library.catalog.rows import ContentChange, ContentState
from pictor.library.errors import LibraryError
from pictor.library.observer import Observer, Progress
from pictor.library.records import TRANSIENT, Decoded, Outcome, Reason
from pictor.library.store import Store

#: A video stops giving frames at this share of the time limit; at the limit its process is ended.
SOFT_LIMIT_SHARE = 0.5
#: While a long run goes on, the index caches are renewed when so many items, and this share of all,
#: came after them: a search in the meantime reads them from the catalog, 20,000 in about 0.1 s.
FAR_BEHIND_ITEMS = 20_000
FAR_BEHIND_SHARE = 0.5


class Pipeline:
    """What one run does with what its scan finds. The caller holds the write lock.

    Attributes:
        encoded: items that got vectors so far.
    """

    def __init__(
        self,
        library: Store,
        spaces: OpenSpaces,
        scan: Scan,
        counter: FileCounter,
        journal: Journal,
        observer: Observer,
        *,
        retry: bool = False,
    ) -> None:
        """Nothing is done before `run`.

        Args:
            counter: of the scan's files, which `run` starts.
            retry: read contents again that failed or were skipped before.
        """
        self.encoded = 0
        self._library = library
        self._spaces = spaces
        self._scan = scan
        self._counter = counter
        self._journal = journal
        self._observer = observer
        self._retry = retry
        self._settings = library.settings.index
        self._in_flight: set[bytes] = set()
        self._refused: set[bytes] = set()
        self._lock = threading.Lock()
        self._lanes = Lanes()
        self._decoded = DecodedFiles()
        self._backfill: Backfill | None = None
        self._unsaved = 0
        self._held_before = 0
        self._settled = 0

    def run(self) -> bool:
        """Take results until there are no more, or until the observer stops it (True)."""
        with self._library.reading() as connection:
            self._held_before = catalog_spaces.count_items(connection)
        with self._counter, self._pool() as pool, self._lanes:
            if self._drain(pool, self._scan.tasks()):
                return True
            orphaned = self._journal.take_waiting()
            if orphaned and self._drain(pool, self._scan.again(orphaned)):
                return True
            self._commit(last=True)
            # What spaces lack is looked up only now that every file is known where it lies.
            self._backfill = lacking = Backfill.of(self._library, self._spaces)
            stopped = lacking is not None and self._drain(pool, lacking.tasks())
            for problem in lacking.problems if lacking else ():
                self._observer.notice(problem)
            return stopped

    def refresh_indexes(self) -> None:
        """Bring the spaces' index caches up to date; a failure is only a notice."""
        for space in self._spaces.spaces:
            row = next(row for row in self._library.spaces() if row.id == space.row.id)
            try:
                indexes.refresh(self._library, row)
            except (LibraryError, OSError) as error:
                self._observer.notice(
                    f"the index of {row.encoder} was not saved, searches build it: {error}"
                )
        self._unsaved = 0

    # --- reading

    def _pool(self) -> ReaderPool:
        settings = self._settings
        reading = ReadOptions.of(self._library.settings)
        deadline_s = settings.time_limit_s * SOFT_LIMIT_SHARE
        options = WorkerOptions(self._spaces.specs, reading, deadline_s)
        return ReaderPool(
            options,
            workers=worker_count(self._library.settings),
            time_limit_s=settings.time_limit_s,
            lookahead_bytes=settings.lookahead_mib << 20,
            wanted=self._wanted,
            encoding=Encoding(self._start_lanes, self._lanes.put, settings.checkpoint_s),
        )

    def _start_lanes(self, pool: ReaderPool) -> BatchShape:
        """Load the encoders, now that there is something for them."""
        assert pool.blocks is not None  # a pool with an encoding has one
        shape = BatchShape(self._spaces.batch_size, self._spaces.lanes)
        spaces = self._spaces.loaded()
        self._lanes.start(pool.blocks, spaces, shape.lanes, pool.release, pool.nudge)
        return shape

    def _wanted(self, digests: Sequence[bytes]) -> list[bool]:
        """Which contents must be decoded. Called from the reader's dispatcher thread."""
        with self._lock:
            new = [one for one in digests if not self._is_on_its_way(one)]
        with self._library.reading() as connection:
            states = content_states(connection, new) if new else {}
        fresh = {one for one in new if self._is_to_be_read(states.get(one))}
        answers = []
        with self._lock:
            for digest in digests:
                answers.append(digest in fresh)
                fresh.discard(digest)  # a second file of this content waits for the first
            self._in_flight.update(one for one, yes in zip(digests, answers, strict=True) if yes)
        return answers

    def _is_on_its_way(self, digest: bytes) -> bool:
        return digest in self._in_flight or digest in self._refused

    def _is_to_be_read(self, state: ContentState | None) -> bool:
        """Whether a content is new, or was refused and is to be tried again."""
        if state is None:
            return True
        return state.reason is not None and (self._retry or Reason(state.reason) in TRANSIENT)

    # --- the loop

    def _drain(self, pool: ReaderPool, tasks: Iterator[ReadTask]) -> bool:
        """Read, encode and commit what `tasks` give; True if the observer stopped it before."""
        stopped = run_loop(
            pool.run(tasks),
            self._take,
            self._commit,
            self._where,
            self._observer,
            self._settings.checkpoint_s,
        )
        self._take_frames()
        assert stopped or not self._decoded, "a file has no outcome"
        self._decoded.forget_frames()
        self._commit()
        return stopped

    def _take(self, result: ReadResult | None) -> None:
        """Sort what was read, and what was encoded, into what waits to be committed."""
        if result is not None:
            self._sort(result)
        self._take_frames()

    def _sort(self, result: ReadResult) -> None:
        pending = self._scan.pending.pop(result.task_id, None)
        if pending is None:
            self._take_backfilled(result)
            return
        self._journal.file_read(pending, result)
        if isinstance(result.pictures, Decoded) and result.digest is not None:
            captions = pending.found.captions
            file = DecodedFile(result.digest, result.size_bytes, result.pictures, captions)
            self._await_frames(result.task_id, file)
            return
        self._settled += 1
        if result.digest is not None and result.pictures is not None:
            with self._lock:
                if self._journal.file_failed(result):
                    self._in_flight.discard(result.digest)  # another path may give it
                else:
                    self._refused.add(result.digest)

    def _take_backfilled(self, result: ReadResult) -> None:
        assert self._backfill is not None  # it made the task
        file = self._backfill.accept(result)
        if isinstance(file, DecodedFile):
            self._await_frames(result.task_id, file)
        else:
            self._settled += 1
            self._observer.notice(file)

    def _await_frames(self, task_id: int, file: DecodedFile) -> None:
        change = self._decoded.add(task_id, file)
        if change is not None:
            self._note(file, change)

    def _take_frames(self) -> None:
        for frame in self._lanes.taken():
            whole = self._decoded.add_frame(frame)
            if whole is not None:
                self._note(*whole)

    def _note(self, file: DecodedFile, change: ContentChange) -> None:
        """A file has all of its vectors, or lacks one for good."""
        self._settled += 1
        if file.is_known and change.outcome is Outcome.FAILED:
            self._observer.notice(f"content {change.hash.hex()} lacks a vector: {change.detail}")
            return
        self.encoded += len(change.frames)
        self._unsaved += len(change.frames)
        self._journal.content(change)

    def _commit(self, *, last: bool = False) -> None:
        with self._lock:
            in_flight = frozenset(self._in_flight)
        committed = self._journal.commit(in_flight, last=last)
        with self._lock:
            self._in_flight -= committed
        total = self._held_before + self.encoded
        if self._unsaved > max(FAR_BEHIND_ITEMS, FAR_BEHIND_SHARE * total):
            self.refresh_indexes()

    def _where(self) -> Progress:
        scan = self._scan
        settled = self._settled + sum(scan.settled.values())
        total = scan.seen if scan.complete else max(self._counter.total, scan.seen)
        total = max(total, settled) if scan.complete or self._counter.total else 0
        encoded = f"encoded {self.encoded:,}".replace(",", " ") if self.encoded else ""
        return Progress("indexing", settled, total, "files", encoded)
