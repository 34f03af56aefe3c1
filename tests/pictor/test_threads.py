"""One open library in many threads: they share it, and writing closes nothing that is in use."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

from pictor import Library, open_library
from pictor.library.config import Settings
from pictor.query import SearchOptions

#: Libraries are filled by worker processes.
pytestmark = pytest.mark.processes

ALL = SearchOptions(minimum="any", is_folded=False)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    for i in range(6):
        _draw(tmp_path / "photos" / f"{i}.png", i)
    return tmp_path / "photos"


def _draw(path: Path, seed: int) -> None:
    Image.linear_gradient("L").rotate(seed * 37).resize((64 + seed, 48)).save(path)


def _found(library: Library) -> list[tuple[bytes, float]]:
    hits = library.search("a white square", top=50, options=ALL)
    return [(hit.path, round(hit.score, 5)) for hit in hits]


def test_searches_go_on_while_another_thread_writes(photos: Path, tmp_path: Path) -> None:
    with open_library(tmp_path / "library", settings=Settings()) as library:
        library.index([photos])
        before, ended, counts = _found(library), threading.Event(), []

        def search() -> None:
            while not ended.is_set():
                counts.append(len(_found(library)))

        with ThreadPoolExecutor(3) as threads:
            searches = [threads.submit(search) for _ in range(3)]
            try:
                for i in range(6, 9):
                    _draw(photos / f"{i}.png", i)
                    assert library.index().indexed == 1
                    library.tags.add([photos / f"{i}.png"], "new")
                (photos / "0.png").unlink()
                library.index()
                library.purge()
            finally:
                ended.set()
            for one in searches:
                one.result()
        assert min(counts) >= len(before) and max(counts) <= 9
        after = _found(library)  # by the same object, which was not opened again
        assert len(after) == 8 and bytes(photos / "0.png") not in dict(after)
        assert {path: score for path, score in before if path in dict(after)}.items() <= (
            dict(after).items()
        )


def test_threads_open_the_library_and_its_engine_once(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pictor.library.store import Store
    from pictor.search.engine import Engine

    with open_library(tmp_path / "library", settings=Settings()) as library:
        library.index([photos])
    opened: list[str] = []
    _count(monkeypatch, Engine, "__init__", opened)
    _count(monkeypatch, Store, "__init__", opened)
    start = threading.Barrier(4)
    with open_library(tmp_path / "library") as library, ThreadPoolExecutor(4) as threads:

        def search() -> list[tuple[bytes, float]]:
            start.wait()
            return _found(library)

        found = [one.result() for one in [threads.submit(search) for _ in range(4)]]
    assert found == [found[0]] * 4 and len(found[0]) == 6
    assert sorted(opened) == ["Engine", "Store"]


def _count(monkeypatch: pytest.MonkeyPatch, kind: type, name: str, calls: list[str]) -> None:
    real: Callable[..., None] = getattr(kind, name)

    def counted(self: object, *args: object, **options: object) -> None:
        calls.append(kind.__name__)
        real(self, *args, **options)

    monkeypatch.setattr(kind, name, counted)


def test_a_closed_library_says_so(photos: Path, tmp_path: Path) -> None:
    library = open_library(tmp_path / "library", settings=Settings())
    library.index([photos])
    library.close()
    with pytest.raises(ValueError, match="was closed; open it again"):
        library.search("x")
    with pytest.raises(ValueError, match="was closed; open it again"):
        library.tags.count()
