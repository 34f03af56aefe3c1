"""What passes a filter and what does not, at both sides of each of its bounds."""

from __future__ import annotations

import math
from calendar import monthrange
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from sqlalchemy import delete, insert

from pictor.library.catalog import filter_sql, filters
from pictor.library.catalog.files import start_run
from pictor.library.catalog.filters import Filter, Near, Not, Rated, Taken
from pictor.library.catalog.schema import CAPTION, CONTENT, FILE, ITEM, ROOT, TAG, TAG_SET
from pictor.library.config import Settings
from pictor.library.errors import QueryError
from pictor.library.store import Store

#: The mean radius of the Earth (WGS 84): a degree of latitude is 111.195 km.
KM_OF_A_DEGREE = 111.19508
ITEM_FACTS = ("time_s", "width", "height")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with Store.create(tmp_path_factory.mktemp("bounds") / "library", Settings()) as library:
        yield library


@pytest.fixture
def passing(library: Store) -> Callable[..., list[int]]:
    """Which of some facts of contents, from 0, pass a filter; `fill` is the first half of it."""

    def passing(wanted: Filter, *facts: dict[str, Any]) -> list[int]:
        fill(library, facts)
        with library.reading() as connection:
            return [i - 1 for i in filter_sql.item_ids(connection, wanted).tolist()]

    return passing


def fill(library: Store, facts: tuple[dict[str, Any], ...]) -> None:
    """A library with no more than one content with one item for each."""
    with library.writing() as connection:
        for table in (TAG, TAG_SET, CAPTION, FILE, ITEM, CONTENT, ROOT):
            connection.execute(delete(table))
        for i, given in enumerate(facts, 1):
            known = {"width": 1, "height": 1, "format": "JPEG", "time_s": None} | given
            content = {name: value for name, value in known.items() if name != "time_s"}
            content |= {"id": i, "hash": i.to_bytes(32, "big"), "size_bytes": 1}
            connection.execute(insert(CONTENT).values(**content, outcome="indexed"))
            item = {name: known[name] for name in ITEM_FACTS}
            connection.execute(insert(ITEM).values(id=i, content_id=i, position=0, **item))


def fill_files(library: Store, *places: tuple[str, bytes, bytes]) -> None:
    """A content for each of some files: the kind of a root, its location, and the path in it."""
    fill(library, ({},) * len(places))
    with library.writing() as connection:
        run_id = start_run(connection)
        known = {"size_bytes": 1, "mtime_ns": 0, "outcome": "indexed", "run_id": run_id}
        for i, (kind, location, path) in enumerate(places, 1):
            connection.execute(insert(ROOT).values(id=i, kind=kind, location=location))
            row = {"id": i, "root_id": i, "path": path, "content_id": i}
            connection.execute(insert(FILE).values(**row, **known))


def taken(*moments: str | None) -> list[dict[str, Any]]:
    return [{"taken_at": moment} for moment in moments]


DAY = "2023-05-12"
AROUND = (f"{DAY}T00:00:00", DAY, "2023-05-11T23:59:59", "2023-05-13", None)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (filters.After(DAY), [0, 1, 3]),
        (filters.Before(DAY), [2]),
        (Taken(DAY, DAY), [0, 1]),
        (Taken("2023-05-11", "2023-05-11"), [2]),
        (Taken("2023-05-11", DAY), [0, 1, 2]),
        (Not(filters.After(DAY)), [2, 4]),
        (Not(Taken(DAY, DAY)), [2, 3, 4]),
    ],
)
def test_a_day_begins_with_its_first_second(
    passing: Callable[..., list[int]], wanted: Filter, expected: list[int]
) -> None:
    assert passing(wanted, *taken(*AROUND)) == expected


@pytest.mark.parametrize("year", [2023, 2024])
def test_months_end_with_their_last_day(passing: Callable[..., list[int]], year: int) -> None:
    for month in range(1, 13):
        first, last = (f"{year}-{month:02}-{day:02}" for day in (1, monthrange(year, month)[1]))
        after = f"{year}-{month + 1:02}-01" if month < 12 else f"{year + 1}-01-01"
        before = f"{year}-{month - 1:02}-28" if month > 1 else f"{year - 1}-12-31"
        moments = taken(before, f"{before}T23:59:59", first, last, f"{last}T23:59:59", after)
        for begin in (first, first[:7]):
            for end in (last, last[:7]):
                assert passing(Taken(begin, end), *moments) == [2, 3, 4], (begin, end)


def test_the_calendar_ends(passing: Callable[..., list[int]]) -> None:
    moments = taken("9999-12-30T12:00:00", "9999-12-31T23:59:59", "2023-12-31", "9998-12-31")
    for last in ("9999", "9999-12", "9999-12-31"):
        assert passing(Taken("2024", last), *moments) == [0, 1, 3]
    assert passing(Taken("2024", "9999-12-30"), *moments) == [0, 3]
    assert passing(Taken("2024", "9998"), *moments) == [3]


