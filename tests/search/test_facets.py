"""Facets count what brute force counts, their own filters left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image

from pictor import Library, open_library
from pictor.library.errors import QueryError
from pictor.query import SearchOptions
from pictor.search.facets import FACETS
from tests.pictor.conftest import draw

#: Name → (date, camera, size).
PHOTOS = {
    "a": ("2022:05:01 10:00:00", "Sony A7", (80, 60)),
    "b": ("2022:06:01 10:00:00", "Sony A7", (60, 80)),
    "c": ("2023:01:01 10:00:00", "Nikon Z6", (80, 60)),
    "d": ("2023:01:02 10:00:00", 'Odd "cam"', (64, 64)),
    "e": (None, None, (80, 60)),
}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Five photos, three of them tagged."""
    home = tmp_path_factory.mktemp("facets")
    (home / "photos").mkdir()
    for seed, (name, (date, camera, size)) in enumerate(PHOTOS.items(), 1):
        draw(home / "drawn.png", seed, size)
        exif = Image.Exif()
        if date and camera:
            exif[0x0110], exif.get_ifd(0x8769)[0x9003] = camera, date
        Image.open(home / "drawn.png").save(home / "photos" / f"{name}.jpg", exif=exif)
    with open_library(home / "library") as opened:
        opened.index([home / "photos"])
        for name in "abc":
            opened.tags.add([home / "photos" / f"{name}.jpg"], "mine")
        opened.tags.add([home / "photos" / "a.jpg"], "best")
        yield opened


def shown(library: Library, *queries: str, of: str, **options: Any) -> dict[str, int]:
    """Value → items of one facet."""
    return {one.value: one.count for one in library.facets(*queries, of=[of], **options)[of]}


def year(name: str) -> str:
    return (PHOTOS[name][0] or "")[:4]


@pytest.mark.parametrize(
    ("of", "value_of"),
    [
        ("year", year),
        ("month", lambda name: (PHOTOS[name][0] or "")[:7].replace(":", "-")),
        ("camera", lambda name: PHOTOS[name][1] or ""),
        ("type", lambda name: "image"),
        ("format", lambda name: "jpeg"),
        ("shape", lambda name: {"b": "portrait", "d": "square"}.get(name, "landscape")),
    ],
)
def test_a_facet_of_the_whole_library(
    library: Library, of: str, value_of: Callable[[str], str]
) -> None:
    expected = Counter(value_of(name) for name in PHOTOS)
    del expected[""]
    assert shown(library, of=of) == dict(expected)
    assert list(shown(library, of=of).values()) == sorted(expected.values(), reverse=True)


def test_tags_count_what_bears_them(library: Library) -> None:
    assert shown(library, of="tag") == {"mine": 3, "best": 1}
    assert shown(library, "after:2023", of="tag") == {"mine": 1}
    assert shown(library, of="lens") == {} == shown(library, of="rating")


def test_a_facet_leaves_its_own_filter_out(library: Library) -> None:
    cameras = library.facets("camera:sony after:2022-06", of=["camera", "year"])
    assert {one.value: one.count for one in cameras["camera"]} == {
        "Sony A7": 1,
        "Nikon Z6": 1,
        'Odd "cam"': 1,
    }
    assert {one.value: one.count for one in cameras["year"]} == {"2022": 1}
    (on,) = [one for one in library.facets("taken:2022", of=["year"])["year"] if one.is_on]
    assert (on.value, on.count) == ("2022", 2)


def test_what_a_value_adds_finds_what_it_counts(library: Library) -> None:
    options = SearchOptions(top=100, is_folded=False)
    for values in library.facets().values():
        for one in values:
            assert len(library.search(one.filter, options=options)) == one.count, one


def test_facets_of_a_ranked_query_are_of_its_hits(library: Library) -> None:
    options = SearchOptions(minimum="any", is_folded=False)
    assert shown(library, "a square", of="year", options=options) == {"2022": 2, "2023": 2}
    some = shown(library, "a square after:2023", of="camera", options=options)
    assert some == {"Nikon Z6": 1, 'Odd "cam"': 1}


def test_an_unknown_facet_is_refused(library: Library) -> None:
    with pytest.raises(QueryError, match="no facet 'colour'; there are year, month, "):
        library.facets(of=["colour"])
    assert set(library.facets()) == set(FACETS)
