"""Pairs of pictures whose perceptual hashes are near, in any orientation, without an n × n matrix.

Two hashes of 64 bits that differ in at most 7 have one of four pieces of 16 bits in which they
differ in at most one (the pigeonholes of multi-index hashing: Norouzi, Punjani and Fleet, CVPR
2012). So hashes are put into buckets by each piece, and only buckets whose keys differ in at most
a bit are compared with each other. faiss's own index of this kind took 180 µs a query at 1,000,000
hashes, 8 queries a picture; whole buckets against whole buckets took 3.5 µs on the same machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pictor.library.observer import SILENT, Observer, check
from pictor.library.records import IdArray

#: Bits of 64 by which hashes of copies may differ. Measured on 101 photos, 30 changes each:
#: of resized, recompressed, turned, mirrored, greyed, blurred and noisy copies all lie within 7,
#: while 2 of the 534,000 pairs of 1,034 photos do; at 10 it is 5, at 12 49.
RADIUS = 7
#: Neighbours by hash that one picture is compared with. Flat pictures have hashes that are all
#: alike and say nothing; vectors and names still find their copies.
MOST_NEIGHBOURS = 32
_PIECES, _PIECE_BITS = 4, 16
_KEYS = 1 << _PIECE_BITS
_FLIPS = np.array([0] + [1 << bit for bit in range(_PIECE_BITS)], dtype=np.int64)
#: Up to so many comparisons (some 8 s) every hash is compared with every other one.
DIRECT_PRODUCTS = 6_000_000_000
_TILE = 1 << 19  # hashes compared in one step: 4 MB of differences, which stay in the cache
_MOST_PENDING = 1 << 22  # pairs collected before they are cut to the nearest

Hashes = NDArray[np.uint64]
Bits = NDArray[np.uint8]


class HashPairs(NamedTuple):
    """Pairs of rows, `low` < `high`, each once; `bits` apart in the nearest orientation."""

    low: IdArray
    high: IdArray
    bits: Bits


class HashNeighbours(NamedTuple):
    """The pairs, and how many pictures had more neighbours than they may have."""

    pairs: HashPairs
    crowded: int


def near_pairs(
    hashes: NDArray[np.uint64], fresh: IdArray, observer: Observer = SILENT
) -> HashNeighbours:
    """Every pair of a fresh row and any row within `RADIUS`, up to `MOST_NEIGHBOURS` a row.

    Complete but for rows with more neighbours than that, of which the nearest stay.

    Args:
        hashes: (n, 8) as `library.images.fingerprint.unpacked` gives them.
        fresh: rows to find the neighbours of.
        observer: asked now and then whether to stop; the search is then left with `Stopped`.
    """
    plain = hashes[:, 0]
    values, groups = np.unique(plain, return_inverse=True)
    members = _Members(groups, len(values))
    collected = _Collected(len(plain))
    turned, owners = _queries(hashes[fresh], fresh)
    blocks = _direct if len(turned) * len(values) <= DIRECT_PRODUCTS else _by_pieces
    for asking, asked in blocks(turned, values, observer):
        bits = np.bitwise_count(turned[asking] ^ values[asked])
        collected.add(*members.expanded(owners[asking], asked, bits))
    collected.cut()
    return HashNeighbours(collected.pairs, collected.crowded)


def turn_between(left: Hashes, right: Hashes) -> tuple[Bits, NDArray[np.int64]]:
    """For m pairs of (m, 8) hashes: the least distance in bits, and the EXIF value (1 to 8) of the
    turn that takes the left one to the right one. Of equal distances the plainest turn counts."""
    bits = np.bitwise_count(left ^ right[:, :1])
    turns = bits.argmin(axis=1)
    return bits[np.arange(len(bits)), turns], turns + 1


def _queries(hashes: Hashes, rows: IdArray) -> tuple[Hashes, IdArray]:
    """Every hash in every orientation, flat, and the row each is of; twins within a row once."""
    ordered = np.sort(hashes, axis=1)
    first = np.ones(ordered.shape, np.bool_)
    first[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    owners = np.broadcast_to(rows[:, None], ordered.shape)
    return ordered[first], owners[first]


class _Members:
    """Which rows have which of the distinct hashes."""

    def __init__(self, groups: IdArray, count: int) -> None:
        self._rows = np.argsort(groups, kind="stable")
        self._starts = np.searchsorted(groups[self._rows], np.arange(count + 1))

    def expanded(self, rows: IdArray, groups: IdArray, bits: Bits) -> tuple[IdArray, IdArray, Bits]:
        """Pairs of a row and a distinct hash as pairs of rows.

        Of a hash that many rows have, each row gets those that follow itself in the order of rows,
        so that the pairs are spread over all of them.
        """
        starts = self._starts[groups]
        sizes = self._starts[groups + 1] - starts
        taken = np.minimum(sizes, MOST_NEIGHBOURS + 1)
        total = int(taken.sum())
        left = np.repeat(np.arange(len(rows)), taken)
        step = np.arange(total) - np.repeat(np.cumsum(taken) - taken, taken)
        # Where the row itself would stand in the group; only large groups need to begin there.
        offset = np.where(sizes > MOST_NEIGHBOURS + 1, rows % np.maximum(sizes, 1), 0)
        place = starts[left] + (offset[left] + step) % sizes[left]
        return rows[left], self._rows[place], bits[left]


class _Collected:
    """Pairs that were found, cut to the nearest ones of each row whenever they are too many."""

    def __init__(self, count: int) -> None:
        self._count = count
        empty = np.empty(0, np.int64)
        self.pairs = HashPairs(empty, empty, np.empty(0, np.uint8))
        self._pending: list[tuple[IdArray, IdArray, Bits]] = []
        self._size = 0
        self._crowded = np.zeros(count, np.bool_)

    @property
    def crowded(self) -> int:
        """Rows that lost a neighbour."""
        return int(np.count_nonzero(self._crowded))

    def add(self, rows: IdArray, others: IdArray, bits: Bits) -> None:
        apart = rows != others
        self._pending.append((rows[apart], others[apart], bits[apart]))
        self._size += int(np.count_nonzero(apart))
        if self._size > _MOST_PENDING:
            self.cut()

    def cut(self) -> None:
        """Each pair once, at its least distance, if it is among the nearest of either side."""
        if not self._pending:
            return
        rows, others, bits = (np.concatenate(part) for part in zip(*self._pending, strict=True))
        low = np.concatenate([self.pairs.low, np.minimum(rows, others)])
        high = np.concatenate([self.pairs.high, np.maximum(rows, others)])
        bits = np.concatenate([self.pairs.bits, bits])
        order = np.lexsort((bits, high, low))
        low, high, bits = low[order], high[order], bits[order]
        first = np.ones(len(low), np.bool_)
        first[1:] = (low[1:] != low[:-1]) | (high[1:] != high[:-1])
        low, high, bits = low[first], high[first], bits[first]
        lost_low = _rank(low, bits) >= MOST_NEIGHBOURS
        lost_high = _rank(high, bits) >= MOST_NEIGHBOURS
        keep = ~(lost_low & lost_high)
        self._crowded[low[lost_low & ~keep]] = True
        self._crowded[high[lost_high & ~keep]] = True
        self.pairs = HashPairs(low[keep], high[keep], bits[keep])
        self._pending, self._size = [], 0


def _rank(rows: IdArray, bits: Bits) -> IdArray:
    """How many nearer pairs each pair's row has; ties in the order of pairs."""
    order = np.lexsort((bits, rows))
    starts = np.searchsorted(rows[order], rows[order])
    ranks = np.empty(len(rows), np.int64)
    ranks[order] = np.arange(len(rows)) - starts
    return ranks


