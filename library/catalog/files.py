"""Roots, runs and files: what was walked, and what became of each path."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Select,
    Table,
    and_,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from pictor.library.catalog.rows import FilePlace, FileRow, RootRow
from pictor.library.catalog.schema import CONTENT, FILE, ITEM, ROOT, RUN
from pictor.library.records import Outcome

#: Rows a statement names at once; well under SQLite's limit of 32,766 variables.
CHUNK = 500


def now() -> str:
    """The present moment as stored: UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def next_id(connection: Connection, table: Table) -> int:
    """The smallest id above all in use; only the one writer may ask."""
    return int(connection.scalar(select(func.max(table.c.id))) or 0) + 1


def insert_rows(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> int:
    """Add rows that get the next ids; the first of these. Only the one writer may."""
    first = next_id(connection, table)
    if rows:
        numbered = [{"id": first + i} | row for i, row in enumerate(rows)]
        connection.execute(insert(table), numbered)
    return first


def chunked(values: Sequence[Any], size: int = CHUNK) -> Iterator[Sequence[Any]]:
    """Slices of at most `size`."""
    for start in range(0, len(values), size):
        yield values[start : start + size]


def rows_in(
    connection: Connection, query: Select[Any], column: ColumnElement[Any], values: Sequence[Any]
) -> Iterator[Any]:
    """The rows of a query in which a column has one of any number of values, asked for in parts."""
    for chunk in chunked(values):
        yield from connection.execute(query.where(column.in_(chunk))).fetchall()


def pages(
    connection: Connection, query: Select[Any], key: ColumnElement[Any], size: int, after: int = 0
) -> Iterator[Sequence[Any]]:
    """The rows of a query in pages, ascending by `key`, its first column, from above `after`."""
    while rows := connection.execute(query.where(key > after).order_by(key).limit(size)).fetchall():
        yield rows
        after = rows[-1][0]


def count_rows(connection: Connection, table: Table, *where: ColumnElement[bool]) -> int:
    """How many rows of a table some conditions hold for."""
    return int(connection.scalar(select(func.count()).select_from(table).where(*where)) or 0)


# --- roots


def roots(connection: Connection, location: bytes | None = None) -> list[RootRow]:
    """Every root, or the one at a location, in the order they were first indexed."""
    query = select(*ROOT.c[RootRow._fields]).order_by(ROOT.c.id)
    if location is not None:
        query = query.where(ROOT.c.location == location)
    return [RootRow._make(row) for row in connection.execute(query).fetchall()]


def add_root(connection: Connection, kind: str, location: bytes, volume: str) -> int:
    """A new reachable root; its id."""
    values = {"kind": kind, "location": location, "volume": volume, "state": "reachable"}
    return insert_rows(connection, ROOT, [values | {"detail": "", "options": {}}])


def set_root_state(
    connection: Connection, root_id: int, state: str, detail: str = "", volume: str | None = None
) -> None:
    """Mark a root "reachable" (with the moment and its volume) or "unreachable" (with why)."""
    values: dict[str, Any] = {"state": state, "detail": detail}
    if state == "reachable":
        values["scanned_at"] = now()
    if volume is not None:
        values["volume"] = volume
    connection.execute(update(ROOT).where(ROOT.c.id == root_id).values(**values))


def adopt_root(connection: Connection, child: RootRow, parent_id: int, prefix: bytes) -> None:
    """Move every file of `child` under another root at `prefix`, and drop `child`.

    Rows of the parent at the same paths give way to the child's, which are the older ones.
    """
    rows = connection.execute(
        select(FILE.c.id, FILE.c.path).where(FILE.c.root_id == child.id)
    ).all()
    for chunk in chunked(rows):
        taken = [prefix + path for _, path in chunk]
        connection.execute(delete(FILE).where(FILE.c.root_id == parent_id, FILE.c.path.in_(taken)))
        for file_id, path in chunk:
            moved = {"root_id": parent_id, "path": prefix + path}
            connection.execute(update(FILE).where(FILE.c.id == file_id).values(**moved))
    connection.execute(delete(ROOT).where(ROOT.c.id == child.id))


def remove_root(connection: Connection, root_id: int) -> int:
    """Forget a root and its files; how many files. Contents stay until they are purged."""
    gone = connection.execute(delete(FILE).where(FILE.c.root_id == root_id)).rowcount
    connection.execute(delete(ROOT).where(ROOT.c.id == root_id))
    return int(gone)


class Places:
    """Where rows of absolute paths may be. Members of archives have no path of their own."""

    def __init__(self, connection: Connection) -> None:
        """Reads the roots, once for all paths."""
        known = roots(connection)
        self._known = {(row.kind, row.location): row for row in known}
        self._lists = [row for row in known if row.kind == "list"]

    def of(self, path: bytes) -> Iterator[tuple[list[RootRow], bytes]]:
        """(roots, path as their rows have it): of folders first, the longest of them first."""
        at = len(path)
        while (at := path.rfind(b"/", 0, at)) >= 0:
            root = self._known.get(("folder", path[:at] or b"/"))
            if root is not None:
                yield [root], path[at + 1 :]
        if ("file", path) in self._known:
            yield [self._known["file", path]], b""
        if self._lists:
            yield self._lists, path


def reachable_file(content_id: ColumnElement[int]) -> ColumnElement[bool]:
    """The condition "a file that can be reached holds this content"."""
    query = select(FILE.c.id).join(ROOT, ROOT.c.id == FILE.c.root_id)
    query = query.where(FILE.c.content_id == content_id, FILE.c.missing_since.is_(None))
    return query.where(ROOT.c.state == "reachable").exists()


# --- runs


def start_run(connection: Connection) -> int:
    """A new run in state "running"; its id. A run that was killed is marked so."""
    connection.execute(update(RUN).where(RUN.c.state == "running").values(state="interrupted"))
    values = {"started_at": now(), "state": "running", "summary": {}}
    return insert_rows(connection, RUN, [values])


def finish_run(connection: Connection, run_id: int, state: str, summary: dict[str, Any]) -> None:
    """Close a run with its counts."""
    values = {"state": state, "finished_at": now(), "summary": summary}
    connection.execute(update(RUN).where(RUN.c.id == run_id).values(**values))


# --- files


def in_scope(root_id: int, prefix: bytes = b"") -> ColumnElement[bool]:
    """The condition "under this root, and at or below `prefix`" (a folder ends in b"/")."""
    if not prefix:
        return FILE.c.root_id == root_id
    return and_(FILE.c.root_id == root_id, below(prefix))


def below(prefix: bytes) -> ColumnElement[bool]:
    """The condition "at this path, or below it if it ends in b"/""."""
    if not prefix.endswith(b"/"):
        return FILE.c.path == prefix
    return and_(FILE.c.path >= prefix, FILE.c.path < prefix[:-1] + b"0")  # which follows b"/"


def of_roots(root_ids: Sequence[int]) -> ColumnElement[bool]:
    """The condition "under one of these roots", of any number.

    The ids are written into the statement: SQLite takes no more than 32,766 values apart from it,
    and expressions of 1,000 levels.
    """
    if len(root_ids) == 1:
        return FILE.c.root_id == root_ids[0]
    ids = bindparam(
        "root_ids", list(root_ids), Integer, unique=True, expanding=True, literal_execute=True
    )
    return FILE.c.root_id.in_(ids)


def scan_page(
    connection: Connection, scope: ColumnElement[bool], after: bytes | None, limit: int
) -> list[FileRow]:
    """The first rows of a scope, or the next with a path greater than `after`, by path bytes."""
    query = select(*FILE.c[FileRow._fields]).where(scope).order_by(FILE.c.path).limit(limit)
    if after is not None:
        query = query.where(FILE.c.path > after)
    # fetchall, because a page of rows fetched one by one takes three times as long
    return [FileRow._make(row) for row in connection.execute(query).fetchall()]


def has_rows(connection: Connection, scope: ColumnElement[bool]) -> bool:
    """Whether any file of a scope is known, present or missing."""
    return connection.scalar(select(FILE.c.id).where(scope).limit(1)) is not None


def sample_paths(connection: Connection, root_id: int, limit: int) -> list[bytes]:
    """Some paths of a root's present files."""
    query = select(FILE.c.path).where(FILE.c.root_id == root_id, FILE.c.missing_since.is_(None))
    return list(connection.scalars(query.order_by(FILE.c.id).limit(limit)))


def places(connection: Connection, content_ids: Sequence[int]) -> dict[int, list[FilePlace]]:
    """Where each content lies: reachable and present places first, then by root and path."""
    found: dict[int, list[FilePlace]] = {content_id: [] for content_id in content_ids}
    columns = (FILE.c.id, FILE.c.content_id, FILE.c.root_id, ROOT.c.kind, ROOT.c.location)
    more = (FILE.c.path, ROOT.c.state, FILE.c.missing_since, FILE.c.size_bytes, FILE.c.mtime_ns)
    query = select(*columns, *more).join(ROOT, ROOT.c.id == FILE.c.root_id)
    query = query.order_by(FILE.c.root_id, FILE.c.path)
    for row in rows_in(connection, query, FILE.c.content_id, sorted(found)):
        found[row[1]].append(FilePlace._make(row))
    order = {"present": 0, "unreachable": 1, "missing": 2}
    for rows in found.values():
        rows.sort(key=lambda place: order[place.state])
    return found


def mark_missing(connection: Connection, file_ids: Sequence[int], run_id: int) -> None:
    """Mark files missing, but those that this run found at another path since they were listed."""
    values = {"missing_since": now()}
    for chunk in chunked(file_ids):
        where = (FILE.c.id.in_(chunk), FILE.c.run_id != run_id, FILE.c.missing_since.is_(None))
        connection.execute(update(FILE).where(*where).values(**values))


def mark_present(connection: Connection, file_ids: Sequence[int]) -> None:
    """Take back `missing_since` of files that are there again, unchanged."""
    for chunk in chunked(file_ids):
        connection.execute(update(FILE).where(FILE.c.id.in_(chunk)).values(missing_since=None))


def forget_stat(connection: Connection, outcomes: Sequence[Outcome]) -> int:
    """Make the next run read every file with one of these outcomes again; how many."""
    where = (FILE.c.outcome.in_(list(outcomes)), FILE.c.missing_since.is_(None))
    return int(connection.execute(update(FILE).where(*where).values(mtime_ns=-2)).rowcount)


def counts_by(connection: Connection, column: str, run_id: int | None = None) -> dict[Any, int]:
    """Present files by what they have in a column: all, or those that a run changed."""
    query = select(FILE.c[column], func.count()).where(FILE.c.missing_since.is_(None))
    if run_id is not None:
        query = query.where(FILE.c.run_id == run_id)
    return {value: n for value, n in connection.execute(query.group_by(FILE.c[column]))}


def count(connection: Connection, scopes: Sequence[ColumnElement[bool]], *, missing: bool) -> int:
    """How many files of these scopes, which must not overlap, are present, or missing."""
    state = FILE.c.missing_since.is_not(None) if missing else FILE.c.missing_since.is_(None)
    parts = chunked(scopes, 100)  # SQLite takes expressions of 1,000 levels
    return sum(count_rows(connection, FILE, or_(*part), state) for part in parts)


def problem_files(connection: Connection, page: int) -> Iterator[Sequence[Any]]:
    """(file id, root kind, location, path, outcome, reason, detail) of files skipped or failed."""
    columns = (FILE.c.id, ROOT.c.kind, ROOT.c.location, FILE.c.path)
    query = select(*columns, FILE.c.outcome, FILE.c.reason, FILE.c.detail)
    query = query.join(ROOT, ROOT.c.id == FILE.c.root_id)
    wanted = FILE.c.outcome.in_([Outcome.FAILED, Outcome.SKIPPED])
    query = query.where(wanted, FILE.c.missing_since.is_(None))
    for rows in pages(connection, query, FILE.c.id, page):
        yield from rows


def count_missing(connection: Connection) -> int:
    """Files that are gone from roots that can be reached."""
    return count_rows(connection, FILE, FILE.c.missing_since.is_not(None))


def indexed_contents_without_items(connection: Connection) -> int:
    """Contents that claim to be indexed but have no item; for `verify`."""
    has_item = select(ITEM.c.id).where(ITEM.c.content_id == CONTENT.c.id).exists()
    return count_rows(connection, CONTENT, CONTENT.c.outcome == Outcome.INDEXED, ~has_item)
