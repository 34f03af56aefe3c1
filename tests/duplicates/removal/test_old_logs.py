"""Logs and plans of earlier runs: they are read, undone and completed, and written the same way."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import removal_runs
from duplicate_world import state_of
from removal_runs import LOGS, RULES, filled, replay, rows_of, template
from small_world import World

from pictor import Library
from pictor.duplicates.removal.log import FOLDER
from pictor.duplicates.removal.steps import StepResult
from pictor.library.errors import PlanError

RUN = "20260101T000000Z-0001"
Open = Callable[[bytes, bytes], None]


def reserved(_: bytes, target: bytes) -> None:
    open(target, "xb").close()


def copied(path: bytes, target: bytes) -> None:
    shutil.copy2(path, target)


#: By the name of a log that was cut short: what had been done of its open step.
CUT: dict[str, Open] = {
    "cut_before": reserved,
    "cut_torn": os.rename,
    "cut_copied": copied,
    "cut_undo": lambda path, target: None,
}


@pytest.fixture
def home(world: World) -> World:
    """The folder that the runs were made on, indexed."""
    removal_runs.draw(world.root)
    world.index()
    world.sql(
        "UPDATE content SET rating = 4, keywords = ? WHERE id = "
        "(SELECT content_id FROM file WHERE path = ?)",
        '["Holiday"]',
        b"near.bmp",
    )
    pair = (world.root / "a.bmp", world.root / "near.bmp")
    with Library(world.path, world.settings) as library:
        library.duplicates.decide(*pair, "keep", keep=pair[0])
    return world


def library_id(world: World) -> str:
    with world.open() as library:
        return library.library_id


def text_of(world: World, name: str, run: str = RUN) -> str:
    """A stored log, or the plan, as if it had been written for this library."""
    text = (LOGS / f"{name}.jsonl.in").read_text("utf-8")
    return filled(text, world.folder, library_id(world), run)


def put_log(world: World, name: str) -> Path:
    """Files and catalog as the run of a stored log left them, with the log in its place."""
    text = text_of(world, name)
    folder = world.path / FOLDER
    folder.mkdir()
    log = folder / f"{RUN}.jsonl"
    log.write_text(text, "utf-8")
    replay(text, CUT.get(name))
    world.index()
    for row in rows_of(text):
        if row.get("state") == "carried":
            rated = (row["rating"], bytes.fromhex(row["to"]))
            world.sql("UPDATE content SET rating = ? WHERE hash = ?", *rated)
    return log


def undone(world: World) -> list[StepResult]:
    with Library(world.path, world.settings) as library:
        results: list[StepResult] = []
        library.duplicates.undo(on_step=results.append)
    return results


def applied(world: World, plan: Path, **options: Any) -> list[StepResult]:
    with Library(world.path, world.settings) as library:
        results: list[StepResult] = []
        library.duplicates.apply(plan, on_step=results.append, **options)
    return results


def rating(world: World, name: str) -> int | None:
    rows = world.sql(
        "SELECT rating FROM content JOIN file ON content_id = content.id WHERE path = ?",
        name.encode(),
    )
    return int(rows[0][0]) if rows[0][0] is not None else None


@pytest.mark.parametrize("name", ["trash", "move", "hardlink", *CUT])
def test_undo_and_recovery_read_old_logs(home: World, name: str) -> None:
    (home.root / "sub/c copy.bmp").chmod(0o600 if name == "hardlink" else 0o644)
    before = state_of(home.root)
    put_log(home, name)
    results = undone(home)
    assert results and not [one.problem for one in results if one.problem]
    assert state_of(home.root) == before
    assert len({path.stat().st_ino for path in home.root.rglob("*.bmp")}) == 6
    assert not state_of(home.path / "trash") and not state_of(home.folder / "moved")
    assert rating(home, "a.bmp") is None and rating(home, "near.bmp") == 4
    assert not any(missing for _, _, missing in home.files().values())
    assert home.verify().ok
    with pytest.raises(PlanError, match="no run to undo"):
        undone(home)


def test_an_old_run_that_was_undone_has_nothing_left(home: World) -> None:
    put_log(home, "undone")
    before = state_of(home.root)
    with pytest.raises(PlanError, match="no run to undo"):
        undone(home)
    assert state_of(home.root) == before


def test_an_old_plan_is_applied(home: World) -> None:
    before = state_of(home.root)
    plan = home.folder / "plan.jsonl"
    plan.write_text(text_of(home, "plan"), "utf-8")
    results = applied(home, plan)
    assert len(results) == 6 and not any(one.problem for one in results)
    assert len(state_of(home.root)) == 2
    undone(home)
    assert state_of(home.root) == before


@pytest.mark.parametrize("name", ["trash", "move", "hardlink", "undone"])
def test_the_lines_of_a_log_are_what_they_were(home: World, name: str) -> None:
    plan = home.folder / "plan.jsonl"
    with Library(home.path, home.settings) as library:
        library.duplicates.plan(library.duplicates.groups(rules=RULES), plan)
    options: dict[str, Any] = {"mode": "trash" if name == "undone" else name}
    if name == "hardlink":
        (home.root / "sub/c copy.bmp").chmod(0o600)
    if name == "move":
        options["folder"] = home.folder / "moved"
        removal_runs.take_name(home.root, options["folder"])
    applied(home, plan, **options)
    if name == "undone":
        undone(home)
    (log,) = (home.path / FOLDER).iterdir()
    made = template(log.read_text("utf-8"), home.folder, library_id(home), log.stem)
    assert made == (LOGS / f"{name}.jsonl.in").read_text("utf-8")


def test_the_lines_of_a_plan_are_what_they_were(home: World) -> None:
    plan = home.folder / "plan.jsonl"
    with Library(home.path, home.settings) as library:
        library.duplicates.plan(library.duplicates.groups(rules=RULES), plan)
    made = template(plan.read_text("utf-8"), home.folder, library_id(home))
    reason = re.compile(r'"reason": "[^"]*"')
    stored = (LOGS / "plan.jsonl.in").read_text("utf-8")
    assert reason.sub("", made) == reason.sub("", stored)
