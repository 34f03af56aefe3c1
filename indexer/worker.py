"""One decoding process: reads a file once, hashes it, asks whether to go on, decodes.

It runs apart from the pipeline so that a decoder that dies, hangs or eats memory costs one file. It
knows nothing of the catalog: between hash and decode it asks its parent, so that a content that is
known already is neither decoded nor read twice. It ends when its pipe closes, also in the middle of
a decode: no process outlives a parent that was killed.
"""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, BinaryIO

from pictor.indexer.sources.base import Locator
from pictor.indexer.sources.descriptors import opened_regular
from pictor.indexer.sources.file_bytes import read_bytes
from pictor.library.config import Settings
from pictor.library.errors import ImageError, reason_of
from pictor.library.hashing import Hasher, content_hash
from pictor.library.images import (
    HEAD_BYTES,
    Limits,
    MediaType,
    captured_stderr,
    decode,
    sniff,
)
from pictor.library.records import Decoded, ImageSpec, Reason

#: Hashing a file that is not held in memory: bytes a read.
BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class ReadOptions:
    """What one file may cost, and whether it may be fetched.

    Attributes:
        max_file_bytes: larger images are refused; videos are read from their path and not bound by
            it.
        offline: fetch no link.
    """

    limits: Limits
    max_file_bytes: int
    fetch_timeout_s: float
    offline: bool = False

    @classmethod
    def of(cls, settings: Settings) -> ReadOptions:
        """As the settings say."""
        index = settings.index
        max_bytes = index.max_file_mib << 20
        limits = Limits(max_pixels=index.max_pixels, max_bytes=max_bytes, frames=index.frames)
        return cls(limits, max_bytes, index.fetch_timeout_s, settings.network.offline)


@dataclass(frozen=True)
class WorkerOptions:
    """What every task of a pool shares.

    Attributes:
        specs: pixels wanted of each frame, one array a spec.
        deadline_s: after which no further frame of a video is decoded; what there is counts.
    """

    specs: tuple[ImageSpec, ...]
    reading: ReadOptions
    deadline_s: float


@dataclass(frozen=True)
class ReadTask:
    """One file to read. `forced`: decode without asking."""

    task_id: int
    locator: Locator
    size_bytes: int
    mtime_ns: int
    forced: bool = False


@dataclass(frozen=True)
class Refusal:
    """Why a file gave no picture: the code of the reason and one sentence."""

    reason: Reason
    detail: str


@dataclass(frozen=True)
class ReadResult:
    """What became of a task.

    Attributes:
        digest: BLAKE3 of the whole content, 32 bytes; None where it could not be or need not be
            read.
        pictures: of the file, or why there are none, or None when the parent knew the content.
    """

    task_id: int
    digest: bytes | None
    size_bytes: int
    pictures: Decoded | Refusal | None

    @property
    def pixel_bytes(self) -> int:
        """Memory its pixels take."""
        if not isinstance(self.pictures, Decoded):
            return 0
        return sum(p.nbytes for frame in self.pictures.frames for p in frame.pixels)


#: What native libraries print about one file is kept up to so many lines.
MAX_SPILLED_LINES = 5

#: Tells the parent a digest and returns whether to decode.
Ask = Callable[[bytes], bool]


#: A worker's first message: its decoders are imported; if it dies from now on, a file is the cause.
READY = "ready"


def main(descriptor: int) -> None:
    """The body of a worker process; its options come on `descriptor`, its end of the pipe."""
    run(descriptor, serve)


