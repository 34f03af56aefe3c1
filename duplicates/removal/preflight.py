"""Whether a step may be done, looked at again right before it is.

A plan may be old, or edited by hand. So a file is only touched if the catalog has it, if no
symbolic link leads to it from its root on, if it is a regular file and its bytes have the hash of
the plan; and if another file is there in its place, which passes the same checks. Files are opened
step by step from their root, so that a folder exchanged for a link meanwhile leads nowhere.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from pictor.duplicates.removal.steps import Step
from pictor.library.catalog import removals
from pictor.library.catalog.removals import KnownFile
from pictor.library.errors import PlanError
from pictor.library.hashing import Hasher
from pictor.library.names import under_any
from pictor.library.store import Store

_READ = 1 << 20
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
#: A file whose facts are all as they were has the bytes it had: each write changes the last one.
_Stamp = tuple[int, int, int, int, int]


class Refused(PlanError):
    """A step cannot be done; the message says why, without the path."""


@dataclass(frozen=True)
class OpenFile:
    """A regular file that is open.

    Attributes:
        parent: descriptor of its folder; name: in there.
        file: descriptor of the file; facts: of it, when it was opened.
    """

    parent: int
    name: bytes
    file: int
    facts: os.stat_result

    def is_same(self) -> bool:
        """Whether the name is still that of the open file, as it was when it was opened."""
        facts = self._facts_of_name()
        return facts is not None and stamp(facts) == stamp(self.facts)

    def has_name(self) -> bool:
        """Whether anything has the name."""
        return self._facts_of_name() is not None

    def _facts_of_name(self) -> os.stat_result | None:
        try:
            return os.stat(self.name, dir_fd=self.parent, follow_symlinks=False)
        except OSError:
            return None

    def digest(self) -> str:
        """The hash of all its bytes.

        Raises:
            Refused: it was changed meanwhile.
            OSError: it cannot be read.
        """
        digest = hash_of(self.file)
        if stamp(os.fstat(self.file)) != stamp(self.facts) or not self.is_same():
            raise Refused("it changes while it is read")
        return digest


class Checker:
    """Checks the steps of one plan against one library."""

    def __init__(self, library: Store, never: Sequence[bytes] = ()) -> None:
        """Nothing is read yet.

        Args:
            never: folders and files from which nothing goes.
        """
        self._library = library
        self._never = tuple(never)
        self._verified: dict[_Stamp, str] = {}

    @contextlib.contextmanager
    def opened(self, step: Step, *, reads: bool = True) -> Iterator[tuple[OpenFile, OpenFile]]:
        """The file that goes and the one that stays, both open and as the plan says.

        Args:
            reads: also hash both, which takes the time to read them.

        Raises:
            Refused: the step cannot be done.
        """
        goes, stays = self._looked_up(step)
        with _open_below(goes.folder, goes.inside) as source, self._keeper(step, stays) as keeper:
            if os.path.samestat(source.facts, keeper.facts):
                raise Refused("it is the kept file itself, or a hard link of it: it frees nothing")
            if reads:
                try:
                    self._verify(source, step.content, "it was changed since the plan was made")
                    self._verify(keeper, step.keep_content, "the file to keep was changed")
                except OSError as error:
                    raise Refused(f"it cannot be read: {error.strerror}") from error
            yield source, keeper

    def _looked_up(self, step: Step) -> tuple[KnownFile, KnownFile]:
        for path in (step.path, step.keep):
            if not path.startswith(b"/") or os.path.normpath(path) != path:
                raise Refused("its path, or that of the file to keep, is not plain and absolute")
        if under_any(step.path, self._never):
            raise Refused("a rule protects it")
        with self._library.reading() as connection:
            goes = self._row(removals.known_files(connection, step.path), ("folder", "file"))
            stays = self._row(removals.known_files(connection, step.keep), removals.ON_DISK)
            if goes is None:
                raise Refused("the library has no such file in a folder of its own")
            if stays is None:
                raise Refused("the library does not have the file to keep")
            if goes.content != step.content:
                raise Refused("its content is not the one in the plan")
            if stays.content != step.keep_content:
                raise Refused("the content of the file to keep is not the one in the plan")
            if step.content != step.keep_content:
                why = removals.why_not_alike(connection, step.content, step.keep_content)
                if why:
                    raise Refused(why)
        return goes, stays

    @staticmethod
    def _row(rows: Sequence[KnownFile], kinds: Sequence[str]) -> KnownFile | None:
        return next((row for row in rows if row.root_kind in kinds), None)

    @contextlib.contextmanager
    def _keeper(self, step: Step, row: KnownFile) -> Iterator[OpenFile]:
        with contextlib.ExitStack() as stack:
            try:
                keeper = stack.enter_context(_open_below(row.folder, row.inside))
            except Refused as error:
                raise Refused(f"the file to keep cannot be used: {error}") from error
            yield keeper

    def _verify(self, file: OpenFile, content: str, problem: str) -> None:
        """Raise unless the bytes of a file are those of a content.

        A file that was read before is not read again while all its facts are as they were.
        """
        key = stamp(file.facts)
        if self._verified.get(key) != content or not file.is_same():
            found = file.digest()
            if found != content:
                raise Refused(f"{problem}: its bytes differ")
            self._verified[key] = found


def open_at(path: bytes) -> AbstractContextManager[OpenFile]:
    """A regular file by its path, whatever leads there.

    Raises:
        Refused: it is not there, or no regular file.
    """
    return _open_below(*os.path.split(path))


@contextlib.contextmanager
def _open_below(top: bytes, inside: bytes) -> Iterator[OpenFile]:
    """A file, opened from a folder on without following a link.

    Raises:
        Refused: it is not there, or no regular file, or a link is on the way.
    """
    *folders, name = inside.split(b"/")
    with contextlib.ExitStack() as stack:
        try:
            parent = os.open(top, _FOLDER)
            stack.callback(os.close, parent)
            for folder in folders:
                parent = os.open(folder, _FOLDER | os.O_NOFOLLOW, dir_fd=parent)
                stack.callback(os.close, parent)
            file = stack.enter_context(open_in(parent, name))
        except OSError as error:
            raise Refused(_why(error)) from error
        yield file


@contextlib.contextmanager
def open_in(parent: int, name: bytes) -> Iterator[OpenFile]:
    """A regular file by its name in an open folder; no link is followed.

    Raises:
        Refused: it is no regular file.
        OSError: it cannot be opened.
    """
    facts = os.stat(name, dir_fd=parent, follow_symlinks=False)
    if not stat.S_ISREG(facts.st_mode):
        raise Refused("it is no regular file")
    descriptor = os.open(name, _FILE, dir_fd=parent)
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise Refused("it is no regular file")
        yield OpenFile(parent, name, descriptor, facts)
    finally:
        os.close(descriptor)


def hash_of(descriptor: int) -> str:
    """The hash of all bytes of an open file."""
    hasher = Hasher()
    at = 0
    while block := os.pread(descriptor, _READ, at):
        hasher.update(block)
        at += len(block)
    return hasher.hexdigest()


def stamp(facts: os.stat_result) -> _Stamp:
    """What tells a file, and each state of it, from others."""
    return (facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)


def _why(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "it is not there any more"
    if isinstance(error, NotADirectoryError) or error.errno == errno.ELOOP:
        return "a symbolic link, or a file, is where a folder of its path was"
    return f"it cannot be opened: {error.strerror}"
