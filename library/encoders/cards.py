"""Encoder cards as TOML files, and the names a user may call an encoder by.

The shipped cards are `configs/encoders/*.toml`. A card states what people and the query router need
before a checkpoint is there (languages, licence, download size); what decides vectors (dimension,
preprocessing, scoring, revision) is read from the checkpoint itself.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from pictor.library.config import presets_dir
from pictor.library.encoders.builtin_card import BUILTIN, read_builtin_card
from pictor.library.encoders.families import FAMILIES
from pictor.library.errors import ConfigError, ModelNotAvailable, quoted
from pictor.library.records import EncoderCard, ImageSpec, JsonObject, Scoring

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+", re.ASCII)
_LOCAL_STARTS = ("/", "./", "../", "~")


def is_hub_id(name: str) -> bool:
    """Whether a name has the form owner/model."""
    return _HUB_ID.fullmatch(name) is not None and ".." not in name and "--" not in name


def card_folder() -> Path:
    """Where the shipped cards are."""
    return presets_dir() / "encoders"


def shipped_cards() -> list[tuple[EncoderCard, tuple[str, ...]]]:
    """The cards of configs/encoders with their short names, by id."""
    found = [read_card(path) for path in card_folder().glob("*.toml")]
    return sorted(found, key=lambda pair: pair[0].id)


def find_card(name: str) -> EncoderCard:
    """The card a name means, not yet resolved except for the built-in one.

    A name is "builtin", a hub id, the alias of a shipped card, or the path of a local folder. A
    folder wins over a hub id of the same name, as in transformers. Unknown hub ids and folders get
    a card of family "", which resolving fills in.

    Raises:
        ModelNotAvailable: it is none of these; the message names the nearest.
    """
    if name.lower() == BUILTIN:
        return read_builtin_card()
    aliases = _by_alias()
    is_folder = "/" in name and Path(name).expanduser().is_dir()
    if name.startswith(_LOCAL_STARTS) or is_folder:
        return EncoderCard(id=str(Path(name).expanduser().absolute()), family="")
    if name.lower() in aliases:
        return aliases[name.lower()]
    if is_hub_id(name):
        return EncoderCard(id=name, family="")
    near = difflib.get_close_matches(name.lower(), [BUILTIN, *aliases], n=3, cutoff=0.4)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    raise ModelNotAvailable(
        f"no encoder is called {quoted(name)}; give a hub id such as "
        f"'google/siglip2-base-patch16-224', a folder, or 'builtin'{hint}"
    )


def id_of(name: str) -> str:
    """The hub id that a short name means, or "builtin"; the name itself where it is none."""
    card = _by_alias().get(name.lower())
    return card.id if card else BUILTIN if name.lower() == BUILTIN else name


def _by_alias() -> dict[str, EncoderCard]:
    """Shipped cards by their ids and short names, in lower case."""
    aliases: dict[str, EncoderCard] = {}
    for card, short_names in shipped_cards():
        aliases.update(dict.fromkeys((card.id.lower(), *short_names), card))
    return aliases


def split_revision(name: str) -> tuple[str, str]:
    """The name and the revision of "owner/model@revision"; "" where none is named."""
    bare, _, revision = name.partition("@")
    return (bare, revision) if is_hub_id(bare) else (name, "")


def read_card(path: Path) -> tuple[EncoderCard, tuple[str, ...]]:
    """One card file: the card and its short names.

    Raises:
        ConfigError: the file is no TOML, or a key is unknown or of the wrong type.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{str(path)!r} is no readable TOML file: {error}") from error
    aliases = tuple(str(alias).lower() for alias in data.pop("aliases", ()))
    if isinstance(data.get("scoring"), dict):
        data["scoring"] = _record(Scoring, data["scoring"], path)
    if isinstance(data.get("spec"), dict):
        data["spec"] = _record(ImageSpec, data["spec"], path)
    card: EncoderCard = _record(EncoderCard, data, path)
    if card.family not in FAMILIES:
        known = ", ".join(FAMILIES)
        raise ConfigError(
            f"{str(path)!r} has the unknown family {card.family!r}; known are {known}"
        )
    return card, aliases


def complete_card(card: EncoderCard, **facts: Any) -> EncoderCard:  # Any: fields of EncoderCard
    """The card with what the checkpoint says of itself, and else its family's habits."""
    family = FAMILIES[facts.get("family", card.family)]
    habits: JsonObject = {}
    if not card.family:
        habits = {"languages": family.languages, "template": family.template}
    return replace(card, **habits, has_text=family.has_text, **facts)


def _record(kind: Any, data: JsonObject, path: Path) -> Any:  # Any: one of three frozen dataclasses
    known = {field.name for field in fields(kind)}
    for key in data:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ConfigError(f"{str(path)!r} has the unknown key {key!r}{hint}")
    values = {key: tuple(v) if isinstance(v, list) else v for key, v in data.items()}
    try:
        return kind(**values)
    except TypeError as error:
        raise ConfigError(f"{str(path)!r} is not a whole card: {error}") from error
