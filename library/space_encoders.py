"""The towers of a library's spaces; a text tower is exported once, then opened without torch."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Generic, TypeVar

from pictor.library.catalog.rows import SpaceRow
from pictor.library.config import Settings
from pictor.library.encoders import towers
from pictor.library.encoders.base import EncoderOptions, ImageEncoder, TextEncoder
from pictor.library.encoders.builtin_card import BUILTIN
from pictor.library.errors import ModelError, QueryError
from pictor.library.store import Store

Tower = TypeVar("Tower")


class WarmTowers:
    """The towers of a library's spaces, opened when first needed and kept open, for any number of
    threads.

    A tower encodes for one thread at a time, which bounds memory and cores, whatever it runs on.
    """

    def __init__(self, library: Store) -> None:
        """Nothing is opened yet."""
        self._texts = _Opened(lambda space: open_text(library, space, _threads(space)))
        self._images = _Opened(lambda space: open_image(library, space))

    @contextmanager
    def text(self, space: SpaceRow) -> Iterator[TextEncoder]:
        """The text tower of a space, for the length of the block.

        Raises:
            QueryError: the encoder takes images only.
            ValueError: the towers were closed.
        """
        with self._texts.use(space) as tower:
            yield tower

    @contextmanager
    def image(self, space: SpaceRow) -> Iterator[ImageEncoder]:
        """The image tower of a space, for the length of the block.

        Raises:
            ValueError: the towers were closed.
        """
        with self._images.use(space) as tower:
            yield tower

    def close(self) -> None:
        """Give back their memory, once those that encode are done."""
        self._texts.close()
        for tower in self._images.close():
            tower.close()


class _Opened(Generic[Tower]):
    """One kind of towers, by space, each with a lock of its own."""

    def __init__(self, opener: Callable[[SpaceRow], Tower]) -> None:
        self._open = opener
        self._locks: dict[tuple[int, str], threading.Lock] = {}
        self._towers: dict[tuple[int, str], Tower] = {}
        self._is_closed = False

    @contextmanager
    def use(self, space: SpaceRow) -> Iterator[Tower]:
        key = (space.id, space.fingerprint)
        with self._locks.setdefault(key, threading.Lock()):
            if self._is_closed:
                raise ValueError(f"the towers of {space.encoder!r} were closed")
            if key not in self._towers:
                self._towers[key] = self._open(space)
            yield self._towers[key]

    def close(self) -> list[Tower]:
        """Those that were open."""
        self._is_closed = True
        closed = []
        for key, lock in list(self._locks.items()):
            with lock:
                closed += [self._towers.pop(key)] if key in self._towers else []
        return closed


def _threads(space: SpaceRow) -> int:
    """For one text at a time: the built-in tower takes 5 ms on one thread, 6 ms on two."""
    return 1 if space.card.id == BUILTIN else 0


def options_of(settings: Settings) -> EncoderOptions:
    """How some settings say encoders are to be run."""
    wanted = asdict(settings.encoder)
    del wanted["names"]
    return EncoderOptions(**wanted, offline=settings.network.offline)


def ensure_text_tower(library: Store, space: SpaceRow, options: EncoderOptions) -> None:
    """Export a space's text tower into the cache, unless it is there and sound or has none."""
    if space.card.has_text:
        towers.make_text_tower(space.card, options, library.cache_dir(space, "text"))


def open_text(library: Store, space: SpaceRow, threads: int = 0) -> TextEncoder:
    """The text tower of a space; exported first where the cache was deleted.

    Args:
        threads: CPU threads of one run; 0 is one a physical core.

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
        return towers.open_text_encoder(space.card, folder, threads=threads)
    except ModelError:
        ensure_text_tower(library, space, options_of(library.settings))
        return towers.open_text_encoder(space.card, folder, threads=threads)


def open_image(library: Store, space: SpaceRow) -> ImageEncoder:
    """The image tower of a space, for a query by an image that is not in the library."""
    folder = library.cache_dir(space, "image")
    return towers.open_image_encoder(space.card, options_of(library.settings), folder)
