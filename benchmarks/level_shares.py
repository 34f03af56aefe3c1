"""Do levels hold on collections that nothing was chosen on? Each collection is left out once.

    python benchmarks/level_shares.py DATA [--only flickr8k caltech101 …] [--json]

DATA has photos and what they show, in folders: `flickr8k` (val.jsonl, val.tar), `caltech101`
(train.jsonl, train.tar; names from training/class_names.toml), `everyday` (everyday.jsonl,
everyday.tar: its validation half by names, and the photos with captions), `emoji` (labels.jsonl,
images), `permissive_photos` (captions.jsonl, images) and `doc_pages` (pages.jsonl, images).

Of each collection, its parts, and all of them mixed, searches are made as `pictor eval --cutoff`
makes them: words of `configs/concepts.toml` that are there by any of their names or that are not,
and captions. Two levels are judged: that of the shares that are shipped
(`library/null_scores.py`), and that of shares chosen on the other collections alone, so that on
average over them the aim is met. `silent` is the share of searches for absent things that show
nothing (aims: 75 % at possible, 95 % at likely), `found` that of the others that show a right
photo.
"""

from __future__ import annotations

import argparse
import json
import tarfile
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from measure import note, report
from numpy.typing import NDArray

from pictor import open_library
from pictor.evaluation.absence import questions
from pictor.evaluation.bench import Bench
from pictor.evaluation.captions import CaptionSet, PhotoCaption
from pictor.evaluation.concepts import load_concepts
from pictor.evaluation.cutoff import setting_of
from pictor.library.config import Settings
from pictor.library.null_scores import SCENE_SHARES, WORD_SHARES
from pictor.library.observer import SILENT
from pictor.library.store import Store
from pictor.search.ranking.evidence import COLUMNS, evidence, see

AIMS = {"possible": 0.75, "likely": 0.95}
SHIPPED = {
    "word": dict(zip(AIMS, WORD_SHARES, strict=True)),
    "caption": dict(zip(AIMS, SCENE_SHARES, strict=True)),
}
GRID = np.concatenate([np.arange(0.5, 0.95, 0.01), np.arange(0.95, 1.0, 0.0025)])
SIZES = (50, 200)
NAMES = Path(__file__).parent.parent / "training" / "class_names.toml"


class Photo(NamedTuple):
    """One photo: its file, and by language its captions, or its names as one text."""

    path: Path
    texts: dict[str, list[str]]
    is_named: bool


class Part(NamedTuple):
    """The searches of one language and kind in one collection.

    Attributes:
        null: what texts about absent things reach.
        absent: the same of searches for absent things.
        present: of each other search the (n,) log-odds and whether each photo is right.
    """

    collection: str
    photos: int
    language: str
    kind: str
    null: NDArray[np.float64]
    absent: NDArray[np.float64]
    present: list[tuple[NDArray[np.float64], NDArray[np.bool_]]]

    def silent(self, share: float) -> float:
        """Of the searches for absent things, those that show nothing."""
        return float((self.absent < np.quantile(self.null, share)).mean())


