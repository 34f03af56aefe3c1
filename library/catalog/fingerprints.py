"""Fingerprints of contents: what tells copies of a still apart, and which contents were compared.

Every indexed content has a row once a pass went through it; a video or animation has one without
hashes, since it is compared by its bytes and its name only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from pictor.library.catalog.files import chunked, count_rows, pages, reachable_file, rows_in
from pictor.library.catalog.rows import full_path
from pictor.library.catalog.schema import CONTENT, FILE, FINGERPRINT, ITEM, ROOT, VECTOR

#: Rows read at once: 64 bytes of hashes each.
BLOCK = 20_000
#: Of what is stored in `version`; equal to `library.images.fingerprint.VERSION`, which a process
#: that reads no picture does not import. A test holds them together.
VERSION = 1
NO_HASHES = b""


class FingerprintRow(NamedTuple):
    """What is stored of one content.

    Attributes:
        hashes: 64 bytes, or none for a video.
        compared: the version of the comparison that held it against all others; 0 for none.
        is_placed: a file that can be reached holds it.
    """

    content_id: int
    hashes: bytes
    compared: int
    is_placed: bool


class ShotFacts(NamedTuple):
    """What a comparison wants to know of a content besides its pixels.

    Attributes:
        taken_at: ISO 8601 to the second, camera: maker and model; None where the file is silent.
        format: lower case ("jpeg").
        names: absolute paths of the files that hold it.
    """

    taken_at: str | None = None
    camera: str | None = None
    format: str = ""
    names: tuple[bytes, ...] = ()
    hash: bytes = b""


def write(connection: Connection, hashes: Mapping[int, bytes]) -> None:
    """Store the hashes of contents, by id. A row of the current version stays as it is."""
    held: set[int] = set()
    for chunk in chunked(sorted(hashes)):
        where = FINGERPRINT.c.content_id.in_(chunk)
        current = select(FINGERPRINT.c.content_id).where(where, FINGERPRINT.c.version == VERSION)
        held.update(connection.scalars(current))
        connection.execute(delete(FINGERPRINT).where(where, FINGERPRINT.c.version != VERSION))
    rows = [
        {"content_id": content_id, "version": VERSION, "hashes": data, "compared": 0}
        for content_id, data in hashes.items()
        if content_id not in held
    ]
    if rows:
        connection.execute(insert(FINGERPRINT), rows)


def write_pixels(connection: Connection, pixels: Mapping[int, bytes]) -> None:
    """Store the BLAKE3 (32 bytes) of all decoded pixels of contents that have a row."""
    for content_id, digest in pixels.items():
        where = FINGERPRINT.c.content_id == content_id
        connection.execute(update(FINGERPRINT).where(where).values(pixels=digest))


def lacking(connection: Connection, after_id: int, limit: int) -> list[tuple[int, bytes, bool]]:
    """(id, hash, whether it is a still) of indexed contents without a row, ascending by id.

    Rows of another version count as lacking.
    """
    moving = select(ITEM.c.id).where(ITEM.c.content_id == CONTENT.c.id, ITEM.c.time_s.is_not(None))
    query = select(CONTENT.c.id, CONTENT.c.hash, ~moving.exists())
    query = query.where(*_lacking(), CONTENT.c.id > after_id)
    rows = connection.execute(query.order_by(CONTENT.c.id).limit(limit)).all()
    return [(content_id, digest, bool(is_still)) for content_id, digest, is_still in rows]


def count_lacking(connection: Connection) -> int:
    """Indexed contents without a row of the current version."""
    return count_rows(connection, CONTENT, *_lacking())


def _lacking() -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    there = select(FINGERPRINT.c.content_id)
    there = there.where(FINGERPRINT.c.content_id == CONTENT.c.id, FINGERPRINT.c.version == VERSION)
    return CONTENT.c.outcome == "indexed", ~there.exists()


def count_fresh(connection: Connection, comparison: int) -> int:
    """Contents with a row and a reachable file not yet compared with all others in this version."""
    is_due = FINGERPRINT.c.compared != comparison
    return count_rows(connection, FINGERPRINT, is_due, reachable_file(FINGERPRINT.c.content_id))


def count(connection: Connection) -> int:
    """Contents with a row."""
    return count_rows(connection, FINGERPRINT)


def blocks(connection: Connection) -> Iterator[list[FingerprintRow]]:
    """All rows, ascending by content, at most `BLOCK` at once."""
    columns = (FINGERPRINT.c.content_id, FINGERPRINT.c.hashes, FINGERPRINT.c.compared)
    query = select(*columns, reachable_file(columns[0]))
    for rows in pages(connection, query, columns[0], BLOCK):
        yield [FingerprintRow._make(row) for row in rows]


def vector_blocks(connection: Connection, space_id: int) -> Iterator[list[tuple[int, bytes]]]:
    """(content id, float16 vector) of stills in a space, ascending by content, in blocks."""
    still = (ITEM.c.position == 0, ITEM.c.time_s.is_(None), VECTOR.c.space_id == space_id)
    query = select(ITEM.c.content_id, VECTOR.c.data).join(VECTOR, VECTOR.c.item_id == ITEM.c.id)
    for rows in pages(connection, query.where(*still), ITEM.c.content_id, BLOCK):
        yield [(row[0], row[1]) for row in rows]


def mark_compared(connection: Connection, content_ids: Iterable[int], comparison: int) -> None:
    """Note that a comparison of this version held these contents against all others."""
    for chunk in chunked(sorted(content_ids)):
        where = FINGERPRINT.c.content_id.in_(chunk)
        connection.execute(update(FINGERPRINT).where(where).values(compared=comparison))


def forget(connection: Connection, content_ids: Sequence[int]) -> None:
    """Drop the rows of at most CHUNK contents."""
    connection.execute(delete(FINGERPRINT).where(FINGERPRINT.c.content_id.in_(content_ids)))


def moments(connection: Connection) -> Iterator[tuple[int, str, str]]:
    """(content id, camera, taken_at) of indexed contents that say both, by camera and moment."""
    columns = (CONTENT.c.id, CONTENT.c.camera, CONTENT.c.taken_at)
    said = (CONTENT.c.camera.is_not(None), CONTENT.c.taken_at.is_not(None))
    query = select(*columns).where(CONTENT.c.outcome == "indexed", *said)
    query = query.order_by(CONTENT.c.camera, CONTENT.c.taken_at, CONTENT.c.id)
    for row in connection.execute(query).yield_per(BLOCK):
        yield row[0], row[1], row[2]


def names(connection: Connection) -> Iterator[tuple[int, bytes, int]]:
    """(root id, path, content id) of files that are not missing and whose content is indexed."""
    query = (
        select(FILE.c.root_id, FILE.c.path, FILE.c.content_id)
        .join(CONTENT, CONTENT.c.id == FILE.c.content_id)
        .where(CONTENT.c.outcome == "indexed", FILE.c.missing_since.is_(None))
    )
    for row in connection.execute(query).yield_per(BLOCK):
        yield row[0], row[1], row[2]


def facts(connection: Connection, content_ids: Iterable[int]) -> dict[int, ShotFacts]:
    """What a comparison wants to know of some contents, by id."""
    found: dict[int, ShotFacts] = {}
    wanted = sorted(set(content_ids))
    paths: dict[int, list[bytes]] = {content_id: [] for content_id in wanted}
    places = select(FILE.c.content_id, ROOT.c.kind, ROOT.c.location, FILE.c.path)
    places = places.join(ROOT, ROOT.c.id == FILE.c.root_id).order_by(FILE.c.root_id, FILE.c.path)
    for content_id, *place in rows_in(connection, places, FILE.c.content_id, wanted):
        paths[content_id].append(full_path(*place))
    columns = (CONTENT.c.id, CONTENT.c.hash, CONTENT.c.format, CONTENT.c.taken_at, CONTENT.c.camera)
    for one in rows_in(connection, select(*columns), CONTENT.c.id, wanted):
        content_id, digest, media, taken_at, camera = one
        there = tuple(paths[content_id])
        found[content_id] = ShotFacts(taken_at, camera, media.lower(), there, digest)
    return found
