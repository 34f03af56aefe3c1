"""Opening the database: the only place that knows one database from another.

A catalog's URL may hold a password: what is raised here shows it without, and so do tracebacks.

SQLite runs in WAL mode, so that readers are never blocked by the writer, with full synchronisation,
so that a commit survives a power cut. Transactions are begun by us and not by the driver, so that
schema changes are transactional too.
"""

from __future__ import annotations

import math
import os
import re
import sqlite3
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, OperationalError, SQLAlchemyError

from pictor.library.errors import LibraryCorrupt, LibraryError, LibraryFull, LibraryLocked
from pictor.library.names import is_secret, shown_url

#: Execution option of connections that will write: they take the database's write lock when they
#: begin, where they can wait for it. One that reads first and writes later cannot wait: SQLite
#: refuses it at once if another program committed in between (SQLITE_BUSY_SNAPSHOT).
WRITES = "pictor_writes"
#: A statement on a server ends after so long, or after twice `library.busy_timeout_s` if that is
#: longer: it may wait for several locks in a row. Indexes over 10 million rows are made in less.
LONGEST_STATEMENT_S = 3600
#: By PostgreSQL's SQLSTATE: what to raise, and what to say behind the catalog's name.
_WAYS_OUT: dict[str, tuple[type[LibraryError], str]] = {
    "55P03": (
        LibraryLocked,
        "stays locked by another program; pg_stat_activity on its server shows which; "
        "wait for it to end or raise library.busy_timeout_s, then run again",
    ),
    "57014": (
        LibraryLocked,
        "took too long over a statement; pg_stat_activity on its server shows what it waits for; "
        "run again when that has ended",
    ),
    "40001": (LibraryLocked, "was changed by another program at the same moment; run again"),
    "40P01": (LibraryLocked, "was deadlocked with another program; run again"),
    "53100": (
        LibraryFull,
        "is on a disk that is full: what was committed is kept; make room and run again",
    ),
}
_UNREADABLE = (
    "the catalog URL {!r} cannot be read: it is written "
    "postgresql+psycopg://USER:PASSWORD@HOST:PORT/DATABASE, "
    "with %40 %3A %2F %3F for the characters @ : / ? of a name or password"
)
#: Connections that are kept open; each of SQLite takes up to 64 MiB (`cache_size`).
IDLE_CONNECTIONS = 8
#: As many threads as there are have a connection; one thread alone has always the same.
_POOL: Any = {"pool_size": IDLE_CONNECTIONS, "max_overflow": -1, "pool_use_lifo": True}


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
            uri = f"file:{urllib.parse.quote_from_bytes(os.fsencode(where))}?mode=ro&immutable=1"
            engine = create_engine(
                "sqlite:///catalog",
                creator=lambda: sqlite3.connect(
                    uri if is_frozen else where,
                    timeout=busy_timeout_s,
                    check_same_thread=False,
                    uri=is_frozen,
                ),
                **_POOL,
            )
        elif where.startswith("sqlite"):
            engine = create_engine(where, connect_args={"timeout": busy_timeout_s})
        else:
            return _open_server(where, busy_timeout_s)
    except (ArgumentError, ValueError):  # its text, or that of its cause, may hold the password
        raise LibraryError(_UNREADABLE.format(shown_url(str(where)))) from None
    except (ImportError, SQLAlchemyError) as error:
        what = f"the catalog URL {shown_url(str(where))!r}"
        raise LibraryError(f"{what} cannot be used: {error}") from error
    event.listen(engine, "connect", _begin_by_hand if is_frozen else _configure_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _open_server(where: str, busy_timeout_s: float) -> Engine:
    url = make_url(where)
    if shown_url(where).endswith("://***"):
        raise ValueError("its parts cannot be separated")
    if url.get_backend_name() != "postgresql":
        raise LibraryError(
            f"the catalog URL {shown_url(where)!r} cannot be used: a catalog is stored in SQLite, "
            "or in PostgreSQL (postgresql+psycopg://USER:PASSWORD@HOST:PORT/DATABASE)"
        )
    secrets = {name: url.normalized_query[name][-1] for name in url.query if is_secret(name)}
    # Given apart, because an engine's own text shows them. As with SQLite, all that a transaction
    # reads is of one moment.
    engine = create_engine(
        url.difference_update_query(secrets),
        connect_args=secrets,
        isolation_level="REPEATABLE READ",
        **_POOL,
    )
    event.listen(engine, "do_connect", partial(_connect, shown_url(where), busy_timeout_s))
    event.listen(engine, "connect", partial(_configure_postgresql, busy_timeout_s))
    return engine


def _configure_postgresql(busy_timeout_s: float, connection: Any, _record: object) -> None:
    lock_ms = max(1, round(busy_timeout_s * 1000))  # 0 would be without an end
    statement_ms = max(LONGEST_STATEMENT_S * 1000, 2 * lock_ms)
    with connection.cursor() as cursor:
        cursor.execute("SET application_name = 'pictor'")
        cursor.execute(f"SET lock_timeout = {lock_ms}")
        cursor.execute(f"SET statement_timeout = {statement_ms}")
    connection.commit()


def _connect(
    what: str,
    busy_timeout_s: float,
    dialect: Any,
    _record: object,
    positional: Any,
    options: dict[str, Any],
) -> Any:
    """A connection of the driver. Its errors may say with which options it was made."""
    if dialect.driver in ("psycopg", "psycopg2"):
        options.setdefault("connect_timeout", max(2, math.ceil(busy_timeout_s)))  # libpq's least
    try:
        return dialect.connect(*positional, **options)
    except Exception as error:  # also TypeError and ValueError, for options it does not know
        text = " ".join(str(error).split())
        for name, value in options.items():
            if is_secret(name) and value:
                text = re.sub(rf"(?<!\w){re.escape(str(value))}(?!\w)", "***", text)
        raise LibraryError(
            f"the catalog {what} cannot be reached: {text}; is the server up, and is "
            "library.catalog_url right?"
        ) from None


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


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
    for pragma in (
        *("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"),
        "cache_size=-65536",  # KiB: 64 MiB, pages of the indexes being filled
        "wal_autocheckpoint=4000",  # pages of 4 KiB: the log stays near 16 MiB
    ):
        connection.execute(f"PRAGMA {pragma}").close()


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
    state = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None)
    if state is not None and state in _WAYS_OUT:
        kind, way_out = _WAYS_OUT[state]
        return kind(f"the catalog {what} {way_out}")
    if error.connection_invalidated:
        return LibraryError(
            f"the connection to the catalog {what} broke: what was committed is kept; "
            "is the server up? Then run again"
        )
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
            "wait for it to end or raise library.busy_timeout_s, then run again"
        )
    if "malformed" in text or "not a database" in text:
        return LibraryCorrupt(
            f"the catalog {what} is damaged ({text}); restore it from a backup, or index anew"
        )
    return LibraryError(f"the catalog {what} cannot be read or written: {text}")
