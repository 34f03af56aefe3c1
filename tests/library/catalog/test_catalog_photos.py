"""What the catalog knows of files by their absolute paths."""

from __future__ import annotations

import os
from typing import Any

from pictor.library.catalog.photos import photos_at


def test_photos_are_found_under_every_kind_of_root(world: Any) -> None:
    inside = world.draw("sub/a.png")
    gone = world.draw("gone.png")
    broken = world.root / "broken.png"
    broken.write_bytes(inside.read_bytes()[:60])
    alone, listed = world.folder / "alone.png", world.folder / "listed.png"
    alone.write_bytes(world.draw("b.png").read_bytes())
    listed.write_bytes(world.draw("c.png").read_bytes())
    paths = world.folder / "some.list"
    paths.write_bytes(os.fsencode(listed) + b"\0")
    world.index(world.root, alone, paths)
    gone.unlink()
    world.index()
    asked = [os.fsencode(p) for p in (inside, gone, broken, alone, listed, world.root / "no.png")]
    with world.open() as library, library.reading() as connection:
        found = photos_at(connection, asked)
    assert set(found) == {asked[0], asked[2], asked[3], asked[4]}
    assert found[asked[2]].item_id is None and found[asked[2]].reason is not None
    items = [found[path].item_id for path in (asked[0], asked[3], asked[4])]
    assert None not in items and len(set(items)) == 3
