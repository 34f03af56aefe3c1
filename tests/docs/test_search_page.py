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
