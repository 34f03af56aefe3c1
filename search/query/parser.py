"""From a text to a `Query`. Any text gives a query, or one error that says where and why.

    query   = { part | filter | group }
    part    = [ "+" | "-" ] ( word | quoted | picture [ "@" region ] ) [ "*" weight ]
    picture = path | link | "item:" id
    filter  = [ "-" ] key ":" ( value | quoted )
    group   = [ "-" ] "(" filter { [ "and" | "or" ] filter } ")"

Words without a sign or quotes are one sentence, in which natural negation is understood. A colon
after anything but the name of a filter is text, and so is a bracket that holds no filter. Between
filters, "or" and brackets are never text.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from pictor.library.catalog.filters import AllOf, AnyOf, Filter, Not, both
from pictor.library.errors import QueryError, QuerySyntaxError, shortened
from pictor.search import filters
from pictor.search.query import negation
from pictor.search.query.records import (
    LINKS,
    MAX_WEIGHT,
    PATH_STARTS,
    Part,
    Pictured,
    Query,
    WordsPart,
    check_length,
    combined,
    image,
    item,
    readable,
)
from pictor.search.query.scanner import MINUS, QUOTES, WEIGHT, Scanner

MAX_DEPTH = 32  # of brackets; far below what Python's stack takes
MAX_FILTERS = 100  # SQLite takes expressions of 1,000 levels
_ENDING = re.compile(r"/|\.\w+$")
_NAMES = "|".join(re.escape(name) for name in filters.FILTERS)
_KEY = re.compile(rf"({_NAMES})[:：]", re.IGNORECASE)
_ANY_KEY = re.compile(r"([A-Za-z][A-Za-z_-]+)[:：](?=[^\s/])")
_GROUP = re.compile(rf"\((?:[\s(]|[{MINUS}]|not\b)*(?:{_NAMES})[:：]", re.IGNORECASE)
_ITEM = re.compile(r"item[:：](-?\d+)", re.IGNORECASE | re.ASCII)
_ID_CHARS = 40  # of which a number is too large for an id already
_OTHER_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_BYTES = re.compile(r"picture[:：][0-9a-f]{64}", re.IGNORECASE)
_REGION = re.compile(r"@([\d.,eE+-]*,[\d.,eE+-]*)", re.ASCII)
_CLOSE = re.compile(r"\)")
_STRAY = re.compile(r"\s*(\))")
_OR = re.compile(rf"\s*(or)\b(?=(?:[\s(]|[{MINUS}]|not\b)*(?:{_NAMES})[:：])", re.IGNORECASE)
_JOIN = re.compile(r"(and|or)(?=[\s(]|$)", re.IGNORECASE)
_NEGATION = re.compile(rf"[{MINUS}]|not(?=[\s(])\s*", re.IGNORECASE)
_NEGATIONS = negation.ENGLISH | {"没有", "没", "不带", "不戴", "无", "沒有", "沒", "不帶", "無"}
#: Halves of characters that no text and no file name holds; others stand for bytes of names.
_HALVES = re.compile("[\ud800-\udc7f\udd00-\udfff]")


def parse(text: str | Sequence[str], *, pictures: bool = True) -> Query:
    """The query of one text, or of several (the arguments of a command), each with its own parts.

    A text that as a whole is a link or names a file, with a "/" or an ending, is a picture.

    Args:
        pictures: whether paths and links are pictures. Without, they are words as any others, and
            nothing of this machine is looked at: no file, no home, no current folder. For texts of
            people who may search the library but not read what else is there.

    Raises:
        QuerySyntaxError: it breaks the grammar; says where.
        QueryError: it is empty or over-long, or a path names no file.
    """
    if isinstance(text, str):
        return _parse_one(text, pictures)
    if not text:
        return Query()  # which says what to give
    return combined([_parse_one(one, pictures) for one in text])


def parse_rephrased(
    text: str, rephrase: Callable[[str], str]
) -> tuple[tuple[Part, ...], Filter | None]:
    """The parts and filters of one text whose plain words are put another way before they are read.

    Paths and links are words.

    Args:
        rephrase: from all plain words to what is to be looked for, "" for nothing. A line break
            stands where a phrase, a picture or a filter stood; negations do not reach across one.

    Raises:
        QueryError: as `parse`, but that neither parts nor filters is no error.
    """
    return _Reader(_checked(text), pictures=False).read(rephrase)


def _checked(text: str) -> str:
    text = _HALVES.sub("\ufffd", text).replace("\0", " ")
    check_length(text)
    return text


def _parse_one(text: str, pictures: bool) -> Query:
    text = _checked(text)
    whole = text.strip()
    is_link = whole.startswith(LINKS) and not any(map(str.isspace, whole))
    is_path = whole.startswith(PATH_STARTS) or _ENDING.search(whole)
    if pictures and (is_link or (is_path and _is_file(whole))):
        return Query((image(os.path.expanduser(whole)),))
    return Query(*_Reader(text, pictures=pictures).read())


@dataclass
class _Reader(Scanner):
    """One text, how far it was read, and what was found so far."""

    pictures: bool = True
    parts: list[Part] = field(default_factory=list)
    filters: list[Filter] = field(default_factory=list)
    count: int = 0
    #: Runs of plain words that nothing interrupts; natural negation does not reach across.
    runs: list[list[str]] = field(default_factory=lambda: [[]])

    def read(
        self, rephrase: Callable[[str], str] | None = None
    ) -> tuple[tuple[Part, ...], Filter | None]:
        """What the whole text looks for, and what must hold."""
        while self.skip_spaces():
            self._read_one()
        runs = [" ".join(run) for run in self.runs]
        if rephrase is not None:
            runs = rephrase("\n".join(runs)).split("\n")
        kept, absent = [], []
        for run in runs:
            rest, things = negation.split(run)
            kept += [rest] if rest else []
            absent += [WordsPart(readable(thing), negative=True) for thing in things]
        sentence = [WordsPart(readable(" ".join(kept)))] if kept else []
        return (*sentence, *self.parts, *absent), both(*self.filters)

    def _read_one(self) -> None:
        """What begins here: a filter, a group, a phrase, a picture or a word."""
        start = self.at
        sign = self.sign()
        if self._opens_group() or _KEY.match(self.text, self.at):
            found = self._group() if self._opens_group() else self._filter()
            is_negated = sign == "-" or self._take_negation()
            self.filters.append(negated(found) if is_negated else found)
            self._refuse_loose_ends()
        elif self.text[self.at] in QUOTES:
            self._add_phrase(sign, start)
        else:
            self._add_word(sign, start)

    # --- parts

    def _add_phrase(self, sign: str, start: int) -> None:
        phrase = self.quoted()
        if not phrase.strip():
            self.fail(start, "is an empty phrase; leave it out")
        if not self._is_located(phrase):
            part: Part = WordsPart(readable(phrase).strip())
            self._add_part(part, sign, self.weight(), start)
            return
        region, weight = self.take(_REGION), self.weight()
        part = self._picture(image, os.path.expanduser(phrase), region, start)
        self._add_part(part, sign, weight, start)

    def _add_word(self, sign: str, start: int) -> None:
        word = self.word()
        name, weight = word, None
        found = WEIGHT.search(word)
        if found and not self._is_file(word):
            name, weight = word[: found.start()], found[1]
        picture = self._pictured(name, start)
        if picture is not None:
            self._add_part(picture, sign, weight, start)
        elif sign and name:
            self._add_part(WordsPart(readable(name)), sign, weight, start)
        else:
            self._refuse_misspelt(word, start)
            self.runs[-1].append(self.text[start : self.at])

    def _add_part(self, part: Part, sign: str, weight: str | None, start: int) -> None:
        is_negative = sign == "-" or (not sign and self._take_negation())
        self.runs.append([])
        if is_negative and weight is not None:
            self.fail(start, "is a negative part, which takes no weight")
        number = 1.0 if weight is None else float(weight)
        if not 0 < number <= MAX_WEIGHT:
            self.fail(start, f"has a weight that is not above 0 and at most {MAX_WEIGHT:g}")
        self.parts.append(replace(part, weight=number, negative=is_negative))

    def _take_negation(self) -> bool:
        """Whether the word just before negates what comes now; it is then no word of the text."""
        run = self.runs[-1]
        self.runs.append([])
        if run and run[-1].lower() in _NEGATIONS:
            run.pop()
            return True
        return False

    def _pictured(self, name: str, start: int) -> Pictured | None:
        """The picture that a word is; None for any other word."""
        bare, region = name, None
        found = _REGION.search(name)
        if found and found.end() == len(name) and not self._is_file(name):
            bare, region = name[: found.start()], found
        numbered = _ITEM.fullmatch(bare)
        if numbered:
            return self._picture(item, int(numbered[1][:_ID_CHARS]), region, start)
        if _BYTES.fullmatch(bare):
            self.fail(start, "is a picture given as bytes, which has no text form")
        if self.pictures and bare.startswith(LINKS):  # whose end may look like a region
            return self._picture(image, name, None, start)
        if self.pictures and _OTHER_SCHEME.match(bare):
            self.fail(
                start,
                "is not fetched: a picture is a path, or a link that begins with http:// or "
                "https://; quote it if it is text",
            )
        if self._is_located(bare) or (_ENDING.search(bare) and self._is_file(bare)):
            return self._picture(image, os.path.expanduser(bare), region, start)
        return None

    def _picture(
        self,
        made: Callable[..., Pictured],
        what: object,
        region: re.Match[str] | None,
        start: int,
    ) -> Pictured:
        try:
            return made(what, _numbers(region[1]) if region else None)
        except QueryError as error:
            hint = "; put a path with spaces in quotes" if self.text[self.at :].strip() else ""
            hint = hint if made is image and not region else ""
            raise QuerySyntaxError(
                f"{error}, at character {start + 1} of the query{hint}", start
            ) from error

    def _is_located(self, name: str) -> bool:
        """Whether a word or phrase begins as a path or link does, and may be one."""
        return self.pictures and name.startswith((*PATH_STARTS, *LINKS))

    def _is_file(self, name: str) -> bool:
        return self.pictures and _is_file(name)

    # --- filters

    def _opens_group(self) -> bool:
        return _GROUP.match(self.text, self.at) is not None

    def _group(self) -> Filter:
        """Filters in brackets; "and" binds closer than "or"."""
        start = self.at
        if self.depth == MAX_DEPTH:
            self.fail(start, f"is a bracket nested more than {MAX_DEPTH} deep")
        self.at += 1
        self.depth += 1
        either: list[list[Filter]] = [[self._member(start)]]
        while not self._closes(start):
            word = self.take(_JOIN)
            if word and word[1].lower() == "or":
                either.append([])
            either[-1].append(self._member(start))
        self.depth -= 1
        joined = [all_of[0] if len(all_of) == 1 else AllOf(tuple(all_of)) for all_of in either]
        return joined[0] if len(joined) == 1 else AnyOf(tuple(joined))

    def _closes(self, start: int) -> bool:
        if not self.skip_spaces():
            self.fail(start, "is a bracket that is never closed")
        return self.take(_CLOSE) is not None

    def _member(self, start: int) -> Filter:
        """A filter or a group inside brackets, with what negates it."""
        is_negated = False
        while self.skip_spaces() and self.take(_NEGATION):
            is_negated = not is_negated
        here = self.at
        if here == len(self.text):
            self.fail(start, "is a bracket that is never closed")
        if self._opens_group():
            found = self._group()
        elif _KEY.match(self.text, here):
            found = self._filter()
        else:
            self.word()
            self.fail(here, "is not a filter, and brackets may contain only filters")
        return negated(found) if is_negated else found

    def _filter(self) -> Filter:
        start = self.at
        self.count += 1
        if self.count > MAX_FILTERS:
            self.fail(start, f"is one filter more than the maximum of {MAX_FILTERS}")
        match = self.take(_KEY)
        assert match is not None
        is_quoted = self.at < len(self.text) and self.text[self.at] in QUOTES
        value = self.quoted() if is_quoted else self.value()
        try:
            return filters.read_filter(match[1].lower(), value, is_ours=self.pictures)
        except ValueError as error:
            self.fail(start, f"{error}; quote it if it is text")

    def _refuse_loose_ends(self) -> None:
        """Behind a filter, what makes sense in brackets only is a mistake, and would be text."""
        if stray := self.take(_STRAY):
            self.fail(
                stray.start(1),
                "closes no bracket of filters, which may contain only filters; quote it if it is "
                "text",
            )
        if found := self.take(_OR):
            either = AnyOf((self.filters[-1], self._member(found.start(1))))
            self.fail(
                found.start(1), f"joins filters only in brackets: write {shortened(str(either))}"
            )

    def _refuse_misspelt(self, word: str, start: int) -> None:
        """A name that is nearly a filter's is a mistake, and would be looked for as text."""
        match = _ANY_KEY.match(word)
        near = match and filters.nearest(match[1].lower())
        if near:
            self.fail(start, f"looks like the filter {near}: misspelt; quote it if it is text")


def negated(found: Filter) -> Filter:
    """The filter that holds where this one does not."""
    return found.filter if isinstance(found, Not) else Not(found)


def _numbers(text: str) -> Sequence[float]:
    """The numbers of a region.

    Raises:
        QueryError: they are none.
    """
    try:
        return [float(number) for number in text.split(",")]
    except ValueError:
        raise QueryError(f"a region is written @x,y,width,height, not @{text[:60]}") from None


def _is_file(name: str) -> bool:
    return os.path.isfile(os.path.expanduser(name))
