"""Exported towers on disk: a folder is there whole and for one card, or it counts as absent.

A tower folder is a cache: `manifest.json` names the card's fingerprint and each file's size and
digest. It is written into a sibling folder, flushed, and renamed, so that a kill leaves the old one
or none.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

from pictor.library.atomic import new_folder, sync
from pictor.library.errors import LibraryFull, ModelError
from pictor.library.records import EncoderCard, JsonObject

MANIFEST = "manifest.json"
FORMAT = 1

_WHOLE_BYTES = 8_000_000  # files up to this size are always hashed whole
_BLOCK_BYTES = 65_536
_BLOCKS = 64


def publish(folder: Path, card: EncoderCard, build: Callable[[Path], object]) -> None:
    """Make `folder` hold what `build` writes into the folder it is given, all or nothing.

    Raises:
        LibraryFull: the disk is full.
        ModelError: the folder cannot be written.
    """
    try:
        with new_folder(folder.parent, f".{folder.name}.") as temporary:
            build(temporary)
            _seal(temporary, card)
            _swap(temporary, folder, card)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise LibraryFull(
                f"the disk of {str(folder.parent)!r} is full; free space and run again"
            ) from error
        raise ModelError(f"{str(folder)!r} cannot be written: {error.strerror or error}") from error


def is_intact(folder: Path, card: EncoderCard, *, deep: bool = False) -> bool:
    """Whether `folder` holds a whole tower of this card.

    Args:
        folder: as given to `publish`.
        card: the tower must have been made for a card of the same fingerprint.
        deep: hash every byte; otherwise of a large file 64 blocks spread over it (about 4 MB), so
            that a query need not read a tower twice.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if manifest["format"] != FORMAT or manifest["fingerprint"] != card.fingerprint:
            return False
        return all(_matches(folder / name, f, deep) for name, f in manifest["files"].items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _matches(path: Path, facts: JsonObject, deep: bool) -> bool:
    if path.stat().st_size != facts["size_bytes"]:
        return False
    if deep:
        return _digest(path) == str(facts["sha256"])
    return _sample_digest(path) == str(facts["sample_sha256"])


def _seal(folder: Path, card: EncoderCard) -> None:
    files = {}
    for path in sorted(folder.iterdir()):
        files[path.name] = {
            "size_bytes": path.stat().st_size,
            "sha256": _digest(path),
            "sample_sha256": _sample_digest(path),
        }
    manifest = {"format": FORMAT, "fingerprint": card.fingerprint, "card": card.id, "files": files}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    for path in [*folder.iterdir(), folder]:
        sync(path)
    folder.chmod(0o755)  # mkdtemp makes it private; a library may be shared


def _swap(temporary: Path, folder: Path, card: EncoderCard) -> None:
    """Put a sealed folder in place. Another process may do the same at once: either one is good."""
    old = temporary.with_name(temporary.name + ".old")
    with contextlib.suppress(FileNotFoundError):
        folder.rename(old)
    try:
        temporary.rename(folder)
    except OSError:
        if not is_intact(folder, card):
            raise
    shutil.rmtree(old, ignore_errors=True)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sample_digest(path: Path) -> str:
    size = path.stat().st_size
    if size <= _WHOLE_BYTES:
        return _digest(path)
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in range(_BLOCKS):
            file.seek((size - _BLOCK_BYTES) * block // (_BLOCKS - 1))
            digest.update(file.read(_BLOCK_BYTES))
    return digest.hexdigest()
