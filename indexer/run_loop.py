"""The habit of every long run: take a result, commit when that is due, report, stop when asked."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from pictor.library.observer import Observer, Progress

Result = TypeVar("Result")


def run_loop(
    results: Iterator[Result],
    take: Callable[[Result], None],
    commit: Callable[[], None],
    where: Callable[[], Progress],
    observer: Observer,
    checkpoint_s: float,
) -> bool:
    """Take results until there are no more, or until the observer stops it (True).

    A kill costs what was taken in the last `checkpoint_s` seconds. The last commit is the caller's,
    whether the run was stopped or not.
    """
    committed_at = time.monotonic()
    try:
        for result in results:
            take(result)
            if time.monotonic() - committed_at > checkpoint_s:
                commit()
                committed_at = time.monotonic()
            observer.progress(where())
            if observer.should_stop():
                return True
    finally:
        results.close()  # type: ignore[attr-defined]  # pools give generators
    return False
