"""A terminal that is asked for single keys, and written to past what others buffer."""

from __future__ import annotations

import os
import sys
import termios
import tty
from collections import deque

from pictor.library.errors import PictorError

#: What a key gives that is no character; other such keys give "".
_NAMED = {"\x1b[A": "up", "\x1b[B": "down", "\x1b[C": "right", "\x1b[D": "left"}
ENDED = "\x04"  # the terminal is gone, or Ctrl-D was pressed
_READ_BYTES = 1024


class Terminal:
    """A `with` block in which keys come one by one and are not shown. Ctrl-C stays an interrupt.

    The modes of the terminal are as they were after the block, however it ends.
    """

    def __init__(self) -> None:
        """Nothing is changed before the block.

        Raises:
            PictorError: stdin or stdout is no terminal.
        """
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise PictorError(
                "a review reads keys, but stdin or stdout is not a terminal; write a page instead "
                "with: pictor duplicates --html FILE"
            )
        self._input = sys.stdin.fileno()
        self._output = sys.stdout.buffer
        self._waiting: deque[str] = deque()

    def __enter__(self) -> Terminal:
        self._modes = termios.tcgetattr(self._input)
        tty.setcbreak(self._input, termios.TCSADRAIN)
        return self

    def __exit__(self, *_: object) -> None:
        termios.tcsetattr(self._input, termios.TCSADRAIN, self._modes)

    def write(self, text: str) -> None:
        """Put text on the terminal at once."""
        self._output.write(text.encode("utf-8", "backslashreplace"))
        self._output.flush()

    def key(self) -> str:
        """The next key that is pressed: a character, "up", "down", "left", "right" or ENDED."""
        while not self._waiting:
            try:
                data = os.read(self._input, _READ_BYTES)
            except OSError:  # it was closed
                data = b""
            if not data:
                return ENDED
            text = data.decode("utf-8", "ignore")
            if text.startswith("\x1b"):  # an arrow, or a key that means nothing here
                self._waiting.extend([_NAMED[text]] if text in _NAMED else [])
            else:
                self._waiting.extend(text)
        return self._waiting.popleft()

    def size(self) -> tuple[int, int]:
        """(columns, rows), now."""
        return os.get_terminal_size(self._output.fileno())
