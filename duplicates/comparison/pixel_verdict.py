"""What two contents are to each other by their pixels, and what that rests on.

The ladder is climbed from its surest step. Whole pictures are laid over each other first, in the
orientation that fits best; where that fails, local features look for crops, frames and turns.
Either way the pixels of the common area decide, never a score alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from pictor.duplicates.comparison import metadata_verdict
from pictor.duplicates.comparison.alignment import (
    AlignedPair,
    align,
    between_sizes,
    farthest,
    full,
    refined,
    shear,
    turn_of,
    turn_scale_stretch,
    whole,
)
from pictor.duplicates.comparison.borders import Surroundings, surroundings
from pictor.duplicates.comparison.denoised import align_off_ground, denoised, noise_of
from pictor.duplicates.comparison.feature_fits import FeatureFit, fits
from pictor.duplicates.comparison.metadata_verdict import PairFacts, PairFinding
from pictor.duplicates.comparison.overlay_detector import Changes, find_changes
from pictor.duplicates.comparison.sketch import first_look, sketch_of
from pictor.duplicates.comparison.still import Still
from pictor.duplicates.comparison.window_agreement import Agreement, compare_windows
from pictor.library.pairs import Evidence, Kind
from pictor.library.records import DoubleMatrix

Lay = Callable[[Still, Still, DoubleMatrix], AlignedPair | None]

_NO_FACTS = PairFacts()
#: Mean agreement from which a bettered map is worth its time.
_PROMISING = 0.3
#: Agreement of the rest where a map is right, beside at most so much that differs.
_EXACT, _MOST_BESIDE = 0.97, 0.3
#: Maps that differ by less, in pixels of the working copy, are one.
_SAME_MAP_PX = 1.0
#: Share of the inliers of the better map below which the mirrored one is chance.
_FEW_INLIERS = 0.2
#: Noise (grey levels) from which small denoised copies are judged too: of 1,000 photos of Flickr8k
#: one in a hundred has so much. Features that must agree on how they lie.
_NOISY, _SURE_INLIERS = 10.0, 6
# Bounds: fitted with benchmarks/duplicates.py on its half `develop`; a few were changed after a
# look at the other half. Figures and which: docs/duplicates.md, "Measured".
_LEAST_SCORE = 0.78  # blur by 2 % of the side leaves 0.80; a step to the side at most 0.74
_MOST_CHANGED = 0.05
_LEAST_REST = 0.955  # beside what was laid over; beside what moved it is often as much
_FIRST_QUARTER_TURN = 5  # of the EXIF orientations
_MOST_OVERLAID = 0.32
#: Texture that must be there: flat pictures agree with each other and say nothing.
_LEAST_TEXTURED = 0.03
_LEAST_SPREAD = 4.0
#: Common area, of the smaller picture.
_LEAST_AREA = 0.45
_LEAST_LARGER = 0.04
#: Another moment: most of it agrees, somewhere it does not.
_BURST_SCORE = 0.42
_BURST_CHANGED = 0.55
#: Two windows on one scene, each with something of its own, are two shots unless they are equal.
_OWN = 0.975
_OWN_TURN = 3.0
_OWN_SCALE = 0.03
_OWN_REST = 0.97
_OWN_CHANGED = 0.004
_MOST_SHEAR = 1.2  # degrees
_CAST = 7.0  # mean grey levels
#: Pictures smaller than this, or with texture on less of them, are not the same in other colours.
_SMALL_PX = 64
_LEAST_DRAWN = 0.2
_FEW_DETAILS = 20
#: Of a drawing, most of which is one colour, the little that is drawn must agree.
_MOST_GROUND, _CELL = 0.6, 8
_FEW_COLOURS, _DRAWN = 32, 0.97
_MOST_CHANGED_DRAWING = 0.02
_PATCH_PX = 11  # of every second pixel
_STRETCHED = 1.03
_SOFT = 1.0  # pixels of the frame


class PixelVerdict(NamedTuple):
    """One way to lay two pictures over each other, and what they then are.

    Attributes:
        kind: NEAR, BURST, RELATED (one is part of a collage) or DIFFERENT.
        rank: the greater, the more it says; for choosing between several ways.
        area: share of the smaller picture that matches, 0 to 1.
        matrix: (2, 3), pixels of a to pixels of b.
        changes: what differs; None where that was not looked for.
        surroundings: of the smaller picture in the larger one; None where there are none.
        inliers: local features that fit the map; 0 for whole pictures.
    """

    kind: Kind
    rank: float
    area: float
    matrix: DoubleMatrix
    pair: AlignedPair
    agreement: Agreement
    changes: Changes | None
    surroundings: Surroundings | None
    inliers: int


def compare(a: Still, b: Still, facts: PairFacts = _NO_FACTS) -> PairFinding:
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
    evidence = _with_pixels(evidence, best)
    return _finding(best, facts, evidence, _words(best, a, b))


def _finding(
    best: PixelVerdict, facts: PairFacts, evidence: Evidence, change: tuple[str, ...]
) -> PairFinding:
    """The verdict on the pixels, with what times and names say against it."""
    kind, confidence = best.kind, _confidence(best)
    if kind is Kind.NEAR:
        if metadata_verdict.are_other_moments(facts):
            kind, confidence = Kind.BURST, 0.9
        elif change and metadata_verdict.is_edited_version(facts):
            kind, confidence, change = Kind.RELATED, 0.9, ("edited", *change)
        elif not change:
            same_format = facts.a.format == facts.b.format
            change = ("recompressed" if same_format else "converted",)
    return PairFinding(kind, confidence, replace(evidence, change=change))


def _best(a: Still, b: Still) -> PixelVerdict | None:
    """The verdict that says most, over the ways to lay one picture on the other."""
    best = None
    look = first_look(sketch_of(a), sketch_of(b))
    if look.is_whole:
        best = _judge(a, b, whole(a, b, look.orientation))
        if best is not None and (best.kind is Kind.NEAR or _is_exact(best.agreement)):
            return best
    for fit in look.fits[:1]:
        best = _greater(best, _judge_denoised(a, b, fit))
    if look.may_fit and (best is None or best.kind is not Kind.NEAR):
        best = _best_fit(a, b, best)
    return best


def _greater(one: PixelVerdict | None, other: PixelVerdict | None) -> PixelVerdict | None:
    """The one that says more; the first where they say as much."""
    return max((v for v in (one, other) if v), key=lambda v: v.rank, default=None)


def _judge_denoised(a: Still, b: Still, fit: FeatureFit) -> PixelVerdict | None:
    """What small denoised copies say where there is heavy noise; None where there is not."""
    if fit.inliers < _SURE_INLIERS or max(noise_of(a), noise_of(b)) < _NOISY:
        return None
    here, there = denoised(a), denoised(b)
    found = _judge(here, there, fit.matrix, fit.inliers, align_off_ground)
    found = _refined(found, here, there, align_off_ground)
    if found is None:
        return None
    small = full(found.matrix) @ between_sizes(a.grey, here.grey)
    return found._replace(matrix=np.asarray((between_sizes(there.grey, b.grey) @ small)[:2]))


def _best_fit(a: Still, b: Still, best: PixelVerdict | None) -> PixelVerdict | None:
    """The same over the maps that local features agree on, and what was found already."""
    maps = fits(a.features, a.grey.shape[1], b.features)
    for fit in maps:
        if fit.inliers < _FEW_INLIERS * maps[0].inliers:
            break
        if best is not None and farthest(fit.matrix, best.matrix, a) < _SAME_MAP_PX:
            continue  # it says what was seen already
        other = _refined(_judge(a, b, fit.matrix, fit.inliers), a, b)
        best = _greater(best, other)
        if best is not None and best.kind is Kind.NEAR:
            break
    return best


def _is_exact(agreement: Agreement) -> bool:
    """Whether the pictures lie so well over each other that no other map can say more."""
    return agreement.rest_score >= _EXACT and agreement.changed_share <= _MOST_BESIDE


def _refined(one: PixelVerdict | None, a: Still, b: Still, lay: Lay = align) -> PixelVerdict | None:
    """The same with its map refined on the pixels, where that may change the verdict."""
    if one is None or one.kind is Kind.NEAR or one.agreement.score < _PROMISING:
        return one
    matrix = refined(one.pair, a, b)
    again = matrix is not None and _judge(a, b, matrix, one.inliers, lay)
    return again if again and again.rank > one.rank else one


def _judge(
    a: Still, b: Still, matrix: DoubleMatrix, inliers: int = 0, lay: Lay = align
) -> PixelVerdict | None:
    """Lay a on b and look; None where they have nothing in common to look at."""
    pair = lay(a, b, matrix)
    agreement = pair and compare_windows(pair)
    if pair is None or agreement is None:
        return None
    area = pair.covered * (1 - agreement.changed_share)
    kind, changes = _kind(pair, agreement, matrix, min(a.spread, b.spread))
    outside = None
    if kind is Kind.NEAR and _is_recoloured(pair, agreement) and _says_little(a, b, agreement):
        kind = Kind.DIFFERENT
    if kind is Kind.NEAR and pair.covered_other < _OWN:
        outside = surroundings(pair, a, b)
        kind = Kind.RELATED if outside.is_collage else kind
    rank = {Kind.NEAR: 3.0, Kind.RELATED: 2.0, Kind.BURST: 1.0}.get(kind, 0.0) + agreement.score
    return PixelVerdict(kind, rank, area, matrix, pair, agreement, changes, outside, inliers)


def _kind(
    pair: AlignedPair, agreement: Agreement, matrix: DoubleMatrix, spread: float
) -> tuple[Kind, Changes | None]:
    if agreement.textured_share < _LEAST_TEXTURED or spread < _LEAST_SPREAD:
        return Kind.DIFFERENT, None
    if pair.covered < _LEAST_AREA or pair.covered_other < _LEAST_LARGER:
        return Kind.DIFFERENT, None
    if agreement.score < _BURST_SCORE or agreement.changed_share > _BURST_CHANGED:
        return Kind.DIFFERENT, None
    if _shows_own(pair, matrix) or shear(matrix) > _MOST_SHEAR:
        same = agreement.rest_score >= _OWN_REST and agreement.changed_share <= _OWN_CHANGED
        return (Kind.NEAR if same else Kind.BURST), None
    few = agreement.changed_share <= _MOST_CHANGED and agreement.score >= _LEAST_SCORE
    some = agreement.changed_share <= _MOST_OVERLAID and agreement.rest_score >= _LEAST_REST
    # Print runs from left to right and people stand: of a picture on its side neither can be told.
    some &= turn_of(matrix) < _FIRST_QUARTER_TURN
    if (few or some) and _is_drawing(pair):
        few &= (
            agreement.changed_texture_share <= _MOST_CHANGED_DRAWING and pair.covered_other >= _OWN
        )
        some = False
    if not few and not some:
        return Kind.BURST, None
    changes = find_changes(pair, agreement)
    same = (few and not changes.has_thing) or (some and changes.is_overlay)
    return (Kind.NEAR if same else Kind.BURST), changes


def _is_drawing(pair: AlignedPair) -> bool:
    """Whether a picture is a shape, a page of text, a diagram: most of it one colour, few others.

    A thing on a white ground, or at night, has many shades.
    """
    for one in (pair.a[pair.inside], pair.b[pair.inside]):
        cells = (one // _CELL).astype(np.int64) @ np.array([1024, 32, 1])
        counts = np.sort(np.bincount(cells))[::-1] / len(cells)
        if counts[0] > _MOST_GROUND and counts[:_FEW_COLOURS].sum() > _DRAWN:
            return True
    return False


def _says_little(a: Still, b: Still, agreement: Agreement) -> bool:
    """Whether so little is drawn that other colours make another picture of it: icons, shapes."""
    if max(agreement.changed_mask.shape) < _SMALL_PX or agreement.textured_share < _LEAST_DRAWN:
        return True
    return min(len(a.features.points), len(b.features.points)) < _FEW_DETAILS


def _is_recoloured(pair: AlignedPair, agreement: Agreement) -> bool:
    return agreement.tone_shift > _CAST or _cast(pair) > _CAST


def _shows_own(pair: AlignedPair, matrix: DoubleMatrix) -> bool:
    """Whether each picture shows something the other does not, and they differ by a step only."""
    if pair.covered >= _OWN or pair.covered_other >= _OWN:
        return False
    turn, scale, _ = turn_scale_stretch(matrix)
    return abs(turn) < _OWN_TURN and abs(math.log(scale)) < _OWN_SCALE


def _confidence(one: PixelVerdict) -> float:
    """0 to 1: how far the verdict is from its bounds."""
    agreement = one.agreement
    if one.kind is Kind.NEAR:
        agreed = max(agreement.score, agreement.rest_score)
        margin = min(1.0, max(0.0, (agreed - _LEAST_SCORE) / (0.97 - _LEAST_SCORE)))
        overlaid = 0.15 * min(1.0, agreement.changed_share / 0.2)
        return round(0.75 + 0.25 * margin - overlaid, 3)
    if one.kind is Kind.RELATED:
        return 0.8
    return round(0.55 + 0.35 * agreement.rest_score, 3)


def _with_pixels(evidence: Evidence, one: PixelVerdict) -> Evidence:
    """Evidence with what the verdict rests on, rounded."""
    return replace(
        evidence,
        orientation=turn_of(one.matrix),
        area=round(one.area, 3),
        agreement=round(one.agreement.rest_score, 3),
        changed=round(one.agreement.changed_share, 3),
        area_larger=round(one.pair.covered_other, 3),
        inliers=one.inliers or None,
        edited=_edited(one),
    )


def _edited(one: PixelVerdict) -> str | None:
    """Which of a duplicate's two pictures, "a" or "b", has a border or something laid over it."""
    if one.kind is not Kind.NEAR:
        return None
    on = set(one.changes.sides if one.changes else ())
    if one.surroundings is not None and one.surroundings.is_framed:
        on.add("b" if one.pair.is_a_frame else "a")
    return on.pop() if len(on) == 1 else None


