"""One library on disk: its catalog, its spaces, its caches. The only place that commits.

A library is a folder:

    catalog.sqlite      the truth (unless `library.catalog_url` names another database)
    settings.toml       optional settings of this library
    write.lock          held by the one writer
    cache/space-N/      index and text tower of space N; may be deleted at any time

Opening one reads a few rows. Towers and indexes are opened when first asked for.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

from sqlalchemy import Connection, inspect, text

from pictor.library.catalog import facts, words
from pictor.library.catalog import spaces as catalog_spaces
from pictor.library.catalog.connect import WRITES, open_engine, translated
from pictor.library.catalog.files import count_rows, now
from pictor.library.catalog.rows import SpaceRow
from pictor.library.catalog.schema import FILE, RUN, SCHEMA_REVISION
from pictor.library.config import SETTINGS_FILE, Settings, load_settings
from pictor.library.errors import (
    LibraryCorrupt,
    LibraryError,
    LibraryNotFound,
    LibraryTooNew,
    QueryError,
    quoted,
    shortened,
)
from pictor.library.lock import write_lock
from pictor.library.names import shown_url

CATALOG_FILE = "catalog.sqlite"
_LOCK_FILE = "write.lock"
#: What may lie where a library is made: its settings, what an older one left, a new disk's own.
_OWN_NAMES = frozenset({SETTINGS_FILE, "cache", "lost+found"})
#: What a new library consists of.
_MADE_NAMES = f"{CATALOG_FILE} {CATALOG_FILE}-wal {CATALOG_FILE}-shm cache {_LOCK_FILE} write.owner"
#: Revisions a release can upgrade from; anything else was written by a newer one.
OLDER_REVISIONS = ("0001", "0002", "0003", "0004")


class Store:
    """An open library. Close it, or use it in a `with` block.

    Attributes:
        path: its folder, absolute.
        settings: those it was opened with.
        library_id: a UUID made with the library; caches carry it.
    """

    def __init__(self, path: Path, settings: Settings, *, is_frozen: bool = False) -> None:
        """Use `Store.open` or `Store.create`."""
        self.path = path
        self.settings = settings
        where = settings.library.catalog_url or path / CATALOG_FILE
        wait_s = settings.library.busy_timeout_s
        self._engine = open_engine(where, wait_s, is_frozen=is_frozen)
        self._is_frozen = is_frozen
        self._writing_engine = self._engine.execution_options(**{WRITES: True})
        url = settings.library.catalog_url
        self._catalog_name = shown_url(url) or repr(str(path / CATALOG_FILE))
        self.library_id = ""
        self._is_closed = False
        #: What came to be on the disk with a library that this object made, the innermost first.
        self._made: list[Path] = []

    @classmethod
    def open(cls, path: Path, settings: Settings | None = None) -> Store:
        """The library in folder `path`.

        Raises:
            LibraryNotFound: there is none, or its creation was interrupted while it was empty.
            LibraryTooNew: a newer release wrote it.
            LibraryCorrupt: the catalog is damaged.
        """
        path = Path(os.path.abspath(path))
        settings = settings or settings_of(path)
        if not settings.library.catalog_url and not (path / CATALOG_FILE).is_file():
            raise LibraryNotFound(
                f"there is no library at {str(path)!r}; create one with: pictor index FOLDER"
            )
        try:
            return cls._checked(path, settings)
        except LibraryError:
            if settings.library.catalog_url or not _can_be_read_frozen(path):
                raise
        return cls._checked(path, settings, is_frozen=True)

    @classmethod
    def _checked(
        cls, path: Path, settings: Settings, *, is_frozen: bool = False, is_new: bool = False
    ) -> Store:
        library = cls(path, settings, is_frozen=is_frozen)
        try:
            if is_new and library._revision() is None:
                with write_lock(path):
                    library._upgrade()
                library._made = [path]
            library._check_schema()
        except BaseException:
            library.close()
            raise
        return library

    @classmethod
    def create(cls, path: Path, settings: Settings | None = None) -> Store:
        """The library in folder `path`, made if it is not there; a kill leaves all or nothing.

        Raises:
            LibraryError: the folder cannot be made, or holds files of others and no library.
        """
        path = Path(os.path.abspath(path))
        settings = settings or settings_of(path)
        _refuse_among_others(path)
        folders = [one for one in (path, *path.parents) if not one.exists()]
        names = [path / name for name in _MADE_NAMES.split() if not (path / name).exists()]
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LibraryError(
                f"the library folder {str(path)!r} cannot be created: {error.strerror}"
            ) from error
        try:
            library = cls._checked(path, settings, is_new=True)
        except LibraryError:
            _remove(folders)
            raise
        library._made = [*names, *folders] if library._made else []
        return library

    def discard_unused(self) -> bool:
        """Close and remove a library that this object made and no run filled; whether it did."""
        if not self._made or self.settings.library.catalog_url:
            return False
        with suppress(LibraryError), write_lock(self.path):
            with self.reading() as connection:
                ended = count_rows(connection, RUN, RUN.c.state != "running")
                if ended or count_rows(connection, FILE):
                    return False
            self.close()
            _remove(self._made)
        return self._is_closed

    def close(self) -> None:
        """Give back the catalog's connections; one in use, when its block ends."""
        self._is_closed = True
        self._engine.dispose()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- transactions

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A consistent view of the catalog; never blocked by the writer.

        Raises:
            ValueError: the library was closed.
        """
        self._check_open()
        with translated(self._catalog_name), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction: all of the block is committed, or nothing. Hold `writer()`.

        The word index follows in the same transaction, so it never lags behind what is committed.
        """
        self._check_open()
        with translated(self._catalog_name), self._writing_engine.begin() as connection:
            yield connection
            words.catch_up(connection)

    @contextmanager
    def writer(self) -> Iterator[None]:
        """Be the one writer for the length of the block.

        Raises:
            LibraryLocked: another process is.
        """
        if self._is_frozen:
            raise LibraryError(
                f"the library {str(self.path)!r} cannot be written: its disk is full or read-only, "
                "or it is another user's; it can be searched, but not be changed"
            )
        with write_lock(self.path):
            yield

    def _check_open(self) -> None:
        if self._is_closed:
            raise ValueError(f"the library {str(self.path)!r} was closed; open it again")

    # --- spaces

    def spaces(self) -> list[SpaceRow]:
        """Every space, the default one first."""
        with self.reading() as connection:
            return catalog_spaces.spaces(connection)

    def space(self, encoder: str | None = None) -> SpaceRow:
        """The default space, or the newest one of an encoder: its id, the end of it, or an alias.

        Raises:
            QueryError: there is none; the message lists those there are.
        """
        rows = self.spaces()
        if not rows:
            raise QueryError(
                f"the library {str(self.path)!r} is empty; index a folder: pictor index FOLDER"
            )
        return rows[0] if encoder is None else space_named(rows, encoder)

    def cache_dir(self, space: SpaceRow, kind: str) -> Path:
        """Where a cache of a space lives: `kind` is "index", "text", "image", "background"…"""
        return self.path / "cache" / f"space-{space.id}" / kind

    # --- schema

    def _revision(self) -> str | None:
        with self.reading() as connection:
            if not inspect(connection).has_table("alembic_version"):
                return None
            revision = connection.scalar(text("SELECT version_num FROM alembic_version"))
            return None if revision is None else str(revision)

    def _check_schema(self) -> None:
        revision = self._revision()
        if revision in OLDER_REVISIONS:
            with write_lock(self.path):
                self._upgrade()
        elif revision is None:
            self._refuse_without_revision()
        elif revision != SCHEMA_REVISION:
            raise LibraryTooNew(
                f"the library {str(self.path)!r} has schema {revision!r}, written by a newer "
                f"pictor than this one, which knows {SCHEMA_REVISION!r}; update pictor"
            )
        with self.reading() as connection:
            found = facts.get(connection, "library_id")
        if found is None:
            raise LibraryCorrupt(f"the catalog {self._catalog_name} has lost its library id")
        self.library_id = found

    def _refuse_without_revision(self) -> NoReturn:
        with self.reading() as connection:
            tables = inspect(connection).get_table_names()
        if not tables:
            raise LibraryNotFound(
                f"the library at {str(self.path)!r} is empty: its creation was interrupted; "
                "create it again with: pictor index FOLDER"
            )
        raise LibraryCorrupt(
            f"the catalog {self._catalog_name} is another program's: it has the table "
            f"{tables[0]!r} and none of pictor's; name another folder with --library"
        )

    def _upgrade(self) -> None:
        from pictor.library.catalog.migrate import upgrade

        with self.writing() as connection:
            upgrade(connection)
            if facts.get(connection, "library_id") is None:
                facts.put(connection, "library_id", str(uuid.uuid4()))
                facts.put(connection, "created_at", now())


