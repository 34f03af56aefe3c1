"""Which spaces a query is put to: those whose encoder knows the language it is written in.

Only the script is looked at: Chinese characters make a query Chinese, words of other letters make
it English, both make it mixed. An encoder's own language is the first on its card.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pictor.library.catalog.rows import SpaceRow
from pictor.library.errors import QueryError
from pictor.library.scripts import HAN, has_han
from pictor.library.store import space_named

CHINESE, ENGLISH = "zh", "en"
#: One letter makes no English word: 一件T恤 is Chinese.
_LETTERS = re.compile(rf"[^\W\d_{HAN}]{{2,}}")


def languages(words: str) -> tuple[str, ...]:
    """ISO 639-1 codes of the languages a text is written in, as far as its script tells.

    Returns:
        ("zh",), ("en",) or, for a mixed text, ("en", "zh"). What has no letters is English.
    """
    if not has_han(words):
        return (ENGLISH,)
    return (ENGLISH, CHINESE) if _LETTERS.search(words) else (CHINESE,)


def route(
    words: str | None, spaces: Sequence[SpaceRow], encoder: str | None = None
) -> list[SpaceRow]:
    """The spaces to ask, best first: one, or one for each language of a mixed query.

    A space whose own language is that of the words goes before one that knows it among others, and
    that before one that does not; then the default space goes first. An incomplete space is asked
    only where no complete one knows the language.

    Args:
        words: all words of the query; None for one of pictures alone, for the default space.
        spaces: of the library, the default one first.
        encoder: a name that wins over all of this: as for `space_named`.

    Raises:
        QueryError: there is no space, or none of the named encoder.
    """
    if not spaces:
        raise QueryError("the library is empty; index a folder: pictor index FOLDER")
    if encoder is not None:
        return [space_named(spaces, encoder)]
    if words is None:
        return [min(spaces, key=lambda row: row.state != "ready")]
    readers = [row for row in spaces if row.card.has_text]
    if not readers:
        return [spaces[0]]  # whose tower says that it takes no words
    chosen = [min(readers, key=lambda row: _order(row, one)) for one in languages(words)]
    return list({row.id: row for row in chosen}.values())


def _order(row: SpaceRow, language: str) -> tuple[bool, bool, bool]:
    """Smaller is better; equal ones stay in the library's order.

    A card that names no languages (a checkpoint from a folder) is taken to know them all.
    """
    known = row.card.languages
    knows = not known or language in known
    return (not knows, row.state != "ready", known[:1] != (language,))
