"""The tokenizer of a checkpoint as a file that needs no transformers, with the rules to use it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from pictor.library.encoders.checkpoint import Checkpoint
from pictor.library.encoders.families import FAMILIES, Family, text_length
from pictor.library.encoders.text_rules import SPIECE, TOKENIZER_JSON, TextRules
from pictor.library.encoders.torch_model import quiet_transformers
from pictor.library.errors import ModelError, ModelNotAvailable
from pictor.library.records import EncoderCard


def save_tokenizer(checkpoint: Checkpoint, card: EncoderCard, folder: Path) -> TextRules:
    """Write the tokenizer file into `folder`.

    SigLIP keeps its spiece.model, whose clean-up `text_rules` repeats. Every other tokenizer is
    loaded by transformers, so that all its rules for old and new file forms hold, and saved as
    tokenizer.json.

    Raises:
        ModelNotAvailable: the checkpoint has no tokenizer.
        ModelError: transformers cannot load it.
    """
    family = FAMILIES[card.family]
    tokenizer = _load(checkpoint, card)
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        shutil.copyfile(checkpoint.folder / SPIECE, folder / SPIECE)
    else:
        text = _with_lower_case(backend.to_str()) if family.lower_case else backend.to_str()
        (folder / TOKENIZER_JSON).write_text(text, encoding="utf-8")
    return _rules(tokenizer, family, checkpoint, SPIECE if backend is None else TOKENIZER_JSON)


def _load(checkpoint: Checkpoint, card: EncoderCard) -> Any:  # Any: a tokenizer of transformers
    from transformers import AutoTokenizer

    names = (TOKENIZER_JSON, SPIECE, "vocab.txt", "vocab.json", "tokenizer.model")
    if not any((checkpoint.folder / name).is_file() for name in names):
        raise ModelNotAvailable(
            f"{card.id!r} has no tokenizer (none of {', '.join(names)}); "
            "fetch it into the folder too"
        )
    try:
        with quiet_transformers():
            return AutoTokenizer.from_pretrained(
                str(checkpoint.folder), trust_remote_code=False, local_files_only=True
            )
    except (OSError, ValueError, TypeError, KeyError, ImportError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ModelError(
            f"the tokenizer of {card.id!r} cannot be loaded by transformers ({reason}); "
            "fetch it again"
        ) from error


def _rules(tokenizer: Any, family: Family, checkpoint: Checkpoint, file: str) -> TextRules:
    pad_id = tokenizer.pad_token_id
    return TextRules(
        tokenizer=file,
        max_length=text_length(family, checkpoint.config()),
        pad_id=0 if pad_id is None else int(pad_id),
        padding=family.padding,
        padding_side=tokenizer.padding_side,
        attention_mask=family.attention_mask,
        lower_case=bool(getattr(tokenizer, "do_lower_case", True)) if file == SPIECE else False,
        eos_id=int(tokenizer.eos_token_id) if file == SPIECE else 0,
    )


def _with_lower_case(tokenizer: str) -> str:
    """A tokenizer.json that lower-cases first.

    SigLIP 2 was trained on lower case, but its published tokenizer is Gemma's, which keeps case,
    and transformers adds the step for one of its two model types only.
    """
    data = json.loads(tokenizer)
    normalizer = data.get("normalizer")
    steps = (
        normalizer["normalizers"] if (normalizer or {}).get("type") == "Sequence" else [normalizer]
    )
    steps = [
        {"type": "Lowercase"},
        *(step for step in steps if step and step["type"] != "Lowercase"),
    ]
    data["normalizer"] = {"type": "Sequence", "normalizers": steps}
    return json.dumps(data, ensure_ascii=False)
