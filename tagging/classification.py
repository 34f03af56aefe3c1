"""Zero-shot classification of pictures without a library: labels and scores, best first.

The scores are those of the `zero-shot-image-classification` pipeline of transformers: a softmax
over the labels, or a sigmoid for SigLIP, with the scale and bias of the checkpoint.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pictor.indexer.loose_pictures import open_card, read_pixels, tower_folder
from pictor.library.config import Settings, load_settings
from pictor.library.errors import ImageError
from pictor.library.names import PathLike
from pictor.library.records import EncoderCard

if TYPE_CHECKING:
    from pictor.library.encoders.base import EncoderOptions, ImageEncoder
    from pictor.library.records import FloatMatrix
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
    from pictor.tagging.labels import LabelSet, check_templates, given_labels

    check_templates(templates)
    given = labels if isinstance(labels, LabelSet) else given_labels("labels", labels)
    settings = settings or load_settings()
    card, options = open_card(encoder, settings)
    return _classified(images, given, tuple(templates), card, options, settings, timeout_s)


def _classified(
    images: Sequence[PathLike],
    labels: LabelSet,
    templates: tuple[str, ...],
    card: EncoderCard,
    options: EncoderOptions,
    settings: Settings,
    timeout_s: float | None,
) -> Iterator[Classification]:
    from pictor.library.encoders import towers
    from pictor.tagging.scores import logits_of, probabilities

    vectors = _label_vectors(labels, templates, card, options)
    names = [one.label for one in labels.labels]
    tower = towers.open_image_encoder(card, options, tower_folder(card, "image"))
    timeout = settings.index.fetch_timeout_s if timeout_s is None else timeout_s
    try:
        for image in images:
            location = os.fsencode(image)
            try:
                vector = _encoded(location, card, tower, settings, timeout)
            except ImageError as error:
                yield Classification(location, (), error.detail)
                continue
            scores = probabilities(logits_of(vector, vectors, card.scoring), card.scoring)[0]
            order = (-scores).argsort(kind="stable")
            found = tuple(LabelScore(names[at], float(scores[at])) for at in order)
            yield Classification(location, found)
    finally:
        tower.close()


def _label_vectors(
    labels: LabelSet, templates: tuple[str, ...], card: EncoderCard, options: EncoderOptions
) -> FloatMatrix:
    from pictor.library.encoders import towers
    from pictor.tagging.prompts import label_vectors, prompts

    folder = tower_folder(card, "text")
    towers.make_text_tower(card, options, folder)
    tower = towers.open_text_encoder(card, folder, threads=options.threads)
    texts = prompts(labels.labels, templates or labels.templates, card, None)
    return label_vectors(texts, tower.encode)


def _encoded(
    location: bytes, card: EncoderCard, tower: ImageEncoder, settings: Settings, timeout_s: float
) -> FloatMatrix:
    """(1, d) of one picture.

    Raises:
        ImageError: it cannot be read, or gives no vector.
    """
    import numpy as np

    from pictor.library.records import Reason

    vector = tower.encode([read_pixels(location, card, settings, timeout_s)])
    if not np.isfinite(vector).all():
        raise ImageError(Reason.NOT_FINITE, "the encoder gives no finite vector for it")
    return vector
