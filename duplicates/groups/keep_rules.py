"""The small language of what to keep: `prefer: resolution, path:~/Originals; never: path:~/Old`.

A clause is a name, a colon and terms with commas between; clauses are parted by semicolons.
`prefer` orders: the first term that tells files apart decides. `never` names folders and files from
which nothing is removed. A path with a comma, a semicolon or a quote in it stands in double quotes,
where a backslash keeps the next character as it is.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

from pictor.library.errors import RuleError, quoted
from pictor.library.names import expanded

#: What `prefer` knows besides paths.
WORDS = (
    "resolution",
    "raw",
    "no-edit",
    "metadata",
    "oldest",
    "newest",
    "largest",
    "smallest",
    "name",
)
PATH = "path:"
CLAUSES = ("prefer", "never")
_TOKEN = re.compile(r"""(?:[^,;"\\]|\\.|"(?:[^"\\]|\\.)*")*""", re.DOTALL)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_CLAUSE = re.compile(r"\s*([\w-]*)\s*(:?)")


@dataclass(frozen=True)
class Term:
    """One preference: a word of WORDS, or "path" with a folder or file (absolute, as bytes)."""

    word: str
    path: bytes = b""


@dataclass(frozen=True)
class KeepRules:
    """What to keep.

    Attributes:
        prefer: the most important first.
        never: folders and files from which nothing is removed.
    """

    prefer: tuple[Term, ...] = ()
    never: tuple[bytes, ...] = ()


def parse_rules(text: str, base: KeepRules | None = None) -> KeepRules:
    """Rules as people write them; a clause that is not named stays as it is in `base`.

    Raises:
        RuleError: names the character where the text is no rule.
    """
    base = base or KeepRules()
    clauses: dict[str, list[tuple[str, int]]] = {}
    at = 0
    while at < len(text):
        if not text[at:].strip():
            break
        match = _CLAUSE.match(text, at)
        assert match is not None  # it matches nothing, too
        name, colon = match.groups()
        start = match.start(1)
        if name not in CLAUSES or not colon:
            raise _wrong(text, start, "a clause is `prefer: …` or `never: …`, with ; between")
        if name in clauses:
            raise _wrong(text, start, f"`{name}:` is given twice")
        clauses[name], at = _terms(text, match.end())
    prefer = base.prefer
    never = base.never
    if "prefer" in clauses:
        prefer = tuple(_term(text, word, place) for word, place in clauses["prefer"])
    if "never" in clauses:
        never = tuple(_never(text, word, place) for word, place in clauses["never"])
    return KeepRules(prefer, never)


def rules_of(prefer: Sequence[str], never: Sequence[str]) -> KeepRules:
    """Rules as the settings have them: one term an entry, paths without quotes.

    Raises:
        RuleError: an entry is no rule.
    """
    return KeepRules(
        tuple(
            _term(f"duplicates.prefer: {one}", one, len("duplicates.prefer: ")) for one in prefer
        ),
        tuple(_never(f"duplicates.never: {one}", one, len("duplicates.never: ")) for one in never),
    )


def _terms(text: str, at: int) -> tuple[list[tuple[str, int]], int]:
    """(term, its place) of a clause that begins at a place; and where the next clause begins."""
    found: list[tuple[str, int]] = []
    while True:
        match = _TOKEN.match(text, at)
        assert match is not None  # it matches nothing, too
        raw, end = match[0], match.end()
        place = at + len(raw) - len(raw.lstrip())
        if end < len(text) and text[end] not in ",;":
            raise _wrong(text, end, "an unterminated quote or backslash")
        if not raw.strip():
            raise _wrong(text, min(end, place), "a term is missing")
        found.append((raw.strip(), place))
        if end >= len(text) or text[end] == ";":
            return [(_unquoted(term), where) for term, where in found], end + 1
        at = end + 1


def _unquoted(term: str) -> str:
    return _QUOTED.sub(lambda match: re.sub(r"\\(.)", r"\1", match[1]), term)


def _term(text: str, term: str, place: int) -> Term:
    if term.startswith(PATH):
        return Term("path", _path(text, term, place))
    if term not in WORDS:
        near = difflib.get_close_matches(term, WORDS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(WORDS)} and path:DIR"
        raise _wrong(text, place, f"{quoted(term)} is not a preference; {hint}")
    return Term(term)


def _never(text: str, term: str, place: int) -> bytes:
    if not term.startswith(PATH):
        raise _wrong(text, place, f"{quoted(term)} is not a path; write path:DIR")
    return _path(text, term, place)


def _path(text: str, term: str, place: int) -> bytes:
    named = term[len(PATH) :].strip()
    if not named or "\0" in named:
        raise _wrong(text, place, "path: needs a folder or file")
    return os.path.abspath(expanded(named))


def _wrong(text: str, place: int, why: str) -> RuleError:
    shown = text[max(0, place - 20) : place] + "→" + text[place : place + 40]
    return RuleError(f"no rule at character {place + 1} ({shown!r}): {why}", place)
