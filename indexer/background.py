"""The last step of a run: how well the background bank explains what was indexed."""

from __future__ import annotations

from indexer.observer import Observer
from indexer.spaces import OpenSpaces
from library import background
from library.errors import LibraryError, ModelError
from library.library import Library


def fill_background(library: Library, spaces: OpenSpaces, observer: Observer) -> None:
    """Store what each space of a run lacks, unless the observer stops it. Hold the write lock.

    A search works out what is not stored, so a failure is only a notice.
    """
    for space in spaces.spaces:
        try:
            background.fill(library, space.row, observer.should_stop)
        except (LibraryError, ModelError) as error:
            observer.notice(f"the background of {space.row.encoder} was not renewed: {error}")
