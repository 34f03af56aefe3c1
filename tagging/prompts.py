"""From labels to texts: each label's names in its prompts, each in the language of its name."""

from __future__ import annotations

from collections.abc import Sequence

from pictor.library.label_scores import PLACEHOLDER
from pictor.library.records import EncoderCard
from pictor.tagging.labels import Label, language_of

#: For encoders whose own prompt is in another language than a name. The English one is that of
#: SigLIP and of transformers' zero-shot pipeline, the Chinese one of Chinese-CLIP's authors.
TEMPLATES = {"en": "This is a photo of {label}.", "zh": "一张{label}的照片。"}


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
