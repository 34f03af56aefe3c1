"""From two pictures that lie over each other to a verdict, with its reasons in words."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from pictor.duplicates.comparison.alignment import Overlay, overlay, turn_of
from pictor.duplicates.comparison.borders import Around, around
from pictor.duplicates.comparison.overlay_detector.changed_parts import Change, change
from pictor.duplicates.comparison.picture import Picture
from pictor.duplicates.comparison.window_agreement import Agreement, agreement
from pictor.library.pairs import Evidence, Kind
from pictor.library.records import DoubleMatrix

# Bounds: fitted with benchmarks/duplicates.py on its half `develop`; a few were changed after a
# look at the other half. Figures and which: docs/duplicates.md, "Measured".
_LEAST_SCORE = 0.78  # blur by 2 % of the side leaves 0.80; a step to the side at most 0.74
_MOST_CHANGED = 0.05
_LEAST_REST = 0.955  # beside what was laid over; beside what moved it is often as much
#: A part of this share of the picture that is rather no overlay is a thing.
_THING, _IS_THING = 0.002, 0.5
#: What is so surely laid over is; what else differs beside it must be next to nothing.
_LAID_OVER = 0.85
_MOST_OTHER = 0.003
_OTHER_SHARE = 0.2
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


class Judgement(NamedTuple):
    """One way to lay two pictures over each other, and what they then are.

    Attributes:
        kind: NEAR, BURST, RELATED (one is part of a collage) or DIFFERENT.
        rank: the greater, the more it says; for choosing between several ways.
        area: share of the smaller picture that matches, 0 to 1.
    """

    kind: Kind
    rank: float
    area: float
    matrix: DoubleMatrix
    laid: Overlay
    found: Agreement
    changed: Change | None
    around: Around | None
    inliers: int


def judge(a: Picture, b: Picture, matrix: DoubleMatrix, inliers: int = 0) -> Judgement | None:
    """Lay a on b and look; None where they have nothing in common to look at."""
    laid = overlay(a, b, matrix)
    found = laid and agreement(laid)
    if laid is None or found is None:
        return None
    area = laid.covered * (1 - found.changed)
    kind, changed = _kind(laid, found, matrix, area, min(a.spread, b.spread))
    outside = None
    if kind is Kind.NEAR and _is_recoloured(laid, found) and _says_little(laid, found, a, b):
        kind = Kind.DIFFERENT
    if kind is Kind.NEAR and laid.covered_other < _OWN:
        outside = around(laid, a, b)
        kind = Kind.RELATED if outside.is_collage else kind
    rank = {Kind.NEAR: 3.0, Kind.RELATED: 2.0, Kind.BURST: 1.0}.get(kind, 0.0) + found.score
    return Judgement(kind, rank, area, matrix, laid, found, changed, outside, inliers)


def _kind(
    laid: Overlay, found: Agreement, matrix: DoubleMatrix, area: float, spread: float
) -> tuple[Kind, Change | None]:
    if found.textured < _LEAST_TEXTURED or spread < _LEAST_SPREAD:
        return Kind.DIFFERENT, None
    if laid.covered < _LEAST_AREA or laid.covered_other < _LEAST_LARGER:
        return Kind.DIFFERENT, None
    if found.score < _BURST_SCORE or found.changed > _BURST_CHANGED:
        return Kind.DIFFERENT, None
    if _shows_own(laid, matrix) or _shear(matrix) > _MOST_SHEAR:
        same = found.rest >= _OWN_REST and found.changed <= _OWN_CHANGED
        return (Kind.NEAR if same else Kind.BURST), None
    few = found.changed <= _MOST_CHANGED and found.score >= _LEAST_SCORE
    some = found.changed <= _MOST_OVERLAID and found.rest >= _LEAST_REST
    # Print runs from left to right and people stand: of a picture on its side neither can be told.
    some &= turn_of(matrix) < _FIRST_QUARTER_TURN
    if (few or some) and _is_drawing(laid):
        few &= found.changed_texture <= _MOST_CHANGED_DRAWING and laid.covered_other >= _OWN
        some = False
    if not few and not some:
        return Kind.BURST, None
    changed = change(laid, found)
    same = (few and not _has_thing(changed)) or (some and _is_laid_over(changed))
    return (Kind.NEAR if same else Kind.BURST), changed


def _is_drawing(laid: Overlay) -> bool:
    """Whether a picture is a shape, a page of text, a diagram: most of it one colour, few others.

    A thing on a white ground, or at night, has many shades.
    """
    for one in (laid.a[laid.inside], laid.b[laid.inside]):
        cells = (one // _CELL).astype(np.int64) @ np.array([1024, 32, 1])
        counts = np.sort(np.bincount(cells))[::-1] / len(cells)
        if counts[0] > _MOST_GROUND and counts[:_FEW_COLOURS].sum() > _DRAWN:
            return True
    return False


def _says_little(laid: Overlay, found: Agreement, a: Picture, b: Picture) -> bool:
    """Whether so little is drawn that other colours make another picture of it: icons, shapes."""
    if max(laid.inside.shape) < _SMALL_PX or found.textured < _LEAST_DRAWN:
        return True
    return min(len(a.features.points), len(b.features.points)) < _FEW_DETAILS


def _is_recoloured(laid: Overlay, found: Agreement) -> bool:
    return found.tone > _CAST or _cast(laid) > _CAST


def _has_thing(changed: Change) -> bool:
    """Whether a part that shows is no overlay."""
    return any(one.share > _THING and one.laid_over < _IS_THING for one in changed.parts)


def _is_laid_over(changed: Change) -> bool:
    """Whether what differs was laid over, but for next to nothing."""
    other = changed.share - sum(p.share for p in changed.parts if p.laid_over >= _LAID_OVER)
    return other <= min(_MOST_OTHER, _OTHER_SHARE * changed.share)


def _shows_own(laid: Overlay, matrix: DoubleMatrix) -> bool:
    """Whether each picture shows something the other does not, and they differ by a step only."""
    if laid.covered >= _OWN or laid.covered_other >= _OWN:
        return False
    turn, scale, _ = _parts(matrix)
    return abs(turn) < _OWN_TURN and abs(math.log(scale)) < _OWN_SCALE


def _shear(matrix: DoubleMatrix) -> float:
    """Degrees that right angles are off, beyond what turning and stretching along an edge explain.

    Edits turn and stretch. Who takes a step to the side shears: near things shift, far ones do not.
    """
    linear = matrix[:, :2]
    angles = []
    for one in (linear, linear.T):
        x, y = one[:, 0], one[:, 1]
        cosine = float(x @ y) / max(1e-12, float(np.hypot(*x) * np.hypot(*y)))
        angles.append(math.degrees(math.asin(min(1.0, abs(cosine)))))
    return min(angles)


def _parts(matrix: DoubleMatrix) -> tuple[float, float, float]:
    """Turn (degrees, -180 to 180; of a mirrored map after the mirror), scale and stretch."""
    linear = matrix[:, :2].copy()
    if np.linalg.det(linear) < 0:
        linear[:, 0] *= -1
    turn = math.degrees(math.atan2(linear[1, 0] - linear[0, 1], linear[0, 0] + linear[1, 1]))
    greatest, least = np.linalg.svd(linear, compute_uv=False)
    return turn, float(math.sqrt(greatest * least)), float(greatest / max(least, 1e-9))


def confidence(one: Judgement) -> float:
    """0 to 1: how far the verdict is from its bounds."""
    found = one.found
    if one.kind is Kind.NEAR:
        agreed = max(found.score, found.rest)
        margin = min(1.0, max(0.0, (agreed - _LEAST_SCORE) / (0.97 - _LEAST_SCORE)))
        overlaid = 0.15 * min(1.0, found.changed / 0.2)
        return round(0.75 + 0.25 * margin - overlaid, 3)
    if one.kind is Kind.RELATED:
        return 0.8
    return round(0.55 + 0.35 * found.rest, 3)


def with_pixels(evidence: Evidence, one: Judgement) -> Evidence:
    """Evidence with what the verdict rests on, rounded."""
    return replace(
        evidence,
        orientation=turn_of(one.matrix),
        area=round(one.area, 3),
        agreement=round(one.found.rest, 3),
        changed=round(one.found.changed, 3),
        area_larger=round(one.laid.covered_other, 3),
        inliers=one.inliers or None,
        edited=_edited(one),
    )


def _edited(one: Judgement) -> str | None:
    """Which of a duplicate's two pictures, "a" or "b", has a border or something laid over it."""
    if one.kind is not Kind.NEAR:
        return None
    on = set()
    if one.around is not None and one.around.is_framed:
        on.add("b" if one.laid.is_a_frame else "a")
    for part in one.changed.parts if one.changed else ():
        if part.share > _THING:
            on.add("a" if part.is_on_a else "b")
    return on.pop() if len(on) == 1 else None


