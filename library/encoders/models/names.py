"""Which model a person means who moves models about, rather than uses one."""

from __future__ import annotations

from pathlib import Path

from pictor.library.encoders.cards import find_card, split_revision
from pictor.library.errors import ModelUnsupported
from pictor.library.records import BUILTIN


def model_named(name: str, *, can_be_builtin: bool = True) -> tuple[str, str]:
    """The hub id, or "builtin", and the revision ("" if none) of a name, alias or id@revision.

    Raises:
        ModelNotAvailable: nothing is called so.
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
            "the built-in encoder is a part of pictor: it is always here, and is neither pulled, "
            "carried nor removed"
        )
    return repo, "" if revision == "main" else revision


def licence_of(repo: str) -> str:
    """What the shipped card of a model says; "" if there is none."""
    return find_card(repo).licence
