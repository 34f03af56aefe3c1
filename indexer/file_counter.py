"""How many files a run will look at, counted beside it for the time left."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress

from pictor.indexer.roots import Scope
from pictor.indexer.sources.base import RootKind
from pictor.library.catalog import files
from pictor.library.errors import PictorError
from pictor.library.store import Store

#: Archives are listed whole before their first file is given, and compressed ones are unpacked for
#: it: counting them apart would do that twice.
NOT_COUNTED = frozenset({RootKind.ARCHIVE, RootKind.SHARD})


class FileCounter:
    """A thread that counts the files of some scopes. Use it in a `with` block.

    What was indexed before is taken from the catalog: walking it twice would double the cost of
    looking at an unchanged collection.

    Attributes:
        total: 0 until everything is counted.
    """

    def __init__(self, library: Store, scopes: Sequence[Scope]) -> None:
        """Nothing is counted before the block begins."""
        self.total = 0
        self._library = library
        self._scopes = scopes
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pictor-counter", daemon=True)

    def __enter__(self) -> FileCounter:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        with suppress(PictorError, OSError):  # what cannot be counted the scan itself will report
            total = sum(self._count(scope) for scope in self._scopes)
            if not self._stopped.is_set():
                self.total = total

    def _count(self, scope: Scope) -> int:
        condition = files.in_scope(scope.root.id, scope.prefix)
        with self._library.reading() as connection:
            known = files.count(connection, [condition], missing=False)
        if known:
            return known
        if scope.source.kind in NOT_COUNTED:
            self._stopped.set()
            return 0
        count = 0
        for _ in scope.source.scan(scope.prefix):
            count += 1
            if self._stopped.is_set():
                break
        return count
