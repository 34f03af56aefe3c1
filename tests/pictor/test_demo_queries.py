"""The demo finds what a person would ask of its pictures, in English and in Chinese."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import pictor
from pictor.api import Library
from pictor.search.options import SearchOptions

pytest.importorskip("skimage", reason="the demo's photos come with scikit-image")

# What is asked, and the photo that must come first: any file whose name holds the word.
ENGLISH = {
    "an orange cat": "chelsea",
    "a motorcycle": "motorcycle",
    "a cup of coffee": "coffee",
    "an astronaut": "astronaut",
    "a rocket at night": "rocket",
    "a man with a camera": "camera",
    "the silhouette of a horse": "horse",
    "green grass": "grass",
    "a page of text": "page",
    "a clock": "clock",
}
CHINESE = {
    "一只猫": "chelsea",
    "摩托车": "motorcycle",
    "一杯咖啡": "coffee",
    "穿橙色衣服的女人": "astronaut",
    "拿着相机的男人": "camera",
    "马": "horse",
    "月球": "moon",
    "书页": "page",
    "时钟": "clock",
    "石头": "gravel",
}
NEEDED = 8


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    """The demo's photos, indexed with the built-in encoder."""
    from pictor.cli.demo import collect

    folder = tmp_path_factory.mktemp("demo")
    collect(folder / "photos")
    with pictor.open_library(folder / "library") as library:
        library.index([folder / "photos"], encoders=["builtin"])
        yield library


@pytest.mark.parametrize("queries", [ENGLISH, CHINESE], ids=["english", "chinese"])
def test_plain_queries_find_the_right_photo_first(demo: Library, queries: dict[str, str]) -> None:
    found = {query: _first(demo, query) for query in queries}
    wrong = {query: name for query, name in found.items() if queries[query] not in name}
    assert len(queries) - len(wrong) >= NEEDED, wrong


def test_what_the_demo_shows_is_right_and_of_what_is_absent_it_shows_nothing(demo: Library) -> None:
    from pictor.cli.demo import QUERIES, TOP

    right = ("chelsea", "motorcycle", "chelsea", "coffee", None)
    for query, name in zip(QUERIES, right, strict=True):
        hits = demo.search(query, top=TOP)
        assert bool(hits) is bool(name), query
        for hit in hits:
            assert any(str(name) in os.fsdecode(path) for path in (hit.path, *hit.other_paths))


def _first(library: Library, query: str) -> str:
    hits = library.search(query, top=1, options=SearchOptions(minimum="any"))
    paths = [path for hit in hits for path in (hit.path, *hit.other_paths)]
    return " = ".join(Path(os.fsdecode(path)).name for path in paths)
