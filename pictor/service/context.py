"""What the routes of a service share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated, TypeVar

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from pictor.api import Library
from pictor.service.cursors import Cursors
from pictor.service.options import ServiceOptions
from pictor.service.pictures import Decoders, PictureStore
from pictor.service.problems import Problem
from pictor.service.query_images import QueryImages
from pictor.service.session import Sessions

T = TypeVar("T")
#: Searches at work at once, and those that may wait for one.
AT_WORK, WAITING = 8, 64


class Gate:
    """Lets a few through at once and some wait; the others are told to come back."""

    def __init__(self, at_work: int = AT_WORK, waiting: int = WAITING) -> None:
        self._places = asyncio.Semaphore(at_work)
        self._most = at_work + waiting
        self._inside = 0

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """A place, once one is free.

        Raises:
            Problem: too many wait already.
        """
        if self._inside >= self._most:
            raise Problem(429, "busy", "too many requests wait already", {"Retry-After": "1"})
        self._inside += 1
        try:
            async with self._places:
                yield
        finally:
            self._inside -= 1

    async def run(self, work: Callable[[], T]) -> T:
        """The result of some work in a thread."""
        async with self.place():
            return await run_in_threadpool(work)


@dataclass(frozen=True)
class Context:
    """The library of a service, and what was made ready to answer from it."""

    library: Library
    options: ServiceOptions
    sessions: Sessions
    decoders: Decoders
    pictures: PictureStore
    cursors: Cursors = field(default_factory=Cursors)
    gate: Gate = field(default_factory=Gate)
    query_images: QueryImages = field(default_factory=QueryImages)


def _context(request: Request) -> Context:
    found: Context = request.app.state.context
    return found


Given = Annotated[Context, Depends(_context)]
