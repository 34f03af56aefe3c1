"""What a pull is going to do, and how it tells its caller; the caller decides what to show."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Protocol

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """A pull, before its first byte.

    Attributes:
        source: an address, or a folder.
        files: how many there are.
        size_bytes: of all of them.
        here_bytes: of these, already on this machine.
    """

    id: str
    revision: str
    source: str
    files: int
    size_bytes: int
    here_bytes: int = 0
    licence: str = ""

    @property
    def sentence(self) -> str:
        """What is going to be moved, for people."""
        left = self.size_bytes - self.here_bytes
        here = f" ({size_text(self.here_bytes)} are here already)" if self.here_bytes else ""
        return (
            f"getting {self.id} at revision {self.revision[:12]} from {self.source}: "
            f"{self.files} files, {size_text(left)}{here}; licence: {self.licence or 'not stated'}"
        )


def size_text(count: int) -> str:
    """A number of bytes for people, in powers of 1000."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.5:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} TB"


class Watch(Protocol):
    """Told by whatever moves or reads many bytes, in its own thread; must return at once."""

    def begin(self, plan: Plan) -> None:
        """Before the first byte."""
        ...

    def moved(self, count: int) -> None:
        """So many bytes more; less than none if some were thrown away."""
        ...


class Logged:
    """The watch of a download that nobody watches: it is still said, as a warning of this package.

    The command prints those.
    """

    def begin(self, plan: Plan) -> None:
        """Say it."""
        _LOG.warning("%s", plan.sentence)

    def moved(self, count: int) -> None:
        """Nothing."""


class Unwatched:
    """A watch that shows nothing."""

    def begin(self, plan: Plan) -> None:
        """Nothing."""

    def moved(self, count: int) -> None:
        """Nothing."""
