"""What a root gives: files in ascending byte order of their paths, and a way to read each one.

The order is the contract that keeps a scan of any size in constant memory: the pipeline merges the
scan with the catalog's rows, which come in the same order, instead of holding either.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from pictor.library.config import IndexSettings
from pictor.library.records import Caption, Reason


class RootKind(StrEnum):
    """What a root is; stored in the catalog."""

    FOLDER = "folder"
    FILE = "file"
    LIST = "list"  # a text file of paths and http(s) URLs, one a line
    ARCHIVE = "archive"  # zip or tar
    SHARD = "shard"  # a webdataset tar: samples by key, with captions


class Locator(NamedTuple):
    """Where the bytes of a file are; small and picklable, so it travels to a worker process.

    It serves the run that made it and is not stored: an offset may point into a temporary file.

    Attributes:
        kind: "file", "zip", "tar" or "url".
        path: of the file, of the archive (of its unpacked copy, for a compressed tar), or the URL.
        member: the member's name as stored, else empty.
        offset: of the member's bytes (tar), or of its record in the central directory (zip).
        size: of the member's bytes (tar only).
        base: bytes before the zip proper, as in a self-extracting one.
        stamp_ns: st_mtime_ns of `path` when it was listed; another one means `Reason.CHANGED`.
            -1 where there is nothing to compare.
    """

    kind: str
    path: bytes
    member: bytes = b""
    offset: int = -1
    size: int = -1
    base: int = 0
    stamp_ns: int = -1


class FoundFile(NamedTuple):
    """One file a scan saw.

    A named tuple, not a frozen dataclass: a scan makes one for each file, and a tuple takes a third
    of the time.

    Attributes:
        path: relative to the root ("/" between parts; b"" when the root is a single file; the
            absolute path or URL in a list; the member name in an archive). Unique in the root.
        size_bytes, mtime_ns: as the source states them; -1 where it states none.
        locator: how to read it.
        captions: texts that came with it.
        skip: set when the source already knows it will not be indexed (a sidecar, say).
        skip_detail: one sentence that says why; empty unless `skip` is set.
    """

    path: bytes
    size_bytes: int
    mtime_ns: int
    locator: Locator
    captions: tuple[Caption, ...] = ()
    skip: Reason | None = None
    skip_detail: str = ""


@dataclass(frozen=True)
class ScanProblem:
    """A part of the root that could not be listed. What lies under it is neither seen nor missing.

    Attributes:
        prefix: relative path that ends in b"/", or b"" for the whole root.
        detail: one sentence that says what failed.
    """

    prefix: bytes
    detail: str


@dataclass(frozen=True)
class ScanOptions:
    """What a scan leaves out.

    Globs are those of .gitignore, matched against the path in the root, case included. `*` and `?`
    stay within a part, `**` crosses parts. A pattern without "/" before its end matches at any
    depth, one with "/" from the root on; a final "/" means folders only. What matches a folder goes
    for all that is in it. "!" has no meaning of its own.

    Attributes:
        include: if given, only files that match one of these.
        exclude: never files or folders that match one of these.
        hidden: also hidden and system files and folders.
        follow_symlinks: also what symbolic links name; a folder is never entered twice.
        pair_raw: a RAW beside a JPEG or HEIF of the same name is skipped as its sidecar.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    hidden: bool = False
    follow_symlinks: bool = False
    pair_raw: bool = True

    @classmethod
    def of(cls, settings: IndexSettings) -> ScanOptions:
        """As the settings say."""
        return cls(settings.include, settings.exclude, settings.hidden, settings.follow_symlinks)


class Source(ABC):
    """One root, ready to be listed. Making one touches no disk.

    Keep it until the last file it listed has been read: a compressed tar is read from a temporary
    copy that goes when its source goes.

    Attributes:
        kind: what it is.
        location: its absolute, normalised path.
    """

    kind: RootKind

    def __init__(self, location: bytes, options: ScanOptions) -> None:
        self.location = location
        self.options = options

    @abstractmethod
    def scan(self, prefix: bytes = b"") -> Iterator[FoundFile | ScanProblem]:
        """Its files whose path begins with `prefix`, strictly ascending by path bytes.

        Problems come in between, before any file after them in order.

        Raises:
            SourceError: the root as a whole cannot be listed.
        """


def quoted(path: bytes) -> str:
    """A path for a message: quoted, printable whatever its bytes are."""
    return repr(os.fsdecode(path))


def why(error: OSError) -> str:
    """What the system says of an error, without the path, for the end of a sentence."""
    return (error.strerror or str(error) or type(error).__name__).lower()
