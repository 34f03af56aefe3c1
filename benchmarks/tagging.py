"""Tags: how precise they are on photos with a class label, how fast on a million vectors.

    python benchmarks/tagging.py PHOTOS [--labels FILE] [--lines FILE.jsonl] [--trained FILE]
        [--nothing FOLDER] [--encoder NAME] [--language en] [--min 0.3] [--json]
    python benchmarks/tagging.py --scale 1000000 [--names 1000] [--library DIR] [--json]

PHOTOS is a folder with a subfolder a class, or any folder (or tar archive) with --lines: JSON
lines of `image` and `label`. --labels is a TOML table of classes with names by language (a section
a class, with lists en and zh); without it the classes are their own names. --trained lists photos
that the encoder was trained on, one name a line: they are measured apart. --nothing is a folder of
photos that show none of the classes: the share of them that gets a tag all the same.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from measure import cost, note, report
from sqlalchemy import delete

from pictor.indexer.run import index
from pictor.library import caption_bank
from pictor.library.catalog import files, tags
from pictor.library.catalog.schema import TAG, TAG_SET
from pictor.library.config import Settings
from pictor.library.observer import SILENT
from pictor.library.store import Store
from pictor.tagging.labels import Label, LabelSet, language_of
from pictor.tagging.run import TagOptions, tag

MIB = 1 << 20
BATCH = 20_000


def main() -> None:
    """One of the two measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", nargs="?", type=Path)
    parser.add_argument("--labels", type=Path)
    parser.add_argument("--lines", type=Path)
    parser.add_argument("--trained", type=Path)
    parser.add_argument("--nothing", type=Path)
    parser.add_argument("--encoder", default="builtin")
    parser.add_argument("--language", default=None)
    parser.add_argument("--min", type=float, default=None)
    parser.add_argument("--scale", type=int, default=0)
    parser.add_argument("--names", type=int, default=1000)
    parser.add_argument("--library", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.scale:
        scale(options)
    elif options.photos:
        report("tagging", precision(options), as_json=options.json)
    else:
        parser.error("name PHOTOS, or --scale N")


# --- precision and recall


def precision(options: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for the photos trained on, for the others, and for those that show nothing of it."""
    names = _names(options)
    labels = LabelSet("classes", tuple(Label(n["en"][0], n) for n in names.values()))
    label_of = {name: label.label for name, label in zip(names, labels.labels, strict=True)}
    trained = set(options.trained.read_text().split("\n")) if options.trained else set()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as home:
        roots = [os.fsencode(one.absolute()) for one in (options.photos, options.nothing) if one]
        with Store.create(Path(home) / "library", Settings()) as library:
            index(library, roots, [options.encoder])
            wanted = TagOptions(minimum=options.min, language=options.language)
            summary = tag(library, labels, wanted)
            note(f"least score {summary.minimum}, {len(labels.labels)} labels")
            found = dict(_tagged(library, roots[0]))
            classes = _classes(options, found)
            others_are = "not trained on" if options.trained else "all"
            for group, is_known in ((others_are, False), ("trained on", True)):
                chosen = [p for p in classes if (os.path.basename(p) in trained) == is_known]
                if chosen:
                    truth = {path: label_of[classes[path]] for path in chosen}
                    rows.append(_row(group, truth, found))
            if options.nothing:
                others = dict(_tagged(library, roots[1]))
                given = {"count": len(others), "tags": sum(len(one) for one in others.values())}
                none = {"precision": "", "recall": ""}
                rows.append({"photos": "of none of them"} | given | none | _share(others))
    return rows


def _names(options: argparse.Namespace) -> dict[str, dict[str, tuple[str, ...]]]:
    if options.labels:
        table = tomllib.loads(options.labels.read_text(encoding="utf-8"))
        return {
            name: {language: tuple(texts) for language, texts in entry.items()}
            for name, entry in table.items()
        }
    if options.lines:
        found = sorted({json.loads(line)["label"] for line in options.lines.open()})
    else:
        found = sorted(one.name for one in options.photos.iterdir() if one.is_dir())
    texts = {name: name.replace("_", " ") for name in found}
    return {name: {language_of(text): (text,)} for name, text in texts.items()}


def _classes(options: argparse.Namespace, photos: dict[str, set[str]]) -> dict[str, str]:
    """Path → class, of photos that have one."""
    if options.lines:
        lines = [json.loads(line) for line in options.lines.read_text().splitlines()]
        known = {line["image"]: line["label"] for line in lines}
        return {p: known[os.path.basename(p)] for p in photos if os.path.basename(p) in known}
    return {path: path.split("/")[0] for path in photos if "/" in path}


def _tagged(library: Store, location: bytes) -> Iterator[tuple[str, set[str]]]:
    """(path under a root, labels) of every indexed photo of it."""
    with library.reading() as connection:
        root = next(one for one in files.roots(connection) if one.location == location)
        contents = tags.indexed_contents(connection, 0, 10_000_000)
        labels: dict[int, set[str]] = {}
        for row in tags.tags_of(connection, contents):
            labels.setdefault(row.content_id, set()).add(row.label)
        for content, places in files.places(connection, contents).items():
            for place in places:
                if place.root_id == root.id:
                    yield os.fsdecode(place.path), labels.get(content, set())


def _row(group: str, truth: dict[str, str], found: dict[str, set[str]]) -> dict[str, Any]:
    given = sum(len(found[path]) for path in truth)
    right = sum(label in found[path] for path, label in truth.items())
    row = {"photos": group, "count": len(truth), "tags": given}
    return (
        row
        | {"precision": right / max(given, 1), "recall": right / len(truth)}
        | _share({path: found[path] for path in truth})
    )


def _share(found: dict[str, set[str]]) -> dict[str, Any]:
    return {"tagged %": 100 * sum(bool(one) for one in found.values()) / max(len(found), 1)}


# --- a million vectors


def scale(options: argparse.Namespace) -> None:
    """A pass over drawn vectors in a space of the built-in encoder, in a process of its own."""
    if options.library and (options.library / "catalog.sqlite").is_file():
        report("tagging at scale", [passes(options.library, options)], as_json=options.json)
        return
    with tempfile.TemporaryDirectory() as home:
        folder = options.library or Path(home) / "library"
        _make(folder, options.scale)
        command = [sys.executable, __file__, *sys.argv[1:]]
        subprocess.run([*command, "--library", folder], check=True)


def _make(folder: Path, count: int) -> None:
    from synthetic import make_library

    note(f"making a library of {count:,} items")
    paths = [b"%08d.jpg" % at for at in range(count)]
    make_library(folder, folder.parent / "photos", paths, on_disk=False, with_index=False)
    with Store.open(folder, Settings()) as library, library.writer():
        caption_bank.fill(library, library.space(), SILENT)


def passes(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Seconds of a pass over all and of one over nothing new; the peak memory of this process."""
    words = [f"{first} {second}" for first in _WORDS for second in _WORDS][: options.names]
    labels = LabelSet("many", tuple(Label(word, {"en": (word,)}) for word in words))
    given = TagOptions(minimum=0.004 if options.min is None else options.min)
    with Store.open(folder, Settings()) as library:
        with library.writer(), library.writing() as connection:
            held = tags.tag_set(connection, labels.name)
            if held is not None:
                connection.execute(delete(TAG).where(TAG.c.set_id == held.id))
                connection.execute(delete(TAG_SET).where(TAG_SET.c.id == held.id))
        with cost() as spent:
            summary = tag(library, labels, given)
        again = tag(library, labels, given)
    return {
        "vectors": summary.contents,
        "labels": len(words),
        "seconds": spent.wall_s,
        "CPU s": spent.cpu_s,
        "tags": summary.tags,
        "peak MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "again, s": again.seconds,
    }


_WORDS = (
    "red",
    "green",
    "blue",
    "old",
    "young",
    "small",
    "large",
    "wooden",
    "broken",
    "wet",
    "dry",
    "happy",
    "dark",
    "bright",
    "round",
    "square",
    "dog",
    "cat",
    "car",
    "house",
    "tree",
    "river",
    "boat",
    "chair",
    "flower",
    "bridge",
    "mountain",
    "bird",
    "horse",
    "train",
    "cake",
    "snow",
)

if __name__ == "__main__":
    main()
