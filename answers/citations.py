"""Citations in a text: [2], [1, 3]. Those of evidence that was not given are taken out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pictor.answers.neutral import inert

_LONGEST = 40  # characters in brackets that may be a citation
_NUMBERS = re.compile(r"\s*\d+(?:\s*[,，]\s*\d+)*\s*", re.ASCII)
_PARTIAL = re.compile(r"[\d,，\s]*", re.ASCII)
_OPEN, _CLOSE = "[【", "]】"


@dataclass(frozen=True)
class Citation:
    """A place in the text of an answer that names evidence.

    Attributes:
        start, end: characters of the text, without the end: "[2]".
        number: of the evidence.
        item: its id in the library.
    """

    start: int
    end: int
    number: int
    item: int


class CitationReader:
    """Reads the text of an answerer as it comes, and lets only citations of given evidence pass.

    Attributes:
        text: what has passed so far.
        citations: in the order of the text.
        dropped: numbers that were cited and not given, each once.
    """

    def __init__(self, items: dict[int, int], text: str = "") -> None:
        """Nothing is read yet.

        Args:
            items: the item of each number that may be cited.
            text: what stands before.
        """
        self._items = items
        self.text = text
        self.citations: list[Citation] = []
        self.dropped: list[int] = []

    def read(self, pieces: Iterable[str]) -> Iterator[tuple[str, Citation | None]]:
        """Pieces of text that may be shown; one that is a citation comes alone and whole."""
        held = ""
        for piece in pieces:
            for char in piece:
                if char in _OPEN:
                    yield from self._plain(held)
                    held = char
                elif held and char in _CLOSE:
                    yield from self._bracket(held[1:], char)
                    held = ""
                elif held and _PARTIAL.fullmatch(char) and len(held) < _LONGEST:
                    held += char
                else:
                    yield from self._plain(held + char)
                    held = ""
        yield from self._plain(held)

    def _plain(self, text: str) -> Iterator[tuple[str, None]]:
        shown = inert(text)
        if shown:
            self.text += shown
            yield shown, None

    def _bracket(self, inside: str, close: str) -> Iterator[tuple[str, Citation | None]]:
        if _NUMBERS.fullmatch(inside) is None:
            yield from self._plain(f"[{inside}{close}")
            return
        for number in (int(one) for one in re.findall(r"\d+", inside)):
            if number in self._items:
                start, shown = len(self.text), f"[{number}]"
                self.text += shown
                found = Citation(start, len(self.text), number, self._items[number])
                self.citations.append(found)
                yield shown, found
            elif number not in self.dropped:
                self.dropped.append(number)
