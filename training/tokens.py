"""The joint tokenizer of English and Chinese, and texts as arrays of token ids.

``tokenizer.json`` holds all of it: the shipped encoder needs the ``tokenizers`` package alone.
"""

from __future__ import annotations

import tempfile
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import sentencepiece
from numpy.typing import NDArray
from opencc import OpenCC
from sentencepiece import sentencepiece_model_pb2
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

PAD_ID, UNKNOWN_ID, START_ID = 0, 1, 2
SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[START]"]  # in the order of the ids above
MAX_TOKENS = 48  # the longest Flickr8k caption has 40 words; pieces beyond are cut off

TokenIds = NDArray[np.int64]  # (n, l), rows padded with PAD_ID


def build_tokenizer(scores: Mapping[str, float]) -> Tokenizer:
    """A unigram tokenizer (arXiv 1804.10959) over pieces with their log-probabilities.

    The likeliest way to cut a text wins, so Chinese is cut into words as a dictionary would, and a
    known English word stays whole. Traditional characters, full-width forms, accents and capitals
    are mapped to their plain forms first.
    """
    pieces = [(token, 0.0) for token in SPECIAL_TOKENS] + list(scores.items())
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=UNKNOWN_ID, byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.NFKC(),
            normalizers.Lowercase(),
            normalizers.Precompiled(_plain_forms()),
            normalizers.Replace(Regex(r"[\u200b-\u200f\ufe0e\ufe0f\ufeff]"), ""),
            normalizers.Replace(Regex(r"[^\w\s]"), " "),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Whitespace(),
            pre_tokenizers.Split(Regex(r"[\p{Han}]+"), "isolated"),
        ]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[START] $A", special_tokens=[("[START]", START_ID)]
    )
    tokenizer.enable_truncation(MAX_TOKENS)
    return tokenizer


def _plain_forms() -> bytes:
    """Character rules in the compiled form of SentencePiece, which Precompiled reads."""
    simplified = OpenCC("t2s").convert
    rules = {}
    for character in map(chr, range(0x3400, 0xA000)):
        plain = simplified(character)
        if plain != character and len(plain) == 1:
            rules[character] = plain
    for character in map(chr, (*range(0xC0, 0x250), *range(0x1E00, 0x1F00))):
        parts = unicodedata.normalize("NFKD", character)
        plain = "".join(part for part in parts if not unicodedata.combining(part)).lower()
        if plain and plain != character:
            rules[character] = plain
    lines = (
        f"{ord(character):X}\t{' '.join(f'{ord(part):X}' for part in plain)}\n"
        for character, plain in rules.items()
    )
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "rules.tsv"
        table.write_text("".join(lines), encoding="ascii")
        sentencepiece.SentencePieceTrainer.train(  # its rules are wanted, its pieces are not
            sentence_iterator=iter(["a dog and a cat", "the sea in the sun"]),
            model_prefix=str(Path(folder) / "rules"),
            vocab_size=40,
            hard_vocab_limit=False,
            normalization_rule_tsv=str(table),
            minloglevel=2,
        )
        model = sentencepiece_model_pb2.ModelProto()
        model.ParseFromString((Path(folder) / "rules.model").read_bytes())
    return bytes(model.normalizer_spec.precompiled_charsmap)


def encode(tokenizer: Tokenizer, texts: Sequence[str]) -> tuple[TokenIds, TokenIds]:
    """Ids and mask, both (n, l): l is the longest of the batch, the mask is 1 on tokens."""
    ids = padded([np.array(e.ids, dtype=np.int64) for e in tokenizer.encode_batch(list(texts))])
    return ids, (ids != PAD_ID).astype(np.int64)


def padded(rows: Sequence[NDArray[np.int64]]) -> TokenIds:
    """Rows of any length as one array."""
    ids = np.full((len(rows), max(map(len, rows))), PAD_ID, dtype=np.int64)
    for index, row in enumerate(rows):
        ids[index, : len(row)] = row
    return ids


class TokenTable:
    """Groups of texts, each cut once; rows of it are what a training step draws."""

    def __init__(self, tokenizer: Tokenizer, groups: Sequence[Sequence[str]]) -> None:
        flat = [text for group in groups for text in group]
        self._rows = [np.array(e.ids, dtype=np.int64) for e in tokenizer.encode_batch(flat)]
        self._counts = np.array([len(group) for group in groups])
        self._starts = np.concatenate([[0], np.cumsum(self._counts)[:-1]])

    def __len__(self) -> int:
        return len(self._counts)

    def draw(
        self, groups: NDArray[np.int64], rng: np.random.Generator, texts: int
    ) -> list[list[NDArray[np.int64]]]:
        """``texts`` lists with one text of each group, different ones where there are."""
        counts, starts = self._counts[groups], self._starts[groups]
        first = rng.integers(0, counts)
        chosen = [first]
        for step in range(1, texts):
            chosen.append((first + step * (1 + 0 * counts)) % counts)
        return [[self._rows[row] for row in starts + column] for column in chosen]

    def first(self, groups: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """The first text of each group."""
        return [self._rows[row] for row in self._starts[groups]]
