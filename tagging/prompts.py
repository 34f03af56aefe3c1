"""From labels to vectors: each label is the mean of its names in its prompts.

The mean of unit vectors, made unit again, is the prompt ensemble of CLIP (Radford et al. 2021,
section 3.1.4). A prompt is in the language of the name it holds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from pictor.library.errors import LabelError
from pictor.library.records import EncoderCard, FloatMatrix
from pictor.tagging.labels import PLACEHOLDER, Label, language_of

#: For encoders whose own prompt is in another language than a name. The English one is that of
#: SigLIP and of transformers' zero-shot pipeline, the Chinese one of Chinese-CLIP's authors.
TEMPLATES = {"en": "This is a photo of {label}.", "zh": "一张{label}的照片。"}

#: (n, d) unit rows of n texts.
EncodeTexts = Callable[[Sequence[str]], FloatMatrix]


def templates_for(name: str, templates: Sequence[str], own: str) -> tuple[str, ...]:
    """The prompts of a name.

    Args:
        templates: those that were asked for. Chinese ones are for Chinese names and others for
            other names; all of them where none is for its language.
        own: the encoder's, for names in the language it is written in, and always where it is the
            bare label.
    """
    language = language_of(name)
    fitting = tuple(one for one in templates if language_of(one) == language)
    if templates:
        return fitting or tuple(templates)
    is_bare = own == PLACEHOLDER
    return (own if is_bare or language_of(own) == language else TEMPLATES[language],)


def prompts(
    labels: Sequence[Label], templates: Sequence[str], card: EncoderCard, language: str | None
) -> list[list[str]]:
    """The texts of each label: every name in every prompt of its language.

    Args:
        language: whose names are used, for labels that have some in it; None is the first that the
            encoder knows.
    """
    chosen = language or next(iter(card.languages), "en")
    return [
        [
            fill(template, name)
            for name in label.names.get(chosen) or next(iter(label.names.values()))
            for template in templates_for(name, templates, card.template)
        ]
        for label in labels
    ]


def fill(template: str, name: str) -> str:
    """A prompt with a name in it; "{}" stands for the label too, as in transformers."""
    return template.replace(PLACEHOLDER, name).replace("{}", name)


def label_vectors(texts: Sequence[Sequence[str]], encode: EncodeTexts) -> FloatMatrix:
    """(labels, d) float32 unit rows: the mean of each label's texts.

    Raises:
        LabelError: the texts of a label cancel out.
    """
    flat = [text for group in texts for text in group]
    starts = np.cumsum([0, *(len(group) for group in texts[:-1])])
    sums = np.add.reduceat(encode(flat), starts, axis=0)
    norms = np.linalg.norm(sums, axis=1, keepdims=True)
    if not (norms > 1e-6).all():
        at = int(np.argmin(norms))
        raise LabelError(f"the prompts of a label cancel out: {texts[at]!r}")
    vectors: FloatMatrix = (sums / norms).astype(np.float32)
    return vectors
