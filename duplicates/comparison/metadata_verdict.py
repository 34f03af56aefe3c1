"""What names, times and scores say of two contents, without their pixels."""

from __future__ import annotations

from datetime import datetime

from pictor.duplicates.comparison.facts import PairFacts, PairFinding, Side
from pictor.library.edited_names import unedited
from pictor.library.pairs import Kind
from pictor.library.raw_names import RAW_ENDINGS
from pictor.library.records import JsonObject

#: Cosine from which two contents that nothing else joins are called similar. Encoders differ; with
#: the built-in one 1 of 28 photos of Flickr8k (validation) has another that is so near.
SIMILAR_SCORE = 0.9
#: A burst is over after so many seconds.
BURST_S = 10.0
_BURST_SCORE = 0.75
_BURST_BITS = 18
_FINISHED = frozenset(["jpg", "jpeg", "jpe", "heic", "heif", "hif", "avif"])
_MOVING = frozenset(["mov", "mp4", "m4v", "qt", "quicktime"])


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


def without_pixels(facts: PairFacts, evidence: JsonObject) -> PairFinding:
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


def scores_of(facts: PairFacts) -> JsonObject:
    """What the candidates rested on, as evidence."""
    evidence: JsonObject = {}
    if facts.hash_distance is not None:
        evidence["hash_distance"] = facts.hash_distance
    if facts.vector_score is not None:
        evidence["vector_score"] = round(facts.vector_score, 4)
    apart = seconds_apart(facts)
    if apart is not None:
        evidence["seconds_apart"] = apart
    return evidence


def _at_least(score: float | None, least: float) -> bool:
    return score is not None and score >= least


def _is_one_camera(a: Side, b: Side) -> bool:
    return a.camera is not None and a.camera == b.camera


def _related(facts: PairFacts, how: str) -> PairFinding:
    return PairFinding(Kind.RELATED, 0.95, scores_of(facts) | {"change": [how]})


def _parts(path: bytes) -> tuple[tuple[bytes, bytes], str]:
    """((folder, stem in lower case), ending in lower case)."""
    folder, _, name = path.rpartition(b"/")
    stem, dot, ending = name.rpartition(b".")
    if not dot:
        stem, ending = name, b""
    return (folder, stem.lower()), ending.decode("ascii", "replace").lower()
