"""`pictor models`: the encoders there are, what of them is here, and whether it is whole."""

from __future__ import annotations

from dataclasses import asdict

import click

from pictor.cli import output
from pictor.cli.model_transfer import export_models, import_models, pull_models
from pictor.cli.options import Target, Verbs
from pictor.cli.progress import TransferReporter
from pictor.library.errors import LibraryNotFound, PictorError
from pictor.models import Model
from pictor.models import list as known_models
from pictor.models import remove as remove_model
from pictor.models import verify as verify_models


@click.group(cls=Verbs)
def models() -> None:
    """Download, check and move encoders."""


models.add_command(pull_models)
models.add_command(export_models)
models.add_command(import_models)


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
def models_list(as_json: bool) -> None:
    """List the known encoders and which are installed.

    Other models of the same families work too, by hub id or folder.

    \b
        pictor models list
        pictor index --encoder siglip2
    """
    found = known_models()
    if as_json:
        for one in found:
            output.write_json(asdict(one))
        return
    headings = ["encoder", "or", "dimension", "languages", "licence", "download", "here", "state"]
    output.write_rows(headings, [_model_row(one) for one in found])
    for one in found:
        for problem in one.problems:
            output.say(f"{one.id}: {problem}")


#: Languages named one by one in the table; of more, their number.
_MOST_LANGUAGES = 4


def _model_row(one: Model) -> list[str | int]:
    count = len(one.languages)
    named = " ".join(one.languages) if count <= _MOST_LANGUAGES else f"{count} languages"
    return [
        one.id,
        _short_name(one),
        one.dimension or "",
        named if one.has_text or not one.family else "images only",
        one.licence.partition(":")[0].partition(" (")[0],  # the terms; JSON has all of it
        output.size(one.download_bytes),
        output.size(one.bytes_on_disk),
        one.state,
    ]


def _short_name(one: Model) -> str:
    """What may be typed instead, if it is less than the part of the id that may be typed anyway."""
    shortest = min(one.names, key=len, default="")
    return "" if shortest == one.id.rpartition("/")[2].lower() else shortest


@models.command("verify")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
@click.pass_context
def models_verify(ctx: click.Context, names: tuple[str, ...], as_json: bool) -> None:
    """Compare every byte of the installed models with their lock files.

    Models in the hub's cache without a lock file are compared with the checksums in their file
    names. The exit status is 1 if one is incomplete or damaged.

    \b
        pictor models verify
        pictor models verify siglip2
    """
    with TransferReporter() as reporter:
        states = verify_models(names, observer=reporter)
    if as_json:
        for state in states:  # of the licences `models list` tells
            output.write_json({k: v for k, v in asdict(state).items() if k != "licence"})
    else:
        output.write_rows(
            ["encoder", "revision", "state", "problems"],
            [[s.id, s.revision[:12], s.state, "; ".join(s.problems)] for s in states],
        )
    if any(state.state != "full" for state in states):
        ctx.exit(1)


@models.command("remove")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do it; without this, print what would be removed.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def models_remove(target: Target, name: str, yes: bool, as_json: bool) -> None:
    """Remove a model: its files, lock file and unfinished downloads.

    Says if the library uses the model. Vectors are kept: without the model a library can be
    searched by words, but new pictures can neither be indexed nor used as queries.

    \b
        pictor models remove openai/clip-vit-base-patch32
        pictor models remove openai/clip-vit-base-patch32 --yes
    """
    repo = remove_model(name, dry_run=True).id
    needed = _needed_by(target, repo)
    freed = remove_model(name, dry_run=not yes).size_bytes
    if as_json:
        facts = {"done": yes, "id": repo, "bytes": freed, "needed_by": needed}
        output.write_json(facts)
        return
    if needed:
        output.say(
            f"{needed} has vectors of {repo}: new pictures are not encoded with it until the model "
            "is installed again"
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
        output.say(f"cannot check whether {target.folder} needs it: {error}")
        return ""
    return f"the library {str(target.folder)!r}" if has_space else ""
