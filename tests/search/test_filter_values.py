"""What the value of each filter may be, at both sides of every bound, and how it is written."""

from __future__ import annotations

import math
import re
from calendar import monthrange

import pytest

from pictor.library.catalog import filters as made
from pictor.library.catalog.filters import AllOf, AnyOf, Filter, Has, Near, Not, Rated, Taken
from pictor.library.errors import QueryError
from pictor.search.filters import FILTERS, MAX_NESTED, checked, nearest, read_filter
from pictor.search.query import Query

NOT_A_NUMBER = "takes a number"
NO_RADIUS = "takes a radius above 0 and up to 20040 km"
NO_DEGREES = "takes degrees up to 90 and 180"


@pytest.mark.parametrize(
    ("written", "date"),
    [
        ("2023", "2023"),
        ("0001", "0001"),
        ("9999", "9999"),
        ("2023-1", "2023-01"),
        ("2023.12", "2023-12"),
        ("2023/1/1", "2023-01-01"),
        *((f"2023-{m}-{monthrange(2023, m)[1]}",) * 2 for m in (10, 11, 12)),
        ("2024-02-29", "2024-02-29"),
    ],
)
def test_dates_of_the_calendar_are_read(written: str, date: str) -> None:
    assert read_filter("after", written) == made.After(date)
    assert read_filter("before", f" {written} ") == made.Before(date)
    assert read_filter("taken", written) == Taken(date, date)


@pytest.mark.parametrize(
    "written",
    ["0000", "2023-0", "2023-13", "2023-01-0", "2023-01-32", "2023-04-31", "2023-02-29"],
)
def test_dates_that_are_in_no_calendar_are_refused(written: str) -> None:
    with pytest.raises(ValueError, match=f"no '{written}' in the calendar"):
        read_filter("after", written)


@pytest.mark.parametrize("written", ["23", "20233", "2023-", "2023-001", "2023-1-001", "2023-1-1x"])
def test_what_is_no_date_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="takes a date such as"):
        read_filter("taken", written)


@pytest.mark.parametrize(
    ("written", "is_read"),
    [
        ("2023-05-12..2023-05-12", True),
        ("2023-05-12..2023-05-11", False),
        ("2023-05..2023-05-01", True),
        ("2023-05..2023-04-30", False),
        ("2023-05-12..2023", True),
        ("2023-05-12..2022", False),
        ("2023-05-12..2023-05", True),
        ("2023-05-12..2023-04", False),
    ],
)
def test_two_dates_are_in_order(written: str, is_read: bool) -> None:
    if is_read:
        assert read_filter("taken", written) == Taken(*written.split(".."))
        return
    with pytest.raises(ValueError, match="takes two dates in order"):
        read_filter("taken", written)


@pytest.mark.parametrize(
    ("written", "place"),
    [
        ("1,2", Near(1.0, 2.0, 10.0)),
        ("1，2，3", Near(1.0, 2.0, 3.0)),
        ("90,180,20040", Near(90.0, 180.0, 20_040.0)),
        ("-90,-180,20040000m", Near(-90.0, -180.0, 20_040.0)),
        ("1, 2, 500 M", Near(1.0, 2.0, 0.5)),
        ("1,2,1e-9km", Near(1.0, 2.0, 1e-9)),
        ("1", "takes latitude,longitude,radius"),
        ("1,2,3,4", "takes latitude,longitude,radius"),
        ("90.001,0", NO_DEGREES),
        ("-90.001,0", NO_DEGREES),
        ("0,180.001", NO_DEGREES),
        ("0,-180.001", NO_DEGREES),
        ("1,2,0", NO_RADIUS),
        ("1,2,-1", NO_RADIUS),
        ("1,2,20040.001", NO_RADIUS),
        ("1,2,", "after the second comma"),
        ("1,2,ten", NOT_A_NUMBER),
        ("1,nan", NOT_A_NUMBER),
        ("inf,1", NOT_A_NUMBER),
        ("1_0,1", NOT_A_NUMBER),
    ],
)
def test_a_place_is_two_numbers_and_a_radius(written: str, place: Near | str) -> None:
    if isinstance(place, Near):
        assert read_filter("near", written) == place
        return
    with pytest.raises(ValueError, match=place):
        read_filter("near", written)


def test_zero_has_no_sign() -> None:
    place = read_filter("near", "-0.0,-0")
    assert isinstance(place, Near)
    assert math.copysign(1, place.latitude) == math.copysign(1, place.longitude) == 1


@pytest.mark.parametrize(
    ("written", "least"),
    [("1e-9", 1e-9), ("2", 2.0), ("1e6", 1e6), ("0", None), ("-1", None), ("1000001", None)],
)
def test_megapixels_are_above_zero(written: str, least: float | None) -> None:
    if least is not None:
        assert read_filter("min-mp", written) == made.MinMegapixels(least)
        return
    with pytest.raises(ValueError, match="takes megapixels, above 0"):
        read_filter("min-mp", written)


@pytest.mark.parametrize(
    ("written", "rated"),
    [
        *((str(stars), Rated(stars, stars)) for stars in range(6)),
        ("..", Rated(0, 5)),
        ("..0", Rated(0, 0)),
        ("5..", Rated(5, 5)),
        ("3..3", Rated(3, 3)),
        ("2..3", Rated(2, 3)),
        ("3..2", "takes the lower rating first"),
        ("6", "takes stars from 0 to 5"),
        ("-1", "takes stars from 0 to 5"),
        ("..6", "takes stars from 0 to 5"),
        ("x..", "takes stars from 0 to 5"),
    ],
)
def test_a_rating_is_some_stars_or_a_range(written: str, rated: Rated | str) -> None:
    if isinstance(rated, Rated):
        assert read_filter("rating", written) == rated
        return
    with pytest.raises(ValueError, match=re.escape(rated)):
        read_filter("rating", written)


