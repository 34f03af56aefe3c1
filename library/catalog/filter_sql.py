"""Filters as conditions on rows: which items hold what a filter asks.

Values reach the database as bound parameters only. What is not known does not hold, so that its
negation does.
"""

from __future__ import annotations

import calendar
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sqlalchemy import (
    Boolean,
    ColumnElement,
    Connection,
    Text,
    and_,
    cast,
    false,
    func,
    literal,
    not_,
    or_,
    select,
    true,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction

from pictor.library.arrays import distinct, is_among
from pictor.library.catalog import filters, tags
from pictor.library.catalog.files import below, of_roots, roots, rows_in
from pictor.library.catalog.filters import Filter
from pictor.library.catalog.rows import RootRow
from pictor.library.catalog.schema import CAPTION, CONTENT, FILE, ITEM, ROOT, TAG
from pictor.library.errors import QueryError
from pictor.library.names import display
from pictor.library.records import IdArray

Condition = ColumnElement[bool]
#: Items by which it is told how many pass a filter: a share of 1/16 is 4 of them.
SAMPLE = 64
#: Of WGS 84's mean radius.
EARTH_KM = 6371.0088
#: Formats that hold animations; what else has moments is a video.
ANIMATED = ("GIF", "PNG", "WEBP")
_ARCHIVES = ("archive", "shard")


def item_ids(connection: Connection, wanted: Filter) -> IdArray:
    """The items that a filter lets through, (n,) int64 ascending; one pass over the contents.

    Raises:
        QueryError: it names a root that the library does not have.
    """
    # One text instead of a row an item: a third of the time (100,000 items).
    ids = func.aggregate_strings(cast(ITEM.c.id, Text), ",")
    query = select(ids).join(CONTENT, CONTENT.c.id == ITEM.c.content_id)
    joined = connection.scalar(query.where(condition(connection, wanted)))
    found = np.array(joined.split(","), dtype=np.int64) if joined else np.empty(0, np.int64)
    found.sort()
    return found


def items_among(connection: Connection, wanted: Filter, ids: IdArray) -> IdArray:
    """Those of some items that a filter lets through, in the order given.

    Raises:
        QueryError: it names a root that the library does not have.
    """
    holds = condition(connection, wanted)
    query = select(ITEM.c.id).join(CONTENT, CONTENT.c.id == ITEM.c.content_id).where(holds)
    found = [row[0] for row in rows_in(connection, query, ITEM.c.id, ids.tolist())]
    kept: IdArray = ids[is_among(ids, np.array(found, dtype=np.int64))]
    return kept


def share(connection: Connection, wanted: Filter) -> float:
    """About which share of all items passes, 0 to 1, told from SAMPLE of them."""
    newest = int(connection.scalar(select(func.max(ITEM.c.id))) or 0)
    ids = distinct(np.linspace(1, max(newest, 1), SAMPLE).astype(np.int64))
    return len(items_among(connection, wanted, ids)) / len(ids)


def items_of(connection: Connection, content_ids: Sequence[int]) -> dict[int, list[int]]:
    """The items of each of some contents, in order."""
    found: dict[int, list[int]] = {content_id: [] for content_id in content_ids}
    query = select(ITEM.c.content_id, ITEM.c.id).order_by(ITEM.c.position)
    for content_id, item_id in rows_in(connection, query, ITEM.c.content_id, list(found)):
        found[content_id].append(item_id)
    return found


def newest_first(connection: Connection, wanted: Filter | None) -> list[int]:
    """Items by the time they were taken, newest first, then those without; equal ones by id."""
    query = select(ITEM.c.id).join(CONTENT, CONTENT.c.id == ITEM.c.content_id)
    if wanted is not None:
        query = query.where(condition(connection, wanted))
    order = (CONTENT.c.taken_at.is_(None), CONTENT.c.taken_at.desc(), ITEM.c.id)
    return list(connection.scalars(query.order_by(*order)))


def count(connection: Connection, wanted: Filter | None) -> int:
    """How many contents with a file that is not missing have an item that a filter lets through.

    Raises:
        QueryError: it names a root that the library does not have.
    """
    query = select(func.count(CONTENT.c.id.distinct()))
    query = query.join_from(CONTENT, ITEM, CONTENT.c.id == ITEM.c.content_id)
    there = select(FILE.c.id).where(
        FILE.c.content_id == CONTENT.c.id, FILE.c.missing_since.is_(None)
    )
    query = query.where(there.exists())
    if wanted is not None:
        query = query.where(condition(connection, wanted))
    return int(connection.scalar(query) or 0)


def condition(connection: Connection, wanted: Filter) -> Condition:
    """A filter as a condition on CONTENT joined with ITEM.

    Raises:
        QueryError: it names a root that the library does not have.
    """
    if isinstance(wanted, filters.Not):
        # NULL, for what is not known, is as good as false, but not once it is negated. (Only there:
        # an index is not used for what stands inside coalesce.)
        return not_(func.coalesce(condition(connection, wanted.filter), false()))
    if isinstance(wanted, filters.AllOf):
        return and_(*(condition(connection, one) for one in wanted.filters))
    if isinstance(wanted, filters.AnyOf):
        return or_(*(condition(connection, one) for one in wanted.filters))
    return _LEAVES[type(wanted)](connection, wanted)


# --- facts of a content


def _taken(_: Connection, leaf: filters.Taken) -> Condition:
    # Dates are ISO 8601 texts, which sort as they follow each other; a year's end is the next one.
    until = _day_after(leaf.last)
    is_before = true() if until is None else CONTENT.c.taken_at < until
    return and_(CONTENT.c.taken_at >= leaf.first, is_before)


def _day_after(date: str) -> str | None:
    """The year, month or day after one; None after the last of the calendar."""
    parts = [int(part) for part in date.split("-")]
    lasts = [9999, 12, calendar.monthrange(*parts[:2])[1] if len(parts) == 3 else 31]
    at = len(parts) - 1
    while at >= 0 and parts[at] == lasts[at]:
        parts[at] = 1
        at -= 1
    if at < 0:
        return None
    parts[at] += 1
    return "-".join([f"{parts[0]:04}", *(f"{part:02}" for part in parts[1:])])


def _shape(_: Connection, leaf: filters.OfShape) -> Condition:
    width, height = ITEM.c.width, ITEM.c.height
    by_shape = {"portrait": height > width, "landscape": width > height, "square": width == height}
    return by_shape[leaf.shape]


def _near(_: Connection, leaf: filters.Near) -> Condition:
    if leaf.radius_km >= math.pi * EARTH_KM:
        return CONTENT.c.latitude.is_not(None)
    # A box around the circle first: it is far cheaper, and few are in it.
    reach = math.degrees(leaf.radius_km / EARTH_KM) * (1 + 1e-6)
    south, north = leaf.latitude - reach, leaf.latitude + reach
    box: list[Condition] = [CONTENT.c.latitude.between(south, north)]
    if abs(leaf.latitude) + reach < 89.99:  # nearer to a pole every longitude may be in it
        widest = math.sin(math.radians(reach)) / math.cos(math.radians(leaf.latitude))
        side = math.degrees(math.asin(widest)) * (1 + 1e-6)
        west, east = leaf.longitude - side, leaf.longitude + side
        turns = (-360, 0, 360)  # the box may reach over the date line
        box.append(or_(*(CONTENT.c.longitude.between(west + t, east + t) for t in turns)))
    return and_(*box, _haversine(leaf) <= math.sin(leaf.radius_km / EARTH_KM / 2) ** 2)


def _haversine(leaf: filters.Near) -> ColumnElement[float]:
    """The square of the sine of half the angle between a content and a place (haversine formula).

    It grows with the distance up to half the way around the Earth, and is precise for small ones.
    """
    latitude, longitude = func.radians(CONTENT.c.latitude), func.radians(CONTENT.c.longitude)
    up = func.sin((latitude - math.radians(leaf.latitude)) / 2)
    side = func.sin((longitude - math.radians(leaf.longitude)) / 2)
    along = func.cos(latitude) * math.cos(math.radians(leaf.latitude))
    found: ColumnElement[float] = up * up + along * side * side
    return found


def _has(_: Connection, leaf: filters.Has) -> Condition:
    captioned = select(CAPTION.c.id).where(CAPTION.c.content_id == CONTENT.c.id).exists()
    tagged = select(TAG.c.id).where(TAG.c.content_id == CONTENT.c.id).exists()
    by_fact: dict[str, Condition] = {
        "gps": CONTENT.c.latitude.is_not(None),
        "date": CONTENT.c.taken_at.is_not(None),
        "camera": CONTENT.c.camera.is_not(None),
        "lens": CONTENT.c.lens.is_not(None),
        "rating": CONTENT.c.rating.is_not(None),
        "keywords": cast(CONTENT.c.keywords, Text) != "[]",
        "title": CONTENT.c.title.is_not(None),
        "caption": captioned,
        "tag": tagged,
    }
    return by_fact[leaf.fact]


def _kind(_: Connection, leaf: filters.OfKind) -> Condition:
    moves = ITEM.c.time_s.is_not(None)
    if leaf.kind == "image":
        return not_(moves)
    is_animation = CONTENT.c.format.in_(ANIMATED)
    return and_(moves, is_animation if leaf.kind == "animation" else not_(is_animation))


def _inside(connection: Connection, leaf: filters.Inside) -> Condition:
    if leaf.place != "archive":
        return _kind(connection, filters.OfKind(leaf.place))
    return _has_file(FILE.c.root_id.in_(select(ROOT.c.id).where(ROOT.c.kind.in_(_ARCHIVES))))


# --- where its files lie


def _has_file(where: Condition) -> Condition:
    """A file that is not missing lies where a condition on FILE says."""
    query = select(FILE.c.content_id).where(where, FILE.c.missing_since.is_(None))
    return CONTENT.c.id.in_(query.where(FILE.c.content_id.is_not(None)))


def _in_folder(connection: Connection, leaf: filters.InFolder) -> Condition:
    is_absolute = leaf.path.startswith(b"/")
    below = _below_path if is_absolute else _below_name
    return _has_file(below(roots(connection), leaf.path.rstrip(b"/")))


def _below_path(known: Sequence[RootRow], folder: bytes) -> Condition:
    """The files of some roots below the absolute path of a folder."""
    prefix = folder + b"/"
    whole = [root.id for root in known if root.kind != "list" and _own(root).startswith(prefix)]
    lists = [root.id for root in known if root.kind == "list"]  # their paths are absolute
    above = [
        and_(FILE.c.root_id == root.id, below(prefix[len(_own(root)) :]))
        for root in known
        if root.kind == "folder" and prefix.startswith(_own(root)) and _own(root) != prefix
    ]
    return or_(of_roots(whole), and_(of_roots(lists), below(prefix)), *above)


def _own(root: RootRow) -> bytes:
    """A root's path; its own name counts as a folder for a folder only."""
    return root.location.rstrip(b"/") + (b"/" if root.kind == "folder" else b"")


class _Holds(GenericFunction[bool]):
    """Whether bytes have other bytes in them."""

    name = "holds"
    type = Boolean()
    inherit_cache = True


@compiles(_Holds)
def _holds(element: Any, compiler: Any, **options: Any) -> str:
    return f"(instr({compiler.process(element.clauses, **options)}) > 0)"


@compiles(_Holds, "postgresql")
def _holds_postgresql(element: Any, compiler: Any, **options: Any) -> str:
    whole, part = (compiler.process(clause, **options) for clause in element.clauses)
    return f"(position({part} IN {whole}) > 0)"


def _below_name(known: Sequence[RootRow], name: bytes) -> Condition:
    """The files of some roots below any folder of a name, above or below the root itself."""
    part = b"/" + name + b"/"
    whole = [root.id for root in known if root.kind != "list" and part in _own(root)]
    lists = [root.id for root in known if root.kind == "list"]  # their paths begin with "/"
    at_start = and_(not_(of_roots(lists)), below(name + b"/"))
    return or_(of_roots(whole), at_start, _Holds(FILE.c.path, literal(part)))


def _in_root(connection: Connection, leaf: filters.InRoot) -> Condition:
    known = roots(connection)
    named = [
        root.id
        for root in known
        if leaf.name in (root.location, root.location.rstrip(b"/").rpartition(b"/")[2])
    ]
    if not named:
        have = ", ".join(repr(display(root.location)) for root in known)
        raise QueryError(f"the library has no root {display(leaf.name)!r}; it has {have or 'none'}")
    return _has_file(of_roots(named))


_LEAVES: dict[type, Callable[[Connection, Any], Condition]] = {  # Any: the leaf of that type
    filters.After: lambda _, leaf: CONTENT.c.taken_at >= leaf.date,
    filters.Before: lambda _, leaf: CONTENT.c.taken_at < leaf.date,
    filters.Taken: _taken,
    filters.InFolder: _in_folder,
    filters.InRoot: _in_root,
    filters.Camera: lambda _, leaf: CONTENT.c.camera.icontains(leaf.name, autoescape=True),
    filters.Lens: lambda _, leaf: CONTENT.c.lens.icontains(leaf.name, autoescape=True),
    filters.Tagged: lambda connection, leaf: tags.contents_with(connection, leaf.name),
    filters.InLabelSet: lambda connection, leaf: tags.contents_of_set(connection, leaf.name),
    filters.OfKind: _kind,
    filters.OfFormat: lambda _, leaf: CONTENT.c.format == leaf.name,
    filters.MinMegapixels: lambda _, leaf: (
        CONTENT.c.width * CONTENT.c.height >= leaf.megapixels * 1e6
    ),
    filters.OfShape: _shape,
    filters.Near: _near,
    filters.Has: _has,
    filters.Rated: lambda _, leaf: CONTENT.c.rating.between(leaf.least, leaf.most),
    filters.Inside: _inside,
}
