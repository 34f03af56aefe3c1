"""Which file of a group is kept, and why in words.

Decisions of people come first, then files that can be reached, then the rules in their order. What
the rules leave equal is settled by the path, so that two runs never keep different files.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from pictor.duplicates.groups.records import Member
from pictor.duplicates.groups.rule_language import KeepRules, Term
from pictor.library.edited_names import is_copy, is_edited
from pictor.library.names import is_under, under_any
from pictor.library.raw_names import RAW_ENDINGS

#: Digits of a fraction of a second that file systems store.
_MOST_DIGITS = 9


class Keeper(NamedTuple):
    """The member that is kept, and why."""

    keep: Member
    reason: str


class _Ranking(NamedTuple):
    """One preference: the smallest `key` is kept; `words` say what it has, `fact` how much.

    `exact` says how much to some more digits, up to nine, where `fact` is the same of two.
    """

    words: str
    key: Callable[[Member], Any]  # Any: values of one preference compare with each other
    fact: Callable[[Member], str] = lambda _: ""
    exact: Callable[[Member, int], str] | None = None


def choose(members: Sequence[Member], rules: KeepRules, *, why: str = "") -> Keeper:
    """The best member by some rules.

    Args:
        members: at least one; all of them may be kept.
        why: what narrowed the choice to these, such as "your decision".
    """
    left = list(members)
    said: list[str] = [why] if why else []
    for ranking in [_REACHABLE, *(_ranking(term) for term in rules.prefer), _never_removed(rules)]:
        if len(left) == 1:
            break
        best = min(map(ranking.key, left))
        others = [one for one in left if ranking.key(one) != best]
        if others:
            left = [one for one in left if ranking.key(one) == best]
            said.append(_sentence(ranking, left[0], others))
    if len(left) > 1:
        said.append("first by path")
    keep = min(left, key=lambda one: (one.path, one.file_id))
    return Keeper(keep, _reason(said))


def is_protected(member: Member, rules: KeepRules) -> bool:
    """Whether a rule says that this file is never removed."""
    return under_any(member.path, rules.never)


def _reason(said: Sequence[str]) -> str:
    """ "kept: highest resolution (…); tie broken by oldest file (…)"."""
    return "kept: " + ("; tie broken by ".join(said) or "the only one that can be kept")


def _sentence(ranking: _Ranking, best: Member, others: Sequence[Member]) -> str:
    mine = ranking.fact(best)
    second = min(others, key=lambda one: (ranking.key(one), one.path))
    next_best = ranking.fact(second)
    digits = 0
    while ranking.exact is not None and mine == next_best and digits < _MOST_DIGITS:
        digits += 3
        mine, next_best = ranking.exact(best, digits), ranking.exact(second, digits)
    facts = f" ({mine} vs {next_best})" if mine and next_best else f" ({mine})" if mine else ""
    return ranking.words + facts


def _ranking(term: Term) -> _Ranking:
    if term.word == "path":
        shown = os.fsdecode(term.path).encode("utf-8", "backslashreplace").decode()
        return _Ranking(f"folder {shown}", lambda one: not is_under(one.path, term.path))
    return _RANKINGS[term.word]


def _pixels(one: Member) -> str:
    return f"{one.width} x {one.height}"


def _is_edited(one: Member) -> bool:
    """Whether its pixels or its name say so."""
    return one.is_edited or is_edited(_stem(one))


def _facts_known(one: Member) -> int:
    """How much is known of a file beside its pixels."""
    known = (one.taken_at, one.camera, one.has_place or None, one.rating)
    return sum(fact is not None for fact in known) + len(one.keywords) + len(one.tags)


def _stem(one: Member) -> bytes:
    return os.path.splitext(os.path.basename(one.path))[0]


def _time(one: Member, digits: int = 0) -> str:
    """A file's time, UTC, with some digits of the fraction of its second."""
    if one.mtime_ns < 0:
        return "unknown"
    seconds, fraction = divmod(one.mtime_ns, 10**9)
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return str(one.mtime_ns)
    return f"{moment:%Y-%m-%d %H:%M:%S}" + (f".{fraction:09}"[: digits + 1] if digits else "")


def _size(one: Member) -> str:
    return f"{one.size_bytes:,} bytes".replace(",", " ")


def _name_key(one: Member) -> tuple[bool, int, bytes]:
    name = os.path.basename(one.path)
    return is_copy(_stem(one)), len(name), name


_RANKINGS = {
    "resolution": _Ranking("highest resolution", lambda one: -one.width * one.height, _pixels),
    "raw": _Ranking("raw file", lambda one: one.format not in RAW_ENDINGS, lambda one: one.format),
    "no-edit": _Ranking("not edited", _is_edited),
    "metadata": _Ranking(
        "most metadata", lambda one: -_facts_known(one), lambda one: f"{_facts_known(one)} fields"
    ),
    "oldest": _Ranking(
        "oldest file", lambda one: one.mtime_ns if one.mtime_ns >= 0 else 1 << 63, _time, _time
    ),
    "newest": _Ranking("newest file", lambda one: -one.mtime_ns, _time, _time),
    "largest": _Ranking("largest file", lambda one: -one.size_bytes, _size),
    "smallest": _Ranking("smallest file", lambda one: one.size_bytes, _size),
    "name": _Ranking(
        "plainest name",
        _name_key,
        lambda one: os.path.basename(one.path).decode("utf-8", "backslashreplace"),
    ),
}
_REACHABLE = _Ranking("can be reached now", lambda one: one.state != "present")


def _never_removed(rules: KeepRules) -> _Ranking:
    """What is never removed is kept before what can be: in protected folders, inside archives."""
    return _Ranking(
        "is never removed",
        lambda one: not (is_protected(one, rules) or one.root_kind not in ("folder", "file")),
    )
