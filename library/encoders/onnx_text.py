"""The text tower of any space on ONNX Runtime: no torch, no transformers, a quick start."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from pictor.library.encoders.onnx_session import open_session
from pictor.library.encoders.text_rules import TextRules, has_word, open_tokenizer, pad
from pictor.library.errors import ModelError
from pictor.library.records import EncoderCard, FloatMatrix

MODEL = "text.onnx"
RULES = "text.json"

_BATCH = 64  # texts a run: bounds memory when a label set has thousands


class OnnxTextEncoder:
    """A text encoder from a folder with text.onnx, text.json and a tokenizer file.

    Safe to use from several threads at once: neither the session nor the tokenizer is changed by
    use.

    Attributes:
        card: of the space.
    """

    def __init__(
        self, card: EncoderCard, folder: Path, rules: TextRules | None = None, *, threads: int = 0
    ) -> None:
        self.card = card
        self._rules = rules or _read_rules(folder / RULES)
        model = folder / MODEL
        with ThreadPoolExecutor(1) as beside:  # opening either takes 30 ms of a cold query
            session = beside.submit(open_session, model, threads, optimise=_is_large(model))
            self._tokenizer = open_tokenizer(folder, self._rules)
            self._session = session.result()

    def encode(self, texts: Sequence[str]) -> FloatMatrix:
        """(n, d) float32 vectors, rows unit-norm. Over-long texts are cut as the family does."""
        if isinstance(texts, str):
            raise TypeError("encode takes a sequence of texts, not one string")
        parts = [self._run(texts[i : i + _BATCH]) for i in range(0, len(texts), _BATCH)]
        return np.concatenate([np.empty((0, self.card.dimension), np.float32), *parts])

    def knows(self, text: str) -> bool:
        """Whether there is a word or symbol in the text that is a token."""
        return has_word(text) and self._tokenizer.knows(text)

    def _run(self, texts: Sequence[str]) -> FloatMatrix:
        tokens, mask = pad(self._tokenizer(texts), self._rules)
        inputs = {"input_ids": tokens}
        if self._rules.attention_mask:
            inputs["attention_mask"] = mask
        vectors: FloatMatrix = self._session.run(["vectors"], inputs)[0]
        if not np.isfinite(vectors).all():
            raise ModelError(
                f"the text tower of {self.card.id!r} gave a vector that is not finite; "
                "its checkpoint is broken"
            )
        return vectors


def _is_large(model: Path) -> bool:
    """Whether optimising the graph pays for a command that encodes one text.

    Measured on the built-in tower (7 MB): it takes 20 ms and makes a text 0.25 ms faster.
    """
    return model.is_file() and model.stat().st_size > 32 << 20


def _read_rules(path: Path) -> TextRules:
    try:
        return TextRules(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise ModelError(
            f"{str(path)!r} is missing or damaged; delete its folder and run: pictor index"
        ) from error
