"""Contents, items, files and roots in the catalog: what each statement changes and leaves."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Connection, insert, or_, select, update

from pictor.library.catalog import contents, files, spaces
from pictor.library.catalog.rows import ContentChange, ContentState, FileChange
from pictor.library.catalog.schema import CONTENT, FILE, ITEM, REMOVED_VECTOR, ROOT, RUN
from pictor.library.config import Settings
from pictor.library.records import Caption, EncoderCard, Metadata, Outcome, Reason
from pictor.library.store import Store

STILL = ((0, None, 8, 6),)
VIDEO = ((0, 0.5, 8, 6), (1, 1.5, 8, 6))


def digest(number: int) -> bytes:
    return bytes([number]) * 32


def content(number: int, frames: Any = STILL, space: int | None = None, **facts: Any) -> Any:
    vectors = {space: np.full((len(frames), 2), number, np.float16)} if space else {}
    known = {"outcome": Outcome.INDEXED, "frames": frames, "vectors": vectors, **facts}
    return ContentChange(digest(number), 9, **known)


def file(path: bytes, number: int | None = 1, **facts: Any) -> FileChange:
    known = {"outcome": Outcome.INDEXED, "root_id": 1, **facts}
    return FileChange(
        path=path,
        size_bytes=9,
        mtime_ns=5,
        hash=None if number is None else digest(number),
        **known,
    )


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    """An empty library with a run, a folder "/r" as its root, and a space of two dimensions."""
    with Store.create(tmp_path / "library", Settings()) as library, library.writing() as opened:
        assert files.start_run(opened) == 1
        assert files.add_root(opened, "folder", b"/r", "dev=1") == 1
        spaces.add_space(opened, EncoderCard("one", "clip", "1", 2), default=True)
        yield opened


def apply(
    connection: Connection, made: list[Any], found: list[FileChange] | None = None, **more: Any
) -> None:
    contents.apply(connection, 1, made, found or [], **more)


def items(connection: Connection) -> list[tuple[int, int, int]]:
    """(id, content, position) of every item."""
    columns = (ITEM.c.id, ITEM.c.content_id, ITEM.c.position)
    return [tuple(row) for row in connection.execute(select(*columns).order_by(ITEM.c.id))]


def paths(connection: Connection, *columns: str) -> list[Any]:
    rows = connection.execute(select(*FILE.c["path", *columns]).order_by(FILE.c.path))
    return [row[0] if not columns else tuple(row) for row in rows]


# --- contents


def test_new_contents_and_items_get_the_next_ids(connection: Connection) -> None:
    apply(connection, [content(1), content(2, VIDEO)], [file(b"a", 2), file(b"b", 1)])
    assert items(connection) == [(1, 1, 0), (2, 2, 0), (3, 2, 1)]
    assert paths(connection, "id", "content_id") == [(b"a", 1, 2), (b"b", 2, 1)]
    apply(connection, [content(3), content(1)], [file(b"c", 3)])
    assert items(connection)[3:] == [(4, 3, 0)]
    assert contents.content_ids(connection, [digest(3), digest(9)]) == {digest(3): 3}
    found = contents.items(connection, [3])[3]
    assert (found.content_id, found.position, found.time_s) == (2, 1, 1.5)
    assert (found.width, found.height) == (8, 6) and len(contents.items(connection, [1, 99])) == 1
    assert contents.first_item(connection, 2) == 2 and contents.first_item(connection, 9) is None


def test_what_is_known_of_a_content_is_brought_up_to_date(connection: Connection) -> None:
    rated = Metadata(format="PNG", rating=3, keywords=("a\0", "\udcff"))
    apply(connection, [content(1, metadata=rated, warnings=("w",))])
    state = contents.content_state(connection, digest(1))
    assert state == ContentState(1, "indexed", None)
    assert contents.content_state(connection, digest(2)) is None

    def stored() -> Any:
        columns = ("rating", "keywords", "format", "warnings", "outcome", "reason", "detail")
        return tuple(connection.execute(select(*CONTENT.c[columns])).one())

    assert stored() == (3, ["a ", "\\udcff"], "PNG", ["w"], "indexed", None, None)
    failed = content(1, (), outcome=Outcome.FAILED, reason=Reason.CORRUPT, detail="x\0y")
    apply(connection, [failed])
    assert stored() == (3, [], "", [], "failed", "corrupt", "x y")
    apply(connection, [content(1, metadata=Metadata(rating=0))])
    assert stored()[0] == 0
    assert contents.storable(["a\0", ["\ud800"], 7, None]) == ["a ", ["\\ud800"], 7, None]


def vectors(connection: Connection) -> dict[int, tuple[float, ...]]:
    found = {}
    for row in connection.exec_driver_sql("SELECT item_id, data FROM vector ORDER BY item_id"):
        found[row[0]] = tuple(np.frombuffer(row[1], "<f2").tolist())
    return found


def test_items_stay_while_a_content_is_cut_as_before(connection: Connection) -> None:
    apply(connection, [content(1, VIDEO, 1), content(2, STILL, 1)])
    assert vectors(connection) == {1: (1.0, 1.0), 2: (1.0, 1.0), 3: (2.0, 2.0)}
    change = spaces.last_change(connection, 1)
    again = content(1, VIDEO)
    matrix = np.array([[3, 4], [5, 6]], np.float16)
    apply(
        connection,
        [ContentChange(digest(1), 9, Outcome.INDEXED, frames=VIDEO, vectors={1: matrix})],
    )
    assert vectors(connection) == {1: (3.0, 4.0), 2: (5.0, 6.0), 3: (2.0, 2.0)}
    assert spaces.last_change(connection, 1) > change
    apply(connection, [content(1, (), outcome=Outcome.FAILED, reason=Reason.CORRUPT), again])
    assert [row[0] for row in items(connection)] == [1, 2, 3] and len(vectors(connection)) == 3
    for frames in (VIDEO[:1], ((0, 0.25, 8, 6), (1, 1.5, 8, 6)), VIDEO):
        before = max(row[0] for row in items(connection))
        apply(connection, [content(1, frames, 1)])
        new = [row[0] for row in items(connection) if row[1] == 1]
        assert new == list(range(before + 1, before + 1 + len(frames)))
        assert sorted(vectors(connection)) == [3, *new]
    gone = connection.scalars(select(REMOVED_VECTOR.c.item_id).order_by(REMOVED_VECTOR.c.item_id))
    assert list(gone) == [1, 2, 4, 5, 6]


def test_no_item_gets_an_id_that_was_used(connection: Connection) -> None:
    apply(connection, [content(1, VIDEO, 1)])
    assert contents.purge_orphans(connection) == 1
    assert items(connection) == [] == list(vectors(connection))
    apply(connection, [content(2, STILL, 1)])
    assert items(connection) == [(3, 1, 0)]
    connection.execute(insert(ITEM), [{"id": 9, "content_id": 1, "position": 1} | _SIZE])
    apply(connection, [content(3)])
    assert items(connection)[-1] == (10, 2, 0)


_SIZE = {"width": 1, "height": 1}


def test_contents_that_lack_vectors_come_by_pages(connection: Connection) -> None:
    made = [content(n, VIDEO, 1 if n == 2 else None) for n in (1, 2, 3, 4)]
    apply(connection, [*made, content(5, ())])
    for after, limit, expected in ((0, 9, [1, 3, 4]), (0, 2, [1, 3]), (1, 9, [3, 4]), (4, 9, [])):
        found = contents.lacking_vectors(connection, 1, after, limit)
        assert found == [(number, digest(number)) for number in expected]


def test_texts_are_stored_once(connection: Connection) -> None:
    one, other = Caption("one", "en", "x"), Caption("two\0", "en", "x")
    texts = {digest(1): [one, one, other], digest(9): [one]}
    apply(connection, [content(1), content(2, captions=(one,))], captions=texts)
    apply(connection, [content(1, captions=(one,))], captions={digest(2): [one]})
    clean = Caption("two ", "en", "x")
    assert contents.captions_of(connection, [1, 2, 3]) == {1: [one, clean], 2: [one]}
    apply(connection, [content(3)])
    assert len(contents.captions_of(connection, [1, 2, 3])) == 2


def test_a_file_keeps_its_content_only_if_told(connection: Connection) -> None:
    apply(connection, [content(1)], [file(b"a"), file(b"b"), file(b"c", None)])
    assert paths(connection, "content_id") == [(b"a", 1), (b"b", 1), (b"c", None)]
    files.mark_missing(connection, [1, 2, 3], 2)
    failed: dict[str, Any] = {"outcome": Outcome.FAILED, "reason": Reason.IO_ERROR, "detail": "\0"}
    apply(
        connection,
        [],
        [
            file(b"a2", None, file_id=1, keeps_content=True, **failed),
            file(b"b", None, file_id=2, **failed),
            file(b"c", 1, file_id=3),
        ],
    )
    columns = ("content_id", "outcome", "reason", "detail", "missing_since")
    assert paths(connection, *columns) == [
        (b"a2", 1, "failed", "io_error", " ", None),
        (b"b", None, "failed", "io_error", " ", None),
        (b"c", 1, "indexed", None, None, None),
    ]


def test_only_what_nothing_holds_is_purged(connection: Connection) -> None:
    apply(
        connection,
        [content(n, STILL, 1, captions=(Caption("x"),)) for n in (1, 2, 3)],
        [file(b"a", 1), file(b"b", 2), file(b"c", 2)],
    )
    files.mark_missing(connection, [1, 2], 2)
    assert files.count_missing(connection) == 2
    assert contents.purge_missing(connection) == 2
    assert paths(connection) == [b"c"] and files.count_missing(connection) == 0
    assert contents.purge_orphans(connection) == 2
    assert contents.purge_orphans(connection) == 0
    assert items(connection) == [(2, 2, 0)] and list(vectors(connection)) == [2]
    assert list(contents.captions_of(connection, [1, 2, 3])) == [2]
    assert files.indexed_contents_without_items(connection) == 0
    failed = [content(n, (), outcome=Outcome.FAILED) for n in (6, 7)]
    apply(connection, [content(5, ()), *failed])
    assert files.indexed_contents_without_items(connection) == 1


# --- roots


def test_roots_are_found_changed_and_removed(connection: Connection) -> None:
    assert files.add_root(connection, "file", b"/x", "") == 2
    one, other = files.roots(connection)
    assert (one.kind, one.location, one.volume, one.state) == (
        "folder", b"/r", "dev=1", "reachable",
    )  # fmt: skip
    assert files.roots(connection, b"/x") == [other] and files.roots(connection, b"/y") == []
    assert one.scanned_at is None
    files.set_root_state(connection, 1, "unreachable", "away")
    one, other = files.roots(connection)
    assert (one.state, one.detail, one.volume, one.scanned_at) == (
        "unreachable", "away", "dev=1", None,
    )  # fmt: skip
    files.set_root_state(connection, 1, "reachable", volume="")
    one, still = files.roots(connection)
    assert (one.state, one.detail, one.volume) == ("reachable", "", "") and still == other
    assert one.scanned_at is not None
    apply(connection, [content(1)], [file(b"a"), file(b"b"), file(b"", root_id=2)])
    assert files.remove_root(connection, 1) == 2
    assert paths(connection) == [b""] and files.roots(connection) == [other]


def test_the_moment_is_stored_in_utc_to_the_second() -> None:
    moment = datetime.fromisoformat(files.now())
    assert moment.utcoffset() == UTC.utcoffset(None) and len(files.now()) == 25
    assert abs((datetime.now(UTC) - moment).total_seconds()) < 60


def test_a_root_is_taken_over_with_its_older_rows(connection: Connection) -> None:
    files.add_root(connection, "folder", b"/r/sub", "")
    apply(
        connection,
        [content(1), content(2)],
        [file(b"sub/a", 1), file(b"b", 1), file(b"a", 2, root_id=2), file(b"c", 2, root_id=2)],
    )
    (child,) = files.roots(connection, b"/r/sub")
    files.adopt_root(connection, child, 1, b"sub/")
    assert paths(connection, "id", "root_id") == [(b"b", 2, 1), (b"sub/a", 3, 1), (b"sub/c", 4, 1)]
    assert [root.id for root in files.roots(connection)] == [1]


def test_a_path_is_looked_up_where_rows_of_it_may_be(connection: Connection) -> None:
    for kind, location in (
        ("folder", b"/r/s"), ("file", b"/r/s/f"), ("list", b"/l"), ("folder", b"/"),
        ("archive", b"/r/z"), ("list", b"/l2"),
    ):  # fmt: skip
        files.add_root(connection, kind, location, "")
    places = files.Places(connection)

    def found(path: bytes) -> list[tuple[list[bytes], bytes]]:
        return [([root.location for root in of], inside) for of, inside in places.of(path)]

    lists = [b"/l", b"/l2"]
    assert found(b"/r/s/f") == [
        ([b"/r/s"], b"f"), ([b"/r"], b"s/f"), ([b"/"], b"r/s/f"), ([b"/r/s/f"], b""),
        (lists, b"/r/s/f"),
    ]  # fmt: skip
    assert found(b"/r/z") == [([b"/r"], b"z"), ([b"/"], b"r/z"), (lists, b"/r/z")]
    assert found(b"/f") == [([b"/"], b"f"), (lists, b"/f")]
    assert found(b"f") == [(lists, b"f")]
    connection.execute(update(ROOT).where(ROOT.c.kind == "list").values(kind="archive"))
    assert list(files.Places(connection).of(b"f")) == []


# --- runs and files


def test_a_run_that_was_cut_short_is_marked(connection: Connection) -> None:
    assert files.start_run(connection) == 2
    files.finish_run(connection, 2, "finished", {"seen": 1})
    assert files.start_run(connection) == 3
    rows = connection.execute(select(RUN.c.state, RUN.c.summary, RUN.c.finished_at)).all()
    assert [row[:2] for row in rows] == [
        ("interrupted", {}), ("finished", {"seen": 1}), ("running", {}),
    ]  # fmt: skip
    assert [row[2] is None for row in rows] == [True, False, True]


NAMES = [b"a", b"sub", b"sub!", b"sub/", b"sub/a", b"sub/z", b"sub0", b"sub0/a", b"subs/a"]


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [(b"", NAMES), (b"sub/", NAMES[3:6]), (b"sub", [b"sub"]), (b"su", []), (b"x/", [])],
)
def test_a_scope_is_a_folder_or_one_file(
    connection: Connection, prefix: bytes, expected: list[bytes]
) -> None:
    files.add_root(connection, "folder", b"/other", "")
    found = [file(name) for name in NAMES] + [file(b"sub/a", root_id=2)]
    apply(connection, [content(1)], found)
    scope = files.in_scope(1, prefix)
    assert [row.path for row in files.scan_page(connection, scope, None, 99)] == expected
    assert [r.path for r in files.scan_page(connection, scope, None, 2)] == expected[:2]
    if expected:
        after = files.scan_page(connection, scope, expected[0], 99)
        assert [row.path for row in after] == expected[1:]
    assert files.has_rows(connection, scope) is bool(expected)
    assert files.count(connection, [scope], missing=False) == len(expected)
    assert files.count(connection, [scope], missing=True) == 0
    scopes = [scope, files.in_scope(2)]
    assert files.count(connection, scopes, missing=False) == len(expected) + 1
    assert files.count(connection, [], missing=False) == 0
    many = [files.in_scope(1, b"%d/" % number) for number in range(250)]
    assert files.count(connection, [*many, *scopes], missing=False) == len(expected) + 1
    for ids, count in (([1], 9), ([2], 1), ([1, 2], 10), ([], 0)):
        assert files.count_rows(connection, FILE, files.of_roots(ids)) == count
    either = or_(files.of_roots([1, 8]), files.of_roots([2, 9]))
    assert files.count_rows(connection, FILE, either) == 10


def test_files_are_marked_missing_and_present(connection: Connection) -> None:
    apply(connection, [content(1)], [file(b"a"), file(b"b"), file(b"c", outcome=Outcome.FAILED)])
    files.mark_missing(connection, [1, 2], 1)
    assert files.count_missing(connection) == 0
    files.mark_missing(connection, [1], 2)
    first = paths(connection, "missing_since")
    assert [one[1] is None for one in first] == [False, True, True]
    connection.execute(update(FILE).where(FILE.c.id == 1).values(missing_since="2020"))
    files.mark_missing(connection, [1, 2], 2)
    assert paths(connection, "missing_since")[0] == (b"a", "2020")
    assert files.sample_paths(connection, 1, 9) == [b"c"]
    assert files.count(connection, [files.in_scope(1)], missing=True) == 2
    assert files.counts_by(connection, "outcome") == {"failed": 1}
    files.mark_present(connection, [2])
    assert files.sample_paths(connection, 1, 9) == [b"b", b"c"]
    assert files.sample_paths(connection, 1, 1) == [b"b"]
    assert files.sample_paths(connection, 2, 9) == []
    assert files.counts_by(connection, "outcome", 1) == {"indexed": 1, "failed": 1}
    assert files.counts_by(connection, "outcome", 2) == {}
    assert files.forget_stat(connection, [Outcome.FAILED, Outcome.INDEXED]) == 2
    assert paths(connection, "mtime_ns") == [(b"a", 5), (b"b", -2), (b"c", -2)]
    assert files.forget_stat(connection, [Outcome.SKIPPED]) == 0


def test_present_places_of_a_content_come_first(connection: Connection) -> None:
    files.add_root(connection, "folder", b"/s", "")
    made = [file(b"c", 1, root_id=1), file(b"b", 1, root_id=2), file(b"a", 1, root_id=2)]
    apply(connection, [content(1), content(2)], [*made, file(b"z", 2), file(b"0", 1)])
    files.mark_missing(connection, [3], 2)
    found = files.places(connection, [2, 1, 9])
    assert [place.path for place in found[1]] == [b"0", b"c", b"b", b"a"] and found[9] == []
    files.set_root_state(connection, 1, "unreachable")
    found = files.places(connection, [1])
    assert [(place.path, place.state) for place in found[1]] == [
        (b"b", "present"), (b"0", "unreachable"), (b"c", "unreachable"), (b"a", "missing"),
    ]  # fmt: skip
    here = select(CONTENT.c.id).where(files.reachable_file(CONTENT.c.id))
    assert list(connection.scalars(here)) == [1]
    files.mark_missing(connection, [2], 2)
    assert list(connection.scalars(here)) == []


def test_files_with_a_problem_come_by_pages(connection: Connection) -> None:
    bad = {"outcome": Outcome.FAILED, "reason": Reason.CORRUPT, "detail": "d"}
    odd = {"outcome": Outcome.SKIPPED, "reason": Reason.EMPTY, "detail": ""}
    found = [file(b"%d" % n, None, **(bad, odd, {}, bad)[n]) for n in range(4)]
    apply(connection, [], found)
    files.mark_missing(connection, [4], 2)
    for page in (1, 2, 9):
        rows = [tuple(row) for row in files.problem_files(connection, page)]
        assert rows == [
            (1, "folder", b"/r", b"0", "failed", "corrupt", "d"),
            (2, "folder", b"/r", b"1", "skipped", "empty", ""),
        ]


def test_rows_are_asked_for_in_parts(connection: Connection) -> None:
    assert [list(part) for part in files.chunked(range(5), 2)] == [[0, 1], [2, 3], [4]]
    assert list(files.chunked([])) == []
    made = [content(n) for n in (1, 2, 3)]
    apply(connection, made)
    query = select(CONTENT.c.id)
    pages = [[row[0] for row in page] for page in files.pages(connection, query, CONTENT.c.id, 2)]
    assert pages == [[1, 2], [3]]
    later = list(files.pages(connection, query, CONTENT.c.id, 9, after=1))
    assert [[row[0] for row in page] for page in later] == [[2, 3]]
    many = list(range(2000))
    assert [row[0] for row in files.rows_in(connection, query, CONTENT.c.id, many)] == [1, 2, 3]
    assert files.insert_rows(connection, RUN, []) == 2
    values = {"started_at": "x", "state": "finished", "summary": {}}
    assert files.insert_rows(connection, RUN, [values, values]) == 2
    assert files.next_id(connection, RUN) == 4 and files.count_rows(connection, RUN) == 3
