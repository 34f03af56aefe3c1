"""Facts about the library, by name: the table `meta`."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select

from pictor.library.catalog.schema import META


def get(connection: Connection, name: str) -> str | None:
    """A fact; None where it is not stated."""
    value = connection.scalar(select(META.c.value).where(META.c.key == name))
    return None if value is None else str(value)


def put(connection: Connection, name: str, value: str) -> None:
    """State a fact, in place of what was stated."""
    drop(connection, name)
    connection.execute(insert(META).values(key=name, value=value))


def drop(connection: Connection, name: str) -> None:
    """State it no longer."""
    connection.execute(delete(META).where(META.c.key == name))
