"""The dispatcher: gives files to decoding processes, slots to their pictures, batches to encoders.

It runs in one thread, which alone knows which process reads what and which slot holds what. A
process that dies or overruns its time costs the file it was at: the others of its batch of tasks
are read again, and its slots are free again.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pictor.indexer.messages import (
    Question,
    ReadResult,
    ReadTask,
    Refusal,
    Report,
    SlotRequest,
    TaskBatch,
    Verdict,
)
from pictor.indexer.pixel_blocks import Batch, FrameKey, PixelBlocks
from pictor.indexer.shared_memory import MAX_BEATS, SharedMemory
from pictor.indexer.worker_pool import Loss, Worker, WorkerPool
from pictor.library.records import Decoded

#: Small files are given several at a time: so many at most, and of so many bytes in all.
BATCH_TASKS = 32
BATCH_BYTES = 1 << 20


@dataclass
class _FileWork:
    """A task that a process has.

    Attributes:
        digest: of its content, once it was asked for and is wanted.
        placed: how many of its frames are in slots.
    """

    task: ReadTask
    digest: bytes | None = None
    placed: int = 0


class BatchWork:
    """Tasks that a process has, and the slots that it may write."""

    def __init__(self, files: Sequence[_FileWork], beat: int) -> None:
        self.files = {file.task.task_id: file for file in files}
        self.order = tuple(self.files)
        self.beat = beat
        self.seen_step = 0
        self.slots: set[int] = set()
        self.lacks_slots = 0

    @property
    def message(self) -> TaskBatch:
        """What is sent for it."""
        return TaskBatch(tuple(file.task for file in self.files.values()), self.beat)

    def at(self, step: int) -> int:
        """The id of the task that a step is of: each is read, then each is decoded."""
        return self.order[max(0, step - 1) % len(self.order)]


class Dispatcher:
    """What the dispatcher's thread does, step by step.

    Args:
        blocks: None where no pixels are wanted.
        wanted: asked which of some contents must be decoded, one answer each.
        results: receives what became of tasks.
        batch: receives batches to encode.
        patience_s: how long a picture may wait for its batch to be full.
    """

    def __init__(
        self,
        pool: WorkerPool[BatchWork],
        memory: SharedMemory,
        blocks: PixelBlocks | None,
        *,
        wanted: Callable[[Sequence[bytes]], Sequence[bool]],
        results: Callable[[Sequence[ReadResult]], None],
        batch: Callable[[Batch], None],
        patience_s: float,
    ) -> None:
        """Nothing is given yet."""
        self._pool = pool
        pool.has_moved = self._has_moved
        self._memory = memory
        self._blocks = blocks
        self._wanted = wanted
        self._results = results
        self._batch = batch
        self._patience_s = patience_s
        self._again: list[_FileWork] = []
        self._beats = list(range(MAX_BEATS))

    @property
    def wants_tasks(self) -> bool:
        """Whether a process is idle or can be started."""
        return not self._pool.is_full

    @property
    def wants_shape(self) -> bool:
        """Whether a picture waits for the first slot, so for the size of blocks."""
        lacking = any(worker.work and worker.work.lacks_slots for worker in self._pool.busy)
        return lacking and self._blocks is not None and not self._blocks.is_shaped

    @property
    def is_idle(self) -> bool:
        """Whether nothing is read, waits to be read again, waits to be encoded or is encoded."""
        is_reading = bool(self._pool.busy or self._again)
        return not is_reading and (self._blocks is None or self._blocks.is_idle)

    def give(self, tasks: Sequence[ReadTask]) -> None:
        """Have tasks read by a process."""
        self._give([_FileWork(task) for task in tasks])

    def give_again(self) -> None:
        """Have read again what processes had left when they were ended, before anything new."""
        if self._again and not self._pool.is_full:
            files, self._again = self._again, []
            self._give(files)

    def _give(self, files: Sequence[_FileWork]) -> None:
        beat = self._beats.pop()
        self._memory.beats[beat] = 0
        self._pool.give(BatchWork(files, beat))

    def feed(self, *, is_end: bool) -> None:
        """Give slots to pictures that wait for one, and batches that are due to the encoders.

        Args:
            is_end: no further task will come now.
        """
        if self._blocks is None:
            return
        is_starving = self._grant()
        is_over = is_end and not (self._pool.busy or self._again)
        flush = is_over or (is_starving and not self._blocks.is_encoding)
        for batch in self._blocks.due(time.monotonic() - self._patience_s, flush=flush):
            self._batch(batch)

    def listen(self, timeout_s: float, wake: int) -> None:
        """Take what the processes say within a time; `wake`: a descriptor that ends the wait."""
        for worker in self._pool.busy:
            if self._has_moved(worker):
                self._pool.restart_clock(worker)
        for worker, message in self._pool.messages(timeout_s, wake):
            work = worker.work
            assert work is not None  # only a busy worker has anything to say
            self._answer(worker, work, message)

    # --- slots

    def _grant(self) -> bool:
        """Give slots to processes that wait for some; whether one goes on waiting."""
        assert self._blocks is not None
        for worker in self._pool.busy:
            work = worker.work
            if work is None or not work.lacks_slots:
                continue
            slots = self._blocks.take(work.lacks_slots)
            if not slots:
                return True
            work.lacks_slots = 0
            work.slots |= {slot.number for slot in slots}
            self._pool.restart_clock(worker)
            with contextlib.suppress(OSError):  # it died: its next message is that loss
                worker.pipe.send(tuple(slots))
        return False

    def _place(
        self, work: BatchWork, task_id: int, slots: Sequence[int], *, is_moving: bool
    ) -> None:
        """Note which frames of a file the slots hold that were written since the last time."""
        assert self._blocks is not None  # without one there are no slots
        file = work.files[task_id]
        spaces = None if is_moving else file.task.spaces
        now = time.monotonic()
        for ordinal in range(file.placed, len(slots)):
            self._blocks.written(slots[ordinal], FrameKey(task_id, ordinal, spaces), now)
            work.slots.remove(slots[ordinal])
        file.placed = len(slots)

    # --- what processes say

    def _has_moved(self, worker: Worker[BatchWork]) -> bool:
        """Each step of a file has the whole time limit; waiting for a slot takes none of it."""
        work = worker.work
        assert work is not None  # only busy workers have a clock
        before, work.seen_step = work.seen_step, int(self._memory.beats[work.beat])
        return work.seen_step != before or bool(work.lacks_slots)

    def _answer(self, worker: Worker[BatchWork], work: BatchWork, message: Any) -> None:
        if isinstance(message, Loss):
            self._lose(work, message)
        elif isinstance(message, Question):
            verdict = self._verdict(work, message)
            with contextlib.suppress(OSError):  # it died: its next message is that loss
                worker.pipe.send(verdict)
        elif isinstance(message, SlotRequest):
            self._place(work, message.task_id, message.written, is_moving=message.is_moving)
            work.lacks_slots = message.needed
        else:
            assert isinstance(message, Report)  # nothing else is sent
            self._take(worker, work, message)

    def _verdict(self, work: BatchWork, question: Question) -> Verdict:
        files = [work.files[task_id] for task_id, _ in question.digests]
        asked = [
            digest
            for file, (_, digest) in zip(files, question.digests, strict=True)
            if not file.task.forced
        ]
        answers = iter(self._wanted(asked) if asked else ())
        wanted = []
        for file, (task_id, digest) in zip(files, question.digests, strict=True):
            if file.task.forced or next(answers):
                # Only what this worker decodes may fail with it: else another has the content.
                file.digest = digest
                wanted.append(task_id)
        slots = self._blocks.take(len(wanted)) if self._blocks else []
        work.slots |= {slot.number for slot in slots}
        return Verdict(frozenset(wanted), tuple(slots))

    def _take(self, worker: Worker[BatchWork], work: BatchWork, report: Report) -> None:
        results = [self._completed(work, result) for result in report.results]
        # They go out before their pictures can: who takes both has the file first.
        self._results(results)
        for result in results:
            if isinstance(result.pictures, Decoded) and result.slots:
                frames = result.pictures.frames
                is_moving = len(frames) > 1 or frames[0].time_s is not None
                self._place(work, result.task_id, result.slots, is_moving=is_moving)
            del work.files[result.task_id]
        for number in report.unused:
            assert self._blocks is not None  # without one there are no slots
            work.slots.discard(number)
            self._blocks.give_back(number)
        if report.is_last:
            worker.work = None
            self._beats.append(work.beat)

    @staticmethod
    def _completed(work: BatchWork, result: ReadResult) -> ReadResult:
        """With the digest that is noted as being read, if reading it a second time gave none."""
        digest = work.files[result.task_id].digest
        return result if digest is None or result.digest else replace(result, digest=digest)

    def _lose(self, work: BatchWork, loss: Loss) -> None:
        """A process was ended: the file it was at fails, the others are read again."""
        for number in work.slots:
            assert self._blocks is not None  # without one there are no slots
            self._blocks.give_back(number)
        task_id = work.at(int(self._memory.beats[work.beat]))
        self._beats.append(work.beat)
        file = work.files.pop(task_id, None)
        if file is not None:
            refusal = Refusal(loss.reason, loss.detail)
            self._results([ReadResult(task_id, file.digest, file.task.size_bytes, refusal)])
        for other in work.files.values():
            if other.digest is not None:  # the catalog would say that somebody decodes it
                other.task = replace(other.task, forced=True)
            self._again.append(other)
