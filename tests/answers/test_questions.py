"""A question becomes what it asks of, what it wants to know, and filters."""

from __future__ import annotations

import tomllib
from datetime import date
from pathlib import Path

import pytest

from pictor.answers.dates import without_dates
from pictor.answers.frames import unframed
from pictor.answers.question import MAX_QUESTION_CHARS, Asked, read_question
from pictor.library.catalog.filters import Near
from pictor.library.errors import QueryError, QuerySyntaxError

FRAMES = Path(__file__).resolve().parents[2] / "benchmarks" / "questions.toml"
TODAY = date(2026, 11, 27)  # a Friday
EVERYTHING = "(type:image or -type:image)"


def nowhere(_: str) -> None:
    return None


def read(text: str, before: Asked | None = None, places: object = nowhere) -> Asked:
    return read_question(text, today=TODAY, places=places, before=before)  # type: ignore[arg-type]


def understood(text: str) -> tuple[str, str]:
    asked = read(text)
    return str(asked.query), asked.intent.value


# --- frames


@pytest.mark.parametrize("half", ["writing", "held_out"])
@pytest.mark.parametrize(
    ("language", "caption"), [("en", "two dogs in the snow"), ("zh", "一只狗在雪地里奔跑")]
)
def test_nearly_every_frame_is_cut_off(half: str, language: str, caption: str) -> None:
    frames = tomllib.loads(FRAMES.read_text(encoding="utf-8"))[language][half]
    assert sum(map(len, frames.values())) == 25
    wrong = [
        frame
        for intent, some in frames.items()
        for frame in some
        if (found := unframed(frame.format(caption))).rest != caption or found.intent != intent
    ]
    assert len(wrong) <= 1, wrong


@pytest.mark.parametrize(
    ("question", "rest", "intent", "order"),
    [
        ("when was I last in the snow?", "in the snow", "when", "newest"),
        ("When did I first see a whale?", "a whale", "when", "oldest"),
        ("Where is my photo of the red car?", "the red car", "show", "best"),
        ("where was my photo of the red car taken?", "the red car", "where", "best"),
        ("Is a dog in any of my photos?", "a dog", "is_there", "best"),
        ("have I ever been to the beach?", "the beach", "is_there", "best"),
        ("WHAT IS WRITTEN ON THE BOARD", "ON THE BOARD", "written", "best"),
        ("有沒有貓的照片？", "貓", "is_there", "best"),
        ("我上次去雪地是什么时候？", "去雪地", "when", "newest"),
        ("我拍过大象没有？", "大象", "is_there", "best"),
        ("这些照片里有几张是狗的？", "狗", "how_many", "best"),
        ("我的照片里面有用绳子吊着的人吗？", "用绳子吊着的人", "is_there", "best"),
        ("Is there a sign with writing on it?", "a sign with writing on it", "is_there", "best"),
        ("Did anyone take a picture of a whale?", "a whale", "is_there", "best"),
        ("能不能找到雪山的照片呢", "雪山", "show", "best"),
        ("有没有 golden retriever 的照片？", "golden retriever", "is_there", "best"),
    ],
)
def test_a_question_is_cut_down_to_what_it_asks_of(
    question: str, rest: str, intent: str, order: str
) -> None:
    found = unframed(question)
    assert (found.rest, found.intent, found.order) == (rest, intent, order)


@pytest.mark.parametrize(
    "caption",
    [
        "a dog on the beach",
        "Two people are looking for a photo of a dog",
        "show horse jumping over a fence",
        "a man talking on the phone",
        "a girl reading in the library",
        "照镜子的女孩",
        "一个男孩在拍照片",
        "看书的人",
        "拍球的男孩",
    ],
)
def test_what_asks_nothing_stays_as_it_is(caption: str) -> None:
    found = unframed(caption)
    assert (found.rest, found.intent, found.is_question) == (caption, "show", False)


def test_words_that_frames_have_too_are_left_in_what_is_asked_of() -> None:
    assert unframed("Is there a picture of a man taking a photo of the sea?").rest == (
        "a man taking a photo of the sea"
    )
    assert unframed("有没有酒吧的照片吗").rest == "酒吧"
    assert unframed("有没有一张图书馆的照片").rest == "图书馆"


