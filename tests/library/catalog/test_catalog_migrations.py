"""The migrations make exactly the schema that the models state, up and down."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect

from pictor.library.catalog.connect import open_engine
from pictor.library.catalog.migrate import alembic_config, upgrade
from pictor.library.catalog.schema import METADATA, SCHEMA_REVISION


def test_the_newest_migration_is_the_revision_this_release_knows() -> None:
    scripts = ScriptDirectory.from_config(alembic_config())
    assert scripts.get_heads() == [SCHEMA_REVISION]


def test_the_migrated_schema_is_that_of_the_models(tmp_path: Path) -> None:
    engine = open_engine(tmp_path / "catalog.sqlite", 1.0)
    with engine.begin() as connection:
        upgrade(connection)
        upgrade(connection)  # a second time does nothing
        ours = {"compare_type": True, "include_name": _is_no_index}
        context = MigrationContext.configure(connection, opts=ours)
        assert compare_metadata(context, METADATA) == []
    engine.dispose()


def test_every_downgrade_works_and_leaves_nothing(tmp_path: Path) -> None:
    engine = open_engine(tmp_path / "catalog.sqlite", 1.0)
    with engine.begin() as connection:
        upgrade(connection)
        command.downgrade(alembic_config(connection), "base")
        assert inspect(connection).get_table_names() == ["alembic_version"]
        upgrade(connection)
        assert set(inspect(connection).get_table_names()) > set(METADATA.tables)
    engine.dispose()


def _is_no_index(name: str | None, kind: str, _parents: object) -> bool:
    """The full-text index is SQLite's own: FTS5 keeps tables of its own for it."""
    return not (kind == "table" and str(name).startswith("word_index"))
