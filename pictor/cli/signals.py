"""Ctrl-C and SIGTERM during a run: the first asks it to stop, a second one ends it at once.

Signals are waited for in a thread of their own, so the answer is immediate even while the main
thread is deep in a native call. The main thread blocks SIGINT for the length of the run; processes
it starts inherit that, so a Ctrl-C cannot kill a decoder that has just begun to import.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

INTERRUPTED = 130  # 128 + SIGINT, as shells report it
_LEAVE = b"\0"  # no signal has this number
_SHOW_CURSOR = "\x1b[?25h"  # a progress bar hides it


class StopSignals:
    """A `with` block in which signals call `on_first` once; a second one ends the process.

    Does nothing outside the main thread, nor for a signal that the process was told to ignore.
    """

    def __init__(self, on_first: Callable[[], None]) -> None:
        """Nothing is changed before the block. `on_first` is called in another thread."""
        self._on_first = on_first
        self._old: dict[int, Any] = {}  # Any: what signal.signal gives back
        self._thread: threading.Thread | None = None

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is not threading.main_thread():
            return self
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        self._old_writer = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:
                # Python writes the number to the pipe by itself; the handler has nothing to add.
                self._old[number] = signal.signal(number, lambda *_: None)
        self._old_mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        self._thread = threading.Thread(target=self._watch, name="pictor-signals", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread is None:
            return
        os.write(self._writer, _LEAVE)
        self._thread.join()
        for number, handler in self._old.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._old_writer)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._old_mask)
        os.close(self._reader)
        os.close(self._writer)

    def _watch(self) -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        was_asked = False
        while (data := os.read(self._reader, 1)) != _LEAVE:
            if data[0] not in self._old:
                continue
            if was_asked:
                _end_now()
            was_asked = True
            self._on_first()


def _end_now() -> None:
    """End the process and its decoders without any clean-up: the catalog needs none."""
    for child in multiprocessing.active_children():
        child.kill()
    if sys.stderr.isatty():
        sys.stderr.write(_SHOW_CURSOR)
        sys.stderr.flush()
    os._exit(INTERRUPTED)
