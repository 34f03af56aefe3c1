"""Contents that are in the catalog but lack a vector in some space: found, located and read again.

This is what fills a new space beside an old one, and what completes a space that a run left
unfinished.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from pictor.indexer.encode import DecodedFile
from pictor.indexer.sources import reopen
from pictor.indexer.sources.base import FoundFile, Locator, RootKind, ScanOptions, Source
from pictor.indexer.spaces import OpenSpaces
from pictor.indexer.worker import ReadResult, ReadTask, Refusal
from pictor.library.catalog import contents, files
from pictor.library.catalog import spaces as catalog_spaces
from pictor.library.catalog.rows import FilePlace, SpaceRow
from pictor.library.errors import SourceError
from pictor.library.library import Library
from pictor.library.names import display
from pictor.library.records import Decoded

PAGE = 500
#: Roots whose files are found only by listing them again.
LISTED = frozenset({RootKind.ARCHIVE.value, RootKind.SHARD.value})


class Backfill:
    """Tasks for what spaces lack. `tasks()` runs in the feeder's thread, `accept` in the other.

    Attributes:
        problems: sentences about archives that could not be listed.
    """

    def __init__(self, library: Library, spaces: Sequence[SpaceRow]) -> None:
        """Nothing is looked up before `tasks()` is iterated."""
        self._library = library
        self._spaces = spaces
        self._expected: dict[int, tuple[bytes, FilePlace]] = {}
        self._next_id = 0
        self._sources: list[Source] = []
        self.problems: list[str] = []

    @classmethod
    def of(cls, library: Library, spaces: OpenSpaces) -> Backfill | None:
        """One for the spaces that lack something and whose encoders can be had; None if none does.

        Loads encoders only if there is something to encode.
        """
        with library.reading() as connection:
            items = catalog_spaces.count_items(connection)
            lacking = {
                space.row.id
                for space in spaces.spaces
                if catalog_spaces.count_vectors(connection, space.row.id) < items
                and contents.lacking_vectors(connection, space.row.id, 0, 1)
            }
        if not lacking:
            return None
        rows = [space.row for space in spaces.loaded() if space.row.id in lacking]
        return cls(library, rows) if rows else None

    def tasks(self) -> Iterator[ReadTask]:
        """A forced task, with a negative id, for each content that lies where it can be read."""
        done: set[int] = set()
        in_archives: dict[int, dict[bytes, tuple[bytes, FilePlace]]] = {}
        for space in self._spaces:
            for content_id, digest, place in self._lacking(space):
                if content_id in done:
                    continue
                done.add(content_id)
                if place.root_kind in LISTED:
                    in_archives.setdefault(place.root_id, {})[place.path] = (digest, place)
                else:
                    yield self._task(digest, place, locator_of(place))
        for wanted in in_archives.values():
            yield from self._in_archive(wanted)

    def accept(self, result: ReadResult) -> DecodedFile | str:
        """The decoded content of one of our tasks, or a sentence that says why there is none."""
        digest, place = self._expected.pop(result.task_id)
        where = display(place.full_path)
        if isinstance(result.outcome, Refusal):
            return f"{where!r} was not encoded for every space: {result.outcome.detail}"
        if result.digest != digest or not isinstance(result.outcome, Decoded):
            return f"{where!r} was not encoded for every space: its content has changed"
        lacking = frozenset(space.id for space in self._spaces)
        return DecodedFile(digest, result.size_bytes, result.outcome, is_known=True, spaces=lacking)

    def _lacking(self, space: SpaceRow) -> Iterator[tuple[int, bytes, FilePlace]]:
        """(content id, hash, a place where it can be read) of what one space lacks."""
        last = 0
        while True:
            with self._library.reading() as connection:
                page = contents.lacking_vectors(connection, space.id, last, PAGE)
                places = files.places(connection, [content_id for content_id, _ in page])
            if not page:
                return
            last = page[-1][0]
            for content_id, digest in page:
                present = [place for place in places[content_id] if is_there(place)]
                if present:
                    yield content_id, digest, present[0]

    def _task(self, digest: bytes, place: FilePlace, locator: Locator) -> ReadTask:
        self._next_id -= 1
        self._expected[self._next_id] = (digest, place)
        return ReadTask(self._next_id, locator, place.size_bytes, place.mtime_ns, forced=True)

    def _in_archive(self, wanted: dict[bytes, tuple[bytes, FilePlace]]) -> Iterator[ReadTask]:
        _, first = next(iter(wanted.values()))
        source = reopen(RootKind(first.root_kind), first.location, ScanOptions(hidden=True))
        self._sources.append(source)  # a compressed tar is unpacked for as long as its source lives
        try:
            for found in source.scan():
                if isinstance(found, FoundFile) and found.path in wanted:
                    digest, place = wanted[found.path]
                    yield self._task(digest, place, found.locator)
        except SourceError as error:
            self.problems.append(f"what it holds was not encoded for every space: {error}")


def is_there(place: FilePlace) -> bool:
    """Whether a content can be read from a place now."""
    if place.state != "present":
        return False
    in_folder = place.root_kind in (RootKind.FOLDER, RootKind.FILE)
    return not in_folder or os.path.exists(place.full_path)


def locator_of(place: FilePlace) -> Locator:
    """Where to read a file of a folder, a list or a single-file root."""
    path = place.full_path
    is_url = place.root_kind == RootKind.LIST and path.startswith((b"http://", b"https://"))
    return Locator("url" if is_url else "file", path)
