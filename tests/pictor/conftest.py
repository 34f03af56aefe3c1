"""Drawn pictures, a library of them made once, and ways to run the command."""

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image, ImageDraw

from pictor import open_library
from pictor.cli.main import cli
from pictor.library.config import Settings

#: Names that a file system allows and that programs stumble over.
ODD_NAMES = {
    "chinese": "海边 的 狗.png".encode(),
    "not_utf8": b"bad\xff\xfe.png",
    "newline": b"new\nline.png",
    "escape": b"esc\x1b[31mred\x1b]0;owned\x07.png",
    "c1": "csi\u009b31m.png".encode(),
    "bidi": "rtl\u202egnp.exe.png".encode(),
    "tab": b"tab\there.png",
    "spaces": b" two  words .png",
    "dash": b"-dash.png",
    "quotes": b"quo\"te's <b>&amp;.png",
    "backslash": b"back\\slash.png",
}


def draw(path: bytes | Path, seed: int, size: tuple[int, int] = (96, 64)) -> None:
    """A picture that no other seed gives."""
    image = Image.new("RGB", size, (seed * 53 % 256, seed * 101 % 256, seed * 197 % 256))
    corner = (seed * 7 % 60, seed * 11 % 40)
    box = (*corner, corner[0] + 20 + seed % 9, corner[1] + 15)
    ImageDraw.Draw(image).rectangle(box, fill=(seed * 31 % 256, 255 - seed % 256, 40))
    image.save(path, "PNG")


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three plain pictures and a copy, every odd name, one broken file, one text, one animation."""
    folder = tmp_path_factory.mktemp("pictures")
    for seed, name in enumerate(("one.png", "two.png", "three.png"), 1):
        draw(folder / name, seed)
    (folder / "sub").mkdir()
    shutil.copy(folder / "one.png", folder / "sub" / "copy.png")
    for seed, name in enumerate(ODD_NAMES.values(), 10):
        draw(os.path.join(os.fsencode(folder), name), seed)
    (folder / "broken.png").write_bytes((folder / "two.png").read_bytes()[:100])
    (folder / "notes.txt").write_text("no picture\n")
    frames = [Image.new("RGB", (64, 48), (40 * i, 90, 200 - 40 * i)) for i in range(4)]
    frames[0].save(folder / "moving.gif", save_all=True, append_images=frames[1:], duration=1000)
    return folder


@pytest.fixture
def odd_paths(pictures: Path) -> list[bytes]:
    """The files of `pictures` that have odd names."""
    return [os.path.join(os.fsencode(pictures), name) for name in ODD_NAMES.values()]


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A zip with one picture."""
    folder = tmp_path_factory.mktemp("archive")
    draw(folder / "inside.png", 40)
    with zipfile.ZipFile(folder / "some.zip", "w") as file:
        file.write(folder / "inside.png", "in/inside.png")
    (folder / "inside.png").unlink()
    return folder / "some.zip"


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory, pictures: Path, archive: Path) -> Path:
    """The folder of a library that holds `pictures` and `archive`. Not to be written."""
    folder = tmp_path_factory.mktemp("library") / "lib"
    with open_library(folder, settings=Settings()) as opened:
        opened.index([pictures, archive])
    return folder


@pytest.fixture
def own_library(tmp_path: Path, library: Path) -> Path:
    """A copy of `library` that a test may change."""
    return Path(shutil.copytree(library, tmp_path / "own"))


Run = Callable[..., Result]


@pytest.fixture
def run() -> Run:
    """Run the command in this process: its result, whatever its exit status."""

    def run_it(*arguments: str | Path) -> Result:
        result = CliRunner().invoke(cli, [str(a) for a in arguments], prog_name="pictor")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run_it


Spawn = Callable[..., subprocess.CompletedProcess[bytes]]
COMMAND = (sys.executable, "-m", "pictor")


@pytest.fixture
def spawn() -> Spawn:
    """Run the command in a process of its own."""

    def spawn_it(*arguments: str | bytes | Path) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run([*COMMAND, *arguments], capture_output=True, timeout=120, check=False)

    return spawn_it


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """A folder with 150 pictures: a run over it takes seconds."""
    folder = tmp_path / "many"
    folder.mkdir()
    for seed in range(150):
        draw(folder / f"{seed:04}.png", seed)
    return folder
