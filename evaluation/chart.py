"""Figures as a picture: bars with their intervals, as PNG or SVG, without a plotting library."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pictor.library.errors import EvaluationError

if TYPE_CHECKING:
    from pictor.evaluation.run import Evaluation
    from pictor.evaluation.task import Result

ENDINGS = (".png", ".svg")
_WIDTH, _LABEL, _BAR, _GAP, _TITLE, _EDGE = 960, 300, 18, 6, 34, 24  # pixels
_SCALE = 2  # a PNG has so many pixels for each of the above
_COLOURS = ("#3566a8", "#d07c2e", "#4f9153", "#8a5aa5", "#b8433f", "#5f7f8c")
_INK, _PALE, _GRID = "#222222", "#666666", "#dddddd"
_MOST_BARS = 250  # of one panel: more are no picture any more
#: Where systems keep a font with Chinese characters; the one in Pillow has Latin ones only.
_CHINESE_FONTS = (
    "NotoSansCJK-Regular.ttc",
    "NotoSansSC-Regular.otf",
    "SourceHanSansSC-Regular.otf",
    "wqy-zenhei.ttc",
    "wqy-microhei.ttc",
    "DroidSansFallbackFull.ttf",
    "PingFang.ttc",
    "Hiragino Sans GB.ttc",
    "STHeiti Light.ttc",
    "Arial Unicode.ttf",
)


@dataclass(frozen=True)
class Bar:
    """A percentage.

    Attributes:
        low, high: its interval; None draws none.
        colour: bars of one number look alike.
        note: stands behind the value.
    """

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    colour: int = 0
    note: str = ""


@dataclass(frozen=True)
class Panel:
    """Bars under one title."""

    title: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class _Box:
    x: float
    y: float
    width: float
    height: float
    colour: str


@dataclass(frozen=True)
class _Text:
    x: float
    y: float  # of its middle
    text: str
    size: int
    anchor: str  # "start", "middle" or "end"
    colour: str


_Shape = _Box | _Text


def check_chart(path: Path) -> None:
    """Raise unless a chart can be written there. Asked before the work.

    Raises:
        EvaluationError: the ending is none of `ENDINGS`, or there is no such folder.
    """
    if path.suffix.lower() not in ENDINGS:
        raise EvaluationError(f"a chart is a .png or an .svg, so it cannot be {str(path)!r}")
    if not path.absolute().parent.is_dir():
        raise EvaluationError(f"there is no folder for {str(path)!r}")


def panels_of(evaluations: Sequence[Evaluation]) -> list[Panel]:
    """One panel a language and direction; of zero-shot one more an encoder, with its labels."""
    groups: dict[str, list[Bar]] = {}
    for colour, evaluation in enumerate(evaluations):
        for result in evaluation.results:
            title = f"{evaluation.task}, {result.language}"
            direction = getattr(result, "direction", "")
            title += f", {direction.replace('_', ' ')}" if direction else ""
            bars = groups.setdefault(title, [])
            bars += _overall(evaluation.encoder, result, colour)
    for colour, evaluation in enumerate(evaluations):
        for result in evaluation.results:
            bars = list(_classes(result, colour))
            if bars:
                groups[f"{evaluation.encoder}, {result.language}: top-1 of each label"] = bars
    return [Panel(title, tuple(bars[:_MOST_BARS])) for title, bars in groups.items()]


def write_chart(path: Path, panels: Sequence[Panel]) -> bool:
    """Write the panels one below the other.

    Returns:
        Whether all characters could be drawn: a PNG needs a font for them, an SVG none.

    Raises:
        EvaluationError: as `check_chart`.
        OSError: it cannot be written.
    """
    check_chart(path)
    shapes, height = _laid_out(panels)
    if path.suffix.lower() == ".svg":
        path.write_text(_svg(shapes, height), encoding="utf-8")
        return True
    return _write_png(path, shapes, height)


def _overall(encoder: str, result: Result, colour: int) -> Iterator[Bar]:
    from pictor.evaluation.task import RetrievalResult, ZeroShotResult

    if not isinstance(result, RetrievalResult | ZeroShotResult):
        return  # a table says it better
    if isinstance(result, RetrievalResult):
        index = "" if result.index == "exact" else f", {result.index}"
        names = {"r1": "R@1", "r5": "R@5", "r10": "R@10"}
    else:
        index, names = "", {"top1": "top-1", "top5": "top-5"}
    for field, name in names.items():
        low, high = result.ci95[field]
        yield Bar(f"{encoder}{index}  {name}", getattr(result, field), low, high, colour)


def _classes(result: Result, colour: int) -> Iterator[Bar]:
    for one in sorted(getattr(result, "per_class", ()), key=lambda one: (one.top1, one.label)):
        note = f"taken for {one.taken_for}" if one.taken_for else ""
        yield Bar(f"{one.label} ({one.images})", one.top1, colour=colour, note=note)


# --- from bars to shapes


def _laid_out(panels: Sequence[Panel]) -> tuple[list[_Shape], int]:
    """Shapes from the back to the front, and how high the whole is."""
    shapes: list[_Shape] = []
    y = _EDGE
    for panel in panels:
        shapes.append(_Text(_EDGE, y + 8, panel.title, 16, "start", _INK))
        y += _TITLE
        bottom = y + len(panel.bars) * (_BAR + _GAP)
        for share in range(0, 101, 20):
            shapes.append(_Box(_x(share), y - 4, 1, bottom - y + 4, _GRID))
            shapes.append(_Text(_x(share), bottom + 8, str(share), 11, "middle", _PALE))
        for bar in panel.bars:
            shapes += _drawn(bar, y)
            y += _BAR + _GAP
        y += _EDGE + 16
    return shapes, y


def _drawn(bar: Bar, y: float) -> Iterator[_Shape]:
    middle = y + _BAR / 2
    yield _Text(_LABEL - 10, middle, _short(bar.label, 40), 13, "end", _INK)
    yield _Box(_LABEL, y, max(1.0, _x(bar.value) - _LABEL), _BAR, _COLOURS[bar.colour % 6])
    end = bar.value
    if bar.low is not None and bar.high is not None:
        end = max(end, bar.high)
        yield _Box(_x(bar.low), middle - 0.75, _x(bar.high) - _x(bar.low), 1.5, _INK)
        for share in (bar.low, bar.high):
            yield _Box(_x(share) - 0.75, middle - 4, 1.5, 8, _INK)
    value = f"{bar.value:.1f}" + (f"  {_short(bar.note, 40)}" if bar.note else "")
    if _x(end) + 8 + 7 * len(value) > _WIDTH:  # it would leave the picture: into the bar
        yield _Text(_x(bar.low or bar.value) - 8, middle, value, 12, "end", "#ffffff")
    else:
        yield _Text(_x(end) + 8, middle, value, 12, "start", _PALE)


def _x(share: float) -> float:
    return _LABEL + share / 100 * (_WIDTH - _LABEL - 60)


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else "…" + text[1 - most :]


# --- from shapes to files


def _svg(shapes: Sequence[_Shape], height: int) -> str:
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" '
        f'viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif">',
        '<rect width="100%" height="100%" fill="#ffffff"/>',
    ]
    for shape in shapes:
        if isinstance(shape, _Box):
            parts.append(
                f'<rect x="{shape.x:.1f}" y="{shape.y:.1f}" width="{shape.width:.1f}" '
                f'height="{shape.height:.1f}" fill="{shape.colour}"/>'
            )
        else:
            parts.append(
                f'<text x="{shape.x:.1f}" y="{shape.y:.1f}" font-size="{shape.size}" '
                f'text-anchor="{shape.anchor}" dominant-baseline="central" '
                f'fill="{shape.colour}">{escape(_printable(shape.text))}</text>'
            )
    return "\n".join([*parts, "</svg>", ""])


def _printable(text: str) -> str:
    """The text without what no XML may hold."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def _write_png(path: Path, shapes: Sequence[_Shape], height: int) -> bool:
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (_WIDTH * _SCALE, height * _SCALE), "#ffffff")
    draw = ImageDraw.Draw(image)
    is_whole = True
    for shape in shapes:
        x, y = shape.x * _SCALE, shape.y * _SCALE
        if isinstance(shape, _Box):
            far = (x + shape.width * _SCALE - 1, y + shape.height * _SCALE - 1)
            draw.rectangle((x, y, max(x, far[0]), max(y, far[1])), fill=shape.colour)
            continue
        text = _printable(shape.text)
        font, has_all = _font(text, shape.size * _SCALE)
        is_whole &= has_all
        anchor = {"start": "lm", "middle": "mm", "end": "rm"}[shape.anchor]
        draw.text((x, y), text, fill=shape.colour, font=font, anchor=anchor)
    image.save(path, "PNG")
    return is_whole


def _font(text: str, size: int) -> tuple[Any, bool]:
    """A font of some pixels for a text, and whether it has all its characters."""
    from PIL import ImageFont

    if all(ord(character) < 0x250 or character in "→…–" for character in text):
        return ImageFont.load_default(size), True
    for name in _CHINESE_FONTS:
        try:
            return ImageFont.truetype(name, size), True
        except OSError:  # not on this machine
            continue
    return ImageFont.load_default(size), False
