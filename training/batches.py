"""What one training step sees: rows of photos, and texts that belong to each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.data import LANGUAGES, PhotoSet

CAPTIONS_PER_LANGUAGE = 2  # captions of a photo that one step sees, of each language

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Corpus:
    """All that is trained on."""

    flickr: PhotoSet
    caltech: PhotoSet
    coco: list[list[str]]  # groups of captions of one photo; English
    names: list[tuple[list[str], list[str]]]  # (English, Chinese) names of one thing

    def all_texts(self) -> Iterator[str]:
        """Every text, for the tokenizer."""
        for photos in (self.flickr, self.caltech):
            for language in LANGUAGES:
                yield from photos.texts(language)[0]
        for group in self.coco:
            yield from group
        for english, chinese in self.names:
            yield from english
            yield from chinese


@dataclass(frozen=True)
class Step:
    """One step's data.

    ``captions[language]`` holds CAPTIONS_PER_LANGUAGE lists, each with one text a photo, the
    Flickr8k photos first. ``coco`` and ``names`` are two lists of texts that belong together.
    """

    flickr_rows: Rows
    caltech_rows: Rows
    captions: dict[str, list[list[str]]]
    coco: tuple[list[str], list[str]]
    names: tuple[list[str], list[str]]


class Sampler:
    """Draws the steps of an epoch. No two photos of a step share a Caltech101 class."""

    def __init__(self, corpus: Corpus, photos: int, classes: int, seed: int) -> None:
        self.corpus = corpus
        self.photos = photos
        self.classes = classes
        self.names = min(64, len(corpus.names))
        self.rng = np.random.default_rng(seed)
        self.rows_of_class: dict[str, list[int]] = {}
        for row, label in enumerate(corpus.caltech.labels):
            self.rows_of_class.setdefault(label, []).append(row)

    def steps_per_epoch(self) -> int:
        """Full batches of Flickr8k photos in one epoch; the rest of the photos sits it out."""
        return len(self.corpus.flickr) // self.photos

    def epoch(self) -> Iterator[Step]:
        """The steps of one pass over the Flickr8k photos, in a new order."""
        order = self.rng.permutation(len(self.corpus.flickr))
        for index in range(self.steps_per_epoch()):
            yield self._step(order[index * self.photos : (index + 1) * self.photos])

    def _step(self, flickr_rows: Rows) -> Step:
        labels = self.rng.choice(sorted(self.rows_of_class), self.classes, replace=False)
        rows = [int(self.rng.choice(self.rows_of_class[label])) for label in labels]
        caltech_rows = np.array(rows, dtype=np.int64)
        captions = {
            language: [
                [*flickr, *caltech]
                for flickr, caltech in zip(
                    self._draw(self.corpus.flickr.captions[language], flickr_rows),
                    self._draw(self.corpus.caltech.captions[language], caltech_rows),
                    strict=True,
                )
            ]
            for language in LANGUAGES
        }
        groups = self.rng.choice(len(self.corpus.coco), self.photos, replace=False)
        coco = self._draw(self.corpus.coco, groups)
        pairs = self.rng.choice(len(self.corpus.names), self.names, replace=False)
        english, chinese = (
            [self._pick(self.corpus.names[pair][side]) for pair in pairs] for side in (0, 1)
        )
        return Step(flickr_rows, caltech_rows, captions, (coco[0], coco[1]), (english, chinese))

    def _draw(self, groups: Sequence[Sequence[str]], rows: Rows) -> list[list[str]]:
        """CAPTIONS_PER_LANGUAGE lists with a text of each row, different ones where there are."""
        drawn = []
        for row in rows:
            group = groups[row]
            first = self.rng.permutation(len(group))
            drawn.append([group[first[k % len(group)]] for k in range(CAPTIONS_PER_LANGUAGE)])
        return [list(column) for column in zip(*drawn, strict=True)]

    def _pick(self, group: Sequence[str]) -> str:
        return group[int(self.rng.integers(len(group)))]
