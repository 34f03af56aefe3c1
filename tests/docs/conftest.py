"""The library that the pages show: the demo's photos, copies of three with a date and a place."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from pictor import open_library
from pictor.cli.demo import collect

#: What was given to copies of photos: date, camera, (latitude, longitude), stars.
FACTS = {
    "chelsea.png": ("2023:05:12 10:00:00", "Sony ILCE-7M3", (48.21, 16.37), 5),
    "rocket.jpg": ("2024:07:16 21:30:00", "Canon EOS R5", (28.57, -80.65), 4),
    "coffee.png": ("2023:05:13 08:00:00", "Sony ILCE-7M3", (48.2, 16.36), 3),
}


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the demo's photos, some with facts, and a library of them."""
    pytest.importorskip("skimage")
    folder = tmp_path_factory.mktemp("docs")
    collect(folder / "photos")
    (folder / "photos" / "trip").mkdir()
    for name, (taken, camera, place, stars) in FACTS.items():
        exif = Image.Exif()
        exif[0x010F], exif[0x0110] = camera.split(" ", 1)
        exif[0x4746] = stars
        exif[0x8769] = {0x9003: taken}
        exif[0x8825] = {
            1: "N" if place[0] > 0 else "S",
            2: (abs(place[0]), 0.0, 0.0),
            3: "E" if place[1] > 0 else "W",
            4: (abs(place[1]), 0.0, 0.0),
        }
        with Image.open(folder / "photos" / name) as picture:
            picture.convert("RGB").save(
                folder / "photos" / "trip" / f"{Path(name).stem}.jpg", exif=exif, quality=90
            )
    with open_library(folder / "library") as library:
        library.index([folder / "photos"])
    return folder
