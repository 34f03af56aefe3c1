"""The loop: scan, read, encode, commit; and the counts that a run ends with.

Work flows in one direction through bounded queues. Every few seconds what is finished is committed
in one transaction, so a kill costs at most that; the next run goes on from there because the
catalog is the only memory a run has.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence

from sqlalchemy import Connection

from pictor.indexer import roots
from pictor.indexer.backfill import Backfill
from pictor.indexer.counting import FileCounter
from pictor.indexer.encode import DecodedFile, encode
from pictor.indexer.journal import Journal
from pictor.indexer.reader import ReaderPool
from pictor.indexer.roots import Scope
from pictor.indexer.run_loop import run_loop
from pictor.indexer.scan import Scan
from pictor.indexer.spaces import OpenSpaces
from pictor.indexer.summary import Summary
from pictor.indexer.worker import ReadOptions, ReadResult, ReadTask, WorkerOptions
from pictor.indexer.worker_pool import worker_count
from pictor.library import indexes
from pictor.library.catalog import files
from pictor.library.catalog import spaces as catalog_spaces
from pictor.library.catalog.contents import content_state
from pictor.library.errors import LibraryError
from pictor.library.library import Library
from pictor.library.names import display
from pictor.library.observer import Observer, Progress
from pictor.library.records import TRANSIENT, Decoded, Outcome, Reason

__all__ = ["Pipeline", "Summary"]

#: A video stops giving frames at this share of the time limit; at the limit its process is ended.
SOFT_LIMIT_SHARE = 0.5
#: While a long run goes on, the index caches are renewed when so many items, and this share of all,
#: came after them: a search in the meantime reads them from the catalog, 20,000 in about 0.1 s.
FAR_BEHIND_ITEMS = 20_000
FAR_BEHIND_SHARE = 0.5


class Pipeline:
    """One run over some scopes with spaces that are open. The caller holds the write lock."""

    def __init__(
        self,
        library: Library,
        spaces: OpenSpaces,
        observer: Observer,
        *,
        retry: bool = False,
    ) -> None:
        """Nothing is done before `run`.

        Args:
            retry: read contents again that failed or were skipped before.
        """
        self._library = library
        self._spaces = spaces
        self._observer = observer
        self._retry = retry
        self._settings = library.settings.index
        self._in_flight: set[bytes] = set()
        self._refused: set[bytes] = set()
        self._lock = threading.Lock()
        self._waiting: list[DecodedFile] = []
        self._waiting_items = 0
        self._waiting_since = 0.0
        self._encoded = 0
        self._unsaved = 0
        self._held_before = 0
        self._settled = 0

    def run(self, scopes: Sequence[Scope]) -> Summary:
        """Scan, read, encode and commit; the counts.

        Raises:
            SourceError: none of the scopes can be reached.
        """
        started = time.monotonic()
        with self._library.writing() as connection:
            run_id = files.start_run(connection)
            self._held_before = catalog_spaces.count_items(connection)
        reachable, unreachable = self._check(scopes)
        scan = Scan(self._library, reachable, run_id)
        self._journal = Journal(self._library, run_id, scan)
        stopped = self._loop(scan, reachable)
        return self._finish(run_id, scan, reachable, unreachable, stopped, started)

    # --- before

    def _check(self, scopes: Sequence[Scope]) -> tuple[list[Scope], list[str]]:
        """Which scopes can be scanned; the others are marked unreachable, with a notice."""
        reachable: list[Scope] = []
        reasons: list[str] = []
        names: list[str] = []
        with self._library.writing() as connection:
            for scope in scopes:
                reason, volume = roots.check_reachable(connection, scope.root)
                state = "unreachable" if reason else "reachable"
                files.set_root_state(connection, scope.root.id, state, reason or "", volume)
                if reason is None:
                    reachable.append(scope)
                else:
                    reasons.append(reason)
                    names.append(display(scope.root.location))
        roots.require_any_reachable(scopes, reasons)
        for name, reason in zip(names, reasons, strict=True):
            self._notice(f"{name!r} is unreachable, nothing of it was forgotten: {reason}")
        return reachable, names

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
        )

    def _wanted(self, digest: bytes) -> bool:
        """Whether a content must be decoded. Called from the reader's dispatcher thread."""
        with self._lock:
            if digest in self._in_flight or digest in self._refused:
                return False
        with self._library.reading() as connection:
            state = content_state(connection, digest)
        again = state is not None and state.reason is not None
        if state is not None and not (
            again and (self._retry or Reason(state.reason or "") in TRANSIENT)
        ):
            return False
        with self._lock:
            self._in_flight.add(digest)
        return True

    # --- the loop

    def _loop(self, scan: Scan, scopes: Sequence[Scope]) -> bool:
        """Take results until there are no more, or until the observer stops it (True)."""
        with FileCounter(self._library, scopes) as self._counter, self._pool() as pool:
            if self._drain(pool, scan.tasks(), scan):
                return True
            orphaned = self._journal.take_waiting()
            if orphaned and self._drain(pool, scan.again(orphaned), scan):
                return True
            self._commit(last=True)
            # What spaces lack is looked up only now that every file is known where it lies.
            lacking = Backfill.of(self._library, self._spaces)
            self._backfill = lacking
            stopped = lacking is not None and self._drain(pool, lacking.tasks(), scan)
            for problem in lacking.problems if lacking else ():
                self._notice(problem)
            return stopped

    def _drain(self, pool: ReaderPool, tasks: Iterator[ReadTask], scan: Scan) -> bool:
        """Read, encode and commit what `tasks` give; True if the observer stopped it before."""
        stopped = run_loop(
            pool.run(tasks),
            lambda result: self._take(result, scan),
            self._commit,
            lambda: self._where(scan),
            self._observer,
            self._settings.checkpoint_s,
        )
        if not stopped:
            self._encode()
        self._commit()
        return stopped

    def _take(self, result: ReadResult | None, scan: Scan) -> None:
        """Sort one result into what waits to be committed or encoded, and encode that if due."""
        if result is not None:
            self._settled += 1
            self._sort(result, scan)
        self._encode_if_due()

    def _sort(self, result: ReadResult, scan: Scan) -> None:
        pending = scan.pending.pop(result.task_id, None)
        if pending is None:
            self._take_backfilled(result)
            return
        self._journal.file_read(pending, result)
        if isinstance(result.outcome, Decoded) and result.digest is not None:
            captions = pending.found.captions
            self._wait(DecodedFile(result.digest, result.size_bytes, result.outcome, captions))
        elif result.digest is not None and result.outcome is not None:
            with self._lock:
                if self._journal.file_failed(result):
                    self._in_flight.discard(result.digest)  # another path may give it
                else:
                    self._refused.add(result.digest)

    def _take_backfilled(self, result: ReadResult) -> None:
        assert self._backfill is not None  # it made the task
        file = self._backfill.accept(result)
        if isinstance(file, DecodedFile):
            self._wait(file)
        else:
            self._notice(file)

    def _wait(self, file: DecodedFile) -> None:
        if not self._waiting:
            self._waiting_since = time.monotonic()
        self._waiting.append(file)
        self._waiting_items += len(file.decoded.frames)

    def _encode_if_due(self) -> None:
        if not self._waiting:
            return
        overdue = time.monotonic() - self._waiting_since > self._settings.checkpoint_s
        if overdue or self._waiting_items >= self._spaces.batch_size:
            self._encode()

    def _encode(self) -> None:
        if not self._waiting:
            return
        waiting, self._waiting, self._waiting_items = self._waiting, [], 0
        for file, change in zip(waiting, encode(waiting, self._spaces), strict=True):
            if file.is_known and change.outcome is Outcome.FAILED:
                self._notice(f"content {change.hash.hex()} lacks a vector: {change.detail}")
                continue
            self._encoded += len(change.frames)
            self._unsaved += len(change.frames)
            self._journal.content(change)

    def _commit(self, *, last: bool = False) -> None:
        with self._lock:
            in_flight = frozenset(self._in_flight)
        committed = self._journal.commit(in_flight, last=last)
        with self._lock:
            self._in_flight -= committed
        total = self._held_before + self._encoded
        if self._unsaved > max(FAR_BEHIND_ITEMS, FAR_BEHIND_SHARE * total):
            self._refresh_all()

    # --- after

    def _finish(
        self,
        run_id: int,
        scan: Scan,
        scopes: Sequence[Scope],
        unreachable: list[str],
        stopped: bool,
        started: float,
    ) -> Summary:
        """Mark what is missing, complete the spaces, and count."""
        complete = scan.complete and not stopped
        lost = self._note_lost(scan)
        with self._library.writing() as connection:
            if complete:
                files.mark_missing(connection, scan.missing, run_id)
            summary = self._count_outcomes(connection, run_id, scan, scopes)
            self._complete_spaces(connection, complete)
        for scope, problem in scan.problems:
            if scope.root.id in lost:
                continue
            where = display(scope.root.location + b"/" + problem.prefix)
            self._notice(f"{where!r} could not be listed: {problem.detail}")
        self._refresh_all()
        result = Summary(
            **summary,
            encoded=self._encoded,
            seconds=round(time.monotonic() - started, 3),
            stopped=stopped,
            unreachable=tuple(dict.fromkeys([*unreachable, *lost.values()])),
            notices=(),  # the run's observer has them
        )
        state = "interrupted" if stopped else "finished"
        with self._library.writing() as connection:
            files.finish_run(connection, run_id, state, summary | {"encoded": self._encoded})
        roots.require_any_reachable(scopes, [reason for _, reason in scan.lost])
        return result

    def _note_lost(self, scan: Scan) -> dict[int, str]:
        """Mark roots unreachable that broke off while they were listed; their names by id."""
        names: dict[int, str] = {}
        with self._library.writing() as connection:
            for scope, reason in scan.lost:
                names[scope.root.id] = name = display(scope.root.location)
                files.set_root_state(connection, scope.root.id, "unreachable", reason)
                self._notice(f"{name!r} is unreachable, nothing of it was forgotten: {reason}")
        return names

    def _count_outcomes(
        self, connection: Connection, run_id: int, scan: Scan, scopes: Sequence[Scope]
    ) -> dict[str, int]:
        """Rows this run wrote, by outcome, and rows it found settled; they make up all it saw."""
        written = files.outcomes_of_run(connection, run_id)
        counts = {o.value: written.get(o, 0) + scan.settled[o] for o in Outcome}
        conditions = [files.in_scope(scope.root.id, scope.prefix) for scope in scopes]
        counts["missing"] = files.count(connection, conditions, missing=True)
        counts["items"] = catalog_spaces.count_items(connection)
        return counts | {"seen": sum(counts[o] for o in Outcome)}

    def _complete_spaces(self, connection: Connection, complete: bool) -> None:
        """A space is ready once a run went through all it lacks; then it may become the default."""
        if not complete:
            return
        for space in self._spaces.spaces:
            catalog_spaces.set_state(connection, space.row.id, "ready")
        planned = catalog_spaces.planned_default(connection)
        if planned is not None and planned in [space.row.id for space in self._spaces.spaces]:
            catalog_spaces.set_default(connection, planned)

    def _refresh_all(self) -> None:
        for space in self._spaces.spaces:
            self._refresh(space.row.id)
        self._unsaved = 0

    def _refresh(self, space_id: int) -> None:
        """Bring a space's index cache up to date; it is a cache, so a failure is only a notice."""
        row = next(row for row in self._library.spaces() if row.id == space_id)
        try:
            indexes.refresh(self._library, row)
        except (LibraryError, OSError) as error:
            self._notice(f"the index of {row.encoder} was not saved, searches build it: {error}")

    # --- telling

    def _notice(self, text: str) -> None:
        self._observer.notice(text)

    def _where(self, scan: Scan) -> Progress:
        settled = self._settled + sum(scan.settled.values())
        total = scan.seen if scan.complete else max(self._counter.total, scan.seen)
        total = max(total, settled) if scan.complete or self._counter.total else 0
        encoded = f"encoded {self._encoded:,}".replace(",", " ") if self._encoded else ""
        return Progress("indexing", settled, total, "files", encoded)
