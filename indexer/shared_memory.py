"""Memory that the main process and its decoding processes share, and that no name refers to.

It is a file without a name: the processes inherit its descriptor, and the system gives the memory
back when the last of them is gone, however they end. On Linux it lies in memory that no mounted
file system bounds, so a container's small /dev/shm does not matter; elsewhere it is a temporary
file that is removed as soon as it is open.

The file is sparse. A part of it is used only once `reserve` gave it real pages: touching a page
that a full system cannot give would end the process (SIGBUS).

Its first page holds a number for each worker process, `beats`: which step of its work it is at.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PAGE_BYTES = mmap.PAGESIZE
#: Worker processes at most: each has 8 bytes of the first page.
MAX_BEATS = PAGE_BYTES // 8
#: Bytes that are written at once to reserve memory.
_ZEROS = bytes(1 << 20)


@dataclass(frozen=True)
class MemoryHandle:
    """What a process that inherited the descriptor needs to map the memory."""

    descriptor: int
    size_bytes: int

    def map(self) -> SharedMemory:
        """The memory, in the process that calls this."""
        return SharedMemory(self)


class SharedMemory:
    """A mapping of the memory.

    Attributes:
        handle: for the processes that are to share it.
        bytes: (size_bytes,) uint8; what a write changes, every process sees.
        beats: (MAX_BEATS,) int64.
    """

    def __init__(self, handle: MemoryHandle) -> None:
        """Map memory that `create` made."""
        self.handle = handle
        mapped = mmap.mmap(handle.descriptor, handle.size_bytes)
        self.bytes: NDArray[np.uint8] = np.frombuffer(mapped, np.uint8)
        self.beats: NDArray[np.int64] = self.bytes[:PAGE_BYTES].view(np.int64)

    @classmethod
    def create(cls, size_bytes: int) -> SharedMemory:
        """New memory of the first page and at least so many bytes after it.

        Raises:
            OSError: there is none to be had.
        """
        pages = 1 + -(-size_bytes // PAGE_BYTES)
        descriptor = _nameless_file()
        os.ftruncate(descriptor, pages * PAGE_BYTES)
        memory = cls(MemoryHandle(descriptor, pages * PAGE_BYTES))
        if not memory.reserve(0, PAGE_BYTES):
            memory.close()
            raise OSError("there is no memory left for the decoding processes")
        return memory

    def reserve(self, offset: int, size_bytes: int) -> bool:
        """Give a part real pages, all zero; False if there are not enough, and nothing changes."""
        try:
            for start in range(offset, offset + size_bytes, len(_ZEROS)):
                block = memoryview(_ZEROS)[: offset + size_bytes - start]
                if os.pwrite(self.handle.descriptor, block, start) != len(block):
                    return False
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Give up the descriptor; the memory goes with the last view of it."""
        os.close(self.handle.descriptor)


def _nameless_file() -> int:
    if hasattr(os, "memfd_create"):
        try:
            return os.memfd_create("pictor", os.MFD_CLOEXEC)
        except OSError:  # forbidden where system calls are filtered
            pass
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
