"""`pictor models`: the encoders there are, what of them is here, and whether it is whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pictor.cli import output
from pictor.cli.model_transfer import export_models, import_models, pull_models
from pictor.cli.options import Target, Verbs
from pictor.cli.progress import TransferReporter
from pictor.library.errors import LibraryNotFound, ModelError, PictorError
from pictor.library.observer import ByteCount
from pictor.library.records import JsonObject

if TYPE_CHECKING:
    from pictor.library.encoders.models.states import ModelState
    from pictor.library.records import EncoderCard


@click.group(cls=Verbs)
def models() -> None:
    """Encoders: models that make vectors."""


models.add_command(pull_models)
models.add_command(export_models)
models.add_command(import_models)


# --- list


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def models_list(as_json: bool) -> None:
    """List the encoders pictor knows by name, and which are on this machine.

    Others of the same families work too, by hub id or folder.

    \b
        pictor models list
        pictor index --encoder siglip2
    """
    facts = [model_json(card, names) for card, names in _cards()]
    if as_json:
        for one in facts:
            output.write_json(one)
        return
    headings = ["encoder", "or", "dimension", "languages", "licence", "download", "here", "state"]
    output.write_rows(headings, [_model_row(one) for one in facts])
    for one in facts:
        for problem in one["problems"]:
            output.say(f"{one['id']}: {problem}")


def _cards() -> list[tuple[EncoderCard, tuple[str, ...]]]:
    """The built-in encoder, those with a card, and what else was pulled or imported."""
    from pictor.library.encoders.builtin_card import read_builtin_card
    from pictor.library.encoders.cards import card_folder, read_card
    from pictor.library.encoders.models.places import begun, locked

    shipped = [read_card(path) for path in card_folder().glob("*.toml")]
    known = {card.id for card, _ in shipped}
    others = sorted({*(row.id for row in locked()), *begun()} - known)
    return [
        (read_builtin_card(), ()),
        *sorted(shipped, key=lambda pair: pair[0].id),
        *((_other_card(repo), ()) for repo in others),
    ]


def _other_card(repo: str) -> EncoderCard:
    """The card of a model that none was shipped for, as far as its checkpoint tells."""
    from pictor.library.encoders.base import EncoderOptions
    from pictor.library.encoders.towers import resolve_card
    from pictor.library.records import EncoderCard

    try:
        return resolve_card(repo, EncoderOptions(offline=True))
    except ModelError:
        return EncoderCard(repo, family="")


def model_json(card: EncoderCard, names: tuple[str, ...]) -> JsonObject:
    """A card as the JSON object that `models list --json` prints."""
    from pictor.library.encoders.models.states import look

    here = look(card.id)
    return {
        "id": card.id,
        "names": list(names),
        "family": card.family,
        "dimension": card.dimension,
        "image_size": card.image_size,
        "languages": list(card.languages),
        "has_text": card.has_text,
        "licence": card.licence or here[0].licence,
        "download_bytes": card.download_bytes,
        "bytes_on_disk": sum(one.bytes_on_disk for one in here),
        "state": here[0].state,
        "problems": list(here[0].problems) if here[0].state != "absent" else [],
        "revision": here[0].revision,
        "source": here[0].source,
        "folder": here[0].folder,
    }


#: Languages named one by one in the table; of more, their number.
_MOST_LANGUAGES = 4


def _model_row(one: JsonObject) -> list[str | int]:
    languages: list[Any] = one["languages"]
    named = (
        " ".join(languages) if len(languages) <= _MOST_LANGUAGES else f"{len(languages)} languages"
    )
    return [
        one["id"],
        _short_name(one),
        one["dimension"] or "",
        named if one["has_text"] or not one["family"] else "images only",
        one["licence"].partition(":")[0].partition(" (")[0],  # the terms; JSON has all of it
        output.size(one["download_bytes"]),
        output.size(one["bytes_on_disk"]),
        one["state"],
    ]


def _short_name(one: JsonObject) -> str:
    """What may be typed instead, if it is less than the part of the id that may be typed anyway."""
    shortest: str = min(one["names"], key=len, default="")
    return "" if shortest == one["id"].rpartition("/")[2].lower() else shortest


# --- verify


@models.command("verify")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_context
def models_verify(ctx: click.Context, names: tuple[str, ...], as_json: bool) -> None:
    """Read every byte of the models on this machine, and compare it with their lock files.

    Those of the hub's cache without a lock file are compared with the checksums they are named by.
    Exit status 1 if one is not whole.

    \b
        pictor models verify
        pictor models verify siglip2
    """
    states = _verified(names)
    for state in states:
        if as_json:
            output.write_json(_state_json(state))
    if not as_json:
        output.write_rows(
            ["encoder", "revision", "state", "problems"],
            [[s.id, s.revision[:12], s.state, "; ".join(s.problems)] for s in states],
        )
    if any(state.state != "full" for state in states):
        ctx.exit(1)


def _verified(names: tuple[str, ...]) -> list[ModelState]:
    from pictor.library.encoders.models import states
    from pictor.library.encoders.models.names import model_named
    from pictor.library.records import BUILTIN

    wanted = [model_named(name) for name in names] or [(BUILTIN, ""), ("", "")]
    found: list[ModelState] = []
    with TransferReporter() as reporter:
        for repo, revision in wanted:
            if repo == BUILTIN:
                found.append(states.verify_builtin())
                continue
            rows = [row for row in states.stored(repo) if revision in ("", row.revision)]
            total = sum(sum(states.file_sizes(row.folder).values()) for row in rows)
            count = ByteCount(reporter, "reading", total)
            found += [states.verify(row, count) for row in rows]
            if repo and not rows:
                found += states.look(repo, revision)
    return found


def _state_json(state: ModelState) -> JsonObject:
    return {
        "id": state.id,
        "revision": state.revision,
        "state": state.state,
        "problems": list(state.problems),
        "source": state.source,
        "folder": state.folder,
        "bytes_on_disk": state.bytes_on_disk,
    }


# --- remove


@models.command("remove")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do it; without this, only say what would be removed.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def models_remove(target: Target, name: str, yes: bool, as_json: bool) -> None:
    """Remove a model from this machine: its files, its lock file, and unfinished downloads.

    What a library needs is named. Vectors stay where they are: a library can be searched by words
    without the model, but neither filled nor asked by a new picture.

    \b
        pictor models remove openai/clip-vit-base-patch32
        pictor models remove openai/clip-vit-base-patch32 --yes
    """
    from pictor.library.encoders.models.names import model_named
    from pictor.library.encoders.models.remove import remove

    repo, revision = model_named(name, can_be_builtin=False)
    needed = _needed_by(target, repo)
    freed = remove(repo, revision, dry_run=not yes)
    if as_json:
        facts = {"done": yes, "id": repo, "bytes": freed, "needed_by": needed}
        output.write_json(facts)
        return
    if needed:
        output.say(
            f"{needed} has a space of {repo}: new pictures are not encoded for it until the model "
            "is back"
        )
    if yes:
        output.write_line(f"removed {repo}, {output.size(freed) or '0 B'} freed")
    else:
        output.write_line(
            f"would remove {repo}, {output.size(freed) or '0 B'}; nothing was done: add --yes"
        )


def _needed_by(target: Target, repo: str) -> str:
    """The library at hand, if it has a space of this encoder; or that it cannot be told."""
    try:
        with target.open() as library:
            has_space = repo in [space.encoder for space in library.status().spaces]
    except LibraryNotFound:
        return ""
    except PictorError as error:
        output.say(f"whether {target.folder} needs it cannot be told: {error}")
        return ""
    return f"the library {str(target.folder)!r}" if has_space else ""
