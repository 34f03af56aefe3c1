"""Contents and items: what was decoded, and the change that a batch of results makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from pictor.library.catalog import fingerprints, pairs, spaces
from pictor.library.catalog.files import chunked, insert_rows, next_id, rows_in
from pictor.library.catalog.rows import ContentChange, ContentState, FileChange, ItemRow
from pictor.library.catalog.schema import (
    BACKGROUND,
    CAPTION,
    CONTENT,
    FILE,
    ITEM,
    REMOVED_VECTOR,
    TAG,
    VECTOR,
)
from pictor.library.records import Caption, HalfMatrix, Outcome


def content_state(connection: Connection, digest: bytes) -> ContentState | None:
    """What is known of a content, by its hash."""
    return content_states(connection, [digest]).get(digest)


def content_ids(connection: Connection, digests: Sequence[bytes]) -> dict[bytes, int]:
    """The ids of those contents that are in the catalog."""
    states = content_states(connection, digests)
    return {digest: state.id for digest, state in states.items()}


def content_states(connection: Connection, digests: Sequence[bytes]) -> dict[bytes, ContentState]:
    """What is known of some contents, by their hashes."""
    query = select(CONTENT.c.hash, CONTENT.c.id, CONTENT.c.outcome, CONTENT.c.reason)
    rows = rows_in(connection, query, CONTENT.c.hash, digests)
    return {row[0]: ContentState(*row[1:]) for row in rows}


def items(connection: Connection, item_ids: Sequence[int]) -> dict[int, ItemRow]:
    """Items with the facts of their contents, by id."""
    columns = (ITEM.c.id, ITEM.c.content_id, ITEM.c.position, ITEM.c.time_s)
    query = select(*columns, ITEM.c.width, ITEM.c.height, CONTENT.c.hash, CONTENT.c.taken_at)
    query = query.join(CONTENT, CONTENT.c.id == ITEM.c.content_id)
    rows = rows_in(connection, query, ITEM.c.id, item_ids)
    return {row[0]: ItemRow._make(row) for row in rows}


def first_item(connection: Connection, content_id: int) -> int | None:
    """The id of a content's first item."""
    query = select(ITEM.c.id).where(ITEM.c.content_id == content_id).order_by(ITEM.c.position)
    return connection.scalar(query.limit(1))


def lacking_vectors(
    connection: Connection, space_id: int, after_id: int, limit: int
) -> list[tuple[int, bytes]]:
    """(id, hash) of contents with an item that has no vector in a space, ascending by id."""
    lacking = select(ITEM.c.content_id).where(ITEM.c.content_id > after_id)
    lacking = lacking.where(~spaces.has_vector(space_id))
    lacking = lacking.distinct().order_by(ITEM.c.content_id).limit(limit)
    query = select(CONTENT.c.id, CONTENT.c.hash).where(CONTENT.c.id.in_(lacking))
    return [(row[0], row[1]) for row in connection.execute(query.order_by(CONTENT.c.id))]


def apply(
    connection: Connection,
    run_id: int,
    contents: Sequence[ContentChange],
    files: Sequence[FileChange],
    captions: Mapping[bytes, Sequence[Caption]] | None = None,
) -> None:
    """Write one batch: contents with items and vectors, then the files that hold them.

    Everything is in the caller's transaction. A content that is known already is brought up to
    date: its facts and vectors are replaced, and its items too if it was cut into other frames.

    Args:
        captions: texts that came with files whose contents were known already, by hash.
    """
    known = content_ids(connection, [change.hash for change in contents])
    first_id = next_id(connection, CONTENT)
    fresh = [change for change in contents if change.hash not in known]
    known |= {change.hash: first_id + i for i, change in enumerate(fresh)}
    if fresh:
        rows = [{"id": known[c.hash], "hash": c.hash} | _content_values(c) for c in fresh]
        connection.execute(insert(CONTENT), rows)
    fresh_hashes = {change.hash for change in fresh}
    for change in contents:
        if change.hash not in fresh_hashes:
            values = _content_values(change)
            if values["rating"] is None:
                del values["rating"]  # the bytes are the same: one that is there was carried over
            where = CONTENT.c.id == known[change.hash]
            connection.execute(update(CONTENT).where(where).values(**values))
    _write_items(connection, contents, known, fresh_hashes)
    indexed = [change for change in contents if change.outcome is Outcome.INDEXED]
    hashes = {known[one.hash]: one.hashes for one in indexed if one.hashes is not None}
    fingerprints.write(connection, hashes)
    texts = {change.hash: change.captions for change in contents if change.captions}
    _add_captions(connection, dict(captions or {}) | texts)
    _write_files(connection, run_id, files, known)


