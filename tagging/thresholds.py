"""The level from which on a label is a tag: what names of absent things reach in the library.

Things that hardly any collection shows (`configs/absent.toml`) stand in for labels, in the same
prompts. How far the best of them is ahead of the background of each photo is known without any
truth, and a label that is no further ahead is no tag: were all labels of a set about absent things,
no more than the share `WRONG` of the photos would get a tag. No label and no fit is in it, so it
holds for any collection and any encoder.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pictor.library.arrays import quantiles
from pictor.library.caption_bank import Bank, rare_things
from pictor.library.label_scores import logits_of
from pictor.library.null_scores import backgrounds_of, weights_of
from pictor.library.records import (
    DoubleMatrix,
    DoubleVector,
    FloatMatrix,
    FloatVector,
    IdArray,
    Scoring,
)
from pictor.tagging.labels import Label
from pictor.tagging.scores import Without

#: Photos that would get a tag of a set whose labels are all about absent things, and the names of
#: those that are used: of more than a hundred, a few may be there. Chosen on Flickr8k, Caltech101
#: and the training half of the everyday photos: docs/tagging.md.
WRONG = 0.02
KEPT = 0.97
#: Photos that the level rests on at most.
SAMPLE = 4096


def absent_labels(labels: Sequence[Label]) -> list[Label]:
    """The names of absent things as labels; those aside that the set names, if it leaves any."""
    names = rare_things()
    half = len(names) // 2
    absent = [
        Label(english, {"en": (english,), "zh": (chinese,)})
        for english, chinese in zip(names[:half], names[half:], strict=True)
    ]
    known = set().union(*map(_names, labels))
    return [one for one in absent if not known & _names(one)] or absent


def excess(
    photos: FloatMatrix, background: DoubleVector, names: FloatMatrix, bank: Bank, scoring: Scoring
) -> DoubleMatrix:
    """(n, m) how far the logits of m names are ahead of the background of n photos.

    Args:
        photos: (n, d), names: (m, d), unit rows.
        background: (n,) with all captions of the bank; those that say the same as a name are not
            held against it.
    """
    weights = weights_of(names, bank)
    ahead: DoubleMatrix = logits_of(photos, names, scoring).astype(np.float64)
    ahead -= backgrounds_of(weights, photos, background, bank, scoring)
    return ahead


def level(ahead: DoubleMatrix, labels: int) -> float:
    """The least excess of a tag of a set, from the (n, m) excess of m names of absent things.

    The best of more labels reaches further by chance, so the more there are, the higher it is.
    0 without photos, of which nothing is asked.
    """
    if not len(ahead):
        return 0.0
    highest = ahead.max(axis=0)
    usual = ahead[:, highest <= quantiles(highest, [KEPT])[0]]
    share = (1 - WRONG) ** (usual.shape[1] / labels)
    return float(quantiles(usual.max(axis=1), [share])[0])


def without_same(
    photos: FloatMatrix, background: FloatVector, labels: FloatMatrix, bank: Bank, scoring: Scoring
) -> Without:
    """What gives the background of n photos (n, d) without the captions that say the same as one of
    the labels (labels, d)."""
    weights = weights_of(labels, bank)

    def without(at: int, rows: IdArray) -> DoubleVector:
        values = background[rows].astype(np.float64)
        found = backgrounds_of(weights[at : at + 1], photos[rows], values, bank, scoring)
        rest: DoubleVector = found[:, 0].astype(np.float64)
        return rest

    return without


def _names(label: Label) -> set[str]:
    return {name.casefold() for names in label.names.values() for name in names}
