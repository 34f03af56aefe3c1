"""Models in one file, for a machine without a network.

A bundle is a plain tar archive. Its first member, `pictor-models.json`, is {"format": 1, "models":
[lock file, …]}; then comes every file of every model, in that order and by name, and nothing else.
The reader asks for exactly these members: what has another name, kind or size, or stands elsewhere,
is refused before a byte of it is written. So there is no path to leave by, no link, and no more
data than the archive's own length.
"""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import shutil
import tarfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from pictor.library import config
from pictor.library.atomic import replaced
from pictor.library.encoders.models.install import copy_checked, new_folder, put
from pictor.library.encoders.models.lockfile import (
    FORMAT,
    MAX_LOCK_BYTES,
    LockedFile,
    ModelLock,
    check_same,
    digest,
)
from pictor.library.encoders.models.places import Stored, lock_folder, locked
from pictor.library.encoders.models.plan import announce
from pictor.library.encoders.models.states import check_readable, facts_of, state_of
from pictor.library.errors import ModelError
from pictor.library.observer import SILENT, ByteCount, Observer

HEAD = "pictor-models.json"
_BLOCK = tarfile.BLOCKSIZE
_MOST_MODELS = 100
_SPARE_BYTES = 100_000_000


def export(models: Sequence[Stored], file: Path, observer: Observer = SILENT) -> int:
    """Write whole models into a new file, checked byte by byte; its size.

    Raises:
        ModelError: a model is not whole, or the file is there already or cannot be written.
    """
    if file.exists():
        raise ModelError(f"{str(file)!r} is already there; remove it, or name another file")
    for model in models:
        state = state_of(model)
        if state.state != "full":
            what = "; ".join(state.problems) or "it is not on this machine"
            raise ModelError(
                f"{model.id!r} is not whole ({what}); run: pictor models pull {model.id}"
            )
    locks = [
        model.lock or ModelLock(model.id, model.revision, facts_of(model.folder))
        for model in models
    ]
    try:
        with replaced(file, is_synced=True) as out:
            _write(out, models, locks, observer)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise ModelError(
                f"the disk of {str(file)!r} is full; free space, or name a file elsewhere"
            ) from error
        raise ModelError(f"{str(file)!r} cannot be written ({error.strerror or error})") from error
    return file.stat().st_size


def _write(
    out: BinaryIO, models: Sequence[Stored], locks: Sequence[ModelLock], observer: Observer
) -> None:
    head = json.dumps({"format": FORMAT, "models": [lock.to_json() for lock in locks]}, indent=1)
    _write_member(out, HEAD, io.BytesIO(head.encode()), len(head.encode()))
    for i, (model, lock) in enumerate(zip(models, locks, strict=True)):
        count = _announced(lock, str(model.folder), observer, "writing")
        for name, facts in sorted(lock.files.items()):
            path = model.folder / name
            if digest(path) != facts.sha256:
                raise ModelError(
                    f"{name!r} of {model.id!r} is damaged; run: pictor models pull {model.id}"
                )
            with path.open("rb") as file:
                _write_member(out, _member(i, lock, name), file, facts.size_bytes)
            count.add(facts.size_bytes)
    out.write(b"\0" * (2 * _BLOCK))


def _write_member(out: BinaryIO, name: str, file: BinaryIO, size: int) -> None:
    info = tarfile.TarInfo(name)  # no time, no owner: equal models make equal bundles
    info.size, info.mode = size, 0o644
    out.write(info.tobuf(tarfile.GNU_FORMAT))
    shutil.copyfileobj(file, out, 1 << 20)
    out.write(b"\0" * (-size % _BLOCK))


def _member(i: int, lock: ModelLock, name: str) -> str:
    """Short enough for one header whatever the model is called."""
    return f"{i}-{lock.id.rpartition('/')[2][:40]}/{name}"


def _announced(lock: ModelLock, source: str, observer: Observer, doing: str) -> ByteCount:
    what = (lock.id, lock.revision, source, len(lock.files), lock.size_bytes)
    return announce(observer, doing, *what, licence=lock.licence)


def import_bundle(file: Path, observer: Observer = SILENT) -> list[Stored]:
    """Install every model of a bundle, or none.

    Raises:
        ModelError: the file is no whole bundle, or holds what differs from a lock file here.
    """
    if not file.is_file():
        raise ModelError(f"there is no file {str(file)!r}")
    try:
        with file.open("rb") as archive, ExitStack() as folders:
            locks = _read_head(archive)
            _check_known(locks, file)
            _check_room(locks, file)
            filled = []
            for i, lock in enumerate(locks):
                new = folders.enter_context(new_folder())
                count = _announced(lock, str(file), observer, "importing")
                _read_model(archive, i, lock, new, count)
                filled.append((new, lock))
            _read_end(archive)
            for new, lock in filled:
                put(new, lock)
    except _NoBundle as error:
        raise ModelError(
            f"{str(file)!r} is no whole bundle of models: {error}; nothing was imported"
        ) from error
    except OSError as error:
        raise ModelError(f"{str(file)!r} cannot be read ({error.strerror or error})") from error
    return [Stored(k.id, k.revision, lock_folder(k.id, k.revision), k) for k in locks]


