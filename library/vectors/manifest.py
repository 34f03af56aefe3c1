"""The manifest of an index cache: which generation is in force, of which vectors, with what bytes.

`current.json` is `{"format": 1, "crc32": …, "content": {"info": {…}, "files": {name: {…}}}}`; the
checksum covers the content. It knows nothing of the index itself.
"""

from __future__ import annotations

import json
import os
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path

from pictor.library.records import JsonObject

MANIFEST = "current.json"
# What reading a damaged file may raise; RuntimeError is what faiss raises.
DAMAGE = (OSError, ValueError, KeyError, TypeError, RuntimeError, EOFError, ArithmeticError)
_EDGE_BYTES = 4096  # checked at both ends of every file on opening; `verify` reads all of it
_READ_BYTES = 1 << 22


@dataclass(frozen=True)
class Stamp:
    """Which vectors a cache includes, in the catalog's words.

    Attributes:
        library_id: of the library; a cache copied from another one is never served.
        fingerprint: of the encoder that fills the space.
        count: how many vectors it includes.
        last_change: the newest change of the catalog it includes.
    """

    library_id: str
    space_id: int
    fingerprint: str
    count: int
    last_change: int


@dataclass(frozen=True)
class CacheInfo:
    """What one generation is.

    Attributes:
        index_type: "exact", "flat-f16", "ivf1414-sq8"…
        recall_at_10: against exact search, measured when it was built, in [0, 1].
        size_bytes: of its files.
    """

    stamp: Stamp
    index_type: str
    dimension: int
    recall_at_10: float
    size_bytes: int
    generation: str


@dataclass(frozen=True)
class Unusable:
    """There is no cache to serve; `reason` says why, in one clause."""

    reason: str


def read_manifest(folder: Path) -> tuple[CacheInfo, dict[str, JsonObject]] | Unusable:
    """What is in force in a folder, and the checksums of its files by name."""
    path = folder / MANIFEST
    try:
        data = json.loads(path.read_bytes())
        content = data["content"]
        if data["format"] != 1 or data["crc32"] != _crc(content):
            return Unusable(f"{str(path)!r} is damaged: its checksum or format differs")
        info = content["info"]
        return CacheInfo(**{**info, "stamp": Stamp(**info["stamp"])}), content["files"]
    except FileNotFoundError:
        return Unusable(f"there is no cache at {str(path)!r}")
    except DAMAGE as error:
        return Unusable(f"{str(path)!r} is damaged: {error}")


def manifest_bytes(info: CacheInfo, sums: dict[str, JsonObject]) -> bytes:
    """What `read_manifest` reads."""
    content = {"info": asdict(info), "files": sums}
    data = {"format": 1, "crc32": _crc(content), "content": content}
    return json.dumps(data, indent=1, sort_keys=True).encode()


def owned(
    info: CacheInfo, library_id: str, space_id: int, fingerprint: str
) -> CacheInfo | Unusable:
    """`info`, if it is of this space of this library."""
    stamp = info.stamp
    for name, wanted, found in (
        ("library", library_id, stamp.library_id),
        ("space", space_id, stamp.space_id),
        ("encoder", fingerprint, stamp.fingerprint),
    ):
        if wanted != found:
            return Unusable(f"the cache is of {name} {found!r}, not {wanted!r}")
    return info


def checksum(path: Path) -> JsonObject:
    """Size, CRC-32 of both ends and CRC-32 of all of a file."""
    total = 0
    with path.open("rb") as file:
        while data := file.read(_READ_BYTES):
            total = zlib.crc32(data, total)
    return {**_edges(path), "crc32": total}


def check_edges(path: Path, expected: JsonObject) -> None:
    """Compare the size and both ends of a file with its checksum: cheap, whatever its size.

    Raises:
        OSError: it cannot be read.
        ValueError: it differs.
    """
    for name, value in _edges(path).items():
        if value != expected[name]:
            raise ValueError(f"{path.name!r} has {name} {value}, not {expected[name]}")


def _edges(path: Path) -> JsonObject:
    """Size and CRC-32 of the first and last 4 KiB of a file."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        crc = zlib.crc32(file.read(_EDGE_BYTES))
        file.seek(max(0, size - _EDGE_BYTES))
        crc = zlib.crc32(file.read(_EDGE_BYTES), crc)
    return {"size": size, "edges_crc32": crc}


def _crc(content: object) -> int:
    return zlib.crc32(json.dumps(content, sort_keys=True).encode())
