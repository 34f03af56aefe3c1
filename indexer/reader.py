"""A pool of decoding processes that turns tasks into results with bounded look-ahead.

Three threads meet here: a feeder takes tasks from the caller's iterator (which may be walking a
disk), a dispatcher talks to the worker processes, and the caller takes results. A worker that dies
or overruns its time is replaced and its file fails; the others do not notice.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from pictor.indexer.worker import ReadResult, ReadTask, Refusal, WorkerOptions
from pictor.indexer.worker_pool import Loss, WorkerPool

#: The module whose `main(descriptor)` a process runs.
WORKER_MODULE = "pictor.indexer.worker"
#: How often the dispatcher looks for new tasks while a worker is idle.
POLL_S = 0.01
QUEUED_TASKS = 64
#: Results that may wait for the caller, whatever their pixels take.
QUEUED_RESULTS = 1024

_END = object()


@dataclass
class _FileWork:
    """A task, and the digest of its content once a worker said that it decodes it."""

    message: ReadTask
    digest: bytes | None = None


class ReaderPool:
    """Decoding processes behind one iterator. Use it in a `with` block.

    Args:
        workers: processes.
        time_limit_s: of one file, from sending it to a worker until its result.
        lookahead_bytes: decoded pixels that may wait for the caller.
        wanted: asked, from the dispatcher's thread, whether a content of this digest must be
            decoded.
    """

    def __init__(
        self,
        options: WorkerOptions,
        *,
        workers: int,
        time_limit_s: float,
        lookahead_bytes: int,
        wanted: Callable[[bytes], bool],
    ) -> None:
        """Start nothing yet; processes start with the first task."""
        self._pool: WorkerPool[_FileWork] = WorkerPool(
            options, WORKER_MODULE, "decoding", size=workers, time_limit_s=time_limit_s
        )
        self._lookahead_bytes = lookahead_bytes
        self._wanted = wanted
        self._tasks: queue.Queue[ReadTask | object] = queue.Queue(QUEUED_TASKS)
        self._results: queue.Queue[ReadResult | BaseException | object] = queue.Queue()
        self._waiting_bytes = 0
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._fed_all = False

    def __enter__(self) -> ReaderPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the workers now; results not yet taken are lost."""
        self._stopped.set()
        self._pool.end()

    def run(self, tasks: Iterable[ReadTask]) -> Iterator[ReadResult | None]:
        """Results in the order they are ready; None now and then when there is none yet.

        The iterator `tasks` is advanced in another thread; what it raises is raised here.
        """
        self._fed_all = False
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
            for thread in threads:
                thread.join()
            self._stopped.clear()

    def _take(self) -> Iterator[ReadResult | None]:
        while True:
            try:
                result = self._results.get(timeout=0.25)
            except queue.Empty:
                yield None
                continue
            if result is _END:
                return
            if isinstance(result, BaseException):
                raise result
            assert isinstance(result, ReadResult)  # nothing else is put there
            with self._lock:
                self._waiting_bytes -= result.pixel_bytes
            yield result

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

    def _put_task(self, task: ReadTask | object) -> bool:
        while not self._stopped.is_set():
            try:
                self._tasks.put(task, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    # --- the dispatcher's thread

    def _dispatch(self) -> None:
        try:
            while not self._stopped.is_set():
                self._assign()
                if self._pool.busy:
                    self._listen()
                elif self._fed_all:
                    self._results.put(_END)
                    return
                else:
                    time.sleep(POLL_S)
        except BaseException as error:  # handed to the caller's thread, which raises it
            self._results.put(error)

    def _assign(self) -> None:
        """Give queued tasks to workers, as far as the look-ahead allows."""
        while not self._fed_all and not self._pool.is_full and self._has_room():
            try:
                task = self._tasks.get_nowait()
            except queue.Empty:
                return
            if task is _END:
                self._fed_all = True
                return
            assert isinstance(task, ReadTask)  # nothing else is put there
            self._pool.give(_FileWork(task))

    def _has_room(self) -> bool:
        is_short = self._results.qsize() < QUEUED_RESULTS
        return is_short and self._waiting_bytes < self._lookahead_bytes

    def _listen(self) -> None:
        """Wait for messages, a deadline or new tasks, whichever comes first."""
        is_waiting = not self._pool.is_full and not self._fed_all
        for worker, message in self._pool.messages(POLL_S if is_waiting else 0.25):
            work = worker.work
            assert work is not None  # only a busy worker has anything to say
            if isinstance(message, Loss):
                refusal = Refusal(message.reason, message.detail)
                size_bytes = work.message.size_bytes
                self._put_result(ReadResult(work.message.task_id, work.digest, size_bytes, refusal))
            elif isinstance(message, ReadResult):
                worker.work = None
                self._put_result(message)
            else:
                _, digest = message
                wanted = self._wanted(digest)
                # Only what this worker decodes may fail with it: another one has the content else.
                work.digest = digest if wanted else None
                with contextlib.suppress(OSError):  # it died: its next message is that loss
                    worker.pipe.send(wanted)

    def _put_result(self, result: ReadResult) -> None:
        with self._lock:
            self._waiting_bytes += result.pixel_bytes
        self._results.put(result)
