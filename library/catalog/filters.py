"""What a filter asks, as frozen records: facts of a content or item, and their combinations.

`str()` of one is its text in the query language, from which `search.filters` reads an equal record.
`filter_sql` turns them into conditions on rows. A fact that is not known never
passes: a picture without a date is neither after nor before 2023, and passes `-after:2023`.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

Kind = Literal["image", "animation", "video"]
Shape = Literal["portrait", "landscape", "square"]
Place = Literal["video", "animation", "archive"]
Fact = Literal["gps", "date", "camera", "lens", "rating", "keywords", "title", "caption", "tag"]
KINDS: tuple[str, ...] = get_args(Kind)
SHAPES: tuple[str, ...] = get_args(Shape)
PLACES: tuple[str, ...] = get_args(Place)
FACTS: tuple[str, ...] = get_args(Fact)

_BARE = re.compile(r"[^\s\"“”()]+")


class _OneValue:
    """What the query language writes as a key and one value."""

    key: ClassVar[str]

    def __str__(self) -> str:
        (value,) = vars(self).values()
        return f"{self.key}:{quoted(os.fsdecode(value))}"


@dataclass(frozen=True)
class _OneDate(_OneValue):
    date: str


@dataclass(frozen=True)
class _OneName(_OneValue):
    name: str


@dataclass(frozen=True)
class _Several:
    filters: tuple[Filter, ...]
    word: ClassVar[str]

    def __str__(self) -> str:
        return "({})".format(f" {self.word} ".join(map(str, self.filters)))


class After(_OneDate):
    """Taken on this day (month, year) or later, by the camera's own clock: "2023-05-12"."""

    key = "after"


class Before(_OneDate):
    """Taken before this day (month, year) began."""

    key = "before"


@dataclass(frozen=True)
class Taken:
    """Taken from the beginning of one day (month, year) to the end of another or the same."""

    first: str
    last: str

    def __str__(self) -> str:
        both = self.first if self.first == self.last else f"{self.first}..{self.last}"
        return f"taken:{both}"


@dataclass(frozen=True)
class InFolder(_OneValue):
    """A file lies below a folder: an absolute path, or a name (or names) that occur on the way."""

    key = "dir"
    path: bytes


@dataclass(frozen=True)
class InRoot(_OneValue):
    """A file lies under the root of this absolute path, or of this name."""

    key = "root"
    name: bytes


class Camera(_OneName):
    """The camera's name has these words in it, in any case of A to Z."""

    key = "camera"


class Lens(_OneName):
    """The lens's name has these words in it, in any case of A to Z."""

    key = "lens"


class Tagged(_OneName):
    """It has a tag of this name, or of one below it."""

    key = "tag"


class InLabelSet(_OneName):
    """It has any tag of this set of labels."""

    key = "label-set"


@dataclass(frozen=True)
class OfKind(_OneValue):
    """A still image, an animation, or a video."""

    key = "type"
    kind: Kind


class OfFormat(_OneName):
    """The format by content, as `Metadata.format` names it: "JPEG"."""

    def __str__(self) -> str:
        return f"format:{quoted(os.fsdecode(self.name).lower())}"


@dataclass(frozen=True)
class MinMegapixels:
    """At least so many million pixels."""

    megapixels: float

    def __str__(self) -> str:
        return f"min-mp:{_number(self.megapixels)}"


@dataclass(frozen=True)
class OfShape(_OneValue):
    """Higher than wide, wider than high, or neither, as displayed."""

    key = "is"
    shape: Shape


@dataclass(frozen=True)
class Near:
    """Taken within so many kilometres of a place in degrees, WGS 84."""

    latitude: float
    longitude: float
    radius_km: float

    def __str__(self) -> str:
        numbers = (_number(self.latitude), _number(self.longitude), _number(self.radius_km))
        return "near:{},{},{}km".format(*numbers)


@dataclass(frozen=True)
class Has(_OneValue):
    """It is known where, when, with what… it was taken."""

    key = "has"
    fact: Fact


@dataclass(frozen=True)
class Rated:
    """Rated with so many stars, 0 to 5, both ends included."""

    least: int
    most: int

    def __str__(self) -> str:
        one = self.least == self.most
        return f"rating:{self.least}" if one else f"rating:{self.least}..{self.most}"


@dataclass(frozen=True)
class Inside(_OneValue):
    """It is a moment of a video or animation, or a file lies in an archive or shard."""

    key = "in"
    place: Place


@dataclass(frozen=True)
class Not:
    """The filter does not hold; what is not known does not hold."""

    filter: Filter

    def __str__(self) -> str:
        return f"-{self.filter}"


class AllOf(_Several):
    """Every one of at least two filters holds."""

    word = "and"


class AnyOf(_Several):
    """At least one of at least two filters holds."""

    word = "or"


Leaf = (
    After
    | Before
    | Taken
    | InFolder
    | InRoot
    | Camera
    | Lens
    | Tagged
    | InLabelSet
    | OfKind
    | OfFormat
    | MinMegapixels
    | OfShape
    | Near
    | Has
    | Rated
    | Inside
)
Filter = Leaf | Not | AllOf | AnyOf


def both(*filters: Filter | None) -> Filter | None:
    """The filter that holds where all of these do; None where none is given."""
    given = tuple(one for one in filters if one is not None)
    return None if not given else given[0] if len(given) == 1 else AllOf(given)


def quoted(text: str) -> str:
    """A value as the query language writes it: in quotes unless it is one plain word."""
    if _BARE.fullmatch(text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _number(value: float) -> str:
    """The shortest text from which the same number is read."""
    return str(int(value) if isinstance(value, float) and value.is_integer() else value)
