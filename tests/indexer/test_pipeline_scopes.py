"""Roots, parts of roots, roots inside roots, and roots of every kind; names of every kind."""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
from pathlib import Path

import pytest
from PIL import Image
from small_world import World

import pictor.indexer.roots
from pictor.library.catalog.contents import captions_of
from pictor.library.errors import SourceError
from pictor.library.names import display


def roots(world: World) -> list[tuple[str, str]]:
    rows = world.sql("SELECT location, kind FROM root ORDER BY id")
    return [(os.path.relpath(os.fsdecode(row[0]), world.folder), row[1]) for row in rows]


def no_path_twice(world: World) -> bool:
    hits = world.search("a picture")
    paths = [path for hit in hits for path in (hit.path, *hit.other_paths)]
    return len(paths) == len(set(paths))


@pytest.fixture
def tree(world: World) -> World:
    for name in ("a.png", "a.png.png", "sub/b.png", "sub/deep/c.png", "sub2/d.png"):
        world.draw(name)
    return world


def test_a_folder_in_a_root_is_a_part_of_it(tree: World) -> None:
    tree.index()
    tree.draw("sub/new.png")
    tree.draw("other.png")
    (tree.root / "sub2" / "d.png").unlink()
    summary = tree.index(tree.root / "sub")
    assert (summary.seen, summary.indexed, summary.missing) == (3, 1, 0)
    assert roots(tree) == [("photos", "folder")]
    assert "other.png" not in tree.files()
    assert "sub2/d.png" in tree.found()


def test_one_file_in_a_root_is_a_part_of_it_and_not_what_begins_like_it(tree: World) -> None:
    tree.index()
    tree.draw("a.png", 5)
    tree.draw("a.png.png", 6)
    tree.draw("a.png2.png", 7)
    summary = tree.index(tree.root / "a.png")
    assert (summary.seen, summary.indexed) == (1, 1)
    assert roots(tree) == [("photos", "folder")]
    assert "a.png2.png" not in tree.files()


def test_a_folder_that_holds_roots_takes_them_over_without_work(tree: World) -> None:
    tree.index(tree.root / "sub", tree.root / "sub2" / "d.png", tree.root / "a.png")
    assert roots(tree) == [
        ("photos/sub", "folder"),
        ("photos/sub2/d.png", "file"),
        ("photos/a.png", "file"),
    ]
    tree.forget_work()
    summary = tree.index()
    assert roots(tree) == [("photos", "folder")]
    assert (summary.seen, summary.unchanged, summary.indexed) == (5, 4, 1)
    assert (tree.decoded, tree.encoded) == (1, 1)
    assert no_path_twice(tree)
    assert tree.verify().ok


def test_parent_and_child_named_together_in_any_order_are_one_scope(tree: World) -> None:
    summary = tree.index(tree.root / "sub", tree.root, tree.root / "sub" / "deep", tree.root)
    assert (summary.seen, summary.indexed) == (5, 5)
    assert roots(tree) == [("photos", "folder")]


def test_a_root_inside_that_cannot_be_reached_is_not_taken_over(tree: World) -> None:
    """Its files would be missing instead of unreachable; it is taken over when it is back."""
    tree.index(tree.root / "sub")
    shutil.move(tree.root / "sub", tree.folder / "away")
    (tree.root / "sub").mkdir()
    summary = tree.index()
    assert (summary.seen, summary.missing) == (3, 0)
    assert tree.files()["b.png"] == ("indexed", None, False)
    (tree.root / "sub").rmdir()
    shutil.move(tree.folder / "away", tree.root / "sub")
    tree.forget_work()
    summary = tree.index_named([])
    assert (summary.seen, summary.unchanged, tree.decoded) == (5, 5, 0)
    assert roots(tree) == [("photos", "folder")]
    assert no_path_twice(tree)


@pytest.mark.parametrize("name", ["#2 trip", "@home", "$money", "日本"])
def test_folders_with_odd_first_letters_are_parts_of_their_root(tree: World, name: str) -> None:
    tree.draw(f"{name}/x.png")
    tree.index()
    tree.index(tree.root / name)
    assert roots(tree) == [("photos", "folder")]
    assert no_path_twice(tree)


def test_a_hidden_folder_that_is_named_is_a_root_of_its_own(tree: World) -> None:
    tree.draw(".hidden/x.png")
    tree.index()
    assert ".hidden/x.png" not in tree.found()
    assert tree.index(tree.root / ".hidden").indexed == 1
    assert tree.index().seen == 5
    assert tree.index_named([]).seen == 6
    assert no_path_twice(tree)


