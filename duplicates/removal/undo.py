"""Undoing a run: every file back where it was, as it was, the last step first.

Nothing is overwritten: where another file has come to a place since, the one that was there stays
where it is, and the person is told.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from pictor.duplicates.removal import recovery
from pictor.duplicates.removal.file_moves import move, unlink_in_place
from pictor.duplicates.removal.log import ENDING, FOLDER, Log, LogState, logs, read_own_log
from pictor.duplicates.removal.preflight import Refused, open_at
from pictor.duplicates.removal.records import Step, StepResult, is_sidecar
from pictor.library.errors import PlanError
from pictor.library.library import Library
from pictor.library.names import path_of
from pictor.library.observer import Observer, Progress, Silent
from pictor.library.records import JsonObject

LAST = "last"
_BATCH = 100


def undo(
    library: Library, which: str | Path, observer: Observer | None = None
) -> Iterator[StepResult]:
    """Undo the run of a log, or of the last one that did anything; says of each step how it went.

    Tags and ratings that contents were given are taken back with the last of the steps.

    Raises:
        PlanError: there is no such log, or nothing of it is left to undo.
        LibraryLocked: another process writes the library.
    """
    observer = observer or Silent()
    with library.writer():
        for notice in recovery.settle_all(library):
            observer.notice(notice)
        state = _last(library) if which == LAST else _named(library, Path(which))
        if not state.steps("done"):
            raise PlanError(f"the run {state.path.stem!r} did nothing that is left to undo")
        with Log(state.path) as log:
            yield from _undo(library, state, log, observer)


def _last(library: Library) -> LogState:
    for path in reversed(logs(library)):
        with contextlib.suppress(PlanError):  # settling has told of it
            state = read_own_log(path, library)
            if state is not None and state.steps("done"):
                return state
    raise PlanError(f"the library {str(library.path)!r} has no run that could be undone")


def _named(library: Library, path: Path) -> LogState:
    path = _found(library, path)
    state = read_own_log(path, library)
    if state is None:
        raise PlanError(f"the log {str(path)!r} is empty: that run touched nothing")
    if not state.is_settled:  # a log that lies elsewhere
        recovery.settle(library, state)
    return state


def _found(library: Library, path: Path) -> Path:
    """The log of a path, of a name in the library's folder of logs, or of the name of a run."""
    folder = library.path / FOLDER
    names = (folder / path.name, folder / f"{path.name}{ENDING}") if path.name == str(path) else ()
    return next((one for one in (path, *names) if os.path.isfile(one)), path)


def _undo(library: Library, state: LogState, log: Log, observer: Observer) -> Iterator[StepResult]:
    waiting: list[JsonObject] = []
    numbers = state.steps("done")
    total = sum(not is_sidecar(state.intents[number]) for number in numbers)
    try:
        for place, number in enumerate(reversed(numbers)):
            observer.progress(Progress("undoing", min(place, total), total, "files"))
            if observer.should_stop():
                break
            intent = state.intents[number]
            problem = _undo_step(log, number, intent)
            if not problem:
                state.states[number] = "undone"
                waiting.append(intent)
            yield StepResult(_step(intent), path_of(intent, "path"), problem, is_sidecar(intent))
            if len(waiting) >= _BATCH:
                _tell_catalog(library, waiting, observer)
    finally:
        _tell_catalog(library, waiting, observer)
        if state.carried and not state.steps("done"):
            with library.writing() as connection:
                recovery.take_back_all(connection, state.carried)
    log.write(state="end")


def _tell_catalog(library: Library, waiting: list[JsonObject], observer: Observer) -> None:
    if not waiting:
        return
    with library.writing() as connection:
        unknown = sum(not recovery.note_undone(connection, intent) for intent in waiting)
    if unknown:
        observer.notice(
            f"{unknown} of the files that are back are not in the library any more: pictor index"
        )
    waiting.clear()


def _undo_step(log: Log, number: int, intent: JsonObject) -> str:
    """Undo one step; why it was left as it is, or ""."""
    path = path_of(intent, "path")
    is_link = intent["action"] == "hardlink"
    try:
        with open_at(path if is_link else path_of(intent, "target")) as file:
            if file.digest() != intent["content"]:
                raise Refused("its bytes are not those that it had")
            if is_link and file.facts.st_ino != intent["keep_ino"]:
                raise Refused("it is no hard link any more")
            if not is_link and os.path.lexists(path):
                raise Refused("another file has come to its place")
            log.write(step=number, state="undoing")
            try:
                if is_link:
                    facts = [int(intent[name]) for name in ("mode", "mtime_ns", "uid", "gid")]
                    part = path_of(intent, "part")
                    unlink_in_place(file, part, (facts[0], facts[1], facts[2], facts[3]))
                else:
                    name = os.path.basename(path_of(intent, "part"))
                    part = os.path.join(os.path.dirname(path), name)
                    move(file, path, part, str(intent["content"]))
            except (OSError, Refused):
                log.write(step=number, state="done", why="it could not be undone")
                raise
            log.write(step=number, state="undone")
    except Refused as error:
        return str(error)
    except OSError as error:
        return f"it cannot be put back: {error.strerror}"
    if not is_link:
        _remove_empty_folders(path_of(intent, "target"), path, os.fsencode(log.path.stem))
    return ""


def _remove_empty_folders(target: bytes, path: bytes, run: bytes) -> None:
    """Remove the folders that the move made, with that of a run in a trash, if they are empty."""
    folder = os.path.dirname(target)
    base = target[: len(target) - len(path.lstrip(b"/"))].rstrip(b"/")
    end = len(base) - (os.path.basename(base) == run)
    with contextlib.suppress(OSError):
        while len(folder) > end:
            os.rmdir(folder)
            folder = os.path.dirname(folder)


def _step(intent: JsonObject) -> Step:
    return Step(
        path_of(intent, "path"),
        str(intent["content"]),
        int(intent["bytes"]),
        path_of(intent, "keep"),
        str(intent["keep_content"]),
        str(intent["group"]),
        "",
        "",
    )
