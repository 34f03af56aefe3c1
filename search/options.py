"""The options of a search: number of hits, offset, minimum level, order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from pictor.library.errors import QueryError

Minimum = Literal["likely", "possible", "any"]
Order = Literal["best", "newest", "oldest"]
MINIMA: tuple[str, ...] = get_args(Minimum)
ORDERS: tuple[str, ...] = get_args(Order)
#: More hits than any library has items; beyond, numbers no longer fit what counts them.
MOST = 2**31 - 1


@dataclass(frozen=True)
class SearchOptions:
    """The options of a search.

    Attributes:
        top: at most this many hits; None is the setting `search.top`.
        offset: skip this many hits. Pages of one query do not overlap, and together equal one
            long page, while the library is unchanged.
        encoder: the one to use; None uses those that support the query's language.
        minimum: the lowest level shown; "any" shows all. None is "possible", and "likely" where
            hits are sorted by date. Where a library has no levels yet, all are shown.
        order: "best" first; or by the time they were taken, those without one last.
        is_folded: near-identical hits are shown as one.
        diversity: 0 to 1: how strongly to favour hits that differ from those before them (maximal
            marginal relevance); 0 is off.
        without_itself: leave out contents that are themselves part of the query.

    Raises:
        QueryError: a value is out of range.
    """

    top: int | None = None
    offset: int = 0
    encoder: str | None = None
    minimum: Minimum | None = None
    order: Order = "best"
    is_folded: bool = True
    diversity: float = 0.0
    without_itself: bool = False

    def __post_init__(self) -> None:
        if self.top is not None and not _is_count(self.top, low=1):
            raise QueryError(f"the number of hits must be 1 to {MOST:,}, not {self.top!r:.40}")
        if not _is_count(self.offset, low=0):
            said = f"{self.offset!r:.40}"
            raise QueryError(f"the number of hits to skip must be 0 to {MOST:,}, not {said}")
        if not 0 <= self.diversity <= 1:
            raise QueryError(f"the diversity must be from 0 to 1, not {self.diversity!r}")
        if self.minimum is not None and self.minimum not in MINIMA:
            raise QueryError(f"the minimum level must be {_listed(MINIMA)}, not {self.minimum!r}")
        if self.order not in ORDERS:
            raise QueryError(f"the order must be {_listed(ORDERS)}, not {self.order!r}")

    @property
    def minimum_level(self) -> Minimum:
        """The lowest level that is shown."""
        if self.minimum is not None:
            return self.minimum
        return "possible" if self.order == "best" else "likely"


def _is_count(value: object, *, low: int) -> bool:
    return isinstance(value, int) and low <= value <= MOST


def _listed(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
