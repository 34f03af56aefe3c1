"""Doing what a plan says: step by step, each checked right before, logged before and after."""

from __future__ import annotations

import os
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from pictor.duplicates.removal import recovery
from pictor.duplicates.removal.file_moves import link_in_place, move
from pictor.duplicates.removal.log import Log, new_log
from pictor.duplicates.removal.log_lines import Intent, RunEnd, StepState
from pictor.duplicates.removal.preflight import Checker, OpenFile, Refused, open_in
from pictor.duplicates.removal.sidecar_moves import Companion, companions
from pictor.duplicates.removal.steps import (
    OnStep,
    RemovalResult,
    Step,
    StepCounter,
    StepResult,
)
from pictor.library.catalog import files
from pictor.library.errors import PlanError
from pictor.library.names import display, under_any
from pictor.library.observer import SILENT, Observer
from pictor.library.store import Store

Mode = Literal["trash", "hardlink", "move"]
TRASH = "trash"
#: Steps after which the catalog is told.
_BATCH = 100
#: Longest name that common file systems take.
_LONGEST_NAME = 255
#: What stands for the name of a run that is not made yet.
_A_RUN = "…".encode()


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

    def __post_init__(self) -> None:
        """Refuse a mode that is misspelt, before any file is touched."""
        if self.mode not in get_args(Mode):
            raise ValueError(f"the mode {self.mode!r} is none of {', '.join(get_args(Mode))}")


def preview(
    library: Store,
    steps: Sequence[Step],
    options: ApplyOptions,
    *,
    on_step: OnStep | None = None,
    observer: Observer = SILENT,
) -> RemovalResult:
    """What applying a plan would do, as far as it can be told without reading files whole.

    Nothing is touched. Where the folder of the run would be in the trash, targets have an ellipsis.

    Args:
        on_step: receives what would become of each step.

    Raises:
        PlanError: the folder cannot be used.
    """
    counter = StepCounter("checking", len(steps), on_step, observer)
    base = _base(library, options)
    if base is not None:
        _refuse_inside_roots(library, base)
        base = base if options.mode == "move" else os.path.join(base, _A_RUN)
    checker = Checker(library, options.never)
    gone: dict[bytes, set[bytes]] = defaultdict(set)
    for step in steps:
        if not counter.goes_on():
            break
        try:
            _check_action(step, options)
            with checker.opened(step, reads=False) as (source, _):
                target = step.path if base is None else _free_name(_below(base, step.path))
                found = [StepResult(_with_size(step, source), target)]
                if base is not None:
                    away = gone[os.path.dirname(step.path)]
                    found += _would_follow(step, source, target, away, options)
                    away.add(source.name)
        except Refused as error:
            found = [StepResult(step, problem=str(error))]
        counter.add(found)
    return counter.result()


def _would_follow(
    step: Step, source: OpenFile, target: bytes, gone: set[bytes], options: ApplyOptions
) -> Iterator[StepResult]:
    """The sidecars that would go along with a photo; their names are added to those gone."""
    for one in companions(source, gone):
        path = os.path.join(os.path.dirname(step.path), one.name)
        if not under_any(path, options.never):
            gone.add(one.name)
            yield StepResult(step._replace(path=path), one.beside(target), is_sidecar=True)


def apply(
    library: Store,
    steps: Sequence[Step],
    options: ApplyOptions,
    *,
    on_step: OnStep | None = None,
    observer: Observer = SILENT,
) -> RemovalResult:
    """Do the steps. What cannot be done is left alone.

    Args:
        on_step: receives what became of each step, right after it.

    Raises:
        PlanError: the folder cannot be used, or the log cannot be written; nothing more is touched.
        LibraryLocked: another process writes the library.
    """
    with library.writer():
        recovery.settle_all(library, observer)
        base = _base(library, options)
        if base is not None:
            _refuse_inside_roots(library, base)
            _refuse_unwritable(base)
        mode, count = options.mode, len(steps)
        with new_log(library, mode=mode, steps=count, owns_target=mode == "trash") as log:
            run = _ApplyRun(library, options, base, log, count)
            return run.run(steps, StepCounter("applying", count, on_step, observer))


