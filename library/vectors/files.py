"""Every change the vector indexes make to a disk, as small steps.

All writes, syncs, renames and removals of this package go through these functions and are called as
`files.step(...)`, so a test can fail or "kill" any one of them. Nothing here is atomic alone;
`library.vectors.cache` puts the steps in an order that is.
"""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from pictor.library.arrays import distinct
from pictor.library.atomic import sync
from pictor.library.records import HalfMatrix, IdArray, JsonObject

IDS_FILE = "ids.npy"  # (n,) int64
VECTORS_FILE = "vectors.npy"  # (n, d) float16, C order, row i belongs to id i
META_FILE = "meta.json"  # what kind of index the folder holds

Blocks = Iterable[tuple[IdArray, HalfMatrix]]


def make_folder(path: Path) -> None:
    """Make one folder that must not exist."""
    path.mkdir()


def write(file: IO[bytes], data: bytes | memoryview) -> None:
    """Append all of `data`."""
    file.write(data)


def sync_file(path: Path) -> None:
    """Wait until the content of a file is on the disk."""
    sync(path)


def sync_folder(path: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    sync(path)


def rename(source: Path, target: Path) -> None:
    """Give `source` the name `target`, replacing a file of that name in one step."""
    source.replace(target)


def remove(path: Path) -> None:
    """Remove a file or a whole folder."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def write_file(path: Path, data: bytes) -> None:
    """Write a small file in one step."""
    with path.open("wb") as file:
        write(file, data)


def write_meta(folder: Path, meta: JsonObject) -> None:
    """Write the `meta.json` of an index folder."""
    write_file(folder / META_FILE, json.dumps(meta, sort_keys=True).encode())


def read_meta(folder: Path, kind: str) -> JsonObject:
    """The `meta.json` of an index folder.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no JSON object, or of another format or kind of index.
    """
    meta = json.loads((folder / META_FILE).read_bytes())
    if not isinstance(meta, dict) or meta.get("format") != 1 or meta.get("kind") != kind:
        raise ValueError(f"{str(folder)!r} holds no {kind!r} index of format 1")
    return meta


def write_rows(folder: Path, blocks: Blocks, total: int, dimension: int) -> None:
    """Stream blocks into the ids and vectors files of a folder, one block in memory at a time.

    Raises:
        ValueError: a block is unsound, an id occurs twice, or the blocks do not hold `total` rows.
    """
    with (
        _array_file(folder / IDS_FILE, (total,), np.dtype("<i8")) as id_file,
        _array_file(folder / VECTORS_FILE, (total, dimension), np.dtype("<f2")) as vector_file,
    ):
        for ids, vectors in blocks:
            check_rows(ids, vectors, dimension)
            id_file.append(ids)
            vector_file.append(vectors)
    ids, _ = read_rows(folder)
    if len(distinct(ids)) != total:
        raise ValueError(f"the blocks for {str(folder)!r} hold an id twice")


def read_rows(folder: Path) -> tuple[IdArray, HalfMatrix]:
    """The ids and vectors of a folder, memory-mapped and read-only.

    Raises:
        OSError: a file cannot be read.
        ValueError: a file is short, or is not what `write_rows` writes.
    """
    ids: IdArray = map_array(folder / IDS_FILE)
    vectors: HalfMatrix = map_array(folder / VECTORS_FILE)
    sound = ids.dtype == np.int64 and vectors.dtype == np.float16
    if not sound or ids.ndim != 1 or vectors.ndim != 2 or len(ids) != len(vectors):
        raise ValueError(f"{str(folder)!r} does not hold n int64 ids and n float16 vectors")
    return ids, vectors


def map_array(path: Path) -> NDArray[Any]:
    """An .npy file, memory-mapped and read-only."""
    return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))


def check_rows(ids: IdArray, vectors: HalfMatrix, dimension: int) -> None:
    """Refuse rows that no index may hold.

    Raises:
        ValueError: shapes or dtypes disagree, an id is negative or occurs twice, or a value is
            not finite.
    """
    if ids.ndim != 1 or ids.dtype != np.int64:
        raise ValueError(f"ids must be (n,) int64, not {ids.shape} {ids.dtype}")
    if vectors.shape != (len(ids), dimension) or vectors.dtype != np.float16:
        wanted = (len(ids), dimension)
        raise ValueError(f"vectors must be {wanted} float16, not {vectors.shape} {vectors.dtype}")
    if len(ids) and ids.min() < 0:
        raise ValueError(f"ids must not be negative, but one is {ids.min()}")
    if len(distinct(ids)) != len(ids):
        raise ValueError("an id occurs twice among those to add")
    if not np.isfinite(vectors).all():
        row = int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
        raise ValueError(f"the vector of id {ids[row]} holds a value that is not finite")


class _ArrayFile:
    """The rows of an .npy file of known shape, appended block by block."""

    def __init__(self, file: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._file, self._shape, self._dtype = file, shape, dtype
        self._rows = 0
        header = io.BytesIO()
        facts = {"descr": dtype.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(header, facts)
        write(file, header.getvalue())

    def append(self, block: NDArray[Any]) -> None:
        self._rows += len(block)
        if self._rows > self._shape[0]:
            raise self._wrong_total("at least ")
        data = np.ascontiguousarray(block, dtype=self._dtype)
        if data.size:
            write(self._file, data.data.cast("B"))

    def finish(self) -> None:
        if self._rows != self._shape[0]:
            raise self._wrong_total("")

    def _wrong_total(self, qualifier: str) -> ValueError:
        return ValueError(
            f"the blocks hold {qualifier}{self._rows} rows but {self._shape[0]} were announced"
        )


@contextlib.contextmanager
def _array_file(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Iterator[_ArrayFile]:
    with path.open("wb") as file:
        rows = _ArrayFile(file, shape, dtype)
        yield rows
        rows.finish()
