"""Bringing a log, the files and the catalog together again after a kill, and after each batch."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from sqlalchemy import Connection

from pictor.duplicates.removal.log import SETTLED, Log, LogState, logs, read_own_log
from pictor.duplicates.removal.log_lines import Carried, Intent, RunEnd, StepState
from pictor.duplicates.removal.metadata_transfer import carry, take_back
from pictor.duplicates.removal.preflight import Refused, hash_of, open_at
from pictor.library.catalog import removals
from pictor.library.errors import PlanError
from pictor.library.names import display
from pictor.library.observer import Observer
from pictor.library.store import Store

_Place = Literal["whole", "absent", "empty", "other"]


def settle_all(library: Store, observer: Observer) -> list[Path]:
    """Settle every log of a library that was cut short.

    Hold `library.writer()`.

    Args:
        observer: receives what was found.

    Returns:
        The logs whose undoing was cut short and has nothing left to do.
    """
    undone: list[Path] = []
    for path in logs(library):
        try:
            state = read_own_log(path, library)
        except PlanError as error:
            observer.notice(f"{error}; it is skipped")
            continue
        if state is None or state.is_settled:
            continue
        was_going_back = not {"undoing", "undone"}.isdisjoint(state.states.values())
        for notice in settle(library, state):
            observer.notice(notice)
        if was_going_back and not state.steps("done"):
            undone.append(path)
    return undone


def settle(library: Store, state: LogState) -> list[str]:
    """Close the open steps of a log by looking at both places, and tell the catalog."""
    owns = state.header.owns_target
    notices = [f"the run {state.path.stem} was interrupted; its log is now completed"]
    with Log(state.path) as log:
        for number, last in list(state.states.items()):
            if last in SETTLED:
                continue
            intent = state.intents[number]
            found, notice = _looked_at(intent, last, owns_target=owns)
            log.write(StepState(number, found, is_settled=True))
            state.states[number] = found
            notices += [notice] if notice else []
        note(library, log, state)
        log.write(RunEnd())
        state.is_ended = True
    return notices


def note(library: Store, log: Log, state: LogState) -> None:
    """Tell the catalog what the steps of a log came to; doing so again changes nothing."""
    with library.writing() as connection:
        for number in state.steps("done"):
            note_done(connection, log, state.intents[number])
        for number in state.steps("undone"):
            note_undone(connection, state.intents[number])
        if state.carried and not state.steps("done"):
            take_back_all(connection, state.carried)


def note_done(connection: Connection, log: Log, intent: Intent) -> None:
    """A file went, or became a hard link; what stays is given its tags."""
    path, content = intent.path, intent.content
    if intent.is_link:
        with contextlib.suppress(OSError):
            removals.set_there(connection, path, content, os.lstat(path).st_mtime_ns)
        return
    if not os.path.lexists(path):
        removals.set_gone(connection, path, content)
    if content != intent.keep_content:
        carried = carry(connection, content, intent.keep_content)
        if carried is not None:  # written before it is committed, so that undoing knows of it
            log.write(carried)


def note_undone(connection: Connection, intent: Intent) -> bool:
    """A file is back as it was; whether the catalog still has it."""
    if not os.path.lexists(intent.path):
        return True  # it went again since
    is_known = removals.set_there(connection, intent.path, intent.content, intent.mtime_ns)
    return is_known or intent.is_sidecar  # the catalog may never have had that


def take_back_all(connection: Connection, carried: Iterable[Carried]) -> None:
    """Take from contents what they were given, the last first."""
    for one in reversed(list(carried)):
        take_back(connection, one)


def _looked_at(intent: Intent, last: str, *, owns_target: bool) -> tuple[str, str]:
    """What an open step came to, and a sentence where it is not as expected."""
    if intent.is_link:
        return _link_looked_at(intent, last), ""
    path, target, content = intent.path, intent.target, intent.content
    for leftover in (intent.part, intent.part_on_return):
        _remove(leftover)
    here, there = _place(path, content), _place(target, content)
    goes_back = last == "undoing"
    if here == "whole" and there == "whole":
        # A copy across file systems was made, and nothing removed yet.
        if goes_back:
            _remove(target)
            return "undone", ""
        if owns_target:
            _remove(target)
            return "aborted", ""
        return "aborted", f"{display(path)!r} is also at {display(target)!r}: both were kept"
    if here == "whole":
        if there == "empty":  # its name was reserved
            _remove(target)
        return ("undone" if goes_back else "aborted"), ""
    if there == "whole":
        if here == "empty":
            _remove(path)
        return "done", ""
    lost = f"{display(path)!r} is neither where it was nor at {display(target)!r} as it was"
    return ("done" if goes_back else "aborted"), lost


def _link_looked_at(intent: Intent, last: str) -> str:
    _remove(intent.part_on_return)
    try:
        is_linked = os.lstat(intent.path).st_ino == os.lstat(intent.keep).st_ino
    except OSError:
        is_linked = last == "undoing"  # as it was before the step that is open
    if is_linked:
        return "done"
    return "undone" if last == "undoing" else "aborted"


def _place(path: bytes, content: str) -> _Place:
    try:
        facts = os.lstat(path)
    except OSError:
        return "absent"
    if not stat.S_ISREG(facts.st_mode):
        return "other"
    if facts.st_size == 0:
        return "empty"
    try:
        with open_at(path) as file:
            return "whole" if hash_of(file.file) == content else "other"
    except (OSError, Refused):
        return "other"


def _remove(path: bytes) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)
