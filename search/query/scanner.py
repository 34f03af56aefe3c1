"""Reading the text of a query: spaces, signs, words, quotes, weights; and saying what is wrong."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn

from pictor.library.errors import QuerySyntaxError

QUOTES = {'"': '"', "“": "”"}
MINUS, PLUS = "-－", "+＋"
WEIGHT = re.compile(r"\*(\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)(?=\s|$)", re.ASCII)
_SPACES, _WORD, _WORD_IN_BRACKETS = (re.compile(one) for one in (r"\s*", r"\S*", r"[^\s)]*"))
_VALUE = re.compile(r"(?:[^\s()]|\([^\s()]*\)|\()*")
_QUOTED = {
    close: re.compile(rf"{mark}((?:\\[{close}\\]|[^{close}])*+){close}")
    for mark, close in QUOTES.items()
}
#: What a part begins with that has a sign, besides letters and digits.
_BEGINS = '"“./~('


@dataclass
class Scanner:
    """A text, how far it was read, and in how many brackets that is."""

    text: str
    at: int = 0
    depth: int = 0

    def take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """What a pattern matches here, which is then behind."""
        found = pattern.match(self.text, self.at)
        self.at = found.end() if found else self.at
        return found

    def skip_spaces(self) -> bool:
        """Go to the next character that is no space; False at the end."""
        self.take(_SPACES)
        return self.at < len(self.text)

    def sign(self) -> str:
        """ "-" or "+" where one stands before something; else ""."""
        here, after = self.text[self.at], self.text[self.at + 1 : self.at + 2]
        if here not in MINUS + PLUS or not (after.isalnum() or (after and after in _BEGINS)):
            return ""  # a dash, an arrow, "++"
        self.at += 1
        return "-" if here in MINUS else "+"

    def word(self) -> str:
        """Up to the next space; inside brackets also up to the one that closes them."""
        found = self.take(_WORD_IN_BRACKETS if self.depth else _WORD)
        return found[0] if found else ""

    def value(self) -> str:
        """As `word`, but always up to a bracket that closes and that was not opened in it."""
        found = self.take(_WORD_IN_BRACKETS if self.depth else _VALUE)
        return found[0] if found else ""

    def quoted(self) -> str:
        r"""The text in the quotes that open here; in it \" is a quote and \\ a backslash."""
        start, close = self.at, QUOTES[self.text[self.at]]
        found = self.take(_QUOTED[close])
        if found is None:
            self.at = len(self.text)
            self.fail(start, "is a quote that is never closed")
        return re.sub(rf"\\([{close}\\])", r"\1", found[1])

    def weight(self) -> str | None:
        """The weight right behind a phrase, if there is one."""
        if self.text[self.at : self.at + 1] != "*":
            return None
        found = self.take(WEIGHT)
        if found is None:
            self.fail(self.at, "must be followed by a number such as 0.5")
        return found[1]

    def fail(self, start: int, why: str) -> NoReturn:
        """Raise the error of what stands from `start` to where it was read.

        Raises:
            QuerySyntaxError: always.
        """
        shown = self.text[start : max(self.at, start + 1)]
        shown = shown if len(shown) <= 40 else f"{shown[:39]}…"
        raise QuerySyntaxError(f"{shown!r} at character {start + 1} of the query {why}", start)
