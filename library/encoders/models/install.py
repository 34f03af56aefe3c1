"""A model from a folder into the models folder: copied, checked, and there whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from pictor.library import atomic, config
from pictor.library.encoders.checkpoint import open_folder
from pictor.library.encoders.models.lockfile import (
    LOCK,
    LockedFile,
    ModelLock,
    check_same,
    is_revision,
    read_lock,
    write_lock,
)
from pictor.library.encoders.models.places import Stored, lock_folder, locked
from pictor.library.encoders.models.plan import announce
from pictor.library.encoders.models.states import check_readable, facts_of, file_sizes
from pictor.library.errors import ModelError
from pictor.library.observer import SILENT, ByteCount, Observer

_BLOCK_BYTES = 1 << 20


def install_folder(
    repo: str,
    folder: Path,
    revision: str = "",
    *,
    source: str = "folder",
    licence: str = "",
    observer: Observer = SILENT,
) -> Stored:
    """Copy the checkpoint in a folder into the models folder, under the id of a model.

    Args:
        repo: owner/model.
        folder: of a saved checkpoint, a snapshot of the hub's cache, or a download of its client.
        revision: the commit it is of; "" is what the folder itself says, else a hash of its
            content.
        source: for the lock file.
        licence: for the lock file, where the folder has none of its own.
        observer: receives the size as a notice before the first byte.

    Raises:
        ModelNotAvailable: a file is missing.
        ModelUnsupported: the weights are pickles.
        ModelError: a file is damaged, or is not what the lock file of this model says.
    """
    checkpoint = open_folder(folder)
    check_readable(checkpoint.folder, str(folder))
    said = _said(checkpoint.folder, repo)
    revision = revision or (said.revision if said else "") or _commit_of(checkpoint.folder)
    revision = revision or checkpoint.revision
    if not is_revision(revision):
        raise ModelError(
            f"{revision!r} cannot be the revision of a folder: give the 40 hexadecimal digits of "
            "its commit, or none"
        )
    sizes = file_sizes(checkpoint.folder)
    locks = [lock for lock in (said, _known(repo, revision)) if lock and lock.revision == revision]
    licence = next((lock.licence for lock in locks if lock.licence), licence)
    what = (repo, revision, str(folder), len(sizes), sum(sizes.values()))
    count = announce(observer, "copying", *what, licence=licence)
    facts = facts_of(checkpoint.folder)
    for lock in locks:
        check_same(lock, facts, repr(str(folder)))
    lock = ModelLock(repo, revision, facts, licence=licence, source=source)
    with new_folder() as new:
        for name, one in facts.items():
            with (checkpoint.folder / name).open("rb") as file:
                copy_checked(file, new / name, one, count)
        put(new, lock)
    return Stored(repo, revision, lock_folder(repo, revision), lock)


def copy_checked(file: BinaryIO, target: Path, facts: LockedFile, count: ByteCount) -> None:
    """Write a file's bytes to a new file, and raise unless they are the promised ones.

    Args:
        file: is read from where it stands.
        target: must not exist.
        facts: how many bytes are read, and their checksum.
        count: counts each block.

    Raises:
        ModelError: they end early, or are others.
    """
    total = hashlib.sha256()
    left = facts.size_bytes
    with target.open("xb") as out:
        while left:
            block = file.read(min(left, _BLOCK_BYTES))
            if not block:
                raise ModelError(f"{target.name!r} ends {left} bytes early")
            out.write(block)
            total.update(block)
            left -= len(block)
            count.add(len(block))
        out.flush()
        os.fsync(out.fileno())
    if total.hexdigest() != facts.sha256:
        raise ModelError(f"{target.name!r} does not have the checksum in its lock file")


@contextmanager
def new_folder() -> Iterator[Path]:
    """A folder beside the models, to be filled and then `put`; gone afterwards in any case.

    Raises:
        ModelError: the models folder cannot be written, or its disk is full.
    """
    root = config.models_dir()
    try:
        with atomic.new_folder(root, ".new-") as new:
            yield new
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise ModelError(
                f"the disk of {str(root)!r} is full and nothing was changed; free space, or set "
                "PICTOR_MODELS_DIR to a folder on another disk"
            ) from error
        where = error.filename or str(root)
        raise ModelError(
            f"{os.fsdecode(where)!r} cannot be read or written ({error.strerror or error})"
        ) from error


def put(new: Path, lock: ModelLock) -> None:
    """Make a filled folder the model's own, in place of what was there.

    Raises:
        ModelError: its files are no checkpoint that can be read.
    """
    check_readable(new, lock.id)
    write_lock(new, lock)
    new.chmod(0o755)  # mkdtemp makes it private; models may be shared
    target = lock_folder(lock.id, lock.revision)
    old = new.with_name(f"{new.name}.old")
    with contextlib.suppress(FileNotFoundError):
        target.rename(old)
    new.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def _said(folder: Path, repo: str) -> ModelLock | None:
    """The lock file in a folder, if there is one of this model."""
    if not (folder / LOCK).is_file():
        return None
    lock = read_lock(folder / LOCK)
    return lock if lock.id == repo else None


def _known(repo: str, revision: str) -> ModelLock | None:
    return next((row.lock for row in locked(repo) if row.revision == revision), None)


def _commit_of(folder: Path) -> str:
    """The hub's commit that a folder is of, where huggingface_hub left word of it."""
    resolved = folder.resolve()
    if resolved.parent.name == "snapshots" and is_revision(resolved.name):
        return resolved.name
    note = folder / ".cache" / "huggingface" / "download" / "config.json.metadata"
    with contextlib.suppress(OSError, UnicodeDecodeError):
        first = note.read_text(encoding="ascii").split("\n", 1)[0].strip()
        if is_revision(first):
            return first
    return ""
