"""From texts to token ids, exactly as a family was trained, without transformers.

`TextRules` is stored as text.json beside the tokenizer file. Two kinds of tokenizer file exist:
tokenizer.json (CLIP, SigLIP 2, Chinese-CLIP and the built-in encoder), which says all of its own
steps, and spiece.model (SigLIP), whose clean-up is code: lower case, no ASCII punctuation, single
spaces. That code follows `SiglipTokenizer` of transformers 5.23, which follows big_vision's
prompt_engineering.py.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # a text query needs no families
    from pictor.library.encoders.families import Padding

TokenArray = NDArray[np.int64]  # (n, length)

TOKENIZER_JSON = "tokenizer.json"
SPIECE = "spiece.model"

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_SPACES = re.compile(r"\s+")
_WORD_START = "▁"  # sentencepiece's mark for a space
_UNKNOWN = "<unk>"
_UNKNOWNS = (_UNKNOWN, "[UNK]")  # as tokenizers name it


@dataclass(frozen=True)
class TextRules:
    """How texts become the inputs of a text tower.

    Attributes:
        tokenizer: name of the tokenizer file in the same folder.
        max_length: tokens, special ones included.
        padding: to max_length always, or to the longest text of a batch.
        attention_mask: the tower takes one.
        lower_case: for a spiece.model; a tokenizer.json holds that step itself.
        eos_id: put behind the pieces of a spiece.model; a tokenizer.json does so itself.
    """

    tokenizer: str
    max_length: int
    pad_id: int = 0
    padding: Padding = "longest"
    padding_side: Literal["right", "left"] = "right"
    attention_mask: bool = False
    lower_case: bool = False
    eos_id: int = 0


class Tokenizer(Protocol):
    """Texts to token ids, cut to the maximal length, special tokens included, not padded."""

    def __call__(self, texts: Sequence[str]) -> list[list[int]]:
        """One list of ids a text."""
        ...

    def knows(self, text: str) -> bool:
        """Whether any token of the text is a word or symbol that is neither unknown nor special."""
        ...


def open_tokenizer(folder: Path, rules: TextRules) -> Tokenizer:
    """The tokenizer that the rules name."""
    if rules.tokenizer == SPIECE:
        return _PieceTokenizer(folder / SPIECE, rules)
    return _JsonTokenizer(folder / rules.tokenizer, rules)


def pad(ids: Sequence[Sequence[int]], rules: TextRules) -> tuple[TokenArray, TokenArray]:
    """Token ids as one (n, length) array, and the mask that is 1 on tokens and 0 on pads."""
    length = rules.max_length
    if rules.padding == "longest":
        length = max((len(row) for row in ids), default=1)
    tokens = np.full((len(ids), length), rules.pad_id, np.int64)
    mask = np.zeros((len(ids), length), np.int64)
    for i, row in enumerate(ids):
        place = slice(length - len(row), None) if rules.padding_side == "left" else slice(len(row))
        tokens[i, place] = row
        mask[i, place] = 1
    return tokens, mask


def printable(text: str) -> str:
    """The text with question marks for lone surrogates: command-line bytes that are no UTF-8."""
    return text.encode("utf-8", "replace").decode()


def has_word(text: str) -> bool:
    """Whether a letter, a digit or a symbol is in it; the mark for a space is none of them."""
    text = text.replace(_WORD_START, "")
    return any(unicodedata.category(character)[0] in "LNS" for character in text)


class _JsonTokenizer:
    def __init__(self, path: Path, rules: TextRules) -> None:
        from tokenizers import Tokenizer as Backend

        self._backend: Any = Backend.from_file(str(path))  # Any: tokenizers has no types
        self._backend.no_padding()
        self._backend.enable_truncation(rules.max_length)

    def __call__(self, texts: Sequence[str]) -> list[list[int]]:
        encodings = self._backend.encode_batch([printable(text) for text in texts])
        return [list(encoding.ids) for encoding in encodings]

    def knows(self, text: str) -> bool:
        found = self._backend.encode(printable(text))
        unknown = {self._backend.token_to_id(token) for token in _UNKNOWNS}
        every = zip(found.ids, found.tokens, found.special_tokens_mask, strict=True)
        return any(
            not is_special and token not in unknown and has_word(piece)
            for token, piece, is_special in every
        )


class _PieceTokenizer:
    def __init__(self, path: Path, rules: TextRules) -> None:
        from sentencepiece import SentencePieceProcessor

        self._rules = rules
        self._backend: Any = SentencePieceProcessor(model_file=str(path))  # Any: no types
        self._unknown_length = len(self._backend.encode(_UNKNOWN))

    def __call__(self, texts: Sequence[str]) -> list[list[int]]:
        return [self._encode(printable(text)) for text in texts]

    def _encode(self, text: str) -> list[int]:
        text = _WORD_START + text.replace(_WORD_START, " ")
        if self._rules.lower_case:
            text = text.lower()
        text = _SPACES.sub(" ", text.translate(_PUNCTUATION)).strip()
        # sentencepiece drops a leading word-start mark; behind a word of its own it is kept
        pieces = self._backend.encode(_UNKNOWN + text)[self._unknown_length :]
        return [*pieces[: self._rules.max_length - 1], self._rules.eos_id]

    def knows(self, text: str) -> bool:
        tokens = set(self._encode(printable(text))[:-1]) - {self._backend.unk_id()}
        return any(has_word(self._backend.id_to_piece(token)) for token in tokens)
