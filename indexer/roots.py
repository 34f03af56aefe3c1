"""From what a person names to what is scanned: roots, the scopes inside them, and whether they are
there.

A path inside a folder that is a root already is a part of that root; a folder that holds roots
takes them over. So no file is known twice under two roots because of the order in which they were
named.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from indexer.sources import open_source, reopen, same_volume, volume_id
from indexer.sources.base import RootKind, ScanOptions, Source
from library.catalog import files
from library.catalog.rows import RootRow
from library.errors import SourceError
from library.library import Library

#: Known paths looked up to tell a volume that came back under another number from another volume.
VOLUME_SAMPLE = 100


@dataclass(frozen=True)
class Scope:
    """A part of a root to scan: all of it, a folder in it (ends in b"/"), or one file."""

    root: RootRow
    source: Source
    prefix: bytes = b""


def display(path: bytes) -> str:
    """A path as text that any terminal and any database can hold."""
    return path.decode("utf-8", errors="backslashreplace")


def resolve(library: Library, named: Sequence[str | bytes], options: ScanOptions) -> list[Scope]:
    """The scopes that were named, registering new roots; every known root if none was named.

    Raises:
        SourceError: a name is neither there nor a root that was indexed before.
    """
    if not named:
        with library.reading() as connection:
            known = files.roots(connection)
        return [Scope(row, reopen(RootKind(row.kind), row.location, options)) for row in known]
    scopes: dict[tuple[int, bytes], Scope] = {}
    for name in named:
        for scope in _resolve_one(library, name, options):
            scopes[scope.root.id, scope.prefix] = scope
    return list(_without_covered(scopes.values()))


def _resolve_one(library: Library, name: str | bytes, options: ScanOptions) -> Iterator[Scope]:
    location = os.path.abspath(os.fsencode(name))
    with library.reading() as connection:
        known = files.roots(connection)
    for row in known:
        if row.location == location:
            yield Scope(row, reopen(RootKind(row.kind), location, options))
            return
    parent = next((row for row in known if _inside(location, row)), None)
    if parent is not None:
        prefix = location[len(parent.location.rstrip(b"/")) + 1 :]
        if os.path.isdir(location):
            prefix += b"/"
        yield Scope(parent, reopen(RootKind.FOLDER, parent.location, options), prefix)
        return
    for source in open_source(name, options):
        with library.writing() as connection:
            row = _register(connection, source)
        yield Scope(row, source)


def _register(connection: Connection, source: Source) -> RootRow:
    """The stored root of a source; a new folder takes over the roots that lie inside it."""
    before = files.roots(connection)
    same = [row for row in before if row.location == source.location]
    if same:
        return same[0]
    kind = source.kind.value
    root_id = files.add_root(connection, kind, source.location, volume_id(source.location))
    added = next(row for row in files.roots(connection) if row.id == root_id)
    for row in before:
        if row.kind in (RootKind.FOLDER, RootKind.FILE) and _inside(row.location, added):
            prefix = row.location[len(added.location.rstrip(b"/")) + 1 :]
            prefix += b"/" if row.kind == RootKind.FOLDER else b""
            files.adopt_root(connection, row, root_id, prefix)
    return added


def _inside(location: bytes, root: RootRow) -> bool:
    """Whether a path lies in a folder root where its scan looks: not below a hidden part."""
    base = root.location.rstrip(b"/") + b"/"
    if root.kind != RootKind.FOLDER or not location.startswith(base):
        return False
    parts = location[len(base) :].split(b"/")
    return not any(part.startswith((b".", b"@", b"$", b"#")) for part in parts)


def _without_covered(scopes: Iterable[Scope]) -> Iterator[Scope]:
    """Leave out scopes that lie inside another one."""
    scopes = list(scopes)
    for scope in scopes:
        wider = [
            other
            for other in scopes
            if other is not scope
            and other.root.id == scope.root.id
            and (not other.prefix or other.prefix.endswith(b"/"))
            and scope.prefix.startswith(other.prefix)
        ]
        if not wider:
            yield scope


def check_reachable(connection: Connection, root: RootRow) -> tuple[str | None, str | None]:
    """Whether a root is there, and is what it was.

    Returns:
        (why it is unreachable or None, its present volume or None where it cannot be told). A root
        that is missing, empty where it was not, or replaced by another volume is unreachable: its
        rows stay.
    """
    location = root.location
    try:
        if root.kind == RootKind.FOLDER:
            with os.scandir(location) as entries:
                empty = next(entries, None) is None
        else:
            os.stat(location)
            empty = False
    except OSError as error:
        return f"it cannot be opened: {error.strerror}", None
    if empty and files.has_files(connection, root.id):
        return "it is empty, though files of it are indexed: is its volume mounted?", None
    volume = volume_id(location)
    if root.volume and not same_volume(root.volume, volume):
        sample = files.sample_paths(connection, root.id, VOLUME_SAMPLE)
        if root.kind == RootKind.FOLDER and sample and not _any_exists(location, sample):
            return "another volume is mounted there", None
    return None, volume


def _any_exists(location: bytes, paths: Sequence[bytes]) -> bool:
    return any(os.path.lexists(location + b"/" + path) for path in paths)


def require_any_reachable(scopes: Sequence[Scope], reasons: Sequence[str]) -> None:
    """Raise if not one root that was named can be scanned.

    Raises:
        SourceError: names the first root and why.
    """
    if scopes and len(reasons) == len(scopes):
        where = display(scopes[0].root.location)
        raise SourceError(
            f"{where!r} is unreachable: {reasons[0]}; nothing of it was forgotten, "
            "and it comes back with the next run that can reach it"
        )
