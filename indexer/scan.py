"""Comparing what is there with what the catalog knows, in one pass and constant memory.

Both sides come in ascending byte order of paths, so they are merged like two sorted lists: a file
without a row is new, a row without a file is missing, a pair with equal size and time is settled at
the cost of one stat. The rows are read page by page, so that no long transaction is held.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_

from pictor.indexer.messages import ReadTask
from pictor.indexer.roots import Scope
from pictor.indexer.sources.base import FoundFile, ScanProblem
from pictor.library.catalog import files
from pictor.library.catalog.rows import FileChange, FileRow
from pictor.library.catalog.schema import FILE
from pictor.library.errors import SourceError
from pictor.library.names import display
from pictor.library.records import TRANSIENT, Outcome, Reason, outcome_of
from pictor.library.store import Store

#: Rows of the catalog read at once.
PAGE = 5000
GOOD = frozenset({Outcome.INDEXED.value, Outcome.UNCHANGED.value, Outcome.MOVED.value})
#: Largest time a catalog stores: 64 bits of nanoseconds end in the year 2262, file systems later.
MAX_NS = (1 << 63) - 1


def stored_ns(mtime_ns: int) -> int:
    """A file's time as the catalog holds it."""
    return max(-MAX_NS, min(mtime_ns, MAX_NS))


@dataclass(frozen=True)
class Pending:
    """A file that is being read: where it is, what the scan saw, the row it has."""

    root_id: int
    found: FoundFile
    row: FileRow | None

    def change(
        self,
        outcome: Outcome,
        digest: bytes | None,
        reason: Reason | None = None,
        detail: str | None = None,
        file_id: int | None = None,
    ) -> FileChange:
        """What becomes of it, in another row than its own if one is named."""
        row = self.row
        return FileChange(
            root_id=self.root_id,
            path=self.found.path,
            size_bytes=self.found.size_bytes,
            mtime_ns=stored_ns(self.found.mtime_ns),
            outcome=outcome,
            file_id=file_id if file_id is not None else (row.id if row else None),
            hash=digest,
            reason=reason,
            detail=detail,
        )


class Scan:
    """One pass over scopes. `tasks()` runs in the feeder's thread; `drain()` in the pipeline's.

    Attributes:
        seen: files listed so far.
        settled: outcomes of files whose rows need no change.
        pending: by task id, files that were handed out to be read.
        missing: ids of rows whose file was not there.
        problems: (scope, problem) of folders that could not be listed.
        lost: (scope, why) of those that could be reached at first but not be listed to the end.
        complete: whether every scope was walked to its end.
    """

    def __init__(self, library: Store, scopes: Sequence[Scope], run_id: int) -> None:
        """Nothing is read before `tasks()` is iterated."""
        self._library = library
        self._scopes = scopes
        self._run_id = run_id
        self._lock = threading.Lock()
        self._decided: list[FileChange] = []
        self._returned: list[int] = []
        self._next_id = 0
        self.seen = 0
        # Every key from the start: another thread sums the values while this one counts.
        self.settled: Counter[str] = Counter({outcome.value: 0 for outcome in Outcome})
        self.pending: dict[int, Pending] = {}
        self.missing: list[int] = []
        self.problems: list[tuple[Scope, ScanProblem]] = []
        self.lost: list[tuple[Scope, str]] = []
        self.complete = False

    def tasks(self) -> Iterator[ReadTask]:
        """The files that must be read, as they are found."""
        for scope in self._scopes:
            yield from self._merge(scope)
        self.complete = True

    def again(self, files_to_read: Sequence[Pending]) -> Iterator[ReadTask]:
        """Tasks for files that were read before without an outcome."""
        for pending in files_to_read:
            yield self._task(pending)

    def drain(self) -> tuple[list[FileChange], list[int]]:
        """Changes decided without reading, and ids of files that are there again; each once."""
        with self._lock:
            decided, returned = self._decided, self._returned
            self._decided, self._returned = [], []
        return decided, returned

    def _merge(self, scope: Scope) -> Iterator[ReadTask]:
        rows = self._rows(scope)
        row = next(rows, None)
        blocked: tuple[bytes, ...] = ()
        for found in self._found(scope):
            if isinstance(found, ScanProblem):
                self.problems.append((scope, found))
                blocked += (found.prefix,)
                continue
            self.seen += 1
            while row is not None and row.path < found.path:
                self._row_without_file(row, blocked)
                row = next(rows, None)
            if row is not None and row.path == found.path:
                task = self._compare(scope, found, row)
                row = next(rows, None)
            else:
                task = self._compare(scope, found, None)
            if task is not None:
                yield task
        while row is not None:
            self._row_without_file(row, blocked)
            row = next(rows, None)

    def _found(self, scope: Scope) -> Iterator[FoundFile | ScanProblem]:
        """What a scope holds. A root that breaks off is a problem of that root, not of the run."""
        is_one_file = bool(scope.prefix) and not scope.prefix.endswith(b"/")
        try:
            for found in scope.source.scan(scope.prefix):
                # "a.jpg" is also how the path of "a.jpg.png" begins.
                if is_one_file and isinstance(found, FoundFile) and found.path != scope.prefix:
                    continue
                yield found
        except SourceError as error:
            self.lost.append((scope, str(error)))
            yield ScanProblem(b"", str(error))

    def _rows(self, scope: Scope) -> Iterator[FileRow]:
        """The catalog's rows of a scope, in order, but those that this run itself has written."""
        where: ColumnElement[bool] = and_(
            files.in_scope(scope.root.id, scope.prefix), FILE.c.run_id != self._run_id
        )
        after: bytes | None = None  # a single file's root has the empty path
        while True:
            with self._library.reading() as connection:
                page = files.scan_page(connection, where, after, PAGE)
            yield from page
            if len(page) < PAGE:
                return
            after = page[-1].path

    def _row_without_file(self, row: FileRow, blocked: tuple[bytes, ...]) -> None:
        if row.missing_since is None and not row.path.startswith(blocked):
            self.missing.append(row.id)

    def _compare(self, scope: Scope, found: FoundFile, row: FileRow | None) -> ReadTask | None:
        """What to do with one file: nothing, a change without reading, or a task."""
        same = (
            row is not None
            and row.size_bytes == found.size_bytes
            and row.mtime_ns == stored_ns(found.mtime_ns)
        )
        if same and row is not None and self._is_settled(found, row):
            outcome = Outcome.UNCHANGED if row.outcome in GOOD else Outcome(row.outcome)
            self.settled[outcome] += 1
            if row.missing_since is not None:
                with self._lock:
                    self._returned.append(row.id)
            return None
        pending = Pending(scope.root.id, found, row)
        if found.skip is not None:
            detail = found.skip_detail or f"{display(found.path)} is not indexed"
            change = pending.change(outcome_of(found.skip), None, found.skip, detail)
            with self._lock:
                self._decided.append(change)
            return None
        return self._task(pending)

    def _task(self, pending: Pending) -> ReadTask:
        self._next_id += 1
        self.pending[self._next_id] = pending
        found = pending.found
        return ReadTask(self._next_id, found.locator, found.size_bytes, found.mtime_ns)

    @staticmethod
    def _is_settled(found: FoundFile, row: FileRow) -> bool:
        """Whether an unchanged file keeps its outcome."""
        if found.skip is not None:
            return row.reason == found.skip
        if row.reason is None:
            return True
        return Reason(row.reason) not in TRANSIENT | {Reason.SIDECAR}
