"""Files that are written whole or not at all: beside their place, then moved into it."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_STALE_S = 86_400  # a temporary folder older than a day was left by a kill


def sync(path: Path | bytes) -> None:
    """Wait until the bytes of a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def replaced(path: Path, *, is_synced: bool = False, is_new: bool = False) -> Iterator[BinaryIO]:
    """A file that takes the place of `path` when the block ends well; otherwise nothing changes.

    Args:
        is_synced: its bytes are on the disk before it takes the place.
        is_new: nothing may have that name, not even since the block began.

    Raises:
        FileExistsError: something has, and `is_new`.
        OSError: it cannot be written.
    """
    unfinished = path.with_name(f".pictor-{secrets.token_hex(6)}")
    try:
        with unfinished.open("xb") as file:
            yield file
            if is_synced:
                file.flush()
                os.fsync(file.fileno())
        if is_new:  # a rename would replace what came meanwhile
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        os.replace(unfinished, path)
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink()


@contextlib.contextmanager
def new_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """An empty folder in `parent`, which is made, to be filled and renamed; else it goes again.

    Those that a kill left there under the same prefix go, too.

    Raises:
        OSError: it cannot be made.
    """
    parent.mkdir(parents=True, exist_ok=True)
    for left in parent.glob(f"{prefix}*"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > _STALE_S:
                shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
