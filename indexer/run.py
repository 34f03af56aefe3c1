"""One indexing run from beginning to end: lock, scopes, spaces, pipeline, and the counts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from pictor.indexer import roots
from pictor.indexer.file_counter import FileCounter
from pictor.indexer.introduction import introduction
from pictor.indexer.journal import Journal
from pictor.indexer.pipeline import Pipeline
from pictor.indexer.roots import Scope
from pictor.indexer.scan import Scan
from pictor.indexer.sources.base import ScanOptions
from pictor.indexer.spaces import OpenSpaces, opened
from pictor.library import caption_bank, null_scores
from pictor.library.catalog import files
from pictor.library.catalog import spaces as catalog_spaces
from pictor.library.encoders.builtin_card import BUILTIN
from pictor.library.errors import LibraryError, ModelError
from pictor.library.names import display
from pictor.library.observer import SILENT, Observer, Remembering, Stopped
from pictor.library.records import Outcome
from pictor.library.space_encoders import options_of
from pictor.library.store import Store


@dataclass(frozen=True)
class Summary:
    """The counts of a run, read back from the catalog.

    `seen = indexed + unchanged + moved + skipped + failed`.

    Attributes:
        missing: files of the scanned scopes that are gone.
        encoded: vectors made in this run for new or changed contents, counted once an item.
        items: in the library now.
        stopped: the observer ended the run before its end.
        unreachable: roots that could not be read, or not to their end.
    """

    seen: int
    indexed: int
    unchanged: int
    moved: int
    missing: int
    skipped: int
    failed: int
    encoded: int
    items: int
    seconds: float
    stopped: bool = False
    unreachable: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()


def index(
    library: Store,
    named: Sequence[str | bytes],
    encoders: Sequence[str] = (),
    *,
    retry: bool = False,
    keep_default: bool = False,
    observer: Observer | None = None,
) -> Summary:
    """Index `named` roots (all known ones if empty) into every space of the library and `encoders`.

    The first of `encoders` becomes the default space once it is complete, unless `keep_default`.

    Raises:
        SourceError: nothing that was named can be reached.
        LibraryLocked: another process writes the library.
        ModelError: a named encoder is not available.
    """
    observer = observer or SILENT
    remembering = Remembering(observer)
    options = ScanOptions.of(library.settings.index)
    started = time.monotonic()
    with library.writer():
        scopes = roots.resolve(library, named, options)
        if retry:
            with library.writing() as connection:
                files.forget_stat(connection, [Outcome.FAILED, Outcome.SKIPPED])
        run_options = options_of(library.settings)
        is_first = not library.spaces()
        try:
            with opened(
                library, encoders, run_options, remembering, keep_default=keep_default
            ) as spaces:
                card = library.space().card
                asked = [name.lower() for name in encoders or library.settings.encoder.names]
                if is_first and (card.id != BUILTIN or BUILTIN in asked):  # else it stands in: said
                    observer.notice(introduction(card))
                summary = index_scopes(library, spaces, scopes, remembering, retry=retry)
                fill_background(library, spaces, remembering)
        except Stopped:  # while a model was fetched: nothing was read yet
            with library.reading() as connection:
                items = catalog_spaces.count_items(connection)
            seconds = round(time.monotonic() - started, 3)
            summary = Summary(0, 0, 0, 0, 0, 0, 0, 0, items, seconds, stopped=True)
    return replace(summary, notices=tuple(remembering.notices))


def index_scopes(
    library: Store,
    spaces: OpenSpaces,
    scopes: Sequence[Scope],
    observer: Observer,
    *,
    retry: bool = False,
) -> Summary:
    """Scan, read, encode and commit with spaces that are open; the counts. Hold `writer()`.

    Raises:
        SourceError: none of the scopes can be reached.
    """
    return _Run(library, spaces, observer).run(scopes, retry=retry)


def fill_background(library: Store, spaces: OpenSpaces, observer: Observer) -> None:
    """Store what each space lacks of the background bank's scores, and of the null's that its
    levels are set by, unless the observer stops it.

    A search does without what is not stored, so a failure is only a notice. Hold `writer()`.
    """
    for space in spaces.spaces:
        try:
            caption_bank.fill(library, space.row, observer)
            null_scores.fill(library, space.row, observer)
        except (LibraryError, ModelError) as error:
            observer.notice(f"the background of {space.row.encoder} was not renewed: {error}")


@dataclass(frozen=True)
class _Run:
    """What comes before and after the pipeline."""

    _library: Store
    _spaces: OpenSpaces
    _observer: Observer

    def run(self, scopes: Sequence[Scope], *, retry: bool) -> Summary:
        started = time.monotonic()
        with self._library.writing() as connection:
            run_id = files.start_run(connection)
        reachable, unreachable = self._check(scopes)
        scan = Scan(self._library, reachable, run_id)
        pipeline = Pipeline(
            self._library,
            self._spaces,
            scan,
            FileCounter(self._library, reachable),
            Journal(self._library, run_id, scan),
            self._observer,
            retry=retry,
        )
        stopped = pipeline.run()
        lost = self._note_lost(scan)
        counts = self._settle(run_id, scan, reachable, complete=scan.complete and not stopped)
        self._tell_unlisted(scan, lost)
        pipeline.refresh_indexes()
        summary = Summary(
            **counts,
            encoded=pipeline.encoded,
            seconds=round(time.monotonic() - started, 3),
            stopped=stopped,
            unreachable=tuple(dict.fromkeys([*unreachable, *lost.values()])),
            notices=(),  # the observer has them
        )
        state = "interrupted" if stopped else "finished"
        with self._library.writing() as connection:
            files.finish_run(connection, run_id, state, counts | {"encoded": pipeline.encoded})
        roots.require_any_reachable(reachable, [reason for _, reason in scan.lost])
        return summary

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
            self._tell_unreachable(name, reason)
        return reachable, names

    def _note_lost(self, scan: Scan) -> dict[int, str]:
        """Mark roots unreachable that broke off while they were listed; their names by id."""
        names: dict[int, str] = {}
        with self._library.writing() as connection:
            for scope, reason in scan.lost:
                names[scope.root.id] = name = display(scope.root.location)
                files.set_root_state(connection, scope.root.id, "unreachable", reason)
                self._tell_unreachable(name, reason)
        return names

    def _settle(
        self, run_id: int, scan: Scan, scopes: Sequence[Scope], *, complete: bool
    ) -> dict[str, int]:
        """Mark what is missing and complete the spaces, if all was seen; the counts."""
        with self._library.writing() as connection:
            if complete:
                files.mark_missing(connection, scan.missing, run_id)
                self._complete_spaces(connection)
            # Rows that this run wrote, by outcome, and rows it found settled: all it saw.
            written = files.counts_by(connection, "outcome", run_id)
            counts = {o.value: written.get(o, 0) + scan.settled[o] for o in Outcome}
            conditions = [files.in_scope(scope.root.id, scope.prefix) for scope in scopes]
            missing = files.count(connection, conditions, missing=True)
            items = catalog_spaces.count_items(connection)
        return counts | {"seen": sum(counts.values()), "missing": missing, "items": items}

    def _complete_spaces(self, connection: Connection) -> None:
        """A space is ready once a run went through all it lacks; then it may become the default."""
        for space in self._spaces.spaces:
            catalog_spaces.set_state(connection, space.row.id, "ready")
        planned = catalog_spaces.planned_default(connection)
        if planned is not None and planned in [space.row.id for space in self._spaces.spaces]:
            catalog_spaces.set_default(connection, planned)

    def _tell_unreachable(self, name: str, reason: str) -> None:
        self._observer.notice(f"{name!r} is unreachable, nothing of it was forgotten: {reason}")

    def _tell_unlisted(self, scan: Scan, lost: dict[int, str]) -> None:
        for scope, problem in scan.problems:
            if scope.root.id not in lost:
                where = display(scope.root.location + b"/" + problem.prefix)
                self._observer.notice(f"{where!r} could not be listed: {problem.detail}")
