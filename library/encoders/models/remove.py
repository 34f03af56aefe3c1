"""A model off this machine: its files, its lock file, and what unfinished downloads left."""

from __future__ import annotations

import shutil
from pathlib import Path

from pictor.library.encoders.models.places import Stored, hub_folder, lock_folder
from pictor.library.encoders.models.states import stored
from pictor.library.errors import ModelError, ModelNotAvailable


def remove(repo: str, revision: str = "", *, dry_run: bool = False) -> int:
    """Remove a model, at one revision or all of them; the bytes that are freed by it.

    Raises:
        ModelNotAvailable: nothing of it is here.
        ModelError: a file cannot be removed.
    """
    rows = _removable(repo, revision)
    gone = {row.revision for row in rows}
    others = {row.revision for row in stored(repo)} - gone
    paths = [lock_folder(row.id, row.revision) for row in rows]
    paths += _of_snapshots(hub_folder(repo), gone) if others else [hub_folder(repo)]
    freed = sum(_own_bytes(path) for path in paths)
    if dry_run:
        return freed
    try:
        for path in paths:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    except OSError as error:
        raise ModelError(
            f"{error.filename!r} cannot be removed ({error.strerror}); check its permissions"
        ) from error
    return freed


def _removable(repo: str, revision: str) -> list[Stored]:
    rows = [row for row in stored(repo) if revision in ("", row.revision)]
    if not rows and (revision or not hub_folder(repo).is_dir()):
        at = f" at revision {revision!r}" if revision else ""
        raise ModelNotAvailable(
            f"nothing of {repo!r}{at} is on this machine; see: pictor models list"
        )
    return rows


def _of_snapshots(folder: Path, revisions: set[str]) -> list[Path]:
    """Snapshots, what refers to them, and the blobs that no other snapshot uses."""
    snapshots = list(folder.glob("snapshots/*"))
    kept = [path for path in snapshots if path.name not in revisions]
    used = {path.resolve() for one in kept for path in one.rglob("*")}
    refs = [path for path in (folder / "refs").rglob("*") if path.is_file()]
    return [
        *(path for path in snapshots if path.name in revisions),
        *(path for path in refs if path.read_text(encoding="utf-8").strip() in revisions),
        *(path for path in (folder / "blobs").glob("*") if path.resolve() not in used),
    ]


def _own_bytes(path: Path) -> int:
    """Of a file, or of all files below a folder; links not counted."""
    below = path.rglob("*") if path.is_dir() else [path]
    files = [one for one in below if one.is_file() and not one.is_symlink()]
    return sum(one.stat().st_size for one in files)
