"""Contents that are in the catalog but lack a vector in some space: found, located and read again.

This is what fills a new space beside an old one, and what completes a space that a run left
unfinished.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pictor.indexer.content_places import LISTED, ArchiveMembers, is_there, locator_of
from pictor.indexer.encode import DecodedFile
from pictor.indexer.sources.base import Locator, RootKind
from pictor.indexer.spaces import OpenSpaces
from pictor.indexer.worker import ReadResult, ReadTask, Refusal
from pictor.library.catalog import contents, files
from pictor.library.catalog import spaces as catalog_spaces
from pictor.library.catalog.rows import FilePlace, SpaceRow
from pictor.library.names import display
from pictor.library.records import Decoded
from pictor.library.store import Store

PAGE = 500


class Backfill:
    """Tasks for what spaces lack. `tasks()` runs in the feeder's thread, `accept` in the other."""

    def __init__(self, library: Store, spaces: Sequence[SpaceRow]) -> None:
        """Nothing is looked up before `tasks()` is iterated."""
        self._library = library
        self._spaces = spaces
        self._expected: dict[int, tuple[bytes, FilePlace]] = {}
        self._next_id = 0
        self._archives = ArchiveMembers()

    @classmethod
    def of(cls, library: Store, spaces: OpenSpaces) -> Backfill | None:
        """One for incomplete spaces whose encoders are available; None if there are none.

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

    @property
    def problems(self) -> list[str]:
        """Sentences about archives that could not be listed."""
        found = self._archives.problems.values()
        return [f"its contents were not encoded for every space: {problem}" for problem in found]

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
        if isinstance(result.pictures, Refusal):
            return f"{where!r} was not encoded for every space: {result.pictures.detail}"
        pictures = result.pictures
        if result.digest != digest or not isinstance(pictures, Decoded):
            return f"{where!r} was not encoded for every space: its content has changed"
        lacking = frozenset(space.id for space in self._spaces)
        return DecodedFile(digest, result.size_bytes, pictures, is_known=True, spaces=lacking)

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
        members = self._archives.of(first.location, RootKind(first.root_kind), wanted.__contains__)
        for path, locator in members.items():
            yield self._task(*wanted[path], locator)
