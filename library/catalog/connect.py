"""Opening the database: the only place that knows one database from another.

SQLite runs in WAL mode, so that readers are never blocked by the writer, with full synchronisation,
so that a commit survives a power cut. Transactions are begun by us and not by the driver, so that
schema changes are transactional too.
"""

from __future__ import annotations

import math
import os
import sqlite3
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError, OperationalError

from pictor.library.errors import LibraryCorrupt, LibraryError, LibraryFull, LibraryLocked

#: Execution option of connections that will write: they take the database's write lock when they
#: begin, where they can wait for it. One that reads first and writes later cannot wait: SQLite
#: refuses it at once if another program committed in between (SQLITE_BUSY_SNAPSHOT).
WRITES = "pictor_writes"
#: Connections of a SQLite catalog that are kept open; each takes up to 64 MiB (`cache_size`).
IDLE_CONNECTIONS = 8


def open_engine(where: str | Path, busy_timeout_s: float, *, is_frozen: bool = False) -> Engine:
    """An engine for a database URL, or for a SQLite file; connections are made when first used.

    Args:
        is_frozen: the file lies where nothing can be written, not even SQLite's own log beside it;
            it is read as it is.

    Raises:
        LibraryError: the URL names a database or driver that is not there.
    """
    try:
        if isinstance(where, Path):
            # Not as a URL, which takes no bytes outside UTF-8 and reads "?" and "%" as its own.
            name = f"{_uri(where)}?mode=ro&immutable=1" if is_frozen else where
            engine = create_engine(
                "sqlite:///catalog",
                creator=lambda: sqlite3.connect(
                    name, timeout=busy_timeout_s, check_same_thread=False, uri=is_frozen
                ),
                pool_size=IDLE_CONNECTIONS,
                max_overflow=-1,  # as many threads as there are
                pool_use_lifo=True,  # one thread alone has one connection
            )
            if is_frozen:
                event.listen(engine, "connect", _begin_by_hand)
                event.listen(engine, "begin", _begin_sqlite)
                return engine
        elif where.startswith("sqlite"):
            engine = create_engine(where, connect_args={"timeout": busy_timeout_s})
        else:
            # As with SQLite, all that a transaction reads is of one moment.
            return create_engine(where, isolation_level="REPEATABLE READ")
    except Exception as error:  # SQLAlchemy raises ArgumentError, NoSuchModuleError, ImportError…
        raise LibraryError(f"the catalog URL {str(where)!r} cannot be used: {error}") from error
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _uri(path: Path) -> str:
    """The file as SQLite's URI; its bytes are kept, whatever they are."""
    return "file:" + urllib.parse.quote_from_bytes(os.fsencode(path))


def _begin_by_hand(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # we begin transactions, see `_begin_sqlite`
    _add_mathematics(connection)


def _add_mathematics(connection: Any) -> None:
    """Give SQLite the functions that distances need, where it was built without them."""
    try:
        connection.execute("SELECT sin(1), cos(1), radians(1)").fetchall()
    except sqlite3.OperationalError:
        for name, function in (("sin", math.sin), ("cos", math.cos), ("radians", math.radians)):
            connection.create_function(name, 1, _or_null(function), deterministic=True)


def _or_null(function: Callable[[float], float]) -> Callable[[float | None], float | None]:
    return lambda value: None if value is None else function(value)


def _configure_sqlite(connection: Any, record: object) -> None:
    _begin_by_hand(connection, record)
    cursor = connection.cursor()
    try:
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.execute("PRAGMA cache_size=-65536")  # KiB: 64 MiB, pages of the indexes being filled
        cursor.execute(
            "PRAGMA wal_autocheckpoint=4000"
        )  # pages of 4 KiB: the log stays near 16 MiB
    finally:
        cursor.close()


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn the database's own errors inside the block into ours; `what` names the catalog."""
    try:
        yield
    except DatabaseError as error:
        raise _translate(error, what) from error
    except sqlite3.DatabaseError as error:
        raise _by_text(str(error), what) from error


def _translate(error: DatabaseError, what: str) -> LibraryError:
    if isinstance(error, OperationalError) or isinstance(error.orig, sqlite3.DatabaseError):
        return _by_text(str(error.orig), what)
    return LibraryError(f"the catalog {what} refused a statement: {error.orig}")


def _by_text(text: str, what: str) -> LibraryError:
    if "full" in text or "No space left" in text or ("disk I/O" in text and "quota" in text):
        return LibraryFull(
            f"the disk that holds {what} is full: what was committed is kept; "
            "make room and run again"
        )
    if "locked" in text or "busy" in text:
        return LibraryLocked(
            f"the catalog {what} stays locked by another program; "
            "wait for it to end, then run again"
        )
    if "malformed" in text or "not a database" in text:
        return LibraryCorrupt(
            f"the catalog {what} is damaged ({text}); restore it from a backup, or index anew"
        )
    return LibraryError(f"the catalog {what} cannot be read or written: {text}")
