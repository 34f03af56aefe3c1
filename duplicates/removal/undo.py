"""Undoing a run: every file back where it was, as it was, the last step first.

Nothing is overwritten: where another file has come to a place since, the one that was there stays
where it is, and the person is told.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection
from pathlib import Path

from pictor.duplicates.removal import recovery
from pictor.duplicates.removal.file_moves import move, unlink_in_place
from pictor.duplicates.removal.log import ENDING, FOLDER, Log, LogState, logs, read_own_log
from pictor.duplicates.removal.log_lines import Intent, RunEnd, StepState
from pictor.duplicates.removal.preflight import OpenFile, Refused, open_at
from pictor.duplicates.removal.steps import OnStep, RemovalResult, StepCounter, StepResult
from pictor.library.errors import PlanError
from pictor.library.observer import SILENT, Observer
from pictor.library.store import Store

LAST = "last"
_BATCH = 100


def undo(
    library: Store,
    which: str | Path,
    *,
    on_step: OnStep | None = None,
    observer: Observer = SILENT,
) -> RemovalResult:
    """Undo the run of a log, or of the last one that did anything.

    Tags and ratings that contents were given are taken back with the last of the steps. Where an
    undoing was cut short after its last step, it is completed, and no other run is undone for it.

    Args:
        on_step: receives what became of each step, right after it.

    Raises:
        PlanError: there is no such log, or nothing of it is left to undo.
        LibraryLocked: another process writes the library.
    """
    with library.writer():
        undone = recovery.settle_all(library, observer)
        state = _last(library, undone) if which == LAST else _named(library, Path(which))
        if any(state.path.samefile(path) for path in undone):
            observer.notice(f"the run {state.path.stem} is now undone: all its files were back")
            return RemovalResult(log=state.path)
        if not state.steps("done"):
            raise PlanError(f"the run {state.path.stem!r} has nothing left to undo")
        with Log(state.path) as log:
            return _undo(library, state, log, on_step, observer)


def _last(library: Store, undone: Collection[Path]) -> LogState:
    for path in reversed(logs(library)):
        with contextlib.suppress(PlanError):  # settling has told of it
            state = read_own_log(path, library)
            if state is not None and (path in undone or state.steps("done")):
                return state
    raise PlanError(f"the library {str(library.path)!r} has no run to undo")


def _named(library: Store, path: Path) -> LogState:
    path = _found(library, path)
    state = read_own_log(path, library)
    if state is None:
        raise PlanError(f"the log {str(path)!r} is empty: that run touched nothing")
    if not state.is_settled:  # a log that lies elsewhere
        recovery.settle(library, state)
    return state


def _found(library: Store, path: Path) -> Path:
    """The log of a path, of a name in the library's folder of logs, or of the name of a run."""
    folder = library.path / FOLDER
    names = (folder / path.name, folder / f"{path.name}{ENDING}") if path.name == str(path) else ()
    return next((one for one in (path, *names) if os.path.isfile(one)), path)


def _undo(
    library: Store, state: LogState, log: Log, on_step: OnStep | None, observer: Observer
) -> RemovalResult:
    waiting: list[Intent] = []
    intents = [state.intents[number] for number in reversed(state.steps("done"))]
    total = sum(not one.is_sidecar for one in intents)
    counter = StepCounter("undoing", total, on_step, observer)
    try:
        for intent in intents:
            if not counter.goes_on():
                break
            problem = _undo_step(log, intent)
            if not problem:
                state.states[intent.number] = "undone"
                waiting.append(intent)
            counter.add([StepResult(intent.step, intent.path, problem, intent.is_sidecar)])
            if len(waiting) >= _BATCH:
                _tell_catalog(library, waiting, observer)
    finally:
        _tell_catalog(library, waiting, observer)
        if state.carried and not state.steps("done"):
            with library.writing() as connection:
                recovery.take_back_all(connection, state.carried)
    log.write(RunEnd())
    return counter.result(log.path)


def _tell_catalog(library: Store, waiting: list[Intent], observer: Observer) -> None:
    if not waiting:
        return
    with library.writing() as connection:
        unknown = sum(not recovery.note_undone(connection, intent) for intent in waiting)
    if unknown:
        observer.notice(
            f"{unknown} of the restored files are no longer in the library; run: pictor index"
        )
    waiting.clear()


def _undo_step(log: Log, intent: Intent) -> str:
    """Undo one step; why it was left as it is, or ""."""
    try:
        with open_at(intent.path if intent.is_link else intent.target) as file:
            _refuse_changed(file, intent)
            log.write(StepState(intent.number, "undoing"))
            try:
                if intent.is_link:
                    facts = (intent.mode, intent.mtime_ns, intent.uid, intent.gid)
                    unlink_in_place(file, intent.part, facts)
                else:
                    move(file, intent.path, intent.part_on_return, intent.content)
            except (OSError, Refused):
                log.write(StepState(intent.number, "done", "it could not be undone"))
                raise
            log.write(StepState(intent.number, "undone"))
    except Refused as error:
        return str(error)
    except OSError as error:
        return f"it cannot be put back: {error.strerror}"
    if not intent.is_link:
        _remove_empty_folders(intent.target, intent.path, os.fsencode(log.path.stem))
    return ""


def _refuse_changed(file: OpenFile, intent: Intent) -> None:
    """Raise unless the file is as the step left it, and its place is free."""
    if file.digest() != intent.content:
        raise Refused("its bytes are not those it had")
    if intent.is_link and file.facts.st_ino != intent.keep_inode:
        raise Refused("it is no hard link any more")
    if not intent.is_link and os.path.lexists(intent.path):
        raise Refused("another file is in its place")


def _remove_empty_folders(target: bytes, path: bytes, run: bytes) -> None:
    """Remove the folders that the move made, with that of a run in a trash, if they are empty."""
    folder = os.path.dirname(target)
    base = target[: len(target) - len(path.lstrip(b"/"))].rstrip(b"/")
    end = len(base) - (os.path.basename(base) == run)
    with contextlib.suppress(OSError):
        while len(folder) > end:
            os.rmdir(folder)
            folder = os.path.dirname(folder)
