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
    both,
)
from pictor.search.filters import KEYS as FILTERS
from pictor.search.filters import Key as FilterKey
from pictor.search.filters import read as read_filter
from pictor.search.options import MINIMA, ORDERS, SearchOptions
from pictor.search.plan import QueryReport, Ranking, Trace
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
from pictor.search.query.parser import negated

__all__ = [
    "After",
    "AllOf",
    "AnyOf",
    "Before",
    "BytesPart",
    "Camera",
    "FILTERS",
    "Filter",
    "FilterKey",
    "Has",
    "InFolder",
    "InLabelSet",
    "InRoot",
    "Inside",
    "ItemPart",
    "Lens",
    "MINIMA",
    "MinMegapixels",
    "Near",
    "Not",
    "ORDERS",
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
    "Trace",
    "WordsPart",
    "both",
    "combined",
    "image",
    "item",
    "negated",
    "parse",
    "picture",
    "read_filter",
    "words",
]
