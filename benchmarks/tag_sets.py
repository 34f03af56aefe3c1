"""Are the tags of the shipped sets right? On photos with labels or captions, in both languages.

    python benchmarks/tag_sets.py PHOTOS LINES.jsonl [--labels everyday coco] [--split val]
        [--limit 1000] [--encoder builtin] [--json]

LINES.jsonl has one object a line: `image` (a file name) and either `label_en` and `label_zh` (the
name of what is shown, then synonyms and broader words) or captions (`captions_en` and
`captions_zh`, or `en` and `zh`), and maybe `split`. Photos with labels and photos with captions are
measured apart.

A tag is right where a name of it, or of a label under it, is among the labels of the photo, or is a
word of its captions, by any of the names of `configs/concepts.toml`. Labels name one thing a photo
and captions not all, so more tags are right than are counted. `recall` is over the tags that are
right by the same rule, `tagged` the share of the photos with one that have a right tag, `none` that
of the other photos which have no tag.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from measure import note, report
from numpy.typing import NDArray

from pictor import Library, open_library
from pictor.evaluation.concepts import Concept, load_concepts, named_in
from pictor.query import SearchOptions
from pictor.tagging.labels import LabelSet, read_labels
from pictor.tagging.run import TagOptions

Truth = NDArray[np.bool_]


def main() -> None:
    """Print a row for each kind of photos, set and language."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("lines", type=Path)
    parser.add_argument("--labels", nargs="+", default=["everyday", "coco"])
    parser.add_argument("--split")
    parser.add_argument("--limit", type=int, default=1000)
    parser.add_argument("--encoder", default="builtin")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    photos = [json.loads(line) for line in options.lines.read_text(encoding="utf-8").splitlines()]
    photos = [photo for photo in photos if options.split in (None, photo.get("split"))]
    kinds = {"labels": [p for p in photos if words_of(p)]}
    kinds["captions"] = [p for p in photos if captions_of(p) and not words_of(p)]
    rows: list[dict[str, Any]] = []
    for kind, some in kinds.items():
        order = np.random.default_rng(0).permutation(len(some))[: options.limit]
        if order.size:
            note(f"indexing {len(order):,} photos with {kind}…")
            with tempfile.TemporaryDirectory() as folder:
                rows += measured(Path(folder), options, kind, [some[at] for at in order])
    report("tag_sets", rows, as_json=options.json)


def measured(
    folder: Path, options: argparse.Namespace, kind: str, photos: list[Any]
) -> list[dict[str, Any]]:
    """The rows of one library."""
    (folder / "photos").mkdir()
    for photo in photos:
        shutil.copy(options.photos / photo["image"], folder / "photos")
    rows = []
    with open_library(folder / "library") as library:
        library.index([folder / "photos"], encoders=[options.encoder])
        for name in options.labels:
            labels = read_labels(name)
            right = by_labels(labels, photos) if kind == "labels" else by_captions(labels, photos)
            for language in ("en", "zh"):
                library.tags.apply(name, options=TagOptions(language=language))
                given = tags_of(library, labels, photos)
                row = {"photos": f"{len(photos)} with {kind}", "set": name, "language": language}
                rows.append(row | figures(given, right))
    return rows


def figures(given: Truth, right: Truth) -> dict[str, Any]:
    """Of (photos, labels) tags."""
    hits, has = int((given & right).sum()), right.any(axis=1)
    return {
        "tags": int(given.sum()),
        "precision": hits / max(int(given.sum()), 1),
        "recall": hits / max(int(right.sum()), 1),
        "tagged": float((given & right)[has].any(axis=1).mean()) if has.any() else "",
        "none": float((~given[~has].any(axis=1)).mean()) if (~has).any() else "",
    }


def by_labels(labels: LabelSet, photos: Sequence[Any]) -> Truth:
    """(photos, labels): a name of a label, or of one under it, is among a photo's labels."""
    names = names_under(labels)
    return np.array([[bool(one & words_of(photo)) for one in names] for photo in photos])


def by_captions(labels: LabelSet, photos: Sequence[Any]) -> Truth:
    """(photos, labels): a name of a label, or of one under it, is a word of a photo's captions."""
    known = load_concepts()
    people = [one for one in known if one.is_person]
    wanted = []
    for names in names_under(labels):
        kin = [one for one in known if names & {one.names["en"][0], one.names["zh"][0]}]
        kin += people if "person" in names else []
        english = {name for name in names if name.isascii()}
        english |= {name for one in kin for name in one.names["en"]}
        chinese = {name for name in names if not name.isascii()}
        chinese |= {name for one in kin for name in one.names["zh"]}
        exceptions = tuple(text for one in kin for text in one.exceptions)
        wanted.append(Concept({"en": tuple(english), "zh": tuple(chinese)}, exceptions))
    return named_in(wanted, [" . ".join(captions_of(photo)) for photo in photos]).T


def names_under(labels: LabelSet) -> list[set[str]]:
    """The names of each label and of all under it."""
    found: dict[str, set[str]] = {label.label: set() for label in labels.labels}
    for label in labels.labels:
        for above in labels.lineage(label.label):
            found[above].update(name.lower() for names in label.names.values() for name in names)
    return [found[label.label] for label in labels.labels]


def words_of(photo: Any) -> set[str]:
    """The labels of a photo."""
    return {name.lower() for code in ("en", "zh") for name in photo.get(f"label_{code}", ())}


def captions_of(photo: Any) -> list[str]:
    """The captions of a photo."""
    keys = ("captions_en", "captions_zh") if "captions_en" in photo else ("en", "zh")
    return [text for key in keys for text in photo.get(key, ())]


def tags_of(library: Library, labels: LabelSet, photos: Sequence[Any]) -> Truth:
    """(photos, labels) the tags of a set."""
    options = SearchOptions(top=len(photos), is_folded=False)
    rows = {photo["image"]: at for at, photo in enumerate(photos)}
    found = np.zeros((len(photos), len(labels.labels)), np.bool_)
    for column, label in enumerate(labels.labels):
        query = f'label-set:{labels.name} tag:"{label.label}"'
        for hit in library.search(query, options=options):
            found[rows[os.path.basename(os.fsdecode(hit.path))], column] = True
    return found


if __name__ == "__main__":
    main()
