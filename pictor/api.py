"""The library as people import it: `from pictor import open_library`.

One object with the same verbs as the command. What is heavy is imported by the verb that needs it.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pictor.library.config import Settings, default_library_dir
from pictor.library.errors import LibraryError, LibraryNotFound, QueryError
from pictor.library.names import PathLike, all_expanded
from pictor.library.records import Hit

if TYPE_CHECKING:
    from pictor.answers.verbs import Answers
    from pictor.duplicates.verbs import Duplicates
    from pictor.indexer.run import Summary
    from pictor.library.catalog.rows import FilePlace
    from pictor.library.item_facts import ItemFacts
    from pictor.library.observer import Observer
    from pictor.library.purge import PurgeSummary
    from pictor.library.status import FileProblem, Status
    from pictor.library.store import Store
    from pictor.library.verify import VerifyReport
    from pictor.search.engine import Engine
    from pictor.search.facets import FacetValue
    from pictor.search.options import SearchOptions
    from pictor.search.plan import Ranking
    from pictor.search.query import Part, Pictured, Query
    from pictor.tagging.verbs import Tags

#: What no file is meant by; one of that name is "./item:12".
_ITEM = re.compile(r"item:[0-9]{1,19}(@\S*)?", re.IGNORECASE)
#: As pathlib leaves it, which takes "//" for "/".
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")


def open_library(path: PathLike | None = None, *, settings: Settings | None = None) -> Library:
    """A library by its folder; `PICTOR_LIBRARY` or the user's data folder if none is named.

    The folder need not exist: the first `index` creates it. Use the result in a `with` block, or
    close it.

        with open_library("~/pictures.pictor") as library:
            library.index(["~/Pictures"])
            for hit in library.search("a dog on the beach"):
                print(hit.score, hit.path)

    Raises:
        LibraryError: `path` is a URL.
    """
    folder = default_library_dir() if path is None else Path(os.fsdecode(path))
    if _URL.match(str(folder)):  # it may hold a password, which no message is to repeat
        scheme = str(folder).partition(":")[0]
        raise LibraryError(
            f"a library is a folder, not a URL ({scheme}:…); its database is named by the setting "
            "library.catalog_url"
        )
    return Library(folder.expanduser(), settings)


class Library:
    """A library and its verbs, for any number of threads at once.

    All threads share one catalog, one index per space and warm towers. A search sees everything
    committed before it began, by this process or another, and continues while another thread
    indexes, tags or removes. Only one writing verb runs at a time: a second one raises
    `LibraryLocked`.
    """

    def __init__(self, path: Path, settings: Settings | None = None) -> None:
        """Nothing is opened before the first verb."""
        self.path = path
        self._settings = settings
        self._library: Store | None = None
        self._engine: Engine | None = None
        self._lock = threading.RLock()  # held while something is opened, not while it is used
        self._is_closed = False

    def __enter__(self) -> Library:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release files, indexes and towers. No verb can be used afterwards.

        A search running in another thread finishes, or raises ValueError.
        """
        with self._lock:
            self._is_closed = True
            if self._engine is not None:
                self._engine.close()
            if self._library is not None:
                self._library.close()
            self._engine = self._library = None

    @cached_property
    def duplicates(self) -> Duplicates:
        """Find, group and decide on duplicates, and remove them by plans that can be undone."""
        from pictor.duplicates.verbs import Duplicates

        return Duplicates(self._open)

    @cached_property
    def tags(self) -> Tags:
        """Tag photos by label sets or by hand, count tags, and write them to sidecars."""
        from pictor.tagging.verbs import Tags

        return Tags(self._open)

    @cached_property
    def answers(self) -> Answers:
        """Ask questions; an answer cites the pictures that it rests on, or says no."""
        from pictor.answers.verbs import Answers

        return Answers(self._open, self._rank)

    def index(
        self,
        roots: Sequence[PathLike] = (),
        *,
        encoders: Sequence[str] = (),
        retry: bool = False,
        observer: Observer | None = None,
    ) -> Summary:
        """Index roots (all known ones if none is given) for every space; returns the run's counts.

        A first run that fails before it recorded any file leaves no library behind.

        Args:
            roots: folders, files, lists, archives or shards.
            encoders: encoders to add to the existing ones; the first becomes the default.
            retry: also read skipped and failed files again.
            observer: receives progress, and may stop the run.

        Raises:
            SourceError: no root can be reached.
            LibraryLocked: another process writes this library.
            ModelError: a given encoder is not available.
        """
        from pictor.indexer.run import index

        named = all_expanded(roots)
        library = self._open(create=bool(roots))
        try:
            return index(library, named, encoders, retry=retry, observer=observer)
        except BaseException:
            with self._lock:
                if library.discard_unused():
                    self._library = self._engine = None
            raise

    def search(
        self,
        *queries: str | Query | Part,
        top: int | None = None,
        encoder: str | None = None,
        options: SearchOptions | None = None,
    ) -> list[Hit]:
        """The best matches of all queries together, best first.

        Weak hits are left out, and near-identical ones grouped into one, unless `options` say
        otherwise; so a search for something absent may find nothing.

        Args:
            queries: texts in the query language (docs/search.md), each also a path or link of an
                image, or queries made with `pictor.query`.
            top: at most this many hits; the setting `search.top` if None.
            encoder: search the vectors of this encoder.

        Raises:
            QueryError: a query is empty, cannot be read, or the encoder cannot answer it.
        """
        return list(self.rank(*queries, top=top, encoder=encoder, options=options).hits)

    def rank(
        self,
        *queries: str | Query | Part,
        top: int | None = None,
        encoder: str | None = None,
        options: SearchOptions | None = None,
    ) -> Ranking:
        """As `search`, with the plan: how the query was understood and answered."""
        from pictor.search.query import combined

        asked = [_as_query(query) for query in queries]
        return self._rank(combined(asked), _wished(options, top, encoder))

    def similar(
        self,
        image: PathLike | Pictured,
        *,
        top: int | None = None,
        encoder: str | None = None,
        options: SearchOptions | None = None,
    ) -> list[Hit]:
        """The images most similar to one image, which itself is left out.

        Near-identical ones are returned separately, unless `options` say otherwise.

        Args:
            image: a path, a link, a text such as "item:12", or a part of `pictor.query`.
        """
        from pictor.search.options import SearchOptions

        options = _wished(options or SearchOptions(is_folded=False), top, encoder)
        return list(self.rank_similar(image, options=options).hits)

    def rank_similar(
        self,
        image: PathLike | Pictured,
        *others: Query,
        options: SearchOptions | None = None,
    ) -> Ranking:
        """As `similar`, with the plan; other queries add filters and negative parts."""
        from pictor.search.query import combined

        wished = replace(_wished(options, None, None), without_itself=True)
        return self._rank(combined([_example(image), *others]), wished)

    def facets(
        self,
        *queries: str | Query | Part,
        of: Sequence[str] = (),
        options: SearchOptions | None = None,
    ) -> dict[str, tuple[FacetValue, ...]]:
        """What a search can be narrowed down by: by facet, its values and how many items have each.

        Of queries of only filters, or none, every item counts that passes, with a facet's own
        filters left out; else the first 5,000 hits.

        Args:
            of: "year", "month", "camera", "lens", "tag", "type", "format", "rating" or "shape";
                all if none is given.

        Raises:
            QueryError: there is no such facet, or a query cannot be read.
        """
        from pictor.search.facets import FACETS, MOST_HITS, facets
        from pictor.search.query import combined

        query = combined([_as_query(query) for query in queries]) if queries else None
        items = None
        if query is not None and query.parts:
            found = self._rank(query, _wished(options, MOST_HITS, None))
            items = [hit.item for hit in found.hits]
        wanted = None if query is None else query.filter
        return facets(self._open(), of or FACETS, wanted, items)

    def item(self, item_id: int) -> ItemFacts:
        """All facts about an item, given by its id (`item` of a hit).

        Raises:
            QueryError: the library has no such item.
        """
        found = self.items([item_id])
        if not found:
            raise QueryError(f"the library has no item {item_id}")
        return found[0]

    def items(self, item_ids: Iterable[int]) -> list[ItemFacts]:
        """As `item`, in the order given; items that the library does not have are left out."""
        from pictor.library.item_facts import item_facts

        return item_facts(self._open(), item_ids)

    @property
    def settings(self) -> Settings:
        """The settings in force: defaults, those of the library, and those it was opened with."""
        return self._open().settings

    @property
    def change(self) -> int:
        """A number that differs after every change of the vectors, by whatever process."""
        from pictor.library.catalog import spaces

        with self._open().reading() as connection:
            return sum(row.last_change for row in spaces.spaces(connection))

    @property
    def page_size(self) -> int:
        """The default number of hits: the setting `search.top`."""
        return self._open().settings.search.top

    def status(self) -> Status:
        """What the library contains."""
        from pictor.library.status import status

        return status(self._open())

    def errors(self) -> list[FileProblem]:
        """Files that were skipped or failed, with the reason."""
        from pictor.library.status import problems

        return problems(self._open())

    def verify(self) -> VerifyReport:
        """Check the library for inconsistencies."""
        from pictor.library.verify import verify

        return verify(self._open())

    def purge(self, *, roots: Sequence[PathLike] = ()) -> PurgeSummary:
        """Forget missing files, or whole roots if some are given, and contents found nowhere else.

        Nothing on disk outside the library is touched.

        Raises:
            SourceError: one is not a root of this library.
        """
        from pictor.library.purge import purge

        return purge(self._open(), all_expanded(roots))

    @property
    def stand_in_for(self) -> str:
        """The configured encoder that the built-in one replaces; "" if none.

        This is the case if the library was filled when the configured encoder was not available,
        so that it has vectors of the built-in one only.
        """
        from pictor.library.encoders.builtin_card import BUILTIN

        library = self._open()
        named = next(iter(library.settings.encoder.names), BUILTIN)
        if named.lower() == BUILTIN or [row.encoder for row in library.spaces()] != [BUILTIN]:
            return ""
        return named

    def _rank(self, query: Query, options: SearchOptions) -> Ranking:
        from pictor.search.engine import Engine

        with self._lock:
            library = self._open()
            if library.settings.network.offline:
                _refuse_links(query)
            engine = self._engine = self._engine or Engine(library, self._original)
        return engine.search(query, options)

    def _original(self, place: FilePlace) -> bytes | Path:
        from pictor.indexer.originals import original

        return original(place, self._open().settings)

    def _open(self, *, create: bool = False) -> Store:
        from pictor.library.store import Store

        with self._lock:
            if self._is_closed:
                raise ValueError(f"the library {str(self.path)!r} was closed; open it again")
            if self._library is None:
                try:
                    self._library = Store.open(self.path, self._settings)
                except LibraryNotFound:
                    if not create:
                        raise
                    self._library = Store.create(self.path, self._settings)
            return self._library


