"""Facts by id: all that is known of an item, in few statements however many are asked for."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image
from small_world import World
from sqlalchemy import event

from pictor import open_library
from pictor.library.catalog import decisions, pairs, tags
from pictor.library.errors import QueryError
from pictor.library.item_facts import (
    ItemDecision,
    ItemDuplicate,
    ItemFacts,
    ItemFile,
    ItemTag,
    item_facts,
)
from pictor.library.pairs import Evidence, Kind, PairRow, Verdict
from pictor.library.records import Caption, Metadata
from pictor.library.store import Store


def photo(world: World, name: str, taken: str = "", **tags_: object) -> Path:
    """A photo of its own colour, taken at a time."""
    exif = Image.Exif()
    if taken:
        exif[0x8769] = {0x9003: taken}
    for tag, value in tags_.items():
        exif[int(tag[1:], 16)] = value
    path = world.draw(name)
    with Image.open(path) as image:
        image.save(path, "JPEG", exif=exif)
    return path


@contextmanager
def counted(library: Store) -> Iterator[list[str]]:
    """The statements that are run in the block."""
    said: list[str] = []

    def hear(*arguments: object) -> None:
        said.append(str(arguments[2]))

    event.listen(library._engine, "before_cursor_execute", hear)
    try:
        yield said
    finally:
        event.remove(library._engine, "before_cursor_execute", hear)


def facts(world: World, *ids: int, **options: int) -> list[ItemFacts]:
    with world.open() as library:
        return item_facts(library, ids, **options)


def ids(world: World) -> dict[str, int]:
    """The first item of each file, by name."""
    rows = world.sql(
        "SELECT file.path, item.id FROM file JOIN item ON item.content_id = file.content_id "
        "WHERE item.position = 0"
    )
    return {os.path.basename(os.fsdecode(path)): item for path, item in rows}


def test_an_item_has_its_files_metadata_tags_and_captions(world: World) -> None:
    path = photo(world, "a.jpg", "2023:05:12 10:00:00", x010F="Sony", x0110="A7", x4746=4)
    copy = world.root / "z" / "copy.jpg"
    copy.parent.mkdir()
    shutil.copy(path, copy)
    world.index()
    (one,) = {ids(world)["a.jpg"]}
    with world.open() as library, library.writer(), library.writing() as connection:
        content = connection.exec_driver_sql("SELECT id FROM content").scalar_one()
        for name, kind, label, score in (
            ("ours", "labels", "dog", 0.5),
            ("person", "person", "x|y", None),
        ):
            set_id = tags.write_set(
                connection, name, kind=kind, version="1", labels=[], templates=[]
            )
            tags.add_tags(connection, set_id, [(content, label, score)])
        connection.exec_driver_sql(
            f"INSERT INTO caption VALUES (1, {content}, 'en', 'txt', 'a square')"
        )
    stated, copied = [(one.st_size, one.st_mtime_ns) for one in map(os.stat, (path, copy))]
    os.unlink(copy)
    world.index()
    (found,) = facts(world, one)
    digest = world.sql("SELECT hash FROM content")[0][0]
    root = os.fsencode(world.root)
    assert found == ItemFacts(
        id=one,
        content=digest.hex(),
        kind="image",
        width=64,
        height=64,
        time_s=None,
        size_bytes=path.stat().st_size,
        files=(
            ItemFile(os.fsencode(path), "present", root, *stated),
            ItemFile(os.fsencode(copy), "missing", root, *copied),
        ),
        metadata=Metadata(
            format="JPEG",
            width=64,
            height=64,
            taken_at="2023-05-12T10:00:00",
            camera="Sony A7",
            rating=4,
        ),
        tags=(ItemTag("ours", "dog", 0.5), ItemTag("person", "x|y", None)),
        captions=(Caption("a square", "en", "txt"),),
        decisions=(),
        duplicates=(),
        earlier=(),
        later=(),
    )


def test_moments_have_their_time_and_kind(world: World) -> None:
    frames = [Image.new("RGB", (40, 30), colour) for colour in ("red", "blue", "green")]
    frames[0].save(
        world.root / "clip.gif", save_all=True, append_images=frames[1:], duration=500, loop=0
    )
    world.index()
    moments = facts(world, *(row[0] for row in world.sql("SELECT id FROM item ORDER BY position")))
    assert [(one.kind, one.time_s, one.width) for one in moments] == [
        ("animation", 0.0, 40),
        ("animation", 0.5, 40),
        ("animation", 1.0, 40),
    ]
    assert len({one.content for one in moments}) == 1


def test_unknown_items_are_left_out_or_refused(world: World) -> None:
    world.draw("a.png")
    world.draw("b.png")
    world.index()
    a, b = ids(world)["a.png"], ids(world)["b.png"]
    found = facts(world, b, 999, a, -1, 1 << 70, b)
    assert [one.id for one in found] == [b, a, b]
    with open_library(world.path) as library:
        assert library.item(a) == found[1]
        assert library.items([b, 999]) == [found[0]]
        assert library.items([]) == []
        with pytest.raises(QueryError, match="the library has no item 999"):
            library.item(999)
        for no_id in ("2", None, 1.0, True):
            with pytest.raises(QueryError, match="whole number above 0, not"):
                library.item(no_id)  # type: ignore[arg-type]  # that is tested


def test_duplicates_are_what_was_found_before_and_nobody_parted(world: World) -> None:
    for name in "abcdef":
        world.draw(f"{name}.png")
    world.index()
    rows = world.sql(
        "SELECT file.path, content.id, content.hash FROM file "
        "JOIN content ON content.id = content_id"
    )
    content = {os.fsdecode(path)[0]: number for path, number, _ in rows}
    digest = {os.fsdecode(path)[0]: value for path, _, value in rows}
    item = {name[0]: number for name, number in ids(world).items()}

    def pair(one: str, other: str, kind: Kind, confidence: float) -> PairRow:
        low, high = sorted((content[one], content[other]))
        return PairRow(low, high, kind, confidence, Evidence())

    def decide(connection: object, one: str, other: str, verdict: Verdict) -> None:
        low, high = sorted((digest[one], digest[other]))
        decisions.decide(connection, low, high, verdict)  # type: ignore[arg-type]

    with world.open() as library, library.writer(), library.writing() as connection:
        found = [pair("a", "b", Kind.NEAR, 0.8), pair("a", "c", Kind.PIXELS, 1.0)]
        found += [pair("a", "d", Kind.BURST, 0.9), pair("a", "e", Kind.NEAR, 0.9)]
        pairs.write(connection, [*found, pair("a", "f", Kind.NEAR, 0.7)], 1)
        decide(connection, "a", "e", Verdict.NOT_DUPLICATE)
        keeps_b = Verdict.KEEP_LOW if digest["b"] < digest["a"] else Verdict.KEEP_HIGH
        decide(connection, "a", "b", keeps_b)
    os.unlink(world.root / "f.png")
    world.index()
    of_a, of_b, of_e = facts(world, item["a"], item["b"], item["e"])
    hexes = {name: value.hex() for name, value in digest.items()}
    assert of_a.duplicates == (
        ItemDuplicate(item["c"], hexes["c"], Kind.PIXELS, 1.0),
        ItemDuplicate(item["b"], hexes["b"], Kind.NEAR, 0.8),
    )
    assert of_b.duplicates == (ItemDuplicate(item["a"], hexes["a"], Kind.NEAR, 0.8),)
    assert of_e.duplicates == ()
    decided = {(one.content, one.choice) for one in of_a.decisions}
    assert decided == {(hexes["e"], "not-duplicate"), (hexes["b"], "keep-other")}
    (of_b_alone,) = of_b.decisions
    assert isinstance(of_b_alone, ItemDecision)
    assert (of_b_alone.content, of_b_alone.choice) == (hexes["a"], "keep-this")


def test_neighbours_are_nearest_in_time_first(world: World) -> None:
    taken = {
        "a": "2023:05:12 10:00:00",
        "b": "2023:05:12 10:00:01",
        "c": "2023:05:12 10:00:01",
        "d": "2023:05:12 10:00:01",
        "e": "2023:05:12 11:00:00",
        "f": "2024:01:01 00:00:00",
        "g": "2024:06:01 00:00:00",
    }
    for name, moment in taken.items():
        photo(world, f"{name}.jpg", moment)
    photo(world, "undated.jpg")
    world.index()
    item = {name.removesuffix(".jpg"): number for name, number in ids(world).items()}
    name = {number: key for key, number in item.items()}
    order = sorted(taken, key=lambda key: (taken[key], item[key]))

    def around(key: str, count: int) -> tuple[str, str]:
        (one,) = facts(world, item[key], neighbours=count)
        return "".join(name[i] for i in one.earlier), "".join(name[i] for i in one.later)

    for count in (1, 2, 3, 10):
        for place, key in enumerate(order):
            earlier = "".join(reversed(order[max(0, place - count) : place]))
            assert around(key, count) == (earlier, "".join(order[place + 1 : place + 1 + count]))
    assert around("undated", 3) == ("", "")
    together = facts(world, *(item[key] for key in order), neighbours=2)
    assert together == [facts(world, item[key], neighbours=2)[0] for key in order]
    os.unlink(world.root / "e.jpg")
    world.index()
    assert around("f", 1) == (order[3], "g")
    assert around("e", 1) == (order[3], "f")  # gone, but known


def test_many_items_take_no_more_statements_than_few(world: World) -> None:
    for number in range(40):
        photo(world, f"{number}.jpg", f"2023:05:12 10:00:{number:02}")
    world.index()
    with world.open() as library:
        every = sorted(ids(world).values())
        with counted(library) as few:
            item_facts(library, every[:1])
        with counted(library) as many:
            assert len(item_facts(library, every)) == 40
    assert len(many) <= len(few) < 30
