"""Whether the service runs, and who may ask it more."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from pictor import __version__
from pictor.library.errors import PictorError
from pictor.service.context import Given
from pictor.service.guard import cookie_name, cookie_of, peer_of
from pictor.service.problems import Problem

router = APIRouter()


class TokenBody(BaseModel):
    """What a session is opened with."""

    model_config = ConfigDict(extra="forbid")
    token: str = Field(max_length=1000)


@router.get("/healthz", status_code=204)
async def healthz() -> Response:
    """The service runs."""
    return Response(status_code=204)


@router.get("/readyz", responses={503: {"description": "The library cannot be opened."}})
async def readyz(context: Given) -> dict[str, bool]:
    """The library can be searched."""
    try:
        await run_in_threadpool(lambda: context.library.change)
    except PictorError:
        raise Problem(503, "not-ready", "the library cannot be opened") from None
    return {"is_ready": True}


@router.post("/v1/session", status_code=204)
async def open_session(body: TokenBody, request: Request, context: Given) -> Response:
    """A cookie for pictures, which an <img> needs, as it can send no token."""
    peer = peer_of(request.scope)
    if context.sessions.must_wait(peer):
        raise Problem(429, "too-many-wrong-tokens", "too many wrong tokens", {"Retry-After": "60"})
    if not context.sessions.admits(body.token, peer):
        raise Problem(401, "token", "a token is needed")
    answer = Response(status_code=204)
    answer.set_cookie(
        cookie_name(request.scope["server"][1]),
        context.sessions.open(),
        path="/v1/items",
        httponly=True,
        samesite="strict",
    )
    return answer


@router.delete("/v1/session", status_code=204)
async def close_session(request: Request, context: Given) -> Response:
    """Revoke the cookie of this browser."""
    port = request.scope["server"][1]
    context.sessions.revoke(cookie_of(request.headers.getlist("cookie"), port))
    answer = Response(status_code=204)
    answer.delete_cookie(cookie_name(port), path="/v1/items")
    return answer


@router.get("/v1/")
async def about(context: Given) -> dict[str, Any]:
    """What this service is and allows."""
    return {"version": __version__, "is_read_only": context.options.is_read_only}
