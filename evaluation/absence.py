"""Queries for things that are in a collection and for things that are not, made from its captions.

Absent are words for everyday concepts that no caption of any photo mentions by any of their names;
and concepts of few photos, every second of which is taken out of the collection with all its
photos, with captions of those photos that are about nothing that remains but people. Present are
words for the concepts that remain, right for the photos that mention them, and as many captions,
each right for its own photo.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from pictor.evaluation.captions import CaptionSet
from pictor.evaluation.concepts import Concept, mentions, named_in
from pictor.library.records import BoolMatrix, BoolVector

WORD, CAPTION = "word", "caption"
LANGUAGES = ("en", "zh")
#: Concepts of at most this share of all photos may be taken out.
RARE_SHARE = 0.01


class Question(NamedTuple):
    """One query.

    Attributes:
        kind: "word" or "caption".
        photos: positions in the captions' photos of the right answers that remain; none if absent.
    """

    text: str
    language: str
    kind: str
    photos: tuple[int, ...]

    @property
    def is_absent(self) -> bool:
        """Whether nothing is a right answer."""
        return not self.photos


class Questions(NamedTuple):
    """The queries, and which photos remain to be searched: (photos,) bool."""

    queries: tuple[Question, ...]
    remains: BoolVector


def questions(
    captions: CaptionSet, concepts: Sequence[Concept], available: BoolVector
) -> Questions:
    """The queries of a set of captions; the same every time.

    Args:
        available: (photos,) those that have a vector; others count as not there.
    """
    shown = mentions(concepts, captions) & available
    counts = shown.sum(axis=1)
    most = max(1, int(RARE_SHARE * available.sum()))
    taken = np.flatnonzero((counts > 0) & (counts <= most))[::2]
    remains: BoolVector = available & ~shown[taken].any(axis=0)
    shown &= remains
    queries: list[Question] = []
    for language in [one for one in LANGUAGES if one in captions.languages]:
        words = [
            Question(concept.query(language), language, WORD, tuple(np.flatnonzero(row).tolist()))
            for concept, row in zip(concepts, shown, strict=True)
        ]
        own = list(_captions(captions, language, remains))
        step = max(1, len(own) // max(1, sum(not word.is_absent for word in words)))
        queries += [*words, *own[::step]]
        queries += _absent_captions(captions, language, concepts, shown, available & ~remains)
    return Questions(tuple(queries), remains)


def _captions(captions: CaptionSet, language: str, remains: BoolVector) -> Iterator[Question]:
    """One caption of each photo that remains, by turns its first, second…"""
    for photo, texts in sorted(_own(captions, language).items()):
        if remains[photo]:
            yield Question(texts[photo % len(texts)], language, CAPTION, (photo,))


def _absent_captions(
    captions: CaptionSet,
    language: str,
    concepts: Sequence[Concept],
    shown: BoolMatrix,
    gone: BoolVector,
) -> Iterator[Question]:
    """The first caption of each photo taken out that names something, and nothing that remains."""
    pairs = [
        (photo, text)
        for photo, texts in sorted(_own(captions, language).items())
        if gone[photo]
        for text in texts
    ]
    named = named_in(concepts, [text for _, text in pairs])
    matters = np.array([not concept.is_person for concept in concepts])
    remains = shown.any(axis=1)
    about_gone = named[matters & ~remains].any(axis=0)
    about_rest = named[matters & remains].any(axis=0)
    first: dict[int, str] = {}
    for at in np.flatnonzero(np.logical_and(about_gone, ~about_rest)).tolist():
        first.setdefault(*pairs[at])
    yield from (Question(text, language, CAPTION, ()) for text in first.values())


def _own(captions: CaptionSet, language: str) -> dict[int, list[str]]:
    """The captions that belong to one photo only, by photo."""
    held: dict[int, list[str]] = {}
    for caption in captions.languages[language]:
        if len(caption.photos) == 1:
            held.setdefault(caption.photos[0], []).append(caption.text)
    return held
