"""The catalog's URL may hold a password, which nothing shows."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pictor import open_library
from pictor.cli.main import cli
from pictor.library.config import Settings, load_settings
from pictor.library.errors import ConfigError, LibraryError
from pictor.library.store import Store

SECRET = "s3cr3t"
#: Nobody listens at port 1.
URLS = [
    f"postgresql+psycopg://me:{SECRET}@127.0.0.1:1/d",
    f"postgresql+psycopg://me@127.0.0.1:1/d?password={SECRET}",
    f"postgresql+psycopg://me:{SECRET}@127.0.0.1:1/d?no_option=1",
    f"postgresql+psycopg://me:{SECRET}@127.0.0.1:1/d?connect_timeout=soon",
    f"postgresql+psycopg://me:{SECRET}%00@127.0.0.1:1/d",
    f"postgresql+nodriver://me:{SECRET}@127.0.0.1:1/d",
    f"nodatabase://me:{SECRET}@127.0.0.1:1/d",
    f"postgresql+psycopg://me:{SECRET}",
    f"postgresql+psycopg://me:a@{SECRET}@127.0.0.1:1/d",
    f"postgresql+psycopg://me:a?{SECRET}@127.0.0.1:1/d",
    f"postgresql+psycopg://me:{SECRET}@127.0.0.1:port/d",
    f"postgresql:/me:{SECRET}@127.0.0.1/d",
    f"me:{SECRET}@127.0.0.1/d",
]


@pytest.mark.parametrize("url", URLS)
def test_no_error_and_no_traceback_shows_the_password(tmp_path: Path, url: str) -> None:
    pytest.importorskip("psycopg", reason="the driver psycopg is not installed")
    settings = Settings().with_values({"library.catalog_url": url}, "test")
    for act in (Store.create, Store.open):
        with pytest.raises(LibraryError) as caught:
            act(tmp_path / "library", settings)
        text = "".join(traceback.format_exception(caught.value))
        assert SECRET not in text and SECRET not in repr(caught.value.args)
    assert SECRET not in repr(settings)


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("more", [[], ["--json"]])
def test_no_verb_prints_the_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, more: list[str]
) -> None:
    monkeypatch.setenv("PICTOR_LIBRARY__CATALOG_URL", url)
    monkeypatch.setenv("PICTOR_LIBRARY", str(tmp_path / "library"))
    shown = CliRunner().invoke(cli, ["config", "show", *more])
    assert shown.exit_code == 0 and "library.catalog_url" in shown.output
    failed = CliRunner().invoke(cli, ["status", *more])
    assert failed.exit_code == 1 and failed.output.startswith("Error: the catalog ")
    assert SECRET not in shown.output + failed.output


@pytest.mark.parametrize("scheme", ["mysql", "mysql+pymysql", "mssql", "postgres", "nodatabase"])
def test_another_database_is_refused_by_the_names_of_those_that_serve(
    tmp_path: Path, scheme: str
) -> None:
    url = f"{scheme}://me:{SECRET}@127.0.0.1:1/d"
    settings = Settings().with_values({"library.catalog_url": url}, "test")
    with pytest.raises(LibraryError, match=r"is stored in SQLite, or in PostgreSQL \(p") as caught:
        Store.create(tmp_path / "library", settings)
    assert f"'{scheme}://me:***@127.0.0.1:1/d'" in str(caught.value)


def test_a_catalog_url_that_is_no_text_is_not_repeated(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(f'[library]\ncatalog_url = ["postgresql://me:{SECRET}@h/d"]\n')
    with pytest.raises(ConfigError, match="must be of type str, not list") as caught:
        load_settings(file, {})
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_what_a_server_refuses_is_told_without_the_password(
    tmp_path: Path, postgresql_url: str
) -> None:
    url = postgresql_url.replace("pictor@", f"nobody:{SECRET}@")
    settings = Settings().with_values({"library.catalog_url": url}, "test")
    with pytest.raises(LibraryError, match=r"nobody:\*\*\*@.*\"nobody\" does not exist") as caught:
        Store.create(tmp_path / "library", settings)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_statements_that_fail_are_told_without_the_password(
    tmp_path: Path, postgresql_url: str
) -> None:
    url = postgresql_url.replace("pictor@", f"pictor:{SECRET}@")
    settings = Settings().with_values({"library.catalog_url": url}, "test")
    with Store.create(tmp_path / "library", settings) as library:
        with pytest.raises(LibraryError) as caught, library.reading() as connection:
            connection.exec_driver_sql("SELECT nothing FROM nowhere")
        engine: Any = library._engine
    assert SECRET not in "".join(traceback.format_exception(caught.value)) + repr(engine)


def test_a_url_is_no_library_and_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"postgresql://ada:{SECRET}@db.example/photos"
    with pytest.raises(LibraryError, match=r"not a URL \(postgresql:…\)") as caught:
        open_library(url)
    assert SECRET not in str(caught.value)
    monkeypatch.setenv("PICTOR_LIBRARY", url)
    with pytest.raises(LibraryError, match="catalog_url"):
        open_library()
