"""One engine for many threads: the same hits, one tower of each kind, and no growth of memory."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from small_world import World

from pictor.library import indexes, space_encoders
from pictor.library.catalog import filters
from pictor.library.store import Store
from pictor.library.vectors.cache import IndexCache
from pictor.search.engine import Engine
from pictor.search.options import SearchOptions
from pictor.search.plan import Ranking
from pictor.search.query import Query, image, words

THREADS = 8
OPTIONS = SearchOptions(top=30, minimum="any", is_folded=False)
Found = list[tuple[int, float]]


@pytest.fixture
def photos(world: World) -> World:
    for i in range(40):
        world.draw(f"{i:02}.png", i)
    world.index()
    return world


@pytest.fixture
def engine(photos: World) -> Iterator[Engine]:
    with photos.open() as library, Engine(library) as opened:
        yield opened


def mixed_queries(world: World) -> list[Query]:
    """Texts, stored and new pictures, and pairs of them, among the photos of the root."""
    new = world.folder / "new.png"
    Image.effect_noise((80, 60), 90).save(new)
    stored = world.root / "07.png"
    parts = [
        (words("a picture"),),
        (words("plain red colour"), words("a wall")),
        (words("彩色的方块"),),
        (words("noise"),),
        (image(stored),),
        (image(new),),
        (image(new), words("blue squares")),
        (words("07"),),
    ]
    return [Query(some, filters.InFolder(os.fsencode(world.root))) for some in parts]


def found(ranking: Ranking) -> Found:
    return [(hit.item, hit.score) for hit in ranking.hits]


def same(some: Found, others: Found) -> bool:
    return [item for item, _ in some] == [item for item, _ in others] and all(
        abs(a - b) < 1e-6 for (_, a), (_, b) in zip(some, others, strict=True)
    )


def together(work: Callable[[int], object]) -> list[object]:
    """What the work gives in each of several threads that begin at the same time."""
    barrier = threading.Barrier(THREADS)

    def begin(number: int) -> object:
        barrier.wait()
        return work(number)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(begin, range(THREADS)))


def test_many_threads_find_what_one_finds_while_another_process_indexes(
    photos: World, engine: Engine
) -> None:
    queries = mixed_queries(photos)
    expected = [found(engine.search(query, OPTIONS)) for query in queries]
    assert all(expected)
    more = photos.folder / "more"
    more.mkdir()
    for i in range(60):
        photos.draw(f"../more/{i}.png", 1000 + i)
    command = [sys.executable, "-m", "pictor", "--library", photos.path, "index", more]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as indexing:

        def search(number: int) -> int:
            count = 0
            while count < 3 * len(queries) or indexing.poll() is None:
                at = (number + count) % len(queries)
                assert same(found(engine.search(queries[at], OPTIONS)), expected[at]), queries[at]
                count += 1
            return count

        assert all(together(search))
        assert indexing.wait() == 0, indexing.stderr and indexing.stderr.read()
    everything = replace(OPTIONS, top=200)
    queries = [replace(query, filter=None) for query in queries]
    queries.append(Query((words("noise"), words("a dog", negative=True))))  # it depends on them all
    expected = [found(engine.search(query, everything)) for query in queries]
    assert len(expected[0]) == 100

    def search_all(number: int) -> bool:
        order = [*range(number, len(queries)), *range(number)]
        return all(same(found(engine.search(queries[i], everything)), expected[i]) for i in order)

    assert all(together(search_all))


def test_each_tower_and_index_is_opened_once(
    photos: World, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    for owner, name in (
        (space_encoders, "open_text"),
        (space_encoders, "open_image"),
        (indexes, "open_index"),
    ):
        monkeypatch.setattr(owner, name, counted(opened, name, getattr(owner, name)))
    queries = mixed_queries(photos)
    together(lambda number: [engine.search(query, OPTIONS) for query in queries])
    assert sorted(opened) == ["open_image", "open_index", "open_text"]


def counted(names: list[str], name: str, opener: Callable[..., object]) -> Callable[..., object]:
    def open_one(*args: object) -> object:
        names.append(name)
        return opener(*args)

    return open_one


def test_a_tower_encodes_for_one_thread_at_a_time(photos: World, engine: Engine) -> None:
    space = engine._library.space()
    inside: list[int] = []
    most: list[int] = []

    def encode(number: int) -> None:
        with engine._encoder._towers.text(space) as tower:
            inside.append(number)
            most.append(len(inside))
            tower.encode(["a wall"])
            inside.remove(number)

    together(encode)
    assert max(most) == 1


def test_closing_ends_the_searches_of_other_threads_with_one_sentence(photos: World) -> None:
    queries = mixed_queries(photos)
    library = photos.open()
    engine = Engine(library)
    under_way = threading.Semaphore(0)

    def search(number: int) -> str:
        try:
            while True:
                engine.search(queries[number % len(queries)], OPTIONS)
                under_way.release()
        except ValueError as error:
            return str(error)

    with ThreadPoolExecutor(THREADS) as pool:
        searches = [pool.submit(search, number) for number in range(THREADS)]
        for _ in range(2 * THREADS):
            under_way.acquire()
        engine.close()
        library.close()
        said = [one.result() for one in searches]
    assert all("closed" in text and "\n" not in text for text in said), said
    with pytest.raises(ValueError, match="was closed; open it again"), library.reading():
        pass


def test_memory_does_not_grow_with_searches(photos: World, engine: Engine) -> None:
    queries = mixed_queries(photos)

    def search(_: int) -> None:
        for query in queries:
            engine.search(query, OPTIONS)

    for _ in range(3):
        together(search)
    before = resident_bytes()
    for _ in range(5):
        together(search)
    assert resident_bytes() < 1.02 * before


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def test_an_index_with_many_changes_is_opened_anew_from_a_newer_cache(
    photos: World, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexes, "MOST_CHANGES", 2)
    engine.search(Query((words("a wall"),)))
    space = engine._library.space()
    for name in ("x", "y", "z"):
        photos.draw(f"{name}.png")
    photos.index()
    ranking = engine.search(Query((words("a wall"),)), OPTIONS)
    assert ranking.plan.items == 43
    (opened,) = engine._indexes._opened.values()
    assert opened.index.changes == 0
    held = IndexCache(engine._library.cache_dir(space, "index"))
    info = held.info(engine._library.library_id, space.id, space.fingerprint)
    assert getattr(info, "stamp", None) and opened.cached == opened.change


def test_a_search_goes_on_with_the_index_it_began_with(photos: World, engine: Engine) -> None:
    space = engine._library.space()
    engine.search(Query((words("a wall"),)))
    before = engine._indexes.current(space)
    photos.draw("later.png")
    photos.index()
    with Store.open(photos.path) as library:
        after = engine._indexes.current(library.space())
    assert (len(before), len(after)) == (40, 41)
