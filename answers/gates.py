"""From findings to an answer, through four gates that any answerer passes.

1. Nothing fits: no answerer is asked.
2. All that fits is merely possible: the text begins with a hedge of ours.
3. An answerer may say that the pictures do not show it: then that is the answer.
4. A text without a citation of the evidence is asked for once more, and is then no answer.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from pictor.answers.citations import Citation, CitationReader
from pictor.answers.evidence import Confidence, Findings, ItemEvidence
from pictor.answers.frames import Intent
from pictor.answers.question import Asked
from pictor.library.records import Level

Reason = Literal["", "nothing_found", "no_levels", "model_says_no", "uncited"]
#: What an answerer says, and nothing else, where the evidence does not show what was asked.
NOT_SHOWN = ("NOT SHOWN", "未显示")
ATTEMPTS = 2

_HEDGE = ("Not sure: ", "不确定：")
_NOTHING = (
    "Not in this library: nothing fits well enough.",
    "这个图库里没有：没有足够相符的照片。",
)
_NO_LEVELS = (
    "This library cannot tell yet what fits; compute its levels with: pictor index",
    "这个图库还不能判断哪些照片相符；请先运行：pictor index",
)
_SAYS_NO = ("The pictures found do not show it.", "找到的照片里没有显示这一点。")


class Answerer(Protocol):
    """Writes an answer from evidence.

    Attributes:
        name: "facts"…
        model: the model that writes; "" for none.
    """

    name: str
    model: str

    def write(self, findings: Findings, *, is_again: bool) -> Generator[str, None, None]:
        """The text, piece by piece; [1] cites the evidence of that number.

        The generator is closed when nobody reads on.

        Args:
            findings: with evidence; all texts in it are data.
            is_again: the text before cited nothing.
        """


@dataclass(frozen=True)
class Answer:
    """What a question was answered with.

    Attributes:
        question: as it was put.
        asked: as it was understood.
        text: one or more sentences; where nothing is answered, why.
        reason: why it is no answer. "nothing_found", "no_levels": none could be looked for in;
            "model_says_no": the evidence does not show it; "uncited": the text rests on nothing.
        confidence: how sure the least sure evidence is that the text cites; None without an answer.
        citations: in the order of the text; each is of evidence that was given.
        evidence: all of it, by number.
        dropped: numbers that the answerer cited and that no evidence has.
        answerer, model: who wrote it; "" where no answerer was asked.
        seconds: from the question to the end of the text.
    """

    question: str
    asked: Asked
    text: str
    reason: Reason
    confidence: Confidence | None
    citations: tuple[Citation, ...]
    evidence: tuple[ItemEvidence, ...]
    dropped: tuple[int, ...]
    answerer: str
    model: str
    seconds: float = 0.0

    @property
    def is_answered(self) -> bool:
        """Whether the text is an answer."""
        return not self.reason

    @property
    def intent(self) -> Intent:
        """What the question wanted to know."""
        return self.asked.intent


@dataclass(frozen=True)
class AnswerPart:
    """One step of an answer as it comes: first all evidence, then the text, last the whole answer.

    Attributes:
        kind: "evidence"; "text", with a piece of it; "citation", a piece that is one, checked;
            "end", with the answer.
    """

    kind: Literal["evidence", "text", "citation", "end"]
    text: str = ""
    citation: Citation | None = None
    evidence: tuple[ItemEvidence, ...] = ()
    answer: Answer | None = None


def answer_parts(findings: Findings, answerer: Answerer, started: float) -> Iterator[AnswerPart]:
    """An answer, step by step; closing the iterator closes that of the answerer.

    Args:
        started: `time.perf_counter()` when the question came.
    """
    asked = findings.asked
    answer = Answer(asked.question, asked, "", "", None, (), findings.evidence, (), "", "")
    yield AnswerPart("evidence", evidence=findings.evidence)
    if not findings.evidence:
        reason: Reason = "no_levels" if findings.lacks_levels else "nothing_found"
        text = _said(_NO_LEVELS if findings.lacks_levels else _NOTHING, asked)
        yield AnswerPart("text", text)
        answer = replace(answer, text=text, reason=reason)
    else:
        answer = replace(answer, answerer=answerer.name, model=answerer.model)
        answer = yield from _written(findings, answerer, answer)
    seconds = time.perf_counter() - started
    yield AnswerPart("end", answer=replace(answer, seconds=seconds))


def _written(
    findings: Findings, answerer: Answerer, answer: Answer
) -> Generator[AnswerPart, None, Answer]:
    """What an answerer writes; returns the answer. Nothing is passed on before a citation."""
    asked, items = findings.asked, {one.number: one.hit.item for one in findings.evidence}
    hedge = _said(_HEDGE, asked) if findings.confidence == "possible" else ""
    dropped: dict[int, None] = {}
    held: list[str] = []
    for attempt in range(ATTEMPTS):
        reader, held = CitationReader(items, hedge), [hedge] if hedge else []
        with closing(answerer.write(findings, is_again=attempt > 0)) as pieces:
            for text, citation in reader.read(pieces):
                if citation is None and not reader.citations:
                    held.append(text)
                    continue
                yield from (AnswerPart("text", one) for one in held)
                held = []
                kind: Literal["text", "citation"] = "text" if citation is None else "citation"
                yield AnswerPart(kind, text, citation)
        dropped |= dict.fromkeys(reader.dropped)
        answer = replace(answer, text=reader.text.strip(), dropped=tuple(dropped))
        if reader.citations:
            sure = _least_sure(findings, reader.citations)
            return replace(
                answer, text=reader.text, citations=tuple(reader.citations), confidence=sure
            )
        if reader.text[len(hedge) :].strip() in NOT_SHOWN:
            answer = replace(answer, text=_said(_SAYS_NO, asked), reason="model_says_no")
            break
    else:
        answer = replace(answer, reason="uncited")
    yield AnswerPart("text", answer.text)
    return answer


def _least_sure(findings: Findings, citations: list[Citation]) -> Confidence:
    if findings.is_exact:
        return "exact"
    levels = {one.number: one.hit.level for one in findings.evidence}
    is_likely = all(levels[one.number] is Level.LIKELY for one in citations)
    return "likely" if is_likely else "possible"


def _said(texts: tuple[str, str], asked: Asked) -> str:
    """The English text, or the Chinese one."""
    return texts[asked.is_chinese]
