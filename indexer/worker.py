"""One decoding process: reads files once, hashes them, asks which to decode, decodes.

It runs apart from the pipeline so that a decoder that dies, hangs or eats memory costs one file. It
knows nothing of the catalog: between hash and decode it asks its parent, so that a content that is
known already is neither decoded nor read twice. Pixels go to the slots that the parent gives
(`indexer.pixel_blocks`), never through the pipe. Small files come, are asked for and are answered
several at a time; which one is being read or decoded stands in the shared memory (`beats`), so that
the parent knows which to blame. It ends when its pipe closes, also in the middle of a decode: no
process outlives a parent that was killed.
"""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, BinaryIO

from pictor.indexer.messages import (
    READY,
    Question,
    ReadResult,
    ReadTask,
    Refusal,
    Report,
    SlotRequest,
    TaskBatch,
    Verdict,
    WorkerOptions,
)
from pictor.indexer.pixel_blocks import Slot, write_picture
from pictor.indexer.shared_memory import SharedMemory
from pictor.indexer.sources.descriptors import opened_regular
from pictor.indexer.sources.file_bytes import read_bytes
from pictor.library.errors import ImageError, reason_of
from pictor.library.hashing import Hasher, content_hash
from pictor.library.images import (
    HEAD_BYTES,
    MediaType,
    captured_stderr,
    decode,
    sniff,
)
from pictor.library.records import Decoded, Reason

#: Hashing a file that is not held in memory: bytes a read.
BLOCK_BYTES = 1 << 20


#: What native libraries print about one file is kept up to so many lines.
MAX_SPILLED_LINES = 5
#: Results are sent when the oldest is so old, several in one message.
REPORT_S = 0.25


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
    assert options.memory is not None  # the pool set it
    memory = options.memory.map()
    pipe.send(READY)
    while (batch := pipe.recv()) is not None:
        _BatchRun(pipe, options, memory, batch).run()


class _BatchRun:
    """One batch of tasks: all are read and hashed, then those that are wanted decoded."""

    def __init__(
        self, pipe: Connection, options: WorkerOptions, memory: SharedMemory, batch: TaskBatch
    ) -> None:
        self._pipe = pipe
        self._options = options
        self._memory = memory
        self._jobs = [_Job(task, options) for task in batch.tasks]
        self._beat = batch.beat
        self._slots: list[Slot] = []
        self._results: list[ReadResult] = []
        self._reported_at = time.monotonic()

    def run(self) -> None:
        """Report what becomes of each task, then that this was the last."""
        refused = [self._step(i, job.read) for i, job in enumerate(self._jobs)]
        asked = [
            (job.task.task_id, job.digest)
            for job, refusal in zip(self._jobs, refused, strict=True)
            if refusal is None and job.digest is not None
        ]
        wanted = self._ask(tuple(asked)) if asked else frozenset[int]()
        for i, (job, refusal) in enumerate(zip(self._jobs, refused, strict=True), len(self._jobs)):
            if refusal is not None:
                self._report(job.result(refusal))
            elif job.task.task_id in wanted:
                self._report(self._decoded(i, job))
            else:
                self._report(job.result(None))
        self._send(is_last=True)

    def _step(self, number: int, do: Callable[[], Decoded | None]) -> Decoded | Refusal | None:
        """One step of one file, whose number the parent can see. Never raises for a file."""
        self._memory.beats[self._beat] = number + 1
        return guarded(do)

    def _ask(self, digests: tuple[tuple[int, bytes], ...]) -> frozenset[int]:
        self._pipe.send(Question(digests))
        verdict: Verdict = self._pipe.recv()
        self._slots = list(verdict.slots)
        return verdict.wanted

    def _decoded(self, number: int, job: _Job) -> ReadResult:
        pictures = self._step(number, job.decode)
        if not isinstance(pictures, Decoded):
            return job.result(pictures)
        slots = self._place(job.task.task_id, pictures) if self._options.specs else ()
        frames = tuple(replace(frame, pixels=()) for frame in pictures.frames)
        return job.result(replace(pictures, frames=frames), slots)

    def _place(self, task_id: int, pictures: Decoded) -> tuple[int, ...]:
        """Write the pixels of each frame to a slot; the numbers of these."""
        written: list[int] = []
        for frame in pictures.frames:
            if not self._slots:
                count = len(pictures.frames) - len(written)
                self._send()
                is_moving = len(pictures.frames) > 1
                self._pipe.send(SlotRequest(task_id, tuple(written), count, is_moving))
                self._slots = list(self._pipe.recv())
            slot = self._slots.pop(0)
            each = zip(slot.offsets, self._options.specs, frame.pixels, strict=True)
            for offset, spec, pixels in each:
                write_picture(self._memory.bytes, offset, spec, pixels)
            written.append(slot.number)
        return tuple(written)

    def _report(self, result: ReadResult) -> None:
        self._results.append(result)
        if time.monotonic() - self._reported_at > REPORT_S:
            self._send()

    def _send(self, *, is_last: bool = False) -> None:
        unused = tuple(slot.number for slot in self._slots) if is_last else ()
        if self._results or is_last:
            self._pipe.send(Report(tuple(self._results), unused, is_last))
        self._results = []
        self._reported_at = time.monotonic()


