"""Whether what a library stores agrees with itself, and its caches with it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection, text

from pictor.library import indexes
from pictor.library.catalog import files, spaces
from pictor.library.catalog.rows import SpaceRow
from pictor.library.encoders import towers
from pictor.library.errors import LibraryError
from pictor.library.store import Store

#: How far the norm of a stored vector may be from 1: float16 rounding moves it by less than 5e-4.
NORM_TOLERANCE = 2e-3


@dataclass(frozen=True)
class VerifyReport:
    """`ok` when there are no problems; each problem is one sentence."""

    ok: bool
    problems: tuple[str, ...]


def verify(library: Store) -> VerifyReport:
    """Check the database, every stored vector and every cache; reads all of them once."""
    problems: list[str] = []
    try:
        with library.reading() as connection:
            problems += _database(connection)
            for space in spaces.spaces(connection):
                problems += _vectors(connection, space)
        for space in library.spaces():
            problems += _caches(library, space)
    except LibraryError as error:
        problems.append(str(error))
    return VerifyReport(not problems, tuple(problems))


def _database(connection: Connection) -> list[str]:
    problems: list[str] = []
    if connection.dialect.name == "sqlite":
        for (line,) in connection.execute(text("PRAGMA integrity_check")):
            if line != "ok":
                problems.append(f"the database reports: {line}")
        for row in connection.execute(text("PRAGMA foreign_key_check")):
            problems.append(
                f"row {row[1]} of {row[0]} refers to a row of {row[2]} that is not there"
            )
    empty = files.indexed_contents_without_items(connection)
    if empty:
        problems.append(f"{empty} contents are marked indexed but have no item")
    return problems


def _vectors(connection: Connection, space: SpaceRow) -> list[str]:
    problems: list[str] = []
    bad = count = 0
    misshapen = spaces.count_misshapen(connection, space.id, space.dimension)
    if misshapen:
        problems.append(
            f"{misshapen} vectors of the space of {space.encoder} have the wrong length, not "
            f"{space.dimension} values"
        )
    else:
        for _, matrix in spaces.vector_blocks(connection, space.id, space.dimension):
            count += len(matrix)
            norms = np.linalg.norm(matrix.astype(np.float32), axis=1)
            bad += int((~(np.abs(norms - 1) <= NORM_TOLERANCE)).sum())
    if bad:
        problems.append(
            f"{bad} of {count} vectors of the space of {space.encoder} are not unit-norm"
        )
    lacking = spaces.count_lacking(connection, space.id) if space.state == "ready" else 0
    if lacking:
        problems.append(
            f"{lacking} items that could be read have no vector in the space of {space.encoder}; "
            "run: pictor index"
        )
    return problems


def _index(library: Store, space: SpaceRow) -> list[str]:
    problems: list[str] = []
    if indexes.info(library, space) is not None:  # one that is gone is no problem: it comes back
        problems += [
            f"the index cache of {space.encoder} is damaged: {damage}; delete "
            f"{str(library.path / 'cache')!r}; it is rebuilt automatically"
            for damage in indexes.cache_of(library, space).verify()
        ]
    opened = indexes.open_index(library, space)
    try:
        with library.reading() as connection:
            stored = spaces.count_vectors(connection, space.id)
            is_same = spaces.last_change(connection, space.id) == opened.change
        if is_same and len(opened.index) != stored:  # else a run goes on beside this one
            problems.append(
                f"the index of {space.encoder} has {len(opened.index)} vectors, "
                f"the catalog {stored}"
            )
    finally:
        opened.index.close()
    return problems


def _caches(library: Store, space: SpaceRow) -> list[str]:
    problems = _index(library, space)
    folder = library.cache_dir(space, "text")
    if space.card.has_text and not towers.text_tower_is_ready(space.card, folder):
        problems.append(
            f"the text tower of {space.encoder} is missing or damaged; run: pictor index"
        )
    return problems
