"""Four gates, checked citations and streams, with answerers that say what a test tells them to."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from pictor.answers.citations import CitationReader
from pictor.answers.evidence import Findings, ItemEvidence
from pictor.answers.frames import Intent
from pictor.answers.gates import Answer, AnswerPart, answer_parts
from pictor.answers.question import Asked
from pictor.library.records import Hit, Level, Metadata
from pictor.search.query import Query, words


class Scripted:
    """Says one text an attempt, in pieces of so many characters, and counts how it is used."""

    name, model = "scripted", "test-1"

    def __init__(self, *texts: str, size: int = 3) -> None:
        self.texts = list(texts)
        self.size = size
        self.attempts: list[bool] = []
        self.is_closed = False

    def write(self, findings: Findings, *, is_again: bool) -> Generator[str, None, None]:
        self.attempts.append(is_again)
        text = self.texts[len(self.attempts) - 1]
        try:
            for start in range(0, len(text), self.size):
                yield text[start : start + self.size]
        finally:
            self.is_closed = True


def evidence(*levels: Level | None) -> tuple[ItemEvidence, ...]:
    return tuple(
        ItemEvidence(
            number,
            Hit(number, 0.5, b"/p/%d.jpg" % number, "00", 100 + number, "s", 1, 1, level=level),
            Metadata(),
        )
        for number, level in enumerate(levels, 1)
    )


def findings(*levels: Level | None, question: str = "a dog?", **more: bool) -> Findings:
    asked = Asked(question, Query((words("a dog"),)), Intent.SHOW)
    return Findings(asked, evidence(*levels), **more)


def parts_of(found: Findings, answerer: Scripted) -> list[AnswerPart]:
    return list(answer_parts(found, answerer, 0.0))


def answered(found: Findings, answerer: Scripted) -> Answer:
    parts = parts_of(found, answerer)
    answer = parts[-1].answer
    assert answer is not None
    assert [part.kind for part in parts].count("end") == 1 and parts[0].kind == "evidence"
    assert parts[0].evidence == found.evidence
    assert "".join(part.text for part in parts) == answer.text
    assert [part.citation for part in parts if part.citation] == list(answer.citations)
    for citation in answer.citations:
        assert answer.text[citation.start : citation.end] == f"[{citation.number}]"
        assert citation.item == 100 + citation.number
    return answer


LIKELY, POSSIBLE = Level.LIKELY, Level.POSSIBLE


@pytest.mark.parametrize(
    ("lacks", "reason", "question", "says"),
    [
        (False, "nothing_found", "a dog?", "Not in this library"),
        (False, "nothing_found", "有狗吗", "没有"),
        (True, "no_levels", "a dog?", "pictor index"),
    ],
)
def test_without_evidence_nobody_is_asked(
    lacks: bool, reason: str, question: str, says: str
) -> None:
    scripted = Scripted("A dog [1].")
    answer = answered(findings(question=question, lacks_levels=lacks), scripted)
    assert scripted.attempts == []
    assert (answer.is_answered, answer.reason, answer.answerer) == (False, reason, "")
    assert answer.confidence is None and says in answer.text


def test_a_cited_text_is_the_answer() -> None:
    answer = answered(findings(LIKELY, LIKELY), Scripted("A dog [1], and [2, 1]."))
    assert answer.text == "A dog [1], and [2][1]."
    assert [one.number for one in answer.citations] == [1, 2, 1]
    assert (answer.is_answered, answer.reason, answer.confidence) == (True, "", "likely")
    assert (answer.answerer, answer.model) == ("scripted", "test-1")


def test_what_is_merely_possible_is_hedged() -> None:
    answer = answered(findings(POSSIBLE), Scripted("A dog [1]."))
    assert answer.text == "Not sure: A dog [1]." and answer.confidence == "possible"
    chinese = answered(findings(POSSIBLE, question="有狗吗"), Scripted("狗[1]。"))
    assert chinese.text == "不确定：狗[1]。"
    mixed = answered(findings(LIKELY, POSSIBLE), Scripted("A dog [1]."))
    assert (mixed.text, mixed.confidence) == ("A dog [1].", "likely")


def test_an_answer_is_as_sure_as_the_least_sure_it_cites() -> None:
    both = answered(findings(LIKELY, POSSIBLE), Scripted("Dogs [1] [2]."))
    assert both.confidence == "possible"
    exact = answered(findings(None, is_exact=True), Scripted("A dog [1]."))
    assert (exact.text, exact.confidence) == ("A dog [1].", "exact")


@pytest.mark.parametrize("said", ["NOT SHOWN", " NOT SHOWN\n", "未显示"])
def test_an_answerer_may_say_that_it_is_not_shown(said: str) -> None:
    scripted = Scripted(said)
    answer = answered(findings(LIKELY), scripted)
    assert (answer.is_answered, answer.reason) == (False, "model_says_no")
    assert "SHOWN" not in answer.text and answer.confidence is None
    assert scripted.attempts == [False]


def test_no_is_recognised_behind_a_hedge_too() -> None:
    assert answered(findings(POSSIBLE), Scripted("NOT SHOWN")).reason == "model_says_no"


def test_a_text_without_citations_is_asked_for_once_more() -> None:
    scripted = Scripted("It is a dog.", "It is a dog [1].")
    answer = answered(findings(LIKELY), scripted)
    assert scripted.attempts == [False, True]
    assert answer.text == "It is a dog [1]." and answer.is_answered


def test_a_text_that_never_cites_is_no_answer() -> None:
    scripted = Scripted("It is a dog.", "Certainly a dog.", "never asked for")
    answer = answered(findings(LIKELY), scripted)
    assert scripted.attempts == [False, True]
    assert (answer.is_answered, answer.reason) == (False, "uncited")
    assert answer.text == "Certainly a dog." and answer.confidence is None


def test_citations_of_what_was_not_given_are_taken_out_and_counted() -> None:
    answer = answered(findings(LIKELY), Scripted("A dog [1][7], two [99, 1], [7] more [0]."))
    assert answer.text == "A dog [1], two [1],  more ."
    assert answer.dropped == (7, 99, 0)


def test_only_invented_citations_are_none() -> None:
    answer = answered(findings(LIKELY), Scripted("A dog [9].", "A dog [8]."))
    assert (answer.reason, answer.dropped) == ("uncited", (9, 8))


def test_nothing_is_passed_on_before_the_first_citation() -> None:
    stream = answer_parts(findings(LIKELY), Scripted("No cats.", "A dog [1] runs."), 0.0)
    seen = [part.text for part in stream]
    assert "".join(seen) == "A dog [1] runs."


def test_a_stream_that_is_left_ends_the_answerer() -> None:
    scripted = Scripted("A dog [1] runs on and on.")
    stream = answer_parts(findings(LIKELY), scripted, 0.0)
    for part in stream:
        if part.kind == "citation":
            break
    assert not scripted.is_closed
    stream.close()  # type: ignore[attr-defined]
    assert scripted.is_closed


def test_an_answerer_that_fails_says_so_and_is_ended() -> None:
    class Failing(Scripted):
        def write(self, findings: Findings, *, is_again: bool) -> Generator[str, None, None]:
            yield "A dog [1]"
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        parts_of(findings(LIKELY), Failing())


# --- citations, however a text is cut into pieces


@pytest.mark.parametrize("size", [1, 2, 5, 100])
@pytest.mark.parametrize(
    ("said", "text", "numbers"),
    [
        ("a [1] b", "a [1] b", [1]),
        ("【2】", "[2]", [2]),
        ("[1， 2]", "[1][2]", [1, 2]),
        ("[1", "［1", []),
        ("[[1]", "［[1]", [1]),
        ("[1a]", "［1a］", []),
        ("[]", "［］", []),
        ("[-1]", "［-1］", []),
        ("[١]", "［١］", []),
        ("x] y", "x］ y", []),
        ("[" + "1," * 40 + "]", "［" + "1," * 40 + "］", []),
        ("![x](http://e/?q=[1])", "!［x］(http://e/?q=[1])", [1]),
        ("<img src=x>", "＜img src=x＞", []),
        ("a\x1b[31mb\x07\u202e", "a［31mb", []),
    ],
)
def test_what_passes_is_a_citation_or_inert(
    said: str, text: str, numbers: list[int], size: int
) -> None:
    reader = CitationReader({1: 101, 2: 102})
    pieces = [said[at : at + size] for at in range(0, len(said), size)]
    assert "".join(shown for shown, _ in reader.read(pieces)) == reader.text == text
    assert [one.number for one in reader.citations] == numbers


def test_a_protocol_has_room_for_a_second_answerer(tmp_path: Path) -> None:
    from pictor.answers.facts import FactsAnswerer
    from pictor.answers.gates import Answerer

    both: list[Answerer] = [FactsAnswerer(), Scripted("[1]")]
    assert [one.name for one in both] == ["facts", "scripted"]
