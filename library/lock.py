"""The write lock of a library: one writer at a time, released by the system however a process ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from library.errors import LibraryLocked


@contextmanager
def write_lock(folder: Path) -> Iterator[None]:
    """Hold the write lock of the library in `folder`.

    Raises:
        LibraryLocked: another process holds it; the message names the process.
    """
    lock = FileLock(folder / "write.lock")
    owner = folder / "write.owner"
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise LibraryLocked(
            f"the library {str(folder)!r} is being written by {_owner(owner)}; "
            "wait for it to end, or stop it, then run again"
        ) from None
    try:
        owner.write_text(str(os.getpid()), encoding="ascii")
        yield
    finally:
        owner.unlink(missing_ok=True)
        lock.release()


def _owner(file: Path) -> str:
    try:
        return f"process {int(file.read_text(encoding='ascii'))}"
    except (OSError, ValueError):
        return "another process"
