"""Where models are stored on this machine: the models folder and the hub's own cache.

What is pulled from the hub goes to the hub's cache (HF_HUB_CACHE, or HF_HOME), where transformers
and huggingface_hub find it too; its lock file goes to the models folder. What comes from a folder,
from ModelScope or out of an archive lies whole in the models folder, beside its lock file:
`<models>/<owner>--<name>@<revision>/`.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pictor.library import config
from pictor.library.encoders.cards import is_hub_id
from pictor.library.encoders.checkpoint import CONFIG
from pictor.library.encoders.models.lockfile import (
    LOCK,
    ModelLock,
    is_needed,
    is_revision,
    read_lock,
)
from pictor.library.errors import ModelError

#: What huggingface_hub adds to the name of an unfinished file, so that each process has its own.
_OTHERS = re.compile(r"\.[0-9a-f]{8}\.incomplete$")


@dataclass(frozen=True)
class Stored:
    """A model at one revision, as far as it is here.

    Attributes:
        folder: that holds its files; need not exist.
        lock: None for what another program put into the hub's cache.
        fault: what is wrong with its lock file, which is then None.
    """

    id: str
    revision: str
    folder: Path
    lock: ModelLock | None
    fault: str = ""


def lock_folder(repo: str, revision: str) -> Path:
    """The folder of a model in the models folder."""
    return config.models_dir() / f"{repo.replace('/', '--')}@{revision}"


def hub_folder(repo: str) -> Path:
    """The folder of a model in the hub's cache, with blobs, refs and snapshots."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE) / f"models--{repo.replace('/', '--')}"


def snapshot(repo: str, revision: str) -> Path:
    """The folder of a model's files in the hub's cache."""
    return hub_folder(repo) / "snapshots" / revision


def locked(repo: str = "") -> list[Stored]:
    """Every model that has a lock file, whole or not, or those of one id; the newest first."""
    name = repo.replace("/", "--") if repo else "*"
    found: list[tuple[int, Stored]] = []
    for path in config.models_dir().glob(f"{name}@*/{LOCK}"):
        model, _, revision = path.parent.name.replace("--", "/").rpartition("@")
        if is_hub_id(model) and is_revision(revision):
            found.append((path.stat().st_mtime_ns, _stored(path, model, revision)))
    found.sort(key=lambda row: (row[0], row[1].revision), reverse=True)
    return [row for _, row in found]


def find_locked(repo: str, revision: str = "") -> Stored | None:
    """The model with a lock file: at a commit, of a branch or tag, or ("") the newest.

    Raises:
        ModelError: its lock file is damaged.
    """
    rows = locked(repo)
    if is_revision(revision):
        rows = [row for row in rows if row.revision == revision]
    elif revision:
        rows = [row for row in rows if row.lock and row.lock.asked == revision]
    if rows and rows[0].fault:
        raise ModelError(f"{rows[0].fault}; pull or import {repo!r} again")
    return rows[0] if rows else None


def cached(repo: str = "") -> list[Stored]:
    """Models in the hub's cache that have no lock file, or those of one id."""
    from huggingface_hub import constants

    root = Path(constants.HF_HUB_CACHE)
    name = repo.replace("/", "--") if repo else "*"
    found = []
    for folder in sorted(root.glob(f"models--{name}")):
        model = folder.name.removeprefix("models--").replace("--", "/")
        if is_hub_id(model):
            found += [Stored(model, r, snapshot(model, r), None) for r in _snapshots(folder)]
    return [row for row in found if not (lock_folder(row.id, row.revision) / LOCK).is_file()]


def unfinished(repo: str) -> list[Path]:
    """What interrupted downloads of a model left in the hub's cache."""
    return sorted((hub_folder(repo) / "blobs").glob("*.incomplete"))


def begun() -> list[str]:
    """Ids of the models whose download by pictor was interrupted; other programs' are not told."""
    from huggingface_hub import constants

    parts = Path(constants.HF_HUB_CACHE).glob("models--*/blobs/*.incomplete")
    ours = {part.parents[1].name for part in parts if not _OTHERS.search(part.name)}
    models = (name.removeprefix("models--").replace("--", "/") for name in ours)
    return sorted(model for model in models if is_hub_id(model))


def _snapshots(folder: Path) -> Iterator[str]:
    """Revisions of a model in the hub's cache that have a file of a checkpoint, main's first."""
    main = ""
    with contextlib.suppress(OSError, ValueError):
        main = (folder / "refs" / "main").read_text(encoding="ascii").strip()
    paths = sorted(folder.glob("snapshots/*"), key=lambda path: (path.name != main, path.name))
    for path in paths:
        if path.is_dir() and any(is_needed(name) for name in os.listdir(path)):
            yield path.name


def _stored(path: Path, repo: str, revision: str) -> Stored:
    """The model whose lock file this is."""
    own = path.parent
    try:
        lock = read_lock(path)
        if (lock.id, lock.revision) != (repo, revision):
            raise ModelError(f"{str(path)!r} is the lock file of {lock.id}@{lock.revision}")
    except (ModelError, OSError) as error:
        return Stored(repo, revision, own, None, fault=str(error))
    is_own = (own / CONFIG).is_file()
    return Stored(repo, revision, own if is_own else snapshot(repo, revision), lock)
