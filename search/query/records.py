"""A query as frozen records: what is looked for, what must not be there, what must hold."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

from pictor.library.catalog.filters import Filter, both
from pictor.library.errors import QueryError, quoted
from pictor.library.names import display
from pictor.search.filters import MAX_FILTERS, checked

#: Longer texts are refused: every text tower reads at most a few hundred tokens.
MAX_TEXT_CHARS = 10_000
#: A part is one forward pass of a tower, and a weight of 100 leaves nothing of the others.
MAX_PARTS = 64
MAX_WEIGHT = 100.0
#: What the name of a picture begins with, also in quotes.
LINKS = ("http://", "https://")
PATH_STARTS = ("/", "./", "../", "~/")


@dataclass(frozen=True)
class WordsPart:
    """Words.

    Attributes:
        weight: above 0; how much it counts beside the other parts.
        negative: what it names must not be in the picture. It has no weight of its own.
    """

    words: str
    weight: float = 1.0
    negative: bool = False

    def __str__(self) -> str:
        escaped = self.words.replace("\\", "\\\\").replace('"', '\\"')
        space = " " if escaped.startswith((*PATH_STARTS, *LINKS)) else ""  # else it were a picture
        return _signed(f'"{space}{escaped}"', self)


class Region(NamedTuple):
    """A rectangle of an upright picture, in shares of its width and height, 0 to 1."""

    x: float
    y: float
    width: float
    height: float

    def __str__(self) -> str:
        return ",".join(map(_number, self))


@dataclass(frozen=True)
class PicturePart:
    """A picture: a path as bytes of the file system, or an http(s) link.

    `weight` and `negative` are as those of `WordsPart`; `region` None is the whole picture.
    """

    location: bytes
    weight: float = 1.0
    negative: bool = False
    region: Region | None = None

    @property
    def is_link(self) -> bool:
        """Whether it must be fetched."""
        return os.fsdecode(self.location).startswith(LINKS)

    @property
    def name(self) -> str:
        """What messages call it."""
        return repr(self.location.decode("utf-8", errors="backslashreplace"))

    def __str__(self) -> str:
        name = os.fsdecode(self.location).replace("\\", "\\\\").replace('"', '\\"')
        return _signed(f'"{name}"', self)


@dataclass(frozen=True)
class ItemPart:
    """A picture of the library by its item's id; else as `PicturePart`."""

    item: int
    weight: float = 1.0
    negative: bool = False
    region: Region | None = None

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"item {self.item}"

    def __str__(self) -> str:
        return _signed(f"item:{self.item}", self)


@dataclass(frozen=True)
class BytesPart:
    """A picture by the bytes of its file; else as `PicturePart`. No text of a query names one."""

    data: bytes = field(repr=False)
    weight: float = 1.0
    negative: bool = False
    region: Region | None = None

    @cached_property
    def digest(self) -> bytes:
        """The hash of the bytes."""
        from pictor.library.hashing import content_hash

        return content_hash(self.data)

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"the picture of {len(self.data):,} bytes"

    def __str__(self) -> str:
        return _signed(f"picture:{self.digest.hex()}", self)


Pictured = PicturePart | ItemPart | BytesPart
Part = WordsPart | Pictured


@dataclass(frozen=True)
class Query:
    """What is asked. `str()` of one is a text from which `parse` makes an equal query, unless a
    part is a picture given as bytes.

    Attributes:
        parts: in the order they were given. Without a positive one, hits are not ranked by content
            but by date, newest first.
        filter: what must hold of every hit; None for no filter.

    Raises:
        QueryError: there is neither a part nor a filter, a weight or filter makes no sense, or
            there are too many parts or filters.
    """

    parts: tuple[Part, ...] = ()
    filter: Filter | None = None

    def __post_init__(self) -> None:
        if not self.parts and self.filter is None:
            raise QueryError("the query is empty: give words, or the path of an image")
        if len(self.parts) > MAX_PARTS:
            raise QueryError(f"the query has {len(self.parts)} parts; at most {MAX_PARTS} are read")
        for part in self.parts:
            if not (math.isfinite(part.weight) and 0 < part.weight <= MAX_WEIGHT):
                raise QueryError(
                    f"the weight of a part must be above 0 and at most {MAX_WEIGHT:g}, not "
                    f"{part.weight!r}; to exclude something use a negative part"
                )
        if self.filter is not None:
            found, count = checked(self.filter)
            if count > MAX_FILTERS:
                raise QueryError(f"the query has {count:,} filters; at most {MAX_FILTERS} are read")
            object.__setattr__(self, "filter", found)

    @property
    def positive(self) -> tuple[Part, ...]:
        """What is looked for."""
        return tuple(part for part in self.parts if not part.negative)

    @property
    def negative(self) -> tuple[Part, ...]:
        """What must not be there."""
        return tuple(part for part in self.parts if part.negative)

    @property
    def words(self) -> str | None:
        """All positive words; None where pictures or nothing are looked for."""
        texts = [part.words for part in self.positive if isinstance(part, WordsPart)]
        return " ".join(texts) or None

    def __str__(self) -> str:
        shown = [str(part) for part in self.parts]
        return " ".join(shown if self.filter is None else [*shown, str(self.filter)])


