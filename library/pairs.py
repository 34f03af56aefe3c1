"""Pairs of contents that may be the same picture: the ladder, what was found, what was decided."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, NamedTuple

from pictor.library.records import JsonObject


class Kind(StrEnum):
    """How two contents are alike, the surest first; files of one content are BYTES.

    RELATED is beside the ladder: a raw file and its JPEG, a Live Photo and its video, a picture and
    its edited version belong together, and none of them is a duplicate.
    """

    BYTES = "bytes"  # the same bytes
    PIXELS = "pixels"  # the same pixels after orientation, alpha and colour profile
    NEAR = "near"  # recompressed, resized, cropped, turned, mirrored or edited
    BURST = "burst"  # another moment of the same scene, by time, camera and likeness
    SIMILAR = "similar"  # nothing more than alike
    RELATED = "related"
    DIFFERENT = "different"  # looked at, and not alike


#: The ladder: a group is as sure as its weakest step. Duplicates are those of the first three.
LADDER = (Kind.BYTES, Kind.PIXELS, Kind.NEAR, Kind.BURST, Kind.SIMILAR)
DUPLICATES = (Kind.BYTES, Kind.PIXELS, Kind.NEAR)
#: A burst is over after so many seconds.
BURST_S = 10.0


class Verdict(StrEnum):
    """What a person decided of two contents."""

    NOT_DUPLICATE = "not-duplicate"
    RELATED = "related"
    KEEP_LOW = "keep-low"  # of the content whose hash comes first, the other may go
    KEEP_HIGH = "keep-high"


@dataclass(frozen=True)
class Evidence:
    """What a verdict on two contents, a and b, rests on; None where it was not measured.

    Attributes:
        hash_distance: bits of 64 in which their perceptual hashes differ.
        vector_score: cosine of their vectors.
        seconds_apart: between the shots.
        orientation: EXIF value that turns a into b.
        area: share of the smaller picture that matches, 0 to 1; area_larger: of the larger one.
        agreement: mean likeness of what matches, 0 to 1.
        changed: share of the common area that differs, 0 to 1.
        inliers: local features that fit one map.
        edited: "a" or "b", the one that has a border or an overlay.
        change: words such as "resized" or "cropped".
        decided: what a person decided.
    """

    # In the order of the stored JSON.
    hash_distance: int | None = None
    vector_score: float | None = None
    seconds_apart: float | None = None
    orientation: int | None = None
    area: float | None = None
    agreement: float | None = None
    changed: float | None = None
    area_larger: float | None = None
    inliers: int | None = None
    edited: str | None = None
    change: tuple[str, ...] | None = None
    decided: str | None = None

    def to_json(self) -> JsonObject:
        """What was measured, by name."""
        found = {name: getattr(self, name) for name in _TYPES}
        found["change"] = None if self.change is None else list(self.change)
        return {name: value for name, value in found.items() if value is not None}

    @classmethod
    def from_json(cls, stored: JsonObject) -> Evidence:
        """As stored; a value of another type than is written counts as not measured."""
        return cls(
            **{name: _typed(name, value) for name, value in stored.items() if name in _TYPES}
        )

    def from_other_side(self) -> Evidence:
        """The same with a and b exchanged: a quarter turn goes the other way."""
        turn = self.orientation
        return replace(
            self,
            orientation=14 - turn if turn in (6, 8) else turn,
            edited={"a": "b", "b": "a"}.get(self.edited or ""),
        )


_NUMBER = (int, float)
_WORDS = {"edited": str, "change": list, "decided": str}
_TYPES: dict[str, Any] = dict.fromkeys(Evidence.__dataclass_fields__, _NUMBER) | _WORDS


def _typed(name: str, value: Any) -> Any:  # Any: what JSON may hold
    if not isinstance(value, _TYPES[name]):
        return None
    return tuple(str(word) for word in value) if name == "change" else value


class PairRow(NamedTuple):
    """What is known of two contents.

    Attributes:
        low, high: content ids, low < high.
        confidence: 0 to 1, that the kind is right.
        evidence: what it rests on; a is the low one.
    """

    low: int
    high: int
    kind: Kind
    confidence: float
    evidence: Evidence
