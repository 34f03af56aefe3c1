"""Content is the identity: moves, renames and copies change rows; nothing is decoded or encoded."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from small_world import World

from pictor.indexer.run import Summary
from pictor.library.records import Reason


@pytest.fixture
def indexed(world: World) -> World:
    """Three pictures, indexed; the work so far is forgotten."""
    for name in ("a.png", "b.png", "sub/c.png"):
        world.draw(name)
    assert world.index().indexed == 3
    assert (world.decoded, world.encoded) == (3, 3)
    world.forget_work()
    return world


def assert_no_work(world: World, summary: Summary) -> None:
    assert (world.decoded, world.encoded, summary.encoded) == (0, 0, 0)
    assert world.verify().ok


def test_a_second_run_finds_all_unchanged(indexed: World) -> None:
    summary = indexed.index()
    assert (summary.seen, summary.unchanged) == (3, 3)
    assert_no_work(indexed, summary)


def test_a_rename_is_a_move(indexed: World) -> None:
    item = indexed.search(indexed.root / "a.png")[0].item
    (indexed.root / "a.png").rename(indexed.root / "z.png")
    summary = indexed.index()
    assert (summary.moved, summary.unchanged, summary.missing) == (1, 2, 0)
    assert_no_work(indexed, summary)
    assert set(indexed.files()) == {"z.png", "b.png", "sub/c.png"}
    assert indexed.search(indexed.root / "z.png")[0].item == item


@pytest.mark.parametrize(("old", "new"), [("a.png", "sub/deep/a.png"), ("sub/c.png", "0.png")])
def test_a_move_between_folders_is_a_move_in_either_direction(
    indexed: World, old: str, new: str
) -> None:
    (indexed.root / new).parent.mkdir(exist_ok=True, parents=True)
    (indexed.root / old).rename(indexed.root / new)
    summary = indexed.index()
    assert (summary.moved, summary.unchanged, summary.missing) == (1, 2, 0)
    assert_no_work(indexed, summary)


def test_a_renamed_folder_moves_all_it_holds(indexed: World) -> None:
    (indexed.root / "sub").rename(indexed.root / "other")
    summary = indexed.index()
    assert (summary.moved, summary.missing) == (1, 0)
    assert_no_work(indexed, summary)


def test_a_change_of_case_is_a_move(indexed: World) -> None:
    (indexed.root / "a.png").rename(indexed.root / "A.PNG")
    summary = indexed.index()
    assert (summary.moved, summary.missing) == (1, 0)
    assert_no_work(indexed, summary)


def test_a_move_between_roots_is_a_move(indexed: World) -> None:
    other = indexed.folder / "other"
    other.mkdir()
    shutil.move(indexed.root / "a.png", other / "a.png")
    summary = indexed.index(indexed.root, other)
    assert (summary.moved, summary.unchanged, summary.missing) == (1, 2, 0)
    assert_no_work(indexed, summary)
    assert indexed.search(other / "a.png")[0].path == os.fsencode(other / "a.png")


def test_a_copy_is_indexed_without_work(indexed: World) -> None:
    shutil.copy(indexed.root / "a.png", indexed.root / "copy.png")
    summary = indexed.index()
    assert (summary.indexed, summary.unchanged, summary.items) == (1, 3, 3)
    assert_no_work(indexed, summary)
    hit = indexed.search(indexed.root / "a.png")[0]
    assert {hit.path, *hit.other_paths} == {
        os.fsencode(indexed.root / name) for name in ("a.png", "copy.png")
    }


def test_a_swap_of_two_names_changes_rows_only(indexed: World) -> None:
    a, b = indexed.root / "a.png", indexed.root / "b.png"
    first, second = (indexed.search(path)[0].content for path in (a, b))
    with b.open("ab") as file:  # so that the swap shows in the sizes
        file.write(b"\0" * 100)
    indexed.index()
    second = indexed.search(b)[0].content
    indexed.forget_work()
    a.rename(indexed.root / "t"), b.rename(a), (indexed.root / "t").rename(b)
    summary = indexed.index()
    assert summary.missing == summary.failed == 0
    assert_no_work(indexed, summary)
    by_path = {hit.path: hit.content for hit in indexed.search("a picture")}
    assert by_path[os.fsencode(a)] == second
    assert by_path[os.fsencode(b)] == first


def test_a_new_file_that_takes_the_name_of_a_renamed_one_is_the_only_work(indexed: World) -> None:
    (indexed.root / "a.png").rename(indexed.root / "older.png")
    indexed.draw("a.png", 4242, size=80)
    summary = indexed.index()
    assert (summary.encoded, indexed.decoded, summary.missing) == (1, 1, 0)
    assert summary.items == 4
    assert indexed.verify().ok


def test_a_touched_file_is_unchanged(indexed: World) -> None:
    os.utime(indexed.root / "a.png", ns=(10**18, 10**18))
    summary = indexed.index()
    assert summary.unchanged == 3
    assert_no_work(indexed, summary)
    reads = indexed.index()  # and the new time was stored, so it is not even read again
    assert reads.unchanged == 3
    assert indexed.sql("SELECT mtime_ns FROM file WHERE path = ?", b"a.png") == [(10**18,)]


def test_a_changed_content_is_encoded_again(indexed: World) -> None:
    before = indexed.search(indexed.root / "a.png")[0].content
    indexed.draw("a.png", 99, size=72)
    summary = indexed.index()
    assert (summary.indexed, summary.unchanged, summary.encoded) == (1, 2, 1)
    hit = next(h for h in indexed.search("a picture") if h.path.endswith(b"/a.png"))
    assert hit.content != before
    assert all(h.content != before for h in indexed.search("a picture"))


def test_hard_links_share_one_content(world: World) -> None:
    world.draw("a.png")
    os.link(world.root / "a.png", world.root / "b.png")
    summary = world.index()
    assert (summary.indexed, summary.items, world.decoded) == (2, 1, 1)
    (world.root / "a.png").unlink()
    assert world.index().missing == 1
    assert world.found() == {"b.png": "present"}


def test_twins_in_one_run_are_decoded_once(world: World) -> None:
    for name in ("a.png", "b.png", "sub/c.png"):
        world.draw(name, 1)
    summary = world.index()
    assert (summary.indexed, summary.items, world.decoded, world.encoded) == (3, 1, 1, 1)


def test_twins_in_one_run_of_several_processes_are_encoded_once(world: World) -> None:
    world.use_processes()
    world.set(index__workers=3)
    for i in range(9):
        world.draw(f"{i}.png", i % 2)
    summary = world.index()
    assert (summary.indexed, summary.items, world.encoded) == (9, 2, 2)


def test_a_twin_whose_first_copy_fails_is_read_in_the_same_run(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second was told that its content is being read: it must not go down with the first."""
    import pictor.indexer.worker

    world.draw("a.png", 1)
    world.draw("b.png", 1)
    decode = pictor.indexer.worker.decode

    def failing(data: bytes, specs: object, limits: object, name: bytes, **o: float) -> object:
        if name.endswith(b"a.png"):
            raise OSError(5, "Input/output error")
        return decode(data, specs, limits, name, **o)  # type: ignore[arg-type]

    monkeypatch.setattr(pictor.indexer.worker, "decode", failing)
    summary = world.index()
    assert (summary.indexed, summary.failed) == (1, 1)
    assert world.files()["a.png"] == ("failed", Reason.IO_ERROR, False)
    monkeypatch.setattr(pictor.indexer.worker, "decode", decode)
    world.forget_work()
    summary = world.index()
    assert (summary.indexed, summary.unchanged, world.decoded) == (1, 1, 0)


