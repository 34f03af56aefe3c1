"""A look at the pixels of two contents: what they are to each other, and what that rests on.

The ladder is climbed from its surest step. Whole pictures are laid over each other first, in the
orientation that fits best; where that fails, local features look for crops, frames and turns.
Either way the pixels of the common area decide, never a score alone.
"""

from __future__ import annotations

from dataclasses import replace

from pictor.duplicates.comparison import metadata_verdict, pixel_verdict
from pictor.duplicates.comparison.alignment import farthest, orientations, refined, whole
from pictor.duplicates.comparison.facts import PairFacts, PairFinding, Side
from pictor.duplicates.comparison.local_features import fits
from pictor.duplicates.comparison.picture import Picture, picture_of
from pictor.duplicates.comparison.pixel_verdict import Judgement, judge
from pictor.library.pairs import Evidence, Kind

__all__ = ["PairFacts", "PairFinding", "Picture", "Side", "compare", "picture_of"]

_NO_FACTS = PairFacts()
#: Correlation of two pictures of 32 x 32 pixels from which they are laid over each other as wholes.
_WHOLE = 0.6
#: Mean agreement from which a bettered map is worth its time.
_PROMISING = 0.3
#: Agreement of the rest where a map is right, beside at most so much that differs.
_EXACT, _MOST_BESIDE = 0.97, 0.3
#: Maps that differ by less, in pixels of the working copy, are one.
_SAME_MAP_PX = 1.0
#: Share of the inliers of the better map below which the mirrored one is chance.
_FEW_INLIERS = 0.2


def compare(a: Picture, b: Picture, facts: PairFacts = _NO_FACTS) -> PairFinding:
    """What two contents are to each other. The same answer for the same pair, every time."""
    evidence = metadata_verdict.scores_of(facts)
    if a.pixel_hash == b.pixel_hash:
        evidence = replace(evidence, orientation=1, area=1.0, agreement=1.0)
        return PairFinding(Kind.PIXELS, 1.0, evidence)
    by_name = metadata_verdict.related(facts)
    if by_name is not None:
        return by_name
    best = _best(a, b)
    if best is None or best.kind is Kind.DIFFERENT:
        return metadata_verdict.without_pixels(facts, evidence)
    evidence = pixel_verdict.with_pixels(evidence, best)
    return _finding(best, facts, evidence, pixel_verdict.words(best, a, b))


def _finding(
    best: Judgement, facts: PairFacts, evidence: Evidence, change: tuple[str, ...]
) -> PairFinding:
    """The verdict on the pixels, with what times and names say against it."""
    kind, confidence = best.kind, pixel_verdict.confidence(best)
    if kind is Kind.NEAR:
        if metadata_verdict.are_other_moments(facts):
            kind, confidence = Kind.BURST, 0.9
        elif change and metadata_verdict.is_edited_version(facts):
            kind, confidence, change = Kind.RELATED, 0.9, ("edited", *change)
        elif not change:
            same_format = facts.a.format == facts.b.format
            change = ("recompressed" if same_format else "converted",)
    return PairFinding(kind, confidence, replace(evidence, change=change))


def _best(a: Picture, b: Picture) -> Judgement | None:
    """The verdict that says most, over the ways to lay one picture on the other."""
    best = None
    score, orientation = orientations(a, b)[0]
    if score >= _WHOLE:
        best = judge(a, b, whole(a, b, orientation))
        if best is not None and (best.kind is Kind.NEAR or _is_exact(best)):
            return best
    found = fits(a.features, a.grey.shape[1], b.features)
    for fit in found:
        if fit.inliers < _FEW_INLIERS * found[0].inliers:
            break
        if best is not None and farthest(fit.matrix, best.matrix, a) < _SAME_MAP_PX:
            continue  # it says what was seen already
        other = _bettered(judge(a, b, fit.matrix, fit.inliers), a, b)
        best = max((one for one in (best, other) if one), key=lambda one: one.rank, default=None)
        if best is not None and best.kind is Kind.NEAR:
            break
    return best


def _is_exact(found: Judgement) -> bool:
    """Whether the pictures lie so well over each other that no other map can say more."""
    return found.found.rest >= _EXACT and found.found.changed <= _MOST_BESIDE


def _bettered(found: Judgement | None, a: Picture, b: Picture) -> Judgement | None:
    """The same with its map refined on the pixels, where that may change the verdict."""
    if found is None or found.kind is Kind.NEAR or found.found.score < _PROMISING:
        return found
    matrix = refined(found.laid, a, b)
    again = matrix is not None and judge(a, b, matrix, found.inliers)
    return again if again and again.rank > found.rank else found