def test_a_link_that_is_named_is_a_root_of_its_own(tree: World) -> None:
    """A scan of the root does not follow it, so as a part of the root it would be empty."""
    elsewhere = tree.folder / "elsewhere"
    elsewhere.mkdir()
    Image.new("RGB", (64, 64), "red").save(elsewhere / "red.png")
    (tree.root / "link").symlink_to(elsewhere)
    tree.index()
    assert tree.index(tree.root / "link").indexed == 1


def test_an_excluded_folder_that_was_a_root_keeps_its_files(tree: World) -> None:
    tree.index(tree.root / "sub")
    tree.set(index__exclude=["sub/"])
    summary = tree.index()
    assert (summary.seen, summary.missing) == (3, 0)
    assert "sub/b.png" in tree.found()


def test_an_archive_in_a_root_that_is_named_is_a_root_of_its_own(tree: World) -> None:
    shutil.make_archive(str(tree.root / "more"), "zip", tree.root / "sub")
    tree.index()
    assert tree.files()["more.zip"][1] == "archive"
    summary = tree.index(tree.root / "more.zip")
    assert (summary.seen, summary.indexed) == (2, 2)
    assert ("photos/more.zip", "archive") in roots(tree)


def test_a_name_that_is_not_there_is_refused_and_registers_nothing(tree: World) -> None:
    tree.index()
    for names in ([tree.root / "none"], [tree.folder / "none"], [tree.root, tree.folder / "x"]):
        with pytest.raises(SourceError, match="does not exist"):
            tree.index(*names)
    assert roots(tree) == [("photos", "folder")]


def test_a_part_that_was_deleted_can_be_named_and_is_then_missing(tree: World) -> None:
    tree.index()
    shutil.rmtree(tree.root / "sub")
    (tree.root / "a.png").unlink()
    summary = tree.index(tree.root / "sub", tree.root / "a.png")
    assert (summary.seen, summary.missing) == (0, 3)
    assert set(tree.found()) == {"a.png.png", "sub2/d.png"}


def test_no_name_means_all_known_roots(tree: World) -> None:
    other = tree.folder / "other"
    other.mkdir()
    shutil.copy(tree.root / "a.png", other / "x.png")
    tree.index(tree.root / "sub", other)
    tree.draw("sub/new.png", 1)
    shutil.copy(tree.root / "sub" / "new.png", other / "y.png")
    summary = tree.index_named([])
    assert (summary.seen, summary.indexed) == (5, 2)


def test_a_file_root_is_followed(world: World) -> None:
    path = world.draw("a.png")
    assert world.index(path).indexed == 1
    assert world.index(path).unchanged == 1
    assert world.search(path)[0].path == os.fsencode(path)
    world.draw("a.png", 99)
    assert world.index_named([]).indexed == 1
    path.unlink()
    with pytest.raises(SourceError, match="unreachable"):
        world.index_named([])
    assert world.search("a picture")[0].state == "unreachable"


def test_more_files_than_sqlite_nests_expressions_are_named_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = world.draw("0.png")
    for i in range(1, 1200):
        os.link(first, world.root / f"{i}.png")
    fsyncs = 0
    names = [world.root / f"{i}.png" for i in range(1200)]
    real = pictor.indexer.roots.volume_id
    volume = real(os.fsencode(first))
    monkeypatch.setattr(pictor.indexer.roots, "volume_id", lambda _: volume)
    summary = world.index(*names)
    assert (summary.seen, summary.indexed, summary.items, fsyncs) == (1200, 1200, 1, 0)


def test_a_list_of_paths(world: World) -> None:
    inside, outside = world.draw("a.png"), world.folder / "b.png"
    shutil.copy(world.draw("tmp.png"), outside)
    (world.root / "tmp.png").unlink()
    listing = world.folder / "list.txt"
    listing.write_text(f"{inside}\nb.png\n{world.folder}/none.png\n")
    summary = world.index(listing)
    assert (summary.seen, summary.indexed, summary.failed) == (3, 2, 1)
    assert {hit.path for hit in world.search("a picture")} == {
        os.fsencode(inside),
        os.fsencode(outside),
    }
    outside.rename(world.folder / "away.png")
    summary = world.index_named([])
    assert (summary.unchanged, summary.missing, summary.failed) == (1, 1, 1)
    assert len(world.search("a picture")) == 1
    (world.folder / "away.png").rename(outside)
    world.forget_work()
    assert (world.index_named([]).unchanged, world.decoded) == (2, 0)


