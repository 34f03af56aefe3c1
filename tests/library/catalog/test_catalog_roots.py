"""Ten thousand roots: more than SQLite takes as one expression, or PostgreSQL as values."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import LargeBinary, cast, insert, literal

from pictor.library.catalog import contents, files, filters, removals
from pictor.library.catalog.filter_sql import item_ids, items_among, newest_first, share
from pictor.library.catalog.photos import photos_at
from pictor.library.catalog.schema import CONTENT, FILE, ITEM, ROOT
from pictor.library.catalog.spaces import vectors_of
from pictor.library.config import Settings
from pictor.library.purge import purge
from pictor.library.status import status
from pictor.library.store import Store

ROOTS = 10_000
KINDS = ("folder", "file", "list", "archive")


def place(i: int) -> tuple[str, bytes, bytes]:
    """(kind, location, path in it) of the i-th root's one file, in /many/half0 or /many/half1."""
    kind = KINDS[i % 4]
    top = f"/many/half{i // 4 % 2}"
    location, path = {
        "folder": (f"{top}/folder{i}", f"sub{i % 10}/a.jpg"),
        "file": (f"{top}/sub{i % 10}/{i}.jpg", ""),
        "list": (f"/lists/{i}.txt", f"{top}/sub{i % 10}/{i}.jpg"),
        "archive": (f"{top}/{i}.zip", f"sub{i % 10}/a.jpg"),
    }[kind]
    return kind, location.encode(), path.encode()


