"""Starting and ending one decoding process, and the pipe to it.

They are started as plain commands and not by `multiprocessing`, whose spawned processes run the
caller's main script again: one without an `if __name__ == "__main__"` would index in each of them.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
from multiprocessing.connection import Connection

from pictor.indexer.worker import ReadTask

#: The module whose `main(descriptor)` a process runs.
WORKER_MODULE = "pictor.indexer.worker"
#: How long a process that was killed is waited for: one that hangs in a dead network share stays.
END_S = 2.0
#: How long a process whose pipe broke is waited for, to learn how it ended.
DEATH_S = 0.5


class DecodingProcess:
    """A process and what it is doing.

    Attributes:
        pipe: our end.
        task: what it works on, None while it is idle.
        digest: of the content it decodes, once it has told it.
        deadline: by the monotonic clock, when its task takes too long.
        is_ready: it has told that its decoders are imported.
    """

    def __init__(self, options: object, module: str | None = None) -> None:
        """Start it.

        Args:
            options: sent to it first; WorkerOptions for a process that decodes.
            module: whose `main(descriptor)` it runs; None is the one that decodes.
        """
        self.task: ReadTask | None = None
        self.digest: bytes | None = None
        self.deadline = 0.0
        self.is_ready = False
        ours, theirs = socket.socketpair()
        with theirs:
            path = [entry for entry in sys.path if isinstance(entry, str)]
            code = (
                f"import sys; sys.path[:] = {path!r}; "
                f"from {module or WORKER_MODULE} import main; main({theirs.fileno()})"
            )
            self.process = _start([sys.executable, "-P", "-c", code], theirs.fileno())
        self.pipe = Connection(ours.detach())
        with contextlib.suppress(OSError):  # it died at once: sending a task will say so
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


def _start(command: list[str], descriptor: int) -> subprocess.Popen[bytes]:
    """A process that inherits one descriptor, and in which Ctrl-C waits until it is ignored."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return subprocess.Popen(
            command,
            pass_fds=[descriptor],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # ours may be a pipe of paths
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
