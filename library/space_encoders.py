"""The text towers of a library: exported once a space, then opened without torch."""

from __future__ import annotations

from pictor.library.catalog.rows import SpaceRow
from pictor.library.config import Settings
from pictor.library.encoders import towers
from pictor.library.encoders.base import EncoderOptions, ImageEncoder, TextEncoder
from pictor.library.errors import ModelError, QueryError
from pictor.library.library import Library


def encoder_options(library: Library) -> EncoderOptions:
    """How the library's settings say encoders are to be run."""
    return options_of(library.settings)


def options_of(settings: Settings) -> EncoderOptions:
    """How some settings say encoders are to be run."""
    wanted = settings.encoder
    return EncoderOptions(
        device=wanted.device,
        dtype=wanted.dtype,  # type: ignore[arg-type]  # checked against the choices by the settings
        batch_size=wanted.batch_size,
        attention=wanted.attention,  # type: ignore[arg-type]  # likewise
        runtime=wanted.runtime,  # type: ignore[arg-type]  # likewise
        offline=settings.network.offline,
        threads=wanted.threads,
    )


def ensure_text_tower(library: Library, space: SpaceRow, options: EncoderOptions) -> None:
    """Export a space's text tower into the cache, unless it is there and sound or has none."""
    if space.card.has_text:
        towers.make_text_tower(space.card, options, library.cache_dir(space, "text"))


def open_text(library: Library, space: SpaceRow) -> TextEncoder:
    """The text tower of a space; exported first where the cache was deleted.

    Raises:
        QueryError: the encoder takes images only.
    """
    if not space.card.has_text:
        raise QueryError(
            f"the encoder {space.encoder!r} has no text tower: it finds images by an image; "
            "for words index with another one too, for example: pictor index --encoder builtin"
        )
    folder = library.cache_dir(space, "text")
    try:
        return towers.open_text_encoder(space.card, folder)
    except ModelError:
        ensure_text_tower(library, space, encoder_options(library))
        return towers.open_text_encoder(space.card, folder)


def open_image(library: Library, space: SpaceRow) -> ImageEncoder:
    """The image tower of a space, for a query by an image that is not in the library."""
    folder = library.cache_dir(space, "image")
    return towers.open_image_encoder(space.card, encoder_options(library), folder)
