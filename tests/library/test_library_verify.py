"""`verify` finds each fault that is planted, and nothing in a sound library."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from small_world import World


@pytest.fixture
def indexed(world: World) -> World:
    for i in range(3):
        world.draw(f"{i}.png", i)
    world.index()
    verdict = world.verify()
    assert (verdict.ok, verdict.problems) == (True, ())
    return world


def plant(data: bytes) -> Callable[[World], object]:
    return lambda world: world.sql("UPDATE vector SET data = ? WHERE id = 2", data)


def statement(sql: str) -> Callable[[World], object]:
    def run(world: World) -> None:
        world.sql(sql)

    return run


def damage_cache(world: World) -> None:
    for path in world.path.glob("cache/*/index/generation-*/*"):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 255
        path.write_bytes(data)


HALF = np.float16
FAULTS = {
    "too short": (plant(b"\0" * 10), "1 vectors .* have the wrong length"),
    "too long": (plant(np.full(257, 0.0625, HALF).tobytes()), "wrong length"),
    "not unit": (plant(np.full(256, 0.05, HALF).tobytes()), "1 of 3 vectors .* not unit-norm"),
    "zero": (plant(np.zeros(256, HALF).tobytes()), "1 of 3 vectors .* not unit-norm"),
    "not finite": (plant(np.full(256, np.nan, HALF).tobytes()), "1 of 3 vectors .* not unit-norm"),
    "no vector": (statement("DELETE FROM vector WHERE id = 2"), "1 items .* have no vector"),
    "no item": (
        statement("DELETE FROM item WHERE id = 2"),
        "1 contents are marked indexed but have no item",
    ),
    "dangling": (statement("DELETE FROM content WHERE id = 2"), "refers to a row of content"),
    "damaged cache": (damage_cache, "the index cache of builtin is damaged"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(indexed: World, fault: str) -> None:
    import re

    spoil, expected = FAULTS[fault]
    spoil(indexed)
    verdict = indexed.verify()
    assert not verdict.ok
    assert any(re.search(expected, problem) for problem in verdict.problems), verdict.problems
    assert not any("\n" in problem for problem in verdict.problems)


def test_a_planted_fault_is_found_without_a_cache(indexed: World) -> None:
    import shutil

    plant(np.full(256, np.nan, HALF).tobytes())(indexed)
    shutil.rmtree(indexed.path / "cache")
    verdict = indexed.verify()
    assert any("not unit-norm" in problem for problem in verdict.problems), verdict.problems


def test_a_damaged_page_is_found(indexed: World) -> None:
    indexed.sql("PRAGMA wal_checkpoint(TRUNCATE)")
    file = indexed.path / "catalog.sqlite"
    (page,) = indexed.sql("SELECT rootpage FROM sqlite_master WHERE name = 'uq_content_hash'") or [
        indexed.sql("SELECT rootpage FROM sqlite_master WHERE tbl_name = 'content'")[0]
    ]
    data = bytearray(file.read_bytes())
    at = (page[0] - 1) * 4096
    data[at : at + 200] = b"\xff" * 200
    file.write_bytes(data)
    assert not indexed.verify().ok


def test_a_cache_that_is_gone_is_no_fault(indexed: World) -> None:
    import shutil

    shutil.rmtree(indexed.path / "cache")
    assert indexed.verify().ok


def test_a_missing_text_tower_is_a_fault(
    world: World, tiny_checkpoint: Callable[[str], Path]
) -> None:
    import shutil

    world.draw("a.png")
    world.index_named([bytes(world.root)], encoders=(str(tiny_checkpoint("clip")),))
    assert world.verify().ok
    for path in world.path.glob("cache/*/text"):
        shutil.rmtree(path)
    verdict = world.verify()
    assert any("text tower" in problem for problem in verdict.problems), verdict.problems
