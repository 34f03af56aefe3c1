"""Doing what a plan says: step by step, each checked right before, logged before and after."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from indexer.observer import Observer, Silent
from indexer.resolving import settling
from indexer.resolving.checking import Checker, Opened, Refused
from indexer.resolving.log import Log, new_log
from indexer.resolving.moving import link_in_place, move
from indexer.resolving.records import Action, Step, StepResult, display, path_fields, path_of
from library.catalog import files
from library.errors import PlanError
from library.library import Library
from library.records import JsonObject

Mode = Literal["trash", "hardlink", "move"]
TRASH = "trash"
#: Steps after which the catalog is told.
_BATCH = 100
#: Longest name that common file systems take.
_LONGEST_NAME = 255


@dataclass(frozen=True)
class ApplyOptions:
    """How a plan is applied.

    Attributes:
        mode: "trash" moves files into a folder of this run below `folder`, "move" into `folder`
            itself, both below their whole paths; "hardlink" makes copies names of the kept file.
        folder: for "trash" the library's own trash if None; for "move" it must be given.
        never: absolute paths of folders and files from which nothing goes.
    """

    mode: Mode = "trash"
    folder: Path | None = None
    never: tuple[bytes, ...] = ()


def rehearse(
    library: Library, steps: Sequence[Step], options: ApplyOptions
) -> Iterator[StepResult]:
    """What applying a plan would do, as far as it can be told without reading files whole.

    Nothing is touched.

    Raises:
        PlanError: the folder cannot be used.
    """
    base = _base(library, options)
    if base is not None:
        _refuse_inside_roots(library, base)
    checker = Checker(library, options.never)
    for step in steps:
        try:
            _check_action(step, options)
            with checker.opened(step, reads=False):
                target = _below(base, step.path) if base is not None else step.path
                yield StepResult(step, target)
        except Refused as error:
            yield StepResult(step, problem=str(error))


def apply(
    library: Library,
    steps: Sequence[Step],
    options: ApplyOptions,
    observer: Observer | None = None,
) -> Iterator[StepResult]:
    """Do the steps, and say of each what became of it. What cannot be done is left alone.

    Raises:
        PlanError: the folder cannot be used, or the log cannot be written; nothing more is touched.
        LibraryLocked: another process writes the library.
    """
    observer = observer or Silent()
    with library.writer():
        for notice in settling.settle_all(library):
            observer.notice(notice)
        base = _base(library, options)
        if base is not None:
            _refuse_inside_roots(library, base)
        applier = _Applier(library, options, base)
        with new_log(library, **applier.header(len(steps))) as log:
            yield from applier.run(log, steps, observer)


class _Applier:
    """One run."""

    def __init__(self, library: Library, options: ApplyOptions, base: bytes | None) -> None:
        self._library = library
        self._options = options
        self._base = base
        self._checker = Checker(library, options.never)
        self._waiting: list[JsonObject] = []

    def header(self, count: int) -> JsonObject:
        """What the log begins with."""
        mode = self._options.mode
        return {"mode": mode, "steps": count, "owns_target": mode == "trash"}

    def run(self, log: Log, steps: Sequence[Step], observer: Observer) -> Iterator[StepResult]:
        """The steps in order, until the observer stops it."""
        if self._options.mode == "trash" and self._base is not None:
            self._base = os.path.join(self._base, os.fsencode(log.path.stem))
        try:
            for number, step in enumerate(steps, 1):
                if observer.should_stop():
                    break
                yield self._do(log, number, step)
                if len(self._waiting) >= _BATCH:
                    self._tell_catalog(log)
        finally:
            self._tell_catalog(log)
        log.write(state="end")

    def _tell_catalog(self, log: Log) -> None:
        if not self._waiting:
            return
        with self._library.writing() as connection:
            for intent in self._waiting:
                settling.note_done(connection, log, intent)
        self._waiting = []

    def _do(self, log: Log, number: int, step: Step) -> StepResult:
        try:
            _check_action(step, self._options)
            with self._checker.opened(step) as (source, keeper):
                target = (
                    step.path if self._base is None else _free_name(_below(self._base, step.path))
                )
                intent = _intent(number, step, source, keeper, target, log)
                log.write(**intent)
                try:
                    _touch(intent, source, keeper, target, step)
                except (OSError, Refused) as error:
                    why = _why(error)
                    log.write(step=number, state="aborted", why=why)
                    return StepResult(step, problem=why)
                log.write(step=number, state="done")
        except Refused as error:
            return StepResult(step, problem=str(error))
        self._waiting.append(intent)
        return StepResult(step, target)


def _touch(intent: JsonObject, source: Opened, keeper: Opened, target: bytes, step: Step) -> None:
    part = path_of(intent, "part")
    if intent["action"] == "hardlink":
        link_in_place(source, keeper, part)
    else:
        move(source, target, part, step.content)


def _intent(
    number: int, step: Step, source: Opened, keeper: Opened, target: bytes, log: Log
) -> JsonObject:
    facts = source.facts
    action: Action = "hardlink" if target == step.path else "move"
    part = os.fsencode(f".pictor-{log.path.stem}-{number}.part")
    return {
        "step": number,
        "state": "intent",
        "action": action,
        **path_fields(step.path, "path"),
        **path_fields(target, "target"),
        **path_fields(part if action == "hardlink" else _beside(target, part), "part"),
        **path_fields(step.keep, "keep"),
        "content": step.content,
        "keep_content": step.keep_content,
        "bytes": facts.st_size,
        "mode": facts.st_mode,
        "mtime_ns": facts.st_mtime_ns,
        "uid": facts.st_uid,
        "gid": facts.st_gid,
        "keep_ino": keeper.facts.st_ino,
        "group": step.group,
    }


def _beside(target: bytes, name: bytes) -> bytes:
    return os.path.join(os.path.dirname(target), name)


def _check_action(step: Step, options: ApplyOptions) -> None:
    if options.mode == "hardlink" and step.content != step.keep_content:
        raise Refused("its bytes are not those of the file to keep: a hard link would lose them")


def _base(library: Library, options: ApplyOptions) -> bytes | None:
    """Where files go; None where they stay, as hard links."""
    if options.mode == "hardlink":
        return None
    folder = options.folder
    if folder is None:
        if options.mode == "move":
            raise PlanError("no folder was named to move the files to")
        folder = library.path / TRASH
    return os.path.abspath(os.fsencode(folder.expanduser()))


def _refuse_inside_roots(library: Library, base: bytes) -> None:
    """Raise if the next run of `pictor index` would find the files again where they go."""
    own = os.path.realpath(os.fsencode(library.path / TRASH))
    real = os.path.realpath(base)
    if (real + b"/").startswith(own + b"/"):
        return
    with library.reading() as connection:
        known = files.roots(connection)
    for root in known:
        location = os.path.realpath(root.location).rstrip(b"/") + b"/"
        inside = (real + b"/").removeprefix(location)
        is_below = root.kind == "folder" and inside != real + b"/"
        is_hidden = any(part.startswith(b".") for part in inside.split(b"/"))
        if is_below and (library.settings.index.hidden or not is_hidden):
            raise PlanError(
                f"{display(base)!r} lies in the indexed folder {display(root.location)!r}, where "
                "the next pictor index would find the files again; name a folder outside"
            )


def _below(base: bytes, path: bytes) -> bytes:
    return os.path.join(base, path.lstrip(b"/"))


def _free_name(target: bytes) -> bytes:
    """The path, with a number before its ending if something has that name."""
    folder, name = os.path.split(target)
    stem, ending = os.path.splitext(name)
    number = 1
    while os.path.lexists(target):
        number += 1
        mark = b" (%d)" % number + ending
        target = os.path.join(folder, stem[: _LONGEST_NAME - len(mark)] + mark)
    return target


def _why(error: OSError | Refused) -> str:
    if isinstance(error, Refused):
        return str(error)
    return f"it cannot be moved: {error.strerror or error}"
