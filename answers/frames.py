"""What stands around what a question asks of: "有没有在海边奔跑的狗的照片?" asks of 在海边奔跑的狗.

The patterns are those of `configs/questions.toml`, which says how they are applied.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

from pictor.library.config import presets_dir
from pictor.library.scripts import has_han, simplified
from pictor.search.options import Order

_EDGES = " \t\r\n?？!！.。…~～,，;；"
_PART = re.compile(r"<(\w+)>")
_HAN_LANGUAGE = "zh"


class Intent(StrEnum):
    """What a question wants to know."""

    WRITTEN = "written"
    CAMERA = "camera"
    HOW_MANY = "how_many"
    WHEN = "when"
    WHERE = "where"
    DESCRIBE = "describe"
    SHOW = "show"
    IS_THERE = "is_there"


#: What many questions say besides what they ask: "show me where…", "do you know when…".
_WEAK = (Intent.DESCRIBE, Intent.SHOW, Intent.IS_THERE)


@dataclass(frozen=True)
class Frame:
    """A question without what it asks of.

    Attributes:
        rest: what it asks of, in its own words; "" where it names nothing.
        intent: SHOW where nothing is asked.
        order: "newest" or "oldest" where the last or the first is asked for.
        is_question: whether anything was cut off.
    """

    rest: str
    intent: Intent = Intent.SHOW
    order: Order = "best"
    is_question: bool = False


@dataclass(frozen=True)
class _Pattern:
    intent: str
    found: re.Pattern[str]


@dataclass(frozen=True)
class _Language:
    """The patterns of one language, by where they stand."""

    heads: tuple[_Pattern, ...]
    far: tuple[_Pattern, ...]
    tails: tuple[_Pattern, ...]
    fill_heads: tuple[_Pattern, ...]
    fill_tails: tuple[_Pattern, ...]


def unframed(text: str) -> Frame:
    """A question as what it asks of and what it wants to know. Text that asks nothing stays."""
    rest, dropped = text.strip(_EDGES), ""
    intents: list[Intent] = []
    for language in (_HAN_LANGUAGE, "en") if has_han(text) else ("en",):
        rest, cut, found = _cut(rest, _language(language))
        dropped += cut
        intents += found
    if not dropped:
        return Frame(rest)
    asked = [one for one in intents if one not in _WEAK] + [one for one in _WEAK if one in intents]
    return Frame(rest, asked[0] if asked else Intent.SHOW, _order(dropped), True)


def _cut(text: str, language: _Language) -> tuple[str, str, list[Intent]]:
    """(what is left of a text, what was cut off, the intents of the patterns that did)."""
    dropped: list[str] = []
    intents: list[Intent] = []
    while text:
        # Ends before beginnings: of "when the picture of saw was taken" the saw is left.
        fills = (*language.fill_tails, *language.fill_heads) if dropped else language.far
        found = _first(text, (*language.heads, *language.tails, *fills))
        if found is None:
            break
        pattern, match = found
        intents += [Intent(pattern.intent)] if pattern.intent else []
        dropped.append(match[0])
        text = (text[: match.start()] + text[match.end() :]).strip(_EDGES)
    return text, " ".join(dropped), intents


def _first(text: str, patterns: Iterable[_Pattern]) -> tuple[_Pattern, re.Match[str]] | None:
    """The first pattern that takes something off a text."""
    # Character by character, so that places agree.
    simple = text.translate(simplified()).replace("’", "'")
    for pattern in patterns:
        match = pattern.found.search(simple)
        if match is not None and match[0]:
            return pattern, match
    return None


def _order(dropped: str) -> Order:
    orders: dict[Order, re.Pattern[str]] = {
        "newest": re.compile(table()["order"]["newest"], re.IGNORECASE),
        "oldest": re.compile(table()["order"]["oldest"], re.IGNORECASE),
    }
    return next((order for order, words in orders.items() if words.search(dropped)), "best")


# --- the table


@cache
def table() -> Mapping[str, Any]:
    """`configs/questions.toml`."""
    return tomllib.loads((presets_dir() / "questions.toml").read_text(encoding="utf-8"))


@cache
def _language(name: str) -> _Language:
    rules = table()[name]
    parts: dict[str, str] = rules["parts"]
    end = "" if name == _HAN_LANGUAGE else r"(?!\w)"
    start = "" if name == _HAN_LANGUAGE else r"(?<!\w)"

    def compiled(pattern: str) -> re.Pattern[str]:
        while (grown := _PART.sub(lambda part: parts[part[1]], pattern)) != pattern:
            pattern = grown
        return re.compile(pattern.replace(" ", r"\s+"), re.IGNORECASE)

    def heads(pattern: str, before: str) -> re.Pattern[str]:
        return compiled(rf"^{before}(?:{pattern}){end}")

    def tails(pattern: str) -> re.Pattern[str]:
        return compiled(rf"{start}(?:{pattern}){rules.get('particles', '')}$")

    return _Language(
        tuple(_Pattern(i, heads(p, "<pre>")) for i, ps in rules["head"].items() for p in ps),
        tuple(_Pattern(i, heads(p, "")) for i, ps in rules.get("far", {}).items() for p in ps),
        tuple(_Pattern(i, tails(p)) for i, ps in rules["tail"].items() for p in ps),
        tuple(_Pattern("", heads(p, "")) for p in rules["fill"]["head"]),
        tuple(_Pattern("", tails(p)) for p in rules["fill"]["tail"]),
    )
