"""docs/duplicates.md is true: what its commands print, and the Python it shows.

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
from pictor.cli import output
from pictor.cli.demo import collect
from pictor.cli.main import cli
from pictor.duplicates.groups.rule_language import WORDS
from pictor.library.config import Settings

#: Libraries are filled by worker processes.
pytestmark = pytest.mark.processes

PAGE = Path(__file__).resolve().parents[2] / "docs" / "duplicates.md"
CONSOLE = re.compile(r"```console\n(.*?)```", re.DOTALL)
PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)
#: Hashes, group ids, moments, and numbers that a library for pictures may change a little.
VARIES = re.compile(r"\d{8}T\d{6}Z-\d{4}|\b[0-9a-f]{12,64}\b|\d+(?:[.,T:Z+-]+\d+)*Z?")
BLANKS = re.compile(r"[ \t]+")
WRITES = bool(os.environ.get("PICTOR_WRITE_DOCS"))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Photos of the demo, some of them again, and a library of them."""
    pytest.importorskip("skimage")
    collect(tmp_path / "all")
    old, new = tmp_path / "photos" / "2023", tmp_path / "photos" / "new"
    old.mkdir(parents=True)
    new.mkdir()
    for name in ("chelsea.png", "coffee.png", "rocket.jpg"):
        shutil.copy(tmp_path / "all" / name, old / name)
    shutil.rmtree(tmp_path / "all")
    shutil.copy(old / "rocket.jpg", new / "rocket (1).jpg")
    with Image.open(old / "coffee.png") as coffee:
        coffee.convert("RGB").resize((300, 200)).save(new / "coffee-small.jpg", quality=80)
    with Image.open(old / "chelsea.png") as chelsea:
        chelsea.convert("RGB").save(new / "chelsea.tiff")
        chelsea.convert("RGB").crop((30, 20, 420, 290)).save(new / "cat.jpg", quality=90)
    for number, path in enumerate(sorted((tmp_path / "photos").rglob("*.*"))):
        os.utime(path, ns=(1, 1_680_000_000_000_000_000 + number * 86_400 * 10**9))
    settings = Settings().with_values({"index.workers": 1}, "test")  # groups come as indexed
    with open_library(tmp_path / "library", settings=settings) as library:
        library.index([tmp_path / "photos"])
    return tmp_path


def run(home: Path, command: str) -> str:
    """What a command prints, its errors last, with the folder of the photos cut off."""
    words = shlex.split(command)[1:]
    result = CliRunner().invoke(cli, [*words, "--library", str(home / "library")])
    assert result.exit_code == 0, (result.output, result.exception)
    printed = result.stdout + result.stderr
    printed = re.sub(rf"(?<=[\w…]){re.escape(str(home))}/", "/…/", printed).replace(f"{home}/", "")
    return re.sub(r"[ \t]+$", "", printed, flags=re.MULTILINE).strip("\n") + "\n"


def same(text: str) -> str:
    return BLANKS.sub(" ", VARIES.sub("#", text))


def test_the_commands_print_what_the_page_shows(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    monkeypatch.setenv("COLUMNS", "220")
    monkeypatch.setattr(output, "is_terminal", lambda: True)
    page = PAGE.read_text("utf-8")
    for block in CONSOLE.findall(page):
        parts = re.split(r"^\$ (.*)\n", block, flags=re.MULTILINE)[1:]
        made = "".join(f"$ {command}\n{run(home, command)}" for command in parts[::2])
        if WRITES:
            page = page.replace(block, made)
        else:
            assert same(made) == same(block)
    if WRITES:
        PAGE.write_text(page, "utf-8")


def test_the_page_has_every_preference() -> None:
    table = PAGE.read_text("utf-8").partition("## Which file is kept")[2].partition("## Decide")[0]
    assert {word for word in re.findall(r"`([a-z-]+)`", table)} >= set(WORDS)


def test_the_python_of_the_page_runs(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(home / "library", home / "pictures.pictor")
    monkeypatch.chdir(home)
    (code,) = PYTHON.findall(PAGE.read_text("utf-8"))
    before = sorted(home.glob("photos/**/*.*"))
    exec(compile(code, str(PAGE), "exec"), {})
    assert sorted(home.glob("photos/**/*.*")) == before and (home / "plan.jsonl").is_file()