def test_files_equal_but_for_their_middle_are_two_contents(world: World) -> None:
    """A hash of the first megabyte, the last kilobyte and the size would take them for one."""
    header = b"P6 1024 1024 255\n"
    pixels = bytearray(os.urandom(3) * (1024 * 1024))
    (world.root / "a.ppm").write_bytes(header + bytes(pixels))
    middle = len(pixels) // 2
    pixels[middle : middle + 300_000] = bytes(300_000)
    (world.root / "b.ppm").write_bytes(header + bytes(pixels))
    first, second = ((world.root / name).read_bytes() for name in ("a.ppm", "b.ppm"))
    assert (len(first), first[: 1 << 20], first[-1024:]) == (
        len(second),
        second[: 1 << 20],
        second[-1024:],
    )
    summary = world.index()
    assert (summary.indexed, summary.items, summary.encoded) == (2, 2, 2)
    assert len({hit.content for hit in world.search("a picture")}) == 2


def test_a_file_on_an_unplugged_volume_is_copied_and_not_moved(indexed: World) -> None:
    """Its place is empty now only because the volume is: its row must stay what it was."""
    other = indexed.folder / "other"
    shutil.copytree(indexed.root, other)
    shutil.move(indexed.root, indexed.folder / "unplugged")
    indexed.root.mkdir()
    summary = indexed.index(other)
    assert (summary.indexed, summary.moved) == (3, 0)
    indexed.root.rmdir()
    shutil.move(indexed.folder / "unplugged", indexed.root)
    summary = indexed.index(indexed.root)
    assert summary.unchanged == 3
    assert_no_work(indexed, summary)


def test_a_time_that_no_database_holds_is_stored_clamped(indexed: World) -> None:
    far = (1 << 63) + 10**9
    path: Path = indexed.root / "a.png"
    os.utime(path, ns=(far, far))
    if path.stat().st_mtime_ns != far:
        pytest.skip("this file system holds no such time")
    assert indexed.index().unchanged == 3
    indexed.forget_work()
    assert_no_work(indexed, indexed.index())