def _as_query(query: object) -> Query:
    """The query that a text or a record is."""
    from pictor.search.query import Part, Query, parse

    if isinstance(query, str):
        return parse(query)
    if isinstance(query, Query):
        return query
    if isinstance(query, Part):
        return Query((query,))
    kind = type(query).__name__
    raise QueryError(f"a query is a text, or made with pictor.query, not of type {kind}")


def _example(image: PathLike | Pictured) -> Query:
    """The query that one image is."""
    from pictor.search.query import Pictured, Query, parse
    from pictor.search.query import image as picture

    if isinstance(image, str) and _ITEM.fullmatch(image):
        return parse(image)
    return Query((image if isinstance(image, Pictured) else picture(image),))


def _wished(options: SearchOptions | None, top: int | None, encoder: str | None) -> SearchOptions:
    """The options with what was named beside them."""
    from pictor.search.options import SearchOptions

    options = options or SearchOptions()
    return replace(
        options,
        top=options.top if top is None else top,
        encoder=options.encoder if encoder is None else encoder,
    )


def _refuse_links(query: Query) -> None:
    """Raise if a part of a query would have to be fetched."""
    from pictor.search.query import PicturePart

    for part in query.parts:
        if isinstance(part, PicturePart) and part.is_link:
            raise QueryError(
                f"{os.fsdecode(part.location)!r} is a link and pictor is offline; "
                "give a picture on this machine, or leave out --offline"
            )
