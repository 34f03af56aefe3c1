"""Pairs of near hashes against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from pictor.duplicates.candidates import hash_neighbours
from pictor.duplicates.candidates.hash_neighbours import (
    MOST_NEIGHBOURS,
    RADIUS,
    near_pairs,
    turn_between,
)
from pictor.library.observer import Silent, Stopped

Hashes = NDArray[np.uint64]


def drawn(seed: int, count: int) -> Hashes:
    """Random hashes; every second picture is a turned copy, 0 to 10 bits off, of the one before."""
    rng = np.random.default_rng(seed)
    made = rng.integers(0, 1 << 64, (count, 8), dtype=np.uint64)
    for row in range(1, count, 2):
        value = int(made[row - 1, rng.integers(8)])
        for bit in rng.choice(64, rng.integers(0, 11), replace=False):
            value ^= 1 << int(bit)
        made[row, 0] = value
    return made


def by_force(made: Hashes, fresh: list[int]) -> set[tuple[int, int, int]]:
    """(low, high, bits) of each fresh row's hashes and every other row's first one."""
    found: dict[tuple[int, int], int] = {}
    for row in fresh:
        for other in range(len(made)):
            bits = min(int(one ^ made[other, 0]).bit_count() for one in made[row])
            if other != row and bits <= RADIUS:
                key = (min(row, other), max(row, other))
                found[key] = min(bits, found.get(key, 64))
    return {(*key, bits) for key, bits in found.items()}


def as_set(made: Hashes, fresh: list[int]) -> set[tuple[int, int, int]]:
    low, high, bits = near_pairs(made, np.array(fresh, np.int64)).pairs
    return set(zip(low.tolist(), high.tolist(), bits.tolist(), strict=True))


@pytest.mark.parametrize("in_pieces", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_every_pair_within_the_radius_is_found(
    seed: int, in_pieces: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hash_neighbours, "DIRECT_PRODUCTS", 0 if in_pieces else 1 << 40)
    made = drawn(seed, 120)
    every = list(range(120))
    assert as_set(made, every) == by_force(made, every)
    fresh = every[seed::7]
    found = as_set(made, fresh)
    assert found == by_force(made, fresh)
    assert all(low in fresh or high in fresh for low, high, _ in found)


def test_pictures_whose_hashes_are_all_alike_are_capped_and_counted() -> None:
    made = np.zeros((500, 8), np.uint64)
    found = near_pairs(made, np.arange(500))
    assert len(found.pairs.low) <= 500 * MOST_NEIGHBOURS
    assert set(found.pairs.low.tolist()) | set(found.pairs.high.tolist()) == set(range(500))
    assert (found.pairs.low < found.pairs.high).all()
    few = near_pairs(np.zeros((MOST_NEIGHBOURS, 8), np.uint64), np.arange(MOST_NEIGHBOURS))
    assert few.crowded == 0
    assert len(few.pairs.low) == MOST_NEIGHBOURS * (MOST_NEIGHBOURS - 1) // 2


def test_nobody_is_fresh_or_there() -> None:
    assert len(near_pairs(drawn(0, 10), np.empty(0, np.int64)).pairs.low) == 0
    assert len(near_pairs(np.empty((0, 8), np.uint64), np.empty(0, np.int64)).pairs.low) == 0


def test_the_turn_is_that_of_the_nearest_hash_and_the_plainest_of_equals() -> None:
    left = np.arange(8, dtype=np.uint64)[None] << np.uint64(8)
    right = np.full((1, 8), 5 << 8, np.uint64)
    bits, turns = turn_between(left, right)
    assert (bits.tolist(), turns.tolist()) == ([0], [6])
    same = np.zeros((1, 8), np.uint64)
    assert turn_between(same, same)[1].tolist() == [1]


def test_a_search_can_be_stopped() -> None:
    class Stopping(Silent):
        def should_stop(self) -> bool:
            return True

    with pytest.raises(Stopped):
        near_pairs(drawn(0, 50), np.arange(50), Stopping())
