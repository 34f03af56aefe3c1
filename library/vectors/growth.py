"""Appending the changes of a space to the generation that is in force.

Nothing that a reader may have opened is changed: rows are written behind the last one, everything
else into new files. The manifest, which the caller replaces last, says what counts.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pictor.library.records import IdArray, JsonObject
from pictor.library.vectors import files
from pictor.library.vectors.base import EXACT_MAX
from pictor.library.vectors.layers import VectorIndex
from pictor.library.vectors.manifest import CacheInfo, Stamp, Unusable, checksum
from pictor.library.vectors.parts import Extent, has_drifted

Sums = dict[str, JsonObject]
_DEAD, _PART = "dead-", "part-"


@dataclass(frozen=True)
class Changes:
    """What became of a space since a generation's stamp.

    Attributes:
        blocks: the vectors that were added or replaced, each id once.
        total: how many they are.
        removed: ids that were removed, before the blocks were added.
    """

    blocks: files.Blocks
    total: int
    removed: IdArray


def grown(
    folder: Path, index: VectorIndex, info: CacheInfo, sums: Sums, changes: Changes, stamp: Stamp
) -> tuple[CacheInfo, Sums] | Unusable:
    """Write changes into the folder of a generation, down to the disk.

    Args:
        index: the generation, opened; it stays as it is.
        stamp: of the whole afterwards.

    Returns:
        What its manifest is to say, or why it must be built anew, before anything is written.

    Raises:
        OSError: a file cannot be written.
        ValueError: the blocks are unsound, or the numbers do not add up.
    """
    rows = info.extent.rows + changes.total
    extent, died = info.extent._replace(rows=rows), rows - stamp.count
    has_lists = info.index_type != "exact"
    is_due = not has_lists and stamp.count > EXACT_MAX
    if is_due or has_drifted(extent, died, has_lists=has_lists):
        return Unusable("too much has changed since it was built")
    found = files.append_rows(folder, changes.blocks, info.extent.rows, info.dimension)
    ids, _ = files.read_rows(folder, found, info.dimension)
    gone = np.concatenate([changes.removed, ids[info.extent.rows :]])
    dead = index.stored.without(gone).dead_rows
    if (found, len(dead)) != (rows, died):
        raise ValueError(f"{found} rows and {len(dead)} dead ones, but {rows} and {died} announced")
    name = secrets.token_hex(8)
    extent = extent._replace(dead=f"{_DEAD}{name}.npy" if died else "")
    if died:
        files.write_array(folder / extent.dead, dead)
    if has_lists:
        from pictor.library.vectors.faiss_index import FaissIndex  # importing faiss takes a while

        extent = FaissIndex.append(folder, extent, _PART + name)
    new_sums = _sealed(folder, sums, extent)
    size = sum(entry["size"] for entry in new_sums.values())
    return replace(info, stamp=stamp, extent=extent, size_bytes=size), new_sums


def superseded(folder: Path, sums: Mapping[str, JsonObject]) -> list[Path]:
    """The files that appends wrote into a generation's folder and that are no longer in force."""
    written = (path for path in folder.iterdir() if path.name.startswith((_DEAD, _PART)))
    return sorted(path for path in written if path.name not in sums)


def _sealed(folder: Path, sums: Sums, extent: Extent) -> Sums:
    """Bring what was written to the disk; the checksums of every file that counts."""
    parts = {part.name for part in extent.parts}
    new: Sums = {}
    for path in sorted(folder.iterdir()):
        name, known = path.name, sums.get(path.name)
        if name.startswith((_DEAD, _PART)):
            if name != extent.dead and path.stem not in parts:
                continue
        elif known is None:
            continue
        if known is None:
            files.sync_file(path)
            new[name] = checksum(path)
        elif name in files.GROWING:
            files.sync_file(path)
            new[name] = checksum(path, path.stat().st_size, known)
        else:
            new[name] = known
    files.sync_folder(folder)
    return new
