"""Contents that are in the catalog but lack a vector in some space: found, located and read again.

This is what fills a new space beside an old one, and what completes a space that a run left
unfinished.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count

from pictor.indexer.content_places import ContentPlace, ContentPlaces
from pictor.indexer.decoded_files import DecodedFile
from pictor.indexer.messages import ReadResult, ReadTask, Refusal
from pictor.indexer.spaces import OpenSpaces
from pictor.library.catalog import contents
from pictor.library.catalog import spaces as catalog_spaces
from pictor.library.catalog.rows import SpaceRow
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
        self._expected: dict[int, tuple[bytes, ContentPlace]] = {}
        self._numbers = count(-1, -1)
        self._places = ContentPlaces(library)

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
        found = self._places.archives.problems.values()
        return [f"its contents were not encoded for every space: {problem}" for problem in found]

    def tasks(self) -> Iterator[ReadTask]:
        """A forced task, with a negative id, for each content that lies where it can be read."""
        lacking = frozenset(space.id for space in self._spaces)
        done: set[int] = set()
        for space in self._spaces:
            for page in self._lacking(space):
                digests = {one: digest for one, digest in page if one not in done}
                done |= digests.keys()
                for content_id, place in self._places.find(digests).items():
                    number = next(self._numbers)
                    self._expected[number] = (digests[content_id], place)
                    facts = (place.size_bytes, place.mtime_ns)
                    yield ReadTask(number, place.locator, *facts, forced=True, spaces=lacking)

    def accept(self, result: ReadResult) -> DecodedFile | str:
        """The decoded content of one of our tasks, or a sentence that says why there is none."""
        digest, place = self._expected.pop(result.task_id)
        where = display(place.path)
        if isinstance(result.pictures, Refusal):
            return f"{where!r} was not encoded for every space: {result.pictures.detail}"
        pictures = result.pictures
        if result.digest != digest or not isinstance(pictures, Decoded):
            return f"{where!r} was not encoded for every space: its content has changed"
        return DecodedFile(digest, result.size_bytes, pictures, is_known=True)

    def _lacking(self, space: SpaceRow) -> Iterator[Sequence[tuple[int, bytes]]]:
        """(content id, hash) of what one space lacks, in pages."""
        last = 0
        while True:
            with self._library.reading() as connection:
                page = contents.lacking_vectors(connection, space.id, last, PAGE)
            if not page:
                return
            yield page
            last = page[-1][0]
