"""The spaces a run fills: which encoders, opened how, and which pixels they want."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from pictor.library.catalog import spaces as catalog_spaces
from pictor.library.catalog.rows import SpaceRow
from pictor.library.encoders import towers
from pictor.library.encoders.base import EncoderOptions, ImageEncoder
from pictor.library.encoders.builtin_card import BUILTIN
from pictor.library.encoders.builtin_towers import is_of_this_release
from pictor.library.encoders.devices import device_names
from pictor.library.errors import ModelError, ModelNotAvailable
from pictor.library.observer import Observer
from pictor.library.records import EncoderCard, ImageSpec
from pictor.library.space_encoders import ensure_text_tower
from pictor.library.store import Store


class OpenSpace:
    """A space and its encoders, one a device, which are loaded when there is something to encode.

    Attributes:
        row: as stored.
        spec_index: which of the run's specs it takes.
        lanes: encoders that can be had.
    """

    def __init__(
        self, row: SpaceRow, spec_index: int, loaders: Sequence[Callable[[], ImageEncoder]]
    ) -> None:
        self.row = row
        self.spec_index = spec_index
        self.lanes = len(loaders)
        self._loaders = loaders
        self._encoders: dict[int, ImageEncoder] = {}

    def load(self, lane: int = 0) -> ImageEncoder:
        """The encoder of a lane, loaded by the first call; with fewer encoders they are shared.

        Raises:
            ModelError: it is not available.
        """
        number = lane % self.lanes
        if number not in self._encoders:
            self._encoders[number] = self._loaders[number]()
        return self._encoders[number]

    def close(self) -> None:
        """Give back the encoders that were loaded."""
        for encoder in self._encoders.values():
            encoder.close()
        self._encoders = {}


class OpenSpaces:
    """The spaces of one run and the distinct pixel specs they need together.

    Attributes:
        spaces: those that the run fills. One that nobody named leaves, with a notice, when its
            encoder is not available; it stays as it is.
        specs: what the decoders are to make of each picture.
    """

    def __init__(
        self, spaces: Sequence[OpenSpace], specs: Sequence[ImageSpec], observer: Observer
    ) -> None:
        self.spaces = tuple(spaces)
        self.specs = tuple(specs)
        self._observer = observer
        self._is_loaded = False

    @property
    def batch_size(self) -> int:
        """Items to collect before encoding. Loads every encoder, once."""
        return max(space.load().batch_size for space in self.loaded())

    @property
    def lanes(self) -> int:
        """Devices that can encode at once."""
        return max(space.lanes for space in self.loaded())

    def close(self) -> None:
        """Give back all encoders."""
        for space in self.spaces:
            space.close()

    def loaded(self) -> tuple[OpenSpace, ...]:
        """The spaces whose encoders could be had, loaded.

        Raises:
            ModelError: not one could be had.
        """
        if self._is_loaded:
            return self.spaces
        usable = []
        for space in self.spaces:
            try:
                for lane in range(space.lanes):
                    space.load(lane)
            except ModelError as error:
                encoder = space.row.encoder
                self._observer.notice(f"the space of {encoder} is not filled in this run: {error}")
                continue
            usable.append(space)
        if not usable:
            raise ModelError(
                "no encoder of this library is available; choose one with --encoder, "
                "for example: pictor index --encoder builtin"
            )
        self.spaces = tuple(usable)
        self._is_loaded = True
        return self.spaces


@contextmanager
def opened(
    library: Store,
    names: Sequence[str],
    options: EncoderOptions,
    observer: Observer,
    *,
    keep_default: bool = False,
) -> Iterator[OpenSpaces]:
    """The spaces of the library and those of `names`, which are added where they are new.

    The first name becomes the default space, at once in an empty library, else when its space is
    complete, unless the library is to keep the one it has.

    Raises:
        ModelError: a named encoder is not available.
    """
    _add_named(library, names, options, observer, keep_default=keep_default)
    rows = library.spaces()
    if options.device not in ("auto", "cpu") and BUILTIN in [row.encoder for row in rows]:
        observer.notice(f"the built-in encoder runs on the CPU, not on {options.device!r}")
    specs: list[ImageSpec] = []
    open_spaces = [
        OpenSpace(row, _spec_index(row, specs), _loaders(library, row, options)) for row in rows
    ]
    spaces = OpenSpaces(open_spaces, specs, observer)
    try:
        yield spaces
    finally:
        spaces.close()


def _loaders(
    library: Store, row: SpaceRow, options: EncoderOptions
) -> list[Callable[[], ImageEncoder]]:
    """One for each device; the built-in encoder runs on the CPU whatever they are."""
    cache = library.cache_dir(row, "image")
    names = [options.device] if row.encoder == BUILTIN else device_names(options.device)
    return [
        partial(towers.open_image_encoder, row.card, replace(options, device=name), cache)
        for name in names
    ]


def _add_named(
    library: Store,
    names: Sequence[str],
    options: EncoderOptions,
    observer: Observer,
    *,
    keep_default: bool,
) -> None:
    """Add the named spaces that are new; those of the settings where the library has none.

    The first of `names` is noted in the catalog as the next default, unless the library is to keep
    the one it has: a run that is cut short need not name it again. A library that finds by the
    built-in encoder of another release moves to the one of this release by itself.
    """
    held = library.spaces()
    if not names and _is_outdated(library, held):
        observer.notice(
            "this release has another built-in encoder: its space is filled beside the one of "
            "before, which answers until then"
        )
        names = (BUILTIN,)
    if not names and held:
        return
    for i, name in enumerate(names or library.settings.encoder.names):
        try:
            card = towers.resolve_card(name, options, observer=observer)
        except ModelNotAvailable as error:
            if names or held:
                raise
            observer.notice(_stand_in(name, error))
            card = towers.resolve_card(BUILTIN, options)
        if card.fingerprint not in [row.fingerprint for row in library.spaces()]:
            _add(library, card, options)
        if names and i == 0 and not keep_default:
            row = next(row for row in library.spaces() if row.fingerprint == card.fingerprint)
            _plan_default(library, row, observer)


def _is_outdated(library: Store, held: Sequence[SpaceRow]) -> bool:
    """Whether the default space is of the built-in encoder, and none is of this release's."""
    if not held or library.space().encoder != BUILTIN:
        return False
    return not any(row.encoder == BUILTIN and is_of_this_release(row.card) for row in held)


