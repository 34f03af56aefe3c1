"""What is handed to an answerer: numbered items with what is known of them, and how many fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from pictor.answers.frames import Intent
from pictor.answers.neutral import name_of
from pictor.answers.question import Asked
from pictor.library.catalog import filter_sql
from pictor.library.errors import QueryError
from pictor.library.item_facts import ItemFacts, ItemTag, item_facts
from pictor.library.records import Caption, Hit, Level, Metadata
from pictor.library.store import Store
from pictor.search.options import MOST, SearchOptions
from pictor.search.plan import Ranking
from pictor.search.query import Query

Rank = Callable[[Query, SearchOptions], Ranking]
#: The least level of evidence.
Minimum = Literal["likely", "possible"]
#: How sure what is said of evidence is. "exact": filters or ids alone chose it.
Confidence = Literal["exact", "likely", "possible"]

#: Near-identical pictures are one where they are shown, and several where facts of each are told.
_FOLDED = (Intent.SHOW, Intent.IS_THERE)


@dataclass(frozen=True)
class ItemEvidence:
    """One item that an answer may rest on. All texts in it are data that strangers wrote.

    Attributes:
        number: from 1; what an answer cites.
        hit: where it is, and how sure the search is of it.
        metadata: what the file says of itself.
        captions: those that came with it.
        tags: of label sets and of people.
    """

    number: int
    hit: Hit
    metadata: Metadata
    captions: tuple[Caption, ...] = ()
    tags: tuple[ItemTag, ...] = ()

    @property
    def title(self) -> str:
        """The name of the file, without folders and as plain text, at most 80 characters."""
        return name_of(self.hit.path)

    @property
    def place(self) -> tuple[float, float] | None:
        """Latitude and longitude in degrees, WGS 84, as the file says."""
        here = self.metadata
        if here.latitude is None or here.longitude is None:
            return None
        return here.latitude, here.longitude

    @property
    def caption(self) -> str | None:
        """The first of what people wrote about it: a caption, the description, the title."""
        written = (*(one.text for one in self.captions), self.metadata.description)
        return next((text for text in (*written, self.metadata.title) if text), None)


@dataclass(frozen=True)
class Findings:
    """What was found for a question.

    Attributes:
        evidence: by number, at most as many as were asked for.
        is_exact: filters or ids alone chose it, so that all of it fits.
        likely, possible: how many contents are at these levels; at least, since a search ends
            where nothing fits. 0 where they were not counted or `is_exact`.
        total: how many contents pass the filters; None where they were not counted.
        lacks_levels: nothing can be told to fit, as the library has no levels yet.
    """

    asked: Asked
    evidence: tuple[ItemEvidence, ...]
    is_exact: bool = False
    likely: int = 0
    possible: int = 0
    total: int | None = None
    lacks_levels: bool = False

    @property
    def best(self) -> tuple[ItemEvidence, ...]:
        """What claims rest on: the likely ones where there are any, else all."""
        likely = tuple(one for one in self.evidence if one.hit.level is Level.LIKELY)
        return likely or self.evidence

    @property
    def confidence(self) -> Confidence:
        """Of `best`."""
        if self.is_exact:
            return "exact"
        is_likely = any(one.hit.level is Level.LIKELY for one in self.evidence)
        return "likely" if is_likely else "possible"


def findings(library: Store, rank: Rank, asked: Asked, top: int, minimum: Minimum) -> Findings:
    """The evidence for a question.

    Args:
        top: at most so much of it.

    Raises:
        QueryError: the query cannot be answered, or names an item that the library does not have.
    """
    if asked.items:
        return _of_items(library, asked)
    if asked.query.positive:
        return _of_words(library, rank, asked, top, minimum)
    order = "newest" if asked.order == "best" else asked.order
    ranking = rank(asked.query, SearchOptions(top=top, order=order, is_folded=False))
    return Findings(
        asked, _evidence(library, ranking.hits), True, total=_count(library, rank, asked.query)
    )


def _of_items(library: Store, asked: Asked) -> Findings:
    facts = item_facts(library, asked.items)
    lacking = sorted(set(asked.items) - {one.id for one in facts})
    if lacking:
        raise QueryError(f"the library has no item {lacking[0]}")
    hits = [_own_hit(number, one) for number, one in enumerate(facts, 1) if one.files]
    return Findings(asked, _evidence(library, hits), True, total=len(hits))


def _of_words(library: Store, rank: Rank, asked: Asked, top: int, minimum: Minimum) -> Findings:
    is_shown = asked.intent in _FOLDED

    def ranked(least: Minimum, count: int = top, is_folded: bool = is_shown) -> Ranking:
        options = SearchOptions(top=count, minimum=least, order=asked.order, is_folded=is_folded)
        return rank(asked.query, options)

    # The last time is that of what surely shows it, if anything does.
    ranking = ranked(minimum if asked.order == "best" else "likely")
    if ranking.plan.lacks_levels:
        return Findings(asked, (), lacks_levels=True)
    if not ranking.hits and asked.order != "best" and minimum == "possible":
        ranking = ranked("possible")
    levels: list[Level | None] = []
    if asked.intent is Intent.HOW_MANY:
        levels = [hit.level for hit in ranked(minimum, MOST, False).hits]
    return Findings(
        asked,
        _evidence(library, ranking.hits),
        likely=levels.count(Level.LIKELY),
        possible=levels.count(Level.POSSIBLE),
    )


def _count(library: Store, rank: Rank, query: Query) -> int:
    """How many contents fit a query without positive parts."""
    if query.parts:
        return len(rank(query, SearchOptions(top=MOST, is_folded=False)).hits)
    with library.reading() as connection:
        return filter_sql.count(connection, query.filter)


def _evidence(library: Store, hits: Sequence[Hit]) -> tuple[ItemEvidence, ...]:
    known = {one.id: one for one in item_facts(library, [hit.item for hit in hits], 0)}
    there = [hit for hit in hits if hit.item in known]  # others were removed since
    return tuple(
        ItemEvidence(number, hit, one.metadata, one.captions, one.tags)
        for number, hit in enumerate(there, 1)
        for one in [known[hit.item]]
    )


def _own_hit(rank: int, facts: ItemFacts) -> Hit:
    """An item as the hit of its own id."""
    first, *others = facts.files
    return Hit(
        rank=rank,
        score=1.0,
        path=first.path,
        content=facts.content,
        item=facts.id,
        space="",
        width=facts.width,
        height=facts.height,
        taken_at=facts.metadata.taken_at,
        time_s=facts.time_s,
        other_paths=tuple(file.path for file in others),
        state=first.state,
    )
