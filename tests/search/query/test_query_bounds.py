"""Both sides of what a query may be, and how its parts are written and named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pictor.library.catalog.filters import AllOf, AnyOf, Has, Not
from pictor.library.errors import QueryError, QuerySyntaxError
from pictor.search.query import (
    BytesPart,
    ItemPart,
    PicturePart,
    Query,
    WordsPart,
    combined,
    image,
    item,
    parse,
    picture,
    words,
)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "cat.jpg").write_bytes(b"x")
    (tmp_path / "item:7").write_bytes(b"x")
    (tmp_path / "@0,0,0.5,1").write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    return tmp_path


# --- bounds


@pytest.mark.parametrize(
    ("written", "longer"),
    [
        ("x" * 10_000, "x" * 10_001),
        ("-a " * 64, "-a " * 65),
        ("has:gps " * 100, "has:gps " * 101),
        ("(" * 32 + "has:gps" + ")" * 32, "(" * 33 + "has:gps" + ")" * 33),
        ('"cat"*100', '"cat"*100.001'),
        ('"cat"*1e-9', '"cat"*0'),
        ("item:9223372036854775807", "item:9223372036854775808"),
        ("item:1", "item:0"),
    ],
)
def test_a_query_is_read_up_to_its_bounds(written: str, longer: str) -> None:
    parse(written)
    with pytest.raises(QueryError):
        parse(longer)


@pytest.mark.parametrize(
    ("region", "is_read"),
    [
        ((0, 0, 0.5, 1), True),
        ((0, 0, 1, 0.5), True),
        ((0.1, 0, 0.9, 1), True),
        ((0, 0.1, 1, 0.9), True),
        ((0.5, 0, 0.5 + 5e-7, 1), True),
        ((0, 0.5, 1, 0.5 + 5e-7), True),
        ((0.5, 0, 0.5 + 2e-6, 1), False),
        ((0, 0.5, 1, 0.5 + 2e-6), False),
        ((-1e-9, 0, 0.5, 1), False),
        ((0, -1e-9, 1, 0.5), False),
        ((0, 0, 0, 1), False),
        ((0, 0, 1, 0), False),
        ((0, 0, -0.1, 1), False),
        ((0, 0, 1e-9, 1e-9), True),
    ],
)
def test_a_region_is_within_the_picture(region: tuple[float, ...], is_read: bool) -> None:
    if is_read:
        assert item(5, region).region == region
        return
    with pytest.raises(QueryError, match="is not within the picture"):
        item(5, region)


def test_a_region_of_everything_is_none() -> None:
    for whole in ((0, 0, 1, 1), (0, 0, 1 + 5e-7, 1), (0, 0, 1, 1 + 5e-7)):
        assert item(5, whole).region is None


@pytest.mark.parametrize("weight", [1e-9, 100.0])
def test_a_weight_is_above_zero_and_at_most_a_hundred(weight: float) -> None:
    assert Query((WordsPart("a", weight),)).parts[0].weight == weight


# --- how parts are written


def test_parts_are_plain_unless_said_otherwise(here: Path) -> None:
    path = bytes(here / "cat.jpg")
    assert image("cat.jpg") == PicturePart(path, 1.0, False, None)
    assert image("cat.jpg", weight=2.0, negative=True) == PicturePart(path, 2.0, True)
    assert item(7) == ItemPart(7, 1.0, False, None)
    assert item(7, weight=2.0, negative=True) == ItemPart(7, 2.0, True)
    assert words(" a ") == WordsPart("a", 1.0, False)
    assert words("a", weight=2.0, negative=True) == WordsPart("a", 2.0, True)
    assert (ItemPart(7), PicturePart(path)) == (item(7), image("cat.jpg"))
    assert (BytesPart(b"x"), WordsPart("a")) == (picture(b"x"), words("a"))
    made = picture(b"x")
    assert (made.weight, made.negative, made.region) == (1.0, False, None)
    made = picture(b"x", weight=2.0, negative=True)
    assert (made.weight, made.negative, made.name) == (2.0, True, "the picture of 1 bytes")
    assert (item(7).name, image("cat.jpg").name) == ("item 7", repr(path.decode()))
    assert not image("cat.jpg").is_link
    assert PicturePart(b"http://x/y").is_link


@pytest.mark.parametrize(
    ("part", "written"),
    [
        (WordsPart("a dog"), '"a dog"'),
        (WordsPart("a dog", 2.0), '"a dog"*2'),
        (WordsPart("a dog", 0.5), '"a dog"*0.5'),
        (WordsPart("a dog", negative=True), '-"a dog"'),
        (WordsPart('"\\'), '"\\"\\\\"'),
        (WordsPart("./a"), '" ./a"'),
        (WordsPart("https://a"), '" https://a"'),
        (item(7, (0, 0.25, 0.5, 0.75)), "item:7@0,0.25,0.5,0.75"),
        (item(7, (0, 0, 1, 0.5), negative=True), "-item:7@0,0,1,0.5"),
        (item(7, weight=3.0), "item:7*3"),
    ],
)
def test_a_part_is_written_as_it_is_read(part: Any, written: str) -> None:
    assert str(part) == written
    assert str(Query((part,), Has("gps"))) == f"{written} has:gps"
    read = parse(written).parts
    assert [str(one).replace('" ', '"') for one in read] == [written.replace('" ', '"')]


def test_parts_are_looked_for_or_not_there() -> None:
    asked = Query((words("a"), item(7), words("b", negative=True), words("c")))
    assert asked.positive == (words("a"), item(7), words("c"))
    assert asked.negative == (words("b", negative=True),)
    assert asked.words == "a c"
    assert Query((item(7),)).words is None


def test_queries_are_combined() -> None:
    both = combined([parse("a has:gps"), parse("b"), parse("c has:tag")])
    assert both == Query((words("a"), words("b"), words("c")), AllOf((Has("gps"), Has("tag"))))
    assert combined([parse("a"), parse("b")]).filter is None


# --- what is read


@pytest.mark.parametrize(
    ("written", "parts"),
    [
        ("https://x.org/a.jpg b", (PicturePart(b"https://x.org/a.jpg"), words("b"))),
        ("－dog", (words("dog", negative=True),)),
        ("＋dog*2", (words("dog", weight=2.0),)),
        ("+5", (words("5"),)),
        ('-"x"', (words("x", negative=True),)),
        ("-“x”", (words("x", negative=True),)),
        ("-.5", (words(".5", negative=True),)),
        ("-(x", (words("(x", negative=True),)),
        ("-,x", (words("-,x"),)),
        ("dog -", (words("dog -"),)),
        ("- dog", (words("- dog"),)),
        ("dog*2", (words("dog*2"),)),
        ("a without +item:7", (item(7), words("a without"))),
        ("a Without item:7", (item(7, negative=True), words("a"))),
        ("without item:7 b", (item(7, negative=True), words("b"))),
        ("a without +b", (words("b"), words("a without"))),
        ('"without" item:7', (words("without"), item(7))),
        ("item:3@0,0,0.5,1*2", (item(3, (0, 0, 0.5, 1), weight=2.0),)),
        ("item:3@0,0,0.5,1x", (words("item:3@0,0,0.5,1x"),)),
        ("@0,0,0.5,1", (words("@0,0,0.5,1"),)),
        ("(has:gps) a)b ((has:gps)) c)d", (words("a)b c)d"),)),
        ('"  a  "', (words("a"),)),
        ('"say \\"a\\" \\\\"', (words('say "a" \\'),)),
        ("“a\\”b”", (words("a”b"),)),
        ('"a\\b"', (words("a\\b"),)),
    ],
)
def test_parts_are_told_from_words(written: str, parts: tuple[Any, ...]) -> None:
    found = parse(written).parts
    assert sorted(map(str, found)) == sorted(map(str, parts))


def test_a_picture_has_the_words_around_it_for_one_sentence(here: Path) -> None:
    cat = image("cat.jpg")
    assert parse("a b ./cat.jpg c d").parts == (words("a b c d"), cat)
    assert parse("cat.jpg dog").parts == (words("dog"), cat)
    assert parse('"cat.jpg"').parts == (words("cat.jpg"),)
    assert parse('"./cat.jpg"*2 -"./cat.jpg"').parts == (
        image("cat.jpg", weight=2.0),
        image("cat.jpg", negative=True),
    )


TAGGED_AND_DATED = AllOf((Has("tag"), Has("date")))


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        ("has:gps", Has("gps")),
        ("-has:gps", Not(Has("gps"))),
        ("without has:gps", Not(Has("gps"))),
        ("(not not has:gps)", Has("gps")),
        ("(not -has:gps)", Has("gps")),
        ("-(-has:gps)", Has("gps")),
        ("-(has:gps or has:tag)", Not(AnyOf((Has("gps"), Has("tag"))))),
        ("(has:gps OR has:tag AND has:date)", AnyOf((Has("gps"), TAGGED_AND_DATED))),
        ("((has:gps) (has:tag))", AllOf((Has("gps"), Has("tag")))),
        ('has:"gps"', Has("gps")),
        ("HAS：gps", Has("gps")),
    ],
)
def test_filters_are_joined_and_negated(written: str, wanted: Any) -> None:
    assert parse(written) == Query((), wanted)
    assert parse(f"a {written} b").filter == wanted


# --- what is wrong


@pytest.mark.parametrize(
    ("written", "start", "message"),
    [
        ('"' + "x" * 39, 0, "'\"" + "x" * 39 + "' at character 1 of the query is a quote"),
        ('"' + "x" * 40, 0, "'\"" + "x" * 38 + "…' at character 1 of the query is a quote"),
        ('a "cat"*x', 7, "'*' at character 8 of the query must be followed by a number"),
        ("(has:gps dog)", 9, "'dog' at character 10 of the query is not a filter"),
        ("(has:gps", 0, "'(has:gps' at character 1 of the query is a bracket that is never"),
        ("(has:gps or", 0, "'(has:gps or' at character 1 of the query is a bracket that is never"),
        ("a camera:", 2, "'camera:' at character 3 of the query needs a value"),
        ("a -b*2", 2, "'-b*2' at character 3 of the query is a negative part"),
        ("a +b*0", 2, "'+b*0' at character 3 of the query has a weight that is not above 0"),
        ('a ""', 2, "'\"\"' at character 3 of the query is an empty phrase"),
        ("a camra:x", 2, "'camra:x' at character 3 of the query looks like the filter camera:"),
        ("item:3@" + "," * 70, 0, f"not @{',' * 60}, at character 1"),
        ("a item:3@0,,,1", 2, "is written @x,y,width,height, not @0,,,1, at character 3"),
    ],
)
def test_a_mistake_is_shown_with_its_place(written: str, start: int, message: str) -> None:
    with pytest.raises(QuerySyntaxError) as caught:
        parse(written)
    assert message in str(caught.value)
    assert caught.value.position == start


@pytest.mark.parametrize(
    ("written", "is_hinted"),
    [
        ("./no such.jpg", True),
        ("a ./no", False),
        ("./no ", False),
        ("./no@0,0,1,.5 such", False),
        ("item:0 such", False),
    ],
)
def test_a_path_with_spaces_goes_into_quotes(written: str, is_hinted: bool) -> None:
    with pytest.raises(QuerySyntaxError) as caught:
        parse(written)
    assert ("put a path with spaces in quotes" in str(caught.value)) == is_hinted
