"""Opening files and folders by path bytes: only regular files, and paths of any length.

A path of more than PATH_MAX bytes (4,096 on Linux) cannot be opened at once, though the file
exists; it is reached part by part from a folder's descriptor.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

#: Longest path given to the system whole. Linux takes 4,096 bytes with the final NUL, macOS 1,024;
#: a folder's path must leave room for a name of 255 bytes.
LONGEST_PATH = 3800 if os.uname().sysname == "Linux" else 700

_TO_READ = os.O_RDONLY | os.O_CLOEXEC
_TO_PASS = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC


class NotRegular(OSError):
    """A path names a folder, pipe, socket or device where a regular file was expected."""


class FarEntry(NamedTuple):
    """What os.DirEntry says, for an entry in a folder whose path is too long for os.scandir."""

    name: bytes
    path: bytes
    plain_stat: os.stat_result
    target_stat: os.stat_result | None

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        """Whether it is a folder."""
        facts = self.target_stat if follow_symlinks else self.plain_stat
        return facts is not None and stat.S_ISDIR(facts.st_mode)

    def is_symlink(self) -> bool:
        """Whether it is a symbolic link."""
        return stat.S_ISLNK(self.plain_stat.st_mode)

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """Its facts, as of the listing."""
        facts = self.target_stat if follow_symlinks else self.plain_stat
        if facts is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self.path)
        return facts


@contextmanager
def opened(path: bytes, flags: int) -> Iterator[int]:
    """A descriptor of `path`, closed on the way out. Any length of path works."""
    descriptor = _open_long(path, flags) if len(path) > LONGEST_PATH else os.open(path, flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def opened_regular(path: bytes) -> Iterator[int]:
    """A descriptor of a regular file, to read.

    Opening a pipe would wait for its writer and opening a device may act on it, so the type is
    asked first; O_NONBLOCK and a second look cover a file that is swapped in between.

    Raises:
        NotRegular: it is something else.
        OSError: it cannot be opened.
    """
    if len(path) <= LONGEST_PATH:
        _check_regular(os.stat(path), path)
    with opened(path, _TO_READ | os.O_NONBLOCK | os.O_NOCTTY) as descriptor:
        _check_regular(os.fstat(descriptor), path)
        yield descriptor


def far_entries(path: bytes) -> Iterable[FarEntry]:
    """The entries of a folder whose path is too long for os.scandir, but those that vanish."""
    found = []
    with opened(path, _TO_READ | os.O_DIRECTORY) as folder, os.scandir(folder) as entries:
        for entry in entries:
            name = os.fsencode(entry.name)
            try:
                plain = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            found.append(FarEntry(name, path + b"/" + name, plain, _target(entry)))
    return found


def identity(path: bytes) -> tuple[int, int]:
    """(st_dev, st_ino) of a folder, links followed."""
    if len(path) <= LONGEST_PATH:
        facts = os.stat(path)
    else:
        with opened(path, _TO_PASS) as descriptor:
            facts = os.fstat(descriptor)
    return facts.st_dev, facts.st_ino


def _target(entry: os.DirEntry[str]) -> os.stat_result | None:
    try:
        return entry.stat()
    except OSError:
        return None


def _check_regular(facts: os.stat_result, path: bytes) -> None:
    if not stat.S_ISREG(facts.st_mode):
        raise NotRegular(errno.EINVAL, f"it is {kind_of(facts.st_mode)}, not a regular file", path)


def kind_of(mode: int) -> str:
    """What a st_mode says a thing is, in words with their article."""
    kinds = {
        stat.S_IFREG: "a regular file",
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a named pipe",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    return kinds.get(stat.S_IFMT(mode), "a special file")


def _open_long(path: bytes, flags: int) -> int:
    folder: int | None = None
    try:
        while len(path) > LONGEST_PATH:
            cut = path.rfind(b"/", 1, LONGEST_PATH)
            if cut < 0:
                raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), path)
            head, path = path[:cut], path[cut + 1 :]
            deeper = os.open(head, _TO_PASS, dir_fd=folder)
            if folder is not None:
                os.close(folder)
            folder = deeper
        return os.open(path, flags, dir_fd=folder)
    finally:
        if folder is not None:
            os.close(folder)