def run(descriptor: int, work: Callable[[Connection, Any], None]) -> None:
    """Work on what comes through a pipe until its other end closes.

    Args:
        work: called with the pipe and the options that came first; it sends READY when it is.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    pipe = Connection(descriptor)
    threading.Thread(target=end_with_parent, args=(descriptor,), daemon=True).start()
    try:
        work(pipe, pipe.recv())
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the parent is gone


def end_with_parent(descriptor: int) -> None:
    """Wait until the other end of the pipe is closed, then end this process, whatever it does."""
    poll = select.poll()
    poll.register(descriptor, 0)  # POLLHUP and POLLERR always come
    poll.poll()
    os._exit(1)


def serve(pipe: Connection, options: WorkerOptions) -> None:
    """Read the files whose tasks come."""
    pipe.send(READY)
    while (task := pipe.recv()) is not None:

        def ask(digest: bytes, task_id: int = task.task_id) -> bool:
            pipe.send((task_id, digest))
            return bool(pipe.recv())

        pipe.send(read(task, options, ask))


def read(task: ReadTask, options: WorkerOptions, ask: Ask) -> ReadResult:
    """Read, hash and, if wanted, decode one file. Never raises for what a file can cause."""
    job = _Job(task, options, ask)
    try:
        pictures: Decoded | Refusal | None = job.run()
    except ImageError as error:
        pictures = Refusal(error.reason, error.detail)
    except MemoryError:
        pictures = Refusal(Reason.OUT_OF_MEMORY, "decoding it took more memory than there is")
    except OSError as error:
        pictures = Refusal(reason_of(error), f"reading it failed: {error.strerror or error}")
    except Exception as error:  # the boundary of one file: what a decoder raises is its own
        pictures = Refusal(Reason.CORRUPT, f"its decoder raised {type(error).__name__}: {error}")
    return ReadResult(task.task_id, job.digest, job.size_bytes, pictures)


class _Job:
    """The steps of one task; `digest` and `size_bytes` are kept for whatever step fails."""

    def __init__(self, task: ReadTask, options: WorkerOptions, ask: Ask) -> None:
        self.task = task
        self.options = options
        self.ask = ask
        self.digest: bytes | None = None
        self.size_bytes = task.size_bytes
        locator = task.locator
        self.name = locator.member or locator.path

    def run(self) -> Decoded | Refusal | None:
        """The pictures; raises ImageError and whatever decoders raise."""
        if self.task.locator.kind == "file":
            return self._run_file()
        limit = self.options.reading.max_file_bytes
        if self.options.reading.offline and self.task.locator.kind == "url":
            raise ImageError(Reason.FETCH, "it is a link and pictor is offline")
        data = read_bytes(self.task.locator, limit, self.options.reading.fetch_timeout_s)
        self.size_bytes = len(data)
        self._media(data[:HEAD_BYTES])
        return self._run_bytes(data)

    def _run_file(self) -> Decoded | Refusal | None:
        path = self.task.locator.path
        with opened_regular(path) as descriptor, open(descriptor, "rb", closefd=False) as file:
            before = os.fstat(descriptor)
            self._check_unchanged(before)
            self.size_bytes = before.st_size
            head = file.read(HEAD_BYTES)
            if self._media(head).kind == "video":
                return self._run_video(file, head)
            if before.st_size > self.options.reading.max_file_bytes:
                limit = self.options.reading.max_file_bytes
                detail = (
                    f"it has {before.st_size:,} bytes; the limit is {limit:,} (index.max_file_mib)"
                )
                return Refusal(Reason.TOO_LARGE, detail)
            data = head + file.read()
            self._check_unchanged(os.fstat(descriptor), len(data))
        return self._run_bytes(data)

    def _run_bytes(self, data: bytes) -> Decoded | None:
        self.size_bytes = len(data)
        self.digest = content_hash(data)
        if not self.task.forced and not self.ask(self.digest):
            return None
        return self._decode(data)

    def _run_video(self, file: BinaryIO, head: bytes) -> Decoded | None:
        hasher = Hasher(head)
        while block := file.read(BLOCK_BYTES):
            hasher.update(block)
        self.digest = hasher.digest()
        if not self.task.forced and not self.ask(self.digest):
            return None
        path = self.task.locator.path
        decoded = self._decode(Path(os.fsdecode(path)))
        self._check_unchanged(os.stat(path))
        return decoded

    def _decode(self, data: bytes | Path) -> Decoded:
        options = self.options
        with captured_stderr() as spilled:
            decoded = decode(
                data,
                options.specs,
                options.reading.limits,
                self.name,
                deadline_s=options.deadline_s,
                with_hashes=True,
            )
        warnings = decoded.warnings + tuple(spilled.text.splitlines()[:MAX_SPILLED_LINES])
        return replace(decoded, warnings=warnings)

    def _media(self, head: bytes) -> MediaType:
        """What content that begins so is; raises ImageError if that is not to be indexed."""
        if not head:
            raise ImageError(Reason.EMPTY, "it has no bytes")
        media = sniff(head, self.name)
        if media is None:
            raise ImageError(Reason.NOT_MEDIA, "its content is no image or video type pictor reads")
        if media.kind == "archive":
            raise ImageError(Reason.ARCHIVE, "it is an archive: index it as a root of its own")
        return media

    def _check_unchanged(self, stat: os.stat_result, read: int | None = None) -> None:
        """Raise unless the file still is what the scan saw (and as long as what was read)."""
        task = self.task
        listed = (task.size_bytes, task.mtime_ns)
        is_same = listed in ((-1, -1), (stat.st_size, stat.st_mtime_ns))
        if not is_same or read not in (None, stat.st_size):
            raise ImageError(
                Reason.CHANGED, "it changed while it was being read; the next run takes it"
            )
