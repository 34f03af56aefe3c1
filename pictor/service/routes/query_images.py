"""Pictures to search with: sent once, then named in queries."""

from __future__ import annotations

import asyncio
import io
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from PIL import Image

from pictor.library.errors import ImageError
from pictor.library.records import Reason
from pictor.service.context import Given
from pictor.service.picture_worker import PictureTask
from pictor.service.problems import Problem
from pictor.service.query_images import EDGE_PX

router = APIRouter(prefix="/v1/query-images")

Name = Annotated[str, Path(pattern=r"^q_[A-Za-z0-9_-]{10,40}$")]


@router.post(
    "",
    status_code=201,
    openapi_extra={"requestBody": {"required": True, "content": {"image/*": {}}}},
)
async def put(request: Request, context: Given) -> dict[str, Any]:
    """Keep a picture, which is the body, for a quarter of an hour."""
    body = await request.body()
    if not body:
        raise ImageError(Reason.EMPTY, "it has no bytes")
    task = PictureTask(b"", len(body), 0, EDGE_PX, data=body)
    data = await asyncio.wrap_future(context.decoders.make(task))
    name = context.query_images.put(data)
    kept = context.query_images.get(name)
    with Image.open(io.BytesIO(data)) as image:  # one of ours
        width, height = image.size
    moment = None if kept is None else datetime.fromtimestamp(kept.expires_at, UTC).isoformat()
    return {"id": name, "width": width, "height": height, "expires_at": moment}


@router.delete("/{name}", status_code=204)
async def drop(name: Name, context: Given) -> Response:
    """Forget a picture."""
    if not context.query_images.drop(name):
        raise Problem(404, "query-image", "there is no such picture any more")
    return Response(status_code=204)