def _words(one: PixelVerdict, a: Still, b: Still) -> tuple[str, ...]:
    """What was done to one to make the other, in the order people would say it."""
    agreement, pair = one.agreement, one.pair
    said = _geometry(one, a, b)
    if pair.covered_other < _OWN:
        framed = one.surroundings is not None and one.surroundings.is_framed
        said.append("bordered" if framed else "cropped")
    shows = one.changes is None or one.changes.share > 0.002
    if shows and agreement.changed_share > 0.004:
        said.append("overlaid" if one.kind is Kind.NEAR else "moved")
    if _is_recoloured(pair, agreement):
        said.append("recoloured")
    if abs(agreement.blur_px) > _SOFT:
        said.append("softened")
    return tuple(said)


def _geometry(one: PixelVerdict, a: Still, b: Still) -> list[str]:
    said = []
    turn, scale, stretch = turn_scale_stretch(one.matrix)
    is_mirrored = float(np.linalg.det(one.matrix[:, :2])) < 0
    quarter = round(turn / 90) * 90
    if is_mirrored:
        said.append("mirrored")
    if abs(turn - quarter) > 1.5:
        said.append("rotated")
    elif quarter:
        said.append("turned")
    full = scale * _enlargement(a) / _enlargement(b)
    if stretch > _STRETCHED:
        said.append("stretched")
    elif abs(math.log(full)) > 0.02:
        said.append("resized")
    return said


def _enlargement(picture: Still) -> float:
    """Working pixels per pixel of the file."""
    return math.sqrt(picture.grey.size / (picture.width * picture.height))


def _cast(pair: AlignedPair) -> float:
    """Mean difference of what the colours are beside their grey, over large patches.

    Small ones lose their colour by compression alone.
    """
    import cv2

    inside, a, b = pair.inside[::2, ::2], pair.a[::2, ::2], pair.b[::2, ::2]
    weights = cv2.blur(inside.astype(np.float32), (_PATCH_PX, _PATCH_PX))
    if not (weights > 0.999).any():
        return 0.0
    first, second = (
        np.asarray(cv2.blur(one.astype(np.float32), (_PATCH_PX, _PATCH_PX))) for one in (a, b)
    )
    off = (first - first.mean(axis=2, keepdims=True)) - (
        second - second.mean(axis=2, keepdims=True)
    )
    return float(np.abs(off[weights > 0.999]).mean())
