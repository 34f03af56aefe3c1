"""One thread for each matrix product of numpy's while several queries are answered at once.

OpenBLAS splits one product at a time over the cores: searches in several threads would wait for
each other at every product, and one core would do less than without splitting.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController


class BlasSharing:
    """What runs inside `shared()`, in any threads, shares the cores."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._limit: Any = None

    @contextmanager
    def shared(self) -> Iterator[None]:
        """From the moment that a second block runs until none does, products are not split, in the
        whole process."""
        with self._lock:
            self._users += 1
            if self._users > 1 and self._limit is None:
                self._limit = _controller().limit(limits=1, user_api="blas")
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if not self._users and self._limit is not None:
                    self._limit.restore_original_limits()
                    self._limit = None


SEARCHES = BlasSharing()


@cache
def _controller() -> ThreadpoolController:
    """Knows the libraries that are loaded by now, numpy's among them."""
    from threadpoolctl import ThreadpoolController  # takes 5 ms, which a lone search does without

    return ThreadpoolController()
