"""From a query to hits: one hit a content, the best moment of a video, refusals that say why."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_world import World

from pictor.library.encoders import towers
from pictor.library.errors import QueryError
from pictor.search import query
from pictor.search.engine import Engine
from pictor.search.options import SearchOptions

COLOURS = {"red": (255, 0, 0), "green": (0, 160, 0), "blue": (0, 0, 255), "yellow": (255, 230, 0)}


@pytest.fixture
def colours(world: World) -> World:
    for name, rgb in COLOURS.items():
        world.colour(f"{name}.png", rgb)
    world.index()
    return world


@pytest.mark.parametrize("name", COLOURS)
def test_words_find_what_they_name(colours: World, name: str) -> None:
    hits = colours.search(f"plain {name} color")
    assert [hit.rank for hit in hits] == [1, 2, 3, 4]
    scores = [hit.score for hit in hits]
    assert scores == sorted(scores, reverse=True)
    assert scores == pytest.approx(sorted(cosines(f"plain {name} color"))[::-1], abs=2e-3)


def cosines(words: str) -> list[float]:
    """What the encoder itself says of each colour, without index and catalog."""
    card = towers.resolve_card("builtin")
    assert card.spec is not None
    text = towers.open_text_encoder(card).encode([words])[0]
    tower = towers.open_image_encoder(card)
    size = (card.spec.width, card.spec.height)
    cards = [np.asarray(Image.new("RGB", size, rgb)) for rgb in COLOURS.values()]
    return [float(cosine) for cosine in tower.encode(cards) @ text]


def test_top_bounds_the_hits(colours: World) -> None:
    assert len(colours.search("red", top=2)) == 2
    with colours.open() as library, Engine(library) as engine:
        red = query.parse("red")
        assert len(engine.search(red, SearchOptions(top=1, minimum="any")).hits) == 1
        with pytest.raises(QueryError, match=r"must be 1 to .*, not 0"):
            SearchOptions(top=0)


def test_a_picture_finds_itself_first_and_can_be_left_out(
    colours: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = colours.root / "red.png"
    shutil.copy(path, colours.folder / "elsewhere.png")

    def no_tower(*_: object) -> None:
        raise AssertionError("a content that is in the library needs no tower")

    monkeypatch.setattr(towers, "open_image_encoder", no_tower)
    for asked in (path, colours.folder / "elsewhere.png"):
        hits = colours.search(asked)
        assert hits[0].path == os.fsencode(path)
        assert hits[0].score == pytest.approx(1, abs=1e-3)
    with colours.open() as library, Engine(library) as engine:
        asked = query.Query((query.image(path),))
        others = engine.search(asked, SearchOptions(top=10, without_itself=True)).hits
    assert len(others) == 3
    assert others[0].rank == 1


def test_a_picture_that_is_not_in_the_library_is_encoded(colours: World) -> None:
    outside = colours.folder / "outside.png"
    Image.new("RGB", (50, 90), (250, 5, 5)).save(outside)
    assert colours.search(outside)[0].path.endswith(b"/red.png")


def test_several_parts_are_asked_together(colours: World) -> None:
    with colours.open() as library, Engine(library) as engine:
        parts = tuple(query.image(colours.root / f"{name}.png") for name in ("red", "blue"))
        hits = engine.search(query.Query(parts), SearchOptions(top=2)).hits
    assert {os.path.basename(hit.path) for hit in hits} == {b"red.png", b"blue.png"}


def test_a_query_picture_that_cannot_be_read_is_one_sentence(colours: World) -> None:
    broken = colours.folder / "broken.png"
    broken.write_bytes((colours.root / "red.png").read_bytes()[:50])
    text = colours.folder / "text.txt"
    text.write_text("no picture")
    for path in (broken, text):
        with pytest.raises(QueryError, match="cannot be the query") as caught:
            colours.search(path)
        assert "\n" not in str(caught.value)


def test_an_unknown_space_is_refused_with_those_there_are(colours: World) -> None:
    with pytest.raises(QueryError, match="no space of encoder 'other', only of builtin"):
        colours.search("red", encoder="other")


def test_an_empty_library_says_how_to_fill_it(world: World) -> None:
    from pictor.library.store import Store

    refused = pytest.raises(QueryError, match="is empty; index a folder: pictor index")
    with Store.create(world.path) as library, Engine(library) as engine, refused:
        engine.search(query.parse("red"))


def test_a_library_of_no_pictures_answers_nothing(world: World) -> None:
    (world.root / "text.txt").write_text("no picture")
    world.index()
    assert world.search("red") == []
    assert world.verify().ok


# --- videos


def animate(path: Path, names: list[str], duration_ms: int) -> None:
    frames = [Image.new("RGB", (64, 64), COLOURS[name]) for name in names]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=duration_ms)


def test_an_animation_is_one_hit_at_its_best_moment(world: World, tmp_path: Path) -> None:
    animate(world.root / "a.gif", ["red", "green", "blue", "yellow"], 1000)
    world.colour("other.png", (90, 90, 90))
    summary = world.index()
    assert (summary.indexed, summary.items) == (2, 5)
    for at, name in enumerate(["red", "green", "blue", "yellow"]):
        asked = tmp_path / f"{name}.png"
        Image.new("RGB", (64, 64), name).save(asked)
        hits = world.search(asked)
        assert len(hits) == 2  # the file is one hit, though it has four items
        assert hits[0].path.endswith(b"/a.gif")
        assert hits[0].time_s is not None
        assert at <= hits[0].time_s < at + 1
    assert world.search(world.root / "other.png")[0].time_s is None


def test_items_of_one_file_do_not_crowd_out_other_files(world: World) -> None:
    for i in range(4):
        animate(
            world.root / f"{i}.gif",
            ["red"] * 3 + ["green", "blue", "yellow"][: i + 1],
            500 + 50 * i,
        )
    for i in range(6):
        world.colour(f"{i}.png", (200 - 20 * i, 200, 9))
    world.index()
    hits = world.search("plain red color", top=10)
    assert len({hit.content for hit in hits}) == len(hits) == 10
    assert [hit.rank for hit in hits] == list(range(1, 11))


def test_bytes_that_are_no_text_are_asked_as_far_as_they_can_be_read(colours: World) -> None:
    assert len(colours.search("red \udcff")) == 4
