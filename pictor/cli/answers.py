"""`pictor ask`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from pictor import JsonObject
from pictor.cli import output
from pictor.cli.options import JSON, Target, Verb
from pictor.library.names import path_fields, safe_text, shown

if TYPE_CHECKING:
    from pictor.answers import Answer, AnswerPart, ItemEvidence
    from pictor.hits_page import Section


@click.command(cls=Verb)
@click.argument("question")
@click.option(
    "--top",
    type=click.IntRange(1, 100),
    default=5,
    show_default=True,
    metavar="N",
    help="Maximum number of pictures that the answer rests on.",
)
@click.option(
    "--min",
    "minimum",
    type=click.Choice(["likely", "possible"]),
    default="possible",
    show_default=True,
    help="Minimum level of those pictures.",
)
@click.option("--stream", is_flag=True, help="Print the pictures first, then the text as it comes.")
@click.option("--html", metavar="FILE", type=click.Path(), help="Also write an HTML page.")
@JSON
@click.pass_obj
def ask(
    target: Target,
    /,
    question: str,
    top: int,
    minimum: Literal["likely", "possible"],
    stream: bool,
    html: str | None,
    as_json: bool,
) -> None:
    """Answer a question from the photos, in English or Chinese.

    The answer states dates, places, cameras, counts and what people wrote, and cites pictures by
    number, or says that nothing fits. Filters work as in a search: "how many dogs camera:sony?"

    \b
        pictor ask "when was I last in the snow?"
        pictor ask "how many photos of dogs did I take in 2023?"
        pictor ask 有没有在海边奔跑的狗的照片？ --html answer.html
    """
    if stream and as_json:
        raise click.UsageError("--json and --stream exclude each other: give one of them")
    if html is not None:
        from pictor.library.html_files import check_target

        check_target(Path(html))
    answer: Answer | None = None
    with target.open() as library:
        for part in library.answers.stream(question, top=top, minimum=minimum):
            answer = part.answer or answer
            if stream:
                _write_part(part)
        assert answer is not None
        if as_json:
            output.write_json(answer_json(answer))
        elif not stream:
            _write_answer(answer)
        if html is not None:
            _write_page(Path(html), answer)


def answer_json(answer: Answer) -> JsonObject:
    """An answer as the JSON object that `--json` prints."""
    by_number = {one.number: one for one in answer.evidence}
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
        "citations": [_place_json(by_number[number]) for number in cited],
        "evidence": [_evidence_json(one) for one in answer.evidence],
        "dropped": list(answer.dropped),
        "seconds": round(answer.seconds, 3),
    }


def _evidence_json(one: ItemEvidence) -> JsonObject:
    hit = one.hit
    return {
        **_place_json(one),
        "level": None if hit.level is None else hit.level.value,
        "probability": None if hit.probability is None else round(hit.probability, 4),
        "taken_at": hit.taken_at,
        "caption": one.caption,
        "text": None,  # what stands in a picture is not read
    }


def _place_json(one: ItemEvidence) -> JsonObject:
    return {"number": one.number, "item": one.hit.item, **path_fields(one.hit.path)}


def _write_answer(answer: Answer) -> None:
    for line in answer.text.splitlines():
        output.write_line(safe_text(line))
    _write_evidence(answer.evidence)


def _write_evidence(evidence: Sequence[ItemEvidence]) -> None:
    rows = [
        (
            f"[{one.number}]",
            one.hit.level or "",
            (one.hit.taken_at or "")[:16].replace("T", " "),
            shown(one.hit.path),
        )
        for one in evidence
    ]
    if rows:
        output.write_rows(("cited as", "level", "taken at", "path"), rows)


def _write_part(part: AnswerPart) -> None:
    """A step of an answer, at once."""
    _write_evidence(part.evidence)
    lines = "\n".join(safe_text(line) for line in part.text.split("\n"))
    output.write_bytes(lines.encode("utf-8", "backslashreplace"))
    if part.kind == "end":
        output.write_line("")
    sys.stdout.flush()


def page_section(answer: Answer) -> Section:
    """An answer on a page of hits: its text, and the pictures under the numbers that it cites."""
    from pictor.hits_page import Section

    hits = [replace(one.hit, rank=one.number) for one in answer.evidence]
    return Section(answer.question, hits, answer.text)


def _write_page(path: Path, answer: Answer) -> None:
    from pictor.hits_page import write_page

    write_page(path, [page_section(answer)])
    output.say(f"written: {path}")
