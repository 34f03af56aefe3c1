"""The tool that draws faults: what it makes, that a draw is seeded, and what it calls seen."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from fault_operators import draw, faults_of

TESTS = Path(__file__).resolve().parent
SOURCE = '''
"""A module."""
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    NAMES = 1
__all__ = ["f"] * 3


@dataclass(frozen=True)
class Box:
    side: int = 2


def f(a: int, flag: bool = False) -> float:
    if not a < 3 <= 9 and flag:
        print(min(a, 1.5))
    while True:
        return sorted([a], reverse=True) + "s"
'''
WANTED = {
    (13, "2 -> 3"),
    (16, "False -> True"),
    (17, "condition forced false"),
    (17, "and -> or"),
    (17, "not dropped"),
    (17, "Lt -> LtE"),
    (17, "LtE -> Lt"),
    (17, "3 -> 4"),
    (17, "9 -> 10"),
    (18, "call left out"),
    (18, "min -> max"),
    (18, "1.5 -> 1.575"),
    (19, "condition forced false"),
    (20, "returns None"),
    (20, "True -> False"),
}


#: A project of one module; what its tests see of `SIZES` is told by the names of its functions.
SIZES = """
def is_large(size):
    return size > 10


def count_down(n):
    while n > 0:
        n = n - 1
    return n


def elsewhere():
    return 4


def unused():
    return 5
"""
TESTS_OF_SIZES = """
import subprocess
import sys

import sizes


def test_large():
    assert sizes.is_large(11) and not sizes.is_large(9)


def test_count():
    assert sizes.count_down(3) == 0


def test_elsewhere():
    code = "import sys, sizes; sys.exit(sizes.elsewhere())"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 4


def test_that_fails_anyhow():
    sizes.unused()
    assert False
"""
TABLE = """
[sizes]
files = ["sizes.py"]
tests = ["tests/test_sizes.py"]

[others]
files = ["others/*.py"]
tests = ["tests/test_sizes.py"]
"""


def test_every_fault_that_is_wanted_is_made_and_no_other() -> None:
    made = faults_of("a.py", SOURCE)
    assert {(fault.line, fault.what) for fault in made} == WANTED
    assert len({fault.text() for fault in made}) == len(made) == len(WANTED)
    assert str(made[0]) == "a.py:13: 2 -> 3: side: int = 2"


def test_a_fault_is_in_its_file_alone_and_taken_back() -> None:
    made = {fault.what: fault for fault in faults_of("a.py", SOURCE)}
    assert "print(max(a, 1.5))" in made["min -> max"].text()
    assert "print(min(a, 1.575))" in made["1.5 -> 1.575"].text()
    assert "if a < 3 <= 9 and flag" in made["not dropped"].text()
    assert faults_of("a.py", "while True:\n    f(1)")[0].text() == "while False:\n    f(1)\n"


def test_lines_are_those_of_the_statement_and_of_a_function_for_its_defaults() -> None:
    lines = {fault.what: fault.lines for fault in faults_of("a.py", SOURCE)}
    assert lines["min -> max"] == range(18, 19)
    assert lines["False -> True"] == range(16, 21)
    assert lines["Lt -> LtE"] == range(17, 18)


def test_a_draw_is_that_of_its_seed() -> None:
    made = faults_of("a.py", SOURCE)
    assert draw(made, 5, seed=7) == draw(made, 5, seed=7) != draw(made, 5, seed=8)
    assert len(draw(made, 5, seed=7)) == 5
    assert sorted(map(str, draw(made, 99, seed=7))) == sorted(map(str, made))


def test_the_table_names_files_and_tests_that_exist() -> None:
    parts = tomllib.loads((TESTS / "faults.toml").read_text("utf-8"))
    for name, part in parts.items():
        assert all(list(TESTS.parent.glob(pattern)) for pattern in part["files"]), name
        assert all((TESTS.parent / path).exists() for path in part["tests"]), name
        for test in part.get("without", ()):
            path, _, function = test.partition("::")
            source = (TESTS.parent / path).read_text("utf-8")
            assert f"def {function.partition('[')[0]}" in source, test


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A small project with the tool, where a test hangs after 2 s."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    top = tmp_path / "project"
    (top / "tests").mkdir(parents=True)
    for name in ("faults.py", "fault_runs.py", "fault_operators.py"):
        text = (TESTS / name).read_text("utf-8")
        (top / "tests" / name).write_text(text.replace("\nPATIENCE_S = 20.0", "\nPATIENCE_S = 2.0"))
    (top / "tests" / "faults.toml").write_text(TABLE)
    (top / "tests" / "test_sizes.py").write_text(TESTS_OF_SIZES)
    (top / "sizes.py").write_text(SIZES)
    (top / "docs").mkdir()
    page = "# Tests\n\n<!-- faults: begin -->\nold\n<!-- faults: end -->\n\nmore\n"
    (top / "docs" / "testing.md").write_text(page)
    git(top, "init", "--quiet")
    git(top, "add", ".")
    git(top, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", "x")
    return top


def git(top: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=top, check=True)


def faults(top: Path, *arguments: str) -> str:
    command = [sys.executable, top / "tests" / "faults.py", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_what_no_test_sees_survives(project: Path) -> None:
    out = faults(project, "--parts", "-n", "99")
    assert "left out, without a fault too: tests/test_sizes.py::test_that_fails_anyhow" in out
    survivors = re.findall(r"survived: (.*)", out)
    assert sorted(survivors) == [
        "sizes.py:17: 5 -> 6: return 5",
        "sizes.py:17: returns None: return 5",
        "sizes.py:3: Gt -> GtE: return size > 10",
    ]
    assert "10 of 13 faults seen, of 13 (1 took too long)" in out
    assert "| sizes | 13 | 13 | 10 | 3 |" in (project / "docs" / "testing.md").read_text()
    assert (project / "sizes.py").read_text() == SIZES


def test_files_that_changed_are_those_of_parts(project: Path) -> None:
    assert faults(project, "--changed", "HEAD") == ""
    (project / "sizes.py").write_text(SIZES + "\n\ndef more():\n    return 6\n")
    (project / "tests" / "test_sizes.py").write_text(TESTS_OF_SIZES + "\n")
    out = faults(project, "--changed", "HEAD", "-n", "3", "--minutes", "2")
    assert re.search(r"of 3 faults seen, of 15\b", out)
