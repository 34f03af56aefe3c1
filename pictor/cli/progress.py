"""What a run shows: a bar with rate and time left on a terminal, and notices as lines."""

from __future__ import annotations

import signal
import sys
import threading
import time
from typing import Any, Self

from pictor import Progress
from pictor.cli.output import say, size
from pictor.library.names import safe_text

#: Seconds between two changes of the bar: a run may report thousands of times a second.
REDRAW_S = 0.1
#: Seconds between two lines on the bytes that came, where there is no terminal for a bar.
LINE_S = 10.0


class Reporter:
    """The observer of a run on the command line. Use it in a `with` block.

    Both the run's thread and the one that waits for signals may call it.
    """

    def __init__(self) -> None:
        """Show a bar only where stderr is a terminal; rich is loaded with its first step."""
        self._has_bar = sys.stderr.isatty()
        self._bar: Any = None  # a rich Progress
        self._task: Any = None
        self._doing = ""
        self._drawn_at = time.monotonic()
        self._should_stop = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._close()

    def progress(self, state: Progress) -> None:
        """Move the bar of what is being done; another one begins where something else is."""
        since = time.monotonic() - self._drawn_at
        if not self._has_bar:
            if state.unit == "bytes" and since > LINE_S:
                self._drawn_at += since
                say(f"{state.doing}: {size(state.done) or '0 B'} of {size(state.total)}")
            return
        if state.doing == self._doing and since < REDRAW_S:
            return
        self._drawn_at += since
        if state.doing != self._doing:
            self._close()
            self._start(state)
        total = state.total or None
        self._bar.update(self._task, completed=state.done, total=total, more=state.detail)

    def notice(self, text: str) -> None:
        """Print a line, above the bar if there is one."""
        if self._bar is None:
            say(text)
        else:
            self._bar.console.print(safe_text(text), markup=False, soft_wrap=True)

    def should_stop(self) -> bool:
        """Whether the person asked for it."""
        return self._should_stop.is_set()

    def stop(self) -> None:
        """End the run at its next batch boundary."""
        self._should_stop.set()
        self.notice("stopping after this batch; press Ctrl-C again to stop at once")

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
        self._bar, self._doing = None, ""

    def _start(self, state: Progress) -> None:
        from rich import progress as bars
        from rich.console import Console

        self._doing = state.doing
        self._bar = bars.Progress(
            bars.TextColumn(state.doing),
            bars.BarColumn(),
            *_columns(state.unit),
            bars.TextColumn("{task.fields[more]}"),
            bars.TimeRemainingColumn(compact=True),
            console=Console(stderr=True, highlight=False),
            transient=True,
        )
        self._task = self._bar.add_task("", total=None, more="")
        self._bar.start()


class TransferReporter(Reporter):
    """The observer of a download or copy, which resumes when it is run again.

    Ctrl-C inside the block is a KeyboardInterrupt, so that the terminal is left as it was.
    """

    _old_handler: Any = None  # what signal.signal gives back

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._old_handler = signal.signal(signal.SIGINT, signal.default_int_handler)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._close()
        if self._old_handler is not None:
            signal.signal(signal.SIGINT, self._old_handler)
        if kind is KeyboardInterrupt:
            say("stopped early: run the same command again to resume")


def _columns(unit: str) -> list[Any]:
    """How far and how fast: sizes for bytes, else counts; no rate before it can be told."""
    from rich import progress as bars
    from rich.text import Text

    if unit == "bytes":
        return [bars.DownloadColumn(), bars.TransferSpeedColumn()]

    class RateColumn(bars.ProgressColumn):
        """Things done a second, of late."""

        def render(self, task: bars.Task) -> Text:
            """Nothing before it can be told."""
            return Text(f"{task.speed:.1f}/s" if task.speed else "", style="progress.data.speed")

    return [bars.MofNCompleteColumn(), RateColumn()]