class _ApplyRun:
    """One run."""

    def __init__(
        self, library: Store, options: ApplyOptions, base: bytes | None, log: Log, count: int
    ) -> None:
        self._library = library
        self._options = options
        if base is not None and options.mode == "trash":
            base = os.path.join(base, os.fsencode(log.path.stem))
        self._base = base
        self._log = log
        self._checker = Checker(library, options.never)
        self._waiting: list[Intent] = []
        self._sidecar = count  # the number of the last step that is a sidecar's

    def run(self, steps: Sequence[Step], counter: StepCounter) -> RemovalResult:
        """The steps in order, until the observer stops it."""
        try:
            for number, step in enumerate(steps, 1):
                if not counter.goes_on():
                    break
                counter.add(self._do(number, step))
                if len(self._waiting) >= _BATCH:
                    self._tell_catalog()
        finally:
            self._tell_catalog()
        self._log.write(RunEnd())
        return counter.result(self._log.path)

    def _tell_catalog(self) -> None:
        if not self._waiting:
            return
        with self._library.writing() as connection:
            for intent in self._waiting:
                recovery.note_done(connection, self._log, intent)
        self._waiting = []

    def _do(self, number: int, step: Step) -> list[StepResult]:
        """What became of a step, and of the sidecars that went along with it."""
        try:
            _check_action(step, self._options)
            with self._checker.opened(step) as (source, keeper):
                step = _with_size(step, source)
                target = (
                    step.path if self._base is None else _free_name(_below(self._base, step.path))
                )
                intent = self._intent(number, step, source, keeper, target)
                why = self._done(intent, source, keeper)
                if why:
                    return [StepResult(step, problem=why)]
                followers = () if self._base is None else tuple(companions(source))
                also = [self._follow(intent, source, keeper, one) for one in followers]
        except Refused as error:
            return [StepResult(step, problem=str(error))]
        return [StepResult(step, target), *(one for one in also if one is not None)]

    def _done(self, intent: Intent, source: OpenFile, keeper: OpenFile) -> str:
        """Do one thing, logged before and after; why it could not be done, or ""."""
        self._log.write(intent)
        try:
            if intent.is_link:
                link_in_place(source, keeper, intent.part)
            else:
                move(source, intent.target, intent.part, intent.content)
        except (OSError, Refused) as error:
            why = _why(error)
            self._log.write(StepState(intent.number, "aborted", why))
            return why
        self._log.write(StepState(intent.number, "done"))
        self._waiting.append(intent)
        return ""

    def _follow(
        self, photo: Intent, source: OpenFile, keeper: OpenFile, one: Companion
    ) -> StepResult | None:
        """Move a sidecar to where its photo went; None where a rule says that it stays."""
        path = os.path.join(os.path.dirname(photo.path), one.name)
        if under_any(path, self._options.never):
            return None
        step = Step(path, "", 0, photo.keep, "", photo.group, "", "")
        try:
            with open_in(source.parent, one.name) as file:
                digest = file.digest()
                step = _with_size(step, file)._replace(content=digest, keep_content=digest)
                target = _free_name(one.beside(photo.target))
                self._sidecar += 1
                intent = self._intent(self._sidecar, step, file, keeper, target)
                why = self._done(replace(intent, sidecar_of=photo.number), file, keeper)
        except (OSError, Refused) as error:
            why = _why(error)
        return StepResult(step, b"" if why else target, why, is_sidecar=True)

    def _intent(
        self, number: int, step: Step, source: OpenFile, keeper: OpenFile, target: bytes
    ) -> Intent:
        facts = source.facts
        part = os.fsencode(f".pictor-{self._log.path.stem}-{number}.part")
        is_link = target == step.path
        return Intent(
            number=number,
            action="hardlink" if is_link else "move",
            path=step.path,
            target=target,
            part=part if is_link else os.path.join(os.path.dirname(target), part),
            keep=step.keep,
            content=step.content,
            keep_content=step.keep_content,
            size_bytes=facts.st_size,
            mode=facts.st_mode,
            mtime_ns=facts.st_mtime_ns,
            uid=facts.st_uid,
            gid=facts.st_gid,
            keep_inode=keeper.facts.st_ino,
            group=step.group,
        )


def _with_size(step: Step, source: OpenFile) -> Step:
    """The step with the bytes that the file has, whatever the plan says."""
    return step._replace(size_bytes=source.facts.st_size)


def _check_action(step: Step, options: ApplyOptions) -> None:
    if options.mode == "hardlink" and step.content != step.keep_content:
        raise Refused("its bytes are not those of the file to keep: a hard link would lose them")


def _base(library: Store, options: ApplyOptions) -> bytes | None:
    """Where files go; None where they stay, as hard links."""
    if options.mode == "hardlink":
        return None
    folder = options.folder
    if folder is None:
        if options.mode == "move":
            raise PlanError("no folder was named to move the files to")
        folder = library.path / TRASH
    return os.path.abspath(os.fsencode(folder.expanduser()))


def _refuse_inside_roots(library: Store, base: bytes) -> None:
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
                f"{display(base)!r} is in the indexed folder {display(root.location)!r}, where "
                "the next pictor index would find the files again; name a folder outside"
            )


def _refuse_unwritable(base: bytes) -> None:
    """Raise if nothing can be moved there, before each file is refused for that."""
    try:
        os.makedirs(base, exist_ok=True)
        with tempfile.TemporaryFile(dir=base):
            pass
    except OSError as error:
        raise PlanError(
            f"nothing can be moved to {display(base)!r}: {error.strerror}; name another folder"
        ) from error


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