def guarded(do: Callable[[], Decoded | None]) -> Decoded | Refusal | None:
    """What a step of one file gives, or why it gives nothing: the boundary of one file."""
    try:
        return do()
    except ImageError as error:
        return Refusal(error.reason, error.detail)
    except MemoryError:
        return Refusal(Reason.OUT_OF_MEMORY, "decoding it took more memory than there is")
    except OSError as error:
        return Refusal(reason_of(error), f"reading it failed: {error.strerror or error}")
    except Exception as error:  # what a decoder raises is its own
        return Refusal(Reason.CORRUPT, f"its decoder raised {type(error).__name__}: {error}")


class _Job:
    """The steps of one task; `digest` and `size_bytes` are kept for whatever step fails."""

    def __init__(self, task: ReadTask, options: WorkerOptions) -> None:
        self.task = task
        self.options = options
        self.digest: bytes | None = None
        self.size_bytes = task.size_bytes
        self._data: bytes | Path = b""
        locator = task.locator
        self.name = locator.member or locator.path

    def result(self, pictures: Decoded | Refusal | None, slots: tuple[int, ...] = ()) -> ReadResult:
        """What became of it."""
        self._data = b""
        return ReadResult(self.task.task_id, self.digest, self.size_bytes, pictures, slots)

    def read(self) -> None:
        """Read and hash it; raises ImageError."""
        if self.task.locator.kind == "file":
            self._read_file()
            return
        limit = self.options.reading.max_file_bytes
        if self.options.reading.offline and self.task.locator.kind == "url":
            raise ImageError(Reason.FETCH, "it is a link and pictor is offline")
        data = read_bytes(self.task.locator, limit, self.options.reading.fetch_timeout_s)
        self.size_bytes = len(data)
        self._media(data[:HEAD_BYTES])
        self._hold(data)

    def decode(self) -> Decoded:
        """The pictures of what was read; raises ImageError and whatever decoders raise."""
        decoded = self._decode(self._data)
        if isinstance(self._data, Path):
            self._check_unchanged(os.stat(self._data))
        return decoded

    def _read_file(self) -> None:
        path = self.task.locator.path
        with opened_regular(path) as descriptor, open(descriptor, "rb", closefd=False) as file:
            before = os.fstat(descriptor)
            self._check_unchanged(before)
            self.size_bytes = before.st_size
            head = file.read(HEAD_BYTES)
            if self._media(head).kind == "video":
                self._hash(file, head)
                self._data = Path(os.fsdecode(path))
                return
            if before.st_size > self.options.reading.max_file_bytes:
                limit = self.options.reading.max_file_bytes
                raise ImageError(
                    Reason.TOO_LARGE,
                    f"it has {before.st_size:,} bytes; the limit is {limit:,} (index.max_file_mib)",
                )
            data = head + file.read()
            self._check_unchanged(os.fstat(descriptor), len(data))
        self._hold(data)

    def _hold(self, data: bytes) -> None:
        self.size_bytes = len(data)
        self.digest = content_hash(data)
        self._data = data

    def _hash(self, file: BinaryIO, head: bytes) -> None:
        hasher = Hasher(head)
        while block := file.read(BLOCK_BYTES):
            hasher.update(block)
        self.digest = hasher.digest()

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
