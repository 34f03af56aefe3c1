"""The log of what was done to files: JSON lines, only ever added to, each on the disk before more.

A line "intent" comes before a file is touched and says where it is and where it goes; "done" or
"aborted" comes after. Undoing adds "undoing" and "undone". "carried" says what a content that stays
was given of one that went. "end" comes once the catalog knows all of it. So a log without an end
was cut short, and its open intents are settled by looking at both places.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pictor.duplicates.removal.log_lines import (
    Carried,
    Intent,
    LogHeader,
    LogLine,
    RunEnd,
    StepState,
    line_of,
)
from pictor.library.atomic import sync
from pictor.library.errors import PlanError, quoted
from pictor.library.records import JsonObject
from pictor.library.store import Store

FOLDER = "resolved"
ENDING = ".jsonl"
#: States of a step after which nothing is open.
SETTLED = frozenset({"done", "aborted", "undone"})


@dataclass
class LogState:
    """A log as read.

    Attributes:
        intents: of each step, by its number, in order.
        states: the last state of each step; "intent" where nothing came after it.
        carried: in order.
        is_ended: the catalog knows all of it.
    """

    path: Path
    header: LogHeader
    intents: dict[int, Intent] = field(default_factory=dict)
    states: dict[int, str] = field(default_factory=dict)
    carried: list[Carried] = field(default_factory=list)
    is_ended: bool = False

    @property
    def is_settled(self) -> bool:
        """Whether nothing is open."""
        return self.is_ended and all(state in SETTLED for state in self.states.values())

    def steps(self, state: str) -> list[int]:
        """The steps whose last state is this, in order."""
        return [number for number, last in self.states.items() if last == state]


class Log:
    """A log that is open for adding. Use it in a `with` block."""

    def __init__(self, path: Path, *, is_new: bool = False) -> None:
        """Opens a file that is there, or makes one.

        Raises:
            PlanError: it cannot be opened.
        """
        self.path = path
        flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC
        try:
            self._file = os.open(path, flags | (os.O_CREAT | os.O_EXCL if is_new else 0), 0o600)
            if is_new:
                sync(path.parent)
            else:
                self._end_torn_line()
        except FileExistsError:
            raise
        except OSError as error:
            raise _unwritable(path, error) from error

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def write(self, line: LogLine) -> None:
        """Add a line; it is on the disk when this returns.

        Raises:
            PlanError: it cannot be written; then nothing more may be touched.
        """
        text = json.dumps(line.to_json(), ensure_ascii=False)
        data = f"{text}\n".encode("utf-8", "backslashreplace")
        try:
            while data:
                data = data[os.write(self._file, data) :]
            os.fsync(self._file)
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def _end_torn_line(self) -> None:
        """A kill may have cut the last line short: it is left as it is, and ended."""
        size = os.fstat(self._file).st_size
        if size and os.pread(self._file, 1, size - 1) != b"\n":
            os.write(self._file, b"\n")


def new_log(library: Store, *, mode: str, steps: int, owns_target: bool) -> Log:
    """A new log of a library, with its header written."""
    folder = library.path / FOLDER
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error
    moment = datetime.now(UTC)
    name = moment.strftime("%Y%m%dT%H%M%SZ")
    for number in range(1, 10_000):
        try:
            log = Log(folder / f"{name}-{number:04}{ENDING}", is_new=True)
        except FileExistsError:
            continue
        started = moment.isoformat(timespec="seconds")
        log.write(LogHeader(library.library_id, started, mode, steps, owns_target))
        return log
    raise PlanError(f"the folder {str(folder)!r} has too many logs of one second")


def logs(library: Store) -> list[Path]:
    """The logs of a library, the oldest first."""
    folder = library.path / FOLDER
    return sorted(folder.glob(f"*{ENDING}")) if folder.is_dir() else []


def read_log(path: Path) -> LogState | None:
    """A log; None for one that was cut short before its header, when nothing had been touched.

    Raises:
        PlanError: it cannot be read or is no log.
    """
    try:
        text = path.read_bytes().decode("utf-8", "surrogateescape")
    except OSError as error:
        raise PlanError(f"the log {quoted(str(path))} cannot be read: {error.strerror}") from error
    rows = list(_objects(text))
    if not rows:
        if text.strip() and not text.startswith('{"pictor_log"'):
            raise PlanError(f"{str(path)!r} is no log of pictor")
        return None
    try:
        state = LogState(path, LogHeader.from_json(rows[0]))
    except ValueError as error:
        raise PlanError(f"{str(path)!r} is no log of this version of pictor") from error
    for row in rows[1:]:
        try:
            _take(state, line_of(row))
        except ValueError as error:
            raise PlanError(f"{str(path)!r} has a step that is none: {error}") from error
    return state


def read_own_log(path: Path, library: Store) -> LogState | None:
    """As `read_log`, for a log of this library.

    Raises:
        PlanError: as `read_log`, or it is of another library.
    """
    state = read_log(path)
    if state is not None and state.header.library_id != library.library_id:
        raise PlanError(
            f"the log {str(path)!r} is of another library than {str(library.path)!r}; "
            "name its library with --library"
        )
    return state


def _take(state: LogState, line: LogLine | None) -> None:
    state.is_ended = isinstance(line, RunEnd)
    if isinstance(line, Carried):
        state.carried.append(line)
    elif isinstance(line, Intent):
        state.intents[line.number] = line
        state.states[line.number] = "intent"
    elif isinstance(line, StepState) and line.number in state.intents:
        state.states[line.number] = line.state


def _objects(text: str) -> Iterator[JsonObject]:
    """The lines that are whole."""
    for line in text.split("\n"):
        try:
            row = json.loads(line)
        except ValueError:
            continue  # cut short by a kill
        if isinstance(row, dict):
            yield row


def _unwritable(path: Path, error: OSError) -> PlanError:
    return PlanError(
        f"the log {str(path)!r} cannot be written, so nothing more was touched: {error.strerror}"
    )
