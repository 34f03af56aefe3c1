"""The encoder inside the package: its card and its text rules, from builtin/card.toml.

The folder holds image.onnx, text.onnx, tokenizer.json and card.toml, made by `training/`. Its card
states all there is to know, as there is no checkpoint to ask.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from pictor.library.encoders.text_rules import TOKENIZER_JSON, TextRules
from pictor.library.errors import ModelError, ModelNotAvailable
from pictor.library.records import EncoderCard, ImageSpec, JsonObject, Scoring

BUILTIN = "builtin"
BUILTIN_FOLDER = Path(__file__).parent / "builtin"


def read_builtin_card() -> EncoderCard:
    """The resolved card of the built-in encoder.

    Raises:
        ModelNotAvailable: this installation lacks it.
        ModelError: its card is damaged.
    """
    data = _read()
    try:
        scoring = dict(data["scoring"])
        image: JsonObject = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in data["image"].items()
        }
        return EncoderCard(
            id=BUILTIN,
            family=BUILTIN,
            revision=str(data["revision"]),
            dimension=int(data["dimension"]),
            languages=tuple(data["languages"]),
            has_text=True,
            image_size=int(image["height"]),
            licence=str(data["license"]),
            template=str(scoring.pop("prompt", "{label}")),
            scoring=Scoring(**scoring),
            spec=ImageSpec(**image),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(error) from error


def read_builtin_rules() -> TextRules:
    """How its texts become token ids."""
    text = _read()["text"]
    try:
        return TextRules(
            tokenizer=TOKENIZER_JSON,
            max_length=int(text["max_tokens"]),
            pad_id=int(text["pad_id"]),
            attention_mask=True,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(error) from error


def _read() -> JsonObject:
    path = BUILTIN_FOLDER / "card.toml"
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelNotAvailable(
            f"the built-in encoder is not in this installation ({str(path)!r} is missing); "
            "reinstall pictor"
        ) from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise _damaged(error) from error


def _damaged(error: Exception) -> ModelError:
    return ModelError(f"the card of the built-in encoder is damaged ({error!r}); reinstall pictor")
