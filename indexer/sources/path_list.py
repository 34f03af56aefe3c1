"""A list as a root: a text file of paths and http(s) URLs, one a line.

Lines end in LF or CRLF; blank lines and lines that begin with "#" say nothing. A list that holds
NUL (`find -print0`) is split at NUL instead, and then every record that is not empty is an entry.
Relative paths start at the list's own folder. Entries come sorted, each once, from temporary files
when they are many. Globs apply to whole entries; hidden names are listed, since they were named.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from typing import IO

from pictor.indexer.sources.base import (
    FoundFile,
    Locator,
    RootKind,
    ScanProblem,
    Source,
    quoted,
    why,
)
from pictor.indexer.sources.descriptors import LONGEST_PATH, kind_of, opened_regular
from pictor.indexer.sources.external_sort import sorted_unique, split_records
from pictor.indexer.sources.selection import Selector
from pictor.library.errors import SourceError
from pictor.library.records import Reason

LONGEST_ENTRY = 1 << 16  # bytes; no path or URL is that long, but a data: URI may be
_SHOWN = 200  # bytes that stay of an entry that is not read
_SNIFFED = 1 << 16  # bytes
_URL = re.compile(rb"https?://", re.IGNORECASE)
_OTHER_SCHEME = re.compile(rb"([a-z][a-z0-9+.-]*)://|(data):", re.IGNORECASE)
_UTF8_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


class ListSource(Source):
    """The files and URLs a text file names."""

    kind = RootKind.LIST

    def scan(self, prefix: bytes = b"") -> Iterator[FoundFile | ScanProblem]:
        """Its entries that begin with `prefix`: absolute paths and URLs, in order.

        A local file that is not there is listed without size and time, so that reading it fails.

        Raises:
            SourceError: the list cannot be read.
        """
        for entry in sorted_unique(self._wanted(prefix)):
            yield _found(entry)

    def _wanted(self, prefix: bytes) -> Iterator[bytes]:
        selector = Selector(self.options)
        for entry in self._entries():
            is_let_through = not selector.has_globs or selector.matches(entry.removeprefix(b"/"))
            if is_let_through and entry.startswith(prefix):
                yield entry

    def _entries(self) -> Iterator[bytes]:
        folder = self.location.rpartition(b"/")[0] or b"/"
        try:
            with (
                opened_regular(self.location) as descriptor,
                open(descriptor, "rb", closefd=False) as file,
            ):
                for record in read_records(file, self.location):
                    yield _normalised(record, folder)
        except OSError as error:
            raise SourceError(
                f"cannot read the list {quoted(self.location)}: {why(error)}"
            ) from error


def read_records(file: IO[bytes], location: bytes) -> Iterator[bytes]:
    """The entries of a list as they are written, in its order.

    Raises:
        SourceError: it is UTF-16, as some Windows tools write.
    """
    head = file.read(_SNIFFED)
    if head.startswith(_UTF16_MARKS):
        raise SourceError(f"the list {quoted(location)} is UTF-16; save it as UTF-8")
    file.seek(len(_UTF8_MARK) if head.startswith(_UTF8_MARK) else 0)
    has_nul = b"\0" in head
    for record in split_records(file, b"\0" if has_nul else b"\n", LONGEST_ENTRY):
        if has_nul:
            if record:
                yield record
            continue
        line = record.removesuffix(b"\r").replace(b"\0", b"")
        if line.strip() and not line.startswith(b"#"):
            yield line


def is_listed(record: bytes, folder: bytes) -> bool:
    """Whether a record names a URL or an existing file: what tells a list from other text."""
    if len(record) > LONGEST_PATH or b"\0" in record:
        return False
    return bool(_URL.match(record.strip())) or os.path.exists(_normalised(record, folder))


def _normalised(record: bytes, folder: bytes) -> bytes:
    """A URL or an absolute path. What is too long for either is cut, and then never read."""
    if _URL.match(record.lstrip()) or _OTHER_SCHEME.match(record.lstrip()):
        record = record.strip()
        return record if len(record) <= LONGEST_ENTRY else record[:_SHOWN] + b"..."
    if len(record) > LONGEST_ENTRY:
        record = record[:_SHOWN] + b"..."
    return os.path.normpath(os.path.join(folder, record))


def _found(entry: bytes) -> FoundFile:
    if _URL.match(entry):
        return FoundFile(entry, -1, -1, Locator("url", entry))
    if other := _OTHER_SCHEME.match(entry):
        scheme = (other[1] or other[2]).decode()
        detail = f"{scheme}: is not fetched; a list holds paths and http or https URLs"
        return FoundFile(entry, -1, -1, Locator("url", entry), (), Reason.FETCH, detail)
    locator = Locator("file", entry)
    try:
        facts = os.stat(entry)
    except OSError:
        return FoundFile(entry, -1, -1, locator)
    if not stat.S_ISREG(facts.st_mode):
        detail = f"{quoted(entry)} is {kind_of(facts.st_mode)}; a list holds regular files"
        return FoundFile(entry, -1, -1, locator, (), Reason.IO_ERROR, detail)
    return FoundFile(entry, facts.st_size, facts.st_mtime_ns, locator)
