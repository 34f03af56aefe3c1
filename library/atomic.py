"""Files that are written whole or not at all: beside their place, then moved into it."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


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
