"""A model from the hub to this machine: into the hub's own cache, with a lock file of ours.

The layout is that of huggingface_hub (blobs by checksum, snapshots of links to them, refs), so that
transformers finds what was pulled here, and what it fetched before is not fetched again.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from pictor.library import config
from pictor.library.encoders.models.hub_listing import Listing, list_model, refusal, unreachable
from pictor.library.encoders.models.lockfile import (
    LockedFile,
    ModelLock,
    check_same,
    digest,
    write_lock,
)
from pictor.library.encoders.models.places import Stored, hub_folder, lock_folder, locked, snapshot
from pictor.library.encoders.models.plan import announce
from pictor.library.encoders.models.states import check_readable
from pictor.library.encoders.models.transfer import RemoteFile, download
from pictor.library.errors import ModelError
from pictor.library.observer import ByteCount, Observer, Silent

_LOG = logging.getLogger(__name__)
_SPARE_BYTES = 100_000_000  # left free on a disk that weights go to


class _Logged(Silent):
    """A download that nobody watches is still announced, as a warning, which the command prints."""

    def notice(self, text: str) -> None:
        _LOG.warning("%s", text)


def pull(repo: str, revision: str = "", observer: Observer | None = None) -> Stored:
    """Fetch what is not here yet, check all of it, and lock it.

    Args:
        repo: owner/model.
        revision: commit, branch, tag or "refs/pr/N"; "" is the main branch, or the hub's own
            safetensors conversion where the main branch has pickles only.
        observer: receives the size as a notice before the first byte; without one it is logged as a
            warning.

    Raises:
        ModelNotAvailable: it is not available; the message says what to do.
        ModelUnsupported: it has pickles only.
        ModelError: a file differs from its lock file or its checksum, or the disk is full.
        Stopped: the observer ended it; the next pull goes on from there.
    """
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]  # its transport's

    try:
        listing = list_model(repo, revision)
        with _alone(repo):
            return _pull(listing, observer or _Logged())
    except (HTTPError, OSError) as error:
        raise refusal(repo, revision, error) or unreachable(repo) from error


def _pull(listing: Listing, observer: Observer) -> Stored:
    from huggingface_hub import constants

    rows = locked(listing.id)
    lock = next((row.lock for row in rows if row.revision == listing.revision), None)
    files = [_expected(file, lock, listing) for file in listing.files.values()]
    folder = snapshot(listing.id, listing.revision)
    blobs = hub_folder(listing.id) / "blobs"
    lacking = [file for file in files if not _is_here(file, folder)]
    # weights last: what was cut short lacks them, so that nobody takes it for whole
    lacking.sort(key=lambda file: file.name.endswith(".safetensors"))
    parts = {file.name: blobs / f"{_blob_name(file)}.incomplete" for file in lacking}
    size = sum(max(file.size_bytes, 0) for file in files)
    to_come = sum(max(file.size_bytes, 0) for file in lacking)
    count = announce(
        observer,
        "fetching",
        listing.id,
        listing.revision,
        constants.ENDPOINT,
        files=len(files),
        size_bytes=size,
        here_bytes=size - to_come + sum(_size(part) for part in parts.values()),
        licence=listing.licence,
    )
    count.add(size - to_come)
    _check_room(blobs, to_come - sum(_size(part) for part in parts.values()), listing.id)
    for file in lacking:
        _fetch(file, parts[file.name], folder, count)
    return _seal(listing, folder, lock)


def _expected(file: RemoteFile, lock: ModelLock | None, listing: Listing) -> RemoteFile:
    """The file as its lock file has it.

    Raises:
        ModelError: the hub lists another one under the same commit.
    """
    facts = lock.files.get(file.name) if lock else None
    if lock is None or facts is None:
        return file
    size = facts.size_bytes if file.size_bytes == -1 else file.size_bytes
    listed = LockedFile(size, file.sha256 or facts.sha256)
    check_same(lock, {file.name: listed}, f"revision {listing.revision[:12]} of the hub")
    return replace(file, size_bytes=facts.size_bytes, sha256=facts.sha256)


def _fetch(file: RemoteFile, part: Path, folder: Path, count: ByteCount) -> None:
    """One file into the blobs, and a link to it into the snapshot."""
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # public

    part.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    headers = {str(k): str(v) for k, v in build_hf_headers(library_name="pictor").items()}
    download(file, part, headers, count)
    with part.open("rb") as done:
        os.fsync(done.fileno())
    blob = part.with_name(file.git_id or file.sha256 or digest(part))
    part.replace(blob)
    link = folder / f".{file.name}.{os.getpid()}"
    try:
        link.symlink_to(os.path.relpath(blob, folder))
        link.replace(folder / file.name)
    except OSError:  # a disk without links, as huggingface_hub does there
        link.unlink(missing_ok=True)
        blob.replace(folder / file.name)


def _seal(listing: Listing, folder: Path, lock: ModelLock | None) -> Stored:
    """Check what is there as a whole, then write refs and lock file."""
    try:
        check_readable(folder, listing.id)
    except ModelError as error:
        raise type(error)(f"the hub's files of {listing.id!r} are unusable: {error}") from error
    if listing.ref:
        ref = hub_folder(listing.id) / "refs" / listing.ref
        ref.parent.mkdir(parents=True, exist_ok=True)
        ref.write_text(listing.revision, encoding="ascii")
    if lock is None:
        facts = {
            name: LockedFile(_size(folder / name), file.sha256 or digest(folder / name))
            for name, file in listing.files.items()
        }
        asked = "" if listing.ref == "main" else listing.ref
        lock = ModelLock(listing.id, listing.revision, facts, asked, listing.licence)
    write_lock(lock_folder(listing.id, listing.revision), lock)
    return Stored(listing.id, listing.revision, folder, lock)


def _is_here(file: RemoteFile, folder: Path) -> bool:
    path = folder / file.name
    return path.is_file() and not file.fault(path)


def _blob_name(file: RemoteFile) -> str:
    """What huggingface_hub calls the blob of a file; its own name where the hub tells no sum."""
    return file.git_id or file.sha256 or file.name


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _check_room(folder: Path, needed_bytes: int, repo: str) -> None:
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    if needed_bytes and needed_bytes + _SPARE_BYTES > free:
        raise ModelError(
            f"{repo!r} needs {needed_bytes / 1e6:,.1f} MB more and the disk of {str(there)!r} has "
            f"{free / 1e6:,.1f} MB free; free space, or set HF_HOME to another disk"
        )


@contextmanager
def _alone(repo: str) -> Iterator[None]:
    """Keep two processes from writing one unfinished file."""
    from filelock import FileLock, Timeout

    root = config.models_dir()
    root.mkdir(parents=True, exist_ok=True)
    lock = FileLock(root / f".{repo.replace('/', '--')}.pulling")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ModelError(
            f"another process is fetching {repo!r}; wait for it to end, then run again"
        ) from None
    try:
        yield
    finally:
        lock.release()
