"""What each model family fixes that its checkpoint does not say.

A family is data: how text is cut and padded, how a cosine becomes a score, which prompt its labels
want. Nothing here reads a file or imports a model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pictor.library.errors import ModelUnsupported
from pictor.library.records import JsonObject

Padding = Literal["longest", "max_length"]
Pooling = Literal["projection", "pooler", "cls", "mean"]

#: Languages SigLIP 2's paper (Tschannen et al. 2025) reports retrieval for, on Crossmodal-3600, as
#: ISO 639-1 codes; it was trained on more. Maori and Quechua are left out: they score near chance
#: there.
SIGLIP2_LANGUAGES = (
    *("ar", "bn", "cs", "da", "de", "el", "en", "es", "fa", "fi", "fr", "he", "hi", "hr", "hu"),
    *("id", "it", "ja", "ko", "nl", "no", "pl", "pt", "ro", "ru", "sv", "sw", "te", "th", "tl"),
    *("tr", "uk", "vi", "zh"),
)
_GEMMA_TOKENIZERS = frozenset({"GemmaTokenizer", "Siglip2Tokenizer"})


@dataclass(frozen=True)
class Family:
    """The habits of one family.

    Attributes:
        name: as in `EncoderCard.family`.
        has_text: it has a text tower and a common projection space.
        scoring: how `scale * cos + bias` becomes a score.
        max_length: tokens, special ones included, a text is cut to.
        padding: "max_length" where the model was trained on padded texts and its pooling sees the
            pads.
        attention_mask: the text tower must not look at pads.
        lower_case: texts are lower-cased before the tokenizer, which does not do so by itself.
        dimension: d where the checkpoint's configuration leaves out the default.
        image_size: native side in pixels, likewise.
    """

    name: str
    has_text: bool = False
    scoring: Literal["softmax", "sigmoid", "cosine"] = "cosine"
    max_length: int = 0
    padding: Padding = "longest"
    attention_mask: bool = False
    lower_case: bool = False
    languages: tuple[str, ...] = ()
    template: str = "{label}"
    dimension: int = 768
    image_size: int = 224


#: Sources: CLIP (Radford et al. 2021): 77 tokens, end-of-text pooling under a causal mask, so pads
#: behind it change nothing. SigLIP and SigLIP 2: model documentation of transformers 5
#: (padding="max_length", 64 tokens, lower case, no attention mask, sigmoid, "This is a photo of
#: {label}."). Chinese-CLIP (Yang et al. 2022) and its repository: 52 tokens, a BERT that pools
#: [CLS], "一张{label}的照片。" among its prompts.
FAMILIES = {
    family.name: family
    for family in (
        Family(
            "clip",
            has_text=True,
            scoring="softmax",
            max_length=77,
            languages=("en",),
            template="This is a photo of {label}.",
            dimension=512,
        ),
        Family(
            "siglip",
            has_text=True,
            scoring="sigmoid",
            max_length=64,
            padding="max_length",
            lower_case=True,
            languages=("en",),
            template="This is a photo of {label}.",
        ),
        Family(
            "siglip2",
            has_text=True,
            scoring="sigmoid",
            max_length=64,
            padding="max_length",
            lower_case=True,
            languages=SIGLIP2_LANGUAGES,
            template="This is a photo of {label}.",
        ),
        Family(
            "chinese_clip",
            has_text=True,
            scoring="softmax",
            max_length=52,
            attention_mask=True,
            languages=("zh",),
            template="一张{label}的照片。",
            dimension=512,
        ),
        Family("vit"),
        Family("dinov2"),
        Family("dinov3", dimension=384),
    )
}

_BY_MODEL_TYPE = {
    "clip": "clip",
    "siglip": "siglip",
    "siglip2": "siglip2",
    "chinese_clip": "chinese_clip",
    "vit": "vit",
    "dinov2": "dinov2",
    "dinov2_with_registers": "dinov2",
    "dinov3_vit": "dinov3",
}


def family_of(config: JsonObject, tokenizer_class: str, where: str) -> Family:
    """The family of a checkpoint.

    Args:
        config: its config.json.
        tokenizer_class: as its tokenizer_config.json names it. SigLIP 2 checkpoints of a fixed size
            call themselves "siglip" and differ by their Gemma tokenizer alone.
        where: id or folder, for the message.

    Raises:
        ModelUnsupported: pictor does not read this model type.
    """
    model_type = str(config.get("model_type", ""))
    name = _BY_MODEL_TYPE.get(model_type)
    if name is None:
        known = ", ".join(sorted(_BY_MODEL_TYPE))
        raise ModelUnsupported(
            f"{where!r} is of model type {model_type!r}, which pictor does not read; "
            f"choose a checkpoint of one of these types: {known}"
        )
    if name == "siglip" and tokenizer_class.removesuffix("Fast") in _GEMMA_TOKENIZERS:
        name = "siglip2"
    return FAMILIES[name]


def is_naflex(config: JsonObject) -> bool:
    """Whether the image tower takes pictures of any aspect as padded patches."""
    return config.get("model_type") == "siglip2"


def dimension_of(family: Family, config: JsonObject) -> int:
    """d of the vectors, from config.json and, where that is silent, the family's default."""
    if family.name in {"clip", "chinese_clip"}:
        return int(config.get("projection_dim") or family.dimension)
    vision = config.get("vision_config") or {} if family.has_text else config
    return int(vision.get("hidden_size") or family.dimension)


def native_image_size(family: Family, config: JsonObject) -> int:
    """The side in pixels of the position table of the image tower; 0 for NaFlex."""
    if is_naflex(config):
        return 0
    vision = config.get("vision_config") or {} if family.has_text else config
    size = vision.get("image_size") or family.image_size
    return int(size[0] if isinstance(size, list) else size)


def text_length(family: Family, config: JsonObject) -> int:
    """Tokens a text is cut to: the family's habit, or less where the position table is shorter."""
    text = config.get("text_config") or {}
    return min(family.max_length, int(text.get("max_position_embeddings") or family.max_length))


def prefix_tokens(config: JsonObject) -> int:
    """Tokens of an image-only tower before its patches: the class token and registers."""
    default = 4 if config.get("model_type") == "dinov2_with_registers" else 0
    return 1 + int(config.get("num_register_tokens", default) or 0)
