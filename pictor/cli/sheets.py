"""The pictures of a group on one sheet, as wide as the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pictor.cli import previews
from pictor.duplicates.groups.records import Group, Member
from pictor.indexer.originals import Originals
from pictor.library.errors import ImageError

if TYPE_CHECKING:
    from PIL.Image import Image

    from pictor.cli.terminal import Terminal

#: Pictures beside each other; more would be too small to tell apart.
MOST_PICTURES = 5
_MOST_COLUMNS, _MOST_ROWS = 160, 20
_PICTURE_COLUMNS = 44  # that one picture takes at most
_LEAST_ROWS = 4
_TEXT_ROWS = 14  # that the words of a group take


class Sheets:
    """Makes sheets for one terminal. A picture that cannot be read is named below its sheet."""

    def __init__(
        self, groups: Sequence[Group], terminal: Terminal, protocol: previews.Protocol
    ) -> None:
        """`groups`: all that will be asked for."""
        self._terminal = terminal
        self._protocol = protocol
        self._originals = Originals(one.path for group in groups for one in group.members)

    def of(self, group: Group) -> str:
        """The codes that show the first members of a group with their numbers above; "" for none.

        Files of the keeper's content are not shown again.
        """
        if self._protocol is previews.Protocol.NONE:
            return ""
        chosen = _chosen(group)
        cells = self._cells(len(chosen))
        if cells is None:
            return ""
        cell_px = self._terminal.cell_px() or previews.CELL_PX
        size = previews.pixels_of(self._protocol, cells, cell_px)
        pictures: list[Image | None] = []
        problems = ""
        for number, member in chosen:
            picture, problem = self._read(member, max(size))
            pictures.append(picture)
            problems += f"  {number}: no picture: {problem}\n" if picture is None else ""
        if not any(pictures):
            return problems
        gap = max(1, size[0] // cells[0])
        sheet = previews.sheet(pictures, size, gap)
        width = cells[0] // len(chosen)
        numbers = "".join(f"{number:<{width}}" for number, _ in chosen)
        return f"{numbers.rstrip()}\n{previews.drawn(sheet, self._protocol, cells)}{problems}"

    def _cells(self, pictures: int) -> tuple[int, int] | None:
        """(columns, rows) for so many pictures; None where there is no room."""
        columns, rows = self._terminal.size()
        wide = min(columns - 1, _MOST_COLUMNS, _PICTURE_COLUMNS * pictures)
        wide -= wide % pictures
        high = min(rows - _TEXT_ROWS, _MOST_ROWS, max(_LEAST_ROWS, wide // pictures * 3 // 8))
        return (wide, high) if high >= _LEAST_ROWS and wide >= 8 * pictures else None

    def _read(self, member: Member, edge_px: int) -> tuple[Image | None, str]:
        from pictor.library.images import load_rgb
        from pictor.library.names import safe_text

        try:
            data = self._originals.read(member.path)
            name = member.path.rpartition(b"/")[2]
            return load_rgb(data, min_edge=edge_px // 2, name_hint=name)[0], ""
        except ImageError as error:
            return None, safe_text(error.detail)


def _chosen(group: Group) -> list[tuple[int, Member]]:
    """The members to show, with their numbers: each content once, the keeper first."""
    ordered = [group.keep, *(one for one in group.members if one.path != group.keep.path)]
    found: dict[str, tuple[int, Member]] = {}
    for number, member in enumerate(ordered, 1):
        found.setdefault(member.content, (number, member))
    return list(found.values())[:MOST_PICTURES]
