"""Roots, runs and files: what was walked, and what became of each path."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from library.catalog.rows import FilePlace, FileRow, RootRow
from library.catalog.schema import Content, File, Root, Run
from library.records import Outcome

#: Rows a statement names at once; well under SQLite's limit of 32,766 variables.
CHUNK = 500


def now() -> str:
    """The present moment as stored: UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def next_id(connection: Connection, table: Any) -> int:
    """The smallest id above all in use; only the one writer may ask."""
    return int(connection.scalar(select(func.coalesce(func.max(table.id), 0)))) + 1


def chunked(values: Sequence[Any], size: int = CHUNK) -> Iterator[Sequence[Any]]:
    """Slices of at most `size`."""
    for start in range(0, len(values), size):
        yield values[start : start + size]


# --- roots


def roots(connection: Connection) -> list[RootRow]:
    """Every root, in the order they were first indexed."""
    columns = (Root.id, Root.kind, Root.location, Root.volume, Root.state, Root.detail)
    rows = connection.execute(select(*columns, Root.scanned_at).order_by(Root.id))
    return [RootRow(*row) for row in rows]


def add_root(connection: Connection, kind: str, location: bytes, volume: str) -> int:
    """A new reachable root; its id."""
    root_id = next_id(connection, Root)
    values = {"kind": kind, "location": location, "volume": volume, "state": "reachable"}
    connection.execute(insert(Root).values(id=root_id, detail="", options={}, **values))
    return root_id


def set_root_state(
    connection: Connection, root_id: int, state: str, detail: str = "", volume: str | None = None
) -> None:
    """Mark a root "reachable" (with the moment and its volume) or "unreachable" (with why)."""
    values: dict[str, Any] = {"state": state, "detail": detail}
    if state == "reachable":
        values["scanned_at"] = now()
    if volume is not None:
        values["volume"] = volume
    connection.execute(update(Root).where(Root.id == root_id).values(**values))


def adopt_root(connection: Connection, child: RootRow, parent_id: int, prefix: bytes) -> None:
    """Move every file of `child` under another root at `prefix`, and drop `child`.

    Rows of the parent at the same paths give way to the child's, which are the older ones.
    """
    rows = connection.execute(select(File.id, File.path).where(File.root_id == child.id)).all()
    for chunk in chunked(rows):
        taken = [prefix + path for _, path in chunk]
        connection.execute(delete(File).where(File.root_id == parent_id, File.path.in_(taken)))
        for file_id, path in chunk:
            moved = {"root_id": parent_id, "path": prefix + path}
            connection.execute(update(File).where(File.id == file_id).values(**moved))
    connection.execute(delete(Root).where(Root.id == child.id))


def remove_root(connection: Connection, root_id: int) -> int:
    """Forget a root and its files; how many files. Contents stay until they are purged."""
    gone = connection.execute(delete(File).where(File.root_id == root_id)).rowcount
    connection.execute(delete(Root).where(Root.id == root_id))
    return int(gone)


# --- runs


def start_run(connection: Connection) -> int:
    """A new run in state "running"; its id. A run that was killed is marked so."""
    connection.execute(update(Run).where(Run.state == "running").values(state="interrupted"))
    run_id = next_id(connection, Run)
    connection.execute(insert(Run).values(id=run_id, started_at=now(), state="running", summary={}))
    return run_id


def finish_run(connection: Connection, run_id: int, state: str, summary: dict[str, Any]) -> None:
    """Close a run with its counts."""
    values = {"state": state, "finished_at": now(), "summary": summary}
    connection.execute(update(Run).where(Run.id == run_id).values(**values))


# --- files


def in_scope(root_id: int, prefix: bytes = b"") -> ColumnElement[bool]:
    """The condition "under this root, and at or below `prefix`" (a folder ends in b"/")."""
    if not prefix:
        return File.root_id == root_id
    if not prefix.endswith(b"/"):
        return and_(File.root_id == root_id, File.path == prefix)
    after = prefix[:-1] + b"0"  # b"0" follows b"/" in byte order
    return and_(File.root_id == root_id, File.path >= prefix, File.path < after)


def scan_page(
    connection: Connection, scope: ColumnElement[bool], after: bytes, limit: int
) -> list[FileRow]:
    """The next rows of a scope with a path greater than `after`, ascending by path bytes."""
    columns = (File.id, File.path, File.size_bytes, File.mtime_ns, File.content_id)
    query = select(*columns, File.outcome, File.reason, File.missing_since)
    query = query.where(scope, File.path > after).order_by(File.path).limit(limit)
    # fetchall, because a page of rows fetched one by one takes three times as long
    return [FileRow._make(row) for row in connection.execute(query).fetchall()]


def has_rows(connection: Connection, scope: ColumnElement[bool]) -> bool:
    """Whether any file of a scope is known, present or missing."""
    return connection.scalar(select(File.id).where(scope).limit(1)) is not None


def has_files(connection: Connection, root_id: int) -> bool:
    """Whether any file of a root is thought present."""
    query = select(File.id).where(File.root_id == root_id, File.missing_since.is_(None)).limit(1)
    return connection.scalar(query) is not None


