"""What a checkpoint says of itself, added to its card: what decides its vectors and scores."""

from __future__ import annotations

import math

from pictor.library.encoders.cards import complete_card
from pictor.library.encoders.checkpoint import Checkpoint
from pictor.library.encoders.families import (
    Family,
    Pooling,
    dimension_of,
    family_of,
    is_naflex,
    native_image_size,
)
from pictor.library.encoders.image_specs import read_image_spec
from pictor.library.errors import ModelError, ModelUnsupported
from pictor.library.records import EncoderCard, Scoring


def read_card_facts(
    card: EncoderCard, checkpoint: Checkpoint, pooling: Pooling | None
) -> EncoderCard:
    """The card with its family, revision, dimension, pooling, preprocessing and scoring.

    Args:
        card: as found by name; family "" where only the checkpoint knows it.
        checkpoint: a whole one.
        pooling: for image-only families; None: the card, then the checkpoint decide.

    Raises:
        ModelNotAvailable, ModelUnsupported, ModelError: what is missing, not known or broken.
    """
    config = checkpoint.config()
    tokenizer_class = str(checkpoint.tokenizer_config().get("tokenizer_class") or "")
    family = family_of(config, tokenizer_class, checkpoint.name)
    spec = read_image_spec(checkpoint.folder, family.name, checkpoint.name)
    if (spec.resize == "naflex") != is_naflex(config):
        raise ModelUnsupported(
            f"{checkpoint.name!r} has preprocessing {spec.resize!r} that does not fit its model "
            f"type {config.get('model_type')!r}; fetch its files again"
        )
    return complete_card(
        card,
        family=family.name,
        revision=checkpoint.revision,
        dimension=dimension_of(family, config),
        pooling=_pooling(family, checkpoint, pooling or card.pooling),
        image_size=native_image_size(family, config) or card.image_size,
        scoring=_scoring(family, checkpoint),
        spec=spec,
    )


def _pooling(family: Family, checkpoint: Checkpoint, asked: str) -> str:
    if family.has_text:
        if asked != "projection":
            raise ModelUnsupported(
                f"{checkpoint.name!r} pools by its own projection; "
                f"pooling {asked!r} is for ViT and DINO"
            )
        return "projection"
    # a classifier such as google/vit-base-patch16-224 has no pooler: transformers would invent one
    has_pooler = family.name != "vit" or any(
        name.endswith("pooler.dense.weight") for name in checkpoint.tensors()
    )
    if asked == "pooler" and not has_pooler:
        raise ModelUnsupported(
            f"{checkpoint.name!r} has no pooler; use the pooling 'cls' or 'mean'"
        )
    if asked == "projection":
        return "pooler" if has_pooler else "cls"
    return asked


def _scoring(family: Family, checkpoint: Checkpoint) -> Scoring:
    if not family.has_text:
        return Scoring()
    scale = checkpoint.scalar("logit_scale")
    bias = checkpoint.scalar("logit_bias") if family.scoring == "sigmoid" else 0.0
    if scale is None or bias is None:
        raise ModelError(
            f"the checkpoint {checkpoint.name!r} has no logit_scale or logit_bias, so its "
            "scores have no meaning; fetch it again"
        )
    return Scoring(family.scoring, math.exp(scale), bias)
