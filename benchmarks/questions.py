"""Does a question find what its words alone find, and is one of something absent left unanswered?

    python benchmarks/questions.py PHOTOS CAPTIONS.jsonl [--queries 200] [--json]

CAPTIONS.jsonl has one object a line: `image` (a file name) and, for each language, a list of
captions (`en`, `zh`). Things are taken out of the photos as in `pictor eval --cutoff`, so that
some captions and words are of what is absent. Each is asked in the frames of `questions.toml`,
a different one each time, through `library.answers.evidence`; and searched for as it is.

Rows are of a language and a half of the frames: the rules were written with `writing` in sight.
`kept %` is how much of recall@5 is left, of captions of photos that are there; `right %` is the
share of questions of which exactly the caption and the intent were read; `silent %` is the share of
absent things without an answer, at each least level, and of the same things as they are.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
import tomllib
from collections.abc import Sequence
from datetime import date
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from measure import note, report

from pictor import Library, QueryError, open_library
from pictor.answers.question import read_question
from pictor.evaluation.absence import CAPTION, Question, questions
from pictor.evaluation.captions import CaptionSet, PhotoCaption
from pictor.evaluation.concepts import load_concepts
from pictor.query import SearchOptions, parse

FRAMES = Path(__file__).with_suffix(".toml")
HALVES = ("writing", "held_out")
LANGUAGES = ("en", "zh")
TODAY = date(2026, 1, 1)
K = 5


def main() -> None:
    """Index what remains of the photos and print a row for each language and half."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("captions", type=Path)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    captions = captions_of(options.captions)
    asked = questions(captions, load_concepts(), np.ones(len(captions.photos), np.bool_))
    names = [captions.photos[at] for at in np.flatnonzero(asked.remains)]
    note(f"indexing {len(names):,} photos…")
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder) / "photos"
        photos.mkdir()
        for name in names:
            shutil.copy(options.photos / name, photos)
        with open_library(Path(folder) / "library") as library:
            library.index([photos])
            rows = [
                measured(library, captions, asked.queries, language, half, options.queries)
                for language in LANGUAGES
                for half in HALVES
            ]
    report("questions", rows, as_json=options.json)


def captions_of(path: Path) -> CaptionSet:
    """The captions of a file in JSON lines."""
    photos = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    languages = {
        code: tuple(
            PhotoCaption(text, (at,)) for at, one in enumerate(photos) for text in one.get(code, ())
        )
        for code in LANGUAGES
    }
    return CaptionSet(tuple(one["image"] for one in photos), languages)


def measured(
    library: Library,
    captions: CaptionSet,
    every: Sequence[Question],
    language: str,
    half: str,
    most: int,
) -> dict[str, Any]:
    """The row of one language and half of the frames."""
    table = tomllib.loads(FRAMES.read_text(encoding="utf-8"))[language][half]
    frames = cycle([(intent, frame) for intent, some in table.items() for frame in some])
    own = [one for one in every if one.language == language]
    there = [one for one in own if one.kind == CAPTION and not one.is_absent]
    there = there[:: max(1, len(there) // most)][:most]
    absent = [one for one in own if one.is_absent]
    right = plain = kept = 0
    for one in there:
        intent, frame = next(frames)
        text, name = bare(one.text), captions.photos[one.photos[0]]
        question = frame.format(text)
        right += is_read(question, text, intent)
        hits = library.search(text, top=K)
        plain += name in names_of([hit.path for hit in hits])
        kept += name in evidence_for(library, question)
    row = {
        "language": language,
        "half": half,
        "captions": len(there),
        "right %": 100 * right / len(there),
        "R@5 as it is %": 100 * plain / len(there),
        "R@5 asked %": 100 * kept / len(there),
        "kept %": 100 * kept / plain if plain else None,
        "absent": len(absent),
    }
    return row | silence(library, absent, frames)


def silence(library: Library, absent: Sequence[Question], frames: Any) -> dict[str, float]:
    """The share of absent things that find nothing, as they are and asked, at each level."""
    asked = [next(frames)[1].format(bare(one.text)) for one in absent]
    row = {}
    for level in ("possible", "likely"):
        options = SearchOptions(top=1, minimum=level)  # type: ignore[arg-type]
        found = [library.search(bare(one.text), options=options) for one in absent]
        row[f"silent as it is, {level} %"] = 100 * float(np.mean([not hits for hits in found]))
        shown = [evidence_for(library, one, level) for one in asked]
        row[f"silent asked, {level} %"] = 100 * float(np.mean([not one for one in shown]))
    return row


def evidence_for(library: Library, question: str, level: str = "possible") -> set[str]:
    """The names of the photos that an answer would rest on; none where nothing could be read."""
    try:
        found = library.answers.evidence(question, top=K, minimum=level)  # type: ignore[arg-type]
    except QueryError:
        return set()
    return names_of([one.hit.path for one in found.evidence])


def bare(caption: str) -> str:
    """A caption without what ends its sentence."""
    return caption.strip().rstrip(".。 ")


def is_read(question: str, caption: str, intent: str) -> bool:
    """Whether of a question just the caption and the intent were read."""
    asked = read_question(question, today=TODAY, places=lambda _: None)
    return asked.intent == intent and asked.query == parse(caption, pictures=False)


def names_of(paths: Sequence[bytes]) -> set[str]:
    """The names of files without their folders."""
    return {os.fsdecode(os.path.basename(path)) for path in paths}


if __name__ == "__main__":
    main()