def _refuse_among_others(path: Path) -> None:
    """Raise if a new library would come to lie among files that are not of a library.

    A folder with a lock is one: what it belongs to may lie in another database. Hidden files and
    what a fresh file system holds (lost+found) are nobody's.
    """
    try:
        names = set(os.listdir(path))
    except OSError:  # it is not there, or making it will say what is wrong
        return
    foreign = sorted(n for n in names - _OWN_NAMES if not n.startswith((".", CATALOG_FILE)))
    if foreign and not names & {CATALOG_FILE, _LOCK_FILE}:
        raise LibraryError(
            f"cannot create a library in {str(path)!r}, which contains other files, such as "
            f"{quoted(foreign[0])}; name a new or empty folder with --library"
        )


def _remove(paths: Sequence[Path]) -> None:
    """Remove files, folders of caches, and other folders where they are empty."""
    for path in paths:
        if path.name == "cache":
            shutil.rmtree(path, ignore_errors=True)
        with suppress(OSError):
            path.rmdir() if path.is_dir() else path.unlink()


def _can_be_read_frozen(path: Path) -> bool:
    """Whether a catalog that cannot be opened as usual is whole in its one file.

    SQLite keeps a log beside a database that is open. On read-only media, in another user's folder
    or on a full disk it cannot make one; where none was left behind, none is needed to read.
    """
    log = path / f"{CATALOG_FILE}-wal"
    return not log.exists() or log.stat().st_size == 0


def settings_of(path: Path) -> Settings:
    """The settings of the library at `path`: defaults, its own settings.toml, the environment."""
    return load_settings(library=path)


def space_named(spaces: Sequence[SpaceRow], encoder: str) -> SpaceRow:
    """The newest space of an encoder: its id, the last part of it, a folder, or a short name.

    Raises:
        QueryError: there is none; the message lists those there are.
    """
    wanted = {encoder, os.path.abspath(encoder)}
    named = [row for row in spaces if {row.encoder, row.encoder.rpartition("/")[2]} & wanted]
    if not named:
        from pictor.library.encoders.cards import id_of

        named = [row for row in spaces if row.encoder == id_of(encoder)]
    if not named:
        have = ", ".join(row.encoder for row in spaces)
        raise QueryError(
            f"the library has no space of encoder {quoted(encoder)}, only of {have}; "
            f"fill one with: pictor index --encoder {shortened(encoder)}"
        )
    return max(named, key=lambda row: row.id)
