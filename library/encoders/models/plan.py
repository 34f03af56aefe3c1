"""What a download or copy of a model is going to move, announced before its first byte."""

from __future__ import annotations

from dataclasses import dataclass

from pictor.library.observer import ByteCount, Observer


@dataclass(frozen=True)
class DownloadPlan:
    """A download or copy of a model, before its first byte.

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

    def announce(self, observer: Observer, doing: str) -> ByteCount:
        """Tell an observer what comes; the returned counter reports its bytes."""
        observer.notice(self.sentence)
        return ByteCount(observer, doing, self.size_bytes)


def size_text(count: int) -> str:
    """A number of bytes for people, in powers of 1000."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.5:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} TB"
