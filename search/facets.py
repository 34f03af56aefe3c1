"""Facets: what a search can be narrowed down by, with how many items each choice has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pictor.library.catalog import facets as catalog_facets
from pictor.library.catalog import filters
from pictor.library.catalog.filters import AllOf, Filter, both
from pictor.library.errors import QueryError
from pictor.library.store import Store

#: Each facet, with the kind of filters that choose among its values, and the one of a value.
_CHOICES: dict[str, tuple[type, Callable[[Any], Filter]]] = {  # Any: a text that it takes
    "year": (filters.Taken, lambda value: filters.Taken(value, value)),
    "month": (filters.Taken, lambda value: filters.Taken(value, value)),
    "camera": (filters.Camera, filters.Camera),
    "lens": (filters.Lens, filters.Lens),
    "format": (filters.OfFormat, lambda value: filters.OfFormat(value.upper())),
    "rating": (filters.Rated, lambda value: filters.Rated(int(value), int(value))),
    "type": (filters.OfKind, filters.OfKind),
    "shape": (filters.OfShape, filters.OfShape),
    "tag": (filters.Tagged, filters.Tagged),
}
FACETS: tuple[str, ...] = tuple(_CHOICES)
#: Hits of a ranked query that are counted.
MOST_HITS = 5000


@dataclass(frozen=True)
class FacetValue:
    """One choice of a facet.

    Attributes:
        count: items that have it, were the facet's own filters not there.
        filter: what to add to a query, as the query language writes it.
        is_on: the query has that filter.
    """

    value: str
    count: int
    filter: str
    is_on: bool


def facets(
    library: Store,
    names: Sequence[str],
    wanted: Filter | None,
    item_ids: Sequence[int] | None = None,
    most: int = 50,
) -> dict[str, tuple[FacetValue, ...]]:
    """The values of some facets, the most frequent first.

    A facet counts with its own filters left out, so that a second camera can be chosen.

    Args:
        names: of `FACETS`; wanted: what items must pass; item_ids: only some of them.

    Raises:
        QueryError: there is no such facet, or the filter names what the library does not have.
    """
    for name in names:
        if name not in _CHOICES:
            raise QueryError(f"there is no facet {name!r}; there are {', '.join(FACETS)}")
    on = {str(one) for one in _all_of(wanted)}
    found = {}
    with library.reading() as connection:
        for name in names:
            own, filter_of = _CHOICES[name]
            others = both(*(one for one in _all_of(wanted) if not isinstance(one, own)))
            rows = catalog_facets.counts(connection, name, others, item_ids, most)
            texts = [str(filter_of(value)) for value, _ in rows]
            found[name] = tuple(
                FacetValue(value, count, text, text in on)
                for (value, count), text in zip(rows, texts, strict=True)
            )
    return found


def _all_of(wanted: Filter | None) -> tuple[Filter, ...]:
    """The filters that must all hold."""
    if wanted is None:
        return ()
    return wanted.filters if isinstance(wanted, AllOf) else (wanted,)
