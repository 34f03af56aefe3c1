"""The files that hits and members of groups name, read again for pages that show them."""

from __future__ import annotations

import os
import re
import urllib.parse
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pictor.library.errors import ImageError
from pictor.library.names import is_link, shown
from pictor.library.records import Reason

if TYPE_CHECKING:
    from PIL import Image

    from pictor.indexer.content_places import ArchiveMembers
    from pictor.library.catalog.rows import FilePlace
    from pictor.library.config import Settings

#: A member of an archive that holds more bytes is not read; as for a file by default.
MAX_MEMBER_BYTES = 512 << 20


def link_of(path: bytes) -> str:
    """A file: link to a file, or to the archive that holds it; "" for one that is on the web."""
    if is_link(path):
        return ""
    return "file://" + urllib.parse.quote_from_bytes(_archive_of(path) or path)


def original(place: FilePlace, settings: Settings) -> bytes | Path:
    """A file of a library, wherever it is: its path, or the bytes of what is in an archive or on
    the web.

    Raises:
        ImageError: it is not there any more, or cannot be read or fetched.
    """
    path = place.full_path
    if not is_link(path):
        found = Originals([path]).read(path)
        if isinstance(found, Path) and not found.is_file():
            raise ImageError(Reason.VANISHED, f"there is no file {shown(path)}")
        return found
    if settings.network.offline:
        raise ImageError(Reason.FETCH, f"{shown(path)} is on the web and pictor is offline")
    from pictor.library.downloads import fetch

    return fetch(path, settings.index.max_file_mib << 20, settings.index.fetch_timeout_s)


class Originals:
    """Reads files by their paths; each archive is listed once for all of its members."""

    def __init__(self, paths: Iterable[bytes]) -> None:
        """`paths`: all that will be asked for and may lie in archives."""
        self._wanted = frozenset(paths)

    @cached_property
    def _archives(self) -> ArchiveMembers:
        from pictor.indexer.content_places import ArchiveMembers

        return ArchiveMembers()

    def read(self, path: bytes) -> bytes | Path:
        """The place of a file, or the bytes of a member of an archive.

        Raises:
            ImageError: it is on the web, or not in its archive. A file that is gone is not noticed.
        """
        from pictor.indexer.sources import read_bytes

        if is_link(path):
            raise ImageError(Reason.FETCH, "it is on the web, and a page is made without a network")
        archive = _archive_of(path)
        if archive is None:
            return Path(os.fsdecode(path))
        start = archive + b"!/"
        members = self._archives.of(archive, wanted=lambda name: start + name in self._wanted)
        locator = members.get(path.removeprefix(start))
        if locator is None:
            problem = self._archives.problems.get(archive)
            if problem is not None:
                raise ImageError(Reason.IO_ERROR, problem)
            raise ImageError(Reason.VANISHED, "it is not in its archive any more")
        return read_bytes(locator, MAX_MEMBER_BYTES, timeout_s=0)

    def picture(self, path: bytes, edge_px: int) -> Image.Image:
        """A file as a picture: upright, in sRGB, at least so wide and high where the file is.

        Raises:
            ImageError: as `read`, or it cannot be decoded.
        """
        from pictor.library.images import load_rgb

        name = path.rpartition(b"/")[2]
        return load_rgb(self.read(path), min_edge=edge_px, name_hint=name)[0]


def _archive_of(path: bytes) -> bytes | None:
    """The archive in which a path lies, if it is no file by itself."""
    if b"!/" not in path or os.path.lexists(path):
        return None
    ends = [match.start() for match in re.finditer(b"!/", path)]
    return next((path[:end] for end in ends if os.path.isfile(path[:end])), None)
