"""What a generation holds beside what it was built with: how far its files go, and its parts.

A generation grows at its end. Rows are appended to its two row files; those that are no longer true
are listed in a file of dead rows; and once enough rows lie behind the last part, inverted lists
over them become a part of their own. Everything but the row files is written once. So a reader of
an earlier state goes on with it, and what an append that was killed left behind is never looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

#: Rows behind the last part are scanned: some 2 ms for so many at d = 512.
TAIL_ROWS = 20_000
#: A generation is built anew once more than this share of the rows it was built with were appended
#: or have died: lists that were trained on other rows fit less and less.
_MOST_CHANGED = 1 / 5


class Part(NamedTuple):
    """Inverted lists over the rows from the end of the part before up to `stop`.

    Attributes:
        name: of its files, without their endings.
    """

    name: str
    stop: int


class Extent(NamedTuple):
    """How far a generation goes.

    Attributes:
        rows: in its row files, dead ones too.
        built: how many of these it was built with.
        parts: those appended, in order; what it was built with is none of them.
        dead: the name of the file of dead rows; "" if there are none.
    """

    rows: int
    built: int
    parts: tuple[Part, ...] = ()
    dead: str = ""

    @property
    def indexed(self) -> int:
        """The rows before the tail, which no lists hold."""
        return self.parts[-1].stop if self.parts else self.built

    @classmethod
    def from_json(cls, values: Sequence[Any]) -> Extent:
        """What `json` makes of an extent, as one again."""
        rows, built, parts, dead = values
        return cls(int(rows), int(built), tuple(Part(name, stop) for name, stop in parts), dead)


def has_drifted(extent: Extent, dead: int, *, has_lists: bool) -> bool:
    """Whether building anew beats appending.

    Args:
        dead: how many rows have died.
        has_lists: rows that were appended to an index without lists cost nothing.
    """
    appended = extent.rows - extent.built if has_lists else 0
    return appended + dead > _MOST_CHANGED * extent.built


def next_part(extent: Extent, name: str) -> tuple[Part, int, tuple[Part, ...]] | None:
    """The part that is due, the row it begins with, and the parts that stay before it.

    It takes in the parts before it that are no larger than it is, so that there are few, and no row
    is encoded more often than their sizes double.

    Returns:
        None while the tail is short.
    """
    if extent.rows - extent.indexed <= TAIL_ROWS:
        return None
    kept, start = list(extent.parts), extent.indexed
    while kept:
        before = kept[-2].stop if len(kept) > 1 else extent.built
        if start - before > extent.rows - start:
            break
        kept.pop()
        start = before
    return Part(name, extent.rows), start, tuple(kept)
