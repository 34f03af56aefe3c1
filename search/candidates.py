"""One ranking of candidates out of several: of the spaces, and of the items that words match.

Rankings are fused by reciprocal rank (Cormack, Clarke and Büttcher 2009) over their first FIRST
places, whatever page is asked for, so that pages fit together; then the first space's ranking goes
on. An exact name comes before everything: the picture's own before its folder's, then in the order
of the fused ranking.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pictor.library.arrays import is_among
from pictor.library.catalog import filter_sql, words
from pictor.library.catalog.rows import WordHit
from pictor.library.records import FloatVector, IdArray
from pictor.search.neighbours import FIRST, FilterTest, RankedItems, neighbours
from pictor.search.ranking.fusion import reciprocal_rank
from pictor.search.run import SearchRun

#: How much each ranking counts. The space that knows the query's language best counts most; words
#: are written about few pictures, and half of them may be missing.
SPACE_WEIGHTS = (1.0, 0.7)
WORDS_WEIGHT = 0.5
#: Contents that the words of a query are looked up in.
MAX_WORD_HITS = 500


@dataclass(frozen=True)
class WordMatches:
    """Items whose names or metadata match words of the query, best first.

    Attributes:
        hits: by item, the one item of each content that stands for it.
        vectors: by item, (d,) float32 in the first space, of those that were scored there.
    """

    hits: Mapping[int, WordHit] = field(default_factory=dict)
    vectors: Mapping[int, FloatVector] = field(default_factory=dict)

    @property
    def ids(self) -> IdArray:
        """(n,) items."""
        return np.array(list(self.hits), dtype=np.int64)

    @property
    def exact(self) -> IdArray:
        """(n,) those whose name is the query."""
        named = [item for item, hit in self.hits.items() if hit.is_exact]
        return np.array(named, dtype=np.int64)


NO_MATCHES = WordMatches()


def ranked(run: SearchRun) -> tuple[WordMatches, Iterator[RankedItems]]:
    """What words match, and the one ranking of it and of what the spaces find."""
    if not run.query.positive:
        ids = run.selector.newest_first()  # nothing is looked for by content
        run.trace.method = "all that pass, newest first"
        zeros = np.zeros(len(ids), np.int64)
        return NO_MATCHES, iter([RankedItems(ids, zeros.astype(np.float32), zeros)])
    rankings = [
        neighbours(space.index, space.vectors.steered, run.selector, at)
        if space.index is not None
        else iter(())
        for at, space in enumerate(run.spaces)
    ]
    hits = _word_hits(run, run.query.words) if run.query.words else {}
    if not hits and len(rankings) == 1:
        return NO_MATCHES, rankings[0]
    heads = [_head(ranking) for ranking in rankings]
    with run.trace.time("words"):
        matches = _by_item(hits, heads[0].ids, run.selector)
    order, known = _order(heads, matches), _joined(heads)
    scored, vectors = _scored(run, order[~is_among(order, known.ids)])
    matches = WordMatches(matches.hits, vectors)
    return matches, _fused(order, _joined([known, scored]), rankings[0])


def _word_hits(run: SearchRun, text: str) -> dict[WordHit, list[int]]:
    """The items of each content that words match, best first."""
    with run.trace.time("words"):
        hits = words.find(run.connection, text, MAX_WORD_HITS)
        run.trace.words = len(hits)
        items = filter_sql.items_of(run.connection, [hit.content_id for hit in hits])
    return {hit: items[hit.content_id] for hit in hits}


def _by_item(
    hits: Mapping[WordHit, list[int]], nearest: IdArray, selector: FilterTest
) -> WordMatches:
    """For each content the item that passes the filter and is nearest, else its first one."""
    every = np.array([item for items in hits.values() for item in items], np.int64)
    passing = set(selector.among(every).tolist())
    place = {item: at for at, item in enumerate(nearest.tolist())}
    by_item = {}
    for hit, items in hits.items():
        able = [item for item in items if item in passing]
        if able:
            by_item[min(able, key=lambda item: place.get(item, len(place)))] = hit
    return WordMatches(by_item)


def _order(heads: Sequence[RankedItems], matches: WordMatches) -> IdArray:
    """(n,) items of the heads and the matches, fused, those with an exact name first."""
    orders = [*(head.ids for head in heads), matches.ids]
    weights = [SPACE_WEIGHTS[min(at, len(SPACE_WEIGHTS) - 1)] for at in range(len(heads))]
    ids, _ = reciprocal_rank(orders, [*weights, WORDS_WEIGHT])
    is_exact = is_among(ids, matches.exact)
    exact = sorted(ids[is_exact].tolist(), key=lambda item: -matches.hits[item].score)
    return np.concatenate([np.array(exact, np.int64), ids[~is_exact]])


def _fused(
    order: IdArray, known: RankedItems, rest: Iterator[RankedItems]
) -> Iterator[RankedItems]:
    """The known items in an order, then what is left of the first ranking."""
    place = {item: at for at, item in reversed(list(enumerate(known.ids.tolist())))}
    rows = np.array([place[item] for item in order.tolist() if item in place], dtype=np.int64)
    yield known.take(rows)
    for part in rest:
        yield part.take(np.flatnonzero(~is_among(part.ids, known.ids)))


def _head(ranking: Iterator[RankedItems]) -> RankedItems:
    """The first FIRST items of a ranking, or all if it has fewer; takes them off it."""
    head = _EMPTY
    while len(head.ids) < FIRST and (part := next(ranking, None)) is not None:
        head = _joined([head, part])
    return head


_EMPTY = RankedItems(np.empty(0, np.int64), np.empty(0, np.float32), np.empty(0, np.int64))


def _joined(parts: Sequence[RankedItems]) -> RankedItems:
    return RankedItems(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def _scored(run: SearchRun, ids: IdArray) -> tuple[RankedItems, dict[int, FloatVector]]:
    """Items with their cosines in the first space, and their vectors; of those that have one."""
    vectors = run.vectors(0, ids.tolist())
    kept = np.array([item for item in ids.tolist() if item in vectors], dtype=np.int64)
    if not len(kept):
        return _EMPTY, {}
    rows = np.stack([vectors[item] for item in kept.tolist()])
    scores: FloatVector = rows @ run.spaces[0].vectors.steered[0]
    return RankedItems(kept, scores, np.zeros(len(kept), np.int64)), vectors
