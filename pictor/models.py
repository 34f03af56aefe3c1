"""The models of this machine, from which encoders are made.

    from pictor import models

    models.pull("siglip2")
    for model in models.list():
        print(model.id, model.state)

A name is a hub id ("google/siglip2-base-patch16-224"), one with a revision ("owner/model@commit"),
or a short name ("siglip2", "chinese-clip", "clip"). Each verb acts when it is called.
"""

from __future__ import annotations

import builtins
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pictor.library.encoders import hub
from pictor.library.encoders.builtin_card import BUILTIN, read_builtin_card
from pictor.library.encoders.cards import find_card, shipped_cards, split_revision
from pictor.library.encoders.models import bundle, states
from pictor.library.encoders.models import pull as transfer
from pictor.library.encoders.models import remove as removal
from pictor.library.encoders.models.install import install_folder
from pictor.library.encoders.models.modelscope import pull_from_modelscope
from pictor.library.encoders.models.places import Stored, begun, find_locked, locked
from pictor.library.encoders.models.states import ModelState, State
from pictor.library.errors import ModelError, ModelNotAvailable, ModelUnsupported
from pictor.library.names import PathLike, expanded
from pictor.library.observer import SILENT, ByteCount, Observer, Stopped
from pictor.library.records import EncoderCard

__all__ = [
    "Model",
    "ModelState",
    "PulledModel",
    "RemovedModel",
    "State",
    "export",
    "import_",
    "list",
    "pull",
    "remove",
    "verify",
]


@dataclass(frozen=True)
class Model:
    """An encoder known by name, and how much of it is on this machine.

    Attributes:
        names: accepted instead of the id.
        family: such as "clip"; "" if unknown.
        dimension: of its vectors; 0 if unknown.
        image_size: side in pixels.
        languages: ISO 639-1 codes its text tower was trained on.
        has_text: it finds by words, and not by pictures only.
        download_bytes: 0 if unknown.
        bytes_on_disk: of all revisions that are here.
        state: "full", "partial", "damaged" or "absent".
        problems: a sentence for each file that is missing or wrong.
        source: "hub", "modelscope", "folder", "package", "cache" or "".
    """

    id: str
    names: tuple[str, ...]
    family: str
    dimension: int
    image_size: int
    languages: tuple[str, ...]
    has_text: bool
    licence: str
    download_bytes: int
    bytes_on_disk: int
    state: State
    problems: tuple[str, ...]
    revision: str
    source: str
    folder: str


@dataclass(frozen=True)
class PulledModel:
    """A model that was pulled or imported.

    Attributes:
        files: number of files in its lock file.
        size_bytes: of all of them.
    """

    id: str
    revision: str
    folder: Path
    files: int
    size_bytes: int
    licence: str


@dataclass(frozen=True)
class RemovedModel:
    """What was removed, or would be."""

    id: str
    size_bytes: int


def list() -> builtins.list[Model]:
    """The built-in encoder, all models known by name, and other pulled models."""
    shipped = shipped_cards()
    others = {*(row.id for row in locked()), *begun()} - {card.id for card, _ in shipped}
    return [
        _model(read_builtin_card(), ()),
        *(_model(card, names) for card, names in shipped),
        *(_model(_card_of(repo), ()) for repo in sorted(others)),
    ]


def pull(
    name: str,
    *,
    source: Literal["hub", "modelscope"] = "hub",
    folder: PathLike | None = None,
    offline: bool = False,
    observer: Observer | None = None,
) -> PulledModel:
    """Download a model, check it, and write its lock file.

    An interrupted download is resumed. Later files that differ from the lock file are refused.

    Args:
        source: the hub, or the mirror in HF_ENDPOINT; or ModelScope.
        folder: copy it from there instead.
        offline: refuse to use the network.
        observer: receives the size as a notice before the first byte, and the progress.

    Raises:
        ModelNotAvailable: it is not available; the message says what to do.
        ModelUnsupported: its weights exist only as pickles.
        ModelError: a file differs from its lock file or its checksum, the disk is full, or the
            observer stopped the download, which the next pull resumes.
    """
    repo, revision = _named(name)
    licence, watching = find_card(repo).licence, observer or SILENT
    if folder is not None:
        path = _path(folder)
        return _pulled(install_folder(repo, path, revision, licence=licence, observer=watching))
    if offline or hub.is_offline():
        raise ModelNotAvailable(
            f"{repo!r} cannot be pulled, as pictor is offline; leave out --offline and "
            "HF_HUB_OFFLINE, copy it with --from FOLDER, or run: pictor models import FILE"
        )
    if source == "modelscope":
        return _pulled(pull_from_modelscope(repo, revision, licence=licence, observer=watching))
    try:
        return _pulled(transfer.pull(repo, revision, watching))
    except Stopped:
        raise ModelError(
            f"the download of {repo!r} was stopped; the partial download was kept and will be "
            "resumed"
        ) from None