@pytest.mark.parametrize("form", ["zip", "tar", "gztar"])
def test_an_archive(tree: World, form: str) -> None:
    archive = Path(shutil.make_archive(str(tree.folder / "archive"), form, tree.root))
    summary = tree.index(archive)
    assert (summary.seen, summary.indexed) == (5, 5)
    expected = os.fsencode(archive) + b"!/sub/b.png"
    assert expected in {hit.path for hit in tree.search("a picture")}
    tree.forget_work()
    assert tree.index(archive).unchanged == 5
    summary = tree.index(tree.root)  # unpacked as well: copies of what is known
    assert (summary.indexed, summary.items, tree.decoded) == (5, 5, 0)


def test_a_damaged_archive_does_not_stop_the_other_roots(tree: World) -> None:
    archive = Path(shutil.make_archive(str(tree.folder / "archive"), "zip", tree.root))
    tree.index(archive)
    archive.write_bytes(archive.read_bytes()[:300])
    summary = tree.index(archive, tree.root)
    assert (summary.indexed, summary.missing) == (5, 0)
    assert any(str(archive) in notice for notice in summary.notices)


def shard(path: Path, samples: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, data in samples.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def captions(world: World, path: bytes) -> list[str]:
    (content,) = world.sql("SELECT content_id FROM file WHERE path = ?", path)[0]
    with world.open() as library, library.reading() as connection:
        return [caption.text for caption in captions_of(connection, [content])[content]]


@pytest.mark.parametrize("commits_always", [False, True])
def test_a_shard_with_its_captions_also_of_pictures_that_are_known(
    world: World, commits_always: bool
) -> None:
    if commits_always:  # also before a picture that captions wait for is encoded
        world.commit_always()
    one, two = world.draw("1.png").read_bytes(), world.draw("2.png").read_bytes()
    (world.root / "2.png").unlink()
    path = shard(
        world.folder / "s.tar",
        {
            "0001.png": one,
            "0001.txt": b"a cat on a mat",
            "0002.png": two,
            "0002.json": json.dumps({"caption": "two dogs \ud800"}).encode(),
        },
    )
    world.index(world.root)  # the first picture is known when the shard comes
    summary = world.index(path)
    assert (summary.seen, summary.indexed, summary.items) == (2, 2, 2)
    assert captions(world, b"0001.png") == ["a cat on a mat"]
    assert len(captions(world, b"0002.png")) == 1
    world.sql("UPDATE file SET mtime_ns = 1")
    world.index(path)
    assert captions(world, b"0001.png") == ["a cat on a mat"]  # and not twice


# --- names


NAMES = [
    b"\xff\xfe.png",
    b"new\nline.png",
    b"tab\t and \x1b[31m.png",
    b"'quotes\" & %percent% ?#.png",
    b"-dash.png",
    b"~tilde.png",
    "ünï/日本語/😀.png".encode(),
    b"x" * 251 + b".png",
    b" .png",
    b"trailing /space .png",
]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_any_name_is_indexed_found_and_printable(world: World, name: bytes) -> None:
    source = world.draw("source.png")
    path = os.fsencode(world.root) + b"/" + name
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.rename(source, path)
    summary = world.index()
    assert (summary.indexed, summary.failed) == (1, 0)
    (hit,) = world.search(Path(os.fsdecode(path)))
    assert hit.path == path
    assert hit.score > 0.999
    display(hit.path).encode("utf-8")
    assert world.index(path).unchanged == 1
    assert world.index().unchanged == 1


def test_a_failure_under_an_odd_name_is_told(world: World) -> None:
    path = os.fsencode(world.root) + b"/b\xe4d.png"
    with open(path, "wb") as file:
        file.write(world.draw("a.png").read_bytes()[:50])
    assert world.index().failed == 1
    from pictor.library.status import problems

    with world.open() as library:
        (problem,) = problems(library)
    assert problem.path == path
    problem.detail.encode("utf-8")


def test_roots_and_folders_of_any_name(world: World) -> None:
    root = os.fsencode(world.folder) + b"/r\xf6\xf6t"
    os.makedirs(root + b"/sub\xff")
    shutil.copy(world.draw("a.png"), os.fsdecode(root + b"/sub\xff/a.png"))
    assert world.index(root).indexed == 1
    assert world.index(root + b"/sub\xff").unchanged == 1
    os.rename(root, root + b"2")
    summary = world.index_named([os.fsencode(world.root), root])
    assert summary.unreachable == (os.fsdecode(os.fsencode(world.folder)) + "/r\\xf6\\xf6t",)