def words(one: Judgement, a: Picture, b: Picture) -> tuple[str, ...]:
    """What was done to one to make the other, in the order people would say it."""
    found, laid = one.found, one.laid
    said = _geometry(one, a, b)
    if laid.covered_other < _OWN:
        framed = one.around is not None and one.around.is_framed
        said.append("bordered" if framed else "cropped")
    shows = one.changed is None or one.changed.share > 0.002
    if shows and found.changed > 0.004:
        said.append("overlaid" if one.kind is Kind.NEAR else "moved")
    if _is_recoloured(laid, found):
        said.append("recoloured")
    if abs(found.sharpness) > _SOFT:
        said.append("softened")
    return tuple(said)


def _geometry(one: Judgement, a: Picture, b: Picture) -> list[str]:
    said = []
    turn, scale, stretch = _parts(one.matrix)
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


def _enlargement(picture: Picture) -> float:
    """Working pixels per pixel of the file."""
    return math.sqrt(picture.grey.size / (picture.width * picture.height))


def _cast(laid: Overlay) -> float:
    """Mean difference of what the colours are beside their grey, over large patches.

    Small ones lose their colour by compression alone.
    """
    import cv2

    inside, a, b = laid.inside[::2, ::2], laid.a[::2, ::2], laid.b[::2, ::2]
    weights = cv2.blur(inside.astype(np.float32), (_PATCH_PX, _PATCH_PX))
    if not (weights > 0.999).any():
        return 0.0
    pair = (a.astype(np.float32), b.astype(np.float32))
    first, second = (np.asarray(cv2.blur(one, (_PATCH_PX, _PATCH_PX))) for one in pair)
    off = (first - first.mean(axis=2, keepdims=True)) - (
        second - second.mean(axis=2, keepdims=True)
    )
    return float(np.abs(off[weights > 0.999]).mean())
