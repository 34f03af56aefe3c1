"""Entries as hits: where they are now, and which part of the query they match and how."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pictor.library.catalog import spaces
from pictor.library.library import Library
from pictor.library.records import Hit, Match
from pictor.search.candidates import Written
from pictor.search.encoding import Asked
from pictor.search.entries import Entry
from pictor.search.query import Query


def hits_of(
    library: Library,
    query: Query,
    asked: Sequence[Asked],
    found: Written,
    entries: Sequence[Entry],
    offset: int,
) -> tuple[Hit, ...]:
    """The hits of one page.

    Args:
        offset: how many hits come before it.
    """
    scores = _scores(library, query, asked, entries)
    return tuple(
        _hit(rank, entry, asked, _why(query, asked, found, entry, scores.get(at)))
        for at, (rank, entry) in enumerate(enumerate(entries, offset + 1))
    )


def _scores(
    library: Library, query: Query, asked: Sequence[Asked], entries: Sequence[Entry]
) -> dict[int, list[float]]:
    """The cosine of each entry, by its place, with each positive part; none where it is the score.

    The score is another where there are several, or where something negative leads away.
    """
    if len(query.positive) < 2 and not query.negative:
        return {}
    scores: dict[int, list[float]] = {}
    for number, one in enumerate(asked):
        places = [at for at, e in enumerate(entries) if e.candidate.asked == number]
        ids = [entries[at].candidate.item for at in places]
        with library.reading() as connection:
            held = spaces.vectors_of(connection, one.space.id, one.space.dimension, ids)
        for at, item in zip(places, ids, strict=True):
            if item in held:
                scores[at] = (one.positive @ held[item].astype(np.float32)).tolist()
    return scores


def _why(
    query: Query, asked: Sequence[Asked], found: Written, entry: Entry, scores: list[float] | None
) -> tuple[Match, ...]:
    candidate = entry.candidate
    space = asked[candidate.asked].space.encoder
    parts = query.positive if scores or len(query.positive) == 1 else ()
    values = scores or [candidate.score]
    matches = [
        Match(str(part), "vector", score, space) for part, score in zip(parts, values, strict=False)
    ]
    hit = found.hits.get(candidate.item)
    if hit is not None and query.words is not None:
        written = Match(query.words, "words", hit.score, "", hit.fields, hit.is_exact)
        matches.append(written)
    return tuple(matches)


def _hit(rank: int, entry: Entry, asked: Sequence[Asked], why: tuple[Match, ...]) -> Hit:
    row, places, candidate = entry.row, entry.places, entry.candidate
    return Hit(
        rank=rank,
        score=candidate.score,
        path=places[0].full_path,
        content=row.hash.hex(),
        item=row.id,
        space=asked[candidate.asked].space.encoder,
        width=row.width,
        height=row.height,
        taken_at=row.taken_at,
        time_s=row.time_s,
        other_paths=tuple(place.full_path for place in places[1:]),
        state=places[0].state,
        level=candidate.level,
        probability=candidate.probability,
        by_words=candidate.by_words,
        why=why,
        folded=tuple(other.places[0].full_path for other in entry.folded),
    )
