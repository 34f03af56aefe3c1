"""From a question to what is searched for and what is wanted of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from functools import cache

from pictor.answers.dates import without_dates
from pictor.answers.frames import Frame, Intent, table, unframed
from pictor.library.catalog.filters import (
    After,
    AllOf,
    AnyOf,
    Before,
    Filter,
    Near,
    Not,
    OfKind,
    Taken,
    both,
)
from pictor.library.errors import QueryError
from pictor.library.scripts import is_chinese
from pictor.search.options import Order
from pictor.search.query import ItemPart, Part, Query
from pictor.search.query.parser import parse_rephrased

#: Longer ones are no questions; patterns are tried at both ends of one.
MAX_QUESTION_CHARS = 1000
#: Where a place is known by its name, and within what radius; None of one that is not.
Places = Callable[[str], Near | None]

_STILL = OfKind("image")
#: Every picture: a question such as "how many photos do I have?" names nothing.
EVERYTHING = AnyOf((_STILL, Not(_STILL)))
#: What has an article is no name of a place, and is not looked up.
_NEAR = re.compile(
    r"(?<!\w)(?:near|close to)\s+(?!(?:an?|the|my|our|his|her|their|some|each)\b)"
    r"(?P<name>[\w'-]+(?:\s+[\w'-]+){0,2})"
    r"|在?(?P<chinese>[\w·]{1,12}?)(?:附近|周围|一带)的?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Asked:
    """A question as it was understood.

    Attributes:
        question: as it was put.
        query: what is searched for; `str()` of it is in the query language.
        order: "newest" or "oldest" where the last or the first is asked for.
    """

    question: str
    query: Query
    intent: Intent
    order: Order = "best"

    @property
    def is_chinese(self) -> bool:
        """Whether it is answered in Chinese, else in English."""
        return is_chinese(self.question)

    @property
    def items(self) -> tuple[int, ...]:
        """The items it names by their ids, where it asks of nothing else."""
        parts = self.query.positive
        return tuple(part.item for part in parts if isinstance(part, ItemPart))


def read_question(text: str, *, today: date, places: Places, before: Asked | None = None) -> Asked:
    """What a question asks. The query language is valid in it; paths and links are words.

    Args:
        today: what "last summer" is counted from.
        before: the question of the turn before; "and in 2022?" asks the same of another time.

    Raises:
        QueryError: it is over-long, breaks the query language, or names nothing to look for.
    """
    if len(text) > MAX_QUESTION_CHARS:
        raise QueryError(
            f"the question has {len(text):,} characters; at most {MAX_QUESTION_CHARS:,} are read"
        )
    reading = _Reading(today, places, is_follow_up=before is not None)
    parts, wanted = parse_rephrased(text.rstrip("?？ \n"), reading.rephrase)
    wanted = both(wanted, *reading.filters)
    frame = reading.frame
    intent, order = frame.intent, frame.order
    if before is not None and (reading.has_lead or not parts):
        if not frame.is_question:
            intent, order = before.intent, before.order
        wanted = _inherited(wanted, before.query.filter)
        parts = parts or before.query.parts
    if not parts and wanted is None:
        wanted = _everything(frame)
    _check(parts)
    return Asked(text, Query(parts, wanted), intent, order)


@dataclass
class _Reading:
    """The plain words of one question, and what was found in them."""

    today: date
    places: Places
    is_follow_up: bool
    frame: Frame = field(default_factory=lambda: Frame(""))
    filters: list[Filter] = field(default_factory=list)
    has_lead: bool = False

    def rephrase(self, words: str) -> str:
        """What is to be looked for."""
        if self.is_follow_up and (lead := _follow("lead").match(words)):
            self.has_lead, words = True, words[lead.end() :]
        words, dates = without_dates(words, self.today)
        self.filters += dates
        words = _NEAR.sub(self._near, words)
        self.frame = unframed(words)
        rest = self.frame.rest.rstrip("呢 ")
        if _follow("pronoun").fullmatch(rest):
            return ""
        return "\n".join(" ".join(line.split()) for line in rest.split("\n"))

    def _near(self, match: re.Match[str]) -> str:
        """Nothing, where the longest name that the library knows stands; else the same."""
        words = (match["name"] or match["chinese"]).split()
        for count in range(len(words), 0, -1):
            place = self.places(" ".join(words[:count]))
            if place is not None:
                self.filters.append(place)
                return " " + " ".join(words[count:])
        return match[0]


@cache
def _follow(name: str) -> re.Pattern[str]:
    pattern: str = table()["follow"][name]
    return re.compile(rf"\s*{pattern}(?![A-Za-z])", re.IGNORECASE)


def _inherited(wanted: Filter | None, before: Filter | None) -> Filter | None:
    """The filters of a turn with those of the one before; other dates take the place of dates."""
    kept = _leaves(before)
    if any(map(_is_date, _leaves(wanted))):
        kept = tuple(one for one in kept if not _is_date(one))
    if wanted is not None:
        kept = tuple(one for one in kept if one != EVERYTHING)
    return both(*kept, wanted)


def _leaves(wanted: Filter | None) -> tuple[Filter, ...]:
    """The filters that must all hold."""
    if isinstance(wanted, AllOf):
        return wanted.filters
    return () if wanted is None else (wanted,)


def _is_date(one: Filter) -> bool:
    return isinstance(one, After | Before | Taken)


def _everything(frame: Frame) -> Filter:
    """Of a question that names nothing, all pictures where that makes sense.

    Raises:
        QueryError: it does not.
    """
    if frame.is_question and (
        frame.order != "best" or frame.intent in (Intent.HOW_MANY, Intent.CAMERA)
    ):
        return EVERYTHING
    raise QueryError("the question names nothing to look for: say what the picture shows")


def _check(parts: tuple[Part, ...]) -> None:
    is_item = [isinstance(part, ItemPart) for part in parts]
    if any(is_item) and not all(is_item):
        raise QueryError("a question asks of items or of words, not of both: ask one at a time")
    for part in parts:
        if isinstance(part, ItemPart) and (part.negative or part.region is not None):
            raise QueryError(f"a question asks of a whole item: write item:{part.item} alone")
