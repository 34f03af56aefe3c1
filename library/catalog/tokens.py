"""Texts as tokens: what the word index stores and what a query asks it for.

Names, captions and queries pass through the same few rules, so that what is written somewhere is
found however it is typed: full-width forms as plain ones, letters without accents and in lower
case, traditional Chinese characters as simplified ones, each Chinese character a token of its own
(a run of them is asked for as a phrase, so any part of it is found). `SunsetBeach2019` is
`sunset beach 2019`, and `sunsetbeach 2019` too. A token is made of letters, digits or one symbol
only: no token means anything to a database's query language.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from pictor.library.scripts import HAN, simplified

#: Stands between two texts of one field, so that no phrase reaches from one into the next.
BOUNDARY = "_"
#: Begins the one token that stands for a whole name: `_img_2041`.
_WHOLE = "_"
#: A longer run of letters is no word: it is cut.
MAX_TOKEN_CHARS = 64
#: A longer text has no whole: nobody types it, and PostgreSQL takes no lexeme of 2 KiB.
MAX_WHOLE_CHARS = 256

_SYMBOLS = "\u2190-\u2bff\U0001f000-\U0001faff"
_RUN = re.compile(rf"[{HAN}{_SYMBOLS}]|[^\W_{HAN}]+")
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\WA-Z\d_]+|\d+")
_ACCENTS = re.compile("[\u0300-\u036f]")
_HAN_RUN = re.compile(rf"[{HAN}]+")

_STOPS = """
    a an and any are as at be by for from has have i in is it its me my of on or our photo picture
    photograph image showing shows show some that the their there these this those to was we were
    where which with you your 的 了 着 在 和 与 或 是 有 我 你 他 她 它 这 那 个 张 只
"""
#: Words that say nothing of a picture when other words stand beside them.
STOP_WORDS = frozenset(_STOPS.split())


def tokens(text: str, *, split_case: bool = True) -> list[str]:
    """The tokens of a text in order, as they are compared.

    Args:
        split_case: also part words where a small letter meets a capital.
    """
    if not text.isascii():
        text = _plain(text)
    if not split_case:
        text = text.lower()
    found: list[str] = []
    for run in _RUN.findall(text):
        if len(run) == 1:
            found.append(run.casefold())
        else:
            found += [part.casefold()[:MAX_TOKEN_CHARS] for part in _PART.findall(run)]
    return found


def _plain(text: str) -> str:
    """Compatible forms made one, accents dropped, Chinese simplified."""
    text = unicodedata.normalize("NFKC", text)
    text = _ACCENTS.sub("", unicodedata.normalize("NFD", text))
    return unicodedata.normalize("NFC", text).translate(simplified())


@lru_cache(maxsize=1024)  # a name is asked for several times, that of a folder by thousands
def phrases(text: str) -> tuple[str, ...]:
    """The one or two token sequences that stand for a text, each joined by spaces.

    Two where capitals part its words: `SunsetBeach` is `sunset beach` and `sunsetbeach`.
    """
    both = (" ".join(tokens(text)), " ".join(tokens(text, split_case=False)))
    return tuple(dict.fromkeys(phrase for phrase in both if phrase))


def wholes(text: str) -> tuple[str, ...]:
    """The tokens that stand for a text as a whole, one for each of its `phrases`."""
    short = (phrase for phrase in phrases(text) if len(phrase) <= MAX_WHOLE_CHARS)
    return tuple(_WHOLE + phrase.replace(" ", "_") for phrase in short)


def albums(text: str) -> tuple[str, ...]:
    """The tokens that stand for the name of the folder a file lies in: `__summer_2019`."""
    return tuple(_WHOLE + whole for whole in wholes(text))


def holds(field: str, phrase: str) -> bool:
    """Whether a stored field holds a phrase."""
    return f" {phrase} " in f" {field} "


def terms(query: str) -> list[tuple[str, ...]]:
    """The words of a query: of each the phrases that stand for it, any of which will do.

    A run of Chinese characters gives every pair of neighbours, as Chinese marks no words. Stop
    words are left out, unless there is nothing else.
    """
    found: dict[tuple[str, ...], None] = {}
    for word in query.split():
        for part in _parts(word):
            found[part] = None
    telling = [term for term in found if not STOP_WORDS.issuperset(term)]
    return telling or list(found)


def _parts(word: str) -> list[tuple[str, ...]]:
    plain = word if word.isascii() else _plain(word)
    parts: list[tuple[str, ...]] = []
    at = 0
    for run in _HAN_RUN.finditer(plain):
        parts.append(phrases(plain[at : run.start()]))
        han = run.group()
        parts += [(" ".join(han[i : i + 2]),) for i in range(max(1, len(han) - 1))]
        at = run.end()
    parts.append(phrases(plain[at:]))
    return [part for part in parts if part]