@pytest.mark.parametrize("name", ["type", "is", "has", "in"])
def test_a_choice_is_one_of_its_words(name: str) -> None:
    words = FILTERS[name].value.split("|")
    assert [str(read_filter(name, word.upper())) for word in words] == [
        f"{name}:{word}" for word in words
    ]
    all_words = f"takes {', '.join(words[:-1])} or {words[-1]}, not 'x'"
    with pytest.raises(ValueError, match=f"^{re.escape(all_words)}$"):
        read_filter(name, "x")


@pytest.mark.parametrize(
    ("written", "stored"),
    [("jpg", "JPEG"), (".tif", "TIFF"), ("heic", "HEIF"), ("PNG", "PNG"), ("xyz", "XYZ")],
)
def test_a_format_has_other_names(written: str, stored: str) -> None:
    assert read_filter("format", written) == made.OfFormat(stored)


@pytest.mark.parametrize("key", ["camera", "dir", "near", "rating", "after"])
@pytest.mark.parametrize("written", ["", " ", "a\0b"])
def test_a_filter_needs_a_value(key: str, written: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"needs a value: {FILTERS[key].value}")):
        read_filter(key, written)


@pytest.mark.parametrize(
    ("written", "folder"),
    [("/a/b/", b"/a/b"), ("/", b"/"), ("a/b/", b"a/b"), ("/a/./c", b"/a/c"), (".a", b".a")],
)
@pytest.mark.parametrize("is_ours", [True, False])
def test_a_folder_is_a_path_or_a_name(written: str, folder: bytes, is_ours: bool) -> None:
    assert read_filter("dir", written, is_ours=is_ours) == made.InFolder(folder)


@pytest.mark.parametrize(
    ("misspelt", "name"),
    [("camra", "camera"), ("tak", "taken"), ("befor", "before"), ("tkn", "taken"), ("lns", "lens")],
)
def test_a_misspelt_filter_is_like_one(misspelt: str, name: str) -> None:
    assert nearest(misspelt) == name


@pytest.mark.parametrize("word", ["cat", "photo", "rate", "art", "ens of"])
def test_other_words_are_like_none(word: str) -> None:
    assert nearest(word) is None


@pytest.mark.parametrize(
    ("filter_", "written"),
    [
        (made.Camera("a b"), 'camera:"a b"'),
        (made.Camera('a"\\'), 'camera:"a\\"\\\\"'),
        (made.OfFormat("MPEG-TS"), "format:mpeg-ts"),
        (made.InFolder(b"/a"), "dir:/a"),
        (Taken("2023", "2023"), "taken:2023"),
        (Taken("2023", "2024"), "taken:2023..2024"),
        (made.MinMegapixels(2.0), "min-mp:2"),
        (made.MinMegapixels(2), "min-mp:2"),
        (made.MinMegapixels(2.5), "min-mp:2.5"),
        (Near(1.5, 2.0, 10.0), "near:1.5,2,10km"),
        (Rated(3, 3), "rating:3"),
        (Rated(3, 4), "rating:3..4"),
        (Not(Has("gps")), "-has:gps"),
        (AllOf((Has("gps"), Has("tag"))), "(has:gps and has:tag)"),
        (AnyOf((Has("gps"), Has("tag"))), "(has:gps or has:tag)"),
    ],
)
def test_a_filter_is_written_as_it_is_read(filter_: Filter, written: str) -> None:
    assert str(filter_) == written
    assert checked(filter_)[0] == filter_


def test_a_value_with_a_line_break_is_read_again() -> None:
    assert checked(made.Camera('a\n"\\\nb')) == (made.Camera('a\n"\\\nb'), 1)


def test_a_record_is_checked_without_a_look_at_this_machine() -> None:
    with pytest.raises(QueryError, match="takes a whole path, or a name"):
        checked(made.InFolder(b"./here"))
    assert checked(made.InRoot(b"~root")) == (made.InRoot(b"~root"), 1)


def test_filters_are_counted_and_a_group_of_one_is_that_one() -> None:
    two = AllOf((Has("gps"), Not(Has("tag"))))
    assert checked(two) == (two, 2)
    assert checked(AnyOf((AllOf((Has("gps"),)), two))) == (AnyOf((Has("gps"), two)), 3)


@pytest.mark.parametrize("group", [Not, lambda one: AllOf((one, Has("tag")))])
def test_filters_are_nested_no_deeper_than_the_limit(group: type[Not]) -> None:
    wanted: Filter = Has("gps")
    for _ in range(20):
        wanted = group(wanted)
    assert MAX_NESTED == 20
    assert checked(wanted)[0] == wanted
    with pytest.raises(QueryError, match="nested more than 20 deep"):
        checked(group(wanted))


def test_both_leaves_out_what_is_not_given() -> None:
    assert made.both(None, None) is None
    assert made.both(None, Has("gps")) == Has("gps")
    assert made.both(Has("gps"), None, Has("tag")) == AllOf((Has("gps"), Has("tag")))


def test_as_many_filters_are_read_as_a_database_takes() -> None:
    many = AnyOf((Has("gps"),) * 900)
    assert Query((), many).filter == many
    with pytest.raises(QueryError, match="901 filters; at most 900 are read"):
        Query((), AnyOf((Has("gps"),) * 901))
