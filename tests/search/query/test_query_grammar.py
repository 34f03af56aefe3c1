"""The grammar: what a text means, and where it is wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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
from pictor.library.errors import QueryError, QuerySyntaxError
from pictor.search import filters
from pictor.search.query import (
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
    """A current folder with files whose names are also words."""
    for name in ("dog", "cat.jpg", "sub/owl.png", "two words.jpg", "at*2.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def text(sentence: str, weight: float = 1.0) -> WordsPart:
    return WordsPart(sentence, weight)


def absent(sentence: str) -> WordsPart:
    return WordsPart(sentence, negative=True)


# --- words and pictures


@pytest.mark.parametrize(
    "sentence",
    [
        *("dog", "a dog", "sub", "owl.png", "St. Petersburg", "海边", "1/2", "5*5", "12:30 clock"),
        *("see - this -- that", "Avengers: Endgame", "dog (golden retriever)", "C++", '13" wheel'),
        *("a -> b", "\N{SMILING FACE WITH SUNGLASSES}", "a,b;c", "100 %"),
    ],
)
def test_words_are_words_even_where_a_file_has_their_name(sentence: str) -> None:
    assert parse(sentence) == Query((text(sentence),))


@pytest.mark.parametrize("path", ["cat.jpg", "sub/owl.png", "./dog", "two words.jpg", "at*2.jpg"])
def test_a_path_with_a_slash_or_an_ending_is_an_image(here: Path, path: str) -> None:
    assert parse(path) == Query((PicturePart(bytes(here / path)),))
    assert parse([path, "at night"]).parts == (PicturePart(bytes(here / path)), text("at night"))


@pytest.mark.parametrize("path", ["/no/such.jpg", "./none", "../none.png", "~/none", "./sub"])
def test_what_begins_like_a_path_must_be_a_file(path: str) -> None:
    with pytest.raises(QueryError, match="there is no image file"):
        parse(path)


def test_links_are_pictures() -> None:
    link = PicturePart(b"https://example.org/a.jpg")
    assert link.is_link
    assert parse("https://example.org/a.jpg") == Query((link,))
    assert parse("a cat https://example.org/a.jpg").parts == (text("a cat"), link)


def test_pictures_among_words_have_weights_and_signs(here: Path) -> None:
    cat, owl = bytes(here / "cat.jpg"), bytes(here / "sub/owl.png")
    asked = parse('at night +"./cat.jpg"*0.5 -sub/owl.png')
    assert asked.parts == (
        text("at night"),
        PicturePart(cat, 0.5),
        PicturePart(owl, negative=True),
    )
    assert parse('./cat.jpg*2 "./two words.jpg"').parts == (
        PicturePart(cat, 2.0),
        PicturePart(bytes(here / "two words.jpg")),
    )


def test_other_links_are_words_in_quotes_and_for_strangers() -> None:
    assert parse('"file:///x.jpg"') == Query((text("file:///x.jpg"),))
    assert parse("ftp://x y", pictures=False) == Query((text("ftp://x y"),))
    assert parse("see ://x a:/b").parts == (text("see ://x a:/b"),)


def test_an_item_is_named_by_its_id() -> None:
    assert parse("item:12").parts == (item(12),)
    assert parse("at night ITEM：12*0.5 -item:7").parts == (
        text("at night"),
        item(12, weight=0.5),
        item(7, negative=True),
    )
    assert parse("a dog without item:7").parts == (text("a dog"), item(7, negative=True))
    for sentence in ("item: 12", "items:12", '"item:12"', "item:x", "item:--1"):
        assert all(isinstance(part, WordsPart) for part in parse(sentence).parts), sentence


def test_a_region_stands_behind_a_picture(here: Path) -> None:
    half, cat = (0, 0.25, 0.5, 0.75), here / "cat.jpg"
    assert parse("item:12@0,.25,.5,.75*2").parts == (item(12, half, weight=2.0),)
    assert parse("dog ./cat.jpg@0,0.25,0.5,0.75").parts == (text("dog"), image(cat, half))
    assert parse('-"./two words.jpg"@0,0.25,0.5,0.75').parts == (
        image(here / "two words.jpg", half, negative=True),
    )
    link = "https://maps.example.org/@0,0.25,0.5,0.75"  # may end so itself; in quotes it does not
    assert parse(f"dog {link}").parts[1:] == (image(link),)
    assert parse(f'"{link}"@0,0,1,0.5').parts == (image(link, (0, 0, 1, 0.5)),)
    assert item(3, (0, 0, 1, 1)) == item(3)
    assert parse("dog @0,0,1,1").parts == (text("dog @0,0,1,1"),)
    asked = Query((item(12, (1 / 3, 0, 1e-7, 0.1), weight=0.3), image(cat, half, negative=True)))
    assert parse(str(asked)) == asked


@pytest.mark.parametrize(
    "region",
    [
        *((0, 0, 0, 1), (0, 0, 1.1, 1), (0.6, 0, 0.5, 1), (-0.1, 0, 0.5, 1), (0, 0, 1, -1)),
        *((0, float("nan"), 1, 1), (0, 0, float("inf"), 1), (0, 0, 1), "abcd", 5, ("a", 0, 1, 1)),
    ],
)
def test_a_region_that_is_none_is_refused(here: Path, region: tuple[float, ...]) -> None:
    for made, what in ((item, 5), (image, here / "cat.jpg"), (picture, b"x")):
        with pytest.raises(QueryError, match="region") as caught:
            made(what, region)  # type: ignore[operator]  # of three makers
        assert "\n" not in str(caught.value)


def test_bytes_are_a_part_that_no_text_names() -> None:
    part = picture(b"some bytes", (0, 0, 0.5, 1), weight=2.0)
    assert part == picture(bytearray(b"some bytes"), (0, 0, 0.5, 1), weight=2.0)
    assert "some bytes" not in repr(part)
    written = str(Query((part,)))
    assert written.startswith("picture:") and written.endswith("@0,0,0.5,1*2")
    for one in (written, f"dog -{written[:72]}"):
        with pytest.raises(QuerySyntaxError, match="given as bytes, which has no text form"):
            parse(one)
    for nothing in (b"", "text", None, 5):
        with pytest.raises(QueryError, match="bytes of its file"):
            picture(nothing)  # type: ignore[arg-type]  # that is tested
    with pytest.raises(QueryError, match="bytes of its file, not as 'text'"):
        picture("text")  # type: ignore[arg-type]  # that is tested
    for no_path in (None, 5, [b"a.jpg"]):
        with pytest.raises(QueryError, match="by its path or link, not as "):
            image(no_path)  # type: ignore[arg-type]  # that is tested
    for number in (0, -1, 1 << 63, True, "5", 1.5):
        with pytest.raises(QueryError, match="whole number above 0"):
            item(number)  # type: ignore[arg-type]  # that is tested


def test_signs_quotes_and_weights_make_parts() -> None:
    asked = parse('a dog +beach*0.5 "golden hour"*2 -collar -"red ball"')
    assert asked.parts == (
        text("a dog"),
        text("beach", 0.5),
        text("golden hour", 2.0),
        absent("collar"),
        absent("red ball"),
    )
    assert asked.words == "a dog beach golden hour"
    assert [part.words for part in asked.negative] == ["collar", "red ball"]  # type: ignore[union-attr]


def test_nothing_in_quotes_is_a_sign_a_filter_or_a_negation(here: Path) -> None:
    for phrase in ("dog without ball", "-x after:2023", "cat.jpg", "(camera:sony)"):
        assert parse(f'"{phrase}"') == Query((text(phrase),))
    assert parse(r'"say \"no\" \\"') == Query((text('say "no" \\'),))
    assert parse("“不要引号里的没有”") == Query((text("不要引号里的没有"),))


@pytest.mark.parametrize("empty", ["", "  ", "\0", "\n", "\u3000"])
def test_an_empty_query_is_refused(empty: str) -> None:
    with pytest.raises(QueryError, match="empty"):
        parse(empty)
    with pytest.raises(QueryError, match="empty"):
        words(empty)


def test_no_query_at_all_is_refused() -> None:
    with pytest.raises(QueryError, match="empty"):
        parse([])
    with pytest.raises(QueryError, match="empty"):
        Query()


def test_odd_texts_are_read_as_far_as_they_can_be() -> None:
    assert parse("dog\udc80") == Query((text("dog?"),))
    assert parse("x" * 5000 + ".jpg") == Query((text("x" * 5000 + ".jpg"),))
    for reader in (parse, words):
        with pytest.raises(QueryError, match="10,001 characters"):
            reader("x" * 10_001)
    with pytest.raises(QueryError, match="no image file"):
        image("a\0b")


# --- filters

EXAMPLES: list[tuple[str, Filter]] = [
    ("after:2023", After("2023")),
    ("before:2023-5", Before("2023-05")),
    ("AFTER:2023/05/02", After("2023-05-02")),
    ("taken:2023-05", Taken("2023-05", "2023-05")),
    ("taken:2022..2023-06", Taken("2022", "2023-06")),
    ('dir:"/photos/My Trip"', InFolder(b"/photos/My Trip")),
    ("dir:2023/vienna/", InFolder(b"2023/vienna")),
    ("root:photos", InRoot(b"photos")),
    ("camera:sony", Camera("sony")),
    ("camera：sony", Camera("sony")),
    ('lens:"35 mm"', Lens("35 mm")),
    ("tag:狗", Tagged("狗")),
    ("label-set:coco", InLabelSet("coco")),
    ("type:video", OfKind("video")),
    ("format:jpg", OfFormat("JPEG")),
    ("min-mp:12.5", MinMegapixels(12.5)),
    ("is:portrait", OfShape("portrait")),
    ("near:48.2,16.4,10km", Near(48.2, 16.4, 10.0)),
    ("near:-48.2,16.4,500m", Near(-48.2, 16.4, 0.5)),
    ("near:48.2,16.4", Near(48.2, 16.4, 10.0)),
    ("has:gps", Has("gps")),
    ("rating:4", Rated(4, 4)),
    ("rating:4..", Rated(4, 5)),
    ("rating:..2", Rated(0, 2)),
    ("in:archive", Inside("archive")),
    ("-has:gps", Not(Has("gps"))),
    ("not has:gps", Not(Has("gps"))),
    ("has:gps has:date", AllOf((Has("gps"), Has("date")))),
    ("(has:gps or has:date)", AnyOf((Has("gps"), Has("date")))),
    (
        "(has:gps has:date or has:tag)",
        AnyOf((AllOf((Has("gps"), Has("date"))), Has("tag"))),
    ),
    ("-(has:gps and -has:date)", Not(AllOf((Has("gps"), Not(Has("date")))))),
    ("(not (has:gps or has:date))", Not(AnyOf((Has("gps"), Has("date"))))),
]


@pytest.mark.parametrize(("written", "filter_"), EXAMPLES)
def test_filters_are_read(written: str, filter_: Filter) -> None:
    assert parse(written) == Query((), filter_)
    assert parse(f"a dog {written} on a beach") == Query((text("a dog on a beach"),), filter_)


def test_or_and_brackets_away_from_filters_are_words() -> None:
    for sentence in ("cats or dogs", "dog :)", "orange", "a) or (b"):
        for written in (f"has:gps {sentence}", f"{sentence} has:gps"):
            assert parse(written) == Query((text(sentence),), Has("gps"))
    assert parse("(has:gps or has:tag) or cats").parts == (text("or cats"),)
    assert parse("camera:a(b) camera:c(d").filter == AllOf((Camera("a(b)"), Camera("c(d")))


def test_every_filter_has_an_example() -> None:
    shown = " ".join(written.lower() for written, _ in EXAMPLES)
    assert [name for name in filters.FILTERS if f"{name}:" not in shown] == ["camera"][:0]


def test_a_folder_may_be_named_from_home_or_from_here(here: Path) -> None:
    home = os.fsencode(os.environ["HOME"])
    assert parse("dir:~/Pictures").filter == InFolder(home + b"/Pictures")
    assert parse("dir:./sub").filter == InFolder(bytes(here / "sub"))


def test_filters_of_several_texts_must_all_hold() -> None:
    asked = combined([parse("a dog has:gps"), Query((), Camera("sony"))])
    assert asked == Query((text("a dog"),), AllOf((Has("gps"), Camera("sony"))))
    assert parse(["a dog has:gps", "camera:sony"]) == asked


# --- mistakes


@pytest.mark.parametrize(
    ("written", "position", "words_"),
    [
        ('dog "beach', 4, "never closed"),
        ('dog ""', 4, "empty phrase"),
        ("dog camera:", 4, "needs a value: NAME"),
        ("dog camera: sony", 4, "needs a value"),
        ("dog camra:sony", 4, "looks like the filter camera:"),
        ("dog after:soon", 4, "takes a date such as 2023"),
        ("dog after:2023-13", 4, "no '2023-13' in the calendar"),
        ("dog after:2023-00", 4, "no '2023-00' in the calendar"),
        ("dog taken:2023-02-29", 4, "calendar"),
        ("dog taken:2024..2023", 4, "in order"),
        ("near:91,0,1km", 0, "degrees"),
        ("near:1,1,0km", 0, "radius"),
        ("near:1", 0, "latitude,longitude"),
        ("near:nan,1", 0, "takes a number"),
        ("rating:6", 0, "stars from 0 to 5"),
        ("rating:4..2", 0, "lower rating first"),
        ("type:poem", 0, "image, animation or video"),
        ("is:round", 0, "portrait, landscape or square"),
        ("min-mp:-3", 0, "above 0"),
        ("dog (camera:sony", 4, "never closed"),
        ("dog (camera:sony or ", 4, "never closed"),
        ("dog (camera:sony or cat)", 20, "not a filter"),
        ('dog "cat"*x', 9, "number"),
        ('dog "cat"*0', 4, "weight"),
        ('dog "cat"*1e9', 4, "weight"),
        ('dog -"cat"*2', 4, "no weight"),
        ("dog ./none.jpg", 4, "no image file"),
        ("dog item:0", 4, "whole number above 0"),
        ("dog item:-1", 4, "whole number above 0, not -1"),
        ("item:" + "9" * 5_000, 0, "whole number above 0, not 9999"),
        ("dog file:///x.jpg y", 4, "not fetched: a picture is a path, or a link that begins with"),
        ("-ftp://x/y.jpg", 0, "http:// or https://; quote it if it is text"),
        ("HTTP://x/y.jpg", 0, "is not fetched"),
        ("dog item:5@0,0,2,2", 4, "fractions of it from 0 to 1"),
        ("dog item:5@1,2", 4, "four numbers"),
        ("dog item:5@1,,2-", 4, "is written @x,y,width,height"),
        ("dog after:2023 or before:2020", 15, "in brackets: write (after:2023 or before:2020)"),
        ("-has:gps OR not(has:tag)", 9, "write (-has:gps or -has:tag)"),
        ("not has:gps or has:tag", 12, "write (-has:gps or has:tag)"),
        ('(has:gps or has:tag)or camera:"a b" or x', 20, 'has:tag) or camera:"a b")'),
        ("dog camera:sony) x", 15, "closes no bracket of filters"),
        ("dog (camera:sony)) x", 17, "closes no bracket of filters"),
        ('camera:"sony" ) x', 14, "closes no bracket of filters"),
        ("a (dog camera:a(b))", 18, "closes no bracket of filters"),
        ("(" * 40 + "has:gps" + ")" * 40, 32, "more than 32"),
        ("has:gps " * 101, 800, "one filter more than"),
    ],
)
def test_a_mistake_is_one_sentence_with_its_place(written: str, position: int, words_: str) -> None:
    with pytest.raises(QuerySyntaxError) as caught:
        parse(written)
    assert words_ in str(caught.value)
    assert caught.value.position == position
    assert f"at character {position + 1} of the query" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_too_many_parts_are_refused() -> None:
    with pytest.raises(QueryError, match="65 parts"):
        parse("-a " * 65)


@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan"), float("inf"), 101.0])
def test_a_record_with_a_senseless_weight_is_refused(weight: float) -> None:
    with pytest.raises(QueryError, match="weight"):
        Query((WordsPart("a", weight),))


# --- filters made in Python


@pytest.mark.parametrize(
    ("made", "words_"),
    [
        (After("yesterday"), "takes a date such as 2023, 2023-05 or 2023-05-12, not 'yesterday'"),
        (After(None), "expected str, bytes"),  # type: ignore[arg-type]  # what it must refuse
        (Before("2023-13"), "no '2023-13' in the calendar"),
        (Taken("2024", "2023"), "in order"),
        (Taken(None, None), "takes a date"),  # type: ignore[arg-type]  # what it must refuse
        (InFolder(b""), "needs a value: FOLDER"),
        (InFolder(b"./here"), "takes a whole path, or a name"),
        (InRoot(b"a\0b"), "needs a value: ROOT"),
        (Camera(" "), "needs a value: NAME"),
        (Camera(5), "expected str, bytes"),  # type: ignore[arg-type]  # what it must refuse
        (OfFormat(None), "expected str, bytes"),  # type: ignore[arg-type]  # what it must refuse
        (MinMegapixels(float("nan")), "takes a number"),
        (MinMegapixels(None), "takes a number"),  # type: ignore[arg-type]  # what it must refuse
        (MinMegapixels(float("inf")), "takes a number"),
        (Near(91.0, 0.0, 1.0), "degrees up to 90 and 180"),
        (Near(1.0, 1.0, 0.0), "radius above 0"),
        (Has("nose"), "takes gps, date, camera"),  # type: ignore[arg-type]  # what it must refuse
        (OfKind("poem"), "image, animation or video"),  # type: ignore[arg-type]  # likewise
        (Rated(5, 3), "lower rating first"),
        (Rated(0, 6), "stars from 0 to 5"),
        (AnyOf(()), "AnyOf(filters=()) is no filter"),
        (AllOf(()), "AllOf(filters=()) is no filter"),
        (AnyOf("has:gps"), "'h' is no filter"),  # type: ignore[arg-type]  # what it must refuse
        (AnyOf(Has("gps")), "AnyOf 'Has' object is not iterable"),  # type: ignore[arg-type]  # likewise
        ("has:gps", "is no filter: make one with pictor.query"),
    ],
)
def test_a_record_that_the_language_cannot_say_is_refused(made: Filter, words_: str) -> None:
    # `AllOf` with no more than one member must not hide it.
    for wanted in (made, Not(made), AllOf((made,)), AnyOf((Has("gps"), made))):
        with pytest.raises(QueryError) as caught:
            Query((), wanted)
        assert words_ in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_record_is_read_as_the_language_reads_its_text() -> None:
    made = AllOf((AnyOf((After("2023/5"),)), Has("GPS"), OfFormat("jpg")))  # type: ignore[arg-type]
    wanted = Query((), made).filter
    assert wanted == AllOf((After("2023-05"), Has("gps"), OfFormat("JPEG")))
    assert Query((), InRoot(b"~root")).filter == InRoot(b"~root")  # no home is looked at
    for exact in (InFolder(b"/photos/ends with a blank "), Near(1e-7, 2.0, 0.5)):
        assert Query((), exact).filter == exact
        assert parse(str(exact)) == Query((), exact)
    assert parse("camera:\udcff").filter == Camera("?")  # no text of a database holds half of one


def test_too_many_filters_are_refused_by_a_sentence() -> None:
    for many in (AnyOf, AllOf):
        with pytest.raises(QueryError, match="5,000 filters; at most 900 are read"):
            Query((), many((Has("gps"),) * 5_000))
    deep: Filter = Has("gps")
    for _ in range(5_000):
        deep = Not(deep)
    with pytest.raises(QueryError, match="nested more than 20 deep"):
        Query((), deep)


# --- any string at all

_PIECES = [
    *(
        "-",
        "+",
        '"',
        "“",
        "”",
        "*",
        "(",
        ")",
        ":",
        "：",
        "\\",
        " ",
        ".",
        "..",
        "/",
        "./",
        "~",
        "~a/",
    ),
    *(f"{name}:" for name in filters.FILTERS),
    *("and", "or", "not", "no", "without", "没有", "无", "不带", "除了", "以外", "的", "dog", "狗"),
    *("2023", "2023-05", "48.2,16.4,10km", "0.5", "*0.5", "cat.jpg", "http://", "\udc80", "\ud800"),
    *("item:", "item:12", "@0,0,0.5,0.5", "@,", "picture:", "0" * 64, "./cat.jpg", "1e-7"),
    *("\0", "\n", "'; DROP TABLE file; --", "%s", "{0}"),
]
_TEXTS = st.text(max_size=60) | st.lists(st.sampled_from(_PIECES) | st.text(max_size=3)).map(
    "".join
)
_SETTINGS = settings(
    max_examples=600, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@_SETTINGS
@given(_TEXTS)
def test_any_string_gives_a_query_or_one_clear_error(written: str) -> None:
    try:
        asked = parse(written)
    except QueryError as error:
        assert str(error) and "\n" not in str(error).replace(written, "")
        if isinstance(error, QuerySyntaxError):
            assert 0 <= error.position < len(written)
    else:
        assert asked.parts or asked.filter is not None
        assert parse(str(asked)) == asked


@_SETTINGS
@given(st.lists(_TEXTS, max_size=4))
def test_any_arguments_give_a_query_or_one_clear_error(written: list[str]) -> None:
    try:
        asked = parse(written)
    except QueryError as error:
        assert str(error)
    else:
        assert parse(str(asked)) == asked
