"""What searches for absent things reach in a library: the null that its levels are set by.

The null's texts are about what is hardly ever there: rare things stand for single words, and every
third caption of the background bank for whole scenes. Of each the highest log-odds on any
image of a space are kept, and renewed with each run: more images can only raise them. A search for
something that is absent does about as well, so a level begins where a share of the null's texts of
its kind and language stays below. No labels and no fit are in it, so it holds for any collection
and any encoder.

The scores of a space are one entry of the catalog's table `meta`.
"""

from __future__ import annotations

import base64
import json
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from pictor.library import caption_bank
from pictor.library.arrays import quantiles
from pictor.library.caption_bank import Bank
from pictor.library.catalog import caption_bank as backgrounds
from pictor.library.catalog import facts, spaces
from pictor.library.catalog.rows import SpaceRow
from pictor.library.observer import Observer
from pictor.library.records import (
    BoolVector,
    DoubleMatrix,
    DoubleVector,
    FloatMatrix,
    JsonObject,
    Scoring,
)
from pictor.library.scripts import has_han
from pictor.library.store import Store

#: Of the null's texts, so many stay below a level: of rare things, and of scenes. A caption of the
#: bank is now and then of something that is there, so more of those must. Chosen on five
#: collections of 50 to 4,500 photos: docs/evaluation.md.
WORD_SHARES = (0.8, 0.975)
SCENE_SHARES = (0.9, 0.975)
#: A query of more words, or of more Chinese characters, is a scene.
WORD_LENGTH = {"en": 2, "zh": 4}
#: The levels are at least so far apart, in log-odds.
LEAST_GAP = 0.25
#: Discounted captions that made more than all but this share of a background leave it unknown: it
#: is a difference of two sums then, of scores that are rounded to float32.
_LEAST_REST = 1e-4
#: With fewer images than this share of those that made the null, it is made anew.
_SHRUNK = 0.9
_ROWS = 1024  # images scored at once
_EVERY = 3  # captions: some two hundred a language do, and more cost more


Floats = NDArray[np.floating[Any]]  # of one precision or the other


class Limits(NamedTuple):
    """Log-odds from which on an image is a possible, and a likely, hit of a query."""

    possible: float
    likely: float


class NullScores(NamedTuple):
    """The null of one space.

    Attributes:
        highest: (m + s,) of each rare thing and then of each scene, the highest log-odds on any
            image; -inf without images.
        is_chinese: (m + s,) of the texts.
        rare: m.
    """

    highest: DoubleVector
    is_chinese: BoolVector
    rare: int

    @classmethod
    def of(cls, bank: Bank, highest: DoubleVector) -> NullScores:
        """The null whose scores are known."""
        texts = (*caption_bank.rare_things()[: len(bank.rare)], *bank.captions[::_EVERY])
        return cls(highest, np.array([has_han(text) for text in texts]), len(bank.rare))

    def limits(self, text: str) -> Limits | None:
        """Those for a query of a text; None where the null has no text of its kind."""
        is_word = self._is_word(text)
        chosen = self.is_chinese == has_han(text)
        chosen[slice(self.rare, None) if is_word else slice(self.rare)] = False
        scores = self.highest[chosen]
        scores = scores[np.isfinite(scores)]
        if not len(scores):
            return None
        shares = WORD_SHARES if is_word else SCENE_SHARES
        possible, likely = quantiles(scores, shares).tolist()
        return Limits(possible, max(likely, possible + LEAST_GAP))

    @staticmethod
    def _is_word(text: str) -> bool:
        """Whether a query names a thing, and does not tell a scene."""
        if has_han(text):
            return sum(map(str.isalnum, text)) <= WORD_LENGTH["zh"]
        return len(text.split()) <= WORD_LENGTH["en"]


def weights_of(texts: FloatMatrix, bank: Bank) -> FloatMatrix:
    """(q, k) how much each caption counts against each of q texts: 0 where it says the same."""
    found: FloatMatrix = np.clip(
        (bank.same - texts @ bank.vectors.T) / (bank.same - bank.near), 0.0, 1.0
    ).astype(np.float32)
    return found


def scaled(cosines: FloatMatrix, scoring: Scoring) -> DoubleMatrix:
    """Cosines as the encoder was trained to score: scale * cosine + bias, in float64."""
    found: DoubleMatrix = cosines.astype(np.float64) * scoring.scale + scoring.bias
    return found


