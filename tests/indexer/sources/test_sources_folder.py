"""A folder as a root: order, what is left out, links, and trees that fight back."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pictor.indexer.sources import FoundFile, ScanOptions, ScanProblem, read_bytes
from pictor.indexer.sources.folder import FolderSource
from pictor.library.errors import SourceError
from pictor.library.records import Reason

Plant = Callable[[Iterable[bytes]], bytes]
Paths = Callable[..., list[bytes]]

NAMES = st.lists(
    st.sampled_from([b"a", b"b", b".", b"-", b"\xff", b"0", b"/", b"\n", b"A", b"\xc3\xa9"]),
    min_size=1,
    max_size=8,
).map(b"".join)


def is_plain(path: bytes) -> bool:
    return all(part not in (b"", b".", b"..") for part in path.split(b"/"))


@st.composite
def trees(draw: st.DrawFn) -> list[bytes]:
    paths: set[bytes] = set()
    for path in draw(st.lists(NAMES.filter(is_plain), max_size=25)):
        clashes = any(
            one.startswith(path + b"/") or path.startswith(one + b"/") or one == path
            for one in paths
        )
        if not clashes:
            paths.add(path)
    return sorted(paths)


@given(tree=trees(), prefix=NAMES | st.just(b""))
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_scan_is_every_file_in_byte_order_and_a_prefix_scan_its_part(
    tree: list[bytes], prefix: bytes
) -> None:
    root = os.fsencode(tempfile.mkdtemp())
    try:
        for path in tree:
            full = os.path.join(root, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "wb"):
                pass
        source = FolderSource(root, ScanOptions(hidden=True))
        assert [each.path for each in source.scan() if isinstance(each, FoundFile)] == tree
        for start in {prefix, *tree[:3], *(path[: len(path) // 2] for path in tree)}:
            found = [each.path for each in source.scan(start) if isinstance(each, FoundFile)]
            assert found == [path for path in tree if path.startswith(start)]
    finally:
        shutil.rmtree(root)


def test_each_file_comes_with_size_time_and_a_way_to_read_it(plant: Plant) -> None:
    root = plant([b"a/one.jpg"])
    os.utime(root + b"/a/one.jpg", ns=(5, 1_234_567_890_123_456_789))
    (found,) = FolderSource(root, ScanOptions()).scan()
    assert isinstance(found, FoundFile)
    assert (found.size_bytes, found.mtime_ns) == (18, 1_234_567_890_123_456_789)
    assert read_bytes(found.locator, 100, 1) == b"bytes of a/one.jpg"


def test_hidden_and_system_names_are_left_out_unless_asked_for(
    plant: Plant, paths_of: Paths
) -> None:
    hidden = [
        b".git/x.jpg",
        b"a/.DS_Store",
        b"a/._x.jpg",
        b"a/@eaDir/x.jpg",
        b"a/Thumbs.db",
        b"b/System Volume Information/x.jpg",
        b"$RECYCLE.BIN/x.jpg",
        b"lost+found/x.jpg",
        b"__MACOSX/x.jpg",
        b".thumbnails/x.jpg",
        b"#recycle/x.jpg",
        b".Trash-1000/x.jpg",
    ]
    root = plant([*hidden, b"a/x.jpg"])
    assert paths_of(FolderSource(root, ScanOptions())) == [b"a/x.jpg"]
    assert paths_of(FolderSource(root, ScanOptions()), b".git/") == []
    everything = paths_of(FolderSource(root, ScanOptions(hidden=True)))
    assert everything == sorted([*hidden, b"a/x.jpg"])


def test_sidecars_are_passed_over_whatever_is_asked_for(plant: Plant, paths_of: Paths) -> None:
    root = plant([b"a.jpg", b"a.jpg.xmp", b"sub/B.XMP", b"c.xmp/d.jpg"])
    for options in (ScanOptions(), ScanOptions(hidden=True), ScanOptions(include=("*",))):
        assert paths_of(FolderSource(root, options)) == [b"a.jpg", b"c.xmp/d.jpg"]


def test_a_hidden_root_is_scanned(plant: Plant, paths_of: Paths) -> None:
    root = plant([b".photos/x.jpg"])
    assert paths_of(FolderSource(root + b"/.photos", ScanOptions())) == [b"x.jpg"]


def test_globs_choose_files_and_prune_folders(
    plant: Plant, paths_of: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = plant([b"a/x.jpg", b"a/x.png", b"raw/y.jpg", b"b/raw/z.jpg", b"b/w.jpg"])
    listed = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: listed.append(path) or scandir(path))
    options = ScanOptions(include=("*.jpg",), exclude=("raw/",))
    assert paths_of(FolderSource(root, options)) == [b"a/x.jpg", b"b/w.jpg"]
    assert not [path for path in listed if path.endswith(b"raw")]


def test_names_of_any_bytes_work(plant: Plant, paths_of: Paths) -> None:
    names = [b"\xff\xfe.jpg", b"a\nb.jpg", b" .jpg ", b"-rf", b"*", "猫.jpg".encode(), b"n" * 255]
    root = plant(names)
    source = FolderSource(root, ScanOptions())
    assert paths_of(source) == sorted(names)
    for found in source.scan():
        assert isinstance(found, FoundFile)
        assert read_bytes(found.locator, 1000, 1) == b"bytes of " + found.path


def make_deep(root: bytes, name: bytes, depth: int) -> None:
    """A chain of folders with a file at its end, each made from the one above."""
    folder = os.open(root, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=folder)
        deeper = os.open(name, os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = deeper
    file = os.open(b"x.jpg", os.O_WRONLY | os.O_CREAT, dir_fd=folder)
    os.write(file, b"deep")
    os.close(file)
    os.close(folder)


@pytest.fixture
def deep_root(tmp_path: Path) -> Iterator[bytes]:
    root = tmp_path / "deep"
    root.mkdir()
    yield os.fsencode(root)
    subprocess.run(["rm", "-rf", root], check=True)  # shutil.rmtree recurses


@pytest.mark.parametrize(
    ("name", "depth"),
    [
        pytest.param(b"d", 1500, id="deeper than python recurses"),
        pytest.param(b"d" * 200, 40, id="longer than the system takes"),
    ],
)
def test_deep_trees_are_walked_and_read(
    deep_root: bytes, paths_of: Paths, name: bytes, depth: int
) -> None:
    make_deep(deep_root, name, depth)
    (found,) = FolderSource(deep_root, ScanOptions()).scan()
    assert isinstance(found, FoundFile)
    assert found.path == (name + b"/") * depth + b"x.jpg"
    assert read_bytes(found.locator, 100, 1) == b"deep"
    prefix = (name + b"/") * depth
    assert paths_of(FolderSource(deep_root, ScanOptions(follow_symlinks=True)), prefix)


def test_links_are_left_alone_unless_asked_for(
    plant: Plant, paths_of: Paths, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    (outside / "sub").mkdir(parents=True)
    (outside / "sub" / "o.jpg").write_bytes(b"o")
    root = plant([b"a/x.jpg"])
    os.symlink(os.fsencode(outside), root + b"/link")
    os.symlink(root + b"/a/x.jpg", root + b"/y.jpg")
    os.symlink(b"nowhere", root + b"/broken.jpg")
    os.symlink(b"self", root + b"/self")
    assert paths_of(FolderSource(root, ScanOptions())) == [b"a/x.jpg"]
    assert paths_of(FolderSource(root, ScanOptions()), b"link/") == []
    following = FolderSource(root, ScanOptions(follow_symlinks=True))
    assert paths_of(following) == [b"a/x.jpg", b"link/sub/o.jpg", b"y.jpg"]
    assert paths_of(following, b"link/su") == [b"link/sub/o.jpg"]


def test_no_folder_is_entered_twice(plant: Plant, paths_of: Paths, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "sub").mkdir(parents=True)
    (outside / "sub" / "o.jpg").write_bytes(b"o")
    os.symlink(b"..", outside / "sub" / "up")
    root = plant([b"m/x.jpg"])
    os.symlink(b".", root + b"/m/loop")
    os.symlink(b"..", root + b"/m/parent")
    os.symlink(b"m", root + b"/a")  # before m in order: m keeps its own name all the same
    os.symlink(os.fsencode(outside), root + b"/one")
    os.symlink(os.fsencode(outside), root + b"/two")
    source = FolderSource(root, ScanOptions(follow_symlinks=True))
    assert paths_of(source) == [b"m/x.jpg", b"one/sub/o.jpg"]


def test_a_link_to_a_folder_the_walk_leaves_out_is_entered(plant: Plant, paths_of: Paths) -> None:
    root = plant([b".store/x.jpg"])
    os.symlink(b".store", root + b"/shown")
    source = FolderSource(root, ScanOptions(follow_symlinks=True))
    assert paths_of(source) == [b"shown/x.jpg"]


def test_special_files_are_neither_listed_nor_opened(plant: Plant, paths_of: Paths) -> None:
    root = plant([b"x.jpg"])
    os.mkfifo(root + b"/pipe.jpg")
    with socket.socket(socket.AF_UNIX) as server:
        folder = os.open(root, os.O_RDONLY)
        server.bind(f"/proc/self/fd/{folder}/socket.jpg")
        os.close(folder)
        assert paths_of(FolderSource(root, ScanOptions())) == [b"x.jpg"]


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes, int], None]:
    """Makes os.scandir fail for folders of one name."""

    def fail(name: bytes, number: int) -> None:
        scandir = os.scandir

        def instead(path: Any) -> Any:
            if os.fsencode(path).endswith(b"/" + name):
                raise OSError(number, os.strerror(number), path)
            return scandir(path)

        monkeypatch.setattr(os, "scandir", instead)

    return fail


def test_an_unreadable_folder_is_a_problem_and_the_walk_goes_on(
    plant: Plant, failing: Callable[[bytes, int], None]
) -> None:
    root = plant([b"a/x.jpg", b"b/shut/y.jpg", b"b/z.jpg", b"c.jpg"])
    failing(b"shut", errno.EACCES)
    found = list(FolderSource(root, ScanOptions()).scan())
    assert [each.path for each in found if isinstance(each, FoundFile)] == [
        b"a/x.jpg",
        b"b/z.jpg",
        b"c.jpg",
    ]
    (problem,) = [each for each in found if isinstance(each, ScanProblem)]
    assert problem.prefix == b"b/shut/"
    assert problem.detail.endswith("/b/shut': permission denied")
    assert found.index(problem) == 1


def test_a_folder_that_vanishes_is_no_problem(
    plant: Plant, failing: Callable[[bytes, int], None], paths_of: Paths
) -> None:
    root = plant([b"a/x.jpg", b"b/y.jpg"])
    failing(b"a", errno.ENOENT)
    assert paths_of(FolderSource(root, ScanOptions())) == [b"b/y.jpg"]


def test_an_unreadable_or_missing_root_is_an_error(
    plant: Plant, failing: Callable[[bytes, int], None]
) -> None:
    root = plant([b"a/x.jpg"])
    with pytest.raises(SourceError, match=r"cannot list .*no such file"):
        list(FolderSource(root + b"/no", ScanOptions()).scan())
    with pytest.raises(SourceError, match="was a folder and is none"):
        list(FolderSource(root + b"/a/x.jpg", ScanOptions()).scan())
    failing(b"root", errno.EIO)
    with pytest.raises(SourceError, match=r"cannot list .*input/output error"):
        list(FolderSource(root, ScanOptions()).scan())


class Entry:
    """A directory entry whose stat fails."""

    def __init__(self, entry: os.DirEntry[bytes], number: int) -> None:
        self._entry, self._number = entry, number
        self.name, self.path = entry.name, entry.path

    def __getattr__(self, name: str) -> Any:
        return getattr(self._entry, name)

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        raise OSError(self._number, os.strerror(self._number))


@pytest.mark.parametrize("number", [errno.EACCES, errno.ESTALE, errno.ENOENT])
def test_a_file_that_cannot_be_looked_at(
    plant: Plant, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    root = plant([b"a/x.jpg", b"a/y.jpg", b"b.jpg"])

    def broken(path: bytes) -> Iterator[Any]:
        with os.scandir(path) as entries:
            for entry in entries:
                yield Entry(entry, number) if entry.path.endswith(b"/a/" + entry.name) else entry

    monkeypatch.setattr("pictor.indexer.sources.folder._scan_folder", broken)
    found = list(FolderSource(root, ScanOptions()).scan())
    files = [(each.path, each.size_bytes) for each in found if isinstance(each, FoundFile)]
    problems = [each.prefix for each in found if isinstance(each, ScanProblem)]
    if number == errno.EACCES:  # listed, so that reading it gives the reason
        assert files == [(b"a/x.jpg", -1), (b"a/y.jpg", -1), (b"b.jpg", 14)]
        assert not problems
    else:
        assert files == [(b"b.jpg", 14)]
        assert problems == ([b"a/"] if number == errno.ESTALE else [])


def test_a_folder_listed_in_part_gives_its_part_and_a_problem(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = plant([b"a/x.jpg", b"b.jpg"])

    def broken(path: bytes) -> Iterator[os.DirEntry[bytes]]:
        with os.scandir(path) as entries:
            yield from entries
        if path.endswith(b"/a"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("pictor.indexer.sources.folder._scan_folder", broken)
    found = list(FolderSource(root, ScanOptions()).scan())
    assert isinstance(found[0], ScanProblem)
    assert [each.path for each in found[1:] if isinstance(each, FoundFile)] == [
        b"a/x.jpg",
        b"b.jpg",
    ]


def test_a_raw_beside_its_jpeg_is_a_sidecar(plant: Plant) -> None:
    root = plant([b"a/IMG_1.CR3", b"a/img_1.jpg", b"a/IMG_2.NEF", b"b/IMG_2.jpg", b"a/IMG_3.jpg"])
    found = {each.path: each for each in FolderSource(root, ScanOptions()).scan() if each}
    skipped = {path: each.skip_detail for path, each in found.items() if each.skip}
    assert list(skipped) == [b"a/IMG_1.CR3"]
    assert found[b"a/IMG_1.CR3"].skip is Reason.SIDECAR
    assert "'img_1.jpg'" in skipped[b"a/IMG_1.CR3"]
    (alone,) = FolderSource(root, ScanOptions()).scan(b"a/IMG_1.C")
    assert isinstance(alone, FoundFile) and alone.skip is Reason.SIDECAR
    options = ScanOptions(pair_raw=False)
    assert not [each for each in FolderSource(root, options).scan() if each.skip]
    options = ScanOptions(exclude=("*.jpg",))
    assert not [each for each in FolderSource(root, options).scan() if each.skip]


def test_a_library_inside_the_folder_is_no_part_of_the_collection(
    plant: Plant, paths_of: Paths
) -> None:
    library = [b"catalog.sqlite", b"catalog.sqlite-wal", b"write.lock", b"cache/space-1/x.npy"]
    root = plant([b"a.jpg", b"cache/mine.jpg", b"lib/b.jpg", *(b"lib/" + name for name in library)])
    assert paths_of(FolderSource(root, ScanOptions())) == [
        b"a.jpg",
        b"cache/mine.jpg",
        b"lib/b.jpg",
    ]