def _stand_in(name: str, error: ModelNotAvailable) -> str:
    """Why the built-in encoder is used, and the two ways to the one that was meant."""
    reason = str(error).partition("; ")[0]
    return (
        f"the built-in encoder is used, as the configured {name!r} is not available: {reason}; get "
        f"it with: pictor models pull {name} (HF_ENDPOINT names a mirror), or where there is no "
        "network with: pictor models import FILE (made by pictor models export elsewhere); then "
        f"run: pictor index --encoder {name}"
    )


def _plan_default(library: Store, row: SpaceRow, observer: Observer) -> None:
    """Let a space become the default one when it is complete, unless words would lose theirs."""
    default = library.space()
    if default.card.has_text and not row.card.has_text:
        observer.notice(
            f"{row.encoder} finds by images only, so {default.encoder} stays the default; "
            f"use it with: --encoder {row.encoder}"
        )
        return
    with library.writing() as connection:
        catalog_spaces.plan_default(connection, row.id)


def _add(library: Store, card: EncoderCard, options: EncoderOptions) -> None:
    """Add a space once its image tower loads and its text tower is exported, or leave no trace."""
    with library.writing() as connection:
        first = not catalog_spaces.spaces(connection)
        space_id = catalog_spaces.add_space(connection, card, default=first)
    try:
        row = next(row for row in library.spaces() if row.id == space_id)
        _loaders(library, row, options)[0]().close()
        ensure_text_tower(library, row, options)
    except BaseException:
        with library.writing() as connection:
            catalog_spaces.remove_space(connection, space_id)
        raise


def _spec_index(row: SpaceRow, specs: list[ImageSpec]) -> int:
    """The position of a space's spec among those collected; spaces with equal ones share pixels."""
    spec = row.card.spec
    if spec is None:
        raise ModelError(f"the stored card of {row.encoder!r} has no preprocessing; index it anew")
    for i, other in enumerate(specs):
        if other.pixels_key == spec.pixels_key:
            return i
    specs.append(spec)
    return len(specs) - 1
