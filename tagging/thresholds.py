"""Thresholds fitted on the background bank: how far a label must be ahead of "anything else".

The captions of the bank play items. Each is scored against the labels as an item would be, with its
own log-sum-exp over the rest of the bank as its background, captions that name the label left out.
Of the captions that do not name a label, no more than `FALSE_TAGS` exceed its threshold: what is
another thing rarely gets the tag.

Text vectors lie closer together than a text and a picture do, but the excess of a logit over the
background is nearly the same for captions and for photos of other things, as it is a difference of
two such nearnesses. Measured (a built-in encoder, 100 names of things, the best of them): at the
quantiles 0.5, 0.9, 0.95, 0.99 it is -7.1 -3.8 -2.8 -1.8 for 1,000 captions and -6.1 -3.9 -3.1 -2.0
for 1,000 everyday photos.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from pictor.library.caption_bank import Bank
from pictor.library.label_scores import logits_of
from pictor.library.records import (
    BoolMatrix,
    DoubleVector,
    FloatMatrix,
    FloatVector,
    IdArray,
    Scoring,
)
from pictor.tagging.labels import Label, language_of
from pictor.tagging.scores import Without

#: Part of the captions that do not name a label which may exceed its threshold: 2 or 3 of the bank,
#: which leaves room for words of the same meaning. Measured: docs/tagging.md.
FALSE_TAGS = 0.002
#: How far a label's own level is drawn towards the median of the set: the few captions it rests on
#: make it noisy.
SHRINKAGE = 0.5
_FEWEST = 100  # captions that a level may rest on
_LONG = 4  # letters
_LEAST_REST = 1e-6  # of a background; what is less is rounding


def fit(labels: Sequence[Label], vectors: FloatMatrix, bank: Bank, scoring: Scoring) -> FloatVector:
    """(labels,) float32 thresholds: the least excess of each label's logit over the background.

    Args:
        vectors: (labels, d) unit rows.
        bank: the background captions; those in a language in which a label has no name are passed
            over, since they might name it unseen.
        scoring: of the encoder's card.
    """
    chosen = _understood(bank, labels)
    names = naming(bank.captions, labels)
    logits = logits_of(bank.vectors[chosen], vectors, scoring)
    powers = np.exp(logits_of(bank.vectors[chosen], bank.vectors, scoring).astype(np.float64))
    powers[np.arange(len(chosen)), chosen] = 0  # no caption is its own background
    excess = logits.astype(np.float64) - np.log(powers @ ~names / (len(bank.captions) - 1))
    counts = ~names[chosen]
    levels = np.array([_level(excess[:, at], counts[:, at]) for at in range(len(labels))])
    drawn = (1 - SHRINKAGE) * levels + SHRINKAGE * np.median(levels)
    thresholds: FloatVector = drawn.astype(np.float32)
    return thresholds


def without_named(
    vectors: FloatMatrix, background: FloatVector, bank: Bank, names: BoolMatrix, scoring: Scoring
) -> Without:
    """What gives the background of n items (n, d) without the captions that name a label."""
    count = len(bank.captions)

    def without(at: int, rows: IdArray) -> DoubleVector:
        named = bank.vectors[names[:, at]]
        whole = np.exp(background[rows].astype(np.float64))
        logits = logits_of(vectors[rows], named, scoring).astype(np.float64)
        rest = whole - np.exp(logits).sum(axis=1) / count
        found: DoubleVector = np.log(np.maximum(rest, whole * _LEAST_REST))
        return found

    return without


def naming(captions: Sequence[str], labels: Sequence[Label]) -> BoolMatrix:
    """(captions, labels): whether a caption names a label, in any language, as a word of its own.

    An English word of four letters or more may go on ("golf" in "golfer"), a shorter one may end in
    "s" or "es"; Chinese has no marks between words.
    """
    found = np.zeros((len(captions), len(labels)), dtype=np.bool_)
    lowered = [caption.lower() for caption in captions]
    for at, label in enumerate(labels):
        words = [name.lower() for names in label.names.values() for name in names]
        pattern = re.compile("|".join(_spelt(word) for word in words))
        found[:, at] = [pattern.search(caption) is not None for caption in lowered]
    return found


def _spelt(word: str) -> str:
    """The pattern of a name."""
    escaped = re.escape(word)
    if not word.isascii():
        return escaped
    return rf"\b{escaped}\w*" if len(word) >= _LONG else rf"\b{escaped}(?:e?s)?\b"


def _understood(bank: Bank, labels: Sequence[Label]) -> list[int]:
    """The places of captions in languages in which every label has names; all if there are few."""
    languages = set.intersection(*(set(label.names) for label in labels))
    places = [at for at, text in enumerate(bank.captions) if language_of(text) in languages]
    return places if len(places) >= _FEWEST else list(range(len(bank.captions)))


def _level(excess: DoubleVector, counts: BoolMatrix) -> float:
    values = excess[counts] if counts.sum() >= _FEWEST else excess
    return float(np.quantile(values, 1 - FALSE_TAGS))
