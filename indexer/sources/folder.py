"""A folder as a root: a walk in the byte order of full paths, in memory bounded by one branch.

Within a folder, files sort by name and folders by name + b"/". Descending at a folder's turn then
gives full paths in ascending byte order: no name holds b"/", so all paths under a folder stand
where its name + b"/" stands.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from pictor.indexer.sources.base import (
    FoundFile,
    Locator,
    RootKind,
    ScanOptions,
    ScanProblem,
    Source,
    quoted,
    why,
)
from pictor.indexer.sources.descriptors import LONGEST_PATH, FarEntry, far_entries, identity
from pictor.indexer.sources.raw_pairs import pair_raws, sidecar_detail
from pictor.indexer.sources.selection import (
    LIBRARY_MARKS,
    LIBRARY_NAMES,
    SYSTEM_NAMES,
    Selector,
    is_sidecar,
)
from pictor.library.errors import SourceError
from pictor.library.records import Reason

_Entry = os.DirEntry[bytes] | FarEntry
_GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
_TYPE_BITS = 0o170000  # S_IFMT: stat.S_ISREG would cost a call for each file
_REGULAR = stat.S_IFREG


class FolderSource(Source):
    """Every regular file under a folder. Pipes, sockets and devices are never opened or listed."""

    kind = RootKind.FOLDER

    def scan(self, prefix: bytes = b"") -> Iterator[FoundFile | ScanProblem]:
        """Its files whose path begins with `prefix`, in order; nothing outside of it is walked.

        A file that may not be asked for its size is listed without (-1), so that reading it says
        why. Any other failure under a folder is a problem of that folder.

        Raises:
            SourceError: the folder itself is not there or cannot be listed.
        """
        return _Walk(self.location, self.options).run(prefix)


@dataclass(slots=True)
class _Open:
    """A folder whose turn it is: what is still to come of it, in order."""

    prefix: bytes
    identity: tuple[int, int]
    entries: dict[bytes, _Entry]
    keys: Iterator[bytes]
    pairs: dict[bytes, bytes]
    has_problem: bool = False


class _Walk:
    """One run over a tree, with a stack of its own: no depth of tree is too deep."""

    def __init__(self, location: bytes, options: ScanOptions) -> None:
        self._location = location
        self._options = options
        self._follow = options.follow_symlinks
        self._selector = Selector(options)
        self._stack: list[_Open] = []
        self._entered: set[tuple[int, int]] = set()
        self._real_location = os.path.realpath(location) if self._follow else location

    def run(self, prefix: bytes) -> Iterator[FoundFile | ScanProblem]:
        """The walk, begun at the folder of `prefix`."""
        folder, slash, start = prefix.rpartition(b"/")
        self._check_root()
        if folder + slash and not self._leads_to(folder + slash):
            return
        yield from self._enter(folder + slash, self._absolute(folder), start)
        while self._stack:
            yield from self._files(self._stack[-1])

    def _check_root(self) -> None:
        try:
            facts = os.stat(self._location)
        except OSError as error:
            raise SourceError(f"cannot list {quoted(self._location)}: {why(error)}") from error
        if not stat.S_ISDIR(facts.st_mode):
            raise SourceError(f"{quoted(self._location)} was a folder and is none any more")

    def _absolute(self, relative: bytes) -> bytes:
        return os.path.join(self._location, relative) if relative else self._location

    def _leads_to(self, folder: bytes) -> bool:
        """Whether a walk from the root would come to `folder`; notes the folders on the way."""
        if not self._selector.wants(folder):
            return False
        done = b""
        for part in folder[:-1].split(b"/"):
            if part in (b"", b".", b".."):
                return False
            self._note(self._absolute(done))
            done = done + b"/" + part if done else part
            path = self._absolute(done)
            is_link = len(path) <= LONGEST_PATH and os.path.islink(path)
            if is_link and not (self._follow and not self._is_listed_elsewhere(path)):
                return False
        return True

    def _note(self, path: bytes) -> None:
        try:
            self._entered.add(identity(path))
        except OSError:
            return  # entering it will say what is wrong

    def _enter(self, prefix: bytes, path: bytes, start: bytes = b"") -> Iterator[ScanProblem]:
        """Puts a folder on the stack; gives the problem if it is listed in part or not at all."""
        entries: dict[bytes, _Entry] = {}
        has_problem = False
        try:
            key = identity(path)
            if key in self._entered:
                return
            self._list(path, prefix, entries)
        except OSError as error:
            if not prefix:
                raise SourceError(f"cannot list {quoted(path)}: {why(error)}") from error
            if error.errno in _GONE:
                return
            yield ScanProblem(prefix, f"cannot list {quoted(path)}: {why(error)}")
            has_problem = True
            if not entries:
                return
        self._entered.add(key)
        pairs = pair_raws(entries) if self._options.pair_raw else {}
        names = [name for name in entries if name.startswith(start)] if start else entries
        self._stack.append(_Open(prefix, key, entries, iter(sorted(names)), pairs, has_problem))

    def _list(self, path: bytes, prefix: bytes, entries: dict[bytes, _Entry]) -> None:
        """Fills `entries` with what is wanted of a folder, by sort key, until an error ends it."""
        hides, follow = self._selector.hides, self._follow
        globs = self._selector if self._selector.has_globs else None
        for entry in far_entries(path) if len(path) > LONGEST_PATH else _scan_folder(path):
            name = entry.name
            if hides and (name[0] == 46 or name.lower() in SYSTEM_NAMES):  # 46 is "."
                continue
            if self._is_folder(entry) if follow else entry.is_dir(follow_symlinks=False):
                name += b"/"
            elif is_sidecar(name):
                continue
            if globs is None or globs.matches(prefix + name):
                entries[name] = entry
        if entries.keys() >= LIBRARY_MARKS:  # a library of ours: what it holds is no collection
            for name in [name for name in entries if name in LIBRARY_NAMES]:
                del entries[name]

    def _is_folder(self, entry: _Entry) -> bool:
        try:
            return entry.is_dir()
        except OSError:  # a link that names itself
            return False

    def _files(self, top: _Open) -> Iterator[FoundFile | ScanProblem]:
        """The files of a folder up to its next subfolder, which goes on the stack, or its end."""
        prefix, entries, pairs, follow = top.prefix, top.entries, top.pairs, self._follow
        for name in top.keys:
            entry = entries[name]
            if name[-1] == 47:  # "/"
                if not (follow and entry.is_symlink() and self._is_listed_elsewhere(entry.path)):
                    yield from self._enter(prefix + name, entry.path)
                    if self._stack[-1] is not top:
                        return
                continue
            try:
                facts = entry.stat(follow_symlinks=follow)
            except OSError as error:
                yield from self._without_facts(top, name, error)
                continue
            if facts.st_mode & _TYPE_BITS != _REGULAR:
                continue
            locator = Locator("file", entry.path)
            size, mtime_ns = facts.st_size, facts.st_mtime_ns
            if name in pairs:
                detail = sidecar_detail(pairs[name])
                yield FoundFile(prefix + name, size, mtime_ns, locator, (), Reason.SIDECAR, detail)
            else:
                yield FoundFile(prefix + name, size, mtime_ns, locator)
        self._leave()

    def _leave(self) -> None:
        top = self._stack.pop()
        if not self._follow:  # without links only a folder inside itself could go on for ever
            self._entered.discard(top.identity)

    def _without_facts(
        self, top: _Open, name: bytes, error: OSError
    ) -> Iterator[FoundFile | ScanProblem]:
        path = top.prefix + name
        if error.errno in _GONE:
            return
        if error.errno in (errno.EACCES, errno.EPERM):
            yield FoundFile(path, -1, -1, Locator("file", self._absolute(path)))
        elif not top.has_problem:
            top.has_problem = True
            detail = f"cannot read {quoted(self._absolute(path))}: {why(error)}"
            yield ScanProblem(top.prefix, detail)

    def _is_listed_elsewhere(self, link: bytes) -> bool:
        """Whether a link to a folder leads to one that the walk finds under its own name."""
        real = os.path.realpath(link)
        if real == self._real_location:
            return True
        inside = real.removeprefix(self._real_location.rstrip(b"/") + b"/")
        return inside != real and self._selector.wants(inside + b"/")


def _scan_folder(path: bytes) -> Iterator[os.DirEntry[bytes]]:
    with os.scandir(path) as listing:
        yield from listing
