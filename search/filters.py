"""The filters of the query language: their names, and how their values are read.

One table serves the language, the options of the command and its help. A value is checked here and
becomes a typed record; it reaches the catalog only as a bound parameter.
"""

from __future__ import annotations

import difflib
import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

from pictor.library.catalog import filters
from pictor.library.catalog.filters import AllOf, AnyOf, Filter, Leaf, Not
from pictor.library.errors import QueryError, quoted

#: In one query. SQLite takes expressions of 1,000 levels: "or" of so many, and what each needs.
MAX_FILTERS = 900
#: Of groups and negations in each other: SQLite's parser keeps 100 symbols, three or four for each.
MAX_NESTED = 20
#: Where `near:` names no radius.
DEFAULT_RADIUS_KM = 10.0
#: Half the way around the Earth: nothing is farther.
_MAX_RADIUS_KM = 20_040.0

_DATE = re.compile(r"(\d{4})(?:[-/.](\d{1,2})(?:[-/.](\d{1,2}))?)?", re.ASCII)
_RADIUS = re.compile(r"(.+?)\s*(km|m)?")
_ALIASES = {
    "JPG": "JPEG",
    "TIF": "TIFF",
    "HEIC": "HEIF",
    "JP2": "JPEG2000",
    "MPG": "MPEG",
    "TS": "MPEG-TS",
    "WMV": "ASF",
}


@dataclass(frozen=True)
class FilterKey:
    """One filter: what stands before the colon, what after it, and what it asks."""

    name: str
    value: str
    help: str
    read: Callable[[str], Filter]
    is_path: bool = False


def read_filter(name: str, value: str, *, is_ours: bool = True) -> Filter:
    """The filter `name:value`.

    Args:
        is_ours: it was written on this machine, whose home and current folder a path may start
            from. Else neither is looked at.

    Raises:
        ValueError: the value makes no sense; the message says what would.
        KeyError: there is no such filter.
    """
    key = FILTERS[name]
    if not value.strip() or "\0" in value:
        raise ValueError(f"needs a value: {key.value}")
    if key.is_path:
        return key.read(_path(value, is_ours=is_ours))
    return key.read(value.strip().encode("utf-8", "replace").decode())


def checked(wanted: object, depth: int = 0) -> tuple[Filter, int]:
    """A filter as the language reads its text, not looking at this machine; how many are in it.

    Raises:
        QueryError: the language has no such filter.
    """
    if depth > MAX_NESTED:
        raise QueryError(f"the filters are nested more than {MAX_NESTED} deep")
    try:
        if isinstance(wanted, Not):
            found, count = checked(wanted.filter, depth + 1)
            return Not(found), count
        if isinstance(wanted, AllOf | AnyOf) and wanted.filters:
            members, counts = zip(*(checked(one, depth + 1) for one in wanted.filters), strict=True)
            return members[0] if len(members) == 1 else type(wanted)(members), sum(counts)
        if not isinstance(wanted, Leaf):
            raise QueryError(f"{wanted!r:.60} is no filter: make one with pictor.query")
        name, _, value = str(wanted).partition(":")
        if value.startswith('"'):
            value = re.sub(r"\\(.)", r"\1", value[1:-1], flags=re.DOTALL)
        return read_filter(name, value, is_ours=False), 1
    except (TypeError, ValueError) as error:
        raise QueryError(f"the filter {type(wanted).__name__} {error}") from error


def nearest(name: str) -> str | None:
    """The filter whose name a misspelt one is most like, if any is like it."""
    found = difflib.get_close_matches(name, FILTERS, n=1, cutoff=0.75)
    return found[0] if found else None


# --- dates


def _date(text: str) -> str:
    """A year, month or day as ISO 8601."""
    match = _DATE.fullmatch(text)
    if match is None:
        raise ValueError(f"takes a date such as 2023, 2023-05 or 2023-05-12, not {quoted(text)}")
    first, *others = filter(None, match.groups())
    iso = "-".join([first, *(part.zfill(2) for part in others)])
    try:
        date.fromisoformat(iso + "0000-01-01"[len(iso) :])
    except ValueError:
        why = f"takes a date, and there is no {quoted(text)} in the calendar"
        raise ValueError(why) from None
    return iso


def _taken(text: str) -> Filter:
    first, dots, last = text.partition("..")
    begin, end = _date(first), _date(last if dots else first)
    if end[: len(begin)] < begin[: len(end)]:
        raise ValueError(f"takes two dates in order, and {quoted(last)} is before {quoted(first)}")
    return filters.Taken(begin, end)


# --- places


def _path(text: str, *, is_ours: bool) -> str:
    """An absolute path, or the name that it is."""
    name = os.path.expanduser(text) if is_ours else text
    is_relative = f"{name}/".startswith(("./", "../", *(() if is_ours else ("~/",))))
    if is_relative and not is_ours:
        raise ValueError(f"takes a whole path, or a name, not {quoted(text)}")
    return os.path.abspath(name) if is_relative or name.startswith("/") else name


