"""A filtered search equals brute force over the filtered set, whatever the filter and the size.

The oracle is written in Python on the facts as they were drawn; it shares nothing with the SQL.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert

from pictor.library.catalog import filter_sql as conditions
from pictor.library.catalog import filters
from pictor.library.catalog.filters import AllOf, Filter, Not
from pictor.library.catalog.schema import (
    CAPTION,
    CONTENT,
    FILE,
    ITEM,
    ROOT,
    RUN,
    STALE_WORD,
    TAG,
    TAG_SET,
)
from pictor.library.config import Settings
from pictor.library.errors import QueryError
from pictor.library.records import FloatMatrix
from pictor.library.store import Store
from pictor.library.vectors.exact import ExactIndex
from pictor.search.filters import MAX_FILTERS, MAX_NESTED
from pictor.search.neighbours import FIRST, LOOK_FIRST_ABOVE, RARE, FilterTest, neighbours
from pictor.search.plan import Trace
from pictor.search.query import Query

D = 16
EVIL = "'; DROP TABLE file; --"
CAMERAS = (None, "SONY ILCE-7M3", "Canon EOS R5", "100%_cam", "相机")
FORMATS = ("JPEG", "HEIF", "GIF", "MP4", "DNG")
ROOTS = (
    (1, "folder", b"/photos/mine"),
    (2, "list", b"/lists/some.list"),
    (3, "archive", b"/photos/old.zip"),
    (4, "file", b"/photos/single.jpg"),
)
FOLDERS = (b"2023/vienna", b"vienna", b"2023/wien/old", b"x\xff\xfe", b"a_b%c")


class Drawn:
    """A library and the facts of its items, one dict an item, by ascending id."""

    def __init__(self, library: Store, facts: list[dict[str, Any]], index: ExactIndex) -> None:
        self.library = library
        self.facts = facts
        self.index = index

    def passing(self, wanted: Filter) -> list[int]:
        return [fact["item"] for fact in self.facts if passes(wanted, fact)]


def draw_facts(n: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(20261121 + n)
    facts = []
    for i in range(n):
        kind = int(rng.integers(0, 12))
        root = 2 if kind < 3 else 3 if kind < 4 else 1
        folder = FOLDERS[int(rng.integers(0, len(FOLDERS)))]
        path = folder + b"/%08d.jpg" % i
        located = rng.random() < 0.5
        facts.append(
            {
                "item": i + 1,
                "root": root if i else 4,
                "path": (b"/lists/" + path if root == 2 else path) if i else b"",
                "missing": rng.random() < 0.05,
                "taken_at": _date(rng) if rng.random() < 0.9 else None,
                "camera": CAMERAS[int(rng.integers(0, len(CAMERAS)))],
                "lens": "35 mm" if rng.random() < 0.01 else None,
                "latitude": float(rng.uniform(-90, 90)) if located else None,
                "longitude": float(rng.uniform(-180, 180)) if located else None,
                "rating": int(rng.integers(0, 6)) if rng.random() < 0.5 else None,
                "format": FORMATS[int(rng.integers(0, len(FORMATS)))],
                "width": int(rng.integers(100, 6000)) if rng.random() < 0.9 else 300,
                "height": int(rng.integers(100, 6000)) if rng.random() < 0.9 else 300,
                "time_s": 1.0 if rng.random() < 0.2 else None,
                "keywords": ["x"] if rng.random() < 0.3 else [],
                "title": "t" if rng.random() < 0.001 else None,
                "captioned": rng.random() < 0.1,
                "tagged": rng.random() < 0.0002 or i == 7,
            }
        )
    return facts


def _date(rng: np.random.Generator) -> str:
    month, day = int(rng.integers(1, 13)), int(rng.integers(1, 29))
    offset = "+02:00" if rng.random() < 0.5 else ""
    year, hour = int(rng.integers(2015, 2026)), int(rng.integers(24))
    return f"{year}-{month:02}-{day:02}T{hour:02}:00:00{offset}"


def store(library: Store, facts: list[dict[str, Any]]) -> None:
    n = len(facts)
    columns = ("taken_at", "camera", "lens", "latitude", "longitude", "rating", "format")
    columns += ("width", "height", "keywords", "title")
    contents = [
        {"id": f["item"], "hash": f["item"].to_bytes(32, "big"), "size_bytes": 1}
        | {"outcome": "indexed"}
        | {name: f[name] for name in columns}
        for f in facts
    ]
    items = [
        {"id": f["item"], "content_id": f["item"], "position": 0, "time_s": f["time_s"]}
        | {"width": f["width"], "height": f["height"]}
        for f in facts
    ]
    places = [
        {"id": f["item"], "root_id": f["root"], "path": f["path"], "size_bytes": 1, "mtime_ns": 1}
        | {"content_id": f["item"], "outcome": "indexed", "run_id": 1}
        | {"missing_since": "2026-01-01" if f["missing"] else None}
        for f in facts
    ]
    captions = [
        {"id": f["item"], "content_id": f["item"], "language": "", "source": "txt", "text": "a"}
        for f in facts
        if f["captioned"]
    ]
    tags = [
        {"id": f["item"], "set_id": 1, "content_id": f["item"], "label": "pet|dog", "score": None}
        for f in facts
        if f["tagged"]
    ]
    with library.writer(), library.writing() as connection:
        run = {"id": 1, "started_at": "2026", "state": "finished", "summary": {}}
        connection.execute(insert(RUN).values(**run))
        roots = [{"id": i, "kind": kind, "location": where} for i, kind, where in ROOTS]
        connection.execute(insert(ROOT), roots)
        for start in range(0, n, 20_000):
            part = slice(start, start + 20_000)
            connection.execute(insert(CONTENT), contents[part])
            connection.execute(insert(ITEM), items[part])
            connection.execute(insert(FILE), places[part])
        if captions:
            connection.execute(insert(CAPTION), captions)
        labels = {"id": 1, "name": "people", "kind": "person", "version": "1", "labels": []}
        labels |= {"templates": [], "tagged_at": "2026"}
        known = [{"label": "cat"}, {"label": EVIL}]  # that no photo bears
        others = [
            labels | {"id": i, "name": name, "kind": "labels", "labels": known}
            for i, name in ((2, "coco"), (3, EVIL))
        ]
        connection.execute(insert(TAG_SET), [labels, *others])
        if tags:
            connection.execute(insert(TAG), tags)
        connection.execute(delete(STALE_WORD))  # words take long, and no filter asks them


def vectors_of(n: int, seed: int = 1) -> FloatMatrix:
    rows = np.random.default_rng(seed).standard_normal((n, D)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


LARGE = [pytest.param(count, marks=pytest.mark.slow) for count in (30_000, 200_000)]


@pytest.fixture(scope="module", params=[1000, *LARGE])
def drawn(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Drawn]:
    n = request.param
    with Store.create(tmp_path_factory.mktemp("drawn") / "library", Settings()) as library:
        facts = draw_facts(n)
        store(library, facts)
        index = ExactIndex(D)
        index.add(np.arange(1, n + 1), vectors_of(n).astype(np.float16))
        yield Drawn(library, facts, index)


# --- the oracle


def passes(wanted: Filter, fact: dict[str, Any]) -> bool:
    if isinstance(wanted, Not):
        return not passes(wanted.filter, fact)
    if isinstance(wanted, AllOf):
        return all(passes(one, fact) for one in wanted.filters)
    if isinstance(wanted, filters.AnyOf):
        return any(passes(one, fact) for one in wanted.filters)
    return _holds(wanted, fact)


def _holds(leaf: Filter, fact: dict[str, Any]) -> bool:
    return bool(HOLDS[type(leaf)](leaf, fact))


def _date_holds(leaf: Any, fact: dict[str, Any]) -> bool:
    taken = fact["taken_at"]
    if taken is None:
        return False
    if isinstance(leaf, filters.After):
        return taken[: len(leaf.date)] >= leaf.date
    if isinstance(leaf, filters.Before):
        return taken[: len(leaf.date)] < leaf.date
    return taken[: len(leaf.first)] >= leaf.first and taken[: len(leaf.last)] <= leaf.last


def _kind(kind: str, fact: dict[str, Any]) -> bool:
    if fact["time_s"] is None or kind == "image":
        return kind == "image" and fact["time_s"] is None
    return (fact["format"] == "GIF") == (kind == "animation")


def _is_known(name: str, fact: dict[str, Any]) -> bool:
    names = {"gps": "latitude", "date": "taken_at", "caption": "captioned", "tag": "tagged"}
    value = fact[names.get(name, name)]
    return value is not None and value is not False and value != []


def _shape(fact: dict[str, Any]) -> str:
    order = fact["height"] - fact["width"]
    return "portrait" if order > 0 else "landscape" if order < 0 else "square"


def _in_root(name: bytes, fact: dict[str, Any]) -> bool:
    location = ROOTS[fact["root"] - 1][2]
    return not fact["missing"] and name in (location, os.path.basename(location))


HOLDS: dict[type, Callable[[Any, dict[str, Any]], bool]] = {
    filters.After: _date_holds,
    filters.Before: _date_holds,
    filters.Taken: _date_holds,
    filters.Camera: lambda leaf, f: leaf.name.lower() in (f["camera"] or "").lower(),
    filters.Lens: lambda leaf, f: leaf.name.lower() in (f["lens"] or "").lower(),
    filters.OfFormat: lambda leaf, f: f["format"] == leaf.name,
    filters.MinMegapixels: lambda leaf, f: f["width"] * f["height"] >= leaf.megapixels * 1e6,
    filters.OfShape: lambda leaf, f: _shape(f) == leaf.shape,
    filters.Near: lambda leaf, f: (
        f["latitude"] is not None and _km(f, leaf.latitude, leaf.longitude) <= leaf.radius_km
    ),
    filters.Has: lambda leaf, f: _is_known(leaf.fact, f),
    filters.Rated: lambda leaf, f: f["rating"] in range(leaf.least, leaf.most + 1),
    filters.OfKind: lambda leaf, f: _kind(leaf.kind, f),
    filters.Inside: lambda leaf, f: (
        f["root"] == 3 and not f["missing"] if leaf.place == "archive" else _kind(leaf.place, f)
    ),
    filters.InRoot: lambda leaf, f: _in_root(leaf.name, f),
    filters.InFolder: lambda leaf, f: not f["missing"] and _lies_in(leaf.path, f),
    filters.Tagged: lambda leaf, f: f["tagged"] and leaf.name in ("pet|dog", "pet", "dog"),
    filters.InLabelSet: lambda leaf, f: f["tagged"] and leaf.name == "people",
}


def _km(fact: dict[str, Any], latitude: float, longitude: float) -> float:
    """By the angle between two unit vectors in space, not by the haversine formula."""
    one, other = (
        np.array(
            [
                math.cos(math.radians(a)) * math.cos(math.radians(b)),
                math.cos(math.radians(a)) * math.sin(math.radians(b)),
                math.sin(math.radians(a)),
            ]
        )
        for a, b in ((fact["latitude"], fact["longitude"]), (latitude, longitude))
    )
    return 2 * math.asin(min(1.0, float(np.linalg.norm(one - other)) / 2)) * conditions.EARTH_KM


def _lies_in(path: bytes, fact: dict[str, Any]) -> bool:
    _, kind, location = ROOTS[fact["root"] - 1]
    full = {
        "folder": location + b"/" + fact["path"],
        "list": fact["path"],
        "file": location,
        "archive": location + b"!/" + fact["path"],
    }[kind]
    folder = full.rpartition(b"/")[0]
    if path.startswith(b"/"):
        return (folder + b"/").startswith(path.rstrip(b"/") + b"/")
    folders = (
        (folder + b"/").replace(location + b"!/", b"/photos/!!/")
        if kind == "archive"
        else folder + b"/"
    )
    return b"/" + path + b"/" in folders


# --- filters at random

DATES = st.sampled_from(
    ["2014", "2015", "2019-07", "2023", "2023-02", "2024-12-28", "2025", "2026"]
)
LEAVES = st.one_of(
    st.builds(filters.After, DATES),
    st.builds(filters.Before, DATES),
    st.tuples(DATES, DATES).map(sorted).map(lambda pair: filters.Taken(*pair)),
    st.builds(filters.Camera, st.sampled_from(["sony", "Canon eos", "%", "_", "相", "none", "'"])),
    st.just(filters.Lens("35 MM")),
    st.builds(filters.OfFormat, st.sampled_from([*FORMATS, "PNG"])),
    st.builds(filters.MinMegapixels, st.sampled_from([0.5, 12.0, 35.0])),
    st.builds(filters.OfShape, st.sampled_from(filters.SHAPES)),
    st.builds(
        filters.Near,
        st.sampled_from([0.0, 48.2, -89.5, 90.0]),
        st.sampled_from([16.4, 179.9, -180.0]),
        st.sampled_from([1.0, 100.0, 3000.0, 20_000.0]),
    ),
    st.builds(filters.Has, st.sampled_from(filters.FACTS)),
    st.sampled_from([filters.Rated(5, 5), filters.Rated(0, 2), filters.Rated(0, 5)]),
    st.builds(filters.OfKind, st.sampled_from(filters.KINDS)),
    st.builds(filters.Inside, st.sampled_from(filters.PLACES)),
    st.builds(filters.InRoot, st.sampled_from([b"mine", b"old.zip", b"/lists/some.list"])),
    st.builds(
        filters.InFolder,
        st.sampled_from(
            b"/photos /photos/mine /photos/mine/2023 /photos/min /lists / "
            b"vienna 2023 2023/vienna mine a_b%c x\xff\xfe none".split()
        ),
    ),
    st.builds(filters.Tagged, st.sampled_from(["dog", "PET", "pet|dog", "cat"])).filter(
        lambda leaf: leaf.name != "PET"  # letter case of tags has its own test
    ),
    st.builds(filters.InLabelSet, st.sampled_from(["people", "coco"])),
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(AllOf, st.tuples(inner, inner)),
        st.builds(filters.AnyOf, st.tuples(inner, inner)),
    ),
    max_leaves=5,
)
SETTINGS = settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
def thousand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drawn]:
    with Store.create(tmp_path_factory.mktemp("thousand") / "library", Settings()) as library:
        facts = draw_facts(1000)
        store(library, facts)
        yield Drawn(library, facts, ExactIndex(D))


@SETTINGS
@given(wanted=TREES)
def test_the_catalog_names_just_the_items_that_pass(thousand: Drawn, wanted: Filter) -> None:
    with thousand.library.reading() as connection:
        found = conditions.item_ids(connection, wanted)
        some = np.array([900, 3, 17, 500, 4], np.int64)
        among = conditions.items_among(connection, wanted, some)
        dated = conditions.newest_first(connection, wanted)
    expected = thousand.passing(wanted)
    assert found.tolist() == expected
    assert among.tolist() == [i for i in some.tolist() if i in set(expected)]
    assert sorted(dated) == expected


SELECTIVITIES: list[tuple[float, Filter]] = [
    (0.0001, filters.Tagged("dog")),
    (0.001, filters.Has("title")),
    (0.01, AllOf((filters.Lens("35 mm"), filters.MinMegapixels(0.1)))),
    (0.08, AllOf((filters.Taken("2023", "2023"), Not(filters.Camera("none"))))),
    (0.3, AllOf((filters.After("2019"), filters.Camera("n")))),
    (0.9, Not(filters.Inside("archive"))),
    (1.0, filters.MinMegapixels(0.001)),
    (0.0, filters.Camera("none")),
]


@pytest.mark.parametrize(("share", "wanted"), SELECTIVITIES)
def test_the_filtered_ranking_is_that_of_brute_force(
    drawn: Drawn, share: float, wanted: Filter
) -> None:
    n = len(drawn.facts)
    passing = np.array(drawn.passing(wanted), np.int64)
    assert len(passing) <= n * (share + 0.03) + 5  # the selectivity is what it says
    query = vectors_of(1, seed=7)
    for wanted_k in (10, FIRST + 1):
        trace = Trace()
        with drawn.library.reading() as connection:
            selector = FilterTest(connection, wanted, trace)
            ids, scores = _first(neighbours(drawn.index, query, selector, 0), wanted_k)
        expected = drawn.index.search(query, wanted_k, passing)
        held = expected.ids[0] >= 0
        assert ids.tolist() == expected.ids[0][held].tolist()
        assert scores.tolist() == expected.scores[0][held].tolist()
        scans_first = trace.method.startswith("scan first")
        assert scans_first == (n > LOOK_FIRST_ABOVE and share > 2 * RARE)


def _first(runs: Iterator[Any], k: int) -> tuple[Any, Any]:
    ids, scores = [np.empty(0, np.int64)], [np.empty(0, np.float32)]
    for run in runs:
        ids.append(run.ids)
        scores.append(run.scores)
        if sum(map(len, ids)) >= k:
            break
    return np.concatenate(ids)[:k], np.concatenate(scores)[:k]


def test_a_ranking_to_its_end_has_every_item_once(drawn: Drawn) -> None:
    wanted = filters.After("2024")
    trace = Trace()
    query = vectors_of(1, seed=8)
    with drawn.library.reading() as connection:
        selector = FilterTest(connection, wanted, trace)
        runs = list(neighbours(drawn.index, query, selector, 0))
    ids = np.concatenate([run.ids for run in runs])
    scores = np.concatenate([run.scores for run in runs])
    assert sorted(ids.tolist()) == drawn.passing(wanted)
    assert (np.diff(scores) <= 0).all()


def test_values_reach_the_database_only_as_bound_parameters(thousand: Drawn) -> None:
    leaves: list[Filter] = [
        filters.Camera(EVIL),
        filters.Lens(EVIL),
        filters.Tagged(EVIL),
        filters.InLabelSet(EVIL),
        filters.OfFormat(EVIL),
        filters.InFolder(EVIL.encode()),
        filters.After(EVIL),
    ]
    with thousand.library.reading() as connection:
        for leaf in leaves:
            condition = conditions.condition(connection, leaf)
            assert "DROP" not in str(condition.compile(connection.engine))
            conditions.item_ids(connection, leaf)
        assert len(conditions.item_ids(connection, filters.Has("date"))) > 0


def test_an_unknown_root_is_refused_with_those_there_are(thousand: Drawn) -> None:
    refused = pytest.raises(QueryError, match="no root 'none'; it has '/photos/mine', ")
    with thousand.library.reading() as connection, refused:
        conditions.item_ids(connection, filters.InRoot(b"none"))


@pytest.mark.parametrize(
    ("first", "last", "inside", "outside"),
    [
        ("2023", "2023", "2023-12-31T23:59:59", "2024-01-01T00:00:00"),
        ("2023-12", "2023-12", "2023-12-31T23:59:59", "2024-01-01T00:00:00"),
        ("2024-02-29", "2024-02-29", "2024-02-29T23:59:59+02:00", "2024-03-01T00:00:00"),
        ("9998", "9999", "9999-12-31T23:59:59", "9997-12-31T23:59:59"),
    ],
)
def test_a_period_ends_with_its_last_second(
    tmp_path: Path, first: str, last: str, inside: str, outside: str
) -> None:
    with Store.create(tmp_path / "library", Settings()) as library:
        facts = draw_facts(8)
        for fact, taken_at in zip(facts, [inside, outside, None, inside], strict=False):
            fact["taken_at"] = taken_at
        store(library, facts[:4])
        with library.reading() as connection:
            found = conditions.item_ids(connection, filters.Taken(first, last))
    assert found.tolist() == [1, 4]


@pytest.mark.slow
def test_postgresql_names_the_same_items(postgresql_url: str, tmp_path: Path) -> None:
    settings = Settings().with_values({"library.catalog_url": postgresql_url}, "test")
    with Store.create(tmp_path / "library", settings) as library:
        facts = draw_facts(400)
        store(library, facts)
        drawn = Drawn(library, facts, ExactIndex(D))
        wanted: list[Filter] = [wanted for _, wanted in SELECTIVITIES]
        wanted += [filters.Has(fact) for fact in filters.FACTS]  # type: ignore[arg-type]  # one of them
        wanted += [
            filters.Near(48.2, 179.9, 3000.0),
            filters.InFolder(b"vienna"),
            filters.InFolder(b"x\xff\xfe"),
            filters.InFolder(b"/photos/mine/2023"),
            filters.InRoot(b"old.zip"),
            filters.Inside("archive"),
            filters.OfKind("animation"),
            filters.Taken("2023-02", "2024-12-28"),
            Not(filters.AnyOf((filters.Rated(0, 2), filters.OfShape("portrait")))),
        ]
        with library.reading() as connection:
            for one in wanted:
                assert conditions.item_ids(connection, one).tolist() == drawn.passing(one), one
                dated = conditions.newest_first(connection, one)
                assert sorted(dated) == drawn.passing(one)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "leaf"),
    [
        ("not", filters.InFolder(b"/photos/mine/2023")),
        ("or", filters.Taken("2019", "2021")),
        ("and or", filters.Inside("archive")),
    ],
)
def test_as_many_filters_as_are_read_are_answered(tmp_path: Path, kind: str, leaf: Filter) -> None:
    wanted: Filter = filters.AnyOf((leaf,) * (MAX_FILTERS - MAX_NESTED))
    for level in range(MAX_NESTED - 1):
        group = AllOf if level % 2 and kind == "and or" else filters.AnyOf
        wanted = Not(wanted) if kind == "not" else group((leaf, wanted))
    assert Query((), wanted).filter == wanted
    with Store.create(tmp_path / "library", Settings()) as library:
        drawn = Drawn(library, draw_facts(9), ExactIndex(D))
        store(library, drawn.facts)
        with library.reading() as connection:
            found = conditions.item_ids(connection, wanted).tolist()
            few = conditions.items_among(connection, wanted, np.arange(1, 5)).tolist()
    assert found == drawn.passing(wanted)
    assert few == [item for item in found if item < 5]
