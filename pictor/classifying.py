"""Zero-shot classification of pictures without a library: labels and scores, best first.

The scores are those of the `zero-shot-image-classification` pipeline of transformers: a softmax
over the labels, or a sigmoid for SigLIP, with the scale and bias of the checkpoint.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from library.config import Settings, load_settings
from library.errors import ImageError, ModelUnsupported
from library.records import EncoderCard, PixelArray

if TYPE_CHECKING:
    from indexer.sources import Locator
    from indexer.tagging.labels import LabelSet
    from library.encoders.base import EncoderOptions, ImageEncoder
    from library.records import FloatMatrix

PathLike = str | bytes | os.PathLike[str]
_LINKS = (b"http://", b"https://")
_MIB = 1 << 20


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
        ModelError: the encoder cannot be had, or has no text tower.
    """
    from indexer.tagging.labels import LabelSet, check_templates, given_labels

    check_templates(templates)
    given = labels if isinstance(labels, LabelSet) else given_labels("labels", labels)
    settings = settings or load_settings()
    card, options = open_card(encoder, settings)
    return _classified(images, given, tuple(templates), card, options, settings, timeout_s)


def open_card(encoder: str | None, settings: Settings) -> tuple[EncoderCard, EncoderOptions]:
    """The resolved card of a named encoder, or of the settings', and how it is run."""
    from library.encoders import loading
    from library.towers import options_of

    options = options_of(settings)
    return loading.resolve_card(encoder or settings.encoder.names[0], options), options


def tower_folder(card: EncoderCard, kind: str) -> Path:
    """Where exported towers of encoders are kept that belong to no library; may be deleted."""
    return Path(platformdirs.user_cache_dir("pictor")) / "towers" / card.fingerprint / kind


def _classified(
    images: Sequence[PathLike],
    labels: LabelSet,
    templates: tuple[str, ...],
    card: EncoderCard,
    options: EncoderOptions,
    settings: Settings,
    timeout_s: float | None,
) -> Iterator[Classification]:
    from indexer.tagging.scoring import logits_of, probabilities
    from library.encoders import loading

    vectors = _label_vectors(labels, templates, card, options)
    names = [one.label for one in labels.labels]
    tower = loading.open_image_encoder(card, options, tower_folder(card, "image"))
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
    from indexer.tagging.prompts import label_vectors, prompts
    from library.encoders import loading

    folder = tower_folder(card, "text")
    loading.make_text_tower(card, options, folder)
    tower = loading.open_text_encoder(card, folder, threads=options.threads)
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

    from library.records import Reason

    vector = tower.encode([read_pixels(location, card, settings, timeout_s)])
    if not np.isfinite(vector).all():
        raise ImageError(Reason.NOT_FINITE, "the encoder gives no finite vector for it")
    return vector


def read_pixels(
    location: bytes, card: EncoderCard, settings: Settings, timeout_s: float
) -> PixelArray:
    """The pixels that an encoder wants of a picture at a path or link. Safe in several threads.

    The picture is decoded at its full size, as transformers does, not shrunk while it is read.

    Raises:
        ImageError: it cannot be read, fetched or decoded.
    """
    from indexer.sources import Locator

    is_link = location.startswith(_LINKS)
    path = location if is_link else os.path.abspath(os.path.expanduser(location))
    return pixels_of(Locator("url" if is_link else "file", path), card, settings, timeout_s)


def pixels_of(
    locator: Locator, card: EncoderCard, settings: Settings, timeout_s: float
) -> PixelArray:
    """As `read_pixels`, of a file that a source listed."""
    from indexer.sources import read_bytes
    from library.images import Limits, load_rgb, prepare
    from library.records import Reason

    if card.spec is None:
        raise ModelUnsupported(f"the card of {card.id!r} has no preprocessing")
    if locator.kind == "url" and settings.network.offline:
        raise ImageError(Reason.FETCH, "it is a link and pictor is offline")
    data = read_bytes(locator, settings.index.max_file_mib * _MIB, timeout_s)
    limits = Limits(max_pixels=settings.index.max_pixels, frames=1)
    name = locator.member or locator.path
    picture, _, _ = load_rgb(data, limits, name_hint=name, time_s=0.0)
    return prepare(picture, card.spec)
