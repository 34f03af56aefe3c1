"""Keeping decoders quiet and bounded: their warnings are collected, Pillow's own limits set.

Both settings are global to a process, and a web server decodes in several threads. So they are set
by the first decoder that enters, undone by the last that leaves, and what is said is handed to the
thread that caused it.
"""

from __future__ import annotations

import fcntl
import os
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from PIL import Image

_MAX_WARNINGS = 20  # per file; a broken TIFF can warn of every tag
_MAX_WARNING_CHARS = 300
_MAX_STDERR_BYTES = 16_384


@dataclass
class _Shared:
    """What the decoders of this process that run right now have in common."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    pixel_limits: list[int] = field(default_factory=list)
    undo: list[Callable[[], None]] = field(default_factory=list)


_shared = _Shared()
_thread = threading.local()


@contextmanager
def quiet_decoding(max_pixels: int) -> Iterator[list[str]]:
    """Within it Pillow refuses pictures over `max_pixels`, and warnings go to the list it gives.

    Safe in several threads at once; the largest of their limits then holds for all, and callers
    check their own before they load.
    """
    heard: list[str] = []
    outer = getattr(_thread, "heard", None)
    _enter(max_pixels)
    _thread.heard = heard
    try:
        yield heard
    finally:
        _thread.heard = outer
        _leave(max_pixels)


def _enter(max_pixels: int) -> None:
    with _shared.lock:
        if not _shared.pixel_limits:
            _take_over()
        _shared.pixel_limits.append(max_pixels)
        _apply_limit()


def _leave(max_pixels: int) -> None:
    with _shared.lock:
        _shared.pixel_limits.remove(max_pixels)
        if _shared.pixel_limits:
            _apply_limit()
        while not _shared.pixel_limits and _shared.undo:
            _shared.undo.pop()()


def _apply_limit() -> None:
    # Pillow warns above MAX_IMAGE_PIXELS and raises above twice that; only the raise is wanted.
    Image.MAX_IMAGE_PIXELS = (max(_shared.pixel_limits) + 1) // 2


def _take_over() -> None:
    previous_limit = Image.MAX_IMAGE_PIXELS
    previous_verbosity = Image.WARN_POSSIBLE_FORMATS
    catcher = warnings.catch_warnings()
    catcher.__enter__()
    warnings.simplefilter("always")
    show = warnings.showwarning

    def hear(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: object = None,
        line: str | None = None,
    ) -> None:
        heard: list[str] | None = getattr(_thread, "heard", None)
        if heard is None:
            show(message, category, filename, lineno, None, line)
        elif not issubclass(category, Image.DecompressionBombWarning):
            note(heard, str(message))

    def undo() -> None:
        catcher.__exit__(None, None, None)
        Image.MAX_IMAGE_PIXELS = previous_limit
        Image.WARN_POSSIBLE_FORMATS = previous_verbosity

    warnings.showwarning = hear
    Image.WARN_POSSIBLE_FORMATS = True  # else the reason why a file does not open is lost
    _shared.undo.append(undo)


def note(heard: list[str], message: str) -> None:
    """Add a warning, once, as one short line."""
    line = " ".join(message.split())[:_MAX_WARNING_CHARS]
    if line and line not in heard and len(heard) < _MAX_WARNINGS:
        heard.append(line)


@dataclass
class NativeText:
    """What native libraries wrote to stderr; complete after the block."""

    text: str = ""


@contextmanager
def captured_stderr() -> Iterator[NativeText]:
    """Send file descriptor 2 to a temporary file, for libraries that print their complaints.

    It holds for the whole process, so it is for worker processes that decode one file at a time.
    A closed stderr is closed again afterwards.
    """
    said = NativeText()
    with tempfile.TemporaryFile() as file:
        # Never 0 to 2: with a closed stderr the temporary file may have got number 2 itself.
        sink = fcntl.fcntl(file.fileno(), fcntl.F_DUPFD_CLOEXEC, 3)
    saved: int | None = None
    with suppress(OSError):
        saved = fcntl.fcntl(2, fcntl.F_DUPFD_CLOEXEC, 3)
    _flush_stderr()
    os.dup2(sink, 2)
    try:
        yield said
    finally:
        _flush_stderr()
        if saved is None:
            os.close(2)
        else:
            os.dup2(saved, 2)
            os.close(saved)
        said.text = os.pread(sink, _MAX_STDERR_BYTES, 0).decode("utf-8", "replace").strip()
        os.close(sink)


def _flush_stderr() -> None:
    with suppress(OSError, ValueError, AttributeError):  # closed, or None in a windowed process
        sys.stderr.flush()