class _NoBundle(ValueError):
    """What is wrong with an archive."""


def _read_head(archive: BinaryIO) -> list[ModelLock]:
    info = _read_header(archive, HEAD)
    if info.size > MAX_LOCK_BYTES:
        raise _NoBundle(f"its {HEAD!r} has {info.size} bytes")
    raw = archive.read(info.size)
    _skip_padding(archive, info.size)
    try:
        data = json.loads(raw)
        models = data["models"]
        if data["format"] != FORMAT or not isinstance(models, list):
            raise _NoBundle(f"its format is not {FORMAT}: it is of a newer release")
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        if isinstance(error, _NoBundle):
            raise
        raise _NoBundle(f"its {HEAD!r} is damaged") from error
    if not 0 < len(models) <= _MOST_MODELS:
        raise _NoBundle(f"it holds {len(models)} models")
    try:
        locks = [ModelLock.from_json(one, f"a model in {HEAD!r}") for one in models]
    except ModelError as error:
        raise _NoBundle(str(error)) from error
    if len({(lock.id, lock.revision) for lock in locks}) < len(locks):
        raise _NoBundle("it holds a model twice")
    return locks


def _check_known(locks: Sequence[ModelLock], file: Path) -> None:
    """Raise where a model is known here with other bytes."""
    for lock in locks:
        for row in locked(lock.id):
            if row.lock is not None and row.revision == lock.revision:
                check_same(row.lock, lock.files, repr(str(file)))


def _check_room(locks: Sequence[ModelLock], file: Path) -> None:
    promised = sum(lock.size_bytes for lock in locks)
    has = file.stat().st_size
    if promised > has:
        raise _NoBundle(f"it declares {promised} bytes of models and has {has} itself")
    root = config.models_dir()
    there = next(path for path in (root, *root.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    if promised + _SPARE_BYTES > free:
        raise ModelError(
            f"the models in {str(file)!r} need {promised / 1e6:,.1f} MB and the disk of "
            f"{str(there)!r} has {free / 1e6:,.1f} MB free; free space, or set PICTOR_MODELS_DIR "
            "to a folder on another disk"
        )


def _read_model(archive: BinaryIO, i: int, lock: ModelLock, new: Path, count: ByteCount) -> None:
    for name, facts in sorted(lock.files.items()):
        info = _read_header(archive, _member(i, lock, name))
        if info.size != facts.size_bytes:
            raise _NoBundle(f"{name!r} has {info.size} bytes there, not {facts.size_bytes}")
        try:
            copy_checked(archive, new / name, LockedFile(info.size, facts.sha256), count)
        except ModelError as error:
            raise _NoBundle(str(error)) from error
        _skip_padding(archive, info.size)
    try:
        check_readable(new, lock.id)
    except ModelError as error:
        what = str(error).replace(str(new), lock.id)
        raise _NoBundle(f"its {lock.id!r} is unusable ({what})") from error


def _read_header(archive: BinaryIO, wanted: str) -> tarfile.TarInfo:
    """The next member's header, which must be that of a plain file of this name."""
    block = archive.read(_BLOCK)
    if len(block) < _BLOCK:
        raise _NoBundle(f"it ends before {wanted!r}")
    try:
        info = tarfile.TarInfo.frombuf(block, "utf-8", "backslashreplace")
    except tarfile.HeaderError as error:
        raise _NoBundle(f"where {wanted!r} should begin is no tar header") from error
    if info.name != wanted:
        raise _NoBundle(f"it has {info.name[:120]!r} where {wanted!r} should be")
    if info.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or info.size < 0:
        raise _NoBundle(f"its {wanted!r} is not a plain file")
    return info


def _read_end(archive: BinaryIO) -> None:
    """Two empty blocks or more, and nothing but zeros after them."""
    tail = archive.read(1 << 20)
    if len(tail) < 2 * _BLOCK or tail.strip(b"\0"):
        raise _NoBundle("it has more data than it declares, or lacks its end")


def _skip_padding(archive: BinaryIO, size: int) -> None:
    with contextlib.suppress(OSError):
        archive.seek(-size % _BLOCK, os.SEEK_CUR)
