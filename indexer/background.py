"""The last step of a run: how well the background bank explains what was indexed."""

from __future__ import annotations

from pictor.indexer.spaces import OpenSpaces
from pictor.library import caption_bank
from pictor.library.errors import LibraryError, ModelError
from pictor.library.library import Library
from pictor.library.observer import Observer


def fill_background(library: Library, spaces: OpenSpaces, observer: Observer) -> None:
    """Store what each space of a run lacks, unless the observer stops it. Hold the write lock.

    A search works out what is not stored, so a failure is only a notice.
    """
    for space in spaces.spaces:
        try:
            caption_bank.fill(library, space.row, observer)
        except (LibraryError, ModelError) as error:
            observer.notice(f"the background of {space.row.encoder} was not renewed: {error}")
