"""docs/search.md is true: what it says a query means, what it prints, and the Python it shows.

With PICTOR_WRITE_DOCS=1 the output of the console examples is written anew instead of compared.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from pictor import open_library
from pictor.cli.demo import collect
from pictor.cli.main import cli
from pictor.search import filters
from pictor.search.query import parse

#: Libraries are filled by worker processes.
pytestmark = pytest.mark.processes

PAGE = Path(__file__).resolve().parents[2] / "docs" / "search.md"
ROW = re.compile(r"\| `(.+)` \| `(.+)` \|")
CONSOLE = re.compile(r"```console\n(.*?)```", re.DOTALL)
PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
#: What was given to copies of photos: date, camera, (latitude, longitude), stars.
FACTS = {
    "chelsea.png": ("2023:05:12 10:00:00", "Sony ILCE-7M3", (48.21, 16.37), 5),
    "rocket.jpg": ("2024:07:16 21:30:00", "Canon EOS R5", (28.57, -80.65), 4),
    "coffee.png": ("2023:05:13 08:00:00", "Sony ILCE-7M3", (48.2, 16.36), 3),
}
WRITES = bool(os.environ.get("PICTOR_WRITE_DOCS"))


def rows() -> list[tuple[str, str]]:
    """Every "you write | it is understood as" of the page."""
    return [
        (match[1], match[2]) for match in map(ROW.fullmatch, PAGE.read_text().split("\n")) if match
    ]


@pytest.mark.parametrize(("written", "canonical"), rows())
def test_a_query_means_what_the_page_says(written: str, canonical: str) -> None:
    assert str(parse(written)) == canonical
    assert parse(canonical) == parse(written)


def test_the_page_has_every_filter_and_every_example_is_one() -> None:
    table = PAGE.read_text("utf-8").partition("## Filters")[2].partition("Filters side")[0]
    examples = [
        example
        for line in table.splitlines()
        if line.startswith("| `")
        for example in re.findall(r"`([a-z-]+:[^`]*)`", line.split("|")[1])
    ]
    assert {example.partition(":")[0] for example in examples} == set(filters.FILTERS)
    for example in examples:
        assert parse(example).parts == () and parse(example).filter is not None


@pytest.fixture(scope="module")
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


def run(home: Path, command: str) -> str:
    """What a command prints, its errors last, with the folder of the photos cut off."""
    words = shlex.split(command)[1:]
    result = CliRunner().invoke(cli, [words[0], "--library", str(home / "library"), *words[1:]])
    assert result.exit_code in (0, 1), result.output
    printed = result.stdout + result.stderr
    return printed.replace(f"{home}/", "")


def test_the_commands_print_what_the_page_shows(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    page = PAGE.read_text("utf-8")
    for block in CONSOLE.findall(page):
        parts = re.split(r"^\$ (.*)\n", block, flags=re.MULTILINE)[1:]
        made = "".join(f"$ {command}\n{run(home, command)}" for command in parts[::2])
        if WRITES:
            page = page.replace(block, made)
        else:
            assert NUMBER.sub("#", made) == NUMBER.sub("#", block)
    if WRITES:
        PAGE.write_text(page, "utf-8")


def test_the_python_of_the_page_runs(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(home / "library", tmp_path / "pictures.pictor")
    monkeypatch.chdir(tmp_path)
    (code,) = PYTHON.findall(PAGE.read_text("utf-8"))
    exec(compile(code, str(PAGE), "exec"), {})