def main() -> None:
    """Print a row for each collection, language, kind of search and level."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--only", nargs="+", default=list(READERS))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    parts: list[Part] = []
    with tempfile.TemporaryDirectory() as folder:
        photos = {
            name: list(READERS[name](options.data.absolute(), Path(folder)))
            for name in options.only
        }
        note(f"indexing {sum(map(len, photos.values())):,} photos…")
        files = [photo.path for some in photos.values() for photo in some]
        with open_library(Path(folder) / "library") as library:
            library.index([listed(files, Path(folder) / "photos.txt")])
        with Store.open(Path(folder) / "library", Settings()) as store:
            bench = Bench(store, store.space(), "auto", SILENT)
            for name, some in collections(photos):
                note(f"{name}…")
                parts += searched(bench, name, some)
    report(
        "level_shares", [row for part in parts for row in rows(part, parts)], as_json=options.json
    )


def collections(photos: dict[str, list[Photo]]) -> Iterator[tuple[str, list[Photo]]]:
    """Each whole, some of each, those of one theme, and all mixed."""
    for name, some in photos.items():
        yield name, some
        order = np.random.default_rng(0).permutation(len(some))
        yield from ((f"{name}, {n}", [some[i] for i in order[:n]]) for n in SIZES if n < len(some))
    dogs = [p for p in photos.get("flickr8k", ()) if any(" dog" in t for t in p.texts["en"])]
    if dogs:
        yield "flickr8k, dogs", dogs
    if len(photos) > 1:
        yield "all mixed", [photo for some in photos.values() for photo in some]


def searched(bench: Bench, name: str, photos: Sequence[Photo]) -> list[Part]:
    """The parts of one collection."""
    from pictor.evaluation.problems import Problems

    held = bench.photos([bytes(photo.path) for photo in photos], Problems())
    photos = [photo for photo, row in zip(photos, held.rows, strict=True) if row >= 0]
    vectors = held.vectors[held.rows[held.rows >= 0]]
    asked = questions(caption_set(photos), load_concepts(), np.ones(len(photos), np.bool_))
    remain = np.flatnonzero(asked.remains)
    setting = setting_of(bench, vectors[remain])
    images = bench.images(vectors[remain])
    names = {t for photo in photos if photo.is_named for some in photo.texts.values() for t in some}
    assert setting.null is not None
    found: dict[tuple[str, str], tuple[list[float], list[Any]]] = {}
    for one, vector in zip(
        asked.queries, bench.texts([q.text for q in asked.queries]), strict=True
    ):
        if one.kind == "caption" and one.text in names:
            continue
        odds = evidence(see(vector, setting), images, setting)[:, COLUMNS.index("log_odds")]
        absent, present = found.setdefault((one.language, one.kind), ([], []))
        if one.is_absent:
            absent.append(float(odds.max()))
        else:
            present.append((odds, np.isin(remain, one.photos)))
    return [
        Part(
            name, len(remain), language, kind, null_of(setting.null, language, kind), np.array(a), p
        )
        for (language, kind), (a, p) in found.items()
        if len(a) >= 20
    ]


def null_of(null: Any, language: str, kind: str) -> NDArray[np.float64]:
    """The scores of the null's texts of a language and kind."""
    chosen = null.is_chinese == (language == "zh")
    chosen[slice(null.rare, None) if kind == "word" else slice(null.rare)] = False
    scores: NDArray[np.float64] = null.highest[chosen]
    return scores


def rows(part: Part, parts: Sequence[Part]) -> Iterator[dict[str, Any]]:
    """A part at each level."""
    family = part.collection.partition(",")[0]
    others = [
        one
        for one in parts
        if one.kind == part.kind and one.collection.partition(",")[0] not in (family, "all mixed")
    ]
    for level, aim in AIMS.items():
        share = SHIPPED[part.kind][level]
        chosen = chosen_share(others, aim) if others and family != "all mixed" else None
        yield {
            "collection": part.collection,
            "photos": part.photos,
            "searches": f"{part.kind}s, {part.language}",
            "level": level,
            "silent %": 100 * part.silent(share),
            "left out: silent %": "" if chosen is None else 100 * part.silent(chosen),
        } | shown(part, share)


def chosen_share(parts: Sequence[Part], aim: float) -> float:
    """The share with which parts are silent as often as is aimed at, on average."""
    means = [float(np.mean([part.silent(share) for part in parts])) for share in GRID.tolist()]
    return float(GRID[int(np.argmin(np.abs(np.array(means) - aim)))])


def shown(part: Part, share: float) -> dict[str, Any]:
    """What searches for things that are there show."""
    if not part.present:
        return {"found %": "", "precision %": ""}
    limit = np.quantile(part.null, share)
    hits = [(odds >= limit, right) for odds, right in part.present]
    count = sum(int(one.sum()) for one, _ in hits)
    good = sum(int((one & right).sum()) for one, right in hits)
    return {
        "found %": 100 * float(np.mean([(one & right).any() for one, right in hits])),
        "precision %": 100 * good / count if count else "",
    }


