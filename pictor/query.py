"""Queries as records, for programs: `library.search(Query((words("a dog"),), Camera("sony")))`.

`parse` makes one of a text in the query language, which docs/search.md teaches; `str()` of one is
such a text. The names below are loaded when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pictor.library.catalog.filters import After as After
    from pictor.library.catalog.filters import AllOf as AllOf
    from pictor.library.catalog.filters import AnyOf as AnyOf
    from pictor.library.catalog.filters import Before as Before
    from pictor.library.catalog.filters import Camera as Camera
    from pictor.library.catalog.filters import Filter as Filter
    from pictor.library.catalog.filters import Has as Has
    from pictor.library.catalog.filters import InFolder as InFolder
    from pictor.library.catalog.filters import InLabelSet as InLabelSet
    from pictor.library.catalog.filters import InRoot as InRoot
    from pictor.library.catalog.filters import Inside as Inside
    from pictor.library.catalog.filters import Lens as Lens
    from pictor.library.catalog.filters import MinMegapixels as MinMegapixels
    from pictor.library.catalog.filters import Near as Near
    from pictor.library.catalog.filters import Not as Not
    from pictor.library.catalog.filters import OfFormat as OfFormat
    from pictor.library.catalog.filters import OfKind as OfKind
    from pictor.library.catalog.filters import OfShape as OfShape
    from pictor.library.catalog.filters import Rated as Rated
    from pictor.library.catalog.filters import Tagged as Tagged
    from pictor.library.catalog.filters import Taken as Taken
    from pictor.library.catalog.filters import both as both
    from pictor.search.filters import FILTERS as FILTERS
    from pictor.search.filters import FilterKey as FilterKey
    from pictor.search.filters import read_filter as read_filter
    from pictor.search.options import MINIMA as MINIMA
    from pictor.search.options import ORDERS as ORDERS
    from pictor.search.options import SearchOptions as SearchOptions
    from pictor.search.plan import QueryReport as QueryReport
    from pictor.search.plan import Ranking as Ranking
    from pictor.search.plan import Trace as Trace
    from pictor.search.query.parser import negated as negated
    from pictor.search.query.parser import parse as parse
    from pictor.search.query.records import BytesPart as BytesPart
    from pictor.search.query.records import ItemPart as ItemPart
    from pictor.search.query.records import PicturePart as PicturePart
    from pictor.search.query.records import Query as Query
    from pictor.search.query.records import Region as Region
    from pictor.search.query.records import WordsPart as WordsPart
    from pictor.search.query.records import combined as combined
    from pictor.search.query.records import image as image
    from pictor.search.query.records import item as item
    from pictor.search.query.records import picture as picture
    from pictor.search.query.records import words as words
else:
    from pictor.library.exports import exports

    __getattr__, __dir__ = exports(__name__)
