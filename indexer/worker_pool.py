"""Worker processes and the pipes to them: started, given work, timed, replaced when they die.

They are started as plain commands and not by `multiprocessing`, whose spawned processes run the
caller's main script again: one without an `if __name__ == "__main__"` would index in each of them.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from pictor.indexer.messages import READY
from pictor.library.config import Settings
from pictor.library.errors import PictorError
from pictor.library.records import Reason

#: A worker that was just started has this long to import its decoders; then its work's clock
#: starts.
START_ALLOWANCE_S = 60.0
#: Workers that die in a row before they are ready until the pool gives up: something is wrong with
#: the installation, not with the files.
MAX_DEATHS_IN_A_ROW = 5
#: How long a process that was killed is waited for: one that hangs in a dead network share stays.
END_S = 2.0
_THREAD_COUNTS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
#: How long a process whose pipe broke is waited for, to learn how it ended.
DEATH_S = 0.5


class Work(Protocol):
    """What a worker is given; `message` is what is sent for it."""

    @property
    def message(self) -> object:
        """Sent to the worker."""


W = TypeVar("W", bound=Work)


class Loss(NamedTuple):
    """Why a worker was ended in the middle of its work: a code and one sentence."""

    reason: Reason
    detail: str


class Worker(Generic[W]):
    """A process, the pipe to it, and what it is doing.

    Attributes:
        pipe: our end.
        work: None while it is idle.
        deadline: by the monotonic clock, when its work takes too long.
        is_ready: it has said that its decoders are imported.
    """

    def __init__(self, options: object, module: str, inherited: Sequence[int] = ()) -> None:
        """Start `main(descriptor)` of a module; `options` are sent to it first.

        Args:
            inherited: descriptors that the process is to have, too, under the same numbers.
        """
        self.work: W | None = None
        self.deadline = 0.0
        self.is_ready = False
        ours, theirs = socket.socketpair()
        with theirs:
            path = [entry for entry in sys.path if isinstance(entry, str)]
            code = (
                f"import sys; sys.path[:] = {path!r}; "
                f"from {module} import main; main({theirs.fileno()})"
            )
            descriptors = [theirs.fileno(), *inherited]
            self.process = _start([sys.executable, "-P", "-c", code], descriptors)
        self.pipe = Connection(ours.detach())
        with contextlib.suppress(OSError):  # it died at once: sending work will say so
            self.pipe.send(options)

    def end(self) -> None:
        """Kill it, whatever it does."""
        self.pipe.close()
        self.process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=END_S)

    def exit_code(self) -> str:
        """How a process that is dying ended, in words."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=DEATH_S)
        code = self.process.returncode
        return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"


