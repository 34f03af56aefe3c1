"""The one query language: texts become a `Query`, and a `Query` can be made without a text.

`docs/search.md` teaches the language. Nothing here opens a library or loads a model; a picture is
only looked for, not read.
"""

from pictor.search.query.parser import parse
from pictor.search.query.records import (
    MAX_TEXT_CHARS,
    BytesPart,
    ItemPart,
    Part,
    Pictured,
    PicturePart,
    Query,
    Region,
    WordsPart,
    combined,
    image,
    item,
    picture,
    words,
)

__all__ = [
    "MAX_TEXT_CHARS",
    "BytesPart",
    "ItemPart",
    "Part",
    "PicturePart",
    "Pictured",
    "Query",
    "Region",
    "WordsPart",
    "combined",
    "image",
    "item",
    "parse",
    "picture",
    "words",
]
