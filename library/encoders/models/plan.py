"""What a download or copy of a model is going to move, announced before its first byte."""

from __future__ import annotations

from pictor.library.observer import ByteCount, Observer


def announce(
    observer: Observer,
    doing: str,
    name: str,
    revision: str,
    source: str,
    files: int,
    size_bytes: int,
    *,
    here_bytes: int = 0,
    licence: str = "",
) -> ByteCount:
    """Tell an observer what is going to be moved; the returned counter reports its bytes.

    Args:
        name: the model's id.
        source: an address, or a folder.
        files: how many there are.
        size_bytes: of all of them.
        here_bytes: of these, already on this machine.
    """
    here = f" ({size_text(here_bytes)} are here already)" if here_bytes else ""
    observer.notice(
        f"getting {name} at revision {revision[:12]} from {source}: {files} files, "
        f"{size_text(size_bytes - here_bytes)}{here}; licence: {licence or 'not stated'}"
    )
    return ByteCount(observer, doing, size_bytes)


def size_text(count: int) -> str:
    """A number of bytes for people, in powers of 1000."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.5:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} TB"
