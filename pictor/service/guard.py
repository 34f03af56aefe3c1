"""What every request passes before any route sees it.

In this order: the shape of the request, its `Host`, where a browser says that it comes from, the
token, whether the library may be changed, and the size and time of its body. Every answer gets the
headers that keep a browser from doing more with it than show it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pictor.service import problems
from pictor.service.options import ServiceOptions
from pictor.service.problems import Problem
from pictor.service.query_images import MAX_BYTES
from pictor.service.session import Sessions

MAX_BODY_BYTES = 1 << 20
MAX_HEADER_BYTES = 16 << 10
BODY_S = 10.0  # to send a request's body
#: No token: nothing is told but that the service runs. The session route looks at it itself.
OPEN = frozenset({"/healthz", "/readyz", "/v1/session"})
#: The page is the same for everybody; what it shows, it asks for with the token.
PAGE = re.compile(r"/(page/[a-z0-9/.-]+)?")
#: What a cookie opens, by GET: an <img> cannot send a token.
PICTURES = re.compile(r"/v1/items/[0-9]{1,19}/(thumb/[0-9]{1,4}|preview|original)")
#: Where a body is a picture, and no JSON.
UPLOADS = "/v1/query-images"
#: Requests that are no GET and change nothing.
READING = frozenset(
    {
        "/v1/session",
        "/v1/search",
        "/v1/ask",
        "/v1/facets",
        "/v1/query/parse",
        "/v1/items:read",
        UPLOADS,
    }
)
SAFE = ("GET", "HEAD")
_CSP = "default-src 'none'; frame-ancestors 'none'; sandbox"
_HEADERS = {
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "content-security-policy": _CSP,
    "cache-control": "no-store",
}


class Guard:
    """The outermost layer of a service."""

    def __init__(self, app: ASGIApp, *, options: ServiceOptions, sessions: Sessions) -> None:
        self._app = app
        self._options = options
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it with a problem."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # a web socket is closed before it is opened
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        sent = _with_headers(send)
        try:
            self._check(scope)
            body = await _read(scope, receive)
        except Problem as problem:
            found = problems.answer(
                problem.status_code, problem.kind, str(problem.detail), problem.headers
            )
            await found(scope, receive, sent)
            return
        await self._app(scope, _replay(body, receive), sent)

    def _check(self, scope: Scope) -> None:
        """Raise if a request is refused.

        Raises:
            Problem: it is.
        """
        headers = _headers(scope["headers"])
        method, path = scope["method"], scope["path"]
        if not scope.get("raw_path", b"/").startswith(b"/"):
            raise Problem(400, "target", "a request names a path of this service")
        if sum(len(name) + len(value) for name, value in scope["headers"]) > MAX_HEADER_BYTES:
            raise Problem(431, "headers", "the headers are too large")
        self._check_host(headers.get("host", []), scope)
        self._check_origin(headers, method, path)
        if method == "OPTIONS":
            raise Problem(405, "method", "there is no such method here", {"Allow": "GET, POST"})
        is_open = path in OPEN or (method in SAFE and PAGE.fullmatch(path) is not None)
        if not is_open:
            self._check_token(headers, scope)
        is_reading = method in SAFE or path in READING or path.startswith(f"{UPLOADS}/")
        if self._options.is_read_only and not is_reading:
            raise Problem(403, "read-only", "this service changes nothing")

    def _check_host(self, hosts: list[str], scope: Scope) -> None:
        if len(hosts) != 1 or not hosts[0]:
            raise Problem(400, "host", "a request has one Host header")
        if not self._options.admits(hosts[0], _port(scope)):
            raise Problem(421, "host", "this service is not known by that name")

    def _check_origin(self, headers: dict[str, list[str]], method: str, path: str) -> None:
        """What a browser adds must say that the request comes from the service's own page."""
        is_opening = (
            (method, path) == ("GET", "/")
            and headers.get("sec-fetch-mode", ["navigate"]) == ["navigate"]
            and headers.get("sec-fetch-dest", ["document"]) == ["document"]
        )
        if is_opening:
            return
        own = {f"{scheme}://{headers['host'][0].lower()}" for scheme in ("http", "https")}
        if any(origin.lower() not in own for origin in headers.get("origin", [])):
            raise Problem(403, "origin", "this service answers its own page only")
        if any(site not in ("same-origin", "none") for site in headers.get("sec-fetch-site", [])):
            raise Problem(403, "origin", "this service answers its own page only")

    def _check_token(self, headers: dict[str, list[str]], scope: Scope) -> None:
        peer = peer_of(scope)
        if wait := self._sessions.must_wait(peer):
            after = {"Retry-After": str(int(wait) + 1)}
            raise Problem(429, "too-many-wrong-tokens", "too many wrong tokens", after)
        is_picture = scope["method"] in SAFE and PICTURES.fullmatch(scope["path"]) is not None
        cookie = cookie_of(headers.get("cookie", []), _port(scope)) if is_picture else None
        if self._sessions.knows(cookie):
            return
        if not self._sessions.admits(_bearer(headers.get("authorization", [])), peer):
            raise Problem(401, "token", "a token is needed", {"WWW-Authenticate": "Bearer"})


