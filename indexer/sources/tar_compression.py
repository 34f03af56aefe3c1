"""Compressed tars: what they unpack to, and the plain copy their members are read from."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import shutil
import tempfile
import weakref
import zlib
from contextlib import suppress
from typing import IO

from pictor.indexer.sources.base import quoted
from pictor.library.errors import SourceError

#: Errors of the decompressors on a damaged stream. gzip.BadGzipFile is an OSError.
UNPACKING_ERRORS = (OSError, EOFError, zlib.error, lzma.LZMAError)

#: Most that a compressed tar may hold, in bytes; more is refused. Large enough for any archive
#: that is read whole, and finite, so that a bomb ends on a disk of any size.
UNPACKED_LIMIT = 256 << 30
_LEFT_FREE = 1 << 30  # bytes that stay free on the disk of temporary files
_COPY_BLOCK = 1 << 20

Unpacked = gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile


def open_stream(file: IO[bytes], head: bytes) -> Unpacked | None:
    """What a compressed file unpacks to, by its first bytes; None if they are of no such format."""
    if head.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=file, mode="rb")
    if head.startswith(b"BZh"):
        return bz2.BZ2File(file, "rb")
    if head.startswith(b"\xfd7zXZ\0"):
        return lzma.LZMAFile(file, "rb")
    return None


class UnpackedCopy:
    """The plain bytes of a compressed tar, in a temporary file that goes when this object goes.

    Reading a member out of the middle of a compressed stream costs all that stands before it, so
    reading all members that way would take quadratic time. One pass to disk makes each read direct.

    Attributes:
        path: of the copy.
        stamp: (st_size, st_mtime_ns) of the compressed file it was made from.
        problem: why the stream broke off, "" if it did not.
    """

    def __init__(self, stream: Unpacked, location: bytes, stamp: tuple[int, int]) -> None:
        self.stamp = stamp
        descriptor, name = tempfile.mkstemp(prefix="pictor-", suffix=".tar")
        self.path = os.fsencode(name)
        self.problem = ""
        self._finalizer = weakref.finalize(self, _remove, self.path, os.getpid())
        with open(descriptor, "wb") as copy:
            self._fill(stream, copy, location)

    def _fill(self, stream: Unpacked, copy: IO[bytes], location: bytes) -> None:
        room = shutil.disk_usage(os.path.dirname(self.path)).free - _LEFT_FREE
        limit = min(UNPACKED_LIMIT, room)
        written = 0
        while True:
            try:
                block = stream.read1(_COPY_BLOCK)  # read() would lose what comes before damage
            except UNPACKING_ERRORS as error:
                self.problem = f"its compressed data are damaged after {written} bytes: {error}"
                return
            if not block:
                return
            written += len(block)
            if written > limit:
                self.close()
                raise SourceError(
                    f"{quoted(location)} unpacks to more than {max(limit, 0)} bytes, the room for "
                    f"its copy in {quoted(os.path.dirname(self.path))}; "
                    "unpack it elsewhere and index the folder"
                )
            copy.write(block)

    def close(self) -> None:
        """Removes the copy."""
        self._finalizer()


def _remove(path: bytes, owner: int) -> None:
    if os.getpid() == owner:  # not in a worker that was forked from it
        with suppress(OSError):
            os.unlink(path)
