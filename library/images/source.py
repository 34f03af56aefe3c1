"""One file to decode: bytes in memory, or a path that is read where it lies."""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO

from pictor.library.errors import ImageError, reason_of
from pictor.library.images.rawkind import with_far_directory
from pictor.library.images.sniff import HEAD_BYTES, MediaType, sniff
from pictor.library.records import Reason


class MediaFile:
    """The bytes of one file and what they are.

    Attributes:
        size_bytes: of the whole file.
        media: its type by content.
    """

    def __init__(self, data: bytes | Path, name_hint: bytes = b"") -> None:
        """Look at the start of the file.

        Raises:
            ImageError: it is empty, no media, an archive, or cannot be read.
        """
        self._data = data
        if isinstance(data, Path):
            name_hint = name_hint or bytes(data)
        try:
            with self.open() as file:
                head = file.read(HEAD_BYTES)
                self.size_bytes = file.seek(0, io.SEEK_END)
                head = with_far_directory(head, file)
        except OSError as error:
            raise read_failure(error) from error
        self.media = _known(head, name_hint)

    def open(self) -> BinaryIO:
        """A new seekable file at its start; the caller closes it."""
        return self._data.open("rb") if isinstance(self._data, Path) else io.BytesIO(self._data)

    def read(self) -> bytes:
        """All bytes."""
        return self._data.read_bytes() if isinstance(self._data, Path) else self._data

    def tail(self, length: int) -> bytes:
        """The last `length` bytes, or all where there are fewer."""
        with self.open() as file:
            file.seek(max(0, self.size_bytes - length))
            return file.read(length)


def read_failure(error: OSError) -> ImageError:
    """What a failed system call says of the file."""
    return ImageError(reason_of(error), f"it cannot be read: {error.strerror or error}")


def _known(head: bytes, name_hint: bytes) -> MediaType:
    if not head:
        raise ImageError(Reason.EMPTY, "it has 0 bytes")
    media = sniff(head, name_hint)
    if media is None:
        start = head[:8].hex(" ")
        raise ImageError(Reason.NOT_MEDIA, f"its first bytes ({start}) are of no known image type")
    if media.kind == "archive":
        raise ImageError(Reason.ARCHIVE, f"it is a {media.name} archive; index it as a root")
    return media
