"""Words for pairs of contents that may be the same picture: the ladder, and what people decided."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

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


class Verdict(StrEnum):
    """What a person decided of two contents."""

    NOT_DUPLICATE = "not-duplicate"
    RELATED = "related"
    KEEP_LOW = "keep-low"  # of the content whose hash comes first, the other may go
    KEEP_HIGH = "keep-high"


class PairRow(NamedTuple):
    """What is known of two contents.

    Attributes:
        low, high: content ids, low < high.
        confidence: 0 to 1, that the kind is right.
        evidence: what it rests on, for people and programs: numbers by name, such as
            "hash_distance" (bits of 64), "orientation" (EXIF value that turns low into high),
            "vector_score" (cosine), "area" (share of the smaller picture that matches, 0 to 1),
            "seconds_apart", "edited" ("a", the low one, or "b": it has a border or something laid
            over it), and "change", a list of words such as "resized" or "cropped".
    """

    low: int
    high: int
    kind: Kind
    confidence: float
    evidence: JsonObject
