"""Contents into groups, each around one best content; never along chains.

The rule: a group has a centre, every other content of it is linked with the centre itself, and no
two of it are known to be different. So where A is like B and B is like C, all three are one group
only if B is the centre and A and C were not found, or decided, to be different pictures; and what
is only linked through another member is never in it. A complete link is a special case: there every
content could be the centre.

Centres are taken by how many contents they would gather, the most first, so that an original with
many versions gathers them before one of the versions takes another away. Equal ones are taken by
id, so a second run gives the same groups. A content is in one group at most.

Works on arrays of links: the memory is that of the links, the time n log n of them.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pictor.library.records import BoolVector, IdArray


class Links(NamedTuple):
    """Pairs of contents that are alike, or that are known to be different.

    Attributes:
        low, high: (n,) int64 content ids, low < high, each pair once.
        ranks: (n,) uint8, the surest first.
        confidences: (n,) float32, 0 to 1.
    """

    low: IdArray
    high: IdArray
    ranks: NDArray[np.uint8]
    confidences: NDArray[np.float32]

    def where(self, chosen: BoolVector) -> Links:
        """Those that (n,) flags choose."""
        return Links(
            self.low[chosen], self.high[chosen], self.ranks[chosen], self.confidences[chosen]
        )


class Cluster(NamedTuple):
    """A centre and the contents around it, the surest links first."""

    centre: int
    others: tuple[int, ...]


class _Sides:
    """Links by each of their two contents, as slices of one array."""

    def __init__(self, nodes: IdArray, links: Links) -> None:
        """`nodes`: ascending ids that hold both sides of every link."""
        low, high = np.searchsorted(nodes, links.low), np.searchsorted(nodes, links.high)
        ends = np.concatenate([low, high])
        others = np.concatenate([high, low])
        ranks, sure = np.tile(links.ranks, 2), np.tile(links.confidences, 2)
        order = np.lexsort((others, -sure, ranks, ends))
        self._others = others[order]
        self._starts = np.searchsorted(ends[order], np.arange(len(nodes) + 1))

    def of(self, node: int) -> list[int]:
        """The other ends of a node's links, the surest first."""
        others: list[int] = self._others[self._starts[node] : self._starts[node + 1]].tolist()
        return others

    def counts(self) -> list[int]:
        """How many links each node has."""
        counts: list[int] = np.diff(self._starts).tolist()
        return counts


def clusters(alike: Links, apart: Links) -> Iterator[Cluster]:
    """Every group, by the number it was gathered in; only groups of two contents and more."""
    nodes = np.unique(np.concatenate([alike.low, alike.high]))
    near, far = _Sides(nodes, alike), _Sides(nodes, _within(apart, nodes))
    is_free = bytearray(b"\1") * len(nodes)
    heap = [(-count, node) for node, count in enumerate(near.counts())]
    heapq.heapify(heap)
    while heap:
        expected, centre = heapq.heappop(heap)
        if not is_free[centre]:
            continue
        free = [other for other in near.of(centre) if is_free[other]]
        if len(free) < -expected:  # others took some: it waits for its new turn
            if free:
                heapq.heappush(heap, (-len(free), centre))
            continue
        others = _fitting(centre, free, far)
        if not others:
            continue
        for node in (centre, *others):
            is_free[node] = 0
        yield Cluster(int(nodes[centre]), tuple(int(nodes[node]) for node in others))


def clusters_around(alike: Links, apart: Links, centres: Collection[int]) -> Iterator[Cluster]:
    """Groups whose centre is one of some contents and whose other contents are none of them.

    Each other content goes to the centre of its surest link. Contents around one centre that are
    known to be different make several groups, all with that centre.
    """
    nodes = np.unique(np.concatenate([alike.low, alike.high]))
    near, far = _Sides(nodes, alike), _Sides(nodes, _within(apart, nodes))
    is_centre = np.isin(nodes, np.array(sorted(centres), dtype=np.int64))
    gathered: dict[int, list[int]] = {}
    for node in np.flatnonzero(~is_centre).tolist():
        best = next((other for other in near.of(node) if is_centre[other]), None)
        if best is not None:
            gathered.setdefault(best, []).append(node)
    for centre in sorted(gathered):
        left = gathered[centre]
        while left:
            others = _fitting(centre, left, far)
            yield Cluster(int(nodes[centre]), tuple(int(nodes[node]) for node in others))
            left = [node for node in left if node not in set(others)]


def _within(links: Links, nodes: IdArray) -> Links:
    """The links of which both contents are among some."""
    return links.where(np.isin(links.low, nodes) & np.isin(links.high, nodes))


def _fitting(centre: int, others: list[int], far: _Sides) -> list[int]:
    """Those of some contents that can be together with a centre, the first ones first."""
    taken = {centre}
    for node in others:
        if taken.isdisjoint(far.of(node)):
            taken.add(node)
    return [node for node in others if node in taken]
