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
from pictor.search.plan import Plan, Ranking
from pictor.search.query import PicturePart, Query, WordsPart, combined, image, parse, words

__all__ = [
    "After",
    "AllOf",
    "AnyOf",
    "Before",
    "Camera",
    "Filter",
    "Has",
    "InFolder",
    "InLabelSet",
    "InRoot",
    "Inside",
    "Lens",
    "MinMegapixels",
    "Near",
    "Not",
    "OfFormat",
    "OfKind",
    "OfShape",
    "PicturePart",
    "Plan",
    "Query",
    "Ranking",
    "Rated",
    "SearchOptions",
    "Tagged",
    "Taken",
    "WordsPart",
    "combined",
    "image",
    "parse",
    "words",
]
