"""Bringing a catalog to the newest schema, with Alembic; imported only when that is needed."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection


def alembic_config(connection: Connection | None = None) -> Config:
    """The configuration of our migration scripts, run on `connection`."""
    config = Config()
    folder = str(Path(__file__).parent / "migrations").replace("%", "%%")  # ConfigParser's escape
    config.set_main_option("script_location", folder)
    config.attributes["connection"] = connection
    return config


def upgrade(connection: Connection) -> None:
    """Apply every migration that `connection`'s database lacks, inside its transaction."""
    command.upgrade(alembic_config(connection), "head")
