"""Retrieval quality through the real index and search: recall of captions over a folder of photos.

    python benchmarks/recall.py PHOTOS CAPTIONS.jsonl [--encoder builtin] [--command 20] [--json]

CAPTIONS.jsonl has one object a line: `image` (a file name) and, for each language, a list of
captions (`en`, `zh`). Every caption is a query; a hit is its own photo among the first 1, 5 or 10.
`--command` also asks so many of them through `pictor search --json` and holds the ranks against
the library's.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from measure import note, report

from pictor import Library, open_library
from pictor.query import Query, SearchOptions, words

PICTOR = Path(sys.executable).with_name("pictor")
LANGUAGES = ("en", "zh")
TOP = 10
#: Nothing cut off and nothing folded: the ranking itself is measured.
EVERYTHING = SearchOptions(top=TOP, minimum="any", is_folded=False)


def main() -> None:
    """Index the photos with the command, ask every caption, print a row a language."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("captions", type=Path)
    parser.add_argument("--encoder", default="builtin")
    parser.add_argument("--command", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    lines = options.captions.read_text(encoding="utf-8").splitlines()
    photos = [json.loads(line) for line in lines]
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "library"
        command = [PICTOR, "--library", home, "index", options.photos]
        subprocess.run([*command, "--encoder", options.encoder], check=True)
        with open_library(home) as library:
            rows = [row for language in LANGUAGES if (row := measure(library, photos, language))]
            for language in LANGUAGES:
                check_command(library, home, photos, language, options.command)
    report("recall", rows, as_json=options.json)


def measure(library: Library, photos: list[Any], language: str) -> dict[str, Any]:
    """Recall at 1, 5 and 10 of all captions in one language, in percent."""
    ranks = [
        rank_of(library, caption, photo["image"])
        for photo in photos
        for caption in photo.get(language, [])
    ]
    if not ranks:
        return {}
    row: dict[str, Any] = {"language": language, "photos": len(photos), "queries": len(ranks)}
    for k in (1, 5, 10):
        row[f"R@{k} %"] = 100 * sum(rank is not None and rank <= k for rank in ranks) / len(ranks)
    return row


def rank_of(library: Library, caption: str, image: str) -> int | None:
    """The rank of a photo among the first hits, None beyond them."""
    for hit in library.search(as_it_is(caption), options=EVERYTHING):
        if os.path.basename(hit.path) == os.fsencode(image):
            return hit.rank
    return None


def as_it_is(caption: str) -> Query:
    """A query of nothing but the words: "a man without a hat" is a caption like any other."""
    return Query((words(caption),))


def check_command(
    library: Library, home: Path, photos: list[Any], language: str, count: int
) -> None:
    """Stop unless the command gives the same hits in the same order."""
    step = max(1, len(photos) // max(1, count))
    for photo in photos[::step][:count]:
        caption = photo[language][0]
        asked = as_it_is(caption)
        command = [PICTOR, "--library", home, "search", "--json", "--top", str(TOP), "--min", "any"]
        command += ["--no-fold", "--", str(asked)]
        printed = subprocess.run(command, check=True, capture_output=True).stdout.splitlines()
        theirs = [json.loads(line)["path"] for line in printed]
        ours = [hit.path.decode() for hit in library.search(asked, options=EVERYTHING)]
        if theirs != ours:
            raise SystemExit(f"the command disagrees with the library on {caption!r}")
    note(f"{language}: {count} captions gave the same hits through the command")


if __name__ == "__main__":
    main()
