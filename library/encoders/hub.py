"""Checkpoints by their hub id: what is on this machine first, then the hub or a mirror.

The hub's own conventions hold: HF_HOME (cache), HF_ENDPOINT (a mirror), HF_TOKEN, HF_HUB_OFFLINE.
A model with a lock file (it was pulled or imported) is used at its locked revision, with no
question to the hub. huggingface_hub is imported in the functions: a search must not load it.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from pictor.library.encoders.checkpoint import INDEX, WEIGHTS, Checkpoint
from pictor.library.encoders.models.hub_listing import Unreachable, ways_out
from pictor.library.encoders.models.lockfile import is_revision
from pictor.library.encoders.models.places import Stored, find_locked, hub_folder, unfinished
from pictor.library.encoders.models.pull import pull
from pictor.library.encoders.models.states import state_of
from pictor.library.errors import ModelError, ModelNotAvailable
from pictor.library.observer import Observer


def fetch(
    repo: str, revision: str, *, offline: bool, observer: Observer | None = None
) -> Checkpoint:
    """The checkpoint of a hub id, from this machine or downloaded.

    Args:
        repo: owner/model.
        revision: commit, branch, tag or "refs/pr/N"; "" is the revision with the newest lock file,
            else the main branch.
        offline: take it from this machine or fail, with no network call.
        observer: receives a notice before a download's first byte, and its progress.

    Raises:
        ModelNotAvailable: it is not available; the message says what to do.
        ModelUnsupported: it has pickles only.
        ModelError: a file is damaged.
    """
    revision = "" if revision == "main" else revision
    known = find_locked(repo, revision)
    if known is not None and (found := _whole(known)):
        return found
    if offline or is_offline():
        return _checked(repo, _from_cache(repo, revision))
    revision = known.revision if known else revision
    if is_revision(revision):  # never changes: a cached copy needs no question to the hub
        with contextlib.suppress(ModelNotAvailable):
            return _checked(repo, _from_cache(repo, revision))
    try:
        stored = pull(repo, revision, observer)
    except Unreachable:
        with contextlib.suppress(ModelNotAvailable):
            return _checked(repo, _from_cache(repo, revision))
        raise
    return Checkpoint(repo, stored.folder, stored.revision)


def is_offline() -> bool:
    """Whether HF_HUB_OFFLINE forbids the network."""
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


def _whole(known: Stored) -> Checkpoint | None:
    """The checkpoint with a lock file; None if files of it are missing.

    Raises:
        ModelError: a file is damaged; it is named.
    """
    found = state_of(known)
    if found.state == "damaged":
        what = "; ".join(found.problems)
        raise ModelError(
            f"the model {known.id!r} in {found.folder!r} is damaged: {what}; "
            f"{_again(known)} or import it again"
        )
    return Checkpoint(known.id, known.folder, known.revision) if found.state == "full" else None


def _again(known: Stored) -> str:
    source = known.lock.source if known.lock else "hub"
    where = {"modelscope": " --source modelscope", "folder": " --from FOLDER"}.get(source, "")
    return f"run: pictor models pull {known.id}{where},"


def _checked(repo: str, folder: Path) -> Checkpoint:
    found = state_of(Stored(repo, folder.name, folder, None))
    if found.state == "full":
        return Checkpoint(repo, folder, folder.name)
    what = "; ".join(found.problems)
    if found.state == "damaged":
        raise ModelError(f"the model {repo!r} in {str(folder)!r} is damaged: {what}")
    raise ModelNotAvailable(f"only a part of {repo!r} is on this machine: {what}; {ways_out(repo)}")


def _from_cache(repo: str, revision: str) -> Path:
    """The folder of a checkpoint that huggingface_hub keeps, whoever fetched it.

    Raises:
        ModelNotAvailable: there is none with weights.
    """
    folder = hub_folder(repo)
    for candidate in [revision] if revision else ["main", *_cached_pull_requests(folder)]:
        commit = candidate
        if not is_revision(candidate):
            with contextlib.suppress(OSError, UnicodeDecodeError):
                commit = (folder / "refs" / candidate).read_text(encoding="ascii").strip()
        found = folder / "snapshots" / commit
        if is_revision(commit) and any((found / name).is_file() for name in (WEIGHTS, INDEX)):
            return found
    at = f" at revision {revision!r}" if revision else ""
    what = "not on this machine"
    if unfinished(repo) or any(folder.glob("snapshots/*/*")):
        what = "only partly on this machine (its download was interrupted)"
    raise ModelNotAvailable(f"{repo!r}{at} is {what} and pictor is offline; {ways_out(repo)}")


def _cached_pull_requests(folder: Path) -> list[str]:
    """Pull-request revisions in the cache: conversions that were fetched from one."""
    refs = folder / "refs"
    return sorted(path.relative_to(refs).as_posix() for path in refs.glob("refs/pr/*"))
