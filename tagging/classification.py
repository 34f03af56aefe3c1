"""Zero-shot classification of pictures without a library: labels and scores, best first.

The scores are those of the `zero-shot-image-classification` pipeline of transformers: a softmax
over the labels, or a sigmoid for SigLIP, with the scale and bias of the checkpoint.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pictor.indexer.loose_pictures import open_card, read_pixels, tower_folder
from pictor.library.config import Settings, load_settings
from pictor.library.errors import ImageError
from pictor.library.names import PathLike
from pictor.library.records import EncoderCard, Reason

if TYPE_CHECKING:
    from pictor.library.encoders.base import EncoderOptions, ImageEncoder
    from pictor.library.records import FloatMatrix, PixelArray
    from pictor.tagging.labels import LabelSet


@dataclass(frozen=True)
class LabelScore:
    """A label and its score in [0, 1]."""

    label: str
    score: float


@dataclass(frozen=True)
class Classification:
    """What one picture shows.

    Attributes:
        image: its path or link, as it was given.
        labels: best first; equal scores in the order of the labels.
        problem: why there are none; "" if there are.
    """

    image: bytes
    labels: tuple[LabelScore, ...]
    problem: str = ""


def classify(
    images: Sequence[PathLike],
    labels: Sequence[str] | LabelSet,
    *,
    templates: Sequence[str] = (),
    encoder: str | None = None,
    timeout_s: float | None = None,
    settings: Settings | None = None,
) -> Iterator[Classification]:
    """Score each picture against labels; each comes as soon as it is there, in the order given.

    Args:
        images: paths, or http(s) links; of a video or animation its first frame.
        labels: words in any language the encoder knows, or a set of `read_labels`.
        templates: prompts with "{label}", of which the mean vector is taken. By default, that of
            the encoder, or for English labels of one with a Chinese prompt the one of transformers.
        encoder: a name as for `index`; that of the settings if None.
        timeout_s: for fetching one link; the setting `index.fetch_timeout_s` if None.

    Raises:
        LabelError: the labels or a template are no good.
        ModelError: the encoder is not available, or has no text tower.
    """
    from pictor.library.encoders import towers
    from pictor.library.label_scores import logits_of, probabilities
    from pictor.tagging.labels import LabelSet, check_templates, given_labels

    check_templates(templates)
    given = labels if isinstance(labels, LabelSet) else given_labels("labels", labels)
    known = settings or load_settings()
    card, options = open_card(encoder, known)
    timeout = known.index.fetch_timeout_s if timeout_s is None else timeout_s

    def each() -> Iterator[Classification]:
        vectors = _label_vectors(given, tuple(templates) or given.templates, card, options)
        tower = towers.open_image_encoder(card, options, tower_folder(card, "image"))
        with contextlib.closing(tower):
            for location in map(os.fsencode, images):
                try:
                    vector = _encoded(read_pixels(location, card, known, timeout), tower)
                except ImageError as error:
                    yield Classification(location, (), error.detail)
                    continue
                scores = probabilities(logits_of(vector, vectors, card.scoring), card.scoring)[0]
                order = (-scores).argsort(kind="stable").tolist()
                found = (LabelScore(given.labels[at].label, float(scores[at])) for at in order)
                yield Classification(location, tuple(found))

    return each()


def _label_vectors(
    labels: LabelSet, templates: tuple[str, ...], card: EncoderCard, options: EncoderOptions
) -> FloatMatrix:
    from pictor.library.encoders import towers
    from pictor.library.label_scores import label_vectors
    from pictor.tagging.prompts import prompts

    folder = tower_folder(card, "text")
    towers.make_text_tower(card, options, folder)
    tower = towers.open_text_encoder(card, folder, threads=options.threads)
    return label_vectors(prompts(labels.labels, templates, card, None), tower.encode)


def _encoded(pixels: PixelArray, tower: ImageEncoder) -> FloatMatrix:
    """(1, d) of one picture.

    Raises:
        ImageError: it gives no vector.
    """
    import numpy as np

    vector = tower.encode([pixels])
    if not np.isfinite(vector).all():
        raise ImageError(Reason.NOT_FINITE, "the encoder gives no finite vector for it")
    return vector
