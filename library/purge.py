"""Forgetting, only when asked: files that are missing, roots, and what only they held."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

from pictor.library import indexes
from pictor.library.catalog import contents, files
from pictor.library.errors import SourceError
from pictor.library.names import display
from pictor.library.store import Store


class PurgeSummary(NamedTuple):
    """How many files were forgotten, and how many contents that only they had."""

    files: int
    contents: int


def purge(library: Store, locations: Sequence[bytes] = ()) -> PurgeSummary:
    """Forget missing files, or all files of the roots at `locations`; then contents without a file.

    Raises:
        SourceError: a location is not a root of this library.
    """
    with library.writer():
        with library.writing() as connection:
            known = {row.location: row.id for row in files.roots(connection)}
            gone = 0
            for location in locations:
                absolute = os.path.abspath(location)
                if absolute not in known:
                    raise SourceError(
                        f"{display(absolute)!r} is not a root of this library; see: pictor status"
                    )
                gone += files.remove_root(connection, known[absolute])
            if not locations:
                gone += contents.purge_missing(connection)
            orphans = contents.purge_orphans(connection)
        for space in library.spaces():
            indexes.refresh(library, space)
    return PurgeSummary(gone, orphans)
