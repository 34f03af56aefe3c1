"""The verbs of `library.answers`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date

from pictor.answers.evidence import Findings, Minimum, Rank, findings
from pictor.answers.facts import FactsAnswerer
from pictor.answers.gates import Answer, Answerer, AnswerPart, answer_parts
from pictor.answers.places import place_named
from pictor.answers.question import Asked, read_question
from pictor.library.catalog.filters import Near
from pictor.library.errors import QueryError
from pictor.library.store import Store

TOP = 5


class Answers:
    """Ask a library questions in English or Chinese; each answer cites pictures, or says no."""

    def __init__(self, opened: Callable[[], Store], rank: Rank) -> None:
        """The answers of the library that `opened` gives and `rank` searches."""
        self._opened = opened
        self._rank = rank

    def ask(
        self,
        question: str,
        *,
        turns: Sequence[Answer] = (),
        top: int = TOP,
        minimum: Minimum = "possible",
        answerer: Answerer | None = None,
        today: date | None = None,
    ) -> Answer:
        """The answer to a question.

        Args:
            question: in plain words; the query language is valid in it, but paths and links are
                words.
            turns: the answers before, oldest first: "and in 2022?" asks the same of another time.
            top: at most so much evidence, 1 to 100.
            minimum: the least level of evidence.
            answerer: who writes the text; one that states what the library knows if None.
            today: what "last summer" is counted from; the day it is if None.

        Raises:
            QueryError: the question is over-long, breaks the query language or names nothing.
        """
        parts = self.stream(
            question, turns=turns, top=top, minimum=minimum, answerer=answerer, today=today
        )
        (answer,) = (part.answer for part in parts if part.answer is not None)
        return answer

    def stream(
        self,
        question: str,
        *,
        turns: Sequence[Answer] = (),
        top: int = TOP,
        minimum: Minimum = "possible",
        answerer: Answerer | None = None,
        today: date | None = None,
    ) -> Iterator[AnswerPart]:
        """As `ask`, step by step: the evidence, then the text as it is written, last the answer.

        Nothing is done before the first step is asked for. Close the iterator to stop.
        """
        started = time.perf_counter()
        found = self.evidence(question, turns=turns, top=top, minimum=minimum, today=today)
        yield from answer_parts(found, answerer or FactsAnswerer(), started)

    def evidence(
        self,
        question: str,
        *,
        turns: Sequence[Answer] = (),
        top: int = TOP,
        minimum: Minimum = "possible",
        today: date | None = None,
    ) -> Findings:
        """What an answer would rest on, without one."""
        if isinstance(top, bool) or not isinstance(top, int) or not 1 <= top <= 100:
            raise QueryError(f"the number of pictures must be 1 to 100, not {top!r:.40}")
        if minimum not in ("likely", "possible"):
            raise QueryError(f"the minimum level must be likely or possible, not {minimum!r:.40}")
        asked = self._read(question, turns, today or date.today())
        return findings(self._opened(), self._rank, asked, top, minimum)

    def _read(self, question: str, turns: Sequence[Answer], today: date) -> Asked:
        before = turns[-1].asked if turns else None
        return read_question(question, today=today, places=self._place, before=before)

    def _place(self, name: str) -> Near | None:
        with self._opened().reading() as connection:
            return place_named(connection, name)
