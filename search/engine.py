"""From a query to ranked hits: encode, rank, cut off, read where files are, fold, and take a page.

The encoder, its preprocessing and its scoring come from the library, not from today's settings. A
text query loads the exported text tower only; an image query whose content is in the library loads
no tower at all.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from pictor.library.blas_threads import SEARCHES
from pictor.library.catalog.rows import SpaceRow
from pictor.library.indexes import SharedIndexes
from pictor.library.store import Store
from pictor.search import pages
from pictor.search.candidates import ranked
from pictor.search.cutoff import filter_by_level
from pictor.search.encoding import QueryEncoder, QueryVectors
from pictor.search.entries import EntryReader
from pictor.search.hits import hits_of
from pictor.search.negative_parts import steered
from pictor.search.neighbours import FilterTest
from pictor.search.options import SearchOptions
from pictor.search.pictures import OriginalReader, Pictures, plain_file
from pictor.search.plan import Ranking, Trace
from pictor.search.query import Query, WordsPart
from pictor.search.ranking.judge import Judge
from pictor.search.routes import route
from pictor.search.run import SearchRun, SpaceQuery, is_judged


class Engine:
    """Answers queries on one library, in any number of threads at once.

    It keeps the towers and indexes it opened. Close it after use.
    """

    def __init__(self, library: Store, read_original: OriginalReader = plain_file) -> None:
        """Nothing is opened before the first query.

        Args:
            read_original: reads a file of the library, for regions of items.
        """
        self._library = library
        self._read_original = read_original
        self._encoder = QueryEncoder(library)
        self._indexes = SharedIndexes(library)
        self._judges: dict[tuple[int, str], Judge] = {}
        self._judges_lock = threading.Lock()
        self._is_closed = False

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release what was opened. A search that goes on in another thread is finished, or raises
        ValueError."""
        self._is_closed = True
        self._encoder.close()
        self._indexes.close()
        self._judges.clear()

    def search(self, query: Query, options: SearchOptions | None = None) -> Ranking:
        """The best matches of all parts together, best first, one hit a content.

        Without a positive part nothing is ranked by content: the newest come first.

        Raises:
            QueryError: a part cannot be read or encoded, or there is no such space or root.
            ValueError: the engine was closed.
        """
        with SEARCHES.shared(), self._begun(query, options or SearchOptions()) as run:
            matches, ranking = ranked(run)
            candidates = filter_by_level(run, matches, ranking)
            entries = EntryReader(run).entries(candidates)
            hits = hits_of(run, matches, pages.page(run, entries))
            return Ranking(hits, run.report())

    @contextmanager
    def _begun(self, query: Query, options: SearchOptions) -> Iterator[SearchRun]:
        """A search for the length of the block, with all that it needs opened and encoded."""
        if self._is_closed:
            raise ValueError("the search engine was closed; open the library again")
        trace, pictures = Trace(), Pictures(self._library, self._read_original)
        spaces = self._spaces(query, options, pictures, trace)
        hidden = frozenset(pictures.digests.values() if options.without_itself else ())
        with self._library.reading() as connection:
            spaces = tuple(steered(connection, query, space) for space in spaces)
            selector = FilterTest(connection, query.filter, trace)
            yield SearchRun(self._library, connection, query, options, spaces, selector, hidden)

    def _spaces(
        self, query: Query, options: SearchOptions, pictures: Pictures, trace: Trace
    ) -> tuple[SpaceQuery, ...]:
        """The query in each space that it is put to, best first."""
        texts = [part.words for part in query.parts if isinstance(part, WordsPart)]
        spaces = route(" ".join(texts) or None, self._library.spaces(), options.encoder)
        with trace.time("encode"):
            encoded = [self._encoder.vectors(query, space, pictures) for space in spaces]
        return tuple(self._space_query(query, vectors) for vectors in encoded)

    def _space_query(self, query: Query, vectors: QueryVectors) -> SpaceQuery:
        space = vectors.space
        judge = self._judge(space) if is_judged(query) or query.negative else None
        is_ranked = query.positive and vectors.is_known
        return SpaceQuery(vectors, judge, self._indexes.current(space) if is_ranked else None)

    def _judge(self, space: SpaceRow) -> Judge | None:
        """What tells the levels of a space's hits; None where it has no background values yet."""
        key = (space.id, space.fingerprint)
        judge = self._judges.get(key)
        if judge is None:
            with self._judges_lock:  # of several threads one opens it
                judge = self._judges.get(key) or Judge.open(self._library, space)
                if judge is not None:
                    self._judges[key] = judge
        return judge