def sample_paths(connection: Connection, root_id: int, limit: int) -> list[bytes]:
    """Some paths of a root's present files."""
    query = select(File.path).where(File.root_id == root_id, File.missing_since.is_(None))
    return list(connection.scalars(query.order_by(File.id).limit(limit)))


def file_at(connection: Connection, root_id: int, path: bytes) -> FileRow | None:
    """The row at one path of a root."""
    columns = (File.id, File.path, File.size_bytes, File.mtime_ns, File.content_id)
    query = select(*columns, File.outcome, File.reason, File.missing_since)
    row = connection.execute(query.where(File.root_id == root_id, File.path == path)).first()
    return FileRow(*row) if row else None


def _places() -> Any:  # a select of ten columns, whose types nobody reads
    columns = (File.id, File.content_id, File.root_id, Root.kind, Root.location, File.path)
    query = select(*columns, Root.state, File.missing_since, File.size_bytes, File.mtime_ns)
    return query.join(Root, Root.id == File.root_id)


def places(connection: Connection, content_ids: Sequence[int]) -> dict[int, list[FilePlace]]:
    """Where each content lies: reachable and present places first, then by root and path."""
    found: dict[int, list[FilePlace]] = {content_id: [] for content_id in content_ids}
    for chunk in chunked(sorted(found)):
        query = _places().where(File.content_id.in_(chunk)).order_by(File.root_id, File.path)
        for row in connection.execute(query):
            found[row[1]].append(FilePlace(*row))
    order = {"present": 0, "unreachable": 1, "missing": 2}
    for rows in found.values():
        rows.sort(key=lambda place: order[place.state])
    return found


def mark_missing(connection: Connection, file_ids: Sequence[int], run_id: int) -> None:
    """Mark files missing, but those that this run found at another path since they were listed."""
    values = {"missing_since": now()}
    for chunk in chunked(file_ids):
        where = (File.id.in_(chunk), File.run_id != run_id, File.missing_since.is_(None))
        connection.execute(update(File).where(*where).values(**values))


def mark_present(connection: Connection, file_ids: Sequence[int]) -> None:
    """Take back `missing_since` of files that are there again, unchanged."""
    for chunk in chunked(file_ids):
        connection.execute(update(File).where(File.id.in_(chunk)).values(missing_since=None))


def forget_stat(connection: Connection, outcomes: Sequence[Outcome]) -> int:
    """Make the next run read every file with one of these outcomes again; how many."""
    where = (File.outcome.in_(list(outcomes)), File.missing_since.is_(None))
    return int(connection.execute(update(File).where(*where).values(mtime_ns=-2)).rowcount)


def outcomes_of_run(connection: Connection, run_id: int) -> dict[str, int]:
    """How many present files have each outcome, among those the run changed."""
    query = select(File.outcome, func.count()).where(File.run_id == run_id)
    rows = connection.execute(query.where(File.missing_since.is_(None)).group_by(File.outcome))
    return {outcome: count for outcome, count in rows}


def count(connection: Connection, scopes: Sequence[ColumnElement[bool]], *, missing: bool) -> int:
    """How many files of these scopes, which must not overlap, are present, or missing."""
    state = File.missing_since.is_not(None) if missing else File.missing_since.is_(None)
    total = 0
    for chunk in chunked(scopes, 100):  # SQLite takes expressions of 1,000 levels
        query = select(func.count()).select_from(File).where(or_(*chunk), state)
        total += int(connection.scalar(query) or 0)
    return total


def problem_files(connection: Connection, after_id: int, limit: int) -> list[tuple[Any, ...]]:
    """(file id, root kind, location, path, outcome, reason, detail) of files skipped or failed."""
    columns = (File.id, Root.kind, Root.location, File.path, File.outcome, File.reason, File.detail)
    query = select(*columns).join(Root, Root.id == File.root_id)
    wanted = File.outcome.in_([Outcome.FAILED, Outcome.SKIPPED])
    query = query.where(wanted, File.missing_since.is_(None), File.id > after_id)
    return [tuple(row) for row in connection.execute(query.order_by(File.id).limit(limit))]


def counts_by_root(connection: Connection) -> dict[int, int]:
    """Present files a root."""
    query = select(File.root_id, func.count()).where(File.missing_since.is_(None))
    return {root_id: n for root_id, n in connection.execute(query.group_by(File.root_id))}


def counts_by_outcome(connection: Connection) -> dict[str, int]:
    """Present files an outcome, whatever run it is from."""
    query = select(File.outcome, func.count()).where(File.missing_since.is_(None))
    return {outcome: n for outcome, n in connection.execute(query.group_by(File.outcome))}


def count_missing(connection: Connection) -> int:
    """Files that are gone from roots that can be reached."""
    query = select(func.count()).select_from(File).where(File.missing_since.is_not(None))
    return int(connection.scalar(query) or 0)


def indexed_contents_without_items(connection: Connection) -> int:
    """Contents that claim to be indexed but have no item; for `verify`."""
    from library.catalog.schema import Item

    has_item = select(Item.id).where(Item.content_id == Content.id).exists()
    query = select(func.count()).select_from(Content)
    return int(connection.scalar(query.where(Content.outcome == Outcome.INDEXED, ~has_item)) or 0)
