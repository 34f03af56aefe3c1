"""Pictures outside any library, as the pixels an encoder wants: from a path, a link or a source."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from pictor.library.config import Settings
from pictor.library.errors import ImageError, ModelUnsupported
from pictor.library.names import is_link
from pictor.library.records import EncoderCard, PixelArray

if TYPE_CHECKING:
    from pictor.indexer.sources import Locator
    from pictor.library.encoders.base import EncoderOptions

_MIB = 1 << 20


def open_card(encoder: str | None, settings: Settings) -> tuple[EncoderCard, EncoderOptions]:
    """The resolved card of a named encoder, or of the settings', and how it is run."""
    from pictor.library.encoders import towers
    from pictor.library.space_encoders import options_of

    options = options_of(settings)
    return towers.resolve_card(encoder or settings.encoder.names[0], options), options


def tower_folder(card: EncoderCard, kind: str) -> Path:
    """Where exported towers of encoders are kept that belong to no library; may be deleted."""
    return Path(platformdirs.user_cache_dir("pictor")) / "towers" / card.fingerprint / kind


def read_pixels(
    location: bytes, card: EncoderCard, settings: Settings, timeout_s: float
) -> PixelArray:
    """The pixels that an encoder wants of a picture at a path or link. Safe in several threads.

    The picture is decoded at its full size, as transformers does, not shrunk while it is read.

    Raises:
        ImageError: it cannot be read, fetched or decoded.
    """
    from pictor.indexer.sources import Locator

    if is_link(location):
        return pixels_of(Locator("url", location), card, settings, timeout_s)
    path = os.path.abspath(os.path.expanduser(location))
    return pixels_of(Locator("file", path), card, settings, timeout_s)


def pixels_of(
    locator: Locator, card: EncoderCard, settings: Settings, timeout_s: float
) -> PixelArray:
    """As `read_pixels`, of a file that a source listed."""
    from pictor.indexer.sources import read_bytes
    from pictor.library.images import Limits, load_rgb, prepare
    from pictor.library.records import Reason

    if card.spec is None:
        raise ModelUnsupported(f"the card of {card.id!r} has no preprocessing")
    if locator.kind == "url" and settings.network.offline:
        raise ImageError(Reason.FETCH, "it is a link and pictor is offline")
    data = read_bytes(locator, settings.index.max_file_mib * _MIB, timeout_s)
    limits = Limits(max_pixels=settings.index.max_pixels, frames=1)
    name = locator.member or locator.path
    picture, _, _ = load_rgb(data, limits, name_hint=name, time_s=0.0)
    return prepare(picture, card.spec)
