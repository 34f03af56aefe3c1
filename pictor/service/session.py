"""Who may ask: the token of a start, cookies that open pictures only, and a brake on guesses."""

from __future__ import annotations

import secrets
import threading
import time
from collections import deque
from hmac import compare_digest

#: Wrong tokens of one peer within a minute until it has to wait.
MOST_WRONG = 10
WINDOW_S = 60.0
#: Cookies that are known at once; the oldest goes.
MOST_COOKIES = 256
#: Peers whose wrong tokens are counted.
_MOST_PEERS = 10_000


class Sessions:
    """The token of a service and the cookies that were given for it. Safe in several threads."""

    def __init__(self, token: str) -> None:
        self._token = token.encode("ascii")
        self._cookies: dict[str, None] = {}
        self._wrong: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    def admits(self, token: str | None, peer: str) -> bool:
        """Whether a token is the right one; a wrong one of a peer is counted."""
        given = (token or "").encode("utf-8", "surrogateescape")
        if compare_digest(given, self._token):
            return True
        if token is not None:
            self._count(peer)
        return False

    def must_wait(self, peer: str) -> float:
        """Seconds until a peer that gave wrong tokens may try again; 0 if it may now."""
        with self._lock:
            times = self._recent(peer)
            if len(times) < MOST_WRONG:
                return 0.0
            return max(1.0, times[0] + WINDOW_S - time.monotonic())

    def open(self) -> str:
        """A new cookie."""
        cookie = secrets.token_urlsafe(32)
        with self._lock:
            self._cookies[cookie] = None
            while len(self._cookies) > MOST_COOKIES:
                del self._cookies[next(iter(self._cookies))]
        return cookie

    def knows(self, cookie: str | None) -> bool:
        """Whether a cookie was given by this service and not revoked."""
        with self._lock:
            return cookie is not None and cookie in self._cookies

    def revoke(self, cookie: str | None) -> None:
        """Forget a cookie."""
        with self._lock:
            self._cookies.pop(cookie or "", None)

    def _count(self, peer: str) -> None:
        with self._lock:
            if len(self._wrong) >= _MOST_PEERS:
                self._wrong.clear()
            self._wrong.setdefault(peer, deque(maxlen=MOST_WRONG)).append(time.monotonic())

    def _recent(self, peer: str) -> list[float]:
        since = time.monotonic() - WINDOW_S
        return [moment for moment in self._wrong.get(peer, ()) if moment > since]