def image(
    location: str | bytes | os.PathLike[str],
    region: Sequence[float] | None = None,
    *,
    weight: float = 1.0,
    negative: bool = False,
) -> PicturePart:
    """The picture that a path or link names, or a region of it.

    Args:
        region: (x, y, width, height) in shares of the upright picture, 0 to 1.

    Raises:
        QueryError: it is no path, or there is no such file or region.
    """
    if not isinstance(location, str | bytes | os.PathLike):
        raise QueryError(f"an image is given by its path or link, not as {location!r:.40}")
    part = PicturePart(os.path.expanduser(os.fsencode(location)), weight, negative, _region(region))
    if part.is_link:
        return part
    if b"\0" in part.location or not os.path.isfile(part.location):
        shown = display(part.location)
        raise QueryError(f"there is no image file at {quoted(shown)}")
    return replace(part, location=os.path.abspath(part.location))


def item(
    item_id: int,
    region: Sequence[float] | None = None,
    *,
    weight: float = 1.0,
    negative: bool = False,
) -> ItemPart:
    """A picture of the library, or a region of it; of a video or animation, one moment.

    Args:
        region: as that of `image`. The original is read for it, which must be within reach.

    Raises:
        QueryError: that is no id, or no region.
    """
    if isinstance(item_id, bool) or not isinstance(item_id, int) or not 0 < item_id < 1 << 63:
        raise QueryError(f"the id of an item is a whole number above 0, not {item_id!r:.40}")
    return ItemPart(item_id, weight, negative, _region(region))


def picture(
    data: bytes,
    region: Sequence[float] | None = None,
    *,
    weight: float = 1.0,
    negative: bool = False,
) -> BytesPart:
    """The picture in the bytes of a file, or a region of it.

    Args:
        region: as that of `image`.

    Raises:
        QueryError: they are no bytes, there are none, or no such region.
    """
    if not isinstance(data, bytes | bytearray | memoryview) or not len(data):
        raise QueryError(f"a picture is given as the bytes of its file, not as {data!r:.40}")
    return BytesPart(bytes(data), weight, negative, _region(region))


def _region(given: Sequence[float] | None) -> Region | None:
    """A region as a record; None for the whole picture."""
    if given is None:
        return None
    try:
        x, y, width, height = (float(number) for number in given)
    except (TypeError, ValueError):
        raise QueryError(
            f"a region is four numbers, x, y, width and height, not {given!r:.60}"
        ) from None
    # Shares that were rounded may add up to a hair more than the whole.
    fits = x >= 0 and y >= 0 and x + width <= 1 + 1e-6 and y + height <= 1 + 1e-6
    if not (fits and width > 0 and height > 0):  # NaN is none of it
        raise QueryError(
            f"the region {x:g},{y:g},{width:g},{height:g} is not within the picture: x, y, width "
            "and height are fractions of it from 0 to 1"
        )
    whole = (x, y) == (0, 0) and width >= 1 and height >= 1
    return None if whole else Region(x, y, width, height)


def words(text: str, *, weight: float = 1.0, negative: bool = False) -> WordsPart:
    """A text, taken as it is: nothing in it is a sign, a filter or a negation.

    Raises:
        QueryError: it is empty or over-long.
    """
    clean = readable(text).strip()
    if not clean:
        raise QueryError("the query is empty: give words, or the path of an image")
    check_length(clean)
    return WordsPart(clean, weight, negative)


def readable(text: str) -> str:
    """What can be read of a text: a terminal may hand over bytes that are none."""
    return text.encode("utf-8", errors="replace").decode("utf-8").replace("\0", " ")


def check_length(text: str) -> None:
    """Refuse what no text tower reads.

    Raises:
        QueryError: it has more than `MAX_TEXT_CHARS` characters.
    """
    if len(text) > MAX_TEXT_CHARS:
        raise QueryError(
            f"the query has {len(text):,} characters; at most {MAX_TEXT_CHARS:,} are read"
        )


def _signed(text: str, part: Part) -> str:
    if not isinstance(part, WordsPart) and part.region is not None:
        text = f"{text}@{part.region}"
    if part.negative:
        return f"-{text}"
    return text if part.weight == 1 else f"{text}*{_number(part.weight)}"


def _number(value: float) -> str:
    """The shortest text from which the same number is read."""
    return repr(int(value)) if value == int(value) else repr(value)


def combined(queries: Sequence[Query]) -> Query:
    """One query of the parts and filters of several, which must all hold."""
    parts = tuple(part for query in queries for part in query.parts)
    return Query(parts, both(*(query.filter for query in queries)))
