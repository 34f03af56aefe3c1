"""What the command prints: tables on a terminal, tab-separated lines into pipes, JSON when asked.

Nothing that others chose reaches a terminal unescaped: control characters could drive it, line ends
could fake a row. Data goes to stdout as bytes, always UTF-8, so no locale and no name can make
printing fail.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click

from pictor import JsonObject
from pictor.library.names import safe_text

#: Of the characters `safe_text` escapes, those that JSON lets stand in a string.
_UNSAFE_IN_JSON = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def write_bytes(data: bytes) -> None:
    """Put bytes on stdout."""
    sys.stdout.buffer.write(data)


def write_line(text: str) -> None:
    """Put a line of data on stdout, in UTF-8."""
    write_bytes(text.encode("utf-8", "backslashreplace") + b"\n")


def write_json(data: JsonObject) -> None:
    """Put one object on one line of stdout."""
    text = json.dumps(data, ensure_ascii=False)
    write_line(_UNSAFE_IN_JSON.sub(lambda match: f"\\u{ord(match[0]):04x}", text))


def say(text: str) -> None:
    """Put one line for people on stderr."""
    click.echo(safe_text(text), err=True)


def is_terminal() -> bool:
    """Whether stdout is one."""
    return sys.stdout.isatty()


def number(count: int) -> str:
    """A count with a space between thousands: 12 004."""
    return f"{count:,}".replace(",", " ")


def count(things: int, noun: str) -> str:
    """ "1 file", "2 files"."""
    return f"{number(things)} {noun}{'' if things == 1 else 's'}"


def size(count: int) -> str:
    """A number of bytes for people, in powers of 1000; "" for 0."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.3g} {unit}" if count else ""
        value /= 1000
    return f"{value:.3g} TB"


# --- rows

Cell = Any  # a str (escaped when printed), an int, or a rich Text


def write_rows(headings: Sequence[str], rows: Iterable[Sequence[str | int]]) -> None:
    """Rows as a table on a terminal, else as tab-separated lines without headings."""
    if is_terminal():
        write_table(headings, rows)
        return
    for row in rows:
        write_line("\t".join(safe_text(str(cell)) for cell in row))


def write_table(
    headings: Sequence[str], rows: Iterable[Sequence[Cell]], *, style: str = ""
) -> None:
    """A table no wider than the terminal; numbers to the right, long cells folded, never cut."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, row_styles=[style])
    table.header_style = f"bold underline {style}"
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        for column, cell in zip(table.columns, row, strict=True):
            column.justify = "right" if isinstance(cell, int) else column.justify
        table.add_row(*(_rendered(cell) for cell in row))
    width, height = shutil.get_terminal_size()
    Console(highlight=False, width=width, height=height).print(table)


def _rendered(cell: Cell) -> Any:
    from rich.text import Text

    if isinstance(cell, int):
        return Text(number(cell))
    return Text(safe_text(cell)) if isinstance(cell, str) else cell
