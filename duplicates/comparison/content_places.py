"""Where the bytes of contents can be read now: any present place of each will do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from pictor.indexer.backfill import LISTED, is_there, locator_of
from pictor.indexer.sources import reopen
from pictor.indexer.sources.base import FoundFile, Locator, RootKind, ScanOptions, Source
from pictor.library.catalog import files
from pictor.library.catalog.rows import FilePlace
from pictor.library.errors import SourceError
from pictor.library.library import Library


class Place(NamedTuple):
    """A file that holds a content, and how to read it."""

    path: bytes
    locator: Locator


class Places:
    """Finds contents. Archives are listed once, when the first content lies in one.

    Keep it while its places are read: a compressed tar is unpacked for as long as its source lives.

    Attributes:
        problems: sentences about archives that could not be listed.
    """

    def __init__(self, library: Library) -> None:
        """Nothing is looked up yet."""
        self._library = library
        self._listed: dict[int, dict[bytes, Locator]] = {}
        self._sources: list[Source] = []
        self.problems: list[str] = []

    def find(self, content_ids: Iterable[int]) -> dict[int, Place]:
        """A readable place of each content that has one."""
        wanted = sorted(set(content_ids))
        with self._library.reading() as connection:
            places = files.places(connection, wanted)
        found = {content_id: self._first(places[content_id]) for content_id in wanted}
        return {content_id: place for content_id, place in found.items() if place is not None}

    def _first(self, places: Iterable[FilePlace]) -> Place | None:
        there = [place for place in places if is_there(place)]
        there.sort(key=lambda place: place.root_kind in LISTED)  # a plain file is read sooner
        for place in there:
            if place.root_kind not in LISTED:
                return Place(place.full_path, locator_of(place))
            locator = self._members(place).get(place.path)
            if locator is not None:
                return Place(place.full_path, locator)
        return None

    def _members(self, place: FilePlace) -> dict[bytes, Locator]:
        """The members of the archive that a place is in."""
        if place.root_id not in self._listed:
            members: dict[bytes, Locator] = {}
            source = reopen(RootKind(place.root_kind), place.location, ScanOptions(hidden=True))
            self._sources.append(source)
            try:
                for found in source.scan():
                    if isinstance(found, FoundFile):
                        members[found.path] = found.locator
            except SourceError as error:
                self.problems.append(f"what it holds was not compared: {error}")
            self._listed[place.root_id] = members
        return self._listed[place.root_id]
