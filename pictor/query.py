"""Queries as records, for programs: `library.search(Query((words("a dog"),), Camera("sony")))`.

`parse` makes one of a text in the query language, which docs/search.md teaches; `str()` of one is
such a text.
"""

from __future__ import annotations

from pictor.library.catalog.filters import (
    After,
    AllOf,
    AnyOf,
    Before,
    Camera,
    Filter,
    Has,
    InFolder,
    InLabelSet,
    InRoot,
    Inside,
    Lens,
    MinMegapixels,
    Near,
    Not,
    OfFormat,
    OfKind,
    OfShape,
    Rated,
    Tagged,
    Taken,
)
from pictor.search.options import SearchOptions
from pictor.search.plan import QueryReport, Ranking
from pictor.search.query import (
    BytesPart,
    ItemPart,
    PicturePart,
    Query,
    Region,
    WordsPart,
    combined,
    image,
    item,
    parse,
    picture,
    words,
)

__all__ = [
    "After",
    "AllOf",
    "AnyOf",
    "Before",
    "BytesPart",
    "Camera",
    "Filter",
    "Has",
    "InFolder",
    "InLabelSet",
    "InRoot",
    "Inside",
    "ItemPart",
    "Lens",
    "MinMegapixels",
    "Near",
    "Not",
    "OfFormat",
    "OfKind",
    "OfShape",
    "PicturePart",
    "Query",
    "QueryReport",
    "Ranking",
    "Rated",
    "Region",
    "SearchOptions",
    "Tagged",
    "Taken",
    "WordsPart",
    "combined",
    "image",
    "item",
    "parse",
    "picture",
    "words",
]
