"""What resolving duplicates asks of the catalog and changes in it, by absolute paths."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, and_, or_, select, update

from pictor.library.catalog import decisions
from pictor.library.catalog.files import Places, below, has_rows, now, of_roots, roots
from pictor.library.catalog.rows import full_path
from pictor.library.catalog.schema import CONTENT, FILE, PAIR
from pictor.library.pairs import LADDER, Verdict

#: Roots whose files lie on a disk by themselves.
ON_DISK = ("folder", "file", "list")


class KnownFile(NamedTuple):
    """A row of a file at a path.

    Attributes:
        folder: the folder from which the file is reached: its root's, or the one it lies in.
        inside: its path from there.
    """

    file_id: int
    root_kind: str
    folder: bytes
    inside: bytes
    content: str
    is_missing: bool


class GivenFacts(NamedTuple):
    """What people and files say of a content beside its pixels."""

    content_id: int
    rating: int | None
    keywords: tuple[str, ...]


def known_files(connection: Connection, path: bytes) -> list[KnownFile]:
    """The rows of a path under roots on disk; those of folders first, the longest of them first."""
    found = []
    parent, _, name = path.rpartition(b"/")
    query = select(FILE.c.id, FILE.c.missing_since, CONTENT.c.hash)
    query = query.join(CONTENT, CONTENT.c.id == FILE.c.content_id)
    for of, inside in Places(connection).of(path):
        where = (of_roots([root.id for root in of]), FILE.c.path == inside)
        kind = of[0].kind
        place = (of[0].location, inside) if kind == "folder" else (parent or b"/", name)
        for file_id, missing, digest in connection.execute(query.where(*where)):
            found.append(KnownFile(file_id, kind, *place, bytes(digest).hex(), missing is not None))
    return found


def contents_at(connection: Connection, name: bytes) -> list[str]:
    """The hashes of the contents at an absolute path, also of a member of an archive."""
    found = {row.content for row in known_files(connection, name)}
    for root in roots(connection):
        start = root.location + b"!/"
        if name.startswith(start):
            query = select(CONTENT.c.hash).join(FILE, FILE.c.content_id == CONTENT.c.id)
            where = (FILE.c.root_id == root.id, FILE.c.path == name[len(start) :])
            found.update(bytes(one).hex() for one in connection.scalars(query.where(*where)))
    return sorted(found)


def has_files_under(connection: Connection, place: bytes) -> bool:
    """Whether there is a row of a file at or below an absolute path, missing ones too."""
    folder = place.rstrip(b"/") + b"/"
    whole: list[int] = []
    parts: dict[bytes, list[int]] = {}
    for root in roots(connection):
        start = full_path(root.kind, root.location, b"x")[:-1]
        if place == root.location or start.startswith(folder):
            whole.append(root.id)
        elif root.kind != "file" and folder.startswith(start):
            parts.setdefault(place[len(start) :], []).append(root.id)
    cases = [of_roots(whole)]
    for inside, ids in parts.items():
        cases.append(and_(of_roots(ids), or_(FILE.c.path == inside, below(inside + b"/"))))
    return any(has_rows(connection, case) for case in cases)


def contents_beginning(connection: Connection, digits: str) -> list[str]:
    """The contents whose hash begins with some hexadecimal digits, at most two of them."""
    low, high = bytes.fromhex(digits.ljust(64, "0")), bytes.fromhex(digits.ljust(64, "f"))
    query = select(CONTENT.c.hash).where(CONTENT.c.hash.between(low, high))
    return [bytes(one).hex() for one in connection.scalars(query.order_by(CONTENT.c.hash).limit(2))]


def why_not_alike(connection: Connection, content: str, kept: str) -> str:
    """Why a content may not go for another one, by what was found and decided; "" if it may."""
    one, other = bytes.fromhex(content), bytes.fromhex(kept)
    low, high = min(one, other), max(one, other)
    for row in decisions.decided(connection, [(low, high)]):
        if row.verdict in (Verdict.NOT_DUPLICATE, Verdict.RELATED):
            return f"it was decided that the two are {row.verdict.value}"
        keeps = low if row.verdict is Verdict.KEEP_LOW else high
        return "it was decided that this is the one to keep" if keeps == one else ""
    query = select(CONTENT.c.id).where(CONTENT.c.hash.in_([one, other])).order_by(CONTENT.c.id)
    ids = list(connection.scalars(query))
    if len(ids) == 2:
        where = (PAIR.c.low_id == ids[0], PAIR.c.high_id == ids[1])
        kind = connection.scalar(select(PAIR.c.kind).where(*where))
        if kind in [step.value for step in LADDER]:
            return ""
    return "the two are not known to be alike"


def set_gone(connection: Connection, path: bytes, content: str) -> None:
    """Mark what lay at a path missing, under every root that has it with this content."""
    for row in known_files(connection, path):
        if row.content == content and not row.is_missing:
            where = FILE.c.id == row.file_id
            connection.execute(update(FILE).where(where).values(missing_since=now()))


def set_there(connection: Connection, path: bytes, content: str, mtime_ns: int) -> bool:
    """Note that a content lies at a path, with a time; whether the catalog still has the file."""
    rows = [row for row in known_files(connection, path) if row.content == content]
    for row in rows:
        values = {"missing_since": None, "mtime_ns": mtime_ns}
        connection.execute(update(FILE).where(FILE.c.id == row.file_id).values(**values))
    return bool(rows)


def content_facts(connection: Connection, content: str) -> GivenFacts | None:
    """The rating and keywords of a content, by its hash."""
    columns = (CONTENT.c.id, CONTENT.c.rating, CONTENT.c.keywords)
    query = select(*columns).where(CONTENT.c.hash == bytes.fromhex(content))
    row = connection.execute(query).first()
    return None if row is None else GivenFacts(row[0], row[1], tuple(row[2] or ()))


def set_rating(connection: Connection, content_id: int, rating: int | None) -> None:
    """Give a content another rating."""
    connection.execute(update(CONTENT).where(CONTENT.c.id == content_id).values(rating=rating))
