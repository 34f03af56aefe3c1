"""A search reads the vector of a candidate once, whatever is done with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from small_world import World

from pictor.library.catalog import spaces
from pictor.library.records import FloatVector, HalfMatrix, IdArray
from pictor.library.vectors.layers import VectorIndex
from pictor.search.engine import Engine
from pictor.search.options import SearchOptions
from pictor.search.query import parse

Reads = Counter[tuple[str, int]]


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Iterator[Reads]:
    """How often the vector of an item was read, from which index or the catalog."""
    counts: Reads = Counter()
    from_catalog, from_index = spaces.vectors_of, VectorIndex.vectors_of

    def counted(connection: object, space_id: int, items: list[int]) -> dict[int, HalfMatrix]:
        found = from_catalog(connection, space_id, items)  # type: ignore[arg-type]
        counts.update(("catalog", item) for item in found)
        return found

    def counted_too(index: VectorIndex, ids: IdArray) -> dict[int, FloatVector]:
        found = from_index(index, ids)
        counts.update((f"index {id(index)}", item) for item in found)
        return found

    monkeypatch.setattr(spaces, "vectors_of", counted)
    monkeypatch.setattr(VectorIndex, "vectors_of", counted_too)
    yield counts


@pytest.mark.parametrize("text", ["a picture", '"a picture" "a wall"', '"a wall" -dog', "harbour"])
@pytest.mark.parametrize("minimum", ["any", "possible"])
def test_a_search_reads_each_vector_once(
    world: World, reads: Reads, text: str, minimum: str
) -> None:
    """For its level, for folding, for negative parts and to say why, also of one found by name."""
    for i in range(30):
        world.draw(f"{i:02}.png", i // 2, size=64 + i % 2)
    world.draw("harbour.png", 99)
    world.index()
    reads.clear()
    with world.open() as library, Engine(library) as engine:
        options = SearchOptions(top=10, minimum=minimum, is_folded=True)  # type: ignore[arg-type]
        ranking = engine.search(parse(text), options)
    assert ranking.hits or minimum == "possible"
    assert ranking.plan.trace.levels
    assert len(reads) >= 30
    assert set(reads.values()) == {1}
    assert not [item for where, item in reads if where == "catalog"]


def test_a_search_that_needs_no_vectors_reads_none(world: World, reads: Reads) -> None:
    for i in range(5):
        world.draw(f"{i}.png")
    world.index()
    reads.clear()
    with world.open() as library, Engine(library) as engine:
        hits = engine.search(parse("type:image"), SearchOptions(is_folded=False)).hits
    assert len(hits) == 5
    assert not reads