def fill(library: Store) -> None:
    with library.writing() as connection:
        run_id = files.start_run(connection)
        rows = [(i, *place(i)) for i in range(1, ROOTS + 1)]
        connection.execute(
            insert(ROOT),
            [
                {"id": i, "kind": kind, "location": location, "options": {}}
                for i, kind, location, _ in rows
            ],
        )
        facts = {"size_bytes": 1, "outcome": "indexed", "width": 1, "height": 1, "format": "JPEG"}
        connection.execute(
            insert(CONTENT), [{"id": i, "hash": i.to_bytes(32, "big")} | facts for i, *_ in rows]
        )
        frame = {"position": 0, "width": 1, "height": 1}
        connection.execute(insert(ITEM), [{"id": i, "content_id": i} | frame for i, *_ in rows])
        known = {"size_bytes": 1, "mtime_ns": 0, "outcome": "indexed", "run_id": run_id}
        connection.execute(
            insert(FILE),
            [
                {"id": i, "root_id": i, "path": path, "content_id": i} | known
                for i, _, _, path in rows
            ],
        )


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.processes)])
def many(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A library of 10,000 roots, a file in each."""
    settings = Settings()
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql_url")
        settings = settings.with_values({"library.catalog_url": url}, "test")
    with Store.create(tmp_path / "library", settings) as library:
        fill(library)
        yield library


def expected(wanted: Any) -> list[int]:
    return [i for i in range(1, ROOTS + 1) if wanted(i, *place(i))]


def in_sub3(i: int, kind: str, location: bytes, path: bytes) -> bool:
    return i % 10 == 3


def in_half1(i: int, kind: str, location: bytes, path: bytes) -> bool:
    return i // 4 % 2 == 1


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_ten_thousand_roots_are_filtered_counted_and_purged(many: Store) -> None:
    check_filters(many)
    check_paths(many)
    check_counts(many)
    check_one_name(many)


def check_filters(many: Store) -> None:
    sub3 = filters.InFolder(b"sub3")
    asked = [
        (sub3, in_sub3),
        (filters.Not(sub3), lambda *at: not in_sub3(*at)),
        (filters.InFolder(b"/many/half1"), in_half1),
        (filters.InFolder(b"/many/half1/"), in_half1),
        (filters.InFolder(b"half1"), in_half1),
        (filters.InFolder(b"/many"), lambda *at: True),
        (filters.InFolder(b"/elsewhere"), lambda *at: False),
        (filters.InFolder(b"/many/half0/folder8/sub8"), lambda i, *_: i == 8),
        (filters.InRoot(b"/many/half0/folder8"), lambda i, *_: i == 8),
    ]
    with many.reading() as connection:
        for wanted, holds in asked:
            want = expected(holds)
            assert item_ids(connection, wanted).tolist() == want, wanted
            assert newest_first(connection, wanted) == want
            some = np.arange(1, 3_001)
            assert items_among(connection, wanted, some).tolist() == [i for i in want if i <= 3000]
            assert share(connection, wanted) == pytest.approx(len(want) / ROOTS, abs=0.15)


def check_counts(many: Store) -> None:
    with many.reading() as connection:
        scopes = [files.in_scope(i) for i in range(1, ROOTS + 1)]
        assert files.count(connection, scopes, missing=False) == ROOTS
    found = status(many)
    assert (found.files, len(found.roots)) == (ROOTS, ROOTS)
    gone = [place(i)[1] for i in range(1, 1_201) if i != 16]
    assert purge(many, gone) == (1_199, 1_199)
    assert status(many).files == ROOTS - 1_199


def check_one_name(many: Store) -> None:
    with many.writing() as connection:
        same = {
            "location": cast(ROOT.c.location.op("||")(literal(b"/DCIM")), LargeBinary),
            "kind": "folder",
        }
        connection.execute(ROOT.update().values(**same))
    # A combination of filters, each of which names every root.
    every = filters.AnyOf(tuple(filters.InRoot(b"DCIM") for _ in range(8)))
    with many.reading() as connection:
        assert len(item_ids(connection, every)) == ROOTS - 1_199


def check_paths(many: Store) -> None:
    with many.writing() as connection:
        same = {"location": b"/many/half0/folder8/sub8/a.jpg", "kind": "file"}
        connection.execute(ROOT.update().where(ROOT.c.id == 16).values(**same))
        connection.execute(FILE.update().where(FILE.c.id == 16).values(path=b""))
    with many.reading() as connection:
        at = b"/many/half0/folder8/sub8/a.jpg"
        rows = removals.known_files(connection, at)
        assert [(row.file_id, row.root_kind) for row in rows] == [(8, "folder"), (16, "file")]
        assert (rows[0].folder, rows[0].inside) == (b"/many/half0/folder8", b"sub8/a.jpg")
        assert (rows[1].folder, rows[1].inside) == (b"/many/half0/folder8/sub8", b"a.jpg")
        listed = removals.known_files(connection, b"/many/half0/sub2/2.jpg")
        assert [(row.file_id, row.inside) for row in listed] == [(2, b"2.jpg")]
        assert removals.contents_at(connection, b"/many/half0/3.zip!/sub3/a.jpg")
        under = {
            b"/many": True,
            b"/many/half0/folder8/sub8": True,
            b"/many/half0/folder8/sub9": False,
            b"/many/half0/sub2": True,
            b"/many/half0/3.zip!/sub3": True,
            b"/elsewhere": False,
        }
        for folder, is_there in under.items():
            assert removals.has_files_under(connection, folder) is is_there, folder
        paths = [place(i)[1] + b"/" + place(i)[2] for i in range(8, ROOTS + 1, 8)]
        paths += [place(i)[1] for i in range(1, ROOTS + 1, 8)]
        paths += [place(i)[2] for i in range(2, ROOTS + 1, 8)]
        found = photos_at(connection, paths)
        assert len(found) == len(paths) - 1  # the file of root 16 is elsewhere now
        assert found[at].item_id == 8


def test_facts_of_any_number_of_items_are_read(tmp_path: Path) -> None:
    with Store.create(tmp_path / "library") as library, library.reading() as connection:
        assert vectors_of(connection, 1, list(range(100_000))) == {}
        assert contents.items(connection, range(100_000)) == {}


def test_a_run_scans_thousands_of_roots(world: Any) -> None:
    folders = [world.root / str(i) for i in range(1_200)]
    for folder in folders:
        folder.mkdir()
    world.draw("77/a.png", 1)
    assert world.index(*folders).items == 1
    world.draw("1199/b.png", 2)
    summary = world.index_named([])
    assert (summary.unchanged, summary.indexed, summary.items) == (1, 1, 2)
