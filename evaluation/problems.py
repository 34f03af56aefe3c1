"""What was wrong with captions, labels and photos: counted, listed, and never silent."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

#: Examples kept of each kind; beyond them only the number grows.
MOST_EXAMPLES = 100

#: What each kind means. Those of `_KEPT` change what is measured only as the sentence says.
MEANINGS = {
    "bad_line": "lines that are not a JSON object in UTF-8",
    "no_image": "records that name no image",
    "no_caption": "records without a caption in a language asked for",
    "empty_caption": "captions that are empty or not text",
    "duplicate_caption": "captions given again by a second record of their image",
    "repeated_caption": "captions given twice in one record (both kept, as published)",
    "duplicate_image": "records of an image that had one already (their captions were joined)",
    "unsafe_path": "image names that point outside the images folder",
    "missing_image": "images that are not there",
    "bad_base64": "images whose base64 is damaged",
    "undecodable_image": "images that cannot be decoded",
    "unindexed_image": "images that the library's settings exclude, or that have no vector",
    "same_content": "images with the same bytes as another one (counted as one photo)",
    "lost_caption": "captions whose images were all left out",
    "no_label": "records without a label",
    "unknown_label": "photos whose label the file of labels does not have",
    "nameless_label": "labels without a name in a language",
    "several_labels": "photos that have several labels",
    "label_without_photo": "labels without photos (kept: a photo may be mistaken for one)",
}
_KEPT = frozenset({"repeated_caption", "duplicate_image", "same_content", "label_without_photo"})


@dataclass(frozen=True)
class Problem:
    """One kind of trouble.

    Attributes:
        kind: a key of `MEANINGS`.
        count: how often it was met.
        left_out: how many lines, captions or images were not measured because of it.
        examples: where, for people; at most `MOST_EXAMPLES`.
    """

    kind: str
    count: int
    left_out: int
    examples: tuple[str, ...]

    @property
    def meaning(self) -> str:
        """The kind in words."""
        return MEANINGS[self.kind]


class Problems:
    """Collects trouble while captions, labels and photos are read."""

    def __init__(self) -> None:
        """None yet."""
        self._counts: Counter[str] = Counter()
        self._examples: dict[str, list[str]] = {}

    def add(self, kind: str, where: str) -> None:
        """Count one more of a kind of `MEANINGS`."""
        self._counts[kind] += 1
        examples = self._examples.setdefault(kind, [])
        if len(examples) < MOST_EXAMPLES:
            examples.append(where[:200])

    def copy(self) -> Problems:
        """The same, to which more can be added apart."""
        twin = Problems()
        twin._counts = self._counts.copy()
        twin._examples = {kind: list(examples) for kind, examples in self._examples.items()}
        return twin

    def listed(self) -> tuple[Problem, ...]:
        """Every kind that was met, in the order of `MEANINGS`."""
        return tuple(
            Problem(kind, count, 0 if kind in _KEPT else count, tuple(self._examples[kind]))
            for kind in MEANINGS
            if (count := self._counts[kind])
        )

    def __str__(self) -> str:
        """All counts as one line."""
        found = [f"{problem.count} {problem.meaning}" for problem in self.listed()]
        return "; ".join(found) or "no problems"
