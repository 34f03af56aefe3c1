"""A run's changes are appended to the index cache of its library, and a search sees just those."""

from __future__ import annotations

import numpy as np
import pytest
from small_world import World
from sqlalchemy import select

from pictor.library import indexes
from pictor.library.catalog import spaces
from pictor.library.catalog.schema import VECTOR
from pictor.library.purge import purge
from pictor.library.vectors.cache import CacheInfo, IndexCache


def cached(world: World) -> CacheInfo:
    with world.open() as library:
        found = indexes.info(library, library.space())
    assert found is not None
    return found


def served(world: World) -> dict[int, list[float]]:
    """What the cache serves by itself, and that it is what the catalog has."""
    with world.open() as library:
        space = library.space()
        opened = indexes.open_index(library, space)
        assert opened.index.changes == 0, "nothing was laid on top"
        with library.reading() as connection:
            blocks = list(spaces.vector_blocks(connection, space.id, space.dimension))
            assert opened.change == spaces.last_change(connection, space.id)
        found = opened.index.vectors_of(np.arange(10_000, dtype=np.int64))
        truth = {
            item: row.astype(np.float32).tolist()
            for ids, rows in blocks
            for item, row in zip(ids.tolist(), rows, strict=True)
        }
        assert {item: row.tolist() for item, row in found.items()} == truth
        assert len(opened.index) == len(truth)
        assert indexes.cache_of(library, space).verify() == []
        opened.index.close()
    return truth


@pytest.fixture
def indexed(world: World) -> World:
    for i in range(12):
        world.draw(f"{i}.png", i)
    world.index()
    return world


def test_new_and_purged_photos_are_appended(indexed: World) -> None:
    first = cached(indexed)
    before = served(indexed)
    indexed.draw("more.png", 50)
    indexed.index()
    second = cached(indexed)
    assert (second.generation, second.stamp.count) == (first.generation, 13)
    after = served(indexed)
    assert len(after) == 13 and before.items() <= after.items()
    (indexed.root / "3.png").unlink()
    indexed.draw("4.png", 60)  # other bytes: a content more, and one that is to be purged
    indexed.index()
    with indexed.open() as library:
        purge(library)
    third = cached(indexed)
    assert third.generation == first.generation and third.extent.dead
    assert len(served(indexed)) == third.stamp.count == 12
    assert len(indexed.search("a picture")) == 12


def test_a_run_without_changes_writes_nothing(
    indexed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(IndexCache, "_publish", lambda *_: pytest.fail("it was written"))
    indexed.index()
    monkeypatch.undo()
    assert len(served(indexed)) == 12


def test_a_cache_that_does_not_add_up_is_built_anew(
    indexed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = cached(indexed)
    monkeypatch.setattr(spaces, "removed_since", lambda *_: np.array([1], np.int64))
    indexed.draw("more.png", 50)  # the catalog's own count says that nothing was removed
    indexed.index()
    monkeypatch.undo()
    assert cached(indexed).generation != first.generation
    assert len(served(indexed)) == 13


def test_a_cache_whose_files_are_damaged_is_built_anew_by_a_run(indexed: World) -> None:
    first = cached(indexed)
    for path in indexed.path.glob("cache/*/index/generation-*/vectors.f16"):
        path.write_bytes(path.read_bytes()[:-1])
    indexed.index()
    assert cached(indexed).generation != first.generation
    assert len(served(indexed)) == 12


def test_blocks_of_vectors_are_found_by_an_index_of_the_table(
    indexed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each once, in blocks of any size, of all changes or of the later ones."""
    with indexed.open() as library, library.reading() as connection:
        space = library.space()
        (whole,) = spaces.vector_blocks(connection, space.id, space.dimension)
        rows = connection.execute(select(VECTOR.c.item_id, VECTOR.c.change)).all()
        changes = {item: change for item, change in rows}
        middle = sorted(changes.values())[len(changes) // 2]
        for size in (1, 2, 5, 12, 13):
            monkeypatch.setattr(spaces, "BLOCK", size)
            for after in (-1, 0, middle, max(changes.values())):
                blocks = list(spaces.vector_blocks(connection, space.id, space.dimension, after))
                found = [item for ids, _ in blocks for item in ids.tolist()]
                wanted = [item for item, change in changes.items() if change > after]
                assert sorted(found) == sorted(wanted)
                assert spaces.count_vectors(connection, space.id, after) == len(wanted)
                assert all(0 < len(ids) <= size for ids, _ in blocks)
                if after < 0:
                    np.testing.assert_array_equal(np.concatenate([v for _, v in blocks]), whole[1])
