"""What each model family fixes that its checkpoint does not say.

A family is data (`families.toml`): how text is cut and padded, how a cosine becomes a score, which
prompt its labels want. Nothing here reads a checkpoint or imports a model.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pictor.library.errors import ModelUnsupported
from pictor.library.records import JsonObject

Padding = Literal["longest", "max_length"]
Triple = tuple[float, float, float]
Pooling = Literal["projection", "pooler", "cls", "mean"]

_GEMMA_TOKENIZERS = frozenset({"GemmaTokenizer", "Siglip2Tokenizer"})


@dataclass(frozen=True)
class Family:
    """The habits of one family.

    Attributes:
        name: as in `EncoderCard.family`.
        model_types: as its checkpoints' configurations name it.
        processor: of `PROCESSORS`, for files so old that they name none.
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
    model_types: tuple[str, ...]
    processor: str
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


@dataclass(frozen=True)
class Processor:
    """What an image processor of transformers 5.23 assumes for a key that is not in its file.

    Attributes:
        square: what an integer size means: a square, or the short side.
    """

    mean: Triple
    std: Triple
    resample: int
    size: Any = None  # Any: as in the file
    crop: bool = False
    square: bool = False


def _read(kind: str) -> dict[str, dict[str, Any]]:  # Any: what the records of a kind take
    data = tomllib.loads(Path(__file__).with_name("families.toml").read_text("utf-8"))
    return {
        name: {key: tuple(v) if isinstance(v, list) else v for key, v in facts.items()}
        for name, facts in data[kind].items()
    }


FAMILIES = {name: Family(name, **facts) for name, facts in _read("family").items()}
PROCESSORS = {name: Processor(**facts) for name, facts in _read("processor").items()}
_BY_MODEL_TYPE = {model_type: one for one in FAMILIES.values() for model_type in one.model_types}


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
    family = _BY_MODEL_TYPE.get(model_type)
    if family is None:
        known = ", ".join(sorted(_BY_MODEL_TYPE))
        raise ModelUnsupported(
            f"{where!r} is of model type {model_type!r}, which pictor does not read; "
            f"choose a checkpoint of one of these types: {known}"
        )
    if family.name == "siglip" and tokenizer_class.removesuffix("Fast") in _GEMMA_TOKENIZERS:
        return FAMILIES["siglip2"]
    return family


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
