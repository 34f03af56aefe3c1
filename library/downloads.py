"""The bytes behind an http or https URL, within a size, a time and a number of redirects."""

from __future__ import annotations

import asyncio
import re
import ssl
from functools import cache
from importlib import metadata

import httpx

from pictor.library.errors import ImageError
from pictor.library.records import Reason

MOST_REDIRECTS = 5
_SCHEMES = ("http", "https")
#: What httpx lets through beside its own errors: of DNS, of URLs, of a proxy without its package.
_FAILURES = (
    httpx.HTTPError,
    httpx.InvalidURL,
    OSError,
    ValueError,
    ImportError,
    OverflowError,
    ExceptionGroup,
)
_PASSWORD = re.compile(r"//[^/@?#]*@")


def fetch(url: bytes, max_bytes: int, timeout_s: float) -> bytes:
    """The body of the answer to GET.

    The time covers the whole exchange. Every redirect is checked to stay on http or https.

    Raises:
        ImageError: FETCH, or TOO_LARGE for a body of more than `max_bytes`.
    """
    shown = _shown(url.decode("utf-8", "backslashreplace"))
    try:
        return asyncio.run(_within(url.decode(), max_bytes, timeout_s))
    except (TimeoutError, httpx.TimeoutException) as error:
        detail = f"GET {shown} took longer than {timeout_s:g} s"
        raise ImageError(Reason.FETCH, detail) from error
    except _FAILURES as error:
        if isinstance(error, ExceptionGroup):  # from anyio, around what failed to connect
            error = error.exceptions[0]
        detail = f"GET {shown} failed: {str(error) or type(error).__name__}"
        raise ImageError(Reason.FETCH, detail) from error


async def _within(url: str, max_bytes: int, timeout_s: float) -> bytes:
    headers = {"User-Agent": _user_agent(), "Accept": "image/*,video/*,*/*;q=0.5"}
    headers["Accept-Encoding"] = "identity"  # pictures gain nothing, and bombs need it
    # httpx's own limits are for each step; a server that drips bytes would pass them for ever.
    async with asyncio.timeout(timeout_s):
        async with httpx.AsyncClient(verify=_tls(), headers=headers, timeout=timeout_s) as client:
            next_url = httpx.URL(url)
            for _ in range(MOST_REDIRECTS + 1):
                if next_url.scheme not in _SCHEMES:
                    raise _refused(
                        url, f"was redirected to {next_url.scheme}:, which is not fetched"
                    )
                async with client.stream("GET", next_url) as response:
                    if response.next_request is None:
                        return await _body(response, url, max_bytes)
                    next_url = response.next_request.url
    raise _refused(url, f"was redirected more than {MOST_REDIRECTS} times")


async def _body(response: httpx.Response, url: str, max_bytes: int) -> bytes:
    if response.status_code != httpx.codes.OK:
        status = f"{response.status_code} {response.reason_phrase}".strip()
        raise _refused(url, f"was answered {status}")
    coding = response.headers.get("Content-Encoding", "identity").lower()
    if coding != "identity":
        raise _refused(url, f"was answered in encoding {coding!r}, though none was asked for")
    length = response.headers.get("Content-Length", "")
    if length.isdigit() and int(length) > max_bytes:
        raise _too_large(url, max_bytes)
    parts: list[bytes] = []
    received = 0
    async for part in response.aiter_raw():
        received += len(part)
        if received > max_bytes:
            raise _too_large(url, max_bytes)
        parts.append(part)
    return b"".join(parts)


def _refused(url: str, what: str) -> ImageError:
    return ImageError(Reason.FETCH, f"GET {_shown(url)} {what}")


def _too_large(url: str, max_bytes: int) -> ImageError:
    detail = f"GET {_shown(url)} was answered with more than the limit of {max_bytes} bytes"
    return ImageError(Reason.TOO_LARGE, detail)


def _shown(url: str) -> str:
    """The URL for a message, without a name and password in it."""
    return repr(_PASSWORD.sub("//", url, count=1))


@cache
def _user_agent() -> str:
    try:
        version = metadata.version("pictor")
    except metadata.PackageNotFoundError:
        version = "0"
    return f"pictor/{version} (image search; python-httpx/{httpx.__version__})"


@cache
def _tls() -> ssl.SSLContext:
    # Loading the certificates takes 20 to 50 ms, too much for each URL.
    return httpx.create_ssl_context()
