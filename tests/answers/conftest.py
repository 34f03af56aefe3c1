"""An album of drawn photos with known facts, and the library of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_world import World

from pictor.api import Library


class Album:
    """Photos with EXIF in a folder, and their library; a photo is found by its name."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._library: Library | None = None
        self._seed = 0

    def add(
        self,
        name: str | bytes,
        taken: str = "",
        camera: str = "",
        place: tuple[float, float] | None = None,
        **texts: str,
    ) -> Path:
        """A photo; `texts` are `description`, `title` and `keywords`."""
        exif = Image.Exif()
        if camera:
            exif[0x010F], exif[0x0110] = camera.split(" ", 1)
        if taken:
            exif[0x8769] = {0x9003: taken.replace("-", ":")}
        if place is not None:
            exif[0x8825] = {
                1: "N" if place[0] > 0 else "S",
                2: (abs(place[0]), 0.0, 0.0),
                3: "E" if place[1] > 0 else "W",
                4: (abs(place[1]), 0.0, 0.0),
            }
        if "description" in texts:
            exif[0x010E] = texts["description"]
        for tag, text in ((0x9C9B, texts.get("title")), (0x9C9E, texts.get("keywords"))):
            if text:
                exif[tag] = text.encode("utf-16-le") + b"\0\0"
        self._seed += 1
        pixels = np.random.default_rng(self._seed).integers(0, 255, (6, 6, 3), dtype=np.uint8)
        path: Path = self.world.root / (name if isinstance(name, str) else name.decode())
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).resize((64, 64)).save(path, "JPEG", exif=exif)
        return path

    @property
    def library(self) -> Library:
        """The library of what was added so far; it is indexed at its first use."""
        if self._library is None:
            self.world.index()
            self._library = Library(self.world.path, self.world.settings)
        return self._library

    def close(self) -> None:
        if self._library is not None:
            self._library.close()


@pytest.fixture
def album(world: World) -> Iterator[Album]:
    """An empty one."""
    made = Album(world)
    yield made
    made.close()


@pytest.fixture(scope="module")
def shared_album(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Album]:
    """An empty one that the tests of a file fill once and then only ask."""
    with pytest.MonkeyPatch.context() as patched:
        made = Album(World(tmp_path_factory.mktemp("album"), patched))
        yield made
        made.close()
