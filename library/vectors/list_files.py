"""The files of inverted lists: written through Python, scanned by FAISS through a map.

`trained.faiss` is FAISS's own file of what was trained, without any list. NAME.lists holds for each
list its codes, as the scan wants them (blocks of 32), and the int64 row numbers, both with room for
a whole number of blocks; NAME.npy has the int64 number of rows of each list.
"""

from __future__ import annotations

import importlib
import io
from pathlib import Path
from typing import Any

import numpy as np

from pictor.library.vectors import files

faiss: Any = importlib.import_module("faiss")  # its own type stubs contradict its wrappers

_TRAINED_FILE = "trained.faiss"
_BLOCK = 32  # vectors of a block
_ID_BYTES = 8
_WRITE_BYTES = 1 << 20


def write_trained(index: Any, folder: Path) -> None:
    """Write a trained FAISS index that holds nothing yet.

    A full disk is an OSError here, and not a text from C++.
    """
    with (
        (folder / _TRAINED_FILE).open("wb") as file,
        io.BufferedWriter(files.Sink(file), _WRITE_BYTES) as buffer,
    ):
        faiss.write_index(index, faiss.PyCallbackIOWriter(buffer.write))


def open_trained(folder: Path) -> Any:
    """What `write_trained` wrote.

    Raises:
        RuntimeError: faiss cannot read it.
    """
    return faiss.read_index(str(folder / _TRAINED_FILE))


def write_lists(index: Any, folder: Path, name: str) -> None:
    """Write the lists of a FAISS index."""
    held = faiss.downcast_InvertedLists(index.invlists)
    sizes = np.array([held.list_size(number) for number in range(index.nlist)], np.int64)
    with (
        (folder / f"{name}.lists").open("wb") as file,
        io.BufferedWriter(files.Sink(file), _WRITE_BYTES) as buffer,
    ):
        for number in np.flatnonzero(sizes).tolist():
            room = int(_rooms(sizes[number]))
            ids = np.full(room, -1, np.int64)
            ids[: sizes[number]] = faiss.rev_swig_ptr(held.get_ids(number), int(sizes[number]))
            codes = faiss.rev_swig_ptr(held.get_codes(number), room * index.code_size)
            buffer.write(codes.data)
            buffer.write(ids.data.cast("B"))
    files.write_array(folder / f"{name}.npy", sizes)


def open_lists(folder: Path, name: str) -> Any:
    """The trained index with the lists that `write_lists` wrote, memory-mapped.

    Raises:
        ValueError: a file is short.
        RuntimeError: faiss cannot read its file.
    """
    index, path = open_trained(folder), folder / f"{name}.lists"
    sizes = files.read_array(folder / f"{name}.npy")
    rooms = _rooms(sizes)
    ends = np.cumsum(rooms * (index.code_size + _ID_BYTES))
    if len(sizes) != index.nlist or path.stat().st_size != ends[-1]:
        raise ValueError(f"{str(path)!r} does not hold {index.nlist} lists of {sizes.sum()} rows")
    lists = faiss.OnDiskInvertedLists()
    lists.nlist, lists.code_size, lists.read_only = index.nlist, index.code_size, True
    lists.filename, lists.totsize = str(path), int(ends[-1])
    starts = [0, *ends[:-1].tolist()]
    for size, room, start in zip(sizes.tolist(), rooms.tolist(), starts, strict=True):
        entry = faiss.OnDiskOneList()
        entry.size, entry.capacity, entry.offset = size, room, start
        lists.lists.push_back(entry)
    if lists.totsize:  # nothing cannot be mapped
        lists.do_mmap()
    lists.this.disown()  # the index deletes them
    index.replace_invlists(lists, True)
    index.ntotal = int(sizes.sum())
    return index


def _rooms(sizes: Any) -> Any:
    """Rows for which each list has room."""
    return -(-sizes // _BLOCK) * _BLOCK
