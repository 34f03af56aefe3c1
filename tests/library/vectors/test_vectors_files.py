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
from pictor.library.vectors import cache as cache_module
from pictor.library.vectors import files
from pictor.library.vectors.cache import CacheInfo, IndexCache, Opened, Stamp, Unusable
from pictor.library.vectors.exact import ExactIndex
from pictor.library.vectors.faiss_index import FaissIndex
from pictor.library.vectors.manifest import (
    MANIFEST,
    check_edges,
    checksum,
    manifest_bytes,
    owned,
    read_manifest,
)

STAMP = Stamp("library-1", 3, "f00d", 3, 7)
INFO = CacheInfo(STAMP, "exact", 2, 1.0, 12, "generation-1")
STEPS = ("make_folder", "write", "sync_file", "sync_folder", "rename", "remove")


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
    new = build(cache).generation
    assert re.fullmatch("generation-[0-9a-f]{16}", new) and new != old
    made = new.replace("generation", "unfinished")
    arrays = ["ids.npy", "vectors.npy"]
    assert taken == [
        ("remove", "unfinished-x"),
        ("make_folder", made),
        *(("write", name) for name in (*arrays, *arrays, "meta.json")),
        *(("sync_file", name) for name in ("ids.npy", "meta.json", "vectors.npy")),
        ("sync_folder", made),
        ("rename", made, new),
        ("sync_folder", "3"),
        ("write", f"unfinished-{MANIFEST}"),
        ("sync_file", f"unfinished-{MANIFEST}"),
        ("rename", f"unfinished-{MANIFEST}", MANIFEST),
        ("sync_folder", "3"),
        ("remove", old),
    ]
    assert {path.name for path in cache.folder.iterdir()} == {
        new, MANIFEST, "build.lock", "notes"
    }  # fmt: skip


def test_files_and_folders_are_brought_to_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(files, "sync", synced.append)
    files.sync_file(tmp_path / "a")
    files.sync_folder(tmp_path)
    assert synced == [tmp_path / "a", tmp_path]


@pytest.mark.slow
def test_up_to_a_size_the_index_is_exact(
    cache: IndexCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert build(cache, 100_000).index_type == "exact"
    asked: list[tuple[Any, ...]] = []

    def build_other(*given: Any) -> ExactIndex:
        asked.append(given[2:])
        return ExactIndex.build(*given[:4])

    monkeypatch.setattr(FaissIndex, "build", build_other)
    queries = np.eye(2, dtype=np.float32)
    build(cache, 100_001, queries=queries)
    for kind in ("flat", "ivf", "exact"):
        build(cache, kind=kind)
    assert [given[:3] for given in asked] == [(100_001, 2, None), (3, 2, "flat"), (3, 2, "ivf")]
    assert asked[0][3] is queries and asked[1][3] is None


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
    data = {"format": 1, "crc32": crc, "content": content}
    assert manifest_bytes(INFO, sums) == json.dumps(data, indent=1, sort_keys=True).encode()
    (tmp_path / MANIFEST).write_text(json.dumps(data))  # in any order
    assert read_manifest(tmp_path) == (INFO, sums)
    for change in ({"format": 2}, {"crc32": crc + 1}, {"crc32": crc + 1, "format": 2}):
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
    check_edges(path, found)
    for name in ("size", "edges_crc32"):
        with pytest.raises(ValueError, match=f"'file' has {name} {found[name]}, not -1"):
            check_edges(path, found | {name: -1})
    check_edges(path, found | {"crc32": -1})


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
    (folder / "ids.npy").unlink()
    (folder / "vectors.npy").write_bytes(b"x")
    first, second = cache.verify()
    assert "ids.npy" in first and "cannot be read: No such file" in first
    assert "vectors.npy" in second and "checksum differs" in second


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


def test_rows_are_numpy_files(tmp_path: Path) -> None:
    ids, vectors = rows(5)
    parts = [(ids[:2], vectors[:2]), (ids[:0], vectors[:0]), (ids[2:], vectors[2:])]
    files.write_rows(tmp_path, parts, 5, 2)
    for name, wanted in (("ids.npy", ids), ("vectors.npy", vectors)):
        np.save(tmp_path / "wanted.npy", wanted)
        assert (tmp_path / name).read_bytes() == (tmp_path / "wanted.npy").read_bytes()
    found = files.read_rows(tmp_path)
    np.testing.assert_array_equal(found[0], ids)
    np.testing.assert_array_equal(found[1], vectors)
    assert not any(one.flags.writeable for one in found)
    files.write_rows(tmp_path, [(ids[::2], np.asfortranarray(vectors[::2]))], 3, 2)
    np.testing.assert_array_equal(files.read_rows(tmp_path)[1], vectors[::2])


@pytest.mark.parametrize(
    ("total", "repeats", "said"),
    [
        (4, 1, "hold 3 rows but 4 were announced"),
        (2, 1, "hold at least 3 rows but 2 were announced"),
        (5, 2, "hold at least 6 rows but 5 were announced"),
        (6, 2, "hold an id twice"),
    ],
)
def test_blocks_that_are_not_as_announced_are_refused(
    tmp_path: Path, total: int, repeats: int, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        files.write_rows(tmp_path, [rows()] * repeats, total, 2)


@pytest.mark.parametrize(
    ("ids", "vectors"),
    [
        (np.arange(3, dtype=np.int32), np.zeros((3, 2), np.float16)),
        (np.arange(3), np.zeros((3, 2), np.float32)),
        (np.arange(3).reshape(3, 1), np.zeros((3, 2), np.float16)),
        (np.arange(3), np.zeros(3, np.float16)),
        (np.arange(3), np.zeros((4, 2), np.float16)),
    ],
)
def test_files_that_hold_no_rows_are_refused(tmp_path: Path, ids: Any, vectors: Any) -> None:
    np.save(tmp_path / "ids.npy", ids)
    np.save(tmp_path / "vectors.npy", vectors)
    with pytest.raises(ValueError, match="does not hold n int64 ids"):
        files.read_rows(tmp_path)


def test_the_kind_of_an_index_is_checked(tmp_path: Path) -> None:
    files.write_meta(tmp_path, {"kind": "exact", "format": 1})
    path = tmp_path / "meta.json"
    assert path.read_bytes() == b'{"format": 1, "kind": "exact"}'
    assert files.read_meta(tmp_path, "exact") == {"format": 1, "kind": "exact"}
    for kind, data in (
        ("ivf", path.read_bytes()),
        ("exact", b'{"format": 2, "kind": "exact"}'),
        ("exact", b'{"kind": "exact"}'),
        ("exact", b'["format"]'),
    ):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=f"holds no '{kind}' index of format 1"):
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
    path = tmp_path / "ids.npy"
    path.write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(ValueError, match="pickle"):
        files.map_array(path)
