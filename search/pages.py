"""The order in which entries are shown: near-identical ones folded, diverse ones first, by date.

Each takes and gives entries lazily, and the first ones do not depend on how many are asked for, so
that pages fit together.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np

from pictor.library.records import FloatVector
from pictor.search.entries import Entry
from pictor.search.options import Order
from pictor.search.ranking.diversity import diversify
from pictor.search.ranking.folding import fold, near_identical
from pictor.search.run import SearchRun

#: An entry folds into one of so many before it: near-identical ones rank close together.
WINDOW = 256
#: Entries read at once, and beyond those shown, so that what folds into them is known.
AHEAD = 24
#: Entries among which diversity chooses.
DIVERSITY_POOL = 200
#: Entries sorted by date where there are no levels.
UNJUDGED_POOL = 200


def page(run: SearchRun, entries: Iterator[Entry]) -> list[Entry]:
    """The entries of the page that is asked for, in the order in which they are shown."""
    offset, top = run.options.offset, run.options.top
    size = run.library.settings.search.top if top is None else top
    return list(islice(_arranged(run, entries), offset, offset + size))


def _arranged(run: SearchRun, entries: Iterator[Entry]) -> Iterator[Entry]:
    """Without levels every picture is a hit, and only the best of them are sorted by date."""
    options = run.options
    if options.is_folded:
        entries = folded(run, entries)
    if options.order != "best":
        return by_date(entries if run.is_whole else islice(entries, UNJUDGED_POOL), options.order)
    return diversified(run, entries) if options.diversity > 0 else entries


def folded(run: SearchRun, entries: Iterator[Entry]) -> Iterator[Entry]:
    """Entries without those near-identical to one before, which has them in its `folded`."""
    threshold = near_identical(run.spaces[0].vectors.space.card.family)
    recent: list[Entry] = []
    waiting: list[Entry] = []
    while batch := list(islice(entries, AHEAD)):
        with run.trace.time("fold"):
            fresh = _folded_into(recent, batch, threshold)
        run.trace.folded += len(batch) - len(fresh)
        yield from waiting
        waiting = fresh
        recent = [*recent, *(entry for entry in fresh if entry.vector is not None)][-WINDOW:]
    yield from waiting


def _folded_into(recent: list[Entry], batch: list[Entry], threshold: float) -> list[Entry]:
    """Those of a batch that stand for themselves; the others are put into what stands for them."""
    rows = [*recent, *(entry for entry in batch if entry.vector is not None)]
    if not rows:
        return batch
    vectors = np.stack([entry.vector for entry in rows if entry.vector is not None])
    gone: set[int] = set()
    for group in fold(vectors, threshold):
        others = [row for row in group[1:] if row >= len(recent)]
        rows[group[0]].folded += [rows[row] for row in others]
        gone |= {id(rows[row]) for row in others}
    return [entry for entry in batch if id(entry) not in gone]


def diversified(run: SearchRun, entries: Iterator[Entry]) -> Iterator[Entry]:
    """The first entries in an order in which each differs from those before it; then the rest."""
    pool = list(islice(entries, DIVERSITY_POOL))
    able = [entry for entry in pool if entry.vector is not None]
    if able:
        with run.trace.time("diversity"):
            vectors = np.stack([entry.vector for entry in able if entry.vector is not None])
            scores: FloatVector = np.array([e.candidate.score for e in able], np.float32)
            order = diversify(scores, vectors, run.options.diversity, len(able))
            yield from (able[row] for row in order)
    yield from (entry for entry in pool if entry.vector is None)
    yield from entries


def by_date(entries: Iterator[Entry], order: Order) -> Iterator[Entry]:
    """All entries by the time they were taken, those without one last; equal ones as they were."""
    every = sorted(entries, key=lambda one: one.row.taken_at or "", reverse=order == "newest")
    yield from (entry for entry in every if entry.row.taken_at)
    yield from (entry for entry in every if not entry.row.taken_at)
