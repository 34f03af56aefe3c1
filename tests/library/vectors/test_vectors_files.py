"""The files of a cache, byte by byte: what is written, in which order, and what is refused."""

from __future__ import annotations

import errno
import json
import pickle
import re
import zlib
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pictor.library.errors import LibraryFull
from pictor.library.vectors import base, files, parts
from pictor.library.vectors import cache as cache_module
from pictor.library.vectors.cache import CacheInfo, IndexCache, Opened, Stamp, Unusable
from pictor.library.vectors.exact import ExactIndex
from pictor.library.vectors.faiss_index import FaissIndex
from pictor.library.vectors.growth import Changes
from pictor.library.vectors.manifest import (
    MANIFEST,
    check_edges,
    checksum,
    manifest_bytes,
    owned,
    read_manifest,
)
from pictor.library.vectors.parts import Extent, Part

STAMP = Stamp("library-1", 3, "f00d", 3, 7)
INFO = CacheInfo(STAMP, "exact", 2, 1.0, 12, "generation-1", Extent(3, 3))
STEPS = ("make_folder", "write", "truncate", "sync_file", "sync_folder", "rename", "remove")


def rows(count: int = 3, dimension: int = 2) -> tuple[Any, Any]:
    vectors = np.full((count, dimension), 0.5, np.float16)
    vectors[:, 0] = np.arange(count) % 7
    return np.arange(count, dtype=np.int64), vectors


@pytest.fixture
def cache(tmp_path: Path) -> IndexCache:
    return IndexCache(tmp_path / "vectors" / "3")


def build(cache: IndexCache, count: int = 3, **options: Any) -> CacheInfo:
    stamp = replace(STAMP, count=count)
    return cache.build(iter([rows(count)]), count, 2, stamp, **options)


def append(cache: IndexCache) -> CacheInfo:
    """One row is replaced, one is added."""
    block = (np.array([2, 7]), rows(2)[1])
    stamp = replace(STAMP, count=8, last_change=8)
    made = cache.append(Changes(iter([block]), 2, np.empty(0, np.int64)), stamp)
    assert isinstance(made, CacheInfo)
    return made


def opened(cache: IndexCache) -> Opened | Unusable:
    return cache.open(STAMP.library_id, STAMP.space_id, STAMP.fingerprint)


# --- the steps of a build


