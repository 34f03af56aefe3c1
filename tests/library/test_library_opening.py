"""Making and opening a library: half made, newer, foreign, damaged, oddly named; and its lock."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from small_world import World

from pictor import open_library
from pictor.library.catalog import spaces
from pictor.library.config import Settings
from pictor.library.encoders.cards import find_card
from pictor.library.errors import (
    LibraryCorrupt,
    LibraryError,
    LibraryFull,
    LibraryLocked,
    LibraryNotFound,
    LibraryTooNew,
    QueryError,
)
from pictor.library.store import Store
from pictor.search.routes import route


def test_opening_nothing_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(LibraryNotFound, match="create one with: pictor index"):
        Store.open(tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_library_whose_making_was_cut_short_is_made_again(world: World) -> None:
    """SQLite makes the file before its first transaction: a kill there leaves it empty."""
    world.path.mkdir()
    (world.path / "catalog.sqlite").touch()
    world.draw("a.png")
    with pytest.raises(LibraryNotFound, match="creation was interrupted"):
        Store.open(world.path)
    with open_library(world.path) as library:
        assert library.index([world.root]).indexed == 1


def test_a_space_is_found_by_its_id_the_end_of_it_and_a_short_name(world: World) -> None:
    card = find_card("google/siglip2-base-patch16-224")
    with Store.create(world.path) as library:
        with library.writer(), library.writing() as connection:
            space = spaces.add_space(connection, card, default=True)
        for name in (card.id, "siglip2-base-patch16-224", "siglip2", "SigLIP2"):
            assert library.space(name).id == space
            assert [one.id for one in route("a dog", library.spaces(), name)] == [space]
        with pytest.raises(QueryError, match="no space of encoder 'chinese-clip'"):
            library.space("chinese-clip")


def test_making_a_library_is_all_or_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    import pictor.library.store

    def broken() -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(pictor.library.store, "now", broken)  # after the tables were made
    with pytest.raises(KeyboardInterrupt):
        Store.create(world.path)
    monkeypatch.undo()
    assert world.sql("SELECT * FROM sqlite_master") == []
    with Store.create(world.path) as made:
        assert made.library_id


def test_a_newer_library_is_refused(world: World) -> None:
    Store.create(world.path).close()
    world.sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(LibraryTooNew, match=r"'9999'.*update pictor"):
        Store.open(world.path)


def test_a_library_without_its_id_is_corrupt(world: World) -> None:
    Store.create(world.path).close()
    world.sql("DELETE FROM meta")
    with pytest.raises(LibraryCorrupt, match="library id"):
        Store.open(world.path)


def test_a_file_that_is_no_database_is_corrupt(world: World) -> None:
    world.path.mkdir()
    (world.path / "catalog.sqlite").write_bytes(b"not a database at all " * 100)
    with pytest.raises(LibraryCorrupt, match="damaged"):
        Store.open(world.path)


def test_the_database_of_another_program_is_left_alone(world: World) -> None:
    world.path.mkdir()
    world.sql("CREATE TABLE theirs (x)")
    with pytest.raises(LibraryCorrupt, match=r"another program's.*'theirs'"):
        Store.open(world.path)


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LibraryError, match="cannot be created"):
        Store.create(tmp_path / "file")


def test_a_library_is_not_made_among_the_files_of_others(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "one.jpg").touch()
    with pytest.raises(LibraryError, match=r"contains other files, such as 'one.jpg'; name a new"):
        Store.create(photos)
    assert os.listdir(photos) == ["one.jpg"]


def test_a_library_is_made_beside_its_settings_and_stays_one_beside_anything(
    tmp_path: Path,
) -> None:
    home = tmp_path / "photos"
    home.mkdir()
    (home / "settings.toml").write_text("[search]\ntop = 3\n")
    (home / ".DS_Store").touch()
    (home / "cache").mkdir()
    with Store.create(home) as made:
        assert made.settings.search.top == 3
    (home / "notes.txt").touch()
    with Store.create(home) as again:
        assert again.library_id == made.library_id


@pytest.mark.parametrize(
    "name", [b"what?#100%", "图库".encode(), b"not-utf8-\xff", b"a 'quoted' b"]
)
def test_any_name_of_a_folder_works(world: World, name: bytes) -> None:
    world.path = Path(os.fsdecode(os.fsencode(world.folder) + b"/" + name))
    world.draw("a.png")
    assert world.index().indexed == 1
    assert len(world.search("a picture")) == 1
    assert (world.path / "catalog.sqlite").is_file()


# --- one writer


def test_a_second_writer_is_refused_and_told_who_writes(world: World) -> None:
    refused = pytest.raises(LibraryLocked, match=f"process {os.getpid()};")
    two = Store.create(world.path)
    with Store.open(world.path) as one, one.writer(), refused, two.writer():
        pass
    two.close()
    with Store.open(world.path) as two, two.writer():  # it is free again
        pass


def test_a_killed_writer_leaves_the_lock_free(world: World) -> None:
    Store.create(world.path).close()
    code = (
        "import sys, time; from pathlib import Path; from pictor.library.store import Store\n"
        "with Store.open(Path(sys.argv[1])).writer(): print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(world.path)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        with Store.open(world.path) as library:
            with pytest.raises(LibraryLocked, match=f"process {process.pid};"), library.writer():
                pass
            process.send_signal(signal.SIGKILL)
            process.wait()
            with library.writer():
                pass


def test_readers_see_the_last_commit_while_a_writer_is_in_a_transaction(world: World) -> None:
    world.draw("a.png")
    world.index()
    with world.open() as library, library.writing() as connection:
        connection.exec_driver_sql("UPDATE file SET outcome = 'half'")
        started = time.monotonic()
        assert len(world.search("a picture")) == 1
        assert world.files()["a.png"][0] == "indexed"
        assert time.monotonic() - started < 5


def test_a_catalog_locked_by_another_program_is_waited_for_and_then_refused(world: World) -> None:
    Store.create(world.path).close()
    world.set(library__busy_timeout_s=0.3)
    foreign = sqlite3.connect(world.path / "catalog.sqlite", isolation_level=None)
    foreign.execute("BEGIN IMMEDIATE")
    world.draw("a.png")
    started = time.monotonic()
    with pytest.raises(LibraryLocked, match="stays locked by another program") as caught:
        world.index()
    assert 0.25 < time.monotonic() - started < 10
    assert "\n" not in str(caught.value)
    foreign.execute("ROLLBACK")
    foreign.close()
    assert world.index().indexed == 1


def test_a_foreign_transaction_that_ends_in_time_is_waited_out(world: World) -> None:
    """A transaction that reads first and writes later could not wait: it takes the lock at once."""
    Store.create(world.path).close()
    world.draw("a.png")
    foreign = sqlite3.connect(
        world.path / "catalog.sqlite", isolation_level=None, check_same_thread=False
    )
    foreign.execute("BEGIN IMMEDIATE")
    foreign.execute("CREATE TABLE theirs (x)")
    release = threading.Timer(0.5, lambda: foreign.execute("COMMIT"))
    release.start()
    assert world.index().indexed == 1
    release.join()
    foreign.close()


# --- a full disk


def limit_pages(library: Store, pages: int) -> None:
    """Let the database grow to so many pages, on every connection made from now on."""
    from sqlalchemy import event

    def connect(connection: sqlite3.Connection, _: object) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages}")

    library._engine.dispose()
    event.listen(library._engine, "connect", connect)


def test_a_full_disk_keeps_what_was_committed_and_the_next_run_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pictor.indexer.run import index

    for i in range(40):
        world.draw(f"{i:02}.png", i)
    world.set(encoder__batch_size=4)
    Store.create(world.path).close()
    (pages,) = world.sql("PRAGMA page_count")[0]
    world.commit_always()  # so that something is committed before the disk is full
    with world.open() as library:
        limit_pages(library, pages + 4)
        with pytest.raises(LibraryFull, match="is full: what was committed is kept") as caught:
            index(library, [os.fsencode(world.root)])
    assert "\n" not in str(caught.value)
    assert world.verify().ok
    (kept,) = world.sql("SELECT count(*) FROM vector")[0]
    assert 0 < kept < 40
    world.forget_work()
    summary = world.index()
    assert (summary.unchanged, summary.indexed, world.encoded) == (kept, 40 - kept, 40 - kept)
    assert world.verify().ok


def test_settings_of_a_library_are_read_from_its_folder(world: World) -> None:
    Store.create(world.path).close()
    (world.path / "settings.toml").write_text("[search]\ntop = 3\n")
    with Store.open(world.path) as library:
        assert library.settings.search.top == 3
    with Store.open(world.path, Settings()) as library:
        assert library.settings.search.top == Settings().search.top