def _folder(text: str) -> Filter:
    return filters.InFolder(os.fsencode(text if text.startswith("/") else text.strip("/")))


def _near(text: str) -> Filter:
    parts = [part.strip() for part in re.split("[,，]", text)]
    if len(parts) not in (2, 3):
        such = "latitude,longitude,radius such as 48.2,16.4,10km"
        raise ValueError(f"takes {such}, not {quoted(text)}")
    latitude, longitude = _number(parts[0]), _number(parts[1])
    if abs(latitude) > 90 or abs(longitude) > 180:
        raise ValueError(f"takes degrees up to 90 and 180, not {parts[0]},{parts[1]}")
    radius_km = _radius(parts[2]) if len(parts) == 3 else DEFAULT_RADIUS_KM
    return filters.Near(latitude, longitude, radius_km)


def _radius(text: str) -> float:
    match = _RADIUS.fullmatch(text.lower())
    if match is None:
        raise ValueError("takes a radius such as 10km or 500m after the second comma")
    radius_km = _number(match[1]) / (1000 if match[2] == "m" else 1)
    if not 0 < radius_km <= _MAX_RADIUS_KM:
        most = f"{_MAX_RADIUS_KM:.0f} km"
        raise ValueError(f"takes a radius above 0 and up to {most}, not {quoted(text)}")
    return radius_km


# --- numbers, names and choices


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"takes a number, not {quoted(text)}") from None
    if not math.isfinite(value) or "_" in text:
        raise ValueError(f"takes a number, not {quoted(text)}")
    return value + 0.0  # -0.0 is 0.0


def _megapixels(text: str) -> Filter:
    value = _number(text)
    if not 0 < value <= 1e6:
        raise ValueError(f"takes megapixels, above 0, not {quoted(text)}")
    return filters.MinMegapixels(value)


def _rating(text: str) -> Filter:
    low, dots, high = text.partition("..")
    least = _stars(low) if low or not dots else 0
    most = least if not dots else _stars(high) if high else 5
    if least > most:
        raise ValueError(f"takes the lower rating first, not {quoted(text)}")
    return filters.Rated(least, most)


def _stars(text: str) -> int:
    if text not in ("0", "1", "2", "3", "4", "5"):
        raise ValueError(f"takes stars from 0 to 5, or a range such as 4..5, not {quoted(text)}")
    return int(text)


def _format(text: str) -> Filter:
    name = text.upper().removeprefix(".")
    return filters.OfFormat(_ALIASES.get(name, name))


def _one_of(name: str, record: Any, choices: tuple[str, ...], help: str) -> FilterKey:
    """A filter that takes one of some words."""

    def read_choice(text: str) -> Filter:
        word = text.lower()
        if word not in choices:
            raise ValueError(
                f"takes {', '.join(choices[:-1])} or {choices[-1]}, not {quoted(text)}"
            )
        found: Filter = record(word)
        return found

    return FilterKey(name, "|".join(choices), help, read_choice)


def _root(text: str) -> Filter:
    return filters.InRoot(os.fsencode(text))


_DAY = "YYYY[-MM[-DD]]"
_EVERY = (
    FilterKey("after", _DAY, "Taken on this date or later.", lambda v: filters.After(_date(v))),
    FilterKey("before", _DAY, "Taken before this date.", lambda v: filters.Before(_date(v))),
    FilterKey("taken", "DATE[..DATE]", "Taken in this year, month or day, or between two.", _taken),
    FilterKey("dir", "FOLDER", "In or below a folder, given by path or name.", _folder, True),
    FilterKey("root", "ROOT", "Under an indexed root, given by path or name.", _root, True),
    FilterKey("camera", "NAME", "Camera name contains this.", filters.Camera),
    FilterKey("lens", "NAME", "Lens name contains this.", filters.Lens),
    FilterKey("tag", "NAME", "With this tag, in any language, or a child of it.", filters.Tagged),
    FilterKey("label-set", "NAME", "With any tag from this label set.", filters.InLabelSet),
    _one_of("type", filters.OfKind, filters.KINDS, "A still image, an animation or a video."),
    FilterKey("format", "NAME", "File format, by content: jpeg, png, heif, mp4…", _format),
    FilterKey("min-mp", "N", "At least this many megapixels.", _megapixels),
    _one_of("is", filters.OfShape, filters.SHAPES, "Orientation as displayed."),
    FilterKey("near", "LAT,LON[,RADIUS]", "Taken near a place; radius as 10km or 500m.", _near),
    _one_of("has", filters.Has, filters.FACTS, "With this metadata field."),
    FilterKey("rating", "N[..N]", "Star rating, 0 to 5.", _rating),
    _one_of(
        "in",
        filters.Inside,
        filters.PLACES,
        "Part of a video or animation, or a file in an archive.",
    ),
)
#: Every filter by its name, in the order that documentation lists them.
FILTERS = {key.name: key for key in _EVERY}