def test_megapixels_include_the_bound(passing: Callable[..., list[int]]) -> None:
    sizes = [{"width": width, "height": 1000} for width in (2000, 1999, 2001)]
    assert passing(filters.MinMegapixels(2.0), *sizes) == [0, 2]


def test_a_range_of_stars_includes_both_ends(passing: Callable[..., list[int]]) -> None:
    stars = [{"rating": stars} for stars in (0, 1, 2, 3, 4, 5, None)]
    assert passing(Rated(2, 4), *stars) == [2, 3, 4]
    assert passing(Rated(0, 0), *stars) == [0]
    assert passing(Not(Rated(1, 5)), *stars) == [0, 6]


@pytest.mark.parametrize(("shape", "at"), [("landscape", 0), ("portrait", 1), ("square", 2)])
def test_a_shape_is_wider_higher_or_neither(
    passing: Callable[..., list[int]], shape: filters.Shape, at: int
) -> None:
    sizes = [{"width": 101, "height": 100}, {"width": 100, "height": 101}, {}]
    assert passing(filters.OfShape(shape), *sizes) == [at]


def test_a_kind_is_told_by_moments_and_format(passing: Callable[..., list[int]]) -> None:
    moving = [{"format": name, "time_s": 0.0} for name in ("GIF", "PNG", "WEBP", "MP4", "HEIF")]
    still = [{"format": name} for name in ("GIF", "MP4")]
    assert passing(filters.OfKind("image"), *moving, *still) == [5, 6]
    for of in (filters.OfKind, filters.Inside):
        assert passing(of("animation"), *moving, *still) == [0, 1, 2]
        assert passing(of("video"), *moving, *still) == [3, 4]


@pytest.mark.parametrize(
    ("fact", "known"),
    [
        ("gps", {"latitude": 0.0, "longitude": 0.0}),
        ("date", {"taken_at": "2023"}),
        ("camera", {"camera": ""}),
        ("lens", {"lens": "x"}),
        ("rating", {"rating": 0}),
        ("keywords", {"keywords": ["x"]}),
        ("title", {"title": "x"}),
    ],
)
def test_a_fact_is_known_or_not(
    passing: Callable[..., list[int]], fact: filters.Fact, known: dict[str, Any]
) -> None:
    assert passing(filters.Has(fact), {}, known) == [1]
    assert passing(Not(filters.Has(fact)), {}, known) == [0]


def test_a_caption_or_a_tag_is_of_its_own_content(library: Store) -> None:
    fill(library, ({}, {}, {}))
    labels = {"name": "x", "kind": "person", "version": "1", "labels": [], "templates": []}
    with library.writing() as connection:
        connection.execute(insert(TAG_SET).values(id=1, tagged_at="2026", **labels))
        connection.execute(insert(TAG).values(set_id=1, content_id=2, label="dog"))
        caption = {"content_id": 3, "language": "", "source": "txt", "text": "a"}
        connection.execute(insert(CAPTION).values(**caption))
    with library.reading() as connection:
        assert filter_sql.item_ids(connection, filters.Has("tag")).tolist() == [2]
        assert filter_sql.item_ids(connection, filters.Has("caption")).tolist() == [3]


@pytest.mark.parametrize("place", [(0.0, 0.0), (48.2, 179.95), (-71.3, -179.95), (89.7, 20.0)])
@pytest.mark.parametrize("radius_km", [0.05, 30.0])
def test_a_circle_ends_at_its_radius(
    passing: Callable[..., list[int]], place: tuple[float, float], radius_km: float
) -> None:
    latitude, longitude = place
    angle = radius_km / KM_OF_A_DEGREE
    # The farthest points to the north and south, and to the east and west, which touch a meridian.
    upright = math.radians(latitude)
    touching = math.degrees(math.asin(math.sin(upright) / math.cos(math.radians(angle))))
    aside = math.degrees(math.asin(math.sin(math.radians(angle)) / math.cos(upright)))
    share = 1 - 1e-7
    points = [(latitude + side * angle * share, longitude) for side in (1, -1)]
    points += [(touching, longitude + side * aside * share) for side in (1, -1)]
    farther = [(latitude + side * angle * (1 + 1e-5), longitude) for side in (1, -1)]
    farther += [(touching, longitude + side * aside * (1 + 1e-5)) for side in (1, -1)]
    facts = [
        {"latitude": north, "longitude": (east + 180) % 360 - 180}
        for north, east in [*points, *farther]
    ]
    assert passing(Near(latitude, longitude, radius_km), *facts) == [0, 1, 2, 3]


@pytest.mark.parametrize("pole", [90.0, -90.0])
def test_a_circle_reaches_over_a_pole(passing: Callable[..., list[int]], pole: float) -> None:
    places = [(pole * 0.999, 10.0), (pole * 0.999, -170.0), (pole * 0.98, 10.0), (-pole, 10.0)]
    facts = [{"latitude": north, "longitude": east} for north, east in [*places, (None, None)]]
    assert passing(Near(pole * 0.998, 10.0, 50.0), *facts) == [0, 1]
    assert passing(Near(pole, 77.0, 50.0), *facts) == [0, 1]
    assert passing(Near(pole, 77.0, 20_040.0), *facts) == [0, 1, 2, 3]


