"""Reading URLs from a server on the loopback, the well-behaved and the others."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from pictor.indexer.sources import Locator, read_bytes
from pictor.library.errors import ImageError
from pictor.library.records import Reason

BODY = b"picture" * 1000
LIMIT = 10_000


class Handler(BaseHTTPRequestHandler):
    """Answers by path."""

    protocol_version = "HTTP/1.1"
    agents: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.agents.append(self.headers["User-Agent"])
        with suppress(OSError):
            getattr(self, "do_" + self.path.strip("/").partition("/")[0])()

    def log_message(self, *args: object) -> None:
        pass

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        headers = {"Content-Length": str(len(body)), **headers}
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def do_picture(self) -> None:
        self.answer(200, BODY)

    def do_moved(self) -> None:
        self.answer(302, Location="/picture")

    def do_loop(self) -> None:
        self.answer(302, Location="/loop")

    def do_local(self) -> None:
        self.answer(302, Location="file:///etc/passwd")

    def do_nowhere(self) -> None:
        self.answer(302, Location="http://[bad")

    def do_missing(self) -> None:
        self.answer(404)

    def do_packed(self) -> None:
        self.answer(200, BODY, Content_Encoding="gzip")

    def do_large(self) -> None:
        self.answer(200, b"x" * (LIMIT + 1))

    def do_endless(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while True:
            self.wfile.write(b"400\r\n" + b"x" * 1024 + b"\r\n")

    def do_short(self) -> None:
        self.answer(200, b"x" * 10, Content_Length="100")
        self.close_connection = True

    def do_drip(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        for _ in range(100):
            self.wfile.write(b"x")
            time.sleep(0.05)

    def do_slow_header(self) -> None:
        for _ in range(100):
            self.wfile.write(b"H")
            time.sleep(0.05)

    def do_hang(self) -> None:
        time.sleep(2)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    # The backlog of connections must not be waited for: threads end with the process.
    ThreadingHTTPServer.block_on_close = False
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def get(url: str, timeout_s: float = 5) -> bytes:
    return read_bytes(Locator("url", url.encode("utf-8", "surrogateescape")), LIMIT, timeout_s)


def failure(url: str, timeout_s: float = 5) -> tuple[Reason, str]:
    with pytest.raises(ImageError) as caught:
        get(url, timeout_s)
    return caught.value.reason, caught.value.detail


@pytest.mark.parametrize("path", ["/picture", "/moved", "/picture/猫 1.jpg?q=ü"])
def test_a_picture_is_fetched_by_a_named_agent(server: str, path: str) -> None:
    assert get(server + path) == BODY
    assert Handler.agents[-1].startswith("pictor/")


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("/missing", "was answered 404 Not Found"),
        ("/loop", "was redirected more than 5 times"),
        ("/local", "was redirected to file:, which is not fetched"),
        ("/nowhere", "failed: "),
        ("/packed", "was answered in encoding 'gzip', though none was asked for"),
        ("/short", "failed: "),
    ],
)
def test_failures_say_what_was_answered(server: str, path: str, what: str) -> None:
    reason, detail = failure(server + path)
    assert reason is Reason.FETCH
    assert detail.startswith(f"GET '{server}{path}' {what}")


@pytest.mark.parametrize("path", ["/large", "/endless"])
def test_a_body_above_the_limit_is_not_received(server: str, path: str) -> None:
    reason, detail = failure(server + path)
    assert reason is Reason.TOO_LARGE
    assert detail.endswith("was answered with more than the limit of 10000 bytes")


@pytest.mark.parametrize("path", ["/hang", "/drip", "/slow_header"])
def test_the_time_limit_covers_the_whole_exchange(server: str, path: str) -> None:
    started = time.monotonic()
    reason, detail = failure(server + path, timeout_s=0.4)
    assert time.monotonic() - started < 1.5
    assert reason is Reason.FETCH
    assert detail.endswith("took longer than 0.4 s")


@pytest.mark.parametrize(
    "url", ["http://", "http://\udcff/", "http://127.0.0.1:1/x.jpg", "http://127.0.0.1:99999/"]
)
def test_urls_that_lead_nowhere(url: str) -> None:
    assert failure(url)[0] is Reason.FETCH


def test_passwords_are_not_shown(server: str) -> None:
    _, detail = failure(server.replace("//", "//me:secret@") + "/missing")
    assert "secret" not in detail and "404" in detail
