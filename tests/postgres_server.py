"""A PostgreSQL server for tests: one a session, on loopback, with nothing kept and nothing synced.

Tests that ask for `postgresql_url` are skipped where no server or no driver is installed.
"""

from __future__ import annotations

import glob
import os
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

START_TIMEOUT_S = 60


def program(name: str) -> str | None:
    """Where a program of the server is; distributions keep them off the path."""
    found = shutil.which(name)
    return found or max(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"), default=None)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The URL of a running server, without a database's name."""
    pytest.importorskip("psycopg", reason="the driver psycopg is not installed")
    initdb, postgres = program("initdb"), program("postgres")
    if initdb is None or postgres is None:
        pytest.skip("no PostgreSQL server is installed")
    # Beside pytest's own folders, which only this user may enter: as root it runs as another one.
    folder = Path(tempfile.mkdtemp(prefix="pictor-postgresql-"))
    as_user = _as_server_user(folder)
    data = folder / "data"
    options = ["--auth=trust", "--username=pictor", "--encoding=UTF8", "--no-sync"]
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "cwd": folder} | as_user
    try:
        subprocess.run([initdb, "-D", data, "--locale=C", *options], check=True, **quiet)
        port = _free_port()
        settings = ("fsync=off", "listen_addresses=127.0.0.1", "unix_socket_directories=")
        flags = [part for setting in settings for part in ("-c", setting)]
        server = subprocess.Popen(
            [postgres, "-D", data, "-p", str(port), *flags], stderr=subprocess.DEVNULL, **quiet
        )
        try:
            url = f"postgresql+psycopg://pictor@127.0.0.1:{port}"
            _wait_until_it_answers(url, server)
            yield url
        finally:
            server.terminate()
            server.wait(timeout=START_TIMEOUT_S)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgresql_url(postgresql_server: str) -> Iterator[str]:
    """The URL of a fresh, empty database."""
    import psycopg

    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(_conninfo(postgresql_server), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield f"{postgresql_server}/{name}"
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _conninfo(url: str) -> str:
    return url.replace("postgresql+psycopg", "postgresql") + "/postgres"


def _as_server_user(folder: Path) -> dict[str, Any]:
    """The server refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    import pwd

    try:
        user = pwd.getpwnam("postgres")
    except KeyError:
        pytest.skip("the server does not run as root, and there is no user 'postgres'")
    os.chown(folder, user.pw_uid, user.pw_gid)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _wait_until_it_answers(url: str, server: subprocess.Popen[bytes]) -> None:
    import psycopg

    deadline = time.monotonic() + START_TIMEOUT_S
    while server.poll() is None and time.monotonic() < deadline:
        try:
            psycopg.connect(_conninfo(url)).close()
            return
        except psycopg.OperationalError:
            time.sleep(0.1)
    pytest.skip("the PostgreSQL server did not start")
