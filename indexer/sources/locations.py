"""What a location is, and the source that lists it.

Content decides; a name does only where content cannot.
"""

from __future__ import annotations

import math
import os
import re
import stat
from collections.abc import Callable, Iterator
from itertools import islice, product

from pictor.indexer.sources.archive import ArchiveSource, looks_like_zip
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
from pictor.indexer.sources.descriptors import kind_of, opened_regular
from pictor.indexer.sources.folder import FolderSource
from pictor.indexer.sources.path_list import ListSource, is_listed, read_records
from pictor.indexer.sources.shard import ShardSource, looks_like_shard
from pictor.indexer.sources.tar_compression import UNPACKING_ERRORS, open_stream
from pictor.indexer.sources.tar_format import Readable, is_tar
from pictor.library.errors import SourceError
from pictor.library.names import PathLike

_LIST_ENDINGS = (b".txt", b".lst", b".list")
_HEAD = 1024  # bytes: two blocks of a tar
#: First bytes of archives that are not read: a sentence helps more than "not an image".
_FOREIGN = {b"7z\xbc\xaf\x27\x1c": "a 7z", b"Rar!\x1a\x07": "a RAR", b"\x28\xb5\x2f\xfd": "a zstd"}
_BRACES = re.compile(rb"\{([^{}]*)\}")
_RANGE = re.compile(rb"(\d+)\.\.(\d+)")
MOST_ROOTS = 100_000  # of one location with braces


class FileSource(Source):
    """A file that was named itself: no option leaves it out. Its path in the root is b""."""

    kind = RootKind.FILE

    def scan(self, prefix: bytes = b"") -> Iterator[FoundFile | ScanProblem]:
        """The file; nothing if `prefix` is not empty.

        Raises:
            SourceError: it is not there, or is no regular file any more.
        """
        if prefix:
            return
        try:
            facts = os.stat(self.location)
        except OSError as error:
            raise SourceError(f"cannot read {quoted(self.location)}: {why(error)}") from error
        if not stat.S_ISREG(facts.st_mode):
            raise SourceError(f"{quoted(self.location)} was a regular file and is none any more")
        yield FoundFile(b"", facts.st_size, facts.st_mtime_ns, Locator("file", self.location))


_MAKERS: dict[RootKind, Callable[[bytes, ScanOptions], Source]] = {
    RootKind.FOLDER: FolderSource,
    RootKind.FILE: FileSource,
    RootKind.LIST: ListSource,
    RootKind.ARCHIVE: ArchiveSource,
    RootKind.SHARD: ShardSource,
}


def open_source(location: PathLike, options: ScanOptions) -> list[Source]:
    """The roots a location names: one, or one a file for "shard-{0000..0003}.tar" and "{a,b}.zip".

    Paths become absolute and normalised; symbolic links in them stay. A file that is no list, zip
    or tar is a root of itself, whatever it holds.

    Raises:
        SourceError: something is not there, cannot be read, or is neither folder nor regular file.
    """
    path = os.fsencode(location)
    if re.match(rb"https?://", path, re.IGNORECASE):
        raise SourceError(f"{quoted(path)} is a URL; write it to a list file and index that")
    if not path or b"\0" in path:
        raise SourceError(f"{quoted(path)} is no path")
    roots = [path] if os.path.lexists(path) else _expanded(path)
    paths = dict.fromkeys(os.path.abspath(root) for root in roots)
    return [reopen(kind_at(root), root, options) for root in paths]


def reopen(kind: RootKind, location: bytes, options: ScanOptions) -> Source:
    """The source of a root that is known from before. Touches no disk: it may be unreachable."""
    return _MAKERS[RootKind(kind)](location, options)


def kind_at(location: bytes) -> RootKind:
    """What is at a location.

    Raises:
        SourceError: nothing, something that cannot be read, or a special file.
    """
    try:
        mode = os.stat(location).st_mode
        if stat.S_ISDIR(mode):
            with os.scandir(location):
                return RootKind.FOLDER
        if not stat.S_ISREG(mode):
            raise SourceError(f"{quoted(location)} is {kind_of(mode)}, no folder or regular file")
        with opened_regular(location) as descriptor:
            return _kind_of_file(location, descriptor)
    except FileNotFoundError as error:
        raise SourceError(f"{quoted(location)} does not exist") from error
    except OSError as error:
        raise SourceError(f"cannot read {quoted(location)}: {why(error)}") from error


def _kind_of_file(location: bytes, descriptor: int) -> RootKind:
    head = os.pread(descriptor, _HEAD, 0)
    name = location.lower()
    if looks_like_zip(head) or (name.endswith(b".zip") and head):
        return RootKind.ARCHIVE
    for magic, kind in _FOREIGN.items():
        if head.startswith(magic):
            raise SourceError(
                f"{quoted(location)} is {kind} archive, which is not read; "
                "unpack it and index the folder"
            )
    if (kind_of_tar := _tar_kind(descriptor, head)) is not None:
        return kind_of_tar
    if name.endswith(b".tar") and head and not head.strip(b"\0"):
        return RootKind.ARCHIVE  # a tar without members
    if name.endswith(_LIST_ENDINGS) or _reads_as_list(location, descriptor, head):
        return RootKind.LIST
    return RootKind.FILE


def _tar_kind(descriptor: int, head: bytes) -> RootKind | None:
    with open(descriptor, "rb", closefd=False) as file:
        stream: Readable | None = file if is_tar(head) else open_stream(file, head)
        if stream is None:
            return None
        try:
            if stream is not file:
                if not is_tar(stream.read(512)):
                    return None
                stream.seek(0)
            return RootKind.SHARD if looks_like_shard(stream) else RootKind.ARCHIVE
        except UNPACKING_ERRORS:
            return RootKind.ARCHIVE  # its scan will say what is damaged


def _reads_as_list(location: bytes, descriptor: int, head: bytes) -> bool:
    """Whether the first entries are all URLs or files that exist, and there is one."""
    if any(byte < 32 and byte not in b"\0\t\n\r\f" for byte in head):
        return False
    folder = location.rpartition(b"/")[0] or b"/"
    with open(descriptor, "rb", closefd=False) as file:
        file.seek(0)
        try:
            first = list(islice(read_records(file, location), 3))
        except SourceError:
            return False
    return bool(first) and all(is_listed(record, folder) for record in first)


def _expanded(path: bytes) -> list[bytes]:
    """The paths that braces stand for; the path itself if there are none."""
    pieces = _BRACES.split(path)  # text, inside of braces, text, …
    choices = [_choices(piece) if index % 2 else [piece] for index, piece in enumerate(pieces)]
    count = math.prod(map(len, choices))
    if count > MOST_ROOTS:
        raise SourceError(f"{quoted(path)} stands for {count} paths, more than {MOST_ROOTS}")
    return [b"".join(chosen) for chosen in product(*choices)]


def _choices(inside: bytes) -> list[bytes]:
    if match := _RANGE.fullmatch(inside):
        first, last = int(match[1]), int(match[2])
        width = len(match[1]) if match[1].startswith(b"0") else 1
        step = 1 if last >= first else -1
        if abs(last - first) >= MOST_ROOTS:
            raise SourceError(f"{{{inside.decode()}}} stands for more than {MOST_ROOTS} paths")
        return [b"%0*d" % (width, number) for number in range(first, last + step, step)]
    return inside.split(b",") if b"," in inside else [b"{" + inside + b"}"]
