"""Gone is not deleted: what cannot be reached, what is missing, and how both come back."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_world import World

import pictor.indexer.roots
from pictor.indexer.sources.base import FoundFile, ScanProblem
from pictor.indexer.sources.folder import FolderSource
from pictor.library.errors import SourceError
from pictor.library.purge import purge
from pictor.library.records import Reason
from pictor.library.status import problems


@pytest.fixture
def indexed(world: World) -> World:
    """Two pictures and one in a subfolder, indexed, beside a second root."""
    for name in ("a.png", "b.png", "sub/c.png"):
        world.draw(name)
    other = world.folder / "other"
    other.mkdir()
    shutil.copy(world.draw("elsewhere.png"), other / "d.png")
    (world.root / "elsewhere.png").unlink()
    assert world.index(world.root, other).indexed == 4
    world.forget_work()
    return world


def assert_unreachable(world: World) -> None:
    """The first root is unreachable, the second goes on, nothing is lost; then it comes back."""
    summary = world.index_named([])
    assert summary.unreachable == (str(world.root),)
    assert (summary.unchanged, summary.missing) == (1, 0)
    assert any("unreachable" in notice for notice in summary.notices)
    states = world.found()
    assert states.pop("../other/d.png") == "present"
    assert states == {"a.png": "unreachable", "b.png": "unreachable", "sub/c.png": "unreachable"}


def assert_back(world: World) -> None:
    summary = world.index_named([])
    assert (summary.unchanged, summary.unreachable) == (4, ())
    assert (world.decoded, world.encoded) == (0, 0)
    assert set(world.found().values()) == {"present"}


def test_a_root_that_is_gone_is_unreachable_and_comes_back(indexed: World) -> None:
    indexed.root.rename(indexed.folder / "away")
    assert_unreachable(indexed)
    (indexed.folder / "away").rename(indexed.root)
    assert_back(indexed)


def test_a_root_that_is_empty_where_it_was_not_is_unreachable(indexed: World) -> None:
    indexed.root.rename(indexed.folder / "away")
    indexed.root.mkdir()
    assert_unreachable(indexed)
    indexed.root.rmdir()
    (indexed.folder / "away").rename(indexed.root)
    assert_back(indexed)


def test_another_volume_at_the_place_of_a_root_is_unreachable(
    indexed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    indexed.root.rename(indexed.folder / "away")
    stranger = indexed.draw("stranger.png")
    real = pictor.indexer.roots.volume_id
    strange = os.fsencode(indexed.root)

    def volume_id(location: bytes) -> str:
        return "uuid=another" if location == strange else real(location)

    monkeypatch.setattr(pictor.indexer.roots, "volume_id", volume_id)
    assert_unreachable(indexed)
    monkeypatch.setattr(pictor.indexer.roots, "volume_id", real)
    stranger.unlink()
    indexed.root.rmdir()
    (indexed.folder / "away").rename(indexed.root)
    assert_back(indexed)


def test_a_volume_that_came_back_under_another_number_is_the_same(
    indexed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The known files are there, so it is no other volume, whatever the system calls it now."""
    monkeypatch.setattr(pictor.indexer.roots, "volume_id", lambda _: "dev=ffff")
    assert_back(indexed)


