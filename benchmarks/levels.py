"""Do levels hold on labelled photos? Searches for names of things that are there, and that are not.

    python benchmarks/levels.py PHOTOS LABELS.jsonl [--sizes 50 400 1500] [--split val]
        [--queries 300] [--encoder builtin] [--json]

LABELS.jsonl has one object a line: `image` (a file name), `label_en` and `label_zh` (the name of
what is shown, then synonyms and broader words), and maybe `split`. A library is made of so many
photos, drawn by a seed. Absent queries are first names that no photo of it has among its labels,
present ones first names that some have. All go through the index and the search as a user's would.

`silent` is the share of absent queries that show nothing, `found` that of present ones that show a
right photo, `precision` how much of what those show is right by the labels, which name one thing a
photo, `false` the hits of an absent query on average.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from measure import note, report

from pictor import Library, open_library
from pictor.query import Query, SearchOptions, words

LANGUAGES = ("en", "zh")
LEVELS = ("possible", "likely")


def main() -> None:
    """Make a library of each size and print a row for each language and level."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("--sizes", type=int, nargs="+", default=[50, 400, 1500])
    parser.add_argument("--split")
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--encoder", default="builtin")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    lines = options.labels.read_text(encoding="utf-8").splitlines()
    photos = [photo for photo in map(json.loads, lines) if photo["label_en"]]
    names = {code: sorted({p[f"label_{code}"][0] for p in photos}) for code in LANGUAGES}
    able = [p for p in photos if options.split in (None, p.get("split"))]
    rows: list[dict[str, Any]] = []
    for size in options.sizes:
        order = np.random.default_rng(size).permutation(len(able))[:size]
        note(f"indexing {len(order):,} photos…")
        with tempfile.TemporaryDirectory() as folder:
            rows += measured(Path(folder), options, [able[i] for i in order], names)
    report("levels", rows, as_json=options.json)


def measured(
    folder: Path, options: argparse.Namespace, photos: list[Any], names: dict[str, list[str]]
) -> list[dict[str, Any]]:
    """The rows of one library."""
    (folder / "photos").mkdir()
    for photo in photos:
        shutil.copy(options.photos / photo["image"], folder / "photos")
    rows = []
    with open_library(folder / "library") as library:
        library.index([folder / "photos"], encoders=[options.encoder])
        for code in LANGUAGES:
            right: dict[str, set[str]] = {name: set() for name in names[code]}
            for photo in photos:
                for name in photo[f"label_{code}"]:
                    right.setdefault(name, set()).add(Path(photo["image"]).name)
            for level in LEVELS:
                row = {"photos": len(photos), "language": code, "level": level}
                rows.append(row | figures(library, names[code], right, level, options.queries))
    return rows


def figures(
    library: Library, names: list[str], right: dict[str, set[str]], level: str, most: int
) -> dict[str, Any]:
    """Of one language and level."""
    options = SearchOptions(top=1000, minimum=level, is_folded=False)
    chosen = np.random.default_rng(0).permutation(names).tolist()
    absent = [name for name in chosen if not right[name]][:most]
    present = [name for name in chosen if right[name]][:most]
    shown = {name: shown_for(library, name, options) for name in absent + present}
    hits = sum(len(shown[name]) for name in present)
    good = {name: len(shown[name] & right[name]) for name in present}
    return {
        "absent": len(absent),
        "present": len(present),
        "silent": float(np.mean([not shown[name] for name in absent])) if absent else None,
        "found": float(np.mean([good[name] > 0 for name in present])),
        "precision": sum(good.values()) / hits if hits else None,
        "false": float(np.mean([len(shown[name]) for name in absent])) if absent else None,
    }


def shown_for(library: Library, name: str, options: SearchOptions) -> set[str]:
    """The names of the files that a search shows."""
    found = library.search(Query((words(name),)), options=options)
    return {Path(os.fsdecode(hit.path)).name for hit in found}


if __name__ == "__main__":
    main()
