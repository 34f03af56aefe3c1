"""Moving and linking files so that a kill at any instant leaves each whole at one of its places.

On one file system a move is one rename onto a name that was reserved before, so nothing is ever
overwritten. Across file systems the bytes are copied beside the target, written through to the
disk and read back; only then the copy takes the target's name, and the original goes last.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator

from pictor.duplicates.removal.preflight import OpenFile, Refused, hash_of, open_at
from pictor.library.atomic import sync

_BLOCK = 1 << 20
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


def reserve(path: bytes) -> None:
    """Take a name by an empty file; its folders are made.

    Raises:
        FileExistsError: something has it.
    """
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.close(os.open(path, _NEW, 0o600))


def move(source: OpenFile, target: bytes, part: bytes, content: str) -> None:
    """Move a file to a name that nothing has.

    Args:
        part: where a copy is made, in the folder of the target, if they are on two file systems.
        content: its hash, with which a copy is compared.

    Raises:
        OSError, Refused: it is where it was, and nothing is at the target.
    """
    reserve(target)
    is_copied = False
    try:
        try:
            os.rename(source.name, target, src_dir_fd=source.parent)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            is_copied = True
            _copy_over(source, target, part, content)
        else:
            _refuse_another(source, target)
    except BaseException:
        # While the file has its name, what is at the target is ours and no file.
        if source.is_same() or (is_copied and source.has_name()):
            for leftover in (part, target):
                with contextlib.suppress(OSError):
                    os.unlink(leftover)
        raise
    sync(os.path.dirname(target))
    os.fsync(source.parent)


def _copy_over(source: OpenFile, target: bytes, part: bytes, content: str) -> None:
    """A move across file systems."""
    _copy(source, part, content)
    os.rename(part, target)
    sync(os.path.dirname(target))
    if not source.is_same():
        raise Refused("it was changed while it was copied")
    os.unlink(source.name, dir_fd=source.parent)


def _refuse_another(source: OpenFile, target: bytes) -> None:
    """Put back what was moved, if it is not the file that was checked."""
    if os.path.samestat(os.lstat(target), source.facts):
        return
    os.link(target, source.name, dst_dir_fd=source.parent, follow_symlinks=False)
    os.unlink(target)
    raise Refused("another file replaced it while it was checked")


def link_in_place(source: OpenFile, keeper: OpenFile, temporary: bytes) -> None:
    """Let a name stand for the very file of another one, in one step; both have the same bytes.

    Raises:
        OSError, Refused: the name stands for what it did.
    """
    if source.facts.st_dev != keeper.facts.st_dev:
        raise Refused("the file to keep is on another file system, which hard links cannot cross")
    mine, its = source.facts, keeper.facts
    if (mine.st_mode, mine.st_uid, mine.st_gid) != (its.st_mode, its.st_uid, its.st_gid):
        raise Refused(
            "its owner or access rights are not those of the file to keep; hard links share them"
        )
    os.link(
        keeper.name,
        temporary,
        src_dir_fd=keeper.parent,
        dst_dir_fd=source.parent,
        follow_symlinks=False,
    )
    with _replacing(source, temporary):
        made = os.stat(temporary, dir_fd=source.parent, follow_symlinks=False)
        if made.st_ino != its.st_ino or not source.is_same():
            raise Refused("it, or the file to keep, was replaced while it was checked")


def unlink_in_place(source: OpenFile, temporary: bytes, facts: tuple[int, int, int, int]) -> None:
    """Give a name a file of its own again, with the bytes that it has.

    Args:
        facts: mode, mtime_ns, uid and gid of the file that it was.

    Raises:
        OSError: the name stands for what it did.
    """
    mode, mtime_ns, uid, gid = facts
    descriptor = os.open(temporary, _NEW, 0o600, dir_fd=source.parent)
    with _replacing(source, temporary):
        try:
            _copy_bytes(source.file, descriptor)
            with contextlib.suppress(OSError):
                os.fchown(descriptor, uid, gid)
            os.fchmod(descriptor, stat.S_IMODE(mode))
            os.utime(descriptor, ns=(mtime_ns, mtime_ns))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def _replacing(source: OpenFile, temporary: bytes) -> Iterator[None]:
    """A file beside `source` takes its name after the block; it is removed if that fails."""
    try:
        yield
        os.rename(temporary, source.name, src_dir_fd=source.parent, dst_dir_fd=source.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=source.parent)
        raise
    os.fsync(source.parent)


def _copy(source: OpenFile, part: bytes, content: str) -> None:
    """A copy with the same times, rights and attributes, read back from the disk."""
    descriptor = os.open(part, _NEW, 0o600)
    try:
        _copy_bytes(source.file, descriptor)
        _copy_attributes(source, descriptor)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    with open_at(part) as copied:
        if hash_of(copied.file) != content:
            raise Refused("its copy on the other file system has other bytes")


def _copy_bytes(source: int, target: int) -> None:
    at = 0
    while block := os.pread(source, _BLOCK, at):
        at += len(block)
        view = memoryview(block)
        while view:
            view = view[os.write(target, view) :]


def _copy_attributes(source: OpenFile, target: int) -> None:
    facts = source.facts
    if hasattr(os, "listxattr"):  # Linux
        with contextlib.suppress(OSError):  # the other file system may have none
            for name in os.listxattr(source.file):
                os.setxattr(target, name, os.getxattr(source.file, name))
    with contextlib.suppress(OSError):  # only root gives files away
        os.fchown(target, facts.st_uid, facts.st_gid)
    os.fchmod(target, stat.S_IMODE(facts.st_mode))
    os.utime(target, ns=(facts.st_atime_ns, facts.st_mtime_ns))
