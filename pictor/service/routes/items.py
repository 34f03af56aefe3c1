"""What is known of items, and tags that a person gives them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from pictor.library.item_facts import ItemFacts
from pictor.service.context import Given
from pictor.service.problems import Problem
from pictor.service.routes.search import ItemId, Strict
from pictor.service.views import facts_view

router = APIRouter(prefix="/v1")

Label = Annotated[str, Field(min_length=1, max_length=400)]
Items = Annotated[list[ItemId], Field(min_length=1, max_length=500)]


class ItemsBody(Strict):
    """Items to read."""

    items: Items


class TagsBody(Strict):
    """Tags to give to items and to take from them."""

    items: Items
    add: list[Label] = Field([], max_length=20)
    remove: list[Label] = Field([], max_length=20)
    dry_run: bool = True


@router.get("/items/{item}")
async def one(item: ItemId, context: Given) -> dict[str, Any]:
    """All that is known of an item."""
    found = await run_in_threadpool(lambda: context.library.items([item]))
    if not found:
        raise Problem(404, "item", "the library has no such item")
    return facts_view(found[0])


@router.post("/items:read")
async def some(body: ItemsBody, context: Given) -> dict[str, Any]:
    """As one, of several; those that the library does not have are left out."""
    found = await run_in_threadpool(lambda: context.library.items(body.items))
    return {"items": [facts_view(facts) for facts in found]}


@router.get("/tags")
async def tags(context: Given) -> dict[str, Any]:
    """How many photos have each label, by set."""
    found = await run_in_threadpool(lambda: context.library.tags.count())
    rows = [{"set": row.set_name, "label": row.label, "contents": row.contents} for row in found]
    return {"tags": rows}


@router.post("/tags:apply")
async def apply(body: TagsBody, context: Given) -> dict[str, Any]:
    """Give items tags and take some from them; with `dry_run`, only say how many would change."""

    def work() -> dict[str, Any]:
        facts = context.library.items(body.items)
        changed: dict[str, dict[str, int]] = {"added": {}, "removed": {}}
        for done, labels, act in (
            ("added", body.add, context.library.tags.add),
            ("removed", body.remove, context.library.tags.remove),
        ):
            for label in labels:
                wanted = done == "added"
                paths = [p for one in facts if has(one, label) != wanted for p in present(one)[:1]]
                if paths and not body.dry_run:
                    changed[done][label] = act(paths, label)
                else:
                    changed[done][label] = len(paths)
        return {"dry_run": body.dry_run, "items": len(facts), **changed}

    return await context.gate.run(work)


def has(facts: ItemFacts, label: str) -> bool:
    """Whether a person gave an item a tag."""
    return any(tag.score is None and tag.label == label for tag in facts.tags)


def present(facts: ItemFacts) -> list[bytes]:
    """The files of an item that can be read."""
    return [file.path for file in facts.files if file.state == "present"]