def verify(
    names: Sequence[str] = (), *, observer: Observer | None = None
) -> builtins.list[ModelState]:
    """Compare every byte of some models, or of all on this machine, with their lock files.

    Models in the hub's cache without a lock file are compared with the checksums in their names.

    Raises:
        ModelNotAvailable: there is no model of this name.
    """
    found: builtins.list[ModelState] = []
    for repo, revision in [_named(name, can_be_builtin=True) for name in names] or [
        (BUILTIN, ""),
        ("", ""),
    ]:
        if repo == BUILTIN:
            found.append(states.verify_builtin())
            continue
        rows = [row for row in states.stored(repo) if revision in ("", row.revision)]
        total = sum(sum(states.file_sizes(row.folder).values()) for row in rows)
        count = ByteCount(observer or SILENT, "reading", total)
        found += [states.verify(row, count) for row in rows]
        if repo and not rows:
            found += states.look(repo, revision)
    return found


def export(names: Sequence[str], file: PathLike, *, observer: Observer | None = None) -> int:
    """Write models to one new file, for a machine without a network; returns its size in bytes.

    Raises:
        ModelNotAvailable: a model is not on this machine.
        ModelError: one is incomplete, or the file exists already or cannot be written.
    """
    wanted = [_named(name) for name in names]
    return bundle.export([_in_use(*one) for one in wanted], _path(file), observer or SILENT)


def import_(file: PathLike, *, observer: Observer | None = None) -> builtins.list[PulledModel]:
    """Install the models in a file that `export` wrote: all of them, or none.

    Raises:
        ModelError: the file is not a complete bundle, or differs from a lock file here.
    """
    return [_pulled(one) for one in bundle.import_bundle(_path(file), observer or SILENT)]


def remove(name: str, *, dry_run: bool = False) -> RemovedModel:
    """Remove a model from this machine: its files, its lock file, and unfinished downloads.

    Args:
        dry_run: remove nothing, and return what would be.

    Raises:
        ModelNotAvailable: it is not on this machine.
        ModelError: a file cannot be removed.
    """
    repo, revision = _named(name)
    return RemovedModel(repo, removal.remove(repo, revision, dry_run=dry_run))


def _named(name: str, *, can_be_builtin: bool = False) -> tuple[str, str]:
    """The hub id, or "builtin", and the revision ("" if none) of a name, short or not.

    Raises:
        ModelNotAvailable: there is no model of this name.
        ModelUnsupported: it is a folder, or the built-in encoder where that cannot be.
    """
    bare, revision = split_revision(name)
    repo = find_card(bare).id
    if Path(repo).is_absolute():
        raise ModelUnsupported(
            f"{name!r} is a folder; name the model by its id, such as "
            "'openai/clip-vit-base-patch32' (a folder is used as it is: pictor index --encoder "
            f"{name})"
        )
    if repo == BUILTIN and not can_be_builtin:
        raise ModelUnsupported(
            "the built-in encoder is part of pictor: it is always here, and cannot be pulled, "
            "exported or removed"
        )
    return repo, "" if revision == "main" else revision


def _path(path: PathLike) -> Path:
    return Path(os.fsdecode(expanded(path)))


def _model(card: EncoderCard, names: tuple[str, ...]) -> Model:
    here = states.look(card.id)
    first = here[0]
    return Model(
        id=card.id,
        names=names,
        family=card.family,
        dimension=card.dimension,
        image_size=card.image_size,
        languages=card.languages,
        has_text=card.has_text,
        licence=card.licence or first.licence,
        download_bytes=card.download_bytes,
        bytes_on_disk=sum(one.bytes_on_disk for one in here),
        state=first.state,
        problems=first.problems if first.state != "absent" else (),
        revision=first.revision,
        source=first.source,
        folder=first.folder,
    )


def _card_of(repo: str) -> EncoderCard:
    """The card of a model that none was shipped for, as far as its checkpoint says."""
    from pictor.library.encoders.base import EncoderOptions
    from pictor.library.encoders.towers import resolve_card

    try:
        return resolve_card(repo, EncoderOptions(offline=True))
    except ModelError:
        return EncoderCard(repo, family="")


def _in_use(repo: str, revision: str) -> Stored:
    """The revision of a model that an encoder would be made of."""
    known = find_locked(repo, revision)
    if known is not None:
        return known
    found = hub.fetch(repo, revision, offline=True)
    return Stored(repo, found.revision, found.folder, None)


def _pulled(model: Stored) -> PulledModel:
    lock = model.lock
    return PulledModel(
        id=model.id,
        revision=model.revision,
        folder=model.folder,
        files=len(lock.files) if lock else 0,
        size_bytes=lock.size_bytes if lock else 0,
        licence=lock.licence if lock else "",
    )
