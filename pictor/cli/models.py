"""`pictor models list`: the encoders pictor knows by name, and what of them is on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from library.records import JsonObject
from pictor.cli import output
from pictor.cli.options import Verbs

if TYPE_CHECKING:
    from library.records import EncoderCard


@click.group(cls=Verbs)
def models() -> None:
    """Encoders: models that make vectors."""


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
    headings = ["encoder", "or", "dimension", "languages", "licence", "download", "here"]
    output.write_rows(headings, [_model_row(one) for one in facts])


def _cards() -> list[tuple[EncoderCard, tuple[str, ...]]]:
    from library.encoders.builtin_card import read_builtin_card
    from library.encoders.cards import card_folder, read_card

    shipped = [read_card(path) for path in card_folder().glob("*.toml")]
    return [(read_builtin_card(), ()), *sorted(shipped, key=lambda pair: pair[0].id)]


def model_json(card: EncoderCard, names: tuple[str, ...]) -> JsonObject:
    """A card as the JSON object that `models list --json` prints."""
    return {
        "id": card.id,
        "names": list(names),
        "family": card.family,
        "dimension": card.dimension,
        "image_size": card.image_size,
        "languages": list(card.languages),
        "has_text": card.has_text,
        "licence": card.licence,
        "download_bytes": card.download_bytes,
        "bytes_on_disk": _bytes_on_disk(card),
    }


def _bytes_on_disk(card: EncoderCard) -> int:
    """What of an encoder is on this machine: in the package, or in the hub's cache."""
    from huggingface_hub import constants

    from library.encoders.builtin_card import BUILTIN, BUILTIN_FOLDER

    folder = Path(constants.HF_HUB_CACHE) / f"models--{card.id.replace('/', '--')}" / "blobs"
    files = (BUILTIN_FOLDER if card.id == BUILTIN else folder).glob("*")
    return sum(file.stat().st_size for file in files if file.suffix != ".incomplete")


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
        named if one["has_text"] else "images only",
        one["licence"].partition(":")[0].partition(" (")[0],  # the terms; JSON has all of it
        output.size(one["download_bytes"]),
        output.size(one["bytes_on_disk"]),
    ]


def _short_name(one: JsonObject) -> str:
    """What may be typed instead, if it is less than the part of the id that may be typed anyway."""
    shortest: str = min(one["names"], key=len, default="")
    return "" if shortest == one["id"].rpartition("/")[2].lower() else shortest
