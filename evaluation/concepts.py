"""Everyday concepts, and which photos' captions mention them.

Names are looked for, not meanings: `configs/concepts.toml` gives each concept all the names that a
caption may call it by, in English and in Chinese.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pictor.evaluation.captions import CaptionSet
from pictor.library.config import presets_dir
from pictor.library.records import BoolMatrix, JsonObject

CONCEPTS_FILE = "concepts.toml"

_WORD = re.compile(r"[^\W\d_]+")
_EXCEPT = "!"


@dataclass(frozen=True)
class Concept:
    """One concept.

    Attributes:
        names: by language ("en", "zh"), the one to search for first.
        exceptions: Chinese words that hold a name but mean something else.
        is_person: whether it is people of no special kind, whom captions mention whatever they are
            about.
    """

    names: dict[str, tuple[str, ...]]
    exceptions: tuple[str, ...] = ()
    is_person: bool = False

    def query(self, language: str) -> str:
        """What a person types to find it."""
        return self.names[language][0]


def load_concepts() -> tuple[Concept, ...]:
    """The shipped ones."""
    text = (presets_dir() / CONCEPTS_FILE).read_text(encoding="utf-8")
    return tuple(_concept(entry) for entry in tomllib.loads(text)["concepts"])


def _concept(entry: JsonObject) -> Concept:
    chinese = [name for name in entry["zh"] if not name.startswith(_EXCEPT)]
    exceptions = [name[1:] for name in entry["zh"] if name.startswith(_EXCEPT)]
    names = {"en": tuple(entry["en"]), "zh": tuple(chinese)}
    return Concept(names, tuple(exceptions), bool(entry.get("is_person")))


def mentions(concepts: Sequence[Concept], captions: CaptionSet) -> BoolMatrix:
    """(concepts, photos) whether a caption of a photo, in whatever language, has a name."""
    texts: list[list[str]] = [[] for _ in captions.photos]
    for group in captions.languages.values():
        for caption in group:
            for photo in caption.photos:
                texts[photo].append(caption.text)
    # One long text a photo: a full stop keeps a name from spanning two captions.
    return named_in(concepts, [" . ".join(group) for group in texts])


def named_in(concepts: Sequence[Concept], texts: Sequence[str]) -> BoolMatrix:
    """(concepts, texts) whether a text has a name of a concept, in whatever language."""
    plain = [words_of(text) for text in texts]
    found = [_mentioned(concept, plain, texts) for concept in concepts]
    return np.array(found, bool).reshape(len(concepts), len(texts))


def kin(concepts: Sequence[Concept]) -> BoolMatrix:
    """(concepts, concepts) whether two share a name, or part of one: "child" and "boy"."""
    names = [
        {words_of(name) for name in concept.names["en"]} | set(concept.names["zh"])
        for concept in concepts
    ]
    found = [
        [any(a in b or b in a for a in mine for b in others) for others in names] for mine in names
    ]
    return np.array(found, bool)


def words_of(text: str) -> str:
    """English words in lower case and in the singular, with a space around each."""
    parts = text.lower().split(".")
    words = (" ".join(_singular(word) for word in _WORD.findall(part)) for part in parts)
    return " " + " . ".join(words) + " "


def _mentioned(concept: Concept, plain: Sequence[str], texts: Sequence[str]) -> list[bool]:
    english = [words_of(name) for name in concept.names["en"]]
    found = []
    for words, text in zip(plain, texts, strict=True):
        for other in concept.exceptions:
            text = text.replace(other, ".")
        is_english = any(name in words for name in english)
        found.append(is_english or any(name in text for name in concept.names["zh"]))
    return found


def _singular(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("ches", "shes", "sses", "xes", "zes")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word
