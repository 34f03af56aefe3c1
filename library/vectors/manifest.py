"""The manifest of an index cache: which generation is in force, of which vectors, with what bytes.

`current.json` is `{"format": 2, "crc32": …, "content": {"info": {…}, "files": {name: {…}}}}`; the
checksum covers the content. It knows nothing of the index itself.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path

from pictor.library.records import JsonObject
from pictor.library.vectors.parts import Extent

MANIFEST = "current.json"
_FORMAT = 2
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
        extent: how far it goes, with what was appended since it was built.
    """

    stamp: Stamp
    index_type: str
    dimension: int
    recall_at_10: float
    size_bytes: int
    generation: str
    extent: Extent


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
        if data["format"] != _FORMAT or data["crc32"] != _crc(content):
            return Unusable(f"{str(path)!r} is damaged: its checksum or format differs")
        info = content["info"]
        made = {"stamp": Stamp(**info["stamp"]), "extent": Extent.from_json(info["extent"])}
        return CacheInfo(**{**info, **made}), content["files"]
    except FileNotFoundError:
        return Unusable(f"there is no cache at {str(path)!r}")
    except DAMAGE as error:
        return Unusable(f"{str(path)!r} is damaged: {error}")


def manifest_bytes(info: CacheInfo, sums: dict[str, JsonObject]) -> bytes:
    """What `read_manifest` reads."""
    content = {"info": asdict(info), "files": sums}
    data = {"format": _FORMAT, "crc32": _crc(content), "content": content}
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


def checksum(path: Path, size: int | None = None, known: JsonObject | None = None) -> JsonObject:
    """Size, CRC-32 of both ends and CRC-32 of all of a file, or of its first `size` bytes.

    Args:
        known: the checksum of an earlier state of a file that only grew: the rest is read.

    Raises:
        OSError: it cannot be read.
    """
    size = path.stat().st_size if size is None else size
    start, total = (known["size"], known["crc32"]) if known else (0, 0)
    with path.open("rb") as file:
        file.seek(start)
        left = size - start
        while left > 0 and (data := file.read(min(left, _READ_BYTES))):
            total = zlib.crc32(data, total)
            left -= len(data)
    return {**_edges(path, size), "crc32": total}


def check_edges(path: Path, expected: JsonObject, *, grows: bool) -> None:
    """Compare the size and both ends of a file with its checksum: cheap, whatever its size.

    Args:
        grows: more may lie behind what the checksum is of.

    Raises:
        OSError: it cannot be read.
        ValueError: it differs.
    """
    size = path.stat().st_size
    if size < expected["size"] or (size > expected["size"] and not grows):
        raise ValueError(f"{path.name!r} has size {size}, not {expected['size']}")
    found = _edges(path, expected["size"])["edges_crc32"]
    if found != expected["edges_crc32"]:
        raise ValueError(f"{path.name!r} has edges_crc32 {found}, not {expected['edges_crc32']}")


def _edges(path: Path, size: int) -> JsonObject:
    """`size`, and CRC-32 of the first and last 4 KiB of the first `size` bytes of a file."""
    with path.open("rb") as file:
        crc = zlib.crc32(file.read(min(size, _EDGE_BYTES)))
        start = max(0, size - _EDGE_BYTES)
        file.seek(start)
        crc = zlib.crc32(file.read(size - start), crc)
    return {"size": size, "edges_crc32": crc}


def _crc(content: object) -> int:
    return zlib.crc32(json.dumps(content, sort_keys=True).encode())
