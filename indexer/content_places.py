"""Where the bytes of contents can be read now: any present place of each will do."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from pictor.indexer.sources import reopen
from pictor.indexer.sources.base import FoundFile, Locator, RootKind, ScanOptions, Source
from pictor.indexer.sources.locations import kind_at
from pictor.library.catalog import files
from pictor.library.catalog.rows import FilePlace
from pictor.library.errors import SourceError
from pictor.library.names import is_link
from pictor.library.store import Store

#: Roots whose files are found only by listing them again.
LISTED = frozenset({RootKind.ARCHIVE.value, RootKind.SHARD.value})


class ContentPlace(NamedTuple):
    """A file that holds a content, its facts as of its row, and how to read it."""

    path: bytes
    locator: Locator
    size_bytes: int
    mtime_ns: int


class ArchiveMembers:
    """Members of archives and shards, each of which is listed once.

    Keep it while members are read: a compressed tar is unpacked for as long as its source lives.

    Attributes:
        problems: by location of an archive that could not be listed to its end, a sentence.
    """

    def __init__(self) -> None:
        """Nothing is listed yet."""
        self._members: dict[bytes, dict[bytes, Locator]] = {}
        self._sources: list[Source] = []
        self.problems: dict[bytes, str] = {}

    def of(
        self,
        location: bytes,
        kind: RootKind | None = None,
        wanted: Callable[[bytes], bool] | None = None,
    ) -> Mapping[bytes, Locator]:
        """How to read the members of an archive, by their paths in it.

        Args:
            location: of the archive.
            kind: of root; found out if None.
            wanted: whether a path may be asked for; all may if None.
        """
        if location not in self._members:
            self._members[location] = {}
            try:
                self._list(location, kind, wanted)
            except SourceError as error:
                self.problems[location] = str(error)
        return self._members[location]

    def _list(
        self, location: bytes, kind: RootKind | None, wanted: Callable[[bytes], bool] | None
    ) -> None:
        source = reopen(kind or kind_at(location), location, ScanOptions(hidden=True))
        self._sources.append(source)
        for found in source.scan():
            if isinstance(found, FoundFile) and (wanted is None or wanted(found.path)):
                self._members[location][found.path] = found.locator


class ContentPlaces:
    """Finds contents. Archives are listed when the first content is found in one.

    Attributes:
        archives: to be kept while places are read.
    """

    def __init__(self, library: Store) -> None:
        """Nothing is looked up yet."""
        self._library = library
        self.archives = ArchiveMembers()

    def find(self, content_ids: Iterable[int]) -> dict[int, ContentPlace]:
        """A readable place of each content that has one."""
        wanted = sorted(set(content_ids))
        with self._library.reading() as connection:
            places = files.places(connection, wanted)
        found = {content_id: self._first(places[content_id]) for content_id in wanted}
        return {content_id: place for content_id, place in found.items() if place is not None}

    def _first(self, places: Iterable[FilePlace]) -> ContentPlace | None:
        there = [place for place in places if is_there(place)]
        there.sort(key=lambda place: place.root_kind in LISTED)  # a plain file is read sooner
        for place in there:
            locator: Locator | None
            if place.root_kind in LISTED:
                members = self.archives.of(place.location, RootKind(place.root_kind))
                locator = members.get(place.path)
            else:
                locator = locator_of(place)
            if locator is not None:
                return ContentPlace(place.full_path, locator, place.size_bytes, place.mtime_ns)
        return None


def is_there(place: FilePlace) -> bool:
    """Whether a content can be read from a place now."""
    if place.state != "present":
        return False
    in_folder = place.root_kind in (RootKind.FOLDER, RootKind.FILE)
    return not in_folder or os.path.exists(place.full_path)


def locator_of(place: FilePlace) -> Locator:
    """Where to read a file of a folder, a list or a single-file root."""
    path = place.full_path
    is_url = place.root_kind == RootKind.LIST and is_link(path)
    return Locator("url" if is_url else "file", path)
