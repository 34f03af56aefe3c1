"""Errors as answers: RFC 9457 problem details, without a stack, a server's path or a secret."""

from __future__ import annotations

import errno
import logging
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from pictor.library.errors import (
    ImageError,
    LabelError,
    LibraryCorrupt,
    LibraryFull,
    LibraryLocked,
    LibraryNotFound,
    LibraryTooNew,
    ModelError,
    PictorError,
    PlanError,
    QueryError,
    QuerySyntaxError,
    RuleError,
)
from pictor.library.names import safe_text
from pictor.library.records import Reason

_LOG = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
#: Status and type of each error; the first that an error is an instance of.
_KINDS: tuple[tuple[type[PictorError], int, str], ...] = (
    (QuerySyntaxError, 422, "query-syntax"),
    (QueryError, 422, "query"),
    (RuleError, 422, "rule"),
    (LabelError, 422, "label"),
    (LibraryLocked, 409, "library-locked"),
    (PlanError, 409, "plan"),
    (LibraryNotFound, 503, "library-not-found"),
    (LibraryTooNew, 503, "library-too-new"),
    (LibraryCorrupt, 503, "library-corrupt"),
    (LibraryFull, 507, "library-full"),
    (ModelError, 503, "model"),
    (PictorError, 500, "error"),
)
_PICTURE_STATUS = {Reason.TOO_LARGE: 413, Reason.UNSUPPORTED: 415, Reason.VANISHED: 404}
_TITLES = {
    400: "Bad request", 401: "Token needed", 403: "Forbidden", 404: "Not found",
    405: "Method not allowed", 406: "Not acceptable", 408: "Too slow", 409: "Conflict",
    413: "Too large", 415: "Unsupported type", 416: "No such range", 421: "Wrong host",
    422: "Cannot be answered", 429: "Too many requests", 431: "Headers too large",
    500: "Internal error",
    503: "Not available", 507: "Disk full",
}  # fmt: skip


class Problem(HTTPException):
    """A request that is refused: its status, the name of the kind and one sentence."""

    def __init__(
        self, status: int, kind: str, detail: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(status, detail, headers)
        self.kind = kind


def content_of(status: int, kind: str, detail: str, **more: Any) -> dict[str, Any]:
    """The object of a problem."""
    return {
        "type": f"urn:pictor:problem:{kind}",
        "title": _TITLES.get(status, "Error"),
        "status": status,
        "detail": safe_text(detail),
        **more,
    }


def answer(
    status: int, kind: str, detail: str, headers: Mapping[str, str] | None = None, **more: Any
) -> JSONResponse:
    """The answer that a problem is."""
    content = content_of(status, kind, detail, **more)
    return JSONResponse(content, status, dict(headers or {}), media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Have every error of an app answered as a problem."""
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(RequestValidationError, _of_validation)
    app.add_exception_handler(PictorError, _of_pictor)
    app.add_exception_handler(OSError, _of_system)
    app.add_exception_handler(Exception, _of_fault)


async def _of_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    kind = error.kind if isinstance(error, Problem) else "http"
    return answer(error.status_code, kind, str(error.detail), error.headers)


async def _of_validation(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    errors = [
        {"pointer": "/" + "/".join(map(str, one["loc"])), "detail": one["msg"]}
        for one in error.errors()
    ]
    return answer(422, "invalid", "the request has fields that are missing or wrong", errors=errors)


async def _of_pictor(request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, ImageError):
        status = _PICTURE_STATUS.get(error.reason, 422)
        return answer(status, "picture", "the picture cannot be shown", reason=error.reason.value)
    status, kind = next((s, k) for known, s, k in _KINDS if isinstance(error, known))
    more: dict[str, Any] = {}
    if isinstance(error, QuerySyntaxError):
        more = {"position": error.position}
    detail = str(error) if status in (409, 422) else _TITLES[status].lower()
    return answer(status, kind, detail, **more)


async def _of_system(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, OSError)
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return answer(403, "read-only", "the library cannot be written")
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return answer(507, "library-full", "the disk of the library is full")
    return await _of_fault(request, error)


async def _of_fault(request: Request, error: Exception) -> JSONResponse:
    _LOG.error("a request failed", exc_info=error)
    return answer(500, "internal", "the service failed; its log says why")
