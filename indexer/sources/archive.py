"""A zip or tar as a root. Members are read in place; nothing is unpacked under its own name.

A name in an archive is a label, never a path of this system: "../../etc/passwd" is listed as just
that, without the "./" many tars begin with. Of members with one name the last counts, as for the
tools that unpack. Folders, links and devices are not listed. A compressed tar (gz, bz2, xz) is
unpacked once to a temporary file, which stays as long as the source.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pictor.indexer.sources.base import (
    FoundFile,
    Locator,
    RootKind,
    ScanProblem,
    Source,
    quoted,
    why,
)
from pictor.indexer.sources.descriptors import opened_regular
from pictor.indexer.sources.raw_pairs import pair_raws, sidecar_detail
from pictor.indexer.sources.selection import Selector
from pictor.indexer.sources.tar_compression import UnpackedCopy, open_stream
from pictor.indexer.sources.tar_format import TarDamaged, TarMember, is_tar, read_members
from pictor.indexer.sources.zip_format import find_directory, read_directory
from pictor.library.errors import SourceError
from pictor.library.records import Reason

_ZIP_MAGICS = (b"PK\3\4", b"PK\5\6")
_HEAD = 1024


@dataclass
class Contents:
    """What an archive holds.

    Attributes:
        files: by label; the files of a zip or tar, unsorted and unfiltered.
        problem: why there may be more, "" if all was listed.
        copy: the temporary file the locators name, for a compressed tar.
    """

    files: dict[bytes, FoundFile] = field(default_factory=dict)
    problem: str = ""
    copy: UnpackedCopy | None = None


class ArchiveSource(Source):
    """The files in a zip or tar."""

    kind = RootKind.ARCHIVE
    _copy: UnpackedCopy | None = None

    def scan(self, prefix: bytes = b"") -> Iterator[FoundFile | ScanProblem]:
        """Its members whose label begins with `prefix`, in order. Holds one record a member.

        Raises:
            SourceError: it is no archive, cannot be read, or is too damaged to list anything.
        """
        contents = list_archive(self.location, self._copy)
        self._copy = contents.copy
        if contents.problem:
            yield ScanProblem(b"", f"{quoted(self.location)} is damaged: {contents.problem}")
        yield from self._wanted(contents.files, prefix)

    def _wanted(self, files: Mapping[bytes, FoundFile], prefix: bytes) -> Iterator[FoundFile]:
        """Those that are listed of all files by label, in order."""
        selector = Selector(self.options)
        labels = [label for label in files if selector.wants(label)]
        pairs = pair_raws(labels) if self.options.pair_raw else {}
        for label in sorted(labels):
            if label.startswith(prefix):
                found = files[label]
                if label in pairs and found.skip is None:
                    detail = sidecar_detail(pairs[label])
                    found = found._replace(skip=Reason.SIDECAR, skip_detail=detail)
                yield found


def list_archive(location: bytes, copy: UnpackedCopy | None = None) -> Contents:
    """The regular files of a zip, a tar or a compressed tar.

    A copy from an earlier call is used again if the archive has not changed since.

    Raises:
        SourceError: it is none of these, cannot be read, or is too damaged to list anything.
    """
    try:
        contents = _list_any(location, copy)
    except OSError as error:
        raise SourceError(f"cannot read {quoted(location)}: {why(error)}") from error
    if contents.problem and not contents.files:
        raise SourceError(f"{quoted(location)} is damaged: {contents.problem}")
    return contents


def _list_any(location: bytes, copy: UnpackedCopy | None) -> Contents:
    with opened_regular(location) as descriptor:
        head = os.pread(descriptor, _HEAD, 0)
        if is_tar(head) or (head and not head.strip(b"\0")):
            return _list_tar(location, descriptor)
        with open(descriptor, "rb", closefd=False) as file:
            stream = open_stream(file, head)
            if stream is None:
                return _list_zip(location, descriptor)
            facts = os.fstat(descriptor)
            stamp = (facts.st_size, facts.st_mtime_ns)
            with stream:
                if copy is None or copy.stamp != stamp:
                    copy = UnpackedCopy(stream, location, stamp)
    with opened_regular(copy.path) as descriptor:
        contents = _list_tar(copy.path, descriptor)
    contents.copy = copy
    contents.problem = copy.problem or contents.problem
    return contents


def looks_like_zip(head: bytes) -> bool:
    """Whether a file's first bytes are a zip's."""
    return head.startswith(_ZIP_MAGICS)


def _list_zip(location: bytes, descriptor: int) -> Contents:
    contents = Contents()
    stamp_ns = os.fstat(descriptor).st_mtime_ns
    found = find_directory(descriptor, location)
    try:
        for offset, member in read_directory(descriptor, found):
            name = member.name
            locator = Locator("zip", location, name, offset, -1, found.base, stamp_ns)
            file = FoundFile(name, member.size, member.mtime_ns, locator)
            _put(contents, name, file if member.is_file else None)
    except ValueError as error:
        contents.problem = str(error)
    return contents


def _list_tar(location: bytes, descriptor: int) -> Contents:
    contents = Contents()
    stamp_ns = os.fstat(descriptor).st_mtime_ns
    with open(descriptor, "rb", closefd=False) as file:
        try:
            for member in read_members(file):
                place = (member.offset, member.size, 0, stamp_ns)
                locator = Locator("tar", location, member.name, *place)
                _put(contents, member.name, _tar_file(member, locator))
        except TarDamaged as error:
            contents.problem = str(error)
    return contents


def _put(contents: Contents, name: bytes, found: FoundFile | None) -> None:
    label = label_of(name)
    if found is None or not label:
        contents.files.pop(label, None)
    else:
        contents.files[label] = found._replace(path=label)


def label_of(name: bytes) -> bytes:
    """A member's path in the root: its name without the "./" many tars put before each."""
    while name.startswith(b"./"):
        name = name[2:].lstrip(b"/")
    return name


def _tar_file(member: TarMember, locator: Locator) -> FoundFile:
    found = FoundFile(member.name, member.size, member.mtime_ns, locator)
    if member.is_sparse:
        detail = f"{quoted(member.name)} is stored sparse; unpack the tar and index the folder"
        return found._replace(skip=Reason.UNSUPPORTED, skip_detail=detail)
    return found
