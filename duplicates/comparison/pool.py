"""Comparing processes behind one iterator: batches of pairs in, what was found out.

A process that dies or overruns its time is replaced; the content it was reading is not read again
in this pass, and the pairs it had left go on in the new one.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from multiprocessing.connection import wait

from pictor.duplicates.comparison.worker import Looked, LookOptions, LookTask, Reading
from pictor.indexer.processes import DecodingProcess
from pictor.indexer.worker import READY
from pictor.library.errors import PictorError

LOOKING_MODULE = "pictor.duplicates.comparison.worker"
#: A process that was just started has this long to import its decoders.
START_ALLOWANCE_S = 60.0
#: How often the caller hears that there is nothing yet.
POLL_S = 0.25
#: Processes that die in a row before they are ready until the pool gives up.
MAX_DEATHS_IN_A_ROW = 5


class _Worker:
    """A process, the pairs it has left, and the content it reads."""

    def __init__(self, options: LookOptions) -> None:
        self.process = DecodingProcess(options, LOOKING_MODULE)
        self.left: deque[LookTask] = deque()
        self.reading: int | None = None


class LookPool:
    """Comparing processes. Use it in a `with` block.

    Args:
        workers: processes.
        time_limit_s: for reading and decoding one file, or for comparing two.
    """

    def __init__(self, options: LookOptions, *, workers: int, time_limit_s: float) -> None:
        """Start nothing yet; processes start with the first batch."""
        self._options = options
        self._size = workers
        self._time_limit_s = time_limit_s
        self._workers: list[_Worker] = []
        self._bad: dict[int, str] = {}
        self._deaths = 0

    def __enter__(self) -> LookPool:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.process.end()
        self._workers = []

    def run(self, batches: Iterable[Sequence[LookTask]]) -> Iterator[Looked | None]:
        """Results as they come; None now and then when there is none yet.

        `batches` is advanced in the caller's thread, whenever a process is idle. Pairs of a batch
        are looked at in their order by one process.
        """
        coming = iter(batches)
        is_over = False
        while True:
            while not is_over and (idle := self._idle()) is not None:
                batch = next(coming, None)
                is_over = batch is None
                if batch:
                    idle.left = deque(batch)
                    yield from self._send(idle)
            busy = [worker for worker in self._workers if worker.left]
            if is_over and not busy:
                return
            yield from self._listen(busy)

    def _idle(self) -> _Worker | None:
        for worker in self._workers:
            if not worker.left:
                return worker
        if len(self._workers) >= self._size:
            return None
        worker = _Worker(self._options)
        self._workers.append(worker)
        return worker

    def _send(self, worker: _Worker) -> Iterator[Looked]:
        """Give a process its pairs, without those whose content is known to be no good."""
        bad = [task for task in worker.left if self._reasons(task)]
        worker.left = deque(task for task in worker.left if not self._reasons(task))
        yield from (Looked(task.task_id, None, {}, self._reasons(task)) for task in bad)
        if not worker.left:
            return
        allowance = 0.0 if worker.process.is_ready else START_ALLOWANCE_S
        worker.process.deadline = time.monotonic() + self._time_limit_s + allowance
        worker.reading = None
        try:
            worker.process.pipe.send(list(worker.left))
        except OSError:  # it died while it was idle
            yield from self._replace(worker, "")

    def _reasons(self, task: LookTask) -> dict[int, str]:
        ids = (task.a.content_id, task.b.content_id)
        return {content_id: self._bad[content_id] for content_id in ids if content_id in self._bad}

    def _listen(self, busy: Sequence[_Worker]) -> Iterator[Looked | None]:
        ready = wait([worker.process.pipe for worker in busy], POLL_S)
        if not ready:
            yield None
        for worker in busy:
            if worker.process.pipe in ready:
                yield from self._receive(worker)
            elif worker.process.deadline < time.monotonic():
                why = f"decoding it took longer than {self._time_limit_s:g} s (index.time_limit_s)"
                yield from self._replace(worker, why)

    def _receive(self, worker: _Worker) -> Iterator[Looked]:
        try:
            message = worker.process.pipe.recv()
        except (EOFError, OSError):
            why = f"its decoder died ({worker.process.exit_code()})"
            yield from self._replace(worker, why)
            return
        worker.process.deadline = time.monotonic() + self._time_limit_s
        if message == READY:
            worker.process.is_ready = True
            self._deaths = 0
        elif isinstance(message, Reading):
            worker.reading = message.content_id
        else:
            assert isinstance(message, Looked)  # nothing else is sent
            worker.reading = None
            worker.left.popleft()
            yield message

    def _replace(self, worker: _Worker, why: str) -> Iterator[Looked]:
        """End a process, and start one that goes on with the pairs it had left."""
        worker.process.end()
        self._workers.remove(worker)
        if not worker.process.is_ready:
            self._count_death(worker)
        elif why and worker.left:
            self._blame(worker, why)
        left, worker = worker.left, _Worker(self._options)
        self._workers.append(worker)
        worker.left = left
        yield from self._send(worker)

    def _blame(self, worker: _Worker, why: str) -> None:
        """Note the content that a process was reading; both of the pair if it compared them."""
        task = worker.left[0]
        reading = worker.reading
        ids = (task.a.content_id, task.b.content_id) if reading is None else (reading,)
        self._bad.update(dict.fromkeys(ids, why))

    def _count_death(self, worker: _Worker) -> None:
        self._deaths += 1
        if self._deaths > MAX_DEATHS_IN_A_ROW:
            raise PictorError(
                f"{self._deaths} comparing processes in a row did not start "
                f"({worker.process.exit_code()}); "
                "see what `pictor doctor` says of the installation"
            )
