"""What `fit_cutoff.py` fits on: photos, queries and the bank as one encoder sees them."""

from __future__ import annotations

import os
import re
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pictor.evaluation import concept_pairs
from pictor.evaluation.absence import CAPTION, LANGUAGES, WORD, Questions, questions
from pictor.evaluation.bench import Bench
from pictor.evaluation.captions import CaptionSet, captions_in
from pictor.evaluation.concept_pairs import Pair
from pictor.evaluation.concepts import Concept, kin, load_concepts, mentions
from pictor.evaluation.problems import Problems
from pictor.evaluation.record_files import read
from pictor.indexer.run import index
from pictor.library.caption_bank import Bank, open_bank
from pictor.library.config import Settings
from pictor.library.observer import SILENT
from pictor.library.records import FloatMatrix, Scoring
from pictor.library.store import Store
from pictor.search.ranking.evidence import Usual

BoolMatrix = NDArray[np.bool_]
CLIP_SCORING = Scoring("softmax", 100.0, 0.0)  # of every CLIP checkpoint by OpenAI
#: Class names of things that photos of people show and captions do not mention.
UNSAID = frozenset(
    (
        *("shirt", "jersey", "trousers", "sock", "shoe", "short_pants", "sweatshirt", "belt"),
        *(
            "tank_top_(clothing)",
            "button",
            "collar",
            "earring",
            "jean",
            "jacket",
            "coat",
            "sweater",
        ),
        *("polo_shirt", "blouse", "wristlet", "bracelet", "strap", "shoelace", "necklace", "ring"),
        *("sandal_(type_of_shoe)", "legging", "sweat_pants", "person", "handle", "doorknob"),
        "brick",
    )
)


class World(NamedTuple):
    """One encoder.

    Attributes:
        photos: (n, d) of the collection; queries: (q, d).
        right: (q, n) the right photos of each query; none if what it asks for is absent.
        is_caption: (q,) whether a query is a caption, which may fit other photos as well.
        pairs: rows of queries, one to look for and one that is not wanted.
        usual: scores of queries on photos that have nothing to do with them.
    """

    scoring: Scoring
    bank: Bank
    photos: FloatMatrix
    queries: FloatMatrix
    right: BoolMatrix
    is_caption: NDArray[np.bool_]
    pairs: list[Pair]
    usual: Usual


def read_captions(path: Path) -> CaptionSet:
    """A file of captions, which must be whole."""
    problems = Problems()
    return captions_in(path, read(path, problems), problems)


def encoder_world(name: str, photos: Path, captions: CaptionSet) -> World:
    """An encoder that is at hand, through a library of the photos."""
    with tempfile.TemporaryDirectory() as folder:
        home = _unpacked(photos, Path(folder) / "photos")
        with Store.create(Path(folder) / "library", Settings()) as library:
            index(library, [str(home)], [name])
            space = library.space(name)
            bench = Bench(library, space, "exact", SILENT)
            found = bench.photos([os.fsencode(home / p) for p in captions.photos], Problems())
            asked = questions(captions, load_concepts(), found.rows >= 0)
            texts = bench.texts([one.text for one in asked.queries])
            bank = open_bank(library, space)
    right, is_caption = _answers(asked)
    remain = np.flatnonzero(asked.remains)
    vectors, right = found.vectors[found.rows[remain]], right[:, remain]
    pairs: list[Pair] = []
    for language in LANGUAGES:
        rows = [
            i for i, one in enumerate(asked.queries) if (one.kind, one.language) == (WORD, language)
        ]
        found_pairs = concept_pairs.pairs(right[rows], kin(load_concepts()))
        pairs += [Pair(rows[one.wanted], rows[one.unwanted]) for one in found_pairs]
    return _world(space.card.scoring, bank, vectors, texts, right, is_caption, pairs)


def clip_world(folder: Path, captions: CaptionSet) -> World:
    """Real CLIP vectors of photos and class names: half of them are asked, half are the bank.k.

    No text tower is needed. Names of classes that few photos show are absent as in `questions`.
    """
    raw = (folder / "lvis1203_names.txt").read_text(encoding="utf-8").split("\n")[:1203]
    texts = np.load(folder / "lvis1203_text_emb.npy").astype(np.float32)
    held = (folder / "flickr8k_image_names.txt").read_text(encoding="utf-8").split()
    photos = np.load(folder / "flickr8k_image_emb.npy").astype(np.float32)
    names = [re.sub(r"_?\(.*?\)", "", name).replace("_", " ") for name in raw]
    asked = [i for i in range(1, len(raw), 2) if raw[i] not in UNSAID]
    place = {name: i for i, name in enumerate(captions.photos)}
    known = load_concepts()
    concepts = [_concept(names[i], known) for i in asked]
    shown = mentions(concepts, captions)
    shown = shown[:, [place[name] for name in held]]
    counts = shown.sum(axis=1)
    rare = np.flatnonzero((counts > 0) & (counts <= len(held) // 200))[::2]
    remain = ~shown[rare].any(axis=0)
    bank = Bank.of(tuple(names[::2]), texts[::2])
    is_caption, shown = np.zeros(len(asked), bool), shown[:, remain]
    pairs = concept_pairs.pairs(shown, kin(concepts))
    return _world(CLIP_SCORING, bank, photos[remain], texts[asked], shown, is_caption, pairs)


def _concept(name: str, known: Sequence[Concept]) -> Concept:
    """A class with the names of the concepts that go by its name, else with its own only."""
    same = [concept for concept in known if name in concept.names["en"]]
    names = {name}.union(*(concept.names["en"] for concept in same))
    return Concept({"en": tuple(sorted(names)), "zh": ()})


def _answers(asked: Questions) -> tuple[BoolMatrix, NDArray[np.bool_]]:
    right = np.zeros((len(asked.queries), len(asked.remains)), bool)
    for row, one in zip(right, asked.queries, strict=True):
        row[list(one.photos)] = True
    return right, np.array([one.kind == CAPTION for one in asked.queries])


def _world(
    scoring: Scoring,
    bank: Bank,
    photos: FloatMatrix,
    queries: FloatMatrix,
    right: BoolMatrix,
    is_caption: NDArray[np.bool_],
    pairs: list[Pair],
) -> World:
    scores = (queries @ photos.T) * scoring.scale + scoring.bias
    centres = np.median(scores, axis=1)
    spreads = (centres - np.quantile(scores, 0.1, axis=1)) / 1.2816  # as `evidence` has it
    usual = Usual(float(np.median(centres)), float(np.median(spreads)))
    return World(scoring, bank, photos, queries, right, is_caption, pairs, usual)


def _unpacked(photos: Path, folder: Path) -> Path:
    """A folder of photos: the one that was named, or what a tar holds."""
    if photos.is_dir():
        return photos.absolute()
    with tarfile.open(photos) as archive:
        archive.extractall(folder, filter="data")
    return folder
