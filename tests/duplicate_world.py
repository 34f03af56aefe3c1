"""Libraries with planted duplicates: pairs are written as a comparison would write them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pictor.library.catalog import pairs
from pictor.library.pairs import Evidence, Kind, PairRow
from pictor.library.store import Store

#: Of the comparison that wrote them; any.
VERSION = 1


def content_ids(library: Store) -> dict[str, int]:
    """The content of each file, by its name."""
    from sqlalchemy import select

    from pictor.library.catalog.schema import FILE

    with library.reading() as connection:
        rows = connection.execute(select(FILE.c.path, FILE.c.content_id))
        return {os.fsdecode(path): content_id for path, content_id in rows}


def link(
    library: Store,
    one: str,
    other: str,
    kind: Kind = Kind.NEAR,
    confidence: float = 0.99,
    **evidence: Any,
) -> None:
    """Note that the contents of two files are alike, or not."""
    ids = content_ids(library)
    low, high = sorted((ids[one], ids[other]))
    row = PairRow(low, high, kind, confidence, Evidence(**evidence))
    with library.writing() as connection:
        pairs.write(connection, [row], VERSION)


def state_of(folder: Path | bytes) -> dict[bytes, tuple[bytes, int, int]]:
    """Path → (bytes, mtime_ns, mode) of every file below a folder."""
    found = {}
    for where, _, names in os.walk(os.fsencode(folder)):
        for name in names:
            path = os.path.join(where, name)
            facts = os.lstat(path)
            with open(path, "rb") as file:
                found[path] = (file.read(), facts.st_mtime_ns, facts.st_mode)
    return found


def names(paths: Sequence[bytes]) -> list[str]:
    """The last parts of some paths."""
    return [os.path.basename(os.fsdecode(path)) for path in paths]
