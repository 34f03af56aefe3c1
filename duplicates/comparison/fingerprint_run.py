"""Fingerprints of contents that lack them: of a library made before there were any."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import NamedTuple

from pictor.duplicates.comparison.content_places import Places
from pictor.indexer.pipeline import MIB, default_workers
from pictor.indexer.reader import ReaderPool
from pictor.indexer.run_loop import run_loop
from pictor.indexer.worker import ReadResult, ReadTask, WorkerOptions
from pictor.library.catalog import fingerprints
from pictor.library.images import Limits
from pictor.library.library import Library
from pictor.library.observer import Observer, Progress
from pictor.library.records import Decoded

PAGE = 500


class Filled(NamedTuple):
    """Contents that got their fingerprint, and those whose files could not be read now."""

    filled: int
    unread: int
    stopped: bool = False


def fill(library: Library, observer: Observer) -> Filled:
    """Make the fingerprints that lack; hold the write lock. Videos get a row without hashes.

    What cannot be read now is left for the next time. Commits every few seconds.
    """
    with library.reading() as connection:
        total = fingerprints.count_lacking(connection)
    return _Filling(library, observer, total).run() if total else Filled(0, 0)


def read_limits(library: Library) -> Limits:
    """What one file may cost, as when it is indexed."""
    settings = library.settings.index
    max_bytes = settings.max_file_mib * MIB
    return Limits(max_pixels=settings.max_pixels, max_bytes=max_bytes, frames=settings.frames)


class _Filling:
    """One pass over what lacks a fingerprint. `tasks` runs in the pool's feeder thread."""

    def __init__(self, library: Library, observer: Observer, total: int) -> None:
        self._library = library
        self._observer = observer
        self._total = total
        self._places = Places(library)
        self._expected: dict[int, tuple[int, bytes]] = {}
        self._numbers = count(1)
        self._ready: dict[int, bytes] = {}
        self._filled = 0
        self._unread = 0
        self._done = 0

    def run(self) -> Filled:
        settings = self._library.settings.index
        options = WorkerOptions(
            specs=(),
            limits=read_limits(self._library),
            max_file_bytes=settings.max_file_mib * MIB,
            fetch_timeout_s=settings.fetch_timeout_s,
            deadline_s=settings.time_limit_s,
            offline=self._library.settings.network.offline,
        )
        pool = ReaderPool(
            options,
            workers=settings.workers or default_workers(),
            time_limit_s=settings.time_limit_s,
            lookahead_bytes=settings.lookahead_mib * MIB,
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
        for problem in self._places.problems:
            self._observer.notice(problem)
        return Filled(self._filled, self._total - self._filled)

    def _tasks(self) -> Iterator[ReadTask]:
        last = 0
        while True:
            with self._library.reading() as connection:
                page = fingerprints.lacking(connection, last, PAGE)
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
