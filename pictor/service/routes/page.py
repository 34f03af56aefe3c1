"""The page and its parts: files of the package, from memory."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path
from typing import NamedTuple

from fastapi import APIRouter, Request, Response

from pictor.service.problems import Problem

HOME = Path(__file__).resolve().parents[2] / "page"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
}
#: Nothing is loaded from elsewhere, no text becomes markup or code, and nobody frames it.
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "media-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'"
)


class _File(NamedTuple):
    """A file of the page, as it is sent."""

    kind: str
    tag: str
    plain: bytes
    packed: bytes


def router() -> APIRouter:
    """The routes of the page, with its files read once."""
    found = APIRouter(include_in_schema=False)
    files = dict(_files())

    def answer(name: str, request: Request) -> Response:
        file = files.get(name)
        if file is None:
            raise Problem(404, "page", "the page has no such part")
        headers = {
            "ETag": file.tag,
            "Cache-Control": "no-cache",
            "Content-Security-Policy": CSP,
            "Vary": "Accept-Encoding",
        }
        if request.headers.get("if-none-match") == file.tag:
            return Response(status_code=304, headers=headers)
        is_packed = "gzip" in request.headers.get("accept-encoding", "")
        body = file.packed if is_packed else file.plain
        headers |= {"Content-Encoding": "gzip"} if is_packed else {}
        return Response(body, headers=headers, media_type=file.kind)

    @found.get("/")
    async def index(request: Request) -> Response:
        """The page."""
        return answer("index.html", request)

    @found.get("/page/{name:path}")
    async def part(name: str, request: Request) -> Response:
        """A part of it, by its name in a list."""
        return answer(name, request)

    return found


def _files() -> list[tuple[str, _File]]:
    """The files of the page by their names below it."""
    found = []
    for path in sorted(HOME.rglob("*")):
        if path.suffix in TYPES and path.is_file():
            plain = path.read_bytes()
            tag = f'"{hashlib.sha256(plain).hexdigest()[:16]}"'
            file = _File(TYPES[path.suffix], tag, plain, gzip.compress(plain, 9, mtime=0))
            found.append((path.relative_to(HOME).as_posix(), file))
    return found