def cookie_name(port: int) -> str:
    """Of the cookie of a service; a browser keeps those of all ports of a host together."""
    return f"pictor_{port}"


def cookie_of(lines: Iterable[str], port: int) -> str | None:
    """The value of a service's cookie among `Cookie` headers."""
    for line in lines:
        try:
            found = SimpleCookie(line).get(cookie_name(port))
        except CookieError:
            continue
        if found is not None:
            return found.value
    return None


def peer_of(scope: Scope) -> str:
    """The address of who asks."""
    client = scope.get("client")
    return client[0] if client else ""


def _port(scope: Scope) -> int:
    server = scope.get("server")
    return int(server[1]) if server and server[1] else 80


def _headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in raw:
        found.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    return found


def _bearer(values: list[str]) -> str | None:
    """The token of an `Authorization` header; None without one, "" for one of another kind."""
    if not values:
        return None
    scheme, _, token = values[0].partition(" ")
    return token.strip() if len(values) == 1 and scheme.lower() == "bearer" else ""


async def _read(scope: Scope, receive: Receive) -> bytes:
    """The whole body.

    Raises:
        Problem: it is too large, too slow, or no JSON.
    """
    headers = _headers(scope["headers"])
    if scope["method"] in SAFE:
        return b""
    is_picture = scope["path"] == UPLOADS
    most = MAX_BYTES if is_picture else MAX_BODY_BYTES
    length = headers.get("content-length", ["0"])[0]
    if length.isdecimal() and int(length) > most:
        raise Problem(413, "body", "the body is too large")
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Problem(408, "body", "the request was not sent to its end")
                body += message.get("body", b"")
                if len(body) > most:
                    raise Problem(413, "body", "the body is too large")
                if not message.get("more_body"):
                    break
    except TimeoutError:
        raise Problem(408, "body", "the request was sent too slowly") from None
    kind = headers.get("content-type", [""])[0].partition(";")[0].strip().lower()
    if is_picture and not kind.startswith("image/"):
        raise Problem(415, "body", "a picture is sent as image/…")
    if body and not is_picture and kind != "application/json":
        raise Problem(415, "body", "a body is application/json")
    return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    """A body that was read, and what comes after it."""
    is_sent = False

    async def replay() -> Message:
        nonlocal is_sent
        if is_sent:
            return await receive()
        is_sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _with_headers(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            held = {name.lower() for name, _ in message["headers"]}
            message["headers"] = [
                *message["headers"],
                *(
                    (name.encode(), value.encode())
                    for name, value in _HEADERS.items()
                    if name.encode() not in held
                ),
            ]
        await send(message)

    return sent
