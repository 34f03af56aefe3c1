"""Every change the vector indexes make to a disk, as small steps.

All writes, syncs, renames and removals of this package go through these functions and are called as
`files.step(...)`, so a test can fail or "kill" any one of them. Nothing here is atomic alone;
`library.vectors.cache` puts the steps in an order that is.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from pictor.library.arrays import distinct
from pictor.library.atomic import sync
from pictor.library.records import HalfMatrix, IdArray, JsonObject

IDS_FILE = "ids.i64"  # n little-endian int64, and room to append more
VECTORS_FILE = "vectors.f16"  # n rows of d little-endian float16, row i belongs to id i
GROWING = (IDS_FILE, VECTORS_FILE)  # all other files of a generation are written once
META_FILE = "meta.json"  # what kind of index the folder holds

_FORMAT = 2
_ID, _VALUE = np.dtype("<i8"), np.dtype("<f2")

Blocks = Iterable[tuple[IdArray, HalfMatrix]]


def make_folder(path: Path) -> None:
    """Make one folder that must not exist."""
    path.mkdir()


def write(file: IO[bytes], data: bytes | memoryview) -> None:
    """Append all of `data`."""
    file.write(data)


def truncate(file: IO[bytes], size: int) -> None:
    """Cut a file off behind `size` bytes, and go there."""
    file.truncate(size)
    file.seek(size)


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
    write_file(folder / META_FILE, json.dumps({"format": _FORMAT, **meta}, sort_keys=True).encode())


def read_meta(folder: Path, kind: str) -> JsonObject:
    """The `meta.json` of an index folder.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no JSON object, or of another format or kind of index.
    """
    meta = json.loads((folder / META_FILE).read_bytes())
    if not isinstance(meta, dict) or meta.get("format") != _FORMAT or meta.get("kind") != kind:
        raise ValueError(f"{str(folder)!r} holds no {kind!r} index of format {_FORMAT}")
    return meta


def write_rows(folder: Path, blocks: Blocks, total: int, dimension: int) -> None:
    """Stream blocks into the ids and vectors files of a folder, one block in memory at a time.

    Raises:
        ValueError: a block is unsound, an id occurs twice, or the blocks do not hold `total` rows.
    """
    for name in GROWING:
        write_file(folder / name, b"")
    found = append_rows(folder, blocks, 0, dimension)
    if found != total:
        raise ValueError(f"the blocks hold {found} rows but {total} were announced")


def append_rows(folder: Path, blocks: Blocks, rows: int, dimension: int) -> int:
    """Write blocks behind the first `rows` rows of a folder; how many rows there are then.

    What lies behind them was left by an append that was killed, and is cut off; so is what this one
    wrote if it fails. Who has mapped the first `rows` rows notices nothing.

    Raises:
        ValueError: a block is unsound, an id occurs twice among them, or there are fewer rows.
    """
    widths = (_ID.itemsize, dimension * _VALUE.itemsize)
    with (
        (folder / IDS_FILE).open("r+b") as ids_file,
        (folder / VECTORS_FILE).open("r+b") as vectors,
    ):
        targets = list(zip((ids_file, vectors), widths, strict=True))
        for file, width in targets:
            if file.seek(0, io.SEEK_END) < rows * width:
                raise ValueError(f"{file.name!r} holds fewer than {rows} rows")
        try:
            for file, width in targets:
                truncate(file, rows * width)
            seen = _append_blocks(ids_file, vectors, blocks, dimension)
            for file, _ in targets:
                file.flush()
        except BaseException:
            for file, width in targets:
                with contextlib.suppress(OSError):
                    truncate(file, rows * width)
            raise
    return rows + seen


def read_rows(folder: Path, rows: int, dimension: int) -> tuple[IdArray, HalfMatrix]:
    """The first ids and vectors of a folder, memory-mapped and read-only.

    Raises:
        OSError: a file cannot be read.
        ValueError: a file is short.
    """
    ids: IdArray = _mapped(folder / IDS_FILE, _ID, (rows,))
    return ids, _mapped(folder / VECTORS_FILE, _VALUE, (rows, dimension))


def count_rows(folder: Path) -> int:
    """How many rows the files of a folder that nothing was appended to hold."""
    return (folder / IDS_FILE).stat().st_size // _ID.itemsize


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


def write_array(path: Path, array: NDArray[Any]) -> None:
    """Write an .npy file in one step."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    write_file(path, buffer.getvalue())


def read_array(path: Path) -> NDArray[Any]:
    """What `write_array` wrote."""
    return np.asarray(np.load(path, allow_pickle=False))


class Sink(io.RawIOBase):
    """A raw stream whose every write is one step of this module."""

    def __init__(self, file: IO[bytes]) -> None:
        """`file` stays open when this is closed."""
        self._file = file

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, data: Any) -> int:
        """All of a bytes-like object."""
        write(self._file, data)
        return len(data)


def _append_blocks(
    ids_file: IO[bytes], vectors_file: IO[bytes], blocks: Blocks, dimension: int
) -> int:
    """Check and write blocks; how many rows they hold."""
    seen: list[IdArray] = []
    for ids, vectors in blocks:
        check_rows(ids, vectors, dimension)
        if len(ids):
            write(ids_file, np.ascontiguousarray(ids, _ID).data.cast("B"))
            write(vectors_file, np.ascontiguousarray(vectors, _VALUE).data.cast("B"))
            seen.append(ids)
    every = np.concatenate(seen) if seen else np.empty(0, np.int64)
    if len(distinct(every)) != len(every):
        raise ValueError(f"the blocks for {ids_file.name!r} hold an id twice")
    return len(every)


def _mapped(path: Path, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    wanted = dtype.itemsize * math.prod(shape)
    if path.stat().st_size < wanted:
        raise ValueError(f"{str(path)!r} is too short for {shape[0]} rows")
    if not wanted:
        return np.empty(shape, dtype)
    return np.asarray(np.memmap(path, dtype, "r", shape=shape))
