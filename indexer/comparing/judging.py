"""From two pictures that lie over each other to a verdict, with its reasons in words."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from indexer.comparing.agreeing import Agreement, agreement
from indexer.comparing.aligning import Overlay, overlay
from indexer.comparing.changes import Change, Part, change
from indexer.comparing.pictures import Picture
from indexer.comparing.surrounding import Around, around
from library.pairs import Kind
from library.records import DoubleMatrix, JsonObject

# Bounds: fitted with benchmarks/duplicates.py on its half `develop`; a few were changed after a
# look at the other half. Figures and which: docs/duplicates.md, "Measured".
_LEAST_SCORE = 0.78  # blur by 2 % of the side leaves 0.80; a step to the side at most 0.74
_MOST_CHANGED = 0.03
_LEAST_REST = 0.955  # beside what was laid over; beside what moved it is often as much
_THING = 0.006
_THING_WIDTH = 0.012
_GRAIN = 0.001  # changed pixels; windows of noise have none that differ much
_MOST_GRAIN = 0.1
_SPECKS = 0.01
_SPECK_WIDTH = 0.008
_TEXT_WIDTH = 0.0175
_TEXT_COLOURS = 0.66
_SMALL_TEXT = 0.018
_SMALL_TEXT_COLOURS = 0.5  # compression mixes the colours of small letters
_MOST_TEXT = 0.044
_FINE_WIDTH = 0.0075
_MOST_FINE_TEXT = 0.12
_LEAST_LINE = 0.004
_LINE_FILLED = 0.72  # of the box around a line of text
_MOST_AROUND = 9.0  # changed windows to changed pixels: softer changes are no print
_PLATE_COLOURS = 0.7
_MOST_OTHER = 0.0125  # changed parts that are neither, beside one that is
_OTHER_SHARE = 0.2
_PLATE_FILLED = 0.92
#: (spans at least, filled at least): the longer, the more may be missing where colours met.
_BANDS = ((0.97, 0.75), (0.6, 0.88))
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
_PATCH_PX = 21
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
    changed = change(laid, found) if found.changed > 0 else None
    if _shows_own(laid, matrix) or _shear(matrix) > _MOST_SHEAR:
        same = found.rest >= _OWN_REST and found.changed <= _OWN_CHANGED
    else:
        same = _is_same(found, changed)
    return (Kind.NEAR if same else Kind.BURST), changed


def _is_same(found: Agreement, changed: Change | None) -> bool:
    """Whether nothing differs, or only what was laid over."""
    is_thing = changed is not None and changed.share > _THING and changed.thick > _THING_WIDTH
    if found.changed <= _MOST_CHANGED and found.score >= _LEAST_SCORE and not is_thing:
        return True
    is_grain = changed is not None and changed.share <= _GRAIN
    if is_grain and found.score >= _LEAST_SCORE and found.changed <= _MOST_GRAIN:
        return True  # windows without texture where noise is all there is
    if changed is None or found.rest < _LEAST_REST:
        return False
    if changed.share <= _SPECKS and changed.thick <= _SPECK_WIDTH:
        return True
    if found.changed > min(_MOST_OVERLAID, _MOST_AROUND * changed.share) or not changed.parts:
        return False
    good = (_is_text(one) or (_is_plate(one) and not changed.moved) for one in changed.parts)
    laid_over = sum(one.share for one, is_good in zip(changed.parts, good, strict=True) if is_good)
    other = changed.share - laid_over
    return other <= min(_MOST_OTHER, _OTHER_SHARE * changed.share)


def _is_text(part: Part) -> bool:
    """Thin strokes of two colours; the thinner, the more of them."""
    most = _MOST_FINE_TEXT if part.thick <= _FINE_WIDTH else _MOST_TEXT
    least = _SMALL_TEXT_COLOURS if part.share <= _SMALL_TEXT else _TEXT_COLOURS
    is_line = part.filled >= _LINE_FILLED or part.share < _LEAST_LINE
    is_thin = part.thick <= _TEXT_WIDTH and part.share <= most
    return is_line and is_thin and part.colours >= least


def _is_plate(part: Part) -> bool:
    """An upright box of two colours, or a band from side to side."""
    least = min((filled for spans, filled in _BANDS if part.spans >= spans), default=_PLATE_FILLED)
    return part.filled >= least and part.colours >= _PLATE_COLOURS


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


def evidence_of(one: Judgement) -> JsonObject:
    """What the verdict rests on, rounded."""
    evidence: JsonObject = {
        "area": round(one.area, 3),
        "agreement": round(one.found.rest, 3),
        "changed": round(one.found.changed, 3),
        "area_larger": round(one.laid.covered_other, 3),
    }
    if one.inliers:
        evidence["inliers"] = one.inliers
    return evidence


def words(one: Judgement, a: Picture, b: Picture) -> list[str]:
    """What was done to one to make the other, in the order people would say it."""
    found, laid = one.found, one.laid
    said = _geometry(one, a, b)
    if laid.covered_other < _OWN:
        framed = one.around is not None and one.around.is_framed
        said.append("bordered" if framed else "cropped")
    if one.changed is not None and one.changed.share > 0.002 and found.changed > 0.004:
        said.append("overlaid" if one.kind is Kind.NEAR else "moved")
    if found.tone > _CAST or _cast(laid) > _CAST:
        said.append("recoloured")
    if abs(found.sharpness) > _SOFT:
        said.append("softened")
    return said


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
    if abs(math.log(full)) > 0.02 or stretch > 1.03:
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

    weights = cv2.blur(laid.inside.astype(np.float32), (_PATCH_PX, _PATCH_PX))
    if not (weights > 0.999).any():
        return 0.0
    pair = (laid.a.astype(np.float32), laid.b.astype(np.float32))
    first, second = (np.asarray(cv2.blur(one, (_PATCH_PX, _PATCH_PX))) for one in pair)
    off = (first - first.mean(axis=2, keepdims=True)) - (
        second - second.mean(axis=2, keepdims=True)
    )
    return float(np.abs(off[weights > 0.999]).mean())
