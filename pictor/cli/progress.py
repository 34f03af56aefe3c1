"""What a run shows: a bar with rate and time left on a terminal, and notices as lines."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import Any

from pictor.cli.output import number, say
from pictor.library.names import safe_text
from pictor.library.observer import Progress

#: Seconds between two changes of the bar: a run may report thousands of times a second.
REDRAW_S = 0.1


class Reporter:
    """The observer of a run on the command line. Use it in a `with` block.

    Both the run's thread and the one that waits for signals may call it.
    """

    def __init__(self, doing: str = "indexing") -> None:
        """Show a bar only where stderr is a terminal; rich is loaded with its first step."""
        self._doing = doing
        self._has_bar = sys.stderr.isatty()
        self._bar: Any = None  # a rich Progress
        self._task: Any = None
        self._label = ""
        self._drawn_at = 0.0
        self._should_stop = threading.Event()

    def __enter__(self) -> Reporter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._close()

    def progress(self, state: Progress) -> None:
        """Move the bar."""
        if not self._has_bar or time.monotonic() - self._drawn_at < REDRAW_S:
            return
        total = max(state.total, state.settled) if state.total else None
        more = f"encoded {number(state.encoded)}" if state.encoded else ""
        self._move(self._doing, state.settled, total, more)

    def texts(self, done: int, total: int) -> None:
        """Move a bar of its own for texts, which an evaluation encodes."""
        if self._has_bar:
            self._move("encoding texts", done, total, "")

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

    def _move(self, label: str, done: int, total: int | None, more: str) -> None:
        self._drawn_at = time.monotonic()
        if label != self._label:
            self._close()
            self._start(label)
        self._bar.update(self._task, completed=done, total=total, more=more)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
        self._bar, self._label = None, ""

    def _start(self, label: str) -> None:
        from rich import progress as bars
        from rich.console import Console

        self._label = label
        self._bar = bars.Progress(
            bars.TextColumn(label),
            bars.BarColumn(),
            bars.MofNCompleteColumn(),
            _rate_column(),
            bars.TextColumn("{task.fields[more]}"),
            bars.TimeRemainingColumn(compact=True),
            console=Console(stderr=True, highlight=False),
            transient=True,
        )
        self._task = self._bar.add_task("", total=None, more="")
        self._bar.start()


def _rate_column() -> Any:
    from rich import progress as bars
    from rich.text import Text

    class RateColumn(bars.ProgressColumn):
        """Files settled a second, of late."""

        def render(self, task: bars.Task) -> Text:
            """Nothing before it can be told."""
            return Text(f"{task.speed:.1f}/s" if task.speed else "", style="progress.data.speed")

    return RateColumn()
