"""Sidecars that go along with their photos and come back; logs and plans that others touched."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from duplicate_world import state_of
from small_world import World

from pictor import Library
from pictor.duplicates.removal.log import FOLDER, logs, read_log
from pictor.duplicates.removal.steps import StepResult
from pictor.library.errors import PlanError
from pictor.library.observer import Silent


@pytest.fixture
def home(world: World) -> World:
    """a.png with a copy beside it and one in a folder; the copies have sidecars."""
    world.draw("a.png")
    (world.root / "sub").mkdir()
    for copy in ("a (1).png", "sub/a.png"):
        shutil.copy2(world.root / "a.png", world.root / copy)
    for name in ("a.xmp", "a (1).png.xmp", "a (1).xmp", "sub/a.png.xmp"):
        (world.root / name).write_text(f"<x>{name}</x>")
    world.index()
    return world


def applied(world: World, *, write: bool = True, **options: Any) -> list[StepResult]:
    plan = world.folder / "plan.jsonl"
    with Library(world.path, world.settings) as library:
        duplicates = library.duplicates
        duplicates.plan(duplicates.groups(rules="prefer: name"), plan, force=True)
        act = duplicates.apply if write else duplicates.preview
        results: list[StepResult] = []
        act(plan, on_step=results.append, **options)
    return results


def undone(
    world: World, log: str | Path = "last", observer: Silent | None = None
) -> list[StepResult]:
    with Library(world.path, world.settings) as library:
        results: list[StepResult] = []
        library.duplicates.undo(log, on_step=results.append, observer=observer)
    return results


def left(world: World) -> set[str]:
    return {str(p.relative_to(world.root)) for p in world.root.rglob("*") if p.is_file()}


def test_sidecars_go_along_and_come_back(home: World) -> None:
    before = state_of(home.root)
    would = [(one.step.path, one.is_sidecar) for one in applied(home, write=False)]
    assert state_of(home.root) == before
    results = applied(home)
    assert [(one.step.path, one.is_sidecar) for one in results] == would
    assert not any(one.problem for one in results)
    assert sum(one.is_sidecar for one in results) == 3
    assert left(home) == {"a.png", "a.xmp"}  # the sidecar of what stays is as it was
    for one in results:
        assert Path(os.fsdecode(one.target)).read_bytes() == before[one.step.path][0]
        photo = next(o for o in results if not o.is_sidecar and one.target.startswith(
            os.path.splitext(o.target)[0]))  # fmt: skip
        assert os.path.dirname(photo.target) == os.path.dirname(one.target)
    assert not any(one.problem for one in undone(home))
    assert state_of(home.root) == before
    assert home.verify().ok and home.index().unchanged == 3


def test_a_sidecar_stays_while_another_file_may_need_it(home: World) -> None:
    (home.root / "a (1).CR3").write_bytes(b"raw")
    (home.root / "sub" / "a.png.xmp").write_bytes(b"")
    applied(home)
    assert left(home) == {"a.png", "a.xmp", "a (1).CR3", "a (1).xmp", "sub/a.png.xmp"}


def test_what_a_rule_keeps_and_links_stay(home: World) -> None:
    home.set(duplicates__never=[f"path:{home.root}/a (1).xmp"])
    target = home.folder / "elsewhere.xmp"
    (home.root / "sub" / "a.png.xmp").rename(target)
    (home.root / "sub" / "a.png.xmp").symlink_to(target)
    applied(home)
    assert left(home) == {"a.png", "a.xmp", "a (1).xmp", "sub/a.png.xmp"}


def test_hard_links_leave_sidecars(home: World) -> None:
    before = left(home)
    results = applied(home, mode="hardlink")
    assert len(results) == 2 and left(home) == before


def test_moved_sidecars_overwrite_nothing(home: World) -> None:
    target = home.folder / "moved"
    taken = target / str(home.root / "sub" / "a.png.xmp").lstrip("/")
    taken.parent.mkdir(parents=True)
    taken.write_bytes(b"mine")
    before = state_of(home.root)
    applied(home, mode="move", folder=target)
    assert taken.read_bytes() == b"mine" and taken.with_name("a.png (2).xmp").is_file()
    undone(home)
    assert state_of(home.root) == before


def test_a_cut_log_with_a_sidecar_is_settled(home: World) -> None:
    before = state_of(home.root)
    applied(home)
    with home.open() as library:
        (log,) = logs(library)
    rows = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    last = max(i for i, row in enumerate(rows) if "sidecar_of" in row)
    log.write_text("".join(json.dumps(row) + "\n" for row in rows[: last + 1]), "utf-8")
    assert not any(one.problem for one in undone(home))
    assert state_of(home.root) == before


class _Hears(Silent):
    def __init__(self) -> None:
        self.heard: list[str] = []

    def notice(self, text: str) -> None:
        self.heard.append(text)


@pytest.mark.parametrize(
    "text",
    [
        "not of pictor\n",
        '{"pictor_log": 99}\n',
        '{"pictor_log": 1, "library_id": "another"}\n',
        '{"pictor_log": 1, "library_id": "OWN"}\n{"step": 1, "state": "intent", "path": "/x"}\n',
    ],
)
def test_a_foreign_log_does_not_block_the_last_run(home: World, text: str) -> None:
    before = state_of(home.root)
    applied(home)
    with home.open() as library:
        foreign = library.path / FOLDER / "99990101T000000Z-0001.jsonl"
        foreign.write_text(text.replace("OWN", library.library_id), "utf-8")
    hears = _Hears()
    assert not any(one.problem for one in undone(home, observer=hears))
    assert state_of(home.root) == before
    assert len(hears.heard) == 1 and "it is skipped" in hears.heard[0]
    with pytest.raises(PlanError):
        undone(home, foreign)


def test_a_log_is_named_by_its_file_or_its_run(home: World) -> None:
    for form in ("{}.jsonl", "{}"):
        applied(home)
        with home.open() as library:
            log = [one for one in logs(library) if (state := read_log(one)) and state.steps("done")]
        assert undone(home, form.format(log[0].stem))


def test_plans_of_other_editors_are_read(home: World) -> None:
    applied(home, write=False)
    plan = home.folder / "plan.jsonl"
    data = plan.read_bytes()
    plan.write_bytes(b"\xef\xbb\xbf" + data.replace(b"\n", b"\r\n"))
    with Library(home.path, home.settings) as library:
        duplicates = library.duplicates
        would = duplicates.preview(plan)
        assert (would.done, would.sidecars, would.is_complete) == (2, 3, True)
        duplicates.plan(duplicates.groups(), plan, force=True)  # it is known for a plan
    head, *steps = [json.loads(line) for line in data.decode().splitlines()]
    real = steps[0]["bytes"]
    for size, said in ((10**30, "bytes is no size"), (10**15, "")):
        lines = [head, steps[0] | {"bytes": size}]
        plan.write_text("".join(json.dumps(one) + "\n" for one in lines), "utf-8")
        with Library(home.path, home.settings) as library:
            if said:
                with pytest.raises(PlanError, match=said):
                    library.duplicates.preview(plan)
            else:
                assert library.duplicates.preview(plan).size_bytes == real
