"""Items as pictures: small ones, one that fills a screen, and the bytes of the file."""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
import urllib.parse
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated, Literal, NamedTuple

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from pictor.indexer.originals import Originals
from pictor.indexer.sources.descriptors import opened_regular
from pictor.library.errors import ImageError
from pictor.library.images import HEAD_BYTES, sniff
from pictor.library.item_facts import ItemFacts, ItemFile
from pictor.library.names import display, is_link
from pictor.library.records import Reason
from pictor.service.context import Context, Given
from pictor.service.original_files import is_same
from pictor.service.pictures import PREVIEW_PX, RECIPE
from pictor.service.problems import Problem
from pictor.service.routes.search import ItemId
from pictor.service.views import VERSION_CHARS, version_of

router = APIRouter(prefix="/v1/items/{item}")

FOR_EVER = "private, max-age=31536000, immutable"
#: What a browser may show of a file, by its content; of everything else it is given the bytes.
SHOWN = {
    "JPEG": "image/jpeg", "PNG": "image/png", "GIF": "image/gif", "WEBP": "image/webp",
    "AVIF": "image/avif", "HEIF": "image/heic", "BMP": "image/bmp", "TIFF": "image/tiff",
    "MP4": "video/mp4", "MOV": "video/quicktime", "WEBM": "video/webm",
}  # fmt: skip
BLOCK_BYTES = 256 << 10
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
Version = Annotated[str, Query(pattern=f"^[0-9a-f]{{{VERSION_CHARS}}}$")]


@router.get("/thumb/{edge}", response_class=Response)
async def thumb(
    item: ItemId, edge: Literal["256", "512", "1024"], v: Version, request: Request, context: Given
) -> Response:
    """A WebP whose longer side has at most so many pixels."""
    return await _picture(context, request, item, v, int(edge))


@router.get("/preview", response_class=Response)
async def preview(item: ItemId, v: Version, request: Request, context: Given) -> Response:
    """A WebP that fills a screen."""
    return await _picture(context, request, item, v, PREVIEW_PX)


@router.get("/original", response_class=StreamingResponse)
async def original(item: ItemId, v: Version, request: Request, context: Given) -> Response:
    """The bytes of the file, or one range of them."""
    facts = await run_in_threadpool(_facts, context, item, v)
    opened = await run_in_threadpool(_opened, facts)
    asked = range_of(request.headers.get("range"), opened.size)
    if asked is None:
        os.close(opened.descriptor)
        whole = {"Content-Range": f"bytes */{opened.size}"}
        raise Problem(416, "range", "the file has no such bytes", whole)
    start, end = asked
    is_part = (start, end) != (0, opened.size)
    kind = SHOWN.get(opened.format)
    name = urllib.parse.quote(display(opened.name), safe="")
    place = "inline" if kind else "attachment"
    headers = {
        "Accept-Ranges": "bytes",
        "Cache-Control": FOR_EVER,
        "Content-Length": str(end - start),
        "Content-Disposition": f"{place}; filename*=UTF-8''{name}",
    }
    if is_part:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{opened.size}"
    return StreamingResponse(
        _blocks(opened.descriptor, start, end),
        206 if is_part else 200,
        headers,
        media_type=kind or "application/octet-stream",
    )


async def _picture(
    context: Context, request: Request, item: int, version: str, edge_px: int
) -> Response:
    tag = f'"{version}-{edge_px}-{RECIPE}"'
    headers = {"ETag": tag, "Cache-Control": FOR_EVER}
    if request.headers.get("if-none-match") == tag:  # it had it from here
        return Response(status_code=304, headers=headers)
    facts = await run_in_threadpool(_facts, context, item, version)
    store = context.pictures
    data = await run_in_threadpool(store.kept, facts, edge_px)
    if data is None:
        data = await _made(context, facts, edge_px)
        if edge_px != PREVIEW_PX:
            await run_in_threadpool(store.keep, facts, edge_px, data)
    return Response(data, headers=headers, media_type="image/webp")


async def _made(context: Context, facts: ItemFacts, edge_px: int) -> bytes:
    """The picture, from the first file of the item that gives one.

    Raises:
        ImageError: of the last.
    """
    problem = ImageError(Reason.VANISHED, "no file of it can be read")
    for file in context.pictures.readable(facts):
        try:
            asked = await run_in_threadpool(context.pictures.make, file, facts, edge_px)
            return await asyncio.wrap_future(asked)
        except ImageError as error:
            problem = error
    raise problem


def _facts(context: Context, item: int, version: str) -> ItemFacts:
    """The facts of an item.

    Raises:
        Problem: there is none of that content.
    """
    found = context.library.items([item])
    if not found or version_of(found[0].content) != version:
        raise Problem(404, "item", "the library has no such item")
    return found[0]


class _Opened(NamedTuple):
    """A file that is what the catalog says it is."""

    descriptor: int
    size: int
    format: str
    name: bytes


def _opened(facts: ItemFacts) -> _Opened:
    """The first file of an item that still is what was indexed.

    Raises:
        Problem: there is none.
    """
    has_changed = False
    for file in facts.files:
        if file.state != "present" or is_link(file.path):
            continue
        with suppress(OSError, ImageError):
            if (found := _open(file, facts.content)) is not None:
                return found
            has_changed = True
    if has_changed:
        raise Problem(409, "changed", "the file changed since it was indexed: index it again")
    raise Problem(404, "file", "no file of this item can be read")


def _open(file: ItemFile, content: str) -> _Opened | None:
    """The file, or None where it is not what was indexed."""
    name = file.path.rpartition(b"/")[2]
    data = Originals([file.path]).read(file.path)
    if isinstance(data, bytes):
        with tempfile.TemporaryFile() as target:
            target.write(data)
            target.flush()
            descriptor = os.dup(target.fileno())
        media = sniff(data[:HEAD_BYTES], name)
        return _Opened(descriptor, len(data), media.name if media else "", name)
    with opened_regular(file.path) as descriptor:
        found = os.fstat(descriptor)
        stated = (found.st_size, found.st_mtime_ns) == (file.size_bytes, file.mtime_ns)
        if not stated or not is_same(descriptor, found.st_size, content, file.path, file.root):
            return None
        media = sniff(os.pread(descriptor, HEAD_BYTES, 0), name)
        own = os.dup(descriptor)
        return _Opened(own, found.st_size, media.name if media else "", name)


def range_of(header: str | None, size: int) -> tuple[int, int] | None:
    """(start, end) of the bytes that a `Range` header asks for; None where the file has none such.

    Several ranges, and what is no range, are answered with the whole.
    """
    match = _RANGE.fullmatch(header.strip()) if header else None
    if match is None or match[0] == "bytes=-":
        return 0, size
    first, last = match.groups()
    if not first:
        return (max(0, size - int(last)), size) if int(last) and size else None
    start, end = int(first), int(last) + 1 if last else size
    return (start, min(end, size)) if start < min(end, size) else None


async def _blocks(descriptor: int, start: int, end: int) -> AsyncIterator[bytes]:
    """The bytes of a descriptor, which is closed at the end."""
    try:
        while start < end:
            count = min(BLOCK_BYTES, end - start)
            block = await run_in_threadpool(os.pread, descriptor, count, start)
            if not block:
                return  # it was cut short meanwhile
            start += len(block)
            yield block
    finally:
        os.close(descriptor)
