"""Questions: an answer that cites items of the library, or says that nothing fits."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import Field

from pictor.answers import Answer, ItemEvidence
from pictor.service.context import Given
from pictor.service.routes.search import Strict
from pictor.service.views import hit_view

router = APIRouter(prefix="/v1")


class AskBody(Strict):
    """A question in plain words, in English or Chinese."""

    question: Annotated[str, Field(max_length=1000)]
    top: Annotated[int, Field(ge=1, le=100)] = 5
    minimum: Literal["likely", "possible"] = "possible"


@router.post("/ask")
async def ask(body: AskBody, context: Given) -> dict[str, Any]:
    """The answer, from what the library knows of the items found; it cites them by number."""
    answer = await context.gate.run(
        lambda: context.library.answers.ask(body.question, top=body.top, minimum=body.minimum)
    )
    return answer_view(answer)


def answer_view(answer: Answer) -> dict[str, Any]:
    """An answer and its evidence."""
    cited = dict.fromkeys(citation.number for citation in answer.citations)
    return {
        "question": answer.question,
        "asked": str(answer.asked.query),
        "intent": answer.intent.value,
        "is_answered": answer.is_answered,
        "reason": answer.reason,
        "text": answer.text,
        "confidence": answer.confidence,
        "answerer": answer.answerer,
        "model": answer.model,
        "citations": list(cited),
        "evidence": [_evidence_view(one) for one in answer.evidence],
        "dropped": list(answer.dropped),
        "seconds": round(answer.seconds, 3),
    }


def _evidence_view(one: ItemEvidence) -> dict[str, Any]:
    view = hit_view(one.hit, None, has_why=False)
    return {"number": one.number, "caption": one.caption, **view}
