"""A pool of decoding processes that turns tasks into results with bounded look-ahead.

Three threads meet here: a feeder takes tasks from the caller's iterator (which may be walking a
disk), a dispatcher talks to the worker processes (`indexer.dispatcher`), and the caller takes
results. Pixels do not come with the results: they lie in blocks of shared memory, and batches of
them go to whoever encodes them.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from pictor.indexer.dispatcher import BATCH_BYTES, BATCH_TASKS, BatchWork, Dispatcher
from pictor.indexer.messages import ReadResult, ReadTask, WorkerOptions
from pictor.indexer.pixel_blocks import Batch, PixelBlocks
from pictor.indexer.shared_memory import MAX_BEATS, SharedMemory
from pictor.indexer.worker_pool import WorkerPool
from pictor.library.errors import PictorError

#: The module whose `main(descriptor)` a process runs.
WORKER_MODULE = "pictor.indexer.worker"
#: How often the dispatcher looks around when nothing happens.
POLL_S = 0.25
#: And how often when it waits for the caller to take results.
SOON_S = 0.01
QUEUED_TASKS = 256
#: Messages with results that may wait for the caller while it commits: each has up to 32, of some
#: 1 kB.
QUEUED_RESULTS = 512

_END = object()
_SHAPE = object()


class BatchShape(NamedTuple):
    """How many pictures a batch has at most, and how many devices take batches at once."""

    size: int
    lanes: int


@dataclass(frozen=True)
class Encoding:
    """Who encodes the pictures.

    Attributes:
        shape: called once with the pool, in the thread that takes results, when the first picture
            was decoded.
        batch: receives batches, in the dispatcher's thread; `ReaderPool.release` each.
        patience_s: a batch is not waited for longer than this to be full.
    """

    shape: Callable[[ReaderPool], BatchShape]
    batch: Callable[[Batch], None]
    patience_s: float


class ReaderPool:
    """Decoding processes behind one iterator. Use it in a `with` block.

    Args:
        workers: processes.
        time_limit_s: of one step of a file: to read it, or to decode it.
        lookahead_bytes: of all blocks: decoded pixels that wait for the encoder or are with it.
        wanted: asked, from the dispatcher's thread, which contents must be decoded, by their
            digests; one answer each.
        encoding: None where no pixels are wanted; then the options have no specs.

    Attributes:
        blocks: where the pixels lie; None likewise.
    """

    def __init__(
        self,
        options: WorkerOptions,
        *,
        workers: int,
        time_limit_s: float,
        lookahead_bytes: int,
        wanted: Callable[[Sequence[bytes]], Sequence[bool]],
        encoding: Encoding | None = None,
    ) -> None:
        """Start nothing yet; processes start with the first task.

        Raises:
            PictorError: there is no memory to share with them.
        """
        specs = options.specs
        try:
            memory = SharedMemory.create(
                PixelBlocks.bytes_of(specs, lookahead_bytes) if specs else 0
            )
        except OSError as error:
            raise PictorError(f"no memory can be shared with decoding processes: {error}") from None
        self.blocks = PixelBlocks(memory, specs) if specs else None
        self._memory = memory
        self._encoding = encoding
        self._workers = min(workers, MAX_BEATS)
        self._pool: WorkerPool[BatchWork] = WorkerPool(
            replace(options, memory=memory.handle),
            WORKER_MODULE,
            "decoding",
            size=self._workers,
            time_limit_s=time_limit_s,
            inherited=(memory.handle.descriptor,),
        )
        self._dispatcher = Dispatcher(
            self._pool,
            memory,
            self.blocks,
            wanted=wanted,
            results=lambda results: self._results.put(results),
            batch=encoding.batch if encoding else lambda _: None,
            patience_s=encoding.patience_s if encoding else 0.0,
        )
        self._tasks: queue.Queue[ReadTask | object] = queue.Queue(QUEUED_TASKS)
        self._results: queue.Queue[Sequence[ReadResult] | BaseException | object] = queue.Queue()
        self._released: queue.SimpleQueue[Batch | BatchShape] = queue.SimpleQueue()
        self._wake = _Wake()
        self._stopped = threading.Event()
        self._next: ReadTask | None = None
        self._fed_all = False

    def __enter__(self) -> ReaderPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the workers now; results not yet taken are lost."""
        self._stopped.set()
        self._pool.end()
        self._memory.close()
        self._wake.close()

    def release(self, batch: Batch) -> None:
        """The pixels of a batch are encoded. May be called in any thread."""
        self._released.put(batch)
        self._wake.up()

    def nudge(self) -> None:
        """Have the caller's iterator give None now. May be called in any thread."""
        self._results.put(None)

    def run(self, tasks: Iterable[ReadTask]) -> Iterator[ReadResult | None]:
        """Results in the order they are ready; None now and then when there is none yet.

        The iterator `tasks` is advanced in another thread; what it raises is raised here. It ends
        when all is read and every batch was released.
        """
        self._next, self._fed_all = None, False
        threads = [
            threading.Thread(target=self._feed, args=(tasks,), name="pictor-feeder", daemon=True),
            threading.Thread(target=self._dispatch, name="pictor-dispatcher", daemon=True),
        ]
        for thread in threads:
            thread.start()
        try:
            yield from self._take()
        finally:
            self._stopped.set()
            self._wake.up()
            for thread in threads:
                thread.join()
            self._stopped.clear()

    def _take(self) -> Iterator[ReadResult | None]:
        while True:
            try:
                message = self._results.get(timeout=POLL_S)
            except queue.Empty:
                yield None
                continue
            if message is _END:
                return
            if isinstance(message, BaseException):
                raise message
            if message is _SHAPE:
                assert self._encoding is not None  # who asks has pictures for it
                self._released.put(self._encoding.shape(self))
                self._wake.up()
            elif isinstance(message, list):
                yield from message
            else:
                yield None

    # --- the feeder's thread

    def _feed(self, tasks: Iterable[ReadTask]) -> None:
        try:
            for task in tasks:
                if not self._put_task(task):
                    return
        except BaseException as error:  # handed to the caller's thread, which raises it
            self._results.put(error)
            self._stopped.set()
        finally:
            self._put_task(_END)
            self._wake.up()

    def _put_task(self, task: ReadTask | object) -> bool:
        while not self._stopped.is_set():
            try:
                self._tasks.put(task, timeout=0.1)
            except queue.Full:
                continue
            self._wake.up_if_asleep()
            return True
        return False

    # --- the dispatcher's thread

    def _dispatch(self) -> None:
        has_asked = False
        try:
            while not self._stopped.is_set():
                self._take_released()
                self._assign()
                is_end = self._fed_all and self._next is None
                self._dispatcher.feed(is_end=is_end)
                if self._dispatcher.wants_shape and not has_asked:
                    has_asked = True
                    self._results.put(_SHAPE)
                if is_end and self._dispatcher.is_idle:
                    self._results.put(_END)
                    return
                self._listen()
        except BaseException as error:  # handed to the caller's thread, which raises it
            self._results.put(error)

    def _take_released(self) -> None:
        """What other threads have for the blocks."""
        while not self._released.empty():
            assert self.blocks is not None  # without one there are no batches
            item = self._released.get()
            if isinstance(item, BatchShape):
                self.blocks.shape(item.size, item.lanes)
            else:
                self.blocks.release(item)

    def _assign(self) -> None:
        """Give queued tasks to workers, as far as the look-ahead allows."""
        self._dispatcher.give_again()
        while self._dispatcher.wants_tasks and self._results.qsize() < QUEUED_RESULTS:
            tasks = self._next_tasks()
            if not tasks:
                return
            self._dispatcher.give(tasks)

    def _next_tasks(self) -> list[ReadTask]:
        """The tasks for one worker: a fair share of the small ones that wait, or one large one."""
        most = min(BATCH_TASKS, 1 + self._tasks.qsize() // self._workers)
        tasks: list[ReadTask] = []
        room = BATCH_BYTES
        while len(tasks) < most and room > 0 and (task := self._next_task()) is not None:
            is_small = 0 <= task.size_bytes <= room
            if tasks and not is_small:
                self._next = task
                break
            tasks.append(task)
            room = room - task.size_bytes if is_small else 0
        return tasks

    def _next_task(self) -> ReadTask | None:
        """The next one that waits, if one does."""
        task, self._next = self._next, None
        if task is not None or self._fed_all:
            return task
        with contextlib.suppress(queue.Empty):
            item = self._tasks.get_nowait()
            self._fed_all = item is _END
            return item if isinstance(item, ReadTask) else None
        return None

    def _listen(self) -> None:
        """Wait for messages, a deadline, new tasks or released batches, whichever comes first."""
        wants_tasks = self._dispatcher.wants_tasks and not self._fed_all
        with self._wake.asleep(wants_tasks):
            if wants_tasks and not self._tasks.empty():
                return
            is_held = self._results.qsize() >= QUEUED_RESULTS
            self._dispatcher.listen(SOON_S if is_held else POLL_S, self._wake.descriptor)
        self._wake.calm()


class _Wake:
    """A pipe that ends a wait for other pipes."""

    def __init__(self) -> None:
        self.descriptor, self._writer = os.pipe()
        for one in (self.descriptor, self._writer):
            os.set_blocking(one, False)
        self._is_asleep = False

    def up(self) -> None:
        """End the wait, or the next one."""
        with contextlib.suppress(BlockingIOError):  # so much is in it that it will
            os.write(self._writer, b"\0")

    def up_if_asleep(self) -> None:
        """End the wait, if it is one that wants to hear of tasks."""
        if self._is_asleep:
            self.up()

    @contextlib.contextmanager
    def asleep(self, wants_tasks: bool) -> Iterator[None]:
        """A wait."""
        self._is_asleep = wants_tasks
        try:
            yield
        finally:
            self._is_asleep = False

    def calm(self) -> None:
        """Forget that it was woken."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.descriptor, 4096)

    def close(self) -> None:
        """Give up the pipe."""
        os.close(self.descriptor)
        os.close(self._writer)