def backgrounds_of(
    weights: FloatMatrix,
    vectors: FloatMatrix,
    values: Floats,
    bank: Bank,
    scoring: Scoring,
) -> Floats:
    """(n, q) backgrounds of n images without the captions that say the same as each of q texts, as
    precise as the values.

    Args:
        weights: (q, k) of the captions, as `weights_of` gives them.
        vectors: (n, d) float32 unit rows; values: (n,) their whole backgrounds, `log_sum_exp`.
    """
    kind = values.dtype
    close = np.flatnonzero((weights < 1).any(axis=0))
    whole: Floats = np.repeat(values[:, None], len(weights), axis=1)
    if not close.size:
        return whole
    total = len(bank.vectors)
    cosines = (vectors @ bank.vectors[close].T).astype(kind)
    parts = np.exp(cosines * scoring.scale + scoring.bias - values[:, None])
    rest = total - parts @ (1.0 - weights[:, close].astype(kind)).T
    kept = np.maximum(weights.sum(axis=1, dtype=kind), 1.0)
    found: Floats = whole + np.log(np.maximum(rest, _LEAST_REST * total) / kept)
    return found


def highest(
    bank: Bank, vectors: FloatMatrix, values: DoubleVector, scoring: Scoring
) -> DoubleVector:
    """(m + s,) the highest log-odds of each text of the null on any of n images."""
    texts = np.concatenate([bank.rare, bank.vectors[::_EVERY]])
    weights = weights_of(texts, bank)
    narrow = values.astype(np.float32)
    found = np.full(len(texts), -np.inf)
    for start in range(0, len(vectors), _ROWS):
        part = slice(start, start + _ROWS)
        others = backgrounds_of(weights, vectors[part], narrow[part], bank, scoring)
        odds = scaled(vectors[part] @ texts.T, scoring) - others
        np.maximum(found, odds.max(axis=0), out=found)
    return found


def of_space(connection: Connection, space: SpaceRow, bank: Bank) -> NullScores | None:
    """The null of a space as the last run left it; None where there is none of today's texts."""
    entry = _entry(connection, space)
    return None if entry is None else NullScores.of(bank, _scores(entry))


def fill(library: Store, space: SpaceRow, observer: Observer) -> None:
    """Score the null on the images that a space got since the last time. Hold `writer()`.

    Nothing is done where the background of the space is not complete.
    """
    with library.reading() as connection:
        held, change = backgrounds.bank_of(connection, space.id)
        newest = spaces.last_change(connection, space.id)
        count = spaces.count_vectors(connection, space.id)
        entry = _entry(connection, space)
    if held != caption_bank.digest_of(caption_bank.captions()) or change != newest or not count:
        return
    if entry is not None and count < _SHRUNK * entry["items"]:
        entry = None
    last = -1 if entry is None else int(entry["change"])
    if last == newest:
        return
    bank = caption_bank.open_bank(library, space)
    scores = np.full(1, -np.inf) if entry is None else _scores(entry)
    items = count if entry is None else max(count, entry["items"])
    with library.reading() as connection:
        for ids, rows in spaces.vector_blocks(connection, space.id, space.dimension, last):
            if observer.should_stop():
                return
            known = backgrounds.values_of(connection, space.id, ids.tolist())
            values = np.array([known[item] for item in ids.tolist()])
            found = highest(bank, rows.astype(np.float32), values, space.card.scoring)
            scores = np.maximum(scores, found)
    data = base64.b64encode(scores.astype("<f4").tobytes()).decode()
    entry = {"digest": _digest(space), "change": newest, "items": items, "scores": data}
    with library.writing() as connection:
        facts.put(connection, _key(space), json.dumps(entry))


def _entry(connection: Connection, space: SpaceRow) -> JsonObject | None:
    """What is stored, if it is of today's texts."""
    text = facts.get(connection, _key(space))
    entry: JsonObject = {} if text is None else json.loads(text)
    return entry if entry.get("digest") == _digest(space) else None


def _scores(entry: JsonObject) -> DoubleVector:
    return np.frombuffer(base64.b64decode(entry["scores"]), "<f4").astype(np.float64)


def _key(space: SpaceRow) -> str:
    return f"null_scores:{space.id}"


def _digest(space: SpaceRow) -> str:
    """What the scores of a space hang on besides its images."""
    texts = caption_bank.captions() + caption_bank.rare_things()
    return f"{caption_bank.digest_of(texts)}-{_EVERY}-{space.fingerprint}"
