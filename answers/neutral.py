"""Names, captions, keywords and metadata as data: strangers wrote them, and an answer shows them.

What comes out stands on one line, closes no quotation, is no citation, no mark-up, no link and
nothing that drives a terminal.
"""

from __future__ import annotations

import re
import unicodedata

from pictor.library.names import display

NAME_CHARS = 80
TEXT_CHARS = 200
_LINK = re.compile(r"(?:\w+:/|www\.|(?:https?|ftp|javascript|data|mailto):)\S*", re.IGNORECASE)
_CONTROLS = frozenset(("Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"))
_MARKS = str.maketrans("[]<>`|", "［］＜＞ˋ｜")
_QUOTES = str.maketrans('"“”„«»', "'''''''"[:6])


def neutral(text: str, most: int = TEXT_CHARS) -> str:
    """A text of strangers as one line of plain characters, cut to so many."""
    text = unicodedata.normalize("NFKC", text[: 4 * most])
    text = "".join(" " if unicodedata.category(c) in _CONTROLS else c for c in text)
    text = " ".join(_LINK.sub("(link)", text).translate(_MARKS).split())
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


def quote(text: str, most: int = TEXT_CHARS) -> str:
    """As `neutral`, in quotation marks that nothing in it closes."""
    return f"“{neutral(text, most).translate(_QUOTES)}”"


def name_of(path: bytes) -> str:
    """The name of a file without its folders, as `neutral`."""
    return neutral(display(path.rstrip(b"/").rpartition(b"/")[2]), NAME_CHARS)


def inert(text: str) -> str:
    """What an answerer wrote beside its citations: it can neither link, nor mark up, nor cite."""
    text = "".join(
        c for c in text if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf", "Co", "Cs")
    )
    return text.translate(_MARKS)
