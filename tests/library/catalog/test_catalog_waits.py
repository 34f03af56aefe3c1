"""On PostgreSQL a library waits no longer than `library.busy_timeout_s`, and says what to do."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest
from sqlalchemy import update

from pictor.library.catalog import connect
from pictor.library.catalog.schema import META, ROOT
from pictor.library.config import Settings
from pictor.library.errors import LibraryError, LibraryLocked
from pictor.library.store import Store

WAY_OUT = "pg_stat_activity.* or raise library.busy_timeout_s"


def settings(url: str, busy_timeout_s: float) -> Settings:
    values = {"library.catalog_url": url, "library.busy_timeout_s": busy_timeout_s}
    return Settings().with_values(values, "test")


def test_a_lock_that_another_program_holds_is_waited_for_as_long_as_set(
    tmp_path: Path, postgresql_url: str
) -> None:
    import psycopg

    with Store.create(tmp_path / "library", settings(postgresql_url, 0.3)) as library:
        plain = postgresql_url.replace("postgresql+psycopg", "postgresql")
        with psycopg.connect(plain) as other:
            other.execute("LOCK TABLE root IN ACCESS EXCLUSIVE MODE")
            for act in (library.reading, library.writing):
                started = time.monotonic()
                with pytest.raises(LibraryLocked, match=WAY_OUT), act() as connection:
                    connection.execute(update(ROOT).values(detail=""))
                assert 0.2 < time.monotonic() - started < 5
        with library.writing() as connection:
            connection.execute(update(ROOT).values(detail=""))


def test_another_programs_change_of_the_same_row_asks_to_run_again(
    tmp_path: Path, postgresql_url: str
) -> None:
    import psycopg

    change = update(META).values(value="x")
    with Store.create(tmp_path / "library", settings(postgresql_url, 5)) as library:
        plain = postgresql_url.replace("postgresql+psycopg", "postgresql")
        with (
            psycopg.connect(plain) as other,
            pytest.raises(LibraryLocked, match="run again"),
            library.writing() as connection,
        ):
            connection.execute(change.where(META.c.key == "none"))
            other.execute("UPDATE meta SET value = value")
            other.commit()
            connection.execute(change)


def test_a_statement_has_an_end_and_a_broken_connection_a_way_out(
    tmp_path: Path, postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect, "LONGEST_STATEMENT_S", 1)
    with Store.create(tmp_path / "library", settings(postgresql_url, 0)) as library:
        with pytest.raises(LibraryLocked, match="too long"), library.reading() as connection:
            connection.exec_driver_sql("SELECT pg_sleep(60)")
        with pytest.raises(LibraryError, match="is the server up"), library.reading() as connection:
            connection.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")


@pytest.mark.slow
def test_a_server_that_does_not_answer_is_given_up(tmp_path: Path) -> None:
    pytest.importorskip("psycopg", reason="the driver psycopg is not installed")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql+psycopg://me@127.0.0.1:{silent.getsockname()[1]}/d"
        started = time.monotonic()
        with pytest.raises(LibraryError, match="is the server up"):
            Store.create(tmp_path / "library", settings(url, 0.5))
    assert time.monotonic() - started < 20
