"""The service as an ASGI app: the guard around the routes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from pictor import __version__
from pictor.api import Library
from pictor.service import problems
from pictor.service.context import Context
from pictor.service.guard import Guard
from pictor.service.options import ServiceOptions
from pictor.service.pictures import Decoders, PictureStore
from pictor.service.routes import ask, health, items, library, page, pictures, query_images, search
from pictor.service.session import Sessions


def make_app(opened: Library, options: ServiceOptions) -> FastAPI:
    """The app that serves a library, which stays its owner's to close."""
    sessions = Sessions(options.token)
    decoders = Decoders(opened.settings)
    store = PictureStore(opened.path / "cache" / "thumbs", decoders)

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(decoders.close)

    app = FastAPI(
        title="pictor",
        version=__version__,
        docs_url=None,  # they load scripts from elsewhere
        redoc_url=None,
        lifespan=life,
    )
    app.state.context = Context(opened, options, sessions, decoders, store)
    problems.install(app)
    for module in (health, library, search, ask, query_images, items, pictures):
        app.include_router(module.router)
    if options.has_page:
        app.include_router(page.router())
    app.add_middleware(Guard, options=options, sessions=sessions)
    return app
