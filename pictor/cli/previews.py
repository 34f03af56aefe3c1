"""The pictures of a group on one sheet of coloured half blocks, as wide as the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pictor import Originals
from pictor.duplicates import Group, Member
from pictor.library.errors import ImageError
from pictor.library.names import safe_text

if TYPE_CHECKING:
    from PIL.Image import Image

    from pictor.cli.terminal import Terminal

#: Pictures beside each other; more would be too small to tell apart.
MOST_PICTURES = 5
_MOST_COLUMNS, _MOST_ROWS = 160, 20
_PICTURE_COLUMNS = 44  # that one picture takes at most
_LEAST_ROWS = 4
_TEXT_ROWS = 14  # that the words of a group take
_PLAIN_TERMS = ("", "dumb", "linux", "vt100", "vt220", "ansi")
_GAP_PX = 1


def has_colours(environ: Mapping[str, str]) -> bool:
    """Whether the terminal of some environment shows colours of 24 bits, and may."""
    return environ.get("TERM", "") not in _PLAIN_TERMS and not environ.get("NO_COLOR")


class Previews:
    """Makes sheets for one terminal. A picture that cannot be read is named below its sheet."""

    def __init__(self, groups: Sequence[Group], terminal: Terminal) -> None:
        """`groups`: all that will be asked for."""
        self._terminal = terminal
        self._originals = Originals(one.path for group in groups for one in group.members)

    def sheet(self, group: Group) -> str:
        """The codes that show the first members of a group with their numbers above; "" for none.

        Files of the keeper's content are not shown again.
        """
        chosen = _chosen(group)
        cells = self._cells(len(chosen))
        if cells is None:
            return ""
        size = (cells[0], cells[1] * 2)
        pictures: list[Image | None] = []
        problems = ""
        for number, member in chosen:
            picture, problem = self._read(member, max(size))
            pictures.append(picture)
            problems += f"  {number}: no picture: {problem}\n" if picture is None else ""
        if not any(pictures):
            return problems
        width = cells[0] // len(chosen)
        numbers = "".join(f"{number:<{width}}" for number, _ in chosen)
        return f"{numbers.rstrip()}\n{half_blocks(side_by_side(pictures, size))}{problems}"

    def _cells(self, pictures: int) -> tuple[int, int] | None:
        """(columns, rows) for so many pictures; None where there is no room."""
        columns, rows = self._terminal.size()
        wide = min(columns - 1, _MOST_COLUMNS, _PICTURE_COLUMNS * pictures)
        wide -= wide % pictures
        high = min(rows - _TEXT_ROWS, _MOST_ROWS, max(_LEAST_ROWS, wide // pictures * 3 // 8))
        return (wide, high) if high >= _LEAST_ROWS and wide >= 8 * pictures else None

    def _read(self, member: Member, edge_px: int) -> tuple[Image | None, str]:
        try:
            return self._originals.picture(member.path, edge_px // 2), ""
        except ImageError as error:
            return None, safe_text(error.detail)


def side_by_side(pictures: Sequence[Image | None], size: tuple[int, int]) -> Image:
    """Pictures beside each other, each as large as its share of `size` allows, on black.

    Args:
        pictures: mode RGB; None leaves a place empty.
        size: (width, height) in pixels.
    """
    from PIL import Image

    made = Image.new("RGB", size)
    width = max(1, size[0] // max(1, len(pictures)))
    for place, picture in enumerate(pictures):
        if picture is None:
            continue
        scale = min(max(1, width - _GAP_PX) / picture.width, size[1] / picture.height)
        small = picture.resize(
            (max(1, int(picture.width * scale)), max(1, int(picture.height * scale))),
            Image.Resampling.LANCZOS,
        )
        made.paste(small, (place * width, 0))
    return made


def half_blocks(picture: Image) -> str:
    """The codes of a picture of an even height, one cell for two pixels above each other.

    Each cell is an upper half block: its colour is the upper pixel, its ground the lower.
    """
    import numpy as np

    pixels = np.asarray(picture)
    lines = []
    for upper, lower in zip(pixels[::2], pixels[1::2], strict=True):
        line, before = [], None
        for high, low in zip(upper.tolist(), lower.tolist(), strict=True):
            if (high, low) != before:
                line.append("\x1b[38;2;{};{};{}m\x1b[48;2;{};{};{}m".format(*high, *low))
                before = (high, low)
            line.append("▀")
        lines.append("".join(line) + "\x1b[0m\n")
    return "".join(lines)


def _chosen(group: Group) -> list[tuple[int, Member]]:
    """The members to show, with their numbers: each content once, the keeper first."""
    found: dict[str, tuple[int, Member]] = {}
    for number, member in enumerate(group.members, 1):
        found.setdefault(member.content, (number, member))
    return list(found.values())[:MOST_PICTURES]
