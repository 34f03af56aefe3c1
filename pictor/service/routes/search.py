"""Searches: words, items as examples and as what is not wanted, page by page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from pictor import query as queries
from pictor.api import Library
from pictor.library.errors import QueryError, QuerySyntaxError
from pictor.query import SearchOptions
from pictor.search.plan import Ranking
from pictor.search.query import ItemPart, Part, WordsPart
from pictor.service.context import Context, Given
from pictor.service.problems import Problem
from pictor.service.query_images import QueryImages
from pictor.service.views import counts_view, hit_view, plan_view

router = APIRouter(prefix="/v1")

MAX_TEXT = 2000
Share = Annotated[float, Field(ge=0, le=1)]
Text = Annotated[str, Field(max_length=MAX_TEXT)]
ItemId = Annotated[int, Field(gt=0, lt=2**63)]
Include = Literal["why", "plan"]
Facet = Literal["year", "month", "camera", "lens", "tag", "type", "format", "rating", "shape"]


class Strict(BaseModel):
    """A body in which nothing unknown stands and no type is guessed."""

    model_config = ConfigDict(extra="forbid", strict=True)


class ExampleBody(Strict):
    """One thing to be more or less like: an item or a picture that was sent, or words.

    `region` is (x, y, width, height) of the upright picture, in shares of its sides.
    """

    item: ItemId | None = None
    image: Annotated[str, Field(pattern=r"^q_[A-Za-z0-9_-]{10,40}$")] | None = None
    region: Annotated[list[Share], Field(min_length=4, max_length=4)] | None = None
    text: Text | None = None
    weight: Annotated[float, Field(gt=0, le=100)] = 1.0

    def part(self, images: QueryImages, *, negative: bool) -> Part:
        """The part of a query that it is.

        Raises:
            QueryError: it is not one of an item, a picture and words, or there is no such region.
            Problem: the picture is not kept any more.
        """
        if [self.item, self.image, self.text].count(None) != 2:
            raise QueryError("an example is an item, a picture or a text")
        if self.text is not None:
            return WordsPart(self.text, self.weight, negative)
        if self.item is not None:
            return queries.item(self.item, self.region, weight=self.weight, negative=negative)
        kept = images.get(self.image or "")
        if kept is None:
            raise Problem(404, "query-image", "the picture is not kept any more: send it again")
        return queries.picture(kept.data, self.region, weight=self.weight, negative=negative)


class QueryBody(Strict):
    """What is searched for."""

    text: Text = ""
    more: Annotated[list[ExampleBody], Field(max_length=32)] = []
    less: Annotated[list[ExampleBody], Field(max_length=32)] = []

    def query(self, images: QueryImages) -> queries.Query:
        """The query that it is. No word of it is tried as a path or a link.

        Raises:
            QueryError: it is empty or cannot be read.
            Problem: a picture of it is not kept any more.
        """
        parts = [one.part(images, negative=False) for one in self.more]
        parts += [one.part(images, negative=True) for one in self.less]
        asked = [queries.parse(self.text, pictures=False)] if self.text.strip() else []
        if parts:
            asked.append(queries.Query(tuple(parts)))
        return queries.combined(asked)


class SearchBody(Strict):
    """A search."""

    query: QueryBody
    minimum: Literal["likely", "possible", "any"] | None = None
    order: Literal["best", "newest", "oldest"] = "best"
    fold: bool = True
    diversity: Share = 0.0
    encoder: Annotated[str, Field(max_length=200)] | None = None
    limit: Annotated[int, Field(ge=1, le=500)] = 60
    cursor: Annotated[str, Field(max_length=500)] | None = None
    include: Annotated[list[Include], Field(max_length=2)] = []

    def options(self, offset: int) -> SearchOptions:
        """As the search takes them."""
        return SearchOptions(
            top=self.limit,
            offset=offset,
            encoder=self.encoder,
            minimum=self.minimum,
            order=self.order,
            is_folded=self.fold,
            diversity=self.diversity,
        )


class FacetsBody(Strict):
    """What to narrow down, and by what."""

    query: QueryBody = QueryBody()
    of: Annotated[list[Facet], Field(max_length=20)] = []
    minimum: Literal["likely", "possible", "any"] | None = None


class ParseBody(Strict):
    """A text of the query language."""

    q: Text


@router.post("/search")
async def search(body: SearchBody, context: Given) -> dict[str, Any]:
    """The best matches of a query, a page at a time."""
    query = body.query.query(context.query_images)
    rank = context.library.rank
    return await context.gate.run(
        lambda: page(context, body, str(query), lambda options: rank(query, options=options))
    )


@router.get("/search")
async def search_by_link(
    context: Given,
    q: Annotated[str, Query(max_length=MAX_TEXT)],
    minimum: Annotated[Literal["likely", "possible", "any"] | None, Query(alias="min")] = None,
    sort: Literal["best", "newest", "oldest"] = "best",
    fold: bool = True,
    limit: Annotated[int, Query(ge=1, le=500)] = 60,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
) -> dict[str, Any]:
    """As POST, of words and filters only, so that a search is a link."""
    body = SearchBody(
        query=QueryBody(text=q), minimum=minimum, order=sort, fold=fold, limit=limit, cursor=cursor
    )
    return await search(body, context)


@router.get("/items/{item}/similar")
async def similar(
    context: Given,
    item: ItemId,
    limit: Annotated[int, Query(ge=1, le=500)] = 60,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
) -> dict[str, Any]:
    """The images most similar to an item, which itself is left out."""
    body = SearchBody(query=QueryBody(), fold=False, limit=limit, cursor=cursor)
    part = ItemPart(item)
    rank = context.library.rank_similar
    return await context.gate.run(
        lambda: page(context, body, str(part), lambda options: rank(part, options=options))
    )


@router.post("/facets")
async def facets(body: FacetsBody, context: Given) -> dict[str, Any]:
    """What a search can be narrowed down by; without a query, the whole library."""
    asked = body.query
    is_empty = not (asked.text.strip() or asked.more or asked.less)
    wanted = [] if is_empty else [asked.query(context.query_images)]
    options = SearchOptions(minimum=body.minimum, is_folded=False)
    found = await context.gate.run(
        lambda: context.library.facets(*wanted, of=body.of, options=options)
    )
    return {"facets": {name: [asdict(one) for one in values] for name, values in found.items()}}


@router.post("/query/parse")
async def parse(body: ParseBody) -> dict[str, Any]:
    """How a text is understood: its canonical form and its parts, or where it breaks."""
    if not body.q.strip():
        return {"canonical": "", "parts": [], "filter": None, "error": None}
    try:
        query = queries.parse(body.q, pictures=False)
    except QuerySyntaxError as error:
        problem = {"detail": str(error), "position": error.position}
        return {"canonical": None, "parts": [], "filter": None, "error": problem}
    return {
        "canonical": str(query),
        "parts": [part_view(part) for part in query.parts],
        "filter": None if query.filter is None else str(query.filter),
        "error": None,
    }


def page(
    context: Context,
    body: SearchBody,
    asked: str,
    rank: Callable[[SearchOptions], Ranking],
) -> dict[str, Any]:
    """One page of a search.

    Raises:
        Problem: the cursor is of another search.
    """
    library = context.library
    change = library.change
    asked = f"{asked}\n{body.model_dump_json(exclude={'cursor', 'include', 'query'})}"
    offset, first = (0, change) if body.cursor is None else context.cursors.read(body.cursor, asked)
    found = rank(body.options(offset))
    is_full = len(found.hits) == body.limit
    end = offset + len(found.hits)
    view = {
        "hits": hits_of(library, found, has_why="why" in body.include),
        "counts": counts_view(found.plan),
        "query": {"canonical": found.plan.query},
        "next": context.cursors.next(asked, end, first) if is_full else None,
        "is_stale": first != change,
    }
    return view | ({"plan": plan_view(found.plan)} if "plan" in body.include else {})


def hits_of(library: Library, found: Ranking, *, has_why: bool) -> list[dict[str, Any]]:
    """The hits of a page."""
    facts = {one.id: one for one in library.items([hit.item for hit in found.hits])}
    return [hit_view(hit, facts.get(hit.item), has_why=has_why) for hit in found.hits]


def part_view(part: Part) -> dict[str, Any]:
    """A part of a query."""
    kind = "words" if isinstance(part, WordsPart) else "item"
    view: dict[str, Any] = {"kind": kind, "text": str(part), "weight": part.weight}
    return view | {"negative": part.negative}
