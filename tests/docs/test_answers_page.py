"""docs/answers.md is true: what it prints, and the Python it shows.

With PICTOR_WRITE_DOCS=1 the output of the console examples is written anew instead of compared.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner

from pictor.answers.gates import Reason
from pictor.answers.question import read_question
from pictor.cli.main import cli

#: Libraries are filled by worker processes.
pytestmark = pytest.mark.processes

PAGE = Path(__file__).resolve().parents[2] / "docs" / "answers.md"
ROW = re.compile(r"\| `(.+)` \| `(.+)` \| (\w+) \|")
CONSOLE = re.compile(r"```console\n(.*?)```", re.DOTALL)
PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
WRITES = bool(os.environ.get("PICTOR_WRITE_DOCS"))


def rows() -> list[tuple[str, str, str]]:
    """Every "you ask | it searches for | it wants to know" of the page."""
    found = map(ROW.fullmatch, PAGE.read_text("utf-8").split("\n"))
    return [(match[1], match[2], match[3]) for match in found if match]


def test_the_page_has_examples() -> None:
    assert len(rows()) >= 8


@pytest.mark.parametrize(("question", "query", "intent"), rows())
def test_a_question_is_read_as_the_page_says(question: str, query: str, intent: str) -> None:
    asked = read_question(question, today=date(2026, 11, 27), places=lambda _: None)
    assert (str(asked.query), asked.intent) == (query, intent)


def test_every_reason_is_named() -> None:
    text = PAGE.read_text("utf-8")
    assert all(f"`{reason}`" in text for reason in Reason.__args__ if reason)


def run(home: Path, command: str) -> str:
    """What a command prints, its errors last, with the folder of the photos cut off."""
    words = shlex.split(command)[1:]
    result = CliRunner().invoke(cli, [words[0], "--library", str(home / "library"), *words[1:]])
    assert result.exit_code in (0, 1), result.output
    return (result.stdout + result.stderr).replace(f"{home}/", "")


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
