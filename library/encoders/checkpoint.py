"""One checkpoint as files in a folder: what must be there, whether it is whole, and its identity.

Only safetensors are read; a pickle is never opened. A safetensors file is an 8-byte little-endian
length, a JSON header of that length with (dtype, shape, byte range) of each tensor, then the
tensors' bytes (https://github.com/huggingface/safetensors#format). Nothing here knows a network or
a model library.
"""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from pictor.library.errors import ModelError, ModelNotAvailable, ModelUnsupported
from pictor.library.records import JsonObject

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
#: Everything beside the weights that decides vectors; the names transformers saves, old and new.
SMALL_FILES = (
    CONFIG,
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "spiece.model",
    "tokenizer.model",
)
_PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json", "model.pt", "model.ckpt")
_MAX_HEADER_BYTES = 100_000_000  # the format's own limit


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that can be read now.

    Attributes:
        name: hub id or absolute path, as in `EncoderCard.id`.
        revision: hub commit or content hash.
    """

    name: str
    folder: Path
    revision: str

    def config(self) -> JsonObject:
        """config.json."""
        return read_json(self.folder / CONFIG)

    def tokenizer_config(self) -> JsonObject:
        """tokenizer_config.json, or an empty object."""
        path = self.folder / "tokenizer_config.json"
        return read_json(path) if path.is_file() else {}

    def tensors(self) -> dict[str, JsonObject]:
        """Header entry of each tensor of all shards, as `read_header` gives them."""
        found: dict[str, JsonObject] = {}
        for name in weight_files(self.folder, self.name):
            found.update(read_header(self.folder / name))
        return found

    def scalar(self, name: str) -> float | None:
        """The value of a one-element tensor, None where the checkpoint has none of that name."""
        entry = self.tensors().get(name)
        return None if entry is None else _read_scalar(entry)


def read_json(path: Path) -> JsonObject:
    """A JSON object.

    Raises:
        ModelNotAvailable: there is no such file.
        ModelError: it is no JSON object.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelNotAvailable(
            f"{str(path.parent)!r} has no {path.name}; fetch that file into the folder too"
        ) from error
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ModelError(f"{str(path)!r} is not valid JSON ({error}); fetch it again") from error
    if not isinstance(value, dict):
        raise ModelError(f"{str(path)!r} holds no JSON object; fetch it again")
    return value


def open_folder(path: Path) -> Checkpoint:
    """The checkpoint in a local folder, checked for missing and damaged files.

    Its revision is the hash of all its content. Cost: one read of the weights, once a process.

    Raises:
        ModelNotAvailable: no folder, or a file is missing.
        ModelUnsupported: the weights are pickles.
        ModelError: a file is damaged.
    """
    folder = path.expanduser().absolute()
    if not folder.exists():
        raise ModelNotAvailable(
            f"there is no folder {str(folder)!r}; give the folder of a saved checkpoint or a hub id"
        )
    if not folder.is_dir():
        raise ModelNotAvailable(
            f"{str(folder)!r} is not a folder; give the folder that holds its {CONFIG}"
        )
    read_json(folder / CONFIG)
    check_weights(folder, str(folder))
    return Checkpoint(str(folder), folder, _content_hash(folder))


def weight_files(folder: Path, where: str) -> tuple[str, ...]:
    """Names of the safetensors of a checkpoint, in shard order.

    Raises:
        ModelNotAvailable: there are none.
        ModelUnsupported: there are pickles only.
    """
    if (folder / INDEX).is_file() and not (folder / WEIGHTS).is_file():
        shards = read_json(folder / INDEX).get("weight_map")
        if not isinstance(shards, dict) or not shards:
            raise ModelError(f"{str(folder / INDEX)!r} names no weights; fetch it again")
        return tuple(sorted({Path(str(name)).name for name in shards.values()}))
    if (folder / WEIGHTS).is_file():
        return (WEIGHTS,)
    if any((folder / name).is_file() for name in _PICKLES):
        raise pickle_only(where)
    raise ModelNotAvailable(f"{where!r} has no {WEIGHTS}; fetch that file into the folder too")


def pickle_only(where: str) -> ModelUnsupported:
    """The refusal of a checkpoint whose weights could run code when they are read."""
    return ModelUnsupported(
        f"{where!r} has its weights only as a pickle (pytorch_model.bin), which pictor never opens "
        f"because it can run code; use a copy with {WEIGHTS}, or convert it on a machine you trust"
    )


def check_weights(folder: Path, where: str) -> None:
    """Raise unless every shard is there and as long as its header says."""
    for name in weight_files(folder, where):
        path = folder / name
        if not path.is_file():
            raise ModelNotAvailable(f"{where!r} has no {name}, which its index names; fetch it too")
        read_header(path)


def read_header(path: Path) -> dict[str, JsonObject]:
    """The header of a safetensors file, each entry with "file" and the absolute "start" of its
    bytes.

    Raises:
        ModelError: the file is cut short or is no safetensors file.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        prefix = file.read(8)
        length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else 0
        if not 2 <= length <= min(_MAX_HEADER_BYTES, max(size - 8, 0)):
            raise ModelError(
                f"{str(path)!r} is no whole safetensors file ({size} bytes); fetch it again"
            )
        start = 8 + length
        try:
            header = json.loads(file.read(length))
            header.pop("__metadata__", None)
            ends = [int(entry["data_offsets"][1]) for entry in header.values()]
        except (ValueError, AttributeError, KeyError, TypeError, IndexError) as error:
            raise ModelError(
                f"{str(path)!r} is no safetensors file (its header is damaged); fetch it again"
            ) from error
    expected = start + max(ends, default=0)
    if size != expected:
        raise ModelError(
            f"{str(path)!r} is damaged: its header says {expected} bytes and it has {size}; "
            "fetch it again"
        )
    for entry in header.values():
        entry.update(file=str(path), start=start + entry["data_offsets"][0])
    return dict(header)


def _read_scalar(entry: JsonObject) -> float:
    width = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}[entry["dtype"]]
    with Path(entry["file"]).open("rb") as file:
        file.seek(entry["start"])
        raw = file.read(width)
    if entry["dtype"] == "BF16":  # numpy has none: it is the upper half of a float32
        return float(np.frombuffer(b"\0\0" + raw, "<f4")[0])
    return float(np.frombuffer(raw, f"<f{width}")[0])


def _content_hash(folder: Path) -> str:
    """40 hex digits over the names, sizes and bytes of all files that decide vectors."""
    names = [name for name in SMALL_FILES if (folder / name).is_file()]
    names += weight_files(folder, str(folder))
    total = hashlib.sha256()
    for name in sorted(names):
        path = folder / name
        stat = path.stat()
        total.update(f"{name}\0{stat.st_size}\0".encode())
        total.update(_file_digest(str(path), stat.st_size, stat.st_mtime_ns, stat.st_ino))
    return total.hexdigest()[:40]


@lru_cache(maxsize=256)  # a run opens its checkpoint two or three times; by its stat values
def _file_digest(path: str, size_bytes: int, mtime_ns: int, inode: int) -> bytes:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
