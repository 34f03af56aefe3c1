"""A pool of decoding processes that turns tasks into results with bounded look-ahead.

Three threads meet here: a feeder takes tasks from the caller's iterator (which may be walking a
disk), a dispatcher talks to the worker processes, and the caller takes results. A worker that dies
or overruns its time is replaced and its file fails; the others do not notice.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import wait

from pictor.indexer.processes import DecodingProcess
from pictor.indexer.worker import READY, ReadResult, ReadTask, Refusal, WorkerOptions
from pictor.library.errors import PictorError
from pictor.library.records import Reason

#: A worker that was just started has this long to import its decoders; then its task's clock
#: starts.
START_ALLOWANCE_S = 60.0
#: How often the dispatcher looks for new tasks while a worker is idle.
POLL_S = 0.01
#: Workers that die in a row before they are ready until the pool gives up: something is wrong with
#: the installation, not with the files.
MAX_DEATHS_IN_A_ROW = 5
QUEUED_TASKS = 64
#: Results that may wait for the caller, whatever their pixels take.
QUEUED_RESULTS = 1024

_END = object()


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
        self._workers: list[DecodingProcess] = []
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
            worker.end()
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
        while not self._fed_all and self._has_room():
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
            self._send(idle, task)

    def _has_room(self) -> bool:
        if self._results.qsize() >= QUEUED_RESULTS:
            return False
        return self._waiting_bytes < self._lookahead_bytes

    def _send(self, worker: DecodingProcess | None, task: ReadTask) -> None:
        """Give a task to a worker; to a new one if there is none or it died while it was idle."""
        while True:
            worker = worker or self._started()
            worker.task, worker.digest = task, None
            allowance = 0.0 if worker.is_ready else START_ALLOWANCE_S
            worker.deadline = time.monotonic() + self._time_limit_s + allowance
            try:
                worker.pipe.send(task)
                return
            except OSError:
                self._remove(worker)
                worker = None

    def _started(self) -> DecodingProcess:
        worker = DecodingProcess(self._options)
        self._workers.append(worker)
        return worker

    def _listen(self, busy: list[DecodingProcess]) -> None:
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

    def _receive(self, worker: DecodingProcess) -> None:
        try:
            message = worker.pipe.recv()
            if message == READY:
                worker.is_ready = True
                worker.deadline = time.monotonic() + self._time_limit_s
                self._deaths = 0
            elif isinstance(message, ReadResult):
                self._finish(worker, message)
            else:
                _, digest = message
                wanted = self._wanted(digest)
                # Only what this worker decodes may fail with it: another one has the content else.
                worker.digest = digest if wanted else None
                worker.pipe.send(wanted)
        except (EOFError, OSError):
            self._receive_death(worker)

    def _receive_death(self, worker: DecodingProcess) -> None:
        task = worker.task
        if worker.is_ready or task is None:
            self._bury(worker, Reason.CRASHED, f"its decoder died ({worker.exit_code()})")
        else:  # no fault of the file
            self._remove(worker)
            self._send(None, task)

    def _finish(self, worker: DecodingProcess, result: ReadResult) -> None:
        worker.task = None
        with self._lock:
            self._waiting_bytes += result.pixel_bytes
        self._results.put(result)

    def _kill_overdue(self) -> None:
        moment = time.monotonic()
        for worker in [w for w in self._workers if w.task is not None and w.deadline < moment]:
            if not worker.is_ready:
                self._receive_death(worker)
                continue
            detail = f"decoding it took longer than {self._time_limit_s:g} s (index.time_limit_s)"
            self._bury(worker, Reason.TIMEOUT, detail)

    def _bury(self, worker: DecodingProcess, reason: Reason, detail: str) -> None:
        """End a worker; the file it had fails."""
        self._remove(worker)
        task = worker.task
        if task is not None:
            refusal = Refusal(reason, detail)
            self._results.put(ReadResult(task.task_id, worker.digest, task.size_bytes, refusal))

    def _remove(self, worker: DecodingProcess) -> None:
        """End a worker. Too many that were never ready end the run."""
        worker.end()
        self._workers.remove(worker)
        if worker.is_ready:
            return
        self._deaths += 1
        if self._deaths > MAX_DEATHS_IN_A_ROW:
            raise PictorError(
                f"{self._deaths} decoding processes in a row did not start "
                f"({worker.exit_code()}); "
                "see what `pictor doctor` says of the installation"
            )
