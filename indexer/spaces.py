"""The spaces a run fills: which encoders, opened how, and which pixels they want."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from indexer.observer import Observer
from library.catalog import spaces as catalog_spaces
from library.catalog.rows import SpaceRow
from library.encoders import loading
from library.encoders.base import EncoderOptions, ImageEncoder
from library.errors import ModelError, ModelNotAvailable
from library.library import Library
from library.records import ImageSpec
from library.towers import ensure_text_tower

BUILTIN = "builtin"


@dataclass(frozen=True)
class OpenSpace:
    """A space with its encoder loaded. `spec_index`: which of the run's specs it takes."""

    row: SpaceRow
    encoder: ImageEncoder
    spec_index: int


@dataclass(frozen=True)
class OpenSpaces:
    """The spaces of one run and the distinct pixel specs they need together."""

    spaces: tuple[OpenSpace, ...]
    specs: tuple[ImageSpec, ...]

    @property
    def batch_size(self) -> int:
        """Items to collect before encoding."""
        return max(space.encoder.batch_size for space in self.spaces)


@contextmanager
def opened(
    library: Library, names: Sequence[str], options: EncoderOptions, observer: Observer
) -> Iterator[OpenSpaces]:
    """Open every space of the library and those of `names`, which are added where they are new.

    A space nobody named whose encoder cannot be had is left out with a notice: it stays as it is.
    The first name becomes the default space, at once in an empty library, else when its space is
    complete.

    Raises:
        ModelError: a named encoder cannot be had.
    """
    wanted = _named_spaces(library, names, options, observer)
    open_spaces: list[OpenSpace] = []
    specs: list[ImageSpec] = []
    try:
        for row in library.spaces():
            try:
                encoder = loading.open_image_encoder(
                    row.card, options, library.cache_dir(row, "image")
                )
            except ModelError as error:
                if row.id in wanted:
                    raise
                observer.notice(f"the space of {row.encoder} is not filled in this run: {error}")
                continue
            open_spaces.append(OpenSpace(row, encoder, _spec_index(row, specs)))
            ensure_text_tower(library, row, options)
        yield OpenSpaces(tuple(open_spaces), tuple(specs))
    finally:
        for space in open_spaces:
            space.encoder.close()


def _named_spaces(
    library: Library, names: Sequence[str], options: EncoderOptions, observer: Observer
) -> set[int]:
    """The ids of the spaces that were named, added where they are new."""
    held = {row.fingerprint: row.id for row in library.spaces()}
    if not names and held:
        return set()
    configured = names or library.settings.encoder.names
    wanted: set[int] = set()
    for name in configured:
        try:
            card = loading.resolve_card(name, options)
        except ModelNotAvailable as error:
            if names or held:
                raise
            observer.notice(
                f"the configured encoder {name!r} cannot be had ({error}); the built-in one is used"
            )
            card = loading.resolve_card(BUILTIN, options)
        if card.fingerprint not in held:
            with library.writing() as connection:
                space_id = catalog_spaces.add_space(connection, card, default=not held)
            held[card.fingerprint] = space_id
        wanted.add(held[card.fingerprint])
    return wanted


def _spec_index(row: SpaceRow, specs: list[ImageSpec]) -> int:
    """The position of a space's spec among those collected; pixels are shared where they are equal."""
    spec = row.card.spec
    if spec is None:
        raise ModelError(f"the stored card of {row.encoder!r} has no preprocessing; index it anew")
    for i, other in enumerate(specs):
        if other.pixels_key == spec.pixels_key:
            return i
    specs.append(spec)
    return len(specs) - 1
