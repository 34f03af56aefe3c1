"""Files of a truth, and the pairs of them that pictor finds, as the command does it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from measure import note
from sqlalchemy import select

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pictor.duplicates.comparison.run import compare_all
from pictor.indexer.run import index
from pictor.library.catalog import pairs
from pictor.library.catalog.schema import CONTENT
from pictor.library.config import Settings
from pictor.library.hashing import content_hash
from pictor.library.pairs import DUPLICATES
from pictor.library.store import Store

Pairs = set[tuple[int, int]]


class Made(NamedTuple):
    """One file of the truth: of which photo, and what it is: "photo", "copy" or "neighbour"."""

    path: Path
    photo: int
    role: str
    transform: str


def found_by_library(home: Path, files: Sequence[Made]) -> Pairs:
    """The pairs that indexing and comparing the folder finds, as the command does it."""
    places: dict[bytes, list[int]] = {}
    for i, one in enumerate(files):
        places.setdefault(content_hash(one.path.read_bytes()), []).append(i)
    found = {pair for same in places.values() for pair in combinations(same, 2)}
    with Store.create(home / "library", Settings()) as library:
        index(library, [bytes(files[0].path.parent)], ["builtin"])
        compared = compare_all(library)
        note(f"  {compared}")
        with library.reading() as connection:
            digests = dict(connection.execute(select(CONTENT.c.id, CONTENT.c.hash)).all())
            rows = pairs.of_contents(connection, digests, DUPLICATES)
    for row in rows:
        for i in places[bytes(digests[row.low])]:
            found |= {(min(i, j), max(i, j)) for j in places[bytes(digests[row.high])]}
    return found
