"""A pool of decoding processes that turns tasks into results with bounded look-ahead.

Three threads meet here: a feeder takes tasks from the caller's iterator (which may be walking a
disk), a dispatcher talks to the worker processes, and the caller takes results. A worker that dies
or overruns its time is replaced and its file fails; the others do not notice.
"""

from __future__ import annotations

import multiprocessing
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from indexer.worker import ReadResult, ReadTask, Refusal, WorkerOptions, serve
from library.errors import PictorError
from library.records import Reason

#: A worker that was just started has this long to import its decoders before its task's clock
#: starts.
START_ALLOWANCE_S = 30.0
#: How often the dispatcher looks for new tasks while a worker is idle.
POLL_S = 0.01
#: Workers that die in a row without finishing a task before the pool gives up: something is wrong
#: with the installation, not with the files.
MAX_DEATHS_IN_A_ROW = 20
QUEUED_TASKS = 64

_END = object()


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    task: ReadTask | None = None
    digest: bytes | None = None
    deadline: float = 0.0
    fresh: bool = True


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
        self._options = options
        self._size = workers
        self._time_limit_s = time_limit_s
        self._lookahead_bytes = lookahead_bytes
        self._wanted = wanted
        self._context = multiprocessing.get_context("spawn")  # forking with threads is unsafe
        self._workers: list[_Worker] = []
        self._tasks: queue.Queue[ReadTask | object] = queue.Queue(QUEUED_TASKS)
        self._results: queue.Queue[ReadResult | BaseException | object] = queue.Queue()
        self._waiting_bytes = 0
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._fed_all = False
        self._deaths = 0

    def __enter__(self) -> ReaderPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the workers now; results not yet taken are lost."""
        self._stopped.set()
        for worker in self._workers:
            worker.pipe.close()
        for worker in self._workers:
            worker.process.join(timeout=0.2)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
        self._workers = []

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
                busy = [worker for worker in self._workers if worker.task is not None]
                if not busy and self._fed_all:
                    self._results.put(_END)
                    return
                self._listen(busy)
                self._kill_overdue()
        except BaseException as error:  # handed to the caller's thread, which raises it
            self._results.put(error)

    def _assign(self) -> None:
        """Give queued tasks to idle workers, as far as the look-ahead allows."""
        while not self._fed_all and self._waiting_bytes < self._lookahead_bytes:
            idle = next((worker for worker in self._workers if worker.task is None), None)
            if idle is None and len(self._workers) >= self._size:
                return
            try:
                task = self._tasks.get_nowait()
            except queue.Empty:
                return
            if task is _END:
                self._fed_all = True
                return
            assert isinstance(task, ReadTask)  # nothing else is put there
            self._send(idle or self._start(), task)

    def _start(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=serve, args=(theirs, self._options), name="pictor-decoder", daemon=True
        )
        process.start()
        theirs.close()
        worker = _Worker(process, ours)
        self._workers.append(worker)
        return worker

    def _send(self, worker: _Worker, task: ReadTask) -> None:
        worker.task, worker.digest = task, None
        allowance = START_ALLOWANCE_S if worker.fresh else 0.0
        worker.fresh = False
        worker.deadline = time.monotonic() + self._time_limit_s + allowance
        try:
            worker.pipe.send(task)
        except OSError:
            self._bury(worker, Reason.CRASHED, "its decoding process died")

    def _listen(self, busy: list[_Worker]) -> None:
        """Wait for messages, a deadline or new tasks, whichever comes first."""
        if not busy:
            time.sleep(POLL_S)
            return
        room = len(busy) < self._size and not self._fed_all
        next_deadline = min(worker.deadline for worker in busy) - time.monotonic()
        timeout = POLL_S if room else max(0.0, min(next_deadline, 0.25))
        ready = wait([worker.pipe for worker in busy], timeout)
        for worker in busy:
            if worker.pipe in ready:
                self._receive(worker)

    def _receive(self, worker: _Worker) -> None:
        try:
            message = worker.pipe.recv()
            if isinstance(message, ReadResult):
                self._deaths = 0
                self._finish(worker, message)
            else:
                _, worker.digest = message
                worker.pipe.send(self._wanted(worker.digest))
        except (EOFError, OSError):
            code = self._exit_code(worker)
            self._bury(worker, Reason.CRASHED, f"its decoder died ({code})")

    def _finish(self, worker: _Worker, result: ReadResult) -> None:
        worker.task = None
        with self._lock:
            self._waiting_bytes += result.pixel_bytes
        self._results.put(result)

    def _kill_overdue(self) -> None:
        moment = time.monotonic()
        for worker in [w for w in self._workers if w.task is not None and w.deadline < moment]:
            detail = f"decoding it took longer than {self._time_limit_s:g} s (index.time_limit_s)"
            self._bury(worker, Reason.TIMEOUT, detail)

    def _bury(self, worker: _Worker, reason: Reason, detail: str) -> None:
        """End a worker; the file it had fails."""
        worker.process.kill()
        worker.process.join()
        worker.pipe.close()
        self._workers.remove(worker)
        task = worker.task
        if task is not None:
            refusal = Refusal(reason, detail)
            self._results.put(ReadResult(task.task_id, worker.digest, task.size_bytes, refusal))
        self._deaths += reason is Reason.CRASHED
        if self._deaths > MAX_DEATHS_IN_A_ROW:
            raise PictorError(
                f"{self._deaths} decoding processes in a row died at once ({detail}); "
                "see what `pictor doctor` says of the installation"
            )

    @staticmethod
    def _exit_code(worker: _Worker) -> str:
        worker.process.join(timeout=1.0)
        code = worker.process.exitcode
        return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