def test_a_hostile_question_is_read_to_its_end() -> None:
    hostile = ("the photo of " * 200, "照片里" * 330, "what is " * 120, "有没有" * 330, "a " * 499)
    for text in hostile:
        assert len(unframed(text[:MAX_QUESTION_CHARS]).rest) < MAX_QUESTION_CHARS


# --- dates


@pytest.mark.parametrize(
    ("said", "rest", "filters"),
    [
        ("dogs last summer", "dogs", ["taken:2026-06..2026-08"]),
        ("dogs this summer", "dogs", ["taken:2026-06..2026-08"]),
        ("last winter", "", ["taken:2025-12..2026-02"]),
        ("winter 2023", "", ["taken:2023-12..2024-02"]),
        ("the summer of 2019", "", ["taken:2019-06..2019-08"]),
        ("in May 2023", "", ["taken:2023-05"]),
        ("last December", "", ["taken:2025-12"]),
        ("last October", "", ["taken:2026-10"]),
        ("on 12 May 2023", "", ["taken:2023-05-12"]),
        ("on May 12th, 2023", "", ["taken:2023-05-12"]),
        ("2023-05-12", "", ["taken:2023-05-12"]),
        ("yesterday", "", ["taken:2026-11-26"]),
        ("last weekend", "", ["taken:2026-11-21..2026-11-22"]),
        ("last week", "", ["taken:2026-11-16..2026-11-22"]),
        ("this month", "", ["taken:2026-11"]),
        ("two years ago", "", ["taken:2024"]),
        ("in the last 3 weeks", "", ["taken:2026-11-06..2026-11-27"]),
        ("since 2020", "", ["after:2020-01-01"]),
        ("after 2022", "", ["after:2023-01-01"]),
        ("before 2019", "", ["before:2019-01-01"]),
        ("until 2019", "", ["before:2020-01-01"]),
        ("between 2019 and 2021", "", ["taken:2019..2021"]),
        ("2023年夏天的狗", "狗", ["taken:2023-06..2023-08"]),
        ("去年", "", ["taken:2025"]),
        ("去年夏天在海边", "在海边", ["taken:2025-06..2025-08"]),
        ("上个夏天", "", ["taken:2026-06..2026-08"]),
        ("2023年5月12日", "", ["taken:2023-05-12"]),
        ("2019年到2021年", "", ["taken:2019..2021"]),
        ("2020年以前", "", ["before:2020-01-01"]),
        ("上个月", "", ["taken:2026-10"]),
        ("两年前", "", ["taken:2024"]),
        ("最近三个月", "", ["taken:2026-08-29..2026-11-27"]),
    ],
)
def test_dates_in_words_are_filters(said: str, rest: str, filters: list[str]) -> None:
    left, found = without_dates(said, TODAY)
    assert (" ".join(left.split()), [str(one) for one in found]) == (rest, filters)


@pytest.mark.parametrize(
    "said",
    [
        "bus 2020 in the rain",
        "in the summer",
        "in May",
        "31 February 2023",
        "2023年13月",
        "99999 years ago",
        "1001 days ago",
        "several years ago",
        "in the last few weeks",
        "between 2021 and 2019",
        "a fall in the last minute",
        "a person who may sit",
    ],
)
def test_what_says_no_day_is_no_date(said: str) -> None:
    assert without_dates(said, TODAY) == (said, [])


def test_a_winter_that_goes_on_is_this_one() -> None:
    _, (this,) = without_dates("this winter", date(2027, 1, 5))
    _, (last,) = without_dates("last winter", date(2027, 1, 5))
    assert (str(this), str(last)) == ("taken:2026-12..2027-02", "taken:2025-12..2026-02")


# --- the query language, places, items