def test_a_volume_with_the_same_uuid_is_the_same_though_all_files_are_new(
    indexed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = os.fsencode(indexed.root)
    indexed.sql("UPDATE root SET volume = 'uuid=one;dev=1' WHERE location = ?", where)
    monkeypatch.setattr(pictor.indexer.roots, "volume_id", lambda _: "uuid=one;dev=2")
    shutil.rmtree(indexed.root)
    indexed.draw("new.png")
    summary = indexed.index()
    assert (summary.indexed, summary.missing, summary.unreachable) == (1, 3, ())


def test_a_run_that_can_reach_nothing_says_so(indexed: World) -> None:
    indexed.root.rename(indexed.folder / "away")
    with pytest.raises(SourceError, match=r"unreachable.*nothing of it was forgotten"):
        indexed.index()
    assert indexed.found()["a.png"] == "unreachable"


def test_a_missing_file_is_hidden_counted_and_comes_back_unread(indexed: World) -> None:
    (indexed.root / "a.png").rename(indexed.folder / "a.png")
    summary = indexed.index()
    assert (summary.seen, summary.unchanged, summary.missing) == (2, 2, 1)
    assert "a.png" not in indexed.found()
    assert indexed.index().missing == 1  # it goes on being counted
    (indexed.folder / "a.png").rename(indexed.root / "a.png")
    summary = indexed.index()
    assert (summary.unchanged, summary.missing) == (3, 0)
    assert (indexed.decoded, indexed.encoded) == (0, 0)
    assert indexed.found()["a.png"] == "present"


def test_sidecars_that_an_older_release_listed_are_missing_and_in_no_account(
    indexed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    (indexed.root / "a.png.xmp").write_text("<x:xmpmeta xmlns:x='adobe:ns:meta/'/>")
    with monkeypatch.context() as older:
        older.setattr("pictor.indexer.sources.folder.is_sidecar", lambda name: False)
        assert indexed.index().skipped == 1
    summary = indexed.index()
    assert (summary.seen, summary.skipped, summary.missing) == (3, 0, 1)
    with indexed.open() as library:
        assert problems(library) == []
        assert purge(library, []) == (1, 0)
    assert indexed.index().missing == 0
    assert (indexed.root / "a.png.xmp").exists()


def test_a_file_that_was_missing_stays_hidden_when_its_root_goes(indexed: World) -> None:
    (indexed.root / "a.png").unlink()
    indexed.index()
    indexed.root.rename(indexed.folder / "away")
    indexed.index_named([])
    assert "a.png" not in indexed.found()
    assert indexed.found()["b.png"] == "unreachable"


def test_only_a_purge_forgets_and_then_all_of_it(indexed: World) -> None:
    (indexed.root / "a.png").unlink()
    indexed.index()
    with indexed.open() as library:
        assert purge(library) == (1, 1)
    assert indexed.verify().ok
    assert set(indexed.files()) == {"b.png", "sub/c.png", "d.png"}
    for table in ("content", "item", "vector"):
        assert indexed.sql(f"SELECT count(*) FROM {table}") == [(3,)]
    assert len(indexed.search("a picture")) == 3


def test_a_purge_spares_what_is_only_unreachable(indexed: World) -> None:
    indexed.root.rename(indexed.folder / "away")
    indexed.index_named([])
    with indexed.open() as library:
        assert purge(library) == (0, 0)
    (indexed.folder / "away").rename(indexed.root)
    assert_back(indexed)


def test_a_purge_of_a_root_forgets_it_and_refuses_what_is_none(indexed: World) -> None:
    with indexed.open() as library:
        assert purge(library, [os.fsencode(indexed.folder / "other")]) == (1, 1)
        with pytest.raises(SourceError, match="is not a root of this library"):
            purge(library, [b"/nowhere"])
    assert indexed.verify().ok
    assert "../other/d.png" not in indexed.found()


def test_item_ids_are_not_used_twice(indexed: World) -> None:
    """A cache, an open index or a person may still hold the id of an item that was purged."""
    (newest,) = indexed.sql("SELECT max(id) FROM item")[0]
    with indexed.open() as library:
        purge(library, [os.fsencode(indexed.folder / "other")])
    indexed.draw("new.png")
    indexed.index()
    assert indexed.search(indexed.root / "new.png")[0].item > newest


def test_files_under_a_folder_that_cannot_be_listed_are_not_missing(
    indexed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scan(self: FolderSource, prefix: bytes = b"") -> Iterator[FoundFile | ScanProblem]:
        for found in real(self, prefix):
            if isinstance(found, FoundFile) and found.path == b"sub/c.png":
                yield ScanProblem(b"sub/", "permission denied")
            else:
                yield found

    real = FolderSource.scan
    monkeypatch.setattr(FolderSource, "scan", scan)
    summary = indexed.index()
    assert (summary.seen, summary.missing) == (2, 0)
    assert any("sub/" in notice for notice in summary.notices)
    assert indexed.found()["sub/c.png"] == "present"


def test_a_root_that_breaks_off_while_it_is_listed_does_not_stop_the_others(
    indexed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scan(self: FolderSource, prefix: bytes = b"") -> Iterator[FoundFile | ScanProblem]:
        if self.location != os.fsencode(indexed.root):
            yield from real(self, prefix)
            return
        yield next(iter(real(self, prefix)))
        raise SourceError("the disk was pulled out")

    real = FolderSource.scan
    monkeypatch.setattr(FolderSource, "scan", scan)
    shutil.copy(indexed.draw("new.png"), indexed.folder / "other" / "new.png")
    summary = indexed.index_named([])
    assert (summary.indexed, summary.missing) == (1, 0)
    assert summary.unreachable == (str(indexed.root),)
    with pytest.raises(SourceError, match="pulled out"):
        indexed.index(indexed.root)


def test_an_empty_mount_point_inside_a_root_makes_its_files_missing_until_it_is_back(
    indexed: World,
) -> None:
    """The root is there, and only its own volume is known. Rows stay; one stat brings all back."""
    (indexed.root / "sub").rename(indexed.folder / "unmounted")
    (indexed.root / "sub").mkdir()
    assert indexed.index().missing == 1
    (indexed.root / "sub").rmdir()
    (indexed.folder / "unmounted").rename(indexed.root / "sub")
    summary = indexed.index()
    assert (summary.unchanged, summary.missing, indexed.decoded) == (3, 0, 0)


def test_a_file_that_cannot_be_read_for_now_keeps_its_content(
    indexed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the next purge would throw away its vectors because of one bad moment of a share."""
    import pictor.indexer.worker

    opened = pictor.indexer.worker.opened_regular

    def refusing(path: bytes) -> object:
        if path.endswith(b"a.png"):
            raise PermissionError(13, "Permission denied")
        return opened(path)

    os.utime(indexed.root / "a.png", ns=(1, 1))
    monkeypatch.setattr(pictor.indexer.worker, "opened_regular", refusing)
    assert indexed.index().failed == 1
    assert indexed.files()["a.png"] == ("failed", Reason.PERMISSION, False)
    with indexed.open() as library:
        assert purge(library) == (0, 0)
    monkeypatch.setattr(pictor.indexer.worker, "opened_regular", opened)
    summary = indexed.index()
    assert (summary.unchanged, summary.failed, indexed.decoded) == (3, 0, 0)


def test_a_file_that_vanishes_between_listing_and_reading_is_missing(
    indexed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = FolderSource.scan

    def scan(self: FolderSource, prefix: bytes = b"") -> Iterator[FoundFile | ScanProblem]:
        for found in real(self, prefix):
            if isinstance(found, FoundFile) and found.path in (b"a.png", b"new.png"):
                Path(os.fsdecode(found.locator.path)).unlink()
            yield found

    os.utime(indexed.root / "a.png", ns=(1, 1))
    indexed.draw("new.png")
    monkeypatch.setattr(FolderSource, "scan", scan)
    summary = indexed.index()
    assert (summary.unchanged, summary.missing, summary.failed) == (2, 1, 1)
    assert indexed.files()["new.png"] == ("failed", Reason.VANISHED, False)
    assert "a.png" not in indexed.found()
