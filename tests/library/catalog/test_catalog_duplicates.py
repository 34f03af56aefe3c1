"""Rows of fingerprints and pairs, and the migration that brings their tables."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic import command
from small_world import World
from sqlalchemy import inspect

from pictor.library.catalog import contents, fingerprints, pairs
from pictor.library.catalog.migrate import alembic_config
from pictor.library.catalog.rows import ContentChange, FileChange
from pictor.library.config import Settings
from pictor.library.pairs import DUPLICATES, Evidence, Kind, PairRow
from pictor.library.records import Outcome
from pictor.library.store import Store

HASHES = bytes(range(64))
OTHERS = bytes(64)


@pytest.fixture
def library(tmp_path: Path) -> Store:
    """Contents 1 to 5: 1 to 3 with hashes, 4 moves, 5 has no row."""
    library = Store.create(tmp_path / "library", Settings())
    frames = ((0, None, 8, 8),)
    moving = ((0, 0.5, 8, 8),)
    with library.writing() as connection:
        made = [_content(n, HASHES, frames) for n in (1, 2, 3)]
        made += [_content(4, b"", moving), _content(5, None, frames)]
        contents.apply(connection, 1, made, [])
    return library


def _content(number: int, hashes: bytes | None, frames: tuple) -> ContentChange:
    digest = bytes([number]) * 32
    return ContentChange(digest, 9, Outcome.INDEXED, frames=frames, hashes=hashes)


def rows_of(library: Store) -> dict[int, tuple[bytes, int]]:
    with library.reading() as connection:
        blocks = list(fingerprints.blocks(connection))
    return {row.content_id: (row.hashes, row.compared) for block in blocks for row in block}


def test_indexed_contents_have_rows_from_the_start(library: Store) -> None:
    assert rows_of(library) == {1: (HASHES, 0), 2: (HASHES, 0), 3: (HASHES, 0), 4: (b"", 0)}
    with library.reading() as connection:
        assert fingerprints.lacking(connection, 0, 10) == [(5, bytes([5]) * 32, True)]
        assert fingerprints.count_lacking(connection) == 1
        assert fingerprints.count(connection) == 4


def test_a_row_of_this_version_stays_and_an_older_one_goes(library: Store) -> None:
    with library.writing() as connection:
        fingerprints.mark_compared(connection, [1, 2], 7)
        connection.exec_driver_sql("UPDATE fingerprint SET version = 0 WHERE content_id = 2")
        assert [row[0] for row in fingerprints.lacking(connection, 0, 10)] == [2, 5]
        fingerprints.write(connection, {1: OTHERS, 2: OTHERS, 5: OTHERS})
    found = rows_of(library)
    assert (found[1], found[2], found[5]) == ((HASHES, 7), (OTHERS, 0), (OTHERS, 0))


def test_a_known_content_that_is_read_again_stays_compared(library: Store) -> None:
    with library.writing() as connection:
        fingerprints.mark_compared(connection, [1], 7)
        contents.apply(connection, 1, [_content(1, HASHES, ((0, None, 8, 8),))], [])
    assert rows_of(library)[1] == (HASHES, 7)


def test_a_failed_content_has_no_row(library: Store) -> None:
    failed = ContentChange(bytes([6]) * 32, 9, Outcome.FAILED, hashes=HASHES)
    with library.writing() as connection:
        contents.apply(connection, 1, [failed], [])
    assert 6 not in rows_of(library)


def test_pairs_are_replaced_and_read_by_content(library: Store) -> None:
    near = PairRow(1, 2, Kind.NEAR, 0.9, Evidence(hash_distance=3))
    rows = [
        near,
        PairRow(1, 3, Kind.DIFFERENT, 0.8, Evidence()),
        PairRow(2, 3, Kind.PIXELS, 1.0, Evidence()),
    ]
    rows.append(PairRow(3, 4, Kind.RELATED, 0.7, Evidence(change=("live photo",))))
    with library.writing() as connection:
        pairs.write(connection, rows[:2], 1)
        pairs.write(connection, [near._replace(kind=Kind.SIMILAR)], 1)
        pairs.write(connection, rows, 2)
    with library.reading() as connection:
        assert pairs.of_contents(connection, [1, 2, 3, 4]) == rows
        assert pairs.of_contents(connection, [1, 2, 3, 4], DUPLICATES) == [rows[0], rows[2]]
        assert pairs.of_contents(connection, [3]) == rows[1:]
        assert pairs.of_contents(connection, [3], DUPLICATES) == [rows[2]]
        assert pairs.of_contents(connection, [3], version=1) == []
        assert pairs.known(connection, [1], 2) == {(1, 2), (1, 3)}


def test_what_nothing_holds_takes_its_fingerprint_and_pairs_along(library: Store) -> None:
    with library.writing() as connection:
        pairs.write(connection, [PairRow(1, 2, Kind.NEAR, 1.0, Evidence())], 1)
        pairs.write(connection, [PairRow(2, 3, Kind.NEAR, 1.0, Evidence())], 1)
        connection.exec_driver_sql(
            "INSERT INTO root (id, kind, location, volume, state, detail, options)"
            " VALUES (1, 'folder', x'2f', '', 'reachable', '', '{}')"
        )
        connection.exec_driver_sql(
            "INSERT INTO run (id, started_at, state, summary) VALUES (1, '', 'running', '{}')"
        )
        held = [
            FileChange(1, b"%d" % n, 9, 1, Outcome.INDEXED, hash=bytes([n]) * 32) for n in (2, 3)
        ]
        contents.apply(connection, 1, [], held)
        assert contents.purge_orphans(connection) == 3
    assert sorted(rows_of(library)) == [2, 3]
    with library.reading() as connection:
        assert [row[:2] for row in pairs.of_contents(connection, [1, 2, 3])] == [(2, 3)]
        assert fingerprints.count_fresh(connection, 1) == 2
        facts = fingerprints.facts(connection, [2])[2]
    assert facts.names == (b"/2",)


def test_a_library_of_the_release_before_is_brought_up_to_date(world: World) -> None:
    world.draw("a.png")
    world.index()
    with world.open() as library, library.writing() as connection:
        command.downgrade(alembic_config(connection), "0004")
        assert "fingerprint" not in inspect(connection).get_table_names()
    with world.open() as library, library.reading() as connection:
        assert fingerprints.count_lacking(connection) == 1
        assert world.search("a picture")
