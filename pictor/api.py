"""The library as people import it: `from pictor import open_library`.

One object with the same verbs as the command. What is heavy is imported by the verb that needs it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from library.config import Settings, default_library_dir
from library.errors import LibraryNotFound
from library.records import Hit

if TYPE_CHECKING:
    from indexer.observer import Observer
    from indexer.pipeline import Summary
    from library.library import Library
    from library.status import FileProblem, Status
    from library.verify import Verdict
    from search.engine import Engine

PathLike = str | bytes | os.PathLike[str]


def open_library(path: PathLike | None = None, *, settings: Settings | None = None) -> OpenLibrary:
    """A library by its folder; `PICTOR_LIBRARY` or the user's data folder if none is named.

    The folder need not exist: the first `index` makes it. Use the result in a `with` block, or
    close it.

        with open_library("~/pictures.pictor") as library:
            library.index(["~/Pictures"])
            for hit in library.search("a dog on the beach"):
                print(hit.score, hit.path)
    """
    folder = default_library_dir() if path is None else Path(os.fsdecode(path))
    return OpenLibrary(folder.expanduser(), settings)


class OpenLibrary:
    """A library and its verbs. Not safe for use from several threads at once."""

    def __init__(self, path: Path, settings: Settings | None = None) -> None:
        """Nothing is opened before the first verb."""
        self.path = path
        self._settings = settings
        self._library: Library | None = None
        self._engine: Engine | None = None
        self._is_closed = False

    def __enter__(self) -> OpenLibrary:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release files, indexes and towers. No verb can be used afterwards."""
        self._is_closed = True
        if self._engine is not None:
            self._engine.close()
        if self._library is not None:
            self._library.close()
        self._engine = self._library = None

    def index(
        self,
        roots: Sequence[PathLike] = (),
        *,
        encoders: Sequence[str] = (),
        retry: bool = False,
        observer: Observer | None = None,
    ) -> Summary:
        """Index roots (all known ones if none is named) and fill every space; the run's counts.

        Args:
            roots: folders, files, lists, archives or shards.
            encoders: spaces to fill besides those there are; the first becomes the default.
            retry: also read again what failed or was skipped before.
            observer: is told of progress, and may stop the run.

        Raises:
            SourceError: no root can be reached.
            LibraryLocked: another process writes this library.
            ModelError: a named encoder cannot be had.
        """
        from indexer.run import index

        self._forget_engine()
        named = [_expanded(root) for root in roots]
        library = self._open(create=bool(roots))
        return index(library, named, encoders, retry=retry, observer=observer)

    def search(
        self, *queries: str, top: int | None = None, encoder: str | None = None
    ) -> list[Hit]:
        """The best matches of all queries together, best first.

        Args:
            queries: words in any language the space knows, or paths or links of images.
            top: at most this many hits; the setting `search.top` if None.
            encoder: ask the space of this encoder.

        Raises:
            QueryError: a query is empty, cannot be read, or the space cannot answer it.
        """
        from search import query

        parts = [query.parse(q) for q in queries]
        return self._search(parts, top, encoder, without_itself=False)

    def similar(
        self, image: PathLike, *, top: int | None = None, encoder: str | None = None
    ) -> list[Hit]:
        """The images most like one image (a path or link), which itself is left out."""
        from search import query

        return self._search([query.image(_expanded(image))], top, encoder, without_itself=True)

    def status(self) -> Status:
        """What the library holds."""
        from library.status import status

        return status(self._open())

    def errors(self) -> list[FileProblem]:
        """Files that were skipped or failed, with the reason."""
        from library.status import problems

        return problems(self._open())

    def verify(self) -> Verdict:
        """Whether everything stored agrees with itself."""
        from library.verify import verify

        return verify(self._open())

    def purge(self, *, roots: Sequence[PathLike] = ()) -> tuple[int, int]:
        """Forget missing files (and whole roots, if named) and what only they held.

        Returns:
            (files, contents) forgotten. Nothing on disk outside the library is touched.
        """
        from library.purging import purge

        self._forget_engine()
        return purge(self._open(), [_expanded(root) for root in roots])

    def _search(
        self, parts: Any, top: int | None, encoder: str | None, *, without_itself: bool
    ) -> list[Hit]:
        from search.engine import Engine

        library = self._open()
        if self._engine is None:
            self._engine = Engine(library)
        top = library.settings.search.top if top is None else top
        return self._engine.search(parts, top=top, encoder=encoder, without_itself=without_itself)

    def _forget_engine(self) -> None:
        """Indexes opened before a change do not include it."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    def _open(self, *, create: bool = False) -> Library:
        from library.library import Library

        if self._is_closed:
            raise ValueError(f"the library {str(self.path)!r} was closed; open it again")
        if self._library is None:
            try:
                self._library = Library.open(self.path, self._settings)
            except LibraryNotFound:
                if not create:
                    raise
                self._library = Library.create(self.path, self._settings)
        return self._library


def _expanded(path: PathLike) -> bytes:
    """The path with a leading ~ replaced, as the bytes of the file system."""
    return os.path.expanduser(os.fsencode(path))
