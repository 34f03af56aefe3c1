"""What the library contains."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.concurrency import run_in_threadpool

from pictor.service.context import Given
from pictor.service.views import problem_view, status_view

router = APIRouter(prefix="/v1/library")


@router.get("")
async def status(context: Given) -> dict[str, Any]:
    """Counts, spaces and roots."""
    return status_view(await run_in_threadpool(context.library.status))


@router.get("/errors")
async def errors(
    context: Given,
    offset: Annotated[int, Query(ge=0, le=2**31)] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> dict[str, Any]:
    """Files that were skipped or failed, and why."""
    found = await run_in_threadpool(context.library.errors)
    page = [problem_view(one) for one in found[offset : offset + limit]]
    return {"errors": page, "total": len(found)}
