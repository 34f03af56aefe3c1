"""From a query to ranked hits: encode, rank, cut off, read where they lie, fold, and take a page.

The encoder, its preprocessing and its scoring come from the library, not from today's settings. A
text query loads the exported text tower only; an image query whose content is in the library loads
no tower at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from types import TracebackType

from pictor.library import indexes
from pictor.library.catalog.rows import SpaceRow
from pictor.library.indexes import OpenIndex
from pictor.library.library import Library
from pictor.library.vectors.base import VectorIndex
from pictor.search import pages
from pictor.search.candidates import NOTHING_WRITTEN, Written, ranked
from pictor.search.cutoff import Candidate, sure_enough
from pictor.search.encoding import Asked, QueryEncoder
from pictor.search.entries import Entry, EntryReader, Negation
from pictor.search.hits import hits_of
from pictor.search.negative_parts import led_away, negation_of
from pictor.search.neighbours import Selector, neighbours
from pictor.search.options import SearchOptions
from pictor.search.pictures import OriginalReader, Pictures, plain_file
from pictor.search.plan import Plan, Ranking, Trace
from pictor.search.query import Query, WordsPart
from pictor.search.ranking.folding import near_identical
from pictor.search.ranking.judge import Judge
from pictor.search.routes import route

#: Entries sorted by date where there are no levels.
UNJUDGED_POOL = 200
#: Items handed on at once where nothing is ranked.
UNRANKED_SLICE = 1000


class Engine:
    """Answers queries on one library; keeps towers and indexes it opened. Close it after use."""

    def __init__(self, library: Library, read_original: OriginalReader = plain_file) -> None:
        """Nothing is opened before the first query.

        Args:
            read_original: reads a file of the library, for regions of items.
        """
        self._library = library
        self._read_original = read_original
        self._encoder = QueryEncoder(library)
        self._indexes: dict[int, OpenIndex] = {}
        self._judges: dict[int, Judge] = {}

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release what was opened."""
        for opened in self._indexes.values():
            opened.index.close()
        self._indexes = {}
        self._judges = {}
        self._encoder.close()

    def search(self, query: Query, options: SearchOptions | None = None) -> Ranking:
        """The best matches of all parts together, best first, one hit a content.

        Without a positive part nothing is ranked by content: the newest come first.

        Raises:
            QueryError: a part cannot be read or encoded, or there is no such space or root.
        """
        options = options or SearchOptions()
        trace = Trace()
        pictures = Pictures(self._library, self._read_original)
        asked = [self._led(query, one) for one in self._asked(query, options, pictures, trace)]
        judges = self._judges_of(query, asked)
        found, candidates = self._candidates(query, asked, judges, options, trace)
        hidden = frozenset(pictures.digests.values()) if options.without_itself else frozenset()
        reader = EntryReader(
            self._library,
            asked[0],
            query.filter,
            hidden,
            self._negation(query, asked[0]),
            trace,
            with_vectors=options.is_folded or options.diversity > 0,
        )
        is_whole = judges[0] is not None or not query.positive
        threshold = near_identical(asked[0].space.card.family)
        entries = reader.entries(candidates)
        entries = _arranged(entries, options, threshold, trace, is_whole=is_whole)
        top = self._library.settings.search.top if options.top is None else options.top
        page = list(islice(entries, options.offset, options.offset + top))
        hits = hits_of(self._library, query, asked, found, page, options.offset)
        lacks_levels = judges[0] is None and _is_judged(query)
        return Ranking(hits, self._plan(query, asked, options, trace, lacks_levels=lacks_levels))

    # --- the query

    def _asked(
        self, query: Query, options: SearchOptions, pictures: Pictures, trace: Trace
    ) -> list[Asked]:
        """The query in each space that is to be asked, best first."""
        texts = [part.words for part in query.parts if isinstance(part, WordsPart)]
        spaces = route(" ".join(texts) or None, self._library.spaces(), options.encoder)
        with trace.time("encode"):
            return [self._encoder.asked(query, space, pictures) for space in spaces]

    # --- the ranking

    def _candidates(
        self,
        query: Query,
        asked: Sequence[Asked],
        judges: Sequence[Judge | None],
        options: SearchOptions,
        trace: Trace,
    ) -> tuple[Written, Iterator[list[Candidate]]]:
        """What words found, and the candidates in rank order, in slices."""
        selector = Selector(self._library, query.filter, trace)
        if not query.positive:
            return NOTHING_WRITTEN, _unranked(selector, trace)
        rankings = [
            neighbours(self._index(one.space), one.towards, selector, at, trace)
            if one.is_known
            else iter(())
            for at, one in enumerate(asked)
        ]
        found, runs = ranked(self._library, asked, rankings, query.words, selector, trace)
        return found, sure_enough(runs, asked, judges, found, options.least, trace)

    def _index(self, space: SpaceRow) -> VectorIndex:
        """The index with every vector committed up to now, also by another process."""
        opened = self._indexes.get(space.id)
        if opened is not None and not indexes.catch_up(self._library, space, opened):
            del self._indexes[space.id]
            opened.index.close()
            opened = None
        if opened is None:
            opened = self._indexes[space.id] = indexes.open_index(self._library, space)
        return opened.index

    # --- what is sure

    def _judges_of(self, query: Query, asked: Sequence[Asked]) -> list[Judge | None]:
        """What tells the levels in each asked space; None where nothing does."""
        if not _is_judged(query):
            return [None] * len(asked)
        return [self._judge(one.space) for one in asked]

    def _led(self, query: Query, asked: Asked) -> Asked:
        """The query with where negative words lead it."""
        judge = self._judge(asked.space) if query.negative else None
        return led_away(query, asked, judge)

    def _negation(self, query: Query, asked: Asked) -> Negation | None:
        judge = self._judge(asked.space) if query.negative else None
        return negation_of(self._library, query, asked, judge)

    def _judge(self, space: SpaceRow) -> Judge | None:
        """What tells the levels of a space's hits; None where it has no background values yet."""
        if space.id not in self._judges:
            judge = Judge.open(self._library, space)
            if judge is None:
                return None
            self._judges[space.id] = judge
        return self._judges[space.id]

    def _plan(
        self,
        query: Query,
        asked: Sequence[Asked],
        options: SearchOptions,
        trace: Trace,
        *,
        lacks_levels: bool,
    ) -> Plan:
        opened = [self._indexes.get(one.space.id) for one in asked]
        first = opened[0]
        return Plan(
            query=str(query),
            spaces=tuple(one.space.encoder for one in asked),
            indexes=tuple(one.index.index_type if one else "" for one in opened),
            items=len(first.index) if first else 0,
            lacks_levels=lacks_levels,
            least=options.least,
            offset=options.offset,
            is_known=any(one.is_known for one in asked),
            method=trace.method,
            passing=trace.passing,
            candidates=trace.candidates,
            levels=trace.levels,
            negated=trace.negated,
            folded=trace.folded,
            words=trace.words,
            seconds=trace.seconds,
        )


