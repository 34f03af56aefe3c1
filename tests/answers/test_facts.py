"""Answers from facts on drawn photos with known EXIF: nothing is guessed, everything is cited."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

import pytest

from pictor.answers import Answer
from pictor.library.errors import QueryError

TODAY = date(2026, 11, 27)
VIENNA, QUITO = (48.2082, 16.3738), (-0.1807, -78.4678)


def filled(album: Any) -> Any:
    """How to ask about four photos, which are added to an album."""
    album.add(
        "trip/amber lighthouse.jpg",
        "2023-05-12 10:00:03",
        "Sony ILCE-7M3",
        VIENNA,
        title="The lighthouse",
        keywords="Vienna;tower",
        description="seen from the pier",
    )
    album.add("trip/golden windmill.jpg", "2024-07-16 21:30:00", "Canon EOS R5", QUITO)
    album.add("trip/violet fountain.jpg", "2022-01-02 03:04:05", "Canon EOS R5", VIENNA)
    album.add("silver harbour.jpg")

    def ask(question: str, **options: Any) -> Answer:
        return album.library.answers.ask(question, today=TODAY, **options)

    return ask


@pytest.fixture(scope="module")
def asked(shared_album: Any) -> Any:
    """How to ask about an album that stays as it is."""
    return filled(shared_album)


def names(answer: Answer) -> list[str]:
    return [one.title for one in answer.evidence]


def says_of(answer: Answer, name: str) -> str:
    """The sentence that cites a photo."""
    (number,) = (one.number for one in answer.evidence if one.title == name)
    return next(s for s in re.split(r"(?<=\.) |(?<=。)", answer.text) if f"[{number}]" in s)


def test_a_date_is_said_as_exif_writes_it(asked: Any) -> None:
    answer = asked("When did I take the photo of the amber lighthouse?")
    assert "2023-05-12 10:00:03" in says_of(answer, "amber lighthouse.jpg")
    assert answer.is_answered and answer.answerer == "facts" and answer.model == ""
    chinese = asked("amber lighthouse 的照片是什么时候拍的？")
    assert "拍摄于 2023-05-12 10:00:03。" in says_of(chinese, "amber lighthouse.jpg")


@pytest.mark.parametrize(
    ("question", "says"),
    [
        ("When did I photograph the silver harbour?", "No date is recorded of"),
        ("Where did I photograph the silver harbour?", "No place is recorded of"),
        ("Which camera took the picture of the silver harbour?", "No camera is recorded of"),
        ("silver harbour 是什么时候拍的？", "没有记录日期"),
        ("silver harbour 是在哪里拍的？", "没有记录地点"),
        ("silver harbour 是用什么相机拍的？", "没有记录相机"),
    ],
)
def test_what_is_not_recorded_is_said_to_be_so(asked: Any, question: str, says: str) -> None:
    answer = asked(question)
    assert says in says_of(answer, "silver harbour.jpg")
    assert answer.citations


def test_a_place_is_said_as_coordinates(asked: Any) -> None:
    answer = asked("Where was the picture of the golden windmill taken?")
    assert "-0.18070, -78.46780" in says_of(answer, "golden windmill.jpg")


def test_a_camera_is_quoted(asked: Any) -> None:
    answer = asked("What camera was the golden windmill taken with?")
    assert "“Canon EOS R5”" in says_of(answer, "golden windmill.jpg")


@pytest.mark.parametrize(
    ("question", "count"),
    [
        ("How many photos do I have?", 4),
        ("How many photos did I take in 2023?", 1),
        ("How many photos did I take since 2023?", 2),
        ("How many photos do I have camera:canon?", 2),
        ("How many photos did I take near Vienna?", 2),
        ("2022年我拍了多少张照片？", 1),
        ("How many photos do I have -camera:canon?", 2),
    ],
)
def test_counts_through_filters_are_exact(asked: Any, question: str, count: int) -> None:
    answer = asked(question, top=1)
    assert re.findall(r"\d+(?= photo| 张)", answer.text) == [str(count)]
    assert answer.confidence == "exact" and len(answer.citations) == 1


def test_a_count_does_not_see_what_is_missing_nor_copies(album: Any) -> None:
    asked = filled(album)
    first = album.world.root / "silver harbour.jpg"
    (album.world.root / "copy.jpg").write_bytes(first.read_bytes())
    assert "4 photos" in asked("How many photos do I have?").text
    first.unlink()
    (album.world.root / "copy.jpg").unlink()
    album.library.index([album.world.root])
    assert "3 photos" in asked("How many photos do I have?").text


def test_the_first_and_the_last_are_told_by_their_dates(asked: Any) -> None:
    assert asked("When did I take my first photo?").text == (
        "The first time was 2022-01-02 03:04:05 [1]."
    )
    assert asked("When did I last take a picture?").text == (
        "The last time was 2024-07-16 21:30:00 [1]."
    )
    assert asked("when did I last take a photo before:2024?").text == (
        "The last time was 2023-05-12 10:00:03 [1]."
    )


def test_what_people_wrote_is_quoted(asked: Any) -> None:
    answer = asked("What do you know about the amber lighthouse?")
    said = says_of(answer, "amber lighthouse.jpg")
    for part in (
        "title “The lighthouse”",
        "“seen from the pier”",
        "“Vienna”, “tower”",
        "2023-05-12",
    ):
        assert part in said
    written = asked("What is written on the amber lighthouse?")
    assert "is not read" in written.text and "“seen from the pier”" in written.text


@pytest.mark.parametrize(
    ("question", "says"),
    [
        ("Describe the photo of the silver harbour", "Nothing is written about "),
        ("What is written on the silver harbour?", "Nothing is written about "),
        ("描述一下 silver harbour 的照片", "没有关于 "),
    ],
)
def test_where_nothing_is_written_that_is_said(asked: Any, question: str, says: str) -> None:
    assert (
        says_of(asked(question), "silver harbour.jpg").removeprefix("Not sure: ").startswith(says)
    )


def test_every_sentence_cites(asked: Any) -> None:
    for question in (
        "When did I photograph a harbour?",
        "Where is the lighthouse?",
        "How many photos do I have?",
        "describe the photo of the windmill",
        "What is written on the amber lighthouse?",
        "Is there a photo of the violet fountain?",
        "which cameras have I used?",
    ):
        answer = asked(question)
        assert answer.is_answered, question
        for sentence in re.split(r"(?<=\.) (?=[A-Z\[])", answer.text):
            assert re.search(r"\[\d\]", sentence), (question, sentence)


def test_an_item_is_asked_about_by_its_id(asked: Any) -> None:
    first = asked("When did I take the photo of the amber lighthouse?")
    (item,) = (e.hit.item for e in first.evidence if e.title == "amber lighthouse.jpg")
    answer = asked(f"when was item:{item} taken?")
    assert answer.text == "[1] was taken on 2023-05-12 10:00:03."
    assert (answer.confidence, names(answer)) == ("exact", ["amber lighthouse.jpg"])
    with pytest.raises(QueryError, match="no item 999"):
        asked("when was item:999 taken?")


def test_an_album_without_what_is_asked_says_no(asked: Any) -> None:
    answer = asked("Is there a photo camera:leica?")
    assert (answer.is_answered, answer.reason, answer.citations) == (False, "nothing_found", ())
    assert answer.text.startswith("Not in this library")


def test_turns_go_on_from_the_answer_before(asked: Any) -> None:
    first = asked("How many photos did I take in 2023?")
    then = asked("and in 2022?", turns=[first])
    assert names(then) == ["violet fountain.jpg"] and then.text == "1 photo: [1]."
    camera = asked("and with which camera?", turns=[first, then])
    assert camera.text == "[1] was taken with “Canon EOS R5”."


def test_minimum_and_top_are_checked(asked: Any) -> None:
    for wrong in ({"top": 0}, {"top": 101}, {"top": True}, {"minimum": "any"}):
        with pytest.raises(QueryError):
            asked("a dog?", **wrong)


def test_a_stream_gives_evidence_first_and_the_answer_last(asked: Any, shared_album: Any) -> None:
    parts = list(shared_album.library.answers.stream("How many photos do I have?"))
    assert (parts[0].kind, parts[-1].kind) == ("evidence", "end")
    assert "".join(part.text for part in parts) == parts[-1].answer.text
    assert len(parts[0].evidence) == 4


def test_near_a_name_that_is_spread_over_the_world_is_no_place(asked: Any) -> None:
    answer = asked("How many photos near trip?")  # a folder, with photos of two continents
    assert "near:" not in str(answer.asked.query)


def test_likely_alone_never_rests_on_less(asked: Any) -> None:
    for question in ("photos of a lighthouse", "photos of a dog"):
        answer = asked(question, minimum="likely")
        assert all(one.hit.level == "likely" for one in answer.evidence)
