"""The bytes of a picture that is part of a query, from a path or a link."""

from __future__ import annotations

import os

from pictor.library.config import IndexSettings
from pictor.library.errors import ImageError
from pictor.library.records import Reason
from pictor.search.query import PicturePart

MIB = 1 << 20


def read(part: PicturePart, settings: IndexSettings) -> bytes:
    """All bytes of a query's picture.

    Raises:
        ImageError: it cannot be read or fetched, or is larger than `index.max_file_mib` allows.
    """
    limit = settings.max_file_mib * MIB
    if part.is_link:
        from pictor.library.downloads import fetch  # httpx takes 0.1 s to import

        return fetch(part.location, limit, settings.fetch_timeout_s)
    try:
        with open(part.location, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > limit:
                detail = f"it has {size:,} bytes; the limit is {limit:,} (index.max_file_mib)"
                raise ImageError(Reason.TOO_LARGE, detail)
            return file.read()
    except OSError as error:
        raise ImageError(Reason.IO_ERROR, f"it cannot be read: {error.strerror}") from error
