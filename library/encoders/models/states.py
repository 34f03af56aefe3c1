"""Whether a model is whole: a quick look before it is loaded, and every byte when asked."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pictor.library.encoders.builtin_card import BUILTIN, BUILTIN_FOLDER, read_builtin_card
from pictor.library.encoders.checkpoint import CONFIG, check_weights, read_json
from pictor.library.encoders.models.lockfile import LockedFile, digest, needed
from pictor.library.encoders.models.places import Stored, cached, locked, unfinished
from pictor.library.errors import ModelError, ModelNotAvailable
from pictor.library.observer import ByteCount

State = Literal["full", "partial", "damaged", "absent"]
#: Small enough to be read whole at each look; a tokenizer may take half a second.
_SETTINGS = (CONFIG, "preprocessor_config.json", "processor_config.json", "tokenizer_config.json")
_BUILTIN_FILES = ("image.onnx", "text.onnx", "tokenizer.json")  # its revision is over these


@dataclass(frozen=True)
class ModelState:
    """How much of a model is here.

    Attributes:
        state: "full", "partial" (files are missing), "damaged" (a file is wrong) or "absent".
        problems: a sentence for each file that is missing or wrong.
        bytes_on_disk: of its files, those of unfinished downloads included.
        source: "hub", "modelscope", "folder", "package", or "cache" for what another program
            fetched.
    """

    id: str
    state: State
    problems: tuple[str, ...] = ()
    revision: str = ""
    bytes_on_disk: int = 0
    folder: str = ""
    licence: str = ""
    source: str = ""


def look(repo: str, revision: str = "") -> list[ModelState]:
    """Every revision of a model that is here, or one that is "absent" or "partial". Reads headers.

    Args:
        repo: hub id, or "builtin".
        revision: only this one.
    """
    if repo == BUILTIN:
        return [verify_builtin(is_deep=False)]
    rows = stored(repo)
    if revision:
        rows = [row for row in rows if row.revision == revision]
    states = [state_of(row) for row in rows] if rows else []
    states = [state for state in states if state.state != "absent"]
    return states or [_of_download(repo)]


def stored(repo: str = "") -> list[Stored]:
    """What is here of one model, or of all but the built-in one; those with a lock file first."""
    return [*locked(repo), *cached(repo)]


def state_of(row: Stored) -> ModelState:
    """A quick look: names, sizes, headers of weights, JSON."""
    wrong, missing = _by_size(row)
    if not wrong and not missing:
        try:
            check_readable(row.folder, row.id)
        except ModelNotAvailable as error:
            missing.append(str(error))
        except ModelError as error:
            wrong.append(str(error))
    return _state(row, wrong, missing)


def verify(row: Stored, count: ByteCount | None = None) -> ModelState:
    """Every byte against the lock file; for what has none, against its names in the hub's cache.

    Args:
        row: from `stored`.
        count: counts each block that is read.
    """
    quick = state_of(row)
    if quick.state == "absent" or row.fault:
        return quick
    wrong, missing = _by_size(row)
    if not wrong and not missing and quick.problems:
        return quick
    spoilt = {problem.split("'")[1] for problem in (*wrong, *missing)}
    facts = dict(row.lock.files) if row.lock else {}
    for name in facts or file_sizes(row.folder):
        path = row.folder / name
        if name in spoilt or not path.is_file():
            continue
        if row.lock is not None:
            if digest(path, count) != facts[name].sha256:
                wrong.append(f"{name!r} has changed: its checksum is not that of the lock file")
        elif not _is_its_blob(path, count):
            wrong.append(f"{name!r} has changed: its checksum is not its name in the hub's cache")
    return _state(row, wrong, missing)


def check_readable(folder: Path, name: str) -> None:
    """Raise unless a folder holds a checkpoint whose JSON and weights can be read.

    Raises:
        ModelNotAvailable: a file is missing.
        ModelUnsupported: it has pickles only.
        ModelError: a file is damaged.
    """
    if not (folder / CONFIG).is_file():
        raise ModelNotAvailable(f"{name!r} has no {CONFIG}, so it is no transformers checkpoint")
    for settings in _SETTINGS:
        if (folder / settings).is_file():
            read_json(folder / settings)
    check_weights(folder, name)


def facts_of(folder: Path) -> dict[str, LockedFile]:
    """Size and SHA-256 of every file in a folder that pictor reads."""
    sizes = file_sizes(folder)
    return {name: LockedFile(size, digest(folder / name)) for name, size in sizes.items()}


def file_sizes(folder: Path) -> dict[str, int]:
    """Size of every file in a folder that pictor reads."""
    if not folder.is_dir():
        return {}
    return needed({path.name: path.stat().st_size for path in folder.iterdir() if path.is_file()})


def _by_size(row: Stored) -> tuple[list[str], list[str]]:
    """Sentences on files that are wrong and that are missing, by name and size."""
    if row.fault:
        return [row.fault], []
    wrong, missing = [], []
    for name, expected in sorted(_sizes_of(row).items()):
        try:
            size = (row.folder / name).stat().st_size
        except OSError:
            missing.append(f"{name!r} is missing")
            continue
        if size != expected:
            wrong.append(f"{name!r} has {size} bytes, not {expected}")
    return wrong, missing


def _sizes_of(row: Stored) -> dict[str, int]:
    """What the files of a model should be: its lock file says, or what huggingface_hub noted."""
    if row.lock is not None:
        return {name: facts.size_bytes for name, facts in row.lock.files.items()}
    from huggingface_hub import get_cached_repo_tree
    from huggingface_hub.errors import CachedRepoTreeNotFoundError

    try:
        listed = get_cached_repo_tree(row.id, revision=row.revision)
    except CachedRepoTreeNotFoundError:
        return {}
    return needed({file.path: file.size for file in listed})


def _state(row: Stored, wrong: list[str], missing: list[str]) -> ModelState:
    sizes = file_sizes(row.folder)
    state: State = "damaged" if wrong else "partial" if missing else "full"
    if not sizes and not row.fault:
        state = "absent"
    lock = row.lock
    return ModelState(
        id=row.id,
        state=state,
        problems=(*wrong, *missing),
        revision=row.revision,
        bytes_on_disk=sum(sizes.values()),
        folder=str(row.folder),
        licence=lock.licence if lock else "",
        source=lock.source if lock else "cache",
    )


def _of_download(repo: str) -> ModelState:
    """What there is of a model without a snapshot: nothing, or parts of a download."""
    parts = unfinished(repo)
    if not parts:
        return ModelState(repo, "absent")
    size = sum(path.stat().st_size for path in parts)
    problem = f"its download was interrupted ({len(parts)} unfinished files)"
    return ModelState(repo, "partial", (problem,), bytes_on_disk=size, source="hub")


def verify_builtin(*, is_deep: bool = True) -> ModelState:
    """The built-in encoder: are its files there, and (deep) is their SHA-256 its revision?"""
    card = read_builtin_card()
    paths = [BUILTIN_FOLDER / name for name in _BUILTIN_FILES]
    missing = [f"{path.name!r} is missing" for path in paths if not path.is_file()]
    wrong = []
    if is_deep and not missing:
        total = hashlib.sha256()
        for path in paths:
            total.update(path.read_bytes())
        if total.hexdigest()[: len(card.revision)] != card.revision:
            wrong.append("its files are not those of its revision; reinstall pictor")
    return ModelState(
        id=BUILTIN,
        state="damaged" if wrong else "partial" if missing else "full",
        problems=(*wrong, *missing),
        revision=card.revision,
        bytes_on_disk=sum(path.stat().st_size for path in BUILTIN_FOLDER.glob("*")),
        folder=str(BUILTIN_FOLDER),
        licence=card.licence,
        source="package",
    )


def _is_its_blob(path: Path, count: ByteCount | None) -> bool:
    """Whether a file in the hub's cache is what its blob's name says, where that is a checksum."""
    name = path.resolve().name
    if len(name) == 64:
        return digest(path, count) == name
    if len(name) == 40:
        return git_digest(path, count) == name
    return True


def git_digest(path: Path, count: ByteCount | None = None) -> str:
    """The id git gives a file: SHA-1 over "blob", its size, NUL and its bytes."""
    head = b"blob %d\0" % path.stat().st_size
    return digest(path, count, hashlib.sha1(head, usedforsecurity=False))
