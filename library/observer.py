"""How a run reports what it is doing, and how it is asked to stop; the caller decides what to show.

An observer that asks a run to stop ends it at the next point where nothing is lost. The run then
returns what it did, with `stopped` set; `Stopped` itself never leaves it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Progress:
    """Where a run is.

    Attributes:
        doing: the part of the run that counts, such as "indexing" or "fetching".
        done: how much of it is done.
        total: how much there is; 0 while that is not known.
        unit: what is counted: "files", "pairs", "texts", "bytes", …
        detail: more for people, such as "encoded 12 004".
    """

    doing: str
    done: int
    total: int
    unit: str
    detail: str = ""


class Observer(Protocol):
    """Receives what a run reports, in the run's own thread; each method must return at once."""

    def progress(self, state: Progress) -> None:
        """Called several times a second, and for each block of bytes that was moved or read."""
        ...

    def notice(self, text: str) -> None:
        """Receives a message for the user: a fallback, an unreachable root, a download's size."""
        ...

    def should_stop(self) -> bool:
        """True once the run is to end at the next batch boundary."""
        ...


class Silent:
    """An observer that shows nothing and never stops a run."""

    def progress(self, state: Progress) -> None:
        """Nothing."""

    def notice(self, text: str) -> None:
        """Nothing."""

    def should_stop(self) -> bool:
        """Never."""
        return False


#: The observer of a run that nobody watches.
SILENT = Silent()


class Remembering:
    """An observer that passes everything on to another one and keeps the notices."""

    def __init__(self, other: Observer) -> None:
        """Nothing was noticed yet."""
        self._other = other
        self.notices: list[str] = []
        self.progress = other.progress
        self.should_stop = other.should_stop

    def notice(self, text: str) -> None:
        """Kept, and passed on."""
        self.notices.append(text)
        self._other.notice(text)


class Stopped(Exception):  # not an error: the way out of nested loops and transactions
    """The observer ended a run. Caught by the run itself, which returns what it did."""


def check(observer: Observer) -> None:
    """Raise `Stopped` if the run is to end."""
    if observer.should_stop():
        raise Stopped


class ByteCount:
    """Bytes that were moved or read, reported to an observer as they are counted."""

    def __init__(self, observer: Observer, doing: str, total: int) -> None:
        """Nothing is counted yet. `total`: how many there will be; 0 if that is not known."""
        self.observer = observer
        self._doing = doing
        self._total = total
        self._done = 0

    def add(self, count: int) -> None:
        """So many more; less than none if some were thrown away."""
        self._done += count
        self.observer.progress(Progress(self._doing, self._done, self._total, "bytes"))