def _content_values(change: ContentChange) -> dict[str, Any]:
    facts = vars(change.metadata) | {"keywords": list(change.metadata.keywords)}
    facts |= {
        "size_bytes": change.size_bytes,
        "outcome": change.outcome.value,
        "reason": change.reason.value if change.reason else None,
        "detail": change.detail,
        "warnings": list(change.warnings),
    }
    return {name: storable(value) for name, value in facts.items()}


def storable(value: Any) -> Any:
    """A value in which no text holds what no database takes: NUL and lone surrogates."""
    if isinstance(value, str):
        if value.isascii() and "\0" not in value:
            return value
        return value.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", " ")
    return [storable(part) for part in value] if isinstance(value, list) else value


def _write_items(
    connection: Connection,
    contents: Sequence[ContentChange],
    known: Mapping[bytes, int],
    fresh: set[bytes],
) -> None:
    # An id no item ever had: caches and open indexes may still know those of purged ones.
    removed = connection.scalar(select(func.max(REMOVED_VECTOR.c.item_id)))
    item_id = max(next_id(connection, ITEM), int(removed or 0) + 1)
    rows: list[dict[str, Any]] = []
    vectors: dict[int, list[tuple[int, HalfMatrix]]] = {}
    for change in contents:
        content_id = known[change.hash]
        held = {} if change.hash in fresh else _held_items(connection, content_id, change)
        for i, (position, time_s, width, height) in enumerate(change.frames):
            if position not in held:
                held[position] = item_id
                facts = {"position": position, "time_s": time_s, "width": width, "height": height}
                rows.append({"id": item_id, "content_id": content_id} | facts)
                item_id += 1
            for space_id, matrix in change.vectors.items():
                vectors.setdefault(space_id, []).append((held[position], matrix[i]))
    if rows:
        connection.execute(insert(ITEM), rows)
    for space_id, found in vectors.items():
        _write_vectors(connection, space_id, found)


def _held_items(connection: Connection, content_id: int, change: ContentChange) -> dict[int, int]:
    """The ids, by position, of items that stay; those of a video now cut otherwise go.

    Another setting, or a slow moment, gives a video other frames than before. Its old vectors in
    other spaces would stand for moments they do not show, so they go too and are made again.
    """
    query = select(ITEM.c.position, ITEM.c.id, ITEM.c.time_s).where(ITEM.c.content_id == content_id)
    rows = connection.execute(query).all()
    if not change.frames or {(r[0], r[2]) for r in rows} == {(f[0], f[1]) for f in change.frames}:
        return {position: item_id for position, item_id, _ in rows}
    _remove_items(connection, [content_id])
    return {}


def _write_vectors(
    connection: Connection, space_id: int, pairs: Sequence[tuple[int, HalfMatrix]]
) -> None:
    change = spaces.next_change(connection, space_id)
    for chunk in chunked([item_id for item_id, _ in pairs]):
        for table in (VECTOR, BACKGROUND):
            where = (table.c.space_id == space_id, table.c.item_id.in_(chunk))
            connection.execute(delete(table).where(*where))
    rows = [
        {
            "space_id": space_id,
            "item_id": item_id,
            "change": change,
            "data": np.ascontiguousarray(vector, dtype=spaces.LITTLE_FLOAT16).tobytes(),
        }
        for item_id, vector in pairs
    ]
    insert_rows(connection, VECTOR, rows)


def _add_captions(connection: Connection, captions: Mapping[bytes, Sequence[Caption]]) -> None:
    """Store texts of contents, each once; those of contents that are not there yet come later."""
    if not captions:
        return
    ids = content_ids(connection, sorted(captions))
    names = ("content_id", "language", "source", "text")
    query = select(*CAPTION.c[names])
    held = set(map(tuple, rows_in(connection, query, CAPTION.c.content_id, sorted(ids.values()))))
    new = {
        (ids[digest], storable(c.language), storable(c.source), storable(c.text)): None
        for digest, texts in captions.items()
        if digest in ids
        for c in texts
    }
    rows = [dict(zip(names, key, strict=True)) for key in new if key not in held]
    insert_rows(connection, CAPTION, rows)


