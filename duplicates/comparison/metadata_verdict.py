"""What names, times and scores say of two contents, without their pixels."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from pictor.library.catalog.fingerprints import ShotFacts
from pictor.library.edited_names import unedited
from pictor.library.pairs import BURST_S, Evidence, Kind
from pictor.library.raw_names import RAW_ENDINGS

#: Cosine from which two contents that nothing else joins are called similar. Encoders differ; with
#: the built-in one 1 of 28 photos of Flickr8k (validation) has another that is so near.
SIMILAR_SCORE = 0.9
_BURST_SCORE = 0.75
_BURST_BITS = 18
_FINISHED = frozenset(["jpg", "jpeg", "jpe", "heic", "heif", "hif", "avif"])
_MOVING = frozenset(["mov", "mp4", "m4v", "qt", "quicktime"])


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
    a: ShotFacts = ShotFacts()
    b: ShotFacts = ShotFacts()


class PairFinding(NamedTuple):
    """What two contents are to each other; `confidence` is 0 to 1, that the kind is right."""

    kind: Kind
    confidence: float
    evidence: Evidence


def related(facts: PairFacts) -> PairFinding | None:
    """A RAW and its finished picture, or a Live Photo's still and film: same folder, same stem."""
    for ours in facts.a.names:
        for theirs in facts.b.names:
            stem, ending = _parts(ours)
            other_stem, other_ending = _parts(theirs)
            if stem != other_stem:
                continue
            endings = {ending, other_ending}
            if endings & _FINISHED and endings & RAW_ENDINGS:
                return _related(facts, "raw")
            if endings & _FINISHED and endings & _MOVING:
                return _related(facts, "live photo")
    return None


def is_edited_version(facts: PairFacts) -> bool:
    """Whether names say that one is the edited version of the other."""
    for ours in facts.a.names:
        for theirs in facts.b.names:
            (folder, stem), (other_folder, other) = _parts(ours)[0], _parts(theirs)[0]
            if folder == other_folder and stem != other and unedited(stem) == unedited(other):
                return True
    return False


def seconds_apart(facts: PairFacts) -> float | None:
    """Seconds between the shots; None where a time is unknown or only one states its zone."""
    if facts.a.taken_at is None or facts.b.taken_at is None:
        return None
    try:
        first = datetime.fromisoformat(facts.a.taken_at)
        second = datetime.fromisoformat(facts.b.taken_at)
        if (first.tzinfo is None) != (second.tzinfo is None):
            first, second = first.replace(tzinfo=None), second.replace(tzinfo=None)
        return abs((first - second).total_seconds())
    except ValueError:
        return None


def are_other_moments(facts: PairFacts) -> bool:
    """Whether one camera took them at different times within a burst."""
    apart = seconds_apart(facts)
    return apart is not None and 0 < apart <= BURST_S and _is_one_camera(facts.a, facts.b)


def of_strangers(facts: PairFacts) -> PairFinding:
    """What two contents are whose pixels are known not to agree: related by name, or as below."""
    return related(facts) or without_pixels(facts, scores_of(facts))


def without_pixels(facts: PairFacts, evidence: Evidence) -> PairFinding:
    """What is left to say when the pixels do not agree: burst, similar or different."""
    apart, score = seconds_apart(facts), facts.vector_score
    is_near_in_time = apart is not None and apart <= BURST_S and _is_one_camera(facts.a, facts.b)
    bits = facts.hash_distance
    if is_near_in_time and (_at_least(score, _BURST_SCORE) or (bits or 64) <= _BURST_BITS):
        return PairFinding(Kind.BURST, 0.8, evidence)
    if _at_least(score, SIMILAR_SCORE):
        confidence = 0.5 + 0.5 * (float(score or 0) - SIMILAR_SCORE) / (1 - SIMILAR_SCORE)
        return PairFinding(Kind.SIMILAR, round(min(1.0, confidence), 3), evidence)
    return PairFinding(Kind.DIFFERENT, 0.95, evidence)


def scores_of(facts: PairFacts) -> Evidence:
    """What the candidates rested on, as evidence."""
    score = facts.vector_score
    return Evidence(
        hash_distance=facts.hash_distance,
        vector_score=None if score is None else round(score, 4),
        seconds_apart=seconds_apart(facts),
    )


def _at_least(score: float | None, least: float) -> bool:
    return score is not None and score >= least


def _is_one_camera(a: ShotFacts, b: ShotFacts) -> bool:
    return a.camera is not None and a.camera == b.camera


def _related(facts: PairFacts, how: str) -> PairFinding:
    return PairFinding(Kind.RELATED, 0.95, replace(scores_of(facts), change=(how,)))


def _parts(path: bytes) -> tuple[tuple[bytes, bytes], str]:
    """((folder, stem in lower case), ending in lower case)."""
    folder, _, name = path.rpartition(b"/")
    stem, dot, ending = name.rpartition(b".")
    if not dot:
        stem, ending = name, b""
    return (folder, stem.lower()), ending.decode("ascii", "replace").lower()