class WorkerPool(Generic[W]):
    """Worker processes, as many as are needed up to a number; used from one thread.

    Args:
        options: sent to each process first.
        module: whose `main(descriptor)` each runs.
        kind: what the processes are called in an error, such as "decoding".
        size: processes at most.
        time_limit_s: from giving a worker its work, or restarting its clock, to its end.
        inherited: descriptors that each process is to have, too.

    Attributes:
        has_moved: asked of a worker whose time is up: whether it came to another step of its work
            since its clock was started, which is then started anew.
    """

    def __init__(
        self,
        options: object,
        module: str,
        kind: str,
        *,
        size: int,
        time_limit_s: float,
        inherited: Sequence[int] = (),
    ) -> None:
        """Start nothing yet; processes start with the first work."""
        self._options = options
        self._module = module
        self._kind = kind
        self._size = size
        self._time_limit_s = time_limit_s
        self._inherited = inherited
        self._deaths = 0
        self.workers: list[Worker[W]] = []
        self.has_moved: Callable[[Worker[W]], bool] = lambda _: False

    def end(self) -> None:
        """End the workers now, whatever they do."""
        for worker in self.workers:
            worker.end()
        self.workers = []

    @property
    def busy(self) -> list[Worker[W]]:
        """The workers that have work."""
        return [worker for worker in self.workers if worker.work is not None]

    @property
    def is_full(self) -> bool:
        """Whether no further work can be given now."""
        return len(self.busy) >= self._size

    def give(self, work: W) -> None:
        """Give work to an idle worker; to a new one if there is none or it died while idle."""
        while True:
            worker = next((one for one in self.workers if one.work is None), None)
            if worker is None:
                worker = Worker(self._options, self._module, self._inherited)
                self.workers.append(worker)
            worker.work = work
            self.restart_clock(worker)
            try:
                worker.pipe.send(work.message)
                return
            except OSError:
                self._remove(worker)

    def restart_clock(self, worker: Worker[W]) -> None:
        """Give a worker the whole time limit from now on, and the time to start if it does."""
        allowance = 0.0 if worker.is_ready else START_ALLOWANCE_S
        worker.deadline = time.monotonic() + self._time_limit_s + allowance

    def messages(
        self, timeout_s: float, wake: int | None = None
    ) -> Iterator[tuple[Worker[W], Any]]:
        """What the busy workers say within a time: messages, and a Loss of each that is ended.

        A worker that dies or overruns its time is ended; one that was not ready is replaced, as
        its work is not the cause.

        Args:
            wake: a descriptor that ends the wait as soon as it can be read.

        Raises:
            PictorError: too many in a row did not start.
        """
        busy = self.busy
        next_deadline = min((worker.deadline for worker in busy), default=math.inf)
        limit_s = max(0.0, min(next_deadline - time.monotonic(), timeout_s))
        others = [] if wake is None else [wake]
        ready = wait([*(worker.pipe for worker in busy), *others], limit_s)
        for worker in busy:
            if worker.pipe in ready:
                yield from self._received(worker)
        moment = time.monotonic()
        for worker in [one for one in self.busy if one.deadline < moment]:
            if self.has_moved(worker):
                self.restart_clock(worker)
                continue
            limit = f"{self._time_limit_s:g} s (index.time_limit_s)"
            yield from self._lost(worker, Reason.TIMEOUT, f"decoding it took longer than {limit}")

    def _received(self, worker: Worker[W]) -> Iterator[tuple[Worker[W], Any]]:
        try:
            message = worker.pipe.recv()
        except (EOFError, OSError):
            why = f"its decoder died ({worker.exit_code()})"
            yield from self._lost(worker, Reason.CRASHED, why)
            return
        if message == READY:
            worker.is_ready = True
            self.restart_clock(worker)
            self._deaths = 0
        else:
            yield worker, message

    def _lost(
        self, worker: Worker[W], reason: Reason, detail: str
    ) -> Iterator[tuple[Worker[W], Any]]:
        self._remove(worker)
        if worker.is_ready:
            yield worker, Loss(reason, detail)
        elif worker.work is not None:
            self.give(worker.work)

    def _remove(self, worker: Worker[W]) -> None:
        """End a worker. Too many that were never ready end the run."""
        worker.end()
        self.workers.remove(worker)
        if worker.is_ready:
            return
        self._deaths += 1
        if self._deaths > MAX_DEATHS_IN_A_ROW:
            raise PictorError(
                f"{self._deaths} {self._kind} processes in a row did not start "
                f"({worker.exit_code()}); see what `pictor doctor` says of the installation"
            )


def worker_count(settings: Settings) -> int:
    """Processes of a pool: as set, or one a core that this process may use."""
    if settings.index.workers:
        return settings.index.workers
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def _start(command: list[str], descriptors: Sequence[int]) -> subprocess.Popen[bytes]:
    """A process that inherits some descriptors, and in which Ctrl-C waits until it is ignored.

    There is a process a core: products of matrices run in one thread unless the environment says
    otherwise.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return subprocess.Popen(
            command,
            pass_fds=descriptors,
            env=dict.fromkeys(_THREAD_COUNTS, "1") | os.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # ours may be a pipe of paths
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