def captions_of(connection: Connection, content_ids: Sequence[int]) -> dict[int, list[Caption]]:
    """The texts that came with some contents, in the order they were found."""
    found: dict[int, list[Caption]] = {}
    columns = (CAPTION.c.content_id, CAPTION.c.text, CAPTION.c.language, CAPTION.c.source)
    query = select(*columns).order_by(CAPTION.c.id)
    for content_id, *facts in rows_in(connection, query, CAPTION.c.content_id, content_ids):
        found.setdefault(content_id, []).append(Caption(*facts))
    return found


def _write_files(
    connection: Connection, run_id: int, files: Sequence[FileChange], known: Mapping[bytes, int]
) -> None:
    others = {f.hash for f in files if f.hash is not None and f.hash not in known}
    ids = dict(known) | content_ids(connection, sorted(others))
    new: list[dict[str, Any]] = []
    known_rows: list[dict[str, Any]] = []
    kept_rows: list[dict[str, Any]] = []  # whose content stays what it was
    for change in files:
        values = {
            "root_id": change.root_id,
            "path": change.path,
            "size_bytes": change.size_bytes,
            "mtime_ns": change.mtime_ns,
            "content_id": ids[change.hash] if change.hash is not None else None,
            "outcome": change.outcome.value,
            "reason": change.reason.value if change.reason else None,
            "detail": storable(change.detail),
            "run_id": run_id,
            "missing_since": None,
        }
        if change.file_id is None:
            new.append(values)
        else:
            if change.keeps_content:
                del values["content_id"]
            rows = kept_rows if change.keeps_content else known_rows
            rows.append(values | {"row_id": change.file_id})
    for rows in (known_rows, kept_rows):
        if rows:
            where = FILE.c.id == bindparam("row_id")
            names = rows[0].keys() - {"row_id"}
            columns: dict[str, Any] = {name: bindparam(name) for name in sorted(names)}
            connection.execute(update(FILE).where(where).values(columns), rows)
    insert_rows(connection, FILE, new)


def purge_missing(connection: Connection) -> int:
    """Forget files that are missing from roots that can be reached; how many."""
    return int(connection.execute(delete(FILE).where(FILE.c.missing_since.is_not(None))).rowcount)


def purge_orphans(connection: Connection) -> int:
    """Forget contents that no file holds, with all that hangs on them; how many."""
    held = select(FILE.c.id).where(FILE.c.content_id == CONTENT.c.id).exists()
    orphans = list(connection.scalars(select(CONTENT.c.id).where(~held)))
    for chunk in chunked(orphans):
        _remove_items(connection, chunk)
        connection.execute(delete(CAPTION).where(CAPTION.c.content_id.in_(chunk)))
        connection.execute(delete(TAG).where(TAG.c.content_id.in_(chunk)))
        fingerprints.forget(connection, chunk)
        pairs.forget(connection, chunk)
        connection.execute(delete(CONTENT).where(CONTENT.c.id.in_(chunk)))
    return len(orphans)


def _remove_items(connection: Connection, content_ids: Sequence[int]) -> None:
    """Forget the items of at most CHUNK contents, with their vectors."""
    where = ITEM.c.content_id.in_(content_ids)
    for chunk in chunked(connection.scalars(select(ITEM.c.id).where(where)).all()):
        query = select(VECTOR.c.space_id, VECTOR.c.item_id).where(VECTOR.c.item_id.in_(chunk))
        gone = connection.execute(query).all()
        changes = {s: spaces.next_change(connection, s) for s in {space_id for space_id, _ in gone}}
        rows = [
            {"space_id": space_id, "item_id": item_id, "change": changes[space_id]}
            for space_id, item_id in gone
        ]
        connection.execute(delete(VECTOR).where(VECTOR.c.item_id.in_(chunk)))
        connection.execute(delete(BACKGROUND).where(BACKGROUND.c.item_id.in_(chunk)))
        insert_rows(connection, REMOVED_VECTOR, rows)
    connection.execute(delete(ITEM).where(where))
