"""The catalog is the truth: caches are deleted, mixed up, outdated and damaged; searches hold."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from small_world import World

from pictor.indexer import pipeline
from pictor.library import indexes
from pictor.library.errors import LibraryFull
from pictor.library.vectors.cache import CacheInfo, IndexCache
from pictor.search import query
from pictor.search.engine import Engine
from pictor.search.options import SearchOptions

A_PICTURE = query.Query((query.words("a picture"),))
ALL = SearchOptions(top=100, minimum="any", is_folded=False)


@pytest.fixture
def indexed(world: World) -> World:
    for i in range(5):
        world.draw(f"{i}.png", i)
    world.index()
    return world


def hits(world: World) -> list[tuple[bytes, str, float]]:
    return [(hit.path, hit.content, hit.score) for hit in world.search("a picture")]


def test_everything_but_the_catalog_can_be_deleted(indexed: World) -> None:
    before = hits(indexed)
    for path in indexed.path.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif not path.name.startswith("catalog.sqlite"):
            path.unlink()
    assert hits(indexed) == before
    assert (indexed.path / "cache").is_dir()  # it came back
    assert indexed.verify().ok
    indexed.forget_work()
    assert indexed.index().unchanged == 5
    assert (indexed.decoded, indexed.encoded) == (0, 0)


def test_a_library_that_cannot_be_written_is_searched_without_its_cache(
    indexed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = hits(indexed)
    shutil.rmtree(indexed.path / "cache")

    def full(*_: object, **__: object) -> None:
        raise LibraryFull("the disk is full")

    monkeypatch.setattr(IndexCache, "build", full)
    assert hits(indexed) == before
    assert indexed.verify().ok


def test_a_cache_of_another_library_is_not_served(indexed: World) -> None:
    before = hits(indexed)
    other = World.__new__(World)
    other.__dict__ |= indexed.__dict__ | {
        "root": indexed.folder / "photos2",
        "path": indexed.folder / "library2",
    }
    for i in range(5):
        other.draw(f"{i}.png", 100 + i)
    other.index()
    shutil.rmtree(indexed.path / "cache")
    shutil.copytree(other.path / "cache", indexed.path / "cache")
    assert hits(indexed) == before


def test_a_search_sees_vectors_that_its_cache_lacks(indexed: World) -> None:
    stale = indexed.folder / "stale"
    shutil.copytree(indexed.path / "cache", stale)
    new = indexed.draw("new.png", 77)
    (indexed.root / "0.png").unlink()
    indexed.index()
    with indexed.open() as library:
        from pictor.library.purge import purge

        purge(library)
    before = hits(indexed)
    shutil.rmtree(indexed.path / "cache")
    shutil.copytree(stale, indexed.path / "cache")
    assert hits(indexed) == before
    assert indexed.search(new)[0].path.endswith(b"/new.png")
    assert indexed.verify().ok


def test_an_open_engine_sees_what_another_process_commits(indexed: World) -> None:
    with indexed.open() as library, Engine(library) as engine:
        assert len(engine.search(A_PICTURE, ALL).hits) == 5
        indexed.draw("new.png", 77)
        indexed.index()
        assert len(engine.search(A_PICTURE, ALL).hits) == 6
        (indexed.root / "0.png").unlink()
        indexed.index()
        with indexed.open() as other:
            from pictor.library.purge import purge

            purge(other)
        found = engine.search(A_PICTURE, ALL).hits
        assert len(found) == 5
        assert not any(hit.path.endswith(b"/0.png") for hit in found)


def backup(world: World) -> Path:
    copy = world.folder / "backup.sqlite"
    world.sql("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(world.path / "catalog.sqlite", copy)
    return copy


def restore(world: World, copy: Path) -> None:
    for path in world.path.glob("catalog.sqlite*"):
        path.unlink()
    shutil.copy(copy, world.path / "catalog.sqlite")


def test_a_catalog_restored_from_a_backup_is_not_served_with_a_newer_cache(indexed: World) -> None:
    copy = backup(indexed)
    before = hits(indexed)
    indexed.draw("later.png", 50)
    indexed.index()
    restore(indexed, copy)
    assert hits(indexed) == before


def test_a_restored_catalog_that_went_on_is_not_served_with_the_cache_of_what_was_lost(
    indexed: World,
) -> None:
    """As many changes and as many vectors since the backup as before: only history tells them."""
    copy = backup(indexed)
    indexed.draw("lost.png", 50)
    indexed.index()
    lost_cache = indexed.folder / "lost-cache"
    shutil.copytree(indexed.path / "cache", lost_cache)
    restore(indexed, copy)
    (indexed.root / "lost.png").unlink()
    found = indexed.draw("found.png", 51)
    indexed.index()
    before = hits(indexed)
    assert indexed.search(found)[0].score > 0.999
    for stamp in ("as it is", "followed by one more change"):
        shutil.rmtree(indexed.path / "cache")
        shutil.copytree(lost_cache, indexed.path / "cache")
        assert hits(indexed) == before, stamp
        shutil.rmtree(indexed.path / "cache")
        shutil.copytree(lost_cache, indexed.path / "cache")
        indexed.draw("more.png", 52)
        indexed.index()
        before = hits(indexed)
        assert indexed.search(found)[0].score > 0.999


def test_an_open_engine_notices_a_restored_catalog(indexed: World) -> None:
    copy = backup(indexed)
    indexed.draw("lost.png", 50)
    indexed.index()
    with indexed.open() as library, Engine(library) as engine:
        assert len(engine.search(A_PICTURE, ALL).hits) == 6
        library._engine.dispose()  # its connections; they come back by themselves
        restore(indexed, copy)
        assert len(engine.search(A_PICTURE, ALL).hits) == 5


@pytest.mark.parametrize("damage", ["manifest", "generation"])
def test_a_damaged_cache_is_built_again_by_the_next_search(indexed: World, damage: str) -> None:
    before = hits(indexed)
    (manifest,) = indexed.path.glob("cache/*/index/current.json")
    if damage == "manifest":
        manifest.write_bytes(manifest.read_bytes()[:-20])
    else:
        for path in manifest.parent.glob("generation-*/*"):
            path.unlink()
    assert hits(indexed) == before
    with indexed.open() as library:
        assert indexes.cache_of(library, library.space()).verify() == []


def test_a_cache_that_cannot_be_written_is_a_notice_and_the_run_succeeds(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fault is injected where the vectors' own tests inject it: at every write of a file."""
    import errno

    from pictor.library.vectors import files

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    world.draw("a.png")
    monkeypatch.setattr(files, "write_file", full)
    summary = world.index()
    assert summary.indexed == 1
    assert any("was not saved" in notice for notice in summary.notices)
    assert len(world.search("a picture")) == 1
    monkeypatch.undo()
    assert len(hits(world)) == 1


def test_a_cache_far_behind_is_renewed_within_a_run(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "FAR_BEHIND_ITEMS", 3)
    counts: list[int] = []
    publish = IndexCache._publish

    def counted(self: IndexCache, info: CacheInfo, *rest: object) -> None:
        counts.append(info.stamp.count)
        publish(self, info, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(IndexCache, "_publish", counted)
    world.set(encoder__batch_size=2)
    world.commit_always()
    for i in range(10):
        world.draw(f"{i}.png", i)
    world.index()
    assert len(counts) > 1
    assert counts[-1] == 10
