"""The write lock of a library: one writer at a time; the system frees it however a process ends."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pictor.library.errors import LibraryError, LibraryLocked


@contextmanager
def write_lock(folder: Path) -> Iterator[None]:
    """Hold the write lock of the library in `folder`.

    Raises:
        LibraryLocked: another process holds it; the message names the process.
        LibraryError: the folder cannot be written.
    """
    from filelock import FileLock, Timeout  # not for readers, who never lock

    lock = FileLock(folder / "write.lock")
    owner = folder / "write.owner"
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise LibraryLocked(
            f"the library {str(folder)!r} is being written by {_owner(owner)}; "
            "wait for it to end, or stop it, then run again"
        ) from None
    except OSError as error:
        raise LibraryError(
            f"the library {str(folder)!r} cannot be written: {error.strerror}; "
            "it can be searched, but not be changed"
        ) from error
    try:
        with contextlib.suppress(OSError):  # on a full disk the name is lost, not the lock
            owner.write_text(str(os.getpid()), encoding="ascii")
        yield
    finally:
        with contextlib.suppress(OSError):
            owner.unlink()
        lock.release()


def _owner(file: Path) -> str:
    try:
        return f"process {int(file.read_text(encoding='ascii'))}"
    except (OSError, ValueError):
        return "another process"