def test_each_step_of_a_build_is_on_the_disk_before_the_next(
    cache: IndexCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = build(cache).generation
    (cache.folder / "notes").write_text("mine")
    (cache.folder / "unfinished-x").write_text("left")
    taken: list[tuple[str, ...]] = []

    def wrap(name: str, step: Callable[..., None]) -> Callable[..., None]:
        def run(*given: Any) -> None:
            paths = [str(getattr(one, "name", "")) for one in given]
            taken.append((name, *(Path(path).name for path in paths if path)))
            step(*given)

        return run

    for name in STEPS:
        monkeypatch.setattr(files, name, wrap(name, getattr(files, name)))
    new = build(cache, 7).generation
    assert re.fullmatch("generation-[0-9a-f]{16}", new) and new != old
    made = new.replace("generation", "unfinished")
    arrays = ["ids.i64", "vectors.f16"]
    assert taken == [
        ("remove", "unfinished-x"),
        ("make_folder", made),
        *(("write", name) for name in arrays),  # nothing, so that they are there
        *(("truncate", name) for name in arrays),
        *(("write", name) for name in (*arrays, "meta.json")),
        *(("sync_file", name) for name in ("ids.i64", "meta.json", "vectors.f16")),
        ("sync_folder", made),
        ("rename", made, new),
        ("sync_folder", "3"),
        ("write", f"unfinished-{MANIFEST}"),
        ("sync_file", f"unfinished-{MANIFEST}"),
        ("rename", f"unfinished-{MANIFEST}", MANIFEST),
        ("sync_folder", "3"),
        ("remove", old),
    ]
    kept = {new, MANIFEST, "build.lock", "notes"}
    assert {path.name for path in cache.folder.iterdir()} == kept
    for name in ("part-x.faiss", "dead-x.npy"):
        (cache.folder / new / name).write_text("left")
    taken.clear()
    dead = append(cache).extent.dead
    assert re.fullmatch("dead-[0-9a-f]{16}.npy", dead)
    assert taken == [
        *(("truncate", name) for name in arrays),
        *(("write", name) for name in (*arrays, dead)),
        *(("sync_file", name) for name in (dead, *arrays)),
        ("sync_folder", new),
        ("write", f"unfinished-{MANIFEST}"),
        ("sync_file", f"unfinished-{MANIFEST}"),
        ("rename", f"unfinished-{MANIFEST}", MANIFEST),
        ("sync_folder", "3"),
        ("remove", "dead-x.npy"),
        ("remove", "part-x.faiss"),
    ]
    assert {path.name for path in cache.folder.iterdir()} == kept


def test_files_and_folders_are_brought_to_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(files, "sync", synced.append)
    files.sync_file(tmp_path / "a")
    files.sync_folder(tmp_path)
    assert synced == [tmp_path / "a", tmp_path]


def test_up_to_a_size_the_index_is_exact(
    cache: IndexCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert base.EXACT_MAX == 300_000
    monkeypatch.setattr(cache_module, "EXACT_MAX", 100)
    assert build(cache, 100).index_type == "exact"
    asked: list[tuple[Any, ...]] = []

    def build_other(*given: Any) -> ExactIndex:
        asked.append(given[2:])
        return ExactIndex.build(*given[:4])

    monkeypatch.setattr(FaissIndex, "build", build_other)
    queries = np.eye(2, dtype=np.float32)
    build(cache, 101, queries=queries)
    for kind in ("ivf", "exact"):
        build(cache, kind=kind)
    assert [given[:2] for given in asked] == [(101, 2), (3, 2)]
    assert asked[0][2] is queries and asked[1][2] is None


def test_a_full_disk_is_told_with_the_room_it_takes(
    cache: IndexCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Path) -> None:
        raise OSError(errno.ENOSPC, "no room")

    monkeypatch.setattr(files, "make_folder", full)
    with pytest.raises(LibraryFull, match="needs some 65 MB"):
        cache.build(iter(()), 1_000_000, 16, replace(STAMP, count=1_000_000), kind="exact")


def test_recall_is_measured_on_queries_too(
    cache: IndexCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: list[int] = []

    def measure(_: object, samples: list[object]) -> float:
        counts.append(len(samples))
        return 0.5

    monkeypatch.setattr(cache_module, "measure_recall", measure)
    assert build(cache).recall_at_10 == 0.5
    build(cache, queries=np.eye(2, dtype=np.float32))
    assert counts == [1, 2]


# --- the manifest


def test_a_manifest_is_what_it_was(tmp_path: Path) -> None:
    sums = {"b": {"size": 1, "edges_crc32": 2, "crc32": 3}}
    content = {"info": asdict(INFO), "files": sums}
    crc = zlib.crc32(json.dumps(content, sort_keys=True).encode())
    data = {"format": 2, "crc32": crc, "content": content}
    assert manifest_bytes(INFO, sums) == json.dumps(data, indent=1, sort_keys=True).encode()
    (tmp_path / MANIFEST).write_text(json.dumps(data))  # in any order
    assert read_manifest(tmp_path) == (INFO, sums)
    for change in ({"format": 1}, {"crc32": crc + 1}, {"crc32": crc + 1, "format": 1}):
        (tmp_path / MANIFEST).write_text(json.dumps(data | change))
        assert "checksum or format differs" in getattr(read_manifest(tmp_path), "reason", "")


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 4097, 8192, 10_000])
def test_checksums_are_what_they_were(tmp_path: Path, size: int) -> None:
    path = tmp_path / "file"
    data = bytes(np.random.default_rng(1).integers(0, 256, size, np.uint8))
    path.write_bytes(data)
    edges = zlib.crc32(data[-4096:], zlib.crc32(data[:4096]))
    found = {"size": size, "edges_crc32": edges, "crc32": zlib.crc32(data)}
    assert checksum(path) == found
    for grows in (False, True):
        check_edges(path, found | {"crc32": -1}, grows=grows)
        with pytest.raises(ValueError, match=f"'file' has size {size}, not {size + 1}"):
            check_edges(path, found | {"size": size + 1}, grows=grows)
        with pytest.raises(ValueError, match=f"'file' has edges_crc32 {edges}, not -1"):
            check_edges(path, found | {"edges_crc32": -1}, grows=grows)
    for known in range(0, size + 1, 1000):  # the rest of it is read
        assert checksum(path, known) == checksum_of(data[:known], tmp_path)
        assert checksum(path, size, checksum(path, known)) == found
    path.write_bytes(data + b"x")
    check_edges(path, found, grows=True)
    with pytest.raises(ValueError, match=f"'file' has size {size + 1}, not {size}"):
        check_edges(path, found, grows=False)
    assert checksum(path, size) == found


def checksum_of(data: bytes, folder: Path) -> Any:
    (folder / "other").write_bytes(data)
    return checksum(folder / "other")


@pytest.mark.parametrize(
    ("appended", "died", "has_lists", "drifted"),
    [(20, 0, True, False), (21, 0, True, True), (10, 10, True, False), (10, 11, True, True),
     (99, 20, False, False), (0, 21, False, True), (0, 0, True, False)],
)  # fmt: skip
def test_a_generation_drifts_by_a_fifth(
    appended: int, died: int, has_lists: bool, drifted: bool
) -> None:
    extent = Extent(100 + appended, 100)
    assert parts.has_drifted(extent, died, has_lists=has_lists) is drifted


def test_a_part_takes_in_those_before_it_that_are_no_larger() -> None:
    def due(rows: int, *stops: int) -> Any:
        held = tuple(Part(str(stop), stop) for stop in stops)
        found = parts.next_part(Extent(rows, 1_000_000, held), "new")
        return found and (found[1], found[0].stop, [part.stop for part in found[2]])

    assert parts.TAIL_ROWS == 20_000
    assert due(1_020_000) is None and due(1_020_001) == (1_000_000, 1_020_001, [])
    assert due(1_050_000, 1_030_000) is None
    assert due(1_050_001, 1_030_000) == (1_030_000, 1_050_001, [1_030_000])
    assert due(1_060_000, 1_030_000) == (1_000_000, 1_060_000, [])
    assert due(1_120_000, 1_060_000, 1_090_000) == (1_000_000, 1_120_000, [])
    assert due(1_119_000, 1_060_001, 1_090_000) == (
        1_090_000, 1_119_000, [1_060_001, 1_090_000]
    )  # fmt: skip
    assert due(1_119_000, 1_060_001, 1_089_000) == (1_060_001, 1_119_000, [1_060_001])
    assert Extent(9, 5).indexed == 5 and Extent(9, 5, (Part("a", 7),)).indexed == 7


def test_an_extent_is_what_it_was() -> None:
    extent = Extent(9, 5, (Part("a", 7), Part("b", 8)), "dead-x.npy")
    assert Extent.from_json(json.loads(json.dumps(extent))) == extent


def test_a_cache_is_of_one_space_of_one_library() -> None:
    assert owned(INFO, "library-1", 3, "f00d") is INFO
    for name, given in (
        ("library", ("x", 3, "f00d")),
        ("space", ("library-1", 4, "f00d")),
        ("encoder", ("library-1", 3, "x")),
    ):
        found = owned(INFO, *given)
        assert isinstance(found, Unusable) and f"of {name}" in found.reason


@pytest.mark.parametrize(
    "change",
    [{"index_type": "flat-f16"}, {"dimension": 3}, {"stamp": replace(STAMP, count=4)}],
)
def test_an_index_that_is_not_what_its_manifest_says_is_closed(
    cache: IndexCache, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    build(cache)
    manifest = read_manifest(cache.folder)
    assert not isinstance(manifest, Unusable)
    info = replace(manifest[0], **change)
    (cache.folder / MANIFEST).write_bytes(manifest_bytes(info, manifest[1]))
    monkeypatch.setattr(cache_module, "_open_index", lambda folder, _: ExactIndex.open(folder))
    closed: list[ExactIndex] = []
    monkeypatch.setattr(ExactIndex, "close", lambda index: closed.append(index))
    found = opened(cache)
    assert isinstance(found, Unusable) and "it contains ('exact', 3, 2)" in found.reason
    assert len(closed) == 2  # it is tried once more


def test_verify_names_each_file(cache: IndexCache) -> None:
    folder = cache.folder / build(cache).generation
    assert cache.verify() == []
    (folder / "ids.i64").unlink()
    (folder / "vectors.f16").write_bytes(b"x")
    first, second = cache.verify()
    assert "ids.i64" in first and "cannot be read: No such file" in first
    assert "vectors.f16" in second and "checksum differs" in second


# --- rows and their files


@pytest.mark.parametrize(
    ("ids", "vectors", "said"),
    [
        (np.zeros((1, 1), np.int64), np.zeros((1, 2), np.float16), r"\(n,\) int64, not \(1, 1\)"),
        (np.zeros(1, np.int32), np.zeros((1, 2), np.float16), r"\(n,\) int64, not \(1,\) int32"),
        (np.zeros(1, np.int64), np.zeros((1, 3), np.float16), r"\(1, 2\) float16, not \(1, 3\)"),
        (np.zeros(1, np.int64), np.zeros((2, 2), np.float16), r"\(1, 2\) float16, not \(2, 2\)"),
        (np.zeros(1, np.int64), np.zeros((1, 2), np.float32), r"float16, not .* float32"),
        (np.array([5, -1]), np.zeros((2, 2), np.float16), "negative, but one is -1"),
        (np.array([5, 5]), np.zeros((2, 2), np.float16), "an id occurs twice among"),
        (np.array([5, 8]), np.array([[0, 1], [np.nan, 1]], np.float16), "of id 8 .* not finite"),
        (np.array([5, 8]), np.array([[0, np.inf], [np.nan, 1]], np.float16), "of id 5 "),
        (np.array([0, 8]), np.zeros((2, 2), np.float16), ""),
        (np.zeros(0, np.int64), np.zeros((0, 2), np.float16), ""),
    ],
)
def test_rows_are_checked(ids: Any, vectors: Any, said: str) -> None:
    if not said:
        files.check_rows(ids, vectors, 2)
        return
    with pytest.raises(ValueError, match=said):
        files.check_rows(ids, vectors, 2)


def test_rows_are_files_that_grow_at_their_end(tmp_path: Path) -> None:
    ids, vectors = rows(5)
    parts_ = [(ids[:2], vectors[:2]), (ids[:0], vectors[:0]), (ids[2:], vectors[2:])]
    files.write_rows(tmp_path, parts_, 5, 2)
    assert (tmp_path / "ids.i64").read_bytes() == ids.tobytes()
    assert (tmp_path / "vectors.f16").read_bytes() == vectors.tobytes()
    assert files.count_rows(tmp_path) == 5
    early = files.read_rows(tmp_path, 3, 2)
    assert not any(one.flags.writeable for one in early)
    assert files.append_rows(tmp_path, [(ids[:2] + 7, vectors[::2][:2])], 4, 2) == 6
    assert files.append_rows(tmp_path, [], 6, 2) == 6
    found = files.read_rows(tmp_path, 6, 2)
    assert found[0].tolist() == [0, 1, 2, 3, 7, 8]
    np.testing.assert_array_equal(found[1][4:], vectors[::2][:2])
    np.testing.assert_array_equal(early[1], vectors[:3])
    files.write_rows(tmp_path, [(ids[::2], np.asfortranarray(vectors[::2]))], 3, 2)
    np.testing.assert_array_equal(files.read_rows(tmp_path, 3, 2)[1], vectors[::2])
    assert [one.shape for one in files.read_rows(tmp_path, 0, 2)] == [(0,), (0, 2)]
    for short in (4, 9):
        with pytest.raises(ValueError, match=f"too short for {short} rows"):
            files.read_rows(tmp_path, short, 2)
    (tmp_path / "vectors.f16").write_bytes(vectors[:2].tobytes())
    with pytest.raises(ValueError, match=r"vectors\.f16' is too short for 3 rows"):
        files.read_rows(tmp_path, 3, 2)
    with pytest.raises(ValueError, match=r"vectors\.f16' holds fewer than 3 rows"):
        files.append_rows(tmp_path, [(ids, vectors)], 3, 2)


@pytest.mark.parametrize("number", range(1, 5))
def test_an_append_that_fails_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    ids, vectors = rows(5)
    files.write_rows(tmp_path, [(ids, vectors)], 5, 2)
    before = [(tmp_path / name).read_bytes() for name in files.GROWING]
    real, writes = files.write, iter(range(1, 9))

    def write(*given: Any) -> None:
        real(*given)
        if next(writes) == number:
            raise OSError(errno.ENOSPC, "no room")

    monkeypatch.setattr(files, "write", write)
    with pytest.raises(OSError, match="no room"):
        files.append_rows(tmp_path, [(ids + 5, vectors), (ids + 10, vectors)], 5, 2)
    assert [(tmp_path / name).read_bytes() for name in files.GROWING] == before


@pytest.mark.parametrize(
    ("total", "repeats", "said"),
    [
        (4, 1, "hold 3 rows but 4 were announced"),
        (2, 1, "hold 3 rows but 2 were announced"),
        (6, 2, "hold an id twice"),
    ],
)
def test_blocks_that_are_not_as_announced_are_refused(
    tmp_path: Path, total: int, repeats: int, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        files.write_rows(tmp_path, [rows()] * repeats, total, 2)


def test_the_kind_of_an_index_is_checked(tmp_path: Path) -> None:
    files.write_meta(tmp_path, {"kind": "exact", "dimension": 3})
    path = tmp_path / "meta.json"
    assert path.read_bytes() == b'{"dimension": 3, "format": 2, "kind": "exact"}'
    assert files.read_meta(tmp_path, "exact")["dimension"] == 3
    for kind, data in (
        ("ivf", path.read_bytes()),
        ("exact", b'{"format": 1, "kind": "exact"}'),
        ("exact", b'{"kind": "exact"}'),
        ("exact", b'["format"]'),
    ):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=f"holds no '{kind}' index of format 2"):
            files.read_meta(tmp_path, kind)


def test_what_is_removed_is_no_more_than_meant(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    files.make_folder(kept)
    files.write_file(kept / "file", b"data")
    assert (kept / "file").read_bytes() == b"data"
    with pytest.raises(FileExistsError):
        files.make_folder(kept)
    (tmp_path / "link").symlink_to(kept)
    files.remove(tmp_path / "link")
    assert (kept / "file").exists() and not (tmp_path / "link").is_symlink()
    files.rename(kept / "file", tmp_path / "moved")
    files.remove(tmp_path / "moved")
    files.remove(kept)
    assert list(tmp_path.glob("[klm]*")) == []


def test_a_pickle_is_not_unpickled(tmp_path: Path) -> None:
    path = tmp_path / "dead-x.npy"
    path.write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(ValueError, match="pickle"):
        files.read_array(path)
    files.write_array(path, np.arange(3))
    assert files.read_array(path).tolist() == [0, 1, 2]
