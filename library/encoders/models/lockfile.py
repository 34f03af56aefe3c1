"""The lock file of a model: what it is, and the size and SHA-256 of each of its files.

`pictor-model.json` is one JSON object: "format" (1), "id", "revision" (40 hex digits: the hub's
commit, or a hash of the files), "asked" (the branch or tag that was pulled, "" for the default
one), "licence", "source" ("hub", "modelscope", "folder"), and "files": {name: {"size_bytes",
"sha256"}}. It is written once, when the model comes to this machine, and never changed: what
differs from it later is refused.
Nothing in it is trusted to be harmless, for it may have come in an archive.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pictor.library.atomic import replaced
from pictor.library.encoders.cards import is_hub_id
from pictor.library.encoders.checkpoint import CONFIG, INDEX, SMALL_FILES, WEIGHTS
from pictor.library.errors import ModelError
from pictor.library.observer import ByteCount
from pictor.library.records import JsonObject

LOCK = "pictor-model.json"
FORMAT = 1
MAX_LOCK_BYTES = 1_000_000
_SHARD = re.compile(r"model-\d+-of-\d+\.safetensors", re.ASCII)
_REVISION = re.compile(r"[0-9a-f]{40}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_BLOCK_BYTES = 1 << 20


def is_revision(text: str) -> bool:
    """Whether this is a commit of the hub, or a hash in its form."""
    return _REVISION.fullmatch(text) is not None


def is_needed(name: str) -> bool:
    """Whether pictor reads a file of this name; nothing else is fetched, kept or carried."""
    return name in (*SMALL_FILES, WEIGHTS, INDEX) or _SHARD.fullmatch(name) is not None


def needed(sizes: Mapping[str, int]) -> dict[str, int]:
    """Of the files of a checkpoint with their sizes, those that pictor reads.

    One whole file of weights is preferred to its shards.
    """
    is_whole = WEIGHTS in sizes
    return {
        name: size
        for name, size in sorted(sizes.items())
        if is_needed(name) and not (is_whole and (name == INDEX or _SHARD.fullmatch(name)))
    }


@dataclass(frozen=True)
class LockedFile:
    """What a file must be."""

    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class ModelLock:
    """A model, byte by byte. See the module's docstring."""

    id: str
    revision: str
    files: Mapping[str, LockedFile]
    asked: str = ""
    licence: str = ""
    source: str = "hub"

    @property
    def size_bytes(self) -> int:
        """Of all files together."""
        return sum(facts.size_bytes for facts in self.files.values())

    def to_json(self) -> JsonObject:
        """The object that `from_json` reads."""
        files = {name: asdict(facts) for name, facts in sorted(self.files.items())}
        return {"format": FORMAT, **asdict(self), "files": files}

    @classmethod
    def from_json(cls, data: Any, where: str) -> ModelLock:  # Any: whatever a file held
        """The lock that `to_json` wrote.

        Raises:
            ModelError: it is none; the message says what is wrong, and begins with `where`.
        """
        try:
            return _checked(data)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            reason = str(error) if type(error) is ValueError else repr(error)
            raise ModelError(f"{where} is no lock file of a model ({reason})") from error


def _checked(data: Any) -> ModelLock:  # Any: whatever a file held
    if data["format"] != FORMAT:
        raise ValueError(f"its format is {str(data['format'])[:20]!r}, not {FORMAT}")
    texts = {key: data[key] for key in ("id", "revision", "asked", "licence", "source")}
    for key, text in texts.items():
        if not isinstance(text, str) or len(text) > 500:
            raise ValueError(f"its {key!r} is not a short text")
    if not is_hub_id(texts["id"]) or len(texts["id"]) > 200:
        raise ValueError(f"its id {texts['id'][:80]!r} is not of the form owner/model")
    if not is_revision(texts["revision"]):
        raise ValueError(f"its revision {texts['revision'][:80]!r} is not 40 hexadecimal digits")
    files = {str(name): _facts(name, facts) for name, facts in data["files"].items()}
    if CONFIG not in files:
        raise ValueError(f"it names no {CONFIG}")
    return ModelLock(files=files, **texts)


def _facts(name: str, facts: Any) -> LockedFile:  # Any: whatever a file held
    if not is_needed(name):
        raise ValueError(f"it names the file {name[:80]!r}, which pictor does not read")
    size, digest = facts["size_bytes"], facts["sha256"]
    if type(size) is not int or not 0 <= size < 1 << 50:
        raise ValueError(f"the size of {name!r} is {str(size)[:40]!r}")
    if not isinstance(digest, str) or not _SHA256.fullmatch(digest):
        raise ValueError(f"the sha256 of {name!r} is not 64 hexadecimal digits")
    return LockedFile(size, digest)


def read_lock(path: Path) -> ModelLock:
    """The lock in a file.

    Raises:
        ModelError: it is none.
        FileNotFoundError: there is no such file.
    """
    with path.open("rb") as file:
        raw = file.read(MAX_LOCK_BYTES + 1)
    try:
        data = json.loads(raw) if len(raw) <= MAX_LOCK_BYTES else None
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{str(path)!r} is not valid JSON ({error})") from error
    return ModelLock.from_json(data, repr(str(path)))


def write_lock(folder: Path, lock: ModelLock) -> None:
    """Put a lock into a folder, which is made; a kill leaves the old one or the new one."""
    folder.mkdir(parents=True, exist_ok=True)
    with replaced(folder / LOCK, is_synced=True) as file:
        file.write(json.dumps(lock.to_json(), indent=1, ensure_ascii=False).encode())


def check_same(known: ModelLock, found: Mapping[str, LockedFile], where: str) -> None:
    """Raise unless each file that is both known and found is the same.

    Raises:
        ModelError: one differs; the message names it.
    """
    for name, facts in found.items():
        expected = known.files.get(name)
        if expected is not None and expected != facts:
            raise ModelError(
                f"{name!r} of {known.id!r} from {where} is not the file that was locked: it has "
                f"{facts.size_bytes} bytes and sha256 {facts.sha256[:12]}…, expected "
                f"{expected.size_bytes} and {expected.sha256[:12]}…; nothing was changed; if the "
                f"new one is right, run first: pictor models remove {known.id} --yes"
            )


def digest(path: Path, count: ByteCount | None = None, total: Any = None) -> str:
    """SHA-256 of a file, or what `total` of hashlib makes of it, in hex; `count` counts blocks."""
    total = hashlib.sha256() if total is None else total
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            total.update(block)
            if count is not None:
                count.add(len(block))
    return str(total.hexdigest())
