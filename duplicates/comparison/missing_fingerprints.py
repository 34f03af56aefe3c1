"""Fingerprints of contents that lack one: of a library that was made before there were any."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import NamedTuple

from pictor.indexer.content_places import ContentPlaces
from pictor.indexer.messages import ReadOptions, ReadResult, ReadTask, WorkerOptions
from pictor.indexer.reader import ReaderPool
from pictor.indexer.run_loop import run_loop
from pictor.indexer.worker_pool import worker_count
from pictor.library.catalog import fingerprints
from pictor.library.observer import Observer, Progress
from pictor.library.records import Decoded
from pictor.library.store import Store

NOT_COMPARED = "its contents were not compared"  # of an archive that cannot be listed
#: Contents without a fingerprint that are looked up at once.
FILL_PAGE = 500


class Filled(NamedTuple):
    """Contents that got their fingerprint, and those whose files could not be read now."""

    filled: int
    unread: int
    stopped: bool = False


def fill(library: Store, observer: Observer) -> Filled:
    """Make the fingerprints that lack; hold the write lock. Videos get a row without hashes.

    What cannot be read now is left for the next time. Commits every few seconds.
    """
    with library.reading() as connection:
        total = fingerprints.count_lacking(connection)
    return _FingerprintRun(library, observer, total).run() if total else Filled(0, 0)


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
            wanted=lambda digests: [True] * len(digests),
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
