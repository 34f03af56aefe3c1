"""The catalog on PostgreSQL: the same tables, the same statements, the same answers."""

from __future__ import annotations

from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect

from pictor.library.catalog import words
from pictor.library.catalog.connect import open_engine
from pictor.library.catalog.migrate import alembic_config, upgrade
from pictor.library.catalog.schema import METADATA
from pictor.library.purge import purge


def test_migrations_go_up_and_down(postgresql_url: str) -> None:
    engine = open_engine(postgresql_url, 1.0)
    with engine.begin() as connection:
        upgrade(connection)
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        found = [difference for difference in compare_metadata(context, METADATA)]
        ours = {"lexemes", "ix_word_lexemes"}  # of the full-text index, PostgreSQL's own
        assert {_name_of(difference) for difference in found} == ours
        command.downgrade(alembic_config(connection), "base")
        assert inspect(connection).get_table_names() == ["alembic_version"]
        upgrade(connection)
    engine.dispose()


def _name_of(difference: Any) -> str:
    return str(difference[-1].name)


def test_a_library_lives_on_postgresql(world: Any, postgresql_url: str) -> None:
    world.set(library__catalog_url=postgresql_url)
    for i in range(6):
        world.draw(f"summer/{i}.png", i)
    (world.root / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    (world.root / "copy.png").write_bytes((world.root / "summer/3.png").read_bytes())
    summary = world.index()
    assert (summary.indexed, summary.failed, summary.items) == (7, 1, 6)
    assert world.index().unchanged == 7
    assert world.verify().ok
    hits = world.search(world.root / "summer/3.png")
    assert hits[0].score > 0.99 and len(hits[0].other_paths) == 1
    assert found(world, "summer") == 6

    (world.root / "summer").rename(world.root / "winter")
    (world.root / "winter/0.png").unlink()
    summary = world.index()
    assert (summary.moved, summary.missing) == (5, 1)
    assert (found(world, "summer"), found(world, "winter")) == (0, 5)
    with world.open() as library:
        assert purge(library) == (1, 1)
    assert world.index().items == 5
    assert world.verify().ok


def found(world: Any, text: str) -> int:
    with world.open() as library, library.reading() as connection:
        return len(words.find(connection, text, 100))
