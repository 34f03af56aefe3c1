"""Places that a library knows by name: pictures with coordinates have it as a keyword or folder."""

from __future__ import annotations

import json
import math
import os
import statistics

from sqlalchemy import Connection, Text, cast, or_, select

from pictor.library.catalog.filter_sql import EARTH_KM, condition
from pictor.library.catalog.filters import AnyOf, InFolder, Near
from pictor.library.catalog.schema import CONTENT, ITEM

#: How far "near" reaches around a place that is one point.
LEAST_KM = 10.0
#: What has pictures farther apart than that is no place.
MOST_KM = 100.0


def place_named(connection: Connection, name: str) -> Near | None:
    """The middle of the pictures that have a name as a keyword or folder, and how far they reach.

    None where none has, none of them has coordinates, or they lie too far apart for one place.
    """
    spelt = dict.fromkeys((name, name.lower(), name.title(), name.upper()))
    folders = [InFolder(os.fsencode(one)) for one in spelt]
    lies_in = condition(connection, AnyOf(tuple(folders)))
    has_keyword = cast(CONTENT.c.keywords, Text).icontains(json.dumps(name), autoescape=True)
    query = select(CONTENT.c.latitude, CONTENT.c.longitude, CONTENT.c.keywords, lies_in)
    query = query.join_from(CONTENT, ITEM, ITEM.c.content_id == CONTENT.c.id).distinct()
    query = query.where(CONTENT.c.latitude.is_not(None), or_(lies_in, has_keyword))
    points = [
        (latitude, longitude)
        for latitude, longitude, keywords, is_there in connection.execute(query)
        if is_there or name.casefold() in (keyword.casefold() for keyword in keywords)
    ]
    return _around(points)


def _around(points: list[tuple[float, float]]) -> Near | None:
    """A circle around the median of some points; None where it is too wide for a place."""
    if not points:
        return None
    latitude, longitude = (statistics.median(values) for values in zip(*points, strict=True))
    reach = max(_kilometres(latitude, longitude, *point) for point in points)
    if reach > MOST_KM:
        return None
    return Near(round(latitude, 5), round(longitude, 5), math.ceil(max(LEAST_KM, reach)))


def _kilometres(
    latitude: float, longitude: float, to_latitude: float, to_longitude: float
) -> float:
    """Along the surface (haversine formula)."""
    up = math.sin(math.radians(to_latitude - latitude) / 2)
    side = math.sin(math.radians(to_longitude - longitude) / 2)
    along = math.cos(math.radians(latitude)) * math.cos(math.radians(to_latitude))
    return 2 * EARTH_KM * math.asin(min(1.0, math.sqrt(up * up + along * side * side)))
