"""Pictures that people search with: small copies without metadata, held for a while."""

from __future__ import annotations

import secrets
import threading
import time
from typing import NamedTuple

#: What may be sent, and what is kept of it: 16 pictures of some 150 kB for a quarter of an hour.
MAX_BYTES = 32 << 20
EDGE_PX = 1024
MOST = 16
LIFE_S = 900.0


class QueryImage(NamedTuple):
    """A picture to search with: a WebP, and until when it is kept, by the clock of `time.time`."""

    data: bytes
    expires_at: float


class QueryImages:
    """The pictures of a service, by ids that nobody guesses. Safe in several threads."""

    def __init__(self) -> None:
        self._held: dict[str, QueryImage] = {}
        self._lock = threading.Lock()

    def put(self, data: bytes) -> str:
        """Keep a picture; the oldest goes where there are too many."""
        name = f"q_{secrets.token_urlsafe(16)}"
        with self._lock:
            self._held[name] = QueryImage(data, time.time() + LIFE_S)
            while len(self._held) > MOST:
                del self._held[next(iter(self._held))]
        return name

    def get(self, name: str) -> QueryImage | None:
        """A picture that is still kept."""
        with self._lock:
            now = time.time()
            self._held = {key: one for key, one in self._held.items() if one.expires_at > now}
            return self._held.get(name)

    def drop(self, name: str) -> bool:
        """Forget a picture; whether it was kept."""
        with self._lock:
            return self._held.pop(name, None) is not None