def caption_set(photos: Sequence[Photo]) -> CaptionSet:
    """The texts of photos."""
    languages = {
        code: tuple(
            PhotoCaption(text, (at,))
            for at, photo in enumerate(photos)
            for text in photo.texts.get(code, ())
        )
        for code in ("en", "zh")
    }
    return CaptionSet(tuple(str(photo.path) for photo in photos), languages)


# --- the collections


def flickr8k(data: Path, folder: Path) -> Iterator[Photo]:
    """The validation half of Flickr8k."""
    for record, path in unpacked(data / "flickr8k" / "val", folder):
        yield Photo(path, {c: record[c] for c in ("en", "zh")}, False)


def caltech101(data: Path, folder: Path) -> Iterator[Photo]:
    """Caltech101 by the names of its classes."""
    names = tomllib.loads(NAMES.read_text(encoding="utf-8"))
    for record, path in unpacked(data / "caltech101" / "train", folder):
        entry = names[record["label"]]
        yield Photo(path, {c: [" . ".join(entry[c])] for c in entry}, True)


def everyday(data: Path, folder: Path) -> Iterator[Photo]:
    """Everyday photos by names, of the half that no encoder is tuned on."""
    for record, path in unpacked(data / "everyday" / "everyday", folder):
        if record["split"] == "val" and record["label_en"]:
            texts = {c: [" . ".join(record[f"label_{c}"])] for c in ("en", "zh")}
            yield Photo(path, texts, True)


def everyday_captions(data: Path, folder: Path) -> Iterator[Photo]:
    """Everyday photos with a caption in each language."""
    for record, path in unpacked(data / "everyday" / "everyday", folder):
        if record["captions_en"]:
            yield Photo(path, {c: record[f"captions_{c}"] for c in ("en", "zh")}, False)


def emoji(data: Path, folder: Path) -> Iterator[Photo]:
    """Drawings by name."""
    for record in lines(data / "emoji" / "labels.jsonl"):
        texts = {c: [" . ".join([record[c], *record[f"tags_{c}"]])] for c in ("en", "zh")}
        yield Photo(data / "emoji" / "images" / record["image"], texts, True)


def permissive_photos(data: Path, folder: Path) -> Iterator[Photo]:
    """A few photos with captions."""
    home = data / "permissive_photos"
    for record in lines(home / "captions.jsonl"):
        yield Photo(home / "images" / record["image"], {c: record[c] for c in ("en", "zh")}, False)


def doc_pages(data: Path, folder: Path) -> Iterator[Photo]:
    """Pages of text, which show no concept at all."""
    for record in lines(data / "doc_pages" / "pages.jsonl"):
        yield Photo(data / "doc_pages" / "images" / record["image"], {"en": [], "zh": []}, True)


READERS = {
    "flickr8k": flickr8k,
    "caltech101": caltech101,
    "everyday": everyday,
    "everyday_captions": everyday_captions,
    "emoji": emoji,
    "permissive_photos": permissive_photos,
    "doc_pages": doc_pages,
}


def listed(files: Sequence[Path], path: Path) -> Path:
    """A list of files, as a root of a library."""
    path.write_text("".join(f"{file}\n" for file in dict.fromkeys(files)))
    return path


def lines(path: Path) -> list[Any]:
    """The objects of a file of JSON lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def unpacked(base: Path, folder: Path) -> list[tuple[Any, Path]]:
    """The records of base.jsonl, each with its photo out of base.tar."""
    home = folder / base.name
    if not home.exists():
        with tarfile.open(base.with_suffix(".tar")) as tar:
            tar.extractall(home, filter="data")
    return [(record, home / record["image"]) for record in lines(base.with_suffix(".jsonl"))]


if __name__ == "__main__":
    main()
