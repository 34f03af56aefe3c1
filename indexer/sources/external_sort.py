"""Sorting more byte strings than memory should hold: sorted runs in temporary files, then a merge.

A run is its records one after the other, each ended by NUL, which no path or URL holds.
"""

from __future__ import annotations

import heapq
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import groupby
from typing import IO

RUN_BYTES = 32 << 20  # of records held in memory; with Python's overhead some 100 MB
MOST_RUNS = 64  # open at once; more are first merged into one
_BLOCK = 1 << 16


def sorted_unique(
    records: Iterable[bytes], run_bytes: int = RUN_BYTES, most_runs: int = MOST_RUNS
) -> Iterator[bytes]:
    """The records, ascending, each once. None may hold NUL or be empty.

    Up to `run_bytes` nothing is written; beyond, temporary files hold it, gone when this ends.
    """
    with ExitStack() as files:
        runs: list[IO[bytes]] = []
        held: list[bytes] = []
        held_bytes = 0
        for record in records:
            held.append(record)
            held_bytes += len(record)
            if held_bytes >= run_bytes:
                runs.append(_written(files, sorted(held)))
                held, held_bytes = [], 0
            if len(runs) >= most_runs:
                merged = _written(files, (r for r, _ in groupby(heapq.merge(*map(_read, runs)))))
                for run in runs:
                    run.close()
                runs = [merged]
        held.sort()
        ordered = heapq.merge(*map(_read, runs), held) if runs else held
        yield from (record for record, _ in groupby(ordered))


def _written(files: ExitStack, records: Iterable[bytes]) -> IO[bytes]:
    run = tempfile.TemporaryFile(prefix="pictor-")  # noqa: SIM115 - `files` closes it
    files.callback(run.close)
    for record in records:
        run.write(record + b"\0")
    return run


def _read(run: IO[bytes]) -> Iterator[bytes]:
    run.seek(0)
    return split_records(run, b"\0")


def split_records(file: IO[bytes], end: bytes, longest: int | None = None) -> Iterator[bytes]:
    """What stands before each `end` in a file, and after the last one if that is not empty.

    Of a record longer than `longest` only its first `longest` bytes and some more are kept.
    """
    rest = b""
    while block := file.read(_BLOCK):
        *whole, tail = block.split(end)
        if whole:
            whole[0] = rest + whole[0]
            rest = tail
            yield from whole
        elif longest is None or len(rest) <= longest:
            rest += tail
    if rest:
        yield rest
