"""What is known of two contents before their pixels are looked at, and what a look says."""

from __future__ import annotations

from typing import NamedTuple

from pictor.library.pairs import Evidence, Kind


class Side(NamedTuple):
    """What the catalog says of one content.

    Attributes:
        taken_at: ISO 8601 to the second, camera: maker and model; None where the file is silent.
        format: lower case, as the catalog has it ("jpeg").
        names: paths of its files.
    """

    taken_at: str | None = None
    camera: str | None = None
    format: str = ""
    names: tuple[bytes, ...] = ()


class PairFacts(NamedTuple):
    """What led to a pair.

    Attributes:
        hash_distance: bits (0 to 64) of the nearest perceptual hashes over the 8 orientations; None
            where they were not compared.
        orientation: EXIF value (1 to 8) of the turn they are nearest in.
        vector_score: cosine of the vectors; None where there are none.
    """

    hash_distance: int | None = None
    orientation: int = 1
    vector_score: float | None = None
    a: Side = Side()
    b: Side = Side()


class PairFinding(NamedTuple):
    """What two contents are to each other; `confidence` is 0 to 1, that the kind is right."""

    kind: Kind
    confidence: float
    evidence: Evidence
