"""Figures as a picture: bars with their intervals, as SVG, without a plotting library."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from pictor.library.errors import EvaluationError

if TYPE_CHECKING:
    from pictor.evaluation.run import Evaluation
    from pictor.evaluation.task import Result

_WIDTH, _LABEL, _BAR, _GAP, _TITLE, _EDGE = 960, 300, 18, 6, 34, 24  # pixels
_COLOURS = ("#3566a8", "#d07c2e", "#4f9153", "#8a5aa5", "#b8433f", "#5f7f8c")
_INK, _PALE, _GRID = "#222222", "#666666", "#dddddd"
_MOST_BARS = 250  # of one panel: more are no picture any more


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


def check_chart(path: Path) -> None:
    """Raise unless a chart can be written there. Asked before the work.

    Raises:
        EvaluationError: the ending is not .svg, or there is no such folder.
    """
    if path.suffix.lower() != ".svg":
        raise EvaluationError(f"charts are written as .svg only, not {str(path)!r}")
    if not path.absolute().parent.is_dir():
        raise EvaluationError(f"there is no folder for {str(path)!r}")


def panels_of(evaluations: Sequence[Evaluation]) -> list[Panel]:
    """One panel a language and direction; of zero-shot one more an encoder, with its labels."""
    groups: dict[str, list[Bar]] = {}
    every = [(n, one, result) for n, one in enumerate(evaluations) for result in one.results]
    for colour, evaluation, result in every:
        title = f"{evaluation.task}, {result.language}"
        direction = getattr(result, "direction", "")
        title += f", {direction.replace('_', ' ')}" if direction else ""
        bars = groups.setdefault(title, [])
        bars += _overall(evaluation.encoder, result, colour)
    for colour, evaluation, result in every:
        if bars := list(_classes(result, colour)):
            groups[f"{evaluation.encoder}, {result.language}: top-1 of each label"] = bars
    return [Panel(title, tuple(bars[:_MOST_BARS])) for title, bars in groups.items()]


def write_chart(path: Path, panels: Sequence[Panel]) -> None:
    """Write the panels one below the other.

    Raises:
        EvaluationError: as `check_chart`.
        OSError: it cannot be written.
    """
    check_chart(path)
    parts, height = _drawn(panels)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" '
        f'viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif">',
        '<rect width="100%" height="100%" fill="#ffffff"/>',
    )
    path.write_text("\n".join([*head, *parts, "</svg>", ""]), encoding="utf-8")


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


def _drawn(panels: Sequence[Panel]) -> tuple[list[str], int]:
    """Elements from the back to the front, and how high the whole is."""
    parts: list[str] = []
    y = _EDGE
    for panel in panels:
        parts.append(_text(_EDGE, y + 8, panel.title, 16, "start", _INK))
        y += _TITLE
        bottom = y + len(panel.bars) * (_BAR + _GAP)
        for share in range(0, 101, 20):
            parts.append(_box(_x(share), y - 4, 1, bottom - y + 4, _GRID))
            parts.append(_text(_x(share), bottom + 8, str(share), 11, "middle", _PALE))
        for bar in panel.bars:
            parts += _bar(bar, y)
            y += _BAR + _GAP
        y += _EDGE + 16
    return parts, y


def _bar(bar: Bar, y: float) -> Iterator[str]:
    middle = y + _BAR / 2
    yield _text(_LABEL - 10, middle, _short(bar.label, 40), 13, "end", _INK)
    yield _box(_LABEL, y, max(1.0, _x(bar.value) - _LABEL), _BAR, _COLOURS[bar.colour % 6])
    end = bar.value
    if bar.low is not None and bar.high is not None:
        end = max(end, bar.high)
        yield _box(_x(bar.low), middle - 0.75, _x(bar.high) - _x(bar.low), 1.5, _INK)
        for share in (bar.low, bar.high):
            yield _box(_x(share) - 0.75, middle - 4, 1.5, 8, _INK)
    value = f"{bar.value:.1f}" + (f"  {_short(bar.note, 40)}" if bar.note else "")
    if _x(end) + 8 + 7 * len(value) > _WIDTH:  # it would leave the picture: into the bar
        yield _text(_x(bar.low or bar.value) - 8, middle, value, 12, "end", "#ffffff")
    else:
        yield _text(_x(end) + 8, middle, value, 12, "start", _PALE)


def _x(share: float) -> float:
    return _LABEL + share / 100 * (_WIDTH - _LABEL - 60)


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else "…" + text[1 - most :]


def _box(x: float, y: float, width: float, height: float, colour: str) -> str:
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>'
    )


def _text(x: float, y: float, text: str, size: int, anchor: str, colour: str) -> str:
    """`y` is that of its middle, `anchor` is "start", "middle" or "end"."""
    printable = "".join(c if c.isprintable() else "\ufffd" for c in text)  # XML has no others
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" '
        f'dominant-baseline="central" fill="{colour}">{escape(printable)}</text>'
    )
