"""Reading the text of a query: spaces, signs, words, quotes, weights; and saying what is wrong."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn

from pictor.library.errors import QuerySyntaxError

QUOTES = {'"': '"', "“": "”"}
MINUS, PLUS = "-－", "+＋"
WEIGHT = re.compile(r"\*(\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)(?=\s|$)", re.ASCII)
#: What a part begins with that has a sign, besides letters and digits.
_BEGINS = '"“./~('


@dataclass
class Scanner:
    """A text, how far it was read, and in how many brackets that is."""

    text: str
    at: int = 0
    depth: int = 0

    def skip_spaces(self) -> bool:
        """Go to the next character that is no space; False at the end."""
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1
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
        start = self.at
        while self.at < len(self.text) and not self.text[self.at].isspace():
            if self.depth and self.text[self.at] == ")":
                break
            self.at += 1
        return self.text[start : self.at]

    def quoted(self) -> str:
        r"""The text in the quotes that open here; in it \" is a quote and \\ a backslash."""
        start, close = self.at, QUOTES[self.text[self.at]]
        found: list[str] = []
        self.at += 1
        while self.at < len(self.text):
            here = self.text[self.at]
            if here == close:
                self.at += 1
                return "".join(found)
            if here == "\\" and self.text[self.at + 1 : self.at + 2] in (close, "\\"):
                self.at += 1
            found.append(self.text[self.at])
            self.at += 1
        self.fail(start, "is a quote that is never closed")

    def weight(self) -> str | None:
        """The weight right behind a phrase, if there is one."""
        if self.text[self.at : self.at + 1] != "*":
            return None
        found = WEIGHT.match(self.text, self.at)
        if found is None:
            self.fail(self.at, "must be followed by a number such as 0.5")
        self.at = found.end()
        return found[1]

    def fail(self, start: int, why: str) -> NoReturn:
        """Raise the error of what stands from `start` to where it was read.

        Raises:
            QuerySyntaxError: always.
        """
        shown = self.text[start : max(self.at, start + 1)]
        shown = shown if len(shown) <= 40 else f"{shown[:39]}…"
        raise QuerySyntaxError(f"{shown!r} at character {start + 1} of the query {why}", start)
