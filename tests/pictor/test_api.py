"""What the verbs of a library take."""

from __future__ import annotations

import pytest
from small_world import World

from pictor import Library, QueryError
from pictor.query import Query, item, words


def test_a_part_is_a_query_by_itself(world: World) -> None:
    world.draw("a.png")
    world.draw("b.png")
    world.index()
    with Library(world.path, world.settings) as library:
        first = library.similar(world.root / "a.png", top=2)[0].item
        alone = library.search(item(first), top=2)
        assert alone == library.search(Query((item(first),)), top=2) != []
        both = library.search(item(first), words("a picture"), top=2)
        assert [hit.item for hit in both] != []
        with pytest.raises(QueryError, match="not of type int"):
            library.search(first)  # type: ignore[arg-type]
