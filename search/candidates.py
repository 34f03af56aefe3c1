"""One ranking of candidates out of several: of the spaces that were asked, and of the words found.

Rankings are fused by reciprocal rank (Cormack, Clarke and Büttcher 2009) over their first FIRST
places, whatever page is asked for, so that pages fit together; then the first space's ranking goes
on. An exact name comes before everything: the picture's own before its folder's, then in the order
of the fused ranking.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pictor.library.arrays import is_among
from pictor.library.catalog import filter_conditions, spaces, words
from pictor.library.catalog.rows import WordHit
from pictor.library.library import Library
from pictor.library.records import FloatVector, IdArray
from pictor.search.encoding import Asked
from pictor.search.neighbours import FIRST, Run, Selector
from pictor.search.plan import Trace
from pictor.search.ranking.fusion import reciprocal_rank

#: How much each ranking counts. The space that knows the query's language best counts most; words
#: are written about few pictures, and half of them may be missing.
SPACE_WEIGHTS = (1.0, 0.7)
WORDS_WEIGHT = 0.5
#: Contents that the words of a query are looked up in.
MAX_WORD_HITS = 500


@dataclass(frozen=True)
class Written:
    """Items that words were found with, best first.

    Attributes:
        hits: by item, the one item of each content that stands for it.
    """

    hits: Mapping[int, WordHit]

    @property
    def ids(self) -> IdArray:
        """(n,) items."""
        return np.array(list(self.hits), dtype=np.int64)

    @property
    def exact(self) -> IdArray:
        """(n,) those whose name is the query."""
        named = [item for item, hit in self.hits.items() if hit.is_exact]
        return np.array(named, dtype=np.int64)


NOTHING_WRITTEN = Written({})


def ranked(
    library: Library,
    asked: Sequence[Asked],
    rankings: Sequence[Iterator[Run]],
    text: str | None,
    selector: Selector,
    trace: Trace,
) -> tuple[Written, Iterator[Run]]:
    """What words find, and the one ranking of it and of what the spaces find.

    Args:
        rankings: of each asked space.
        text: the words that are looked for, if any.
    """
    hits = _find(library, text, trace) if text else {}
    if not hits and len(rankings) == 1:
        return NOTHING_WRITTEN, rankings[0]
    heads = [_first_runs(ranking) for ranking in rankings]
    with trace.time("words"):
        found = _standing(hits, heads[0].ids, selector)
    return found, _fused(library, asked, heads, rankings[0], found)


def _find(library: Library, text: str, trace: Trace) -> dict[WordHit, list[int]]:
    """The items of each content that words find, best first."""
    with trace.time("words"), library.reading() as connection:
        hits = words.find(connection, text, MAX_WORD_HITS)
        trace.words = len(hits)
        items = filter_conditions.items_of(connection, [hit.content_id for hit in hits])
    return {hit: items[hit.content_id] for hit in hits}


def _standing(hits: Mapping[WordHit, list[int]], nearest: IdArray, selector: Selector) -> Written:
    """For each content the item that passes the filter and is nearest, else its first one."""
    every = np.array([item for items in hits.values() for item in items], np.int64)
    passing = set(selector.among(every).tolist())
    place = {item: at for at, item in enumerate(nearest.tolist())}
    standing = {}
    for hit, items in hits.items():
        able = [item for item in items if item in passing]
        if able:
            standing[min(able, key=lambda item: place.get(item, len(place)))] = hit
    return Written(standing)


def _fused(
    library: Library,
    asked: Sequence[Asked],
    heads: Sequence[Run],
    rest: Iterator[Run],
    found: Written,
) -> Iterator[Run]:
    """The heads and the words found as one run, then what is left of the first ranking."""
    orders = [head.ids for head in heads] + ([found.ids] if found.hits else [])
    weights = [_weight(at) for at in range(len(heads))] + ([WORDS_WEIGHT] if found.hits else [])
    ids, _ = reciprocal_rank(orders, weights)
    is_exact = is_among(ids, found.exact)
    exact = sorted(ids[is_exact].tolist(), key=lambda item: -found.hits[item].score)
    ids = np.concatenate([np.array(exact, np.int64), ids[~is_exact]])
    known = _joined(heads)
    known = _joined([known, _scored(library, asked[0], ids[~is_among(ids, known.ids)])])
    place = {item: at for at, item in reversed(list(enumerate(known.ids.tolist())))}
    rows = np.array([place[item] for item in ids.tolist() if item in place], dtype=np.int64)
    yield known.take(rows)
    for run in rest:
        yield run.take(np.flatnonzero(~is_among(run.ids, known.ids)))


def _first_runs(ranking: Iterator[Run]) -> Run:
    """The first FIRST candidates of a ranking, or all if it has fewer; takes them off it."""
    runs = [_EMPTY]
    while sum(len(run.ids) for run in runs) < FIRST:
        run = next(ranking, None)
        if run is None:
            break
        runs.append(run)
    return _joined(runs)


_EMPTY = Run(np.empty(0, np.int64), np.empty(0, np.float32), np.empty(0, np.int64))


def _weight(at: int) -> float:
    return SPACE_WEIGHTS[min(at, len(SPACE_WEIGHTS) - 1)]


def _joined(runs: Sequence[Run]) -> Run:
    return Run(*(np.concatenate(arrays) for arrays in zip(*runs, strict=True)))


def _scored(library: Library, asked: Asked, ids: IdArray) -> Run:
    """Items with their cosines in one space; those without a vector there are left out."""
    with library.reading() as connection:
        held = spaces.vectors_of(connection, asked.space.id, asked.space.dimension, ids.tolist())
    kept = np.array([item for item in ids.tolist() if item in held], dtype=np.int64)
    if not len(kept):
        return _EMPTY
    vectors = np.stack([held[item] for item in kept.tolist()]).astype(np.float32)
    scores: FloatVector = vectors @ asked.towards[0]
    return Run(kept, scores, np.zeros(len(kept), np.int64))