def _is_judged(query: Query) -> bool:
    """Whether hits have levels: they say how words explain a picture, against everyday captions."""
    return bool(query.positive) and all(isinstance(p, WordsPart) for p in query.positive)


def _unranked(selector: Selector, trace: Trace) -> Iterator[list[Candidate]]:
    """Every item that passes, newest first: nothing is looked for by content."""
    ids = selector.newest_first()
    trace.method = "all that pass, newest first"
    for start in range(0, len(ids), UNRANKED_SLICE):
        part = ids[start : start + UNRANKED_SLICE].tolist()
        trace.candidates += len(part)
        yield [Candidate(item, 0.0, 0) for item in part]


def _arranged(
    entries: Iterator[Entry],
    options: SearchOptions,
    threshold: float,
    trace: Trace,
    *,
    is_whole: bool,
) -> Iterator[Entry]:
    """Entries in the order in which they are shown.

    Args:
        threshold: cosine from which on two pictures are shown as one.
        is_whole: they end where hits end. Without levels they do not: every picture is one, and
            only the best of them are sorted by date.
    """
    if options.is_folded:
        entries = pages.folded(entries, threshold, trace)
    if options.order != "best":
        return pages.by_date(entries if is_whole else islice(entries, UNJUDGED_POOL), options.order)
    if options.diversity > 0:
        return pages.diversified(entries, options.diversity, trace)
    return entries
