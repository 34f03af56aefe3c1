"""One file as a root. Its path in the root is b""."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from pictor.indexer.sources.base import (
    FoundFile,
    Locator,
    RootKind,
    ScanProblem,
    Source,
    quoted,
    why,
)
from pictor.library.errors import SourceError


class FileSource(Source):
    """A file that was named itself: no option leaves it out."""

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
