"""Alembic's entry: runs the scripts on the connection that `catalog.migrate` hands over."""

from __future__ import annotations

from alembic import context

from pictor.library.catalog.schema import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,
)
context.run_migrations()
