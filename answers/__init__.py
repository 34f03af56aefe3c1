"""Answers: questions become queries, hits become evidence, evidence becomes text that cites it.

The names below are loaded when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pictor.answers.citations import Citation as Citation
    from pictor.answers.evidence import Findings as Findings
    from pictor.answers.evidence import ItemEvidence as ItemEvidence
    from pictor.answers.frames import Intent as Intent
    from pictor.answers.gates import NOT_SHOWN as NOT_SHOWN
    from pictor.answers.gates import Answer as Answer
    from pictor.answers.gates import Answerer as Answerer
    from pictor.answers.gates import AnswerPart as AnswerPart
    from pictor.answers.question import Asked as Asked
    from pictor.answers.verbs import Answers as Answers
else:
    from pictor.library.exports import exports

    __getattr__, __dir__ = exports(__name__)
