"""How a run tells its caller what it is doing; the caller decides what to show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Progress:
    """Where a run is.

    Attributes:
        total: files there are; 0 while they are still being counted.
        seen: files compared with the catalog so far.
        settled: files whose outcome is known so far.
        encoded: items encoded so far.
    """

    total: int
    seen: int
    settled: int
    encoded: int


class Observer(Protocol):
    """Told by a run, in the run's own thread; must return at once."""

    def progress(self, state: Progress) -> None:
        """Called several times a second."""
        ...

    def notice(self, text: str) -> None:
        """A sentence a person should read: a fallback, an unreachable root, a folder not listed."""
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


class Remembering:
    """An observer that passes everything on to another one and keeps the notices."""

    def __init__(self, other: Observer) -> None:
        """Nothing was noticed yet."""
        self._other = other
        self.notices: list[str] = []

    def progress(self, state: Progress) -> None:
        """Passed on."""
        self._other.progress(state)

    def notice(self, text: str) -> None:
        """Kept, and passed on."""
        self.notices.append(text)
        self._other.notice(text)

    def should_stop(self) -> bool:
        """What the other one says."""
        return self._other.should_stop()
