"""In which order pairs are looked at, so that few pictures are decoded more than once."""

from __future__ import annotations

from collections import deque

import numpy as np

from pictor.library.records import IdArray


def reading_order(low: IdArray, high: IdArray) -> IdArray:
    """The order of p pairs in which contents come up near to where they came up before.

    Contents are numbered breadth first from each that has no number yet, as Cuthill and McKee
    (1969) narrow the band of a matrix, and a pair stands where its later content does.
    """
    if not len(low):
        return np.empty(0, np.int64)
    ids, rows = np.unique(np.concatenate([low, high]), return_inverse=True)
    left, right = rows[: len(low)], rows[len(low) :]
    ends = np.concatenate([left, right])
    others = np.concatenate([right, left])[np.argsort(ends, kind="stable")].tolist()
    starts = np.searchsorted(np.sort(ends), np.arange(len(ids) + 1)).tolist()
    number = np.array(_numbered(others, starts), np.int64)
    first, second = number[left], number[right]
    return np.lexsort((np.minimum(first, second), np.maximum(first, second)))


def _numbered(others: list[int], starts: list[int]) -> list[int]:
    """The place of each content in a walk that is breadth first, component by component."""
    count = len(starts) - 1
    number = [-1] * count
    step = 0
    for root in range(count):
        if number[root] >= 0:
            continue
        number[root], step = step, step + 1
        waiting = deque([root])
        while waiting:
            at = waiting.popleft()
            for other in others[starts[at] : starts[at + 1]]:
                if number[other] < 0:
                    number[other], step = step, step + 1
                    waiting.append(other)
    return number
