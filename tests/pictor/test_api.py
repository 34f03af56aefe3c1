"""What the verbs of a library take."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from small_world import World

from pictor import Library, LibraryError, QueryError, open_library
from pictor.library.config import Settings
from pictor.library.errors import ModelNotAvailable, SourceError
from pictor.query import Query, item, picture, words


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


def test_an_example_is_a_path_an_item_or_a_part(world: World) -> None:
    for name in ("a.png", "b.png", "c.png"):
        world.draw(name)
    world.index()
    with Library(world.path, world.settings) as library:
        by_path = library.similar(world.root / "a.png")
        (own,) = {1, 2, 3} - {hit.item for hit in by_path}
        assert len(by_path) == 2
        data = (world.root / "a.png").read_bytes()
        for example in (f"item:{own}", f"ITEM:{own}", item(own), picture(data)):
            assert [hit.item for hit in library.similar(example)] == [hit.item for hit in by_path]
        with pytest.raises(QueryError, match="whole number above 0"):
            library.similar("item:0")
        with pytest.raises(QueryError, match="no item 99"):
            library.similar("item:99")
        with pytest.raises(QueryError, match="no image file"):
            library.similar("./item:1")
        with pytest.raises(QueryError, match="by its path or link, not as 5"):
            library.similar(5)  # type: ignore[arg-type]


def test_a_first_run_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    home = tmp_path / "new" / "library"
    with open_library(home) as library:
        with pytest.raises(SourceError):
            library.index([tmp_path / "no such folder"])
        assert not home.parent.exists()
        with pytest.raises(ModelNotAvailable):
            library.index([tmp_path / "photos"], encoders=["no-such-encoder"])
        assert not home.parent.exists()
        library.index([tmp_path / "photos"])  # it can be made after all, and is kept from then on
        with pytest.raises(SourceError):
            library.index([tmp_path / "no such folder"])
        assert library.status().items == 0
    with open_library(home) as library, pytest.raises(ModelNotAvailable):
        library.index([tmp_path / "photos"], encoders=["no-such-encoder"])
    assert (home / "catalog.sqlite").is_file()


def test_a_first_run_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    home = tmp_path / "library"
    (home / "cache").mkdir(parents=True)
    (home / "cache" / "old").touch()
    (home / "settings.toml").touch()
    with open_library(home) as library, pytest.raises(SourceError):
        library.index([tmp_path / "no such folder"])
    assert sorted(os.listdir(home)) == ["cache", "settings.toml"]
    assert os.listdir(home / "cache") == ["old"]


def test_a_library_whose_database_cannot_be_had_leaves_no_folder(tmp_path: Path) -> None:
    settings = Settings().with_values({"library.catalog_url": "mysql://h/d"}, "test")
    library = open_library(tmp_path / "new" / "library", settings=settings)
    with library, pytest.raises(LibraryError, match="SQLite"):
        library.index([tmp_path])
    assert not (tmp_path / "new").exists()