def test_the_share_is_told_from_some_items(library: Store) -> None:
    marked = filters.Camera("x")
    for wanted, count, expected in ((16, 64, 0.25), (0, 5, 0.0), (1, 1, 1.0), (0, 0, 0.0)):
        fill(library, tuple({"camera": "x" if i < wanted else "o"} for i in range(count)))
        with library.reading() as connection:
            assert filter_sql.share(connection, marked) == expected
    fill(library, tuple({"camera": "x" if i % 10 < 3 else "o"} for i in range(500)))
    with library.reading() as connection:
        assert filter_sql.share(connection, marked) == pytest.approx(0.3, abs=0.05)


def test_items_are_listed_by_date_content_or_as_given(library: Store) -> None:
    dates = ("2023", None, "2024", "2023", None)
    fill(library, tuple({"taken_at": date, "rating": i} for i, date in enumerate(dates)))
    with library.writing() as connection:
        row = {"id": 6, "content_id": 2, "width": 1, "height": 1}
        connection.execute(insert(ITEM).values(position=2, **row))
        connection.execute(insert(ITEM).values(position=1, **(row | {"id": 7})))
    with library.reading() as connection:
        assert filter_sql.newest_first(connection, None) == [3, 1, 4, 2, 5, 6, 7]
        assert filter_sql.newest_first(connection, Rated(1, 3)) == [3, 4, 2, 6, 7]
        assert filter_sql.items_of(connection, [2, 1]) == {2: [2, 7, 6], 1: [1]}
        some = np.array([7, 4, 1, 3], np.int64)
        assert filter_sql.items_among(connection, Rated(1, 3), some).tolist() == [7, 4, 3]


PLACES = (
    ("folder", b"/p/mine", b"x/a.jpg"),
    ("folder", b"/p/mine/", b"x/y/a.jpg"),
    ("folder", b"/p", b"mine/x/b.jpg"),
    ("folder", b"/p/min", b"ex/a.jpg"),
    ("list", b"/p/mine/x/a.list", b"/q/x/a.jpg"),
    ("list", b"/q/b.list", b"/p/mine/x/a.jpg"),
    ("archive", b"/p/mine/x.zip", b"q/a.jpg"),
    ("file", b"/p/mine/x/a.jpg", b""),
    ("shard", b"/p/x", b"a.jpg"),
)


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        (b"/", [0, 1, 2, 3, 4, 5, 6, 7, 8]),
        (b"/p", [0, 1, 2, 3, 5, 6, 7, 8]),
        (b"/p/mine", [0, 1, 2, 5, 6, 7]),
        (b"/p/mine/", [0, 1, 2, 5, 6, 7]),
        (b"/p/mine/x", [0, 1, 2, 5, 7]),
        (b"/p/mine/x/y", [1]),
        (b"/p/min", [3]),
        (b"/p/x", []),
        (b"/q", [4]),
        (b"mine", [0, 1, 2, 5, 6, 7]),
        (b"p", [0, 1, 2, 3, 5, 6, 7, 8]),
        (b"x", [0, 1, 2, 4, 5, 7]),
        (b"q", [4, 6]),
        (b"min", [3]),
        (b"a.jpg", []),
        (b"a.list", []),
        (b"x.zip", []),
    ],
)
def test_a_folder_is_on_the_way_to_a_file(
    library: Store, folder: bytes, expected: list[int]
) -> None:
    fill_files(library, *PLACES)
    with library.reading() as connection:
        found = filter_sql.item_ids(connection, filters.InFolder(folder))
    assert (found - 1).tolist() == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (b"mine", [0, 1]),
        (b"/p/mine", [0]),
        (b"/p/mine/", [1]),
        (b"x.zip", [6]),
        (b"a.jpg", [7]),
        (b"p", [2]),
    ],
)
def test_a_root_is_named_by_its_path_or_last_name(
    library: Store, name: bytes, expected: list[int]
) -> None:
    fill_files(library, *PLACES)
    with library.reading() as connection:
        found = filter_sql.item_ids(connection, filters.InRoot(name))
        assert (found - 1).tolist() == expected
        archived = filter_sql.item_ids(connection, filters.Inside("archive"))
        assert (archived - 1).tolist() == [6, 8]
        with pytest.raises(QueryError, match="no root 'none'; it has '/p/mine', "):
            filter_sql.item_ids(connection, filters.InRoot(b"none"))


def test_a_library_without_roots_names_none(library: Store) -> None:
    fill(library, ())
    with library.reading() as connection, pytest.raises(QueryError, match=r"it has none$"):
        filter_sql.item_ids(connection, filters.InRoot(b"mine"))


def test_a_missing_file_lies_nowhere(library: Store) -> None:
    fill_files(library, *PLACES[:2])
    with library.writing() as connection:
        connection.execute(FILE.update().where(FILE.c.id == 1).values(missing_since="2026"))
    with library.reading() as connection:
        for wanted in (filters.InFolder(b"/p"), filters.InFolder(b"mine")):
            assert filter_sql.item_ids(connection, wanted).tolist() == [2]