@pytest.mark.parametrize(
    ("question", "query", "intent"),
    [
        ("How many photos of dogs do I have after:2023?", '"dogs" after:2023', "how_many"),
        ('When did I photograph "the red car"?', '"the red car"', "when"),
        ("Do I have photos of a dog without a ball?", '"a dog" -"ball"', "is_there"),
        (
            "Are there photos of dogs -collar camera:sony",
            '"dogs" -"collar" camera:sony',
            "is_there",
        ),
        ("有没有没戴眼镜的猫的照片？", '"猫" -"戴眼镜"', "is_there"),
        ("where was item:12 taken?", "item:12", "where"),
        (
            "Show me (camera:sony or rating:4) dogs in 2022",
            '"dogs" ((camera:sony or rating:4) and taken:2022)',
            "show",
        ),
        ("how many photos do I have?", EVERYTHING, "how_many"),
        ("How many photos did I take in 2022?", "taken:2022", "how_many"),
        ("2023年夏天我拍了多少张照片？", "taken:2023-06..2023-08", "how_many"),
        ("When did I take my first photo?", EVERYTHING, "when"),
        ("a dog", '"a dog"', "show"),
    ],
)
def test_the_query_language_is_valid_in_a_question(question: str, query: str, intent: str) -> None:
    assert understood(question) == (query, intent)


def test_paths_and_links_in_a_question_are_words(tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"x")
    assert understood(f"Is there a photo of {secret}?")[0] == f'" {secret}"'
    assert understood("Is there a photo of http://169.254.169.254/x.png?")[0].startswith('" http')


@pytest.mark.parametrize(
    ("question", "says"),
    [
        ("", "names nothing"),
        ("when was it taken?", "names nothing"),
        ("?", "names nothing"),
        ("x" * (MAX_QUESTION_CHARS + 1), "at most 1,000"),
        ("where is item:12 a dog", "not of both"),
        ("what is in item:12@0,0,0.5,1", "whole item"),
        ("dogs -item:12", "not of both"),
    ],
)
def test_what_cannot_be_asked_says_why(question: str, says: str) -> None:
    with pytest.raises(QueryError, match=says):
        read(question)


def test_a_misspelt_filter_is_an_error_as_in_a_search() -> None:
    with pytest.raises(QuerySyntaxError, match="camera: misspelt"):
        read("how many dogs camra:sony?")


def test_near_is_a_filter_only_where_the_library_knows_the_place() -> None:
    vienna = Near(48.2, 16.4, 10)
    asked: list[str] = []

    def places(name: str) -> Near | None:
        asked.append(name)
        return vienna if name in ("Vienna", "维也纳") else None

    assert str(read("dogs near Vienna", places=places).query) == f'"dogs" {vienna}'
    assert str(read("维也纳附近的狗", places=places).query) == f'"狗" {vienna}'
    assert str(read("photos of dogs near the water", places=places).query) == (
        '"dogs near the water"'
    )
    assert str(read("dogs near Vienna at night", places=places).query) == (
        f'"dogs at night" {vienna}'
    )
    asked.clear()
    read("a dog in the snow near the water, and people close to a table", places=places)
    assert asked == []  # the catalog is asked of what is said to be near only


# --- turns


def test_a_follow_up_takes_what_it_does_not_say_from_the_turn_before() -> None:
    first = read("How many photos of dogs did I take in 2023 camera:sony?")
    then = read("and in 2022?", first)
    assert str(then.query) == '"dogs" (camera:sony and taken:2022)'
    assert then.intent == "how_many"
    where = read("Where was that?", first)
    assert (str(where.query), where.intent) == (str(first.query), "where")
    cats = read("what about cats?", first)
    assert (str(cats.query), cats.intent) == (
        '"cats" (camera:sony and taken:2023)',
        "how_many",
    )


def test_a_follow_up_in_chinese() -> None:
    first = read("2023年有多少张狗的照片？")
    assert str(read("那2022年呢？", first).query) == '"狗" taken:2022'
    assert read("那是在哪里拍的？", first).intent == "where"
    assert str(read("那猫呢？", first).query) == '"猫" taken:2023'


def test_a_whole_question_after_another_forgets_it() -> None:
    first = read("How many photos of dogs did I take in 2023?")
    assert understood("Is there a cat?") == (str(read("Is there a cat?", first).query), "is_there")


def test_a_question_of_everything_is_narrowed_by_the_next() -> None:
    first = read("How many photos do I have?")
    assert str(read("and in 2022?", first).query) == "taken:2022"
