"""Entries as hits: where their files are, and which part of the query they match and how."""

from __future__ import annotations

from collections.abc import Sequence

from pictor.library.records import FloatVector, Hit, Match
from pictor.search.candidates import WordMatches
from pictor.search.entries import Entry
from pictor.search.run import SearchRun


def hits_of(run: SearchRun, matches: WordMatches, entries: Sequence[Entry]) -> tuple[Hit, ...]:
    """The hits of one page."""
    scores = _scores(run, entries)
    return tuple(
        _hit(run, rank, entry, _why(run, matches, entry, scores.get(at)))
        for at, (rank, entry) in enumerate(enumerate(entries, run.options.offset + 1))
    )


def _scores(run: SearchRun, entries: Sequence[Entry]) -> dict[int, list[float]]:
    """The cosine of each entry, by its place, with each positive part; none where it is the score.

    The score is another where there are several, or where something negative steers away.
    """
    if len(run.query.positive) < 2 and not run.query.negative:
        return {}
    scores: dict[int, list[float]] = {}
    for number, space in enumerate(run.spaces):
        places = [at for at, e in enumerate(entries) if e.candidate.space == number]
        items = [entries[at].candidate.item for at in places]
        known = {
            item: vector
            for item, at in zip(items, places, strict=True)
            if (vector := _own_vector(entries[at])) is not None
        }
        vectors = run.vectors(number, items, known)
        for at, item in zip(places, items, strict=True):
            if item in vectors:
                scores[at] = (space.vectors.positive @ vectors[item]).tolist()
    return scores


def _own_vector(entry: Entry) -> FloatVector | None:
    """Its vector in the space that found it, if it was read."""
    if entry.candidate.vector is None and entry.candidate.space == 0:
        return entry.vector
    return entry.candidate.vector


def _why(
    run: SearchRun, matches: WordMatches, entry: Entry, scores: list[float] | None
) -> tuple[Match, ...]:
    candidate, query = entry.candidate, run.query
    space = run.spaces[candidate.space].encoder
    parts = query.positive if scores or len(query.positive) == 1 else ()
    values = scores or [candidate.score]
    why = [
        Match(str(part), "vector", score, space) for part, score in zip(parts, values, strict=False)
    ]
    hit = matches.hits.get(candidate.item)
    if hit is not None and query.words is not None:
        why.append(Match(query.words, "words", hit.score, "", hit.fields, hit.is_exact))
    return tuple(why)


def _hit(run: SearchRun, rank: int, entry: Entry, why: tuple[Match, ...]) -> Hit:
    row, places, candidate = entry.row, entry.places, entry.candidate
    return Hit(
        rank=rank,
        score=candidate.score,
        path=places[0].full_path,
        content=row.hash.hex(),
        item=row.id,
        space=run.spaces[candidate.space].encoder,
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
