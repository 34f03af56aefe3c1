"""What is shown while a model moves: how large it is, then a bar with rate and time left."""

from __future__ import annotations

import signal
import sys
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Any

from pictor.cli.output import say

if TYPE_CHECKING:
    from pictor.library.encoders.models.plan import Plan


class MoveBar:
    """A watch of moved bytes on the command line, on stderr. Use it in a `with` block.

    Ctrl-C inside the block is a KeyboardInterrupt, so that the terminal is left as it was.
    """

    def __init__(self, verb: str) -> None:
        """Show a bar only where stderr is a terminal; rich is loaded with its first byte."""
        self._verb = verb
        self._has_bar = sys.stderr.isatty()
        self._bar: Any = None  # a rich Progress
        self._task: Any = None
        self._total = 0
        self._old_handler: Any = None

    def __enter__(self) -> MoveBar:
        if threading.current_thread() is threading.main_thread():
            self._old_handler = signal.signal(signal.SIGINT, signal.default_int_handler)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._stop()
        if self._old_handler is not None:
            signal.signal(signal.SIGINT, self._old_handler)
        if kind is KeyboardInterrupt:
            say("stopped early: the same command goes on from there")

    def begin(self, plan: Plan) -> None:
        """Say what comes, and count from nothing again."""
        self._stop()
        self._total = 0
        say(plan.sentence)
        self.expect(plan.size_bytes)

    def expect(self, count: int) -> None:
        """Count on so many bytes more."""
        self._total += count
        if self._bar is not None:
            self._bar.update(self._task, total=self._total)

    def moved(self, count: int) -> None:
        """Move the bar."""
        if not self._has_bar:
            return
        if self._bar is None:
            self._start()
        self._bar.update(self._task, advance=count)

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _start(self) -> None:
        from rich import progress as bars
        from rich.console import Console

        self._bar = bars.Progress(
            bars.TextColumn(self._verb),
            bars.BarColumn(),
            bars.DownloadColumn(),
            bars.TransferSpeedColumn(),
            bars.TimeRemainingColumn(compact=True),
            console=Console(stderr=True, highlight=False),
            transient=True,
        )
        self._task = self._bar.add_task("", total=self._total or None)
        self._bar.start()
