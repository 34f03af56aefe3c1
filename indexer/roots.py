"""From what a person names to what is scanned: roots, the scopes inside them, and whether they are
there.

A path inside a folder that is a root already is a part of that root, if a scan of the root would
come to it; a folder that holds roots takes them over. So no file is known twice under two roots
because of the order in which they were named.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from pictor.indexer.sources import open_source, reopen, same_volume, volume_id
from pictor.indexer.sources.base import RootKind, ScanOptions, Source
from pictor.indexer.sources.selection import Selector
from pictor.library.catalog import files
from pictor.library.catalog.rows import RootRow
from pictor.library.errors import SourceError
from pictor.library.names import display
from pictor.library.store import Store

#: Known paths looked up to tell a volume that came back under another number from another volume.
VOLUME_SAMPLE = 100
IN_FOLDERS = frozenset({RootKind.FOLDER, RootKind.FILE})


@dataclass(frozen=True)
class Scope:
    """A part of a root to scan: all of it, a folder in it (ends in b"/"), or one file."""

    root: RootRow
    source: Source
    prefix: bytes = b""


def resolve(library: Store, named: Sequence[str | bytes], options: ScanOptions) -> list[Scope]:
    """The scopes that were named, registering new roots; every known root if none was named.

    Raises:
        SourceError: a name is neither there nor known from before; then nothing is registered.
    """
    with library.writing() as connection:
        resolver = _Resolver(connection, options)
        if named:
            scopes = [scope for name in named for scope in resolver.scopes(name)]
        else:
            scopes = [resolver.whole(row) for row in resolver.roots()]
        resolver.adopt_nested()
    return list(_without_covered(resolver.settled(scopes)))


class _Resolver:
    """Names into scopes, within one transaction."""

    def __init__(self, connection: Connection, options: ScanOptions) -> None:
        self._connection = connection
        self._options = options
        self._selector = Selector(options)
        self._by_location = {row.location: row for row in files.roots(connection)}
        self._adopted: dict[int, tuple[RootRow, bytes]] = {}

    def roots(self) -> list[RootRow]:
        """Every root, in the order they were first indexed."""
        return list(self._by_location.values())

    def whole(self, row: RootRow) -> Scope:
        """All of a root, listed with today's options."""
        return Scope(row, reopen(RootKind(row.kind), row.location, self._options))

    def scopes(self, name: str | bytes) -> Iterator[Scope]:
        """What one name means; roots that are new are registered."""
        location = os.path.abspath(os.fsencode(name))
        if location in self._by_location:
            yield self.whole(self._by_location[location])
            return
        if not os.path.lexists(location):
            known = self._known_part(location)
            if known is not None:
                yield known
                return
        for source in open_source(name, self._options):
            yield self._scope(source)

    def adopt_nested(self) -> None:
        """Let folder roots take over the roots inside them that can be reached.

        One that cannot (its volume is not mounted) stays a root of its own, so that its files are
        unreachable and not missing.
        """
        for child in self.roots():
            parent = self._parent_of(child.location)
            if child.kind not in IN_FOLDERS or parent is None:
                continue
            row, path = parent
            if check_reachable(self._connection, child)[0] is not None:
                continue
            path += b"/" if child.kind == RootKind.FOLDER else b""
            files.adopt_root(self._connection, child, row.id, path)
            self._adopted[child.id] = (row, path)
            del self._by_location[child.location]

    def settled(self, scopes: Sequence[Scope]) -> Iterator[Scope]:
        """The scopes, those of roots that were taken over since as parts of their new root."""
        for scope in scopes:
            prefix = scope.prefix
            while scope.root.id in self._adopted:
                row, path = self._adopted[scope.root.id]
                prefix = path + prefix
                scope = Scope(row, self.whole(row).source, prefix)
            yield scope

    def _scope(self, source: Source) -> Scope:
        location = source.location
        if location in self._by_location:
            return self.whole(self._by_location[location])
        parent = self._parent_of(location) if source.kind in IN_FOLDERS else None
        if parent is not None:
            row, path = parent
            return Scope(
                row, self.whole(row).source, path + (b"/" if os.path.isdir(location) else b"")
            )
        kind = source.kind.value
        files.add_root(self._connection, kind, location, volume_id(location))
        (added,) = files.roots(self._connection, location)
        self._by_location[location] = added
        return Scope(added, source)

    def _known_part(self, location: bytes) -> Scope | None:
        """A file or folder that is gone, but of which the catalog has rows under a known root."""
        parent = self._parent_of(location)
        if parent is None:
            return None
        row, path = parent
        for prefix in (path + b"/", path):
            if files.has_rows(self._connection, files.in_scope(row.id, prefix)):
                return Scope(row, self.whole(row).source, prefix)
        return None

    def _parent_of(self, location: bytes) -> tuple[RootRow, bytes] | None:
        """The folder root whose scan comes to `location`, and the path in it."""
        folder = location
        while folder != b"/":
            folder = os.path.dirname(folder)
            row = self._by_location.get(folder)
            if row is not None and row.kind == RootKind.FOLDER:
                path = location[len(folder.rstrip(b"/")) + 1 :]
                if self._comes_to(folder, path):
                    return row, path
        return None

    def _comes_to(self, folder: bytes, path: bytes) -> bool:
        is_folder = os.path.isdir(os.path.join(folder, path))
        if not self._selector.wants(path + b"/" if is_folder else path):
            return False
        at = folder
        for part in path.split(b"/"):
            at = os.path.join(at, part)
            if os.path.islink(at):  # entered, if at all, only where it does not lead back inside
                inside = os.path.realpath(folder).rstrip(b"/") + b"/"
                if not self._options.follow_symlinks or os.path.realpath(at).startswith(inside):
                    return False
        return True


def _without_covered(scopes: Iterable[Scope]) -> Iterator[Scope]:
    """Each scope once, without those that lie inside another one."""
    distinct = {(scope.root.id, scope.prefix): scope for scope in scopes}
    for (root_id, prefix), scope in distinct.items():
        wider = [prefix[: i + 1] for i, byte in enumerate(prefix[:-1]) if byte == 47]  # "/"
        if not prefix or not any((root_id, other) in distinct for other in [b"", *wider]):
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
        volume = volume_id(location)
    except OSError as error:
        return f"it cannot be opened: {error.strerror}", None
    except SourceError as error:
        return str(error), None
    if empty and files.sample_paths(connection, root.id, 1):
        return "it is empty, though files of it are indexed: is its volume mounted?", None
    if root.kind == RootKind.FOLDER and root.volume and not same_volume(root.volume, volume):
        sample = files.sample_paths(connection, root.id, VOLUME_SAMPLE)
        if sample and not any(os.path.lexists(location + b"/" + path) for path in sample):
            return "another volume is mounted there", None
    return None, volume


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