# --- which hashes are compared with which: (query positions, positions of distinct hashes)

_Found = Iterator[tuple[IdArray, IdArray]]


def _direct(queries: Hashes, values: Hashes, observer: Observer) -> _Found:
    """Every query against every hash."""
    every, asking = np.arange(len(values)), np.arange(len(queries))
    step = max(1, (64 * _TILE) // max(1, len(values)))
    for start in range(0, len(queries), step):
        check(observer)
        part = asking[start : start + step]
        yield _held_against(queries, values, part, every)


def _by_pieces(queries: Hashes, values: Hashes, observer: Observer) -> _Found:
    """Every query against the hashes that share a piece with it but for a bit.

    A pair may come once a piece. The queries of one key are taken together, so that a step costs
    what its comparisons cost and not what a call costs.
    """
    for piece in range(_PIECES):
        held, held_starts = _buckets(values, piece)
        asking, starts = _buckets(queries, piece)
        for key in np.flatnonzero(np.diff(starts)).tolist():
            if key % 1024 == 0:
                check(observer)
            keys = (key ^ _FLIPS).tolist()
            near = np.concatenate([held[held_starts[k] : held_starts[k + 1]] for k in keys])
            if len(near):
                yield _held_against(queries, values, asking[starts[key] : starts[key + 1]], near)


def _buckets(hashes: Hashes, piece: int) -> tuple[IdArray, list[int]]:
    """Positions sorted by one piece of their hash, and where each of its values starts."""
    keys = (hashes >> np.uint64(piece * _PIECE_BITS)).astype(np.uint16)
    order = np.argsort(keys, kind="stable")
    counts = np.bincount(keys, minlength=_KEYS)
    return order, [0, *np.cumsum(counts).tolist()]


def _held_against(
    queries: Hashes, values: Hashes, asking: IdArray, held: IdArray
) -> tuple[IdArray, IdArray]:
    """The positions of pairs within the radius, of some queries and some hashes."""
    mine, theirs = queries[asking], values[held]
    at: list[IdArray] = []
    columns: list[IdArray] = []
    step = max(1, _TILE // max(1, len(held)))
    for start in range(0, len(mine), step):
        bits = np.bitwise_count(mine[start : start + step, None] ^ theirs)
        rows, found = np.divmod(np.flatnonzero(bits <= RADIUS), len(held))
        at.append(asking[start + rows])
        columns.append(held[found])
    return np.concatenate(at), np.concatenate(columns)
