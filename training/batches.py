"""What one training step sees: rows of photos, and texts that belong to each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from training.data import LANGUAGES, Concepts, PhotoSet
from training.tokens import TokenTable

CAPTIONS_PER_LANGUAGE = 2  # captions of a photo that one step sees, of each language
COCO_GROUPS = 128  # photos of COCO whose captions one step sees
CONCEPTS = 192  # concepts whose names one step sees

Rows = NDArray[np.int64]
Texts = list[NDArray[np.int64]]  # token ids of each


@dataclass(frozen=True)
class Corpus:
    """All that is trained on."""

    photos: tuple[PhotoSet, ...]  # Flickr8k, Caltech101, stamps, emoji
    coco: list[list[str]]  # groups of captions of one photo; English
    concepts: Concepts
    held_out: Rows  # rows of Caltech101 that are not trained on

    def texts(self) -> dict[str, list[str]]:
        """Every caption, by language; those of Caltech101 are names, not captions."""
        flickr, _, stamps, _ = self.photos
        found = {lang: flickr.texts(lang)[0] + stamps.texts(lang)[0] for lang in LANGUAGES}
        found["en"] += [text for group in self.coco for text in group]
        return found

    def names(self) -> dict[str, list[str]]:
        """Every name of a concept or a class, by language."""
        return {
            lang: [name for group in self.concepts.names[lang] for name in group]
            + self.photos[1].texts(lang)[0]
            for lang in LANGUAGES
        }


@dataclass(frozen=True)
class Step:
    """One step's data.

    ``rows`` are of the photo sets, in order. ``captions`` are lists with one text a photo, sets in
    order: CAPTIONS_PER_LANGUAGE English lists, then as many Chinese ones. ``coco`` and ``names``
    are pairs of lists that belong together; ``clash`` is true where two concepts of ``names`` share
    a name, so that they are no counter-examples.
    """

    rows: tuple[Rows, ...]
    captions: list[Texts]
    coco: list[Texts]
    names: list[Texts]
    clash: NDArray[np.bool_]


class Sampler:
    """Draws the steps of an epoch. No two photos of a step share a Caltech101 class."""

    def __init__(
        self, corpus: Corpus, tokenizer: Tokenizer, photos: int, sets: int, seed: int
    ) -> None:
        """``photos``: of Flickr8k, a step; ``sets``: how many of the photo sets are drawn from."""
        stamps = photos // 10 if sets == 3 else photos // 5
        self._counts = (photos, photos // 8, stamps, photos // 4)[:sets]
        self._sizes = [len(group) for group in corpus.photos]
        self._rng = np.random.default_rng(seed)
        self._captions = {
            language: [
                TokenTable(tokenizer, group.captions[language]) for group in corpus.photos[:sets]
            ]
            for language in LANGUAGES
        }
        self._coco = TokenTable(tokenizer, corpus.coco)
        names = corpus.concepts.names
        self._names = {lang: TokenTable(tokenizer, names[lang]) for lang in LANGUAGES}
        self._name_sets = [
            frozenset(en) | frozenset(zh) for en, zh in zip(names["en"], names["zh"], strict=True)
        ]
        self._rows_of_class: dict[str, list[int]] = {}
        held = set(corpus.held_out.tolist())
        for row, label in enumerate(corpus.photos[1].labels):
            if row not in held:
                self._rows_of_class.setdefault(label, []).append(row)

    def steps_per_epoch(self) -> int:
        """Full batches of Flickr8k photos in one epoch; the rest of the photos sits it out."""
        return self._sizes[0] // self._counts[0]

    def epoch(self) -> Iterator[Step]:
        """The steps of one pass over the Flickr8k photos, in a new order."""
        order = self._rng.permutation(self._sizes[0])
        for index in range(self.steps_per_epoch()):
            yield self._step(order[index * self._counts[0] : (index + 1) * self._counts[0]])

    def _step(self, flickr: Rows) -> Step:
        labels = self._rng.choice(sorted(self._rows_of_class), self._counts[1], replace=False)
        caltech = np.array([self._rng.choice(self._rows_of_class[label]) for label in labels])
        pictures = [
            self._rng.choice(size, count, replace=False)
            for size, count in zip(self._sizes[2:], self._counts[2:], strict=False)
        ]
        rows = (flickr, caltech, *pictures)
        coco = self._rng.choice(len(self._coco), COCO_GROUPS, replace=False)
        concepts = self._rng.choice(len(self._name_sets), CONCEPTS, replace=False)
        return Step(
            rows,
            [texts for language in LANGUAGES for texts in self._drawn(language, rows)],
            self._coco.draw(coco, self._rng, 2),
            [self._names[lang].draw(concepts, self._rng, 1)[0] for lang in LANGUAGES],
            self._clash(concepts),
        )

    def _drawn(self, language: str, rows: Sequence[Rows]) -> list[Texts]:
        """CAPTIONS_PER_LANGUAGE lists with a text of each photo of each set."""
        tables = self._captions[language]
        parts = [
            table.draw(part, self._rng, CAPTIONS_PER_LANGUAGE)
            for table, part in zip(tables, rows, strict=True)
        ]
        return [[text for part in parts for text in part[k]] for k in range(CAPTIONS_PER_LANGUAGE)]

    def _clash(self, concepts: Rows) -> NDArray[np.bool_]:
        sets = [self._name_sets[row] for row in concepts]
        found = np.array([[bool(a & b) for b in sets] for a in sets])
        np.fill_diagonal(found, False)
        return found
