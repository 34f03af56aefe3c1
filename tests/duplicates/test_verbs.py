"""`library.duplicates`: verbs that act when they are called, and say what they did."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from duplicate_world import state_of
from small_world import World

from pictor import Library
from pictor.duplicates.groups.decisions_file import decision_of
from pictor.duplicates.removal.steps import RemovalResult, StepResult
from pictor.library.errors import LibraryLocked, RuleError, SourceError
from pictor.library.lock import write_lock
from pictor.library.observer import Silent


@pytest.fixture
def home(world: World) -> World:
    """a.png with three copies, one of which has a sidecar."""
    world.draw("a.png")
    world.draw("other.png")
    for number in range(3):
        shutil.copy2(world.root / "a.png", world.root / f"a ({number}).png")
    (world.root / "a (1).png.xmp").write_text("<x/>")
    world.index()
    return world


@pytest.fixture
def library(home: World) -> Library:
    return Library(home.path, home.settings)


@pytest.fixture
def plan(home: World, library: Library) -> Path:
    path = home.folder / "plan.jsonl"
    groups = list(library.duplicates.groups(rules="prefer: name"))
    assert library.duplicates.plan(groups) == library.duplicates.plan(groups, path)
    return path


class Stops(Silent):
    """Stops before the step after so many."""

    def __init__(self, steps: int) -> None:
        self._left = steps

    def should_stop(self) -> bool:
        self._left -= 1
        return self._left < 0


def test_verbs_act_as_statements(home: World, library: Library, plan: Path) -> None:
    before = state_of(home.root)
    size = (home.root / "a.png").stat().st_size
    library.duplicates.apply(plan)
    assert {path.name for path in home.root.iterdir()} == {"a.png", "other.png"}
    library.duplicates.undo()
    assert state_of(home.root) == before
    done = library.duplicates.apply(plan)
    log = done.log
    assert log is not None and log.is_file()
    assert done == RemovalResult(done=3, sidecars=1, size_bytes=3 * size, log=log)
    assert library.duplicates.undo() == done


def test_a_preview_counts_and_touches_nothing(home: World, library: Library, plan: Path) -> None:
    before = state_of(home.root)
    steps: list[StepResult] = []
    would = library.duplicates.preview(plan, on_step=steps.append)
    assert (would.done, would.sidecars, would.skipped, would.log) == (3, 1, 0, None)
    assert [one.is_sidecar for one in steps].count(True) == 1 and len(steps) == 4
    assert state_of(home.root) == before


def test_a_stopped_run_says_so(home: World, library: Library, plan: Path) -> None:
    before = state_of(home.root)
    for verb in (library.duplicates.preview, library.duplicates.apply):
        done = verb(plan, observer=Stops(1))
        assert (done.done, done.unseen, done.stopped) == (1, 2, True)
    library.duplicates.undo()
    library.duplicates.apply(plan)
    undone = library.duplicates.undo(observer=Stops(2))
    assert (undone.unseen, undone.stopped) == (3 - undone.done, True)
    assert not library.duplicates.undo().stopped
    assert state_of(home.root) == before


def test_what_fails_in_a_callback_loses_nothing(home: World, library: Library, plan: Path) -> None:
    before = state_of(home.root)

    def fails(_: StepResult) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        library.duplicates.apply(plan, on_step=fails)
    assert len(state_of(home.root)) < len(before)
    with pytest.raises(KeyboardInterrupt):
        library.duplicates.undo(on_step=fails)
    assert state_of(home.root) == before
    assert not any(missing for _, _, missing in home.files().values())


def test_a_locked_library_is_refused_at_the_call(home: World, library: Library, plan: Path) -> None:
    before = state_of(home.root)
    with write_lock(home.path):
        for verb in (library.duplicates.apply, library.duplicates.undo):
            with pytest.raises(LibraryLocked):
                verb(plan)
    assert state_of(home.root) == before


def test_decisions_are_replaced_and_taken_back(home: World, library: Library) -> None:
    duplicates = library.duplicates
    files = (home.root / "a.png", home.root / "other.png")
    duplicates.decide(*files, "related")
    (row,) = duplicates.decisions()
    was = decision_of(row.low, row.high, "related")
    assert duplicates.decide_all([decision_of(row.low, row.high, "keep-a")]) == [was]
    assert duplicates.undecide_all([(row.low, row.high)]) == 1
    assert duplicates.undecide(*files) is False and duplicates.decisions() == []


def test_groups_are_checked_before_they_are_read(home: World, library: Library) -> None:
    for verb in (library.duplicates.check, library.duplicates.groups):
        with pytest.raises(RuleError):
            verb(rules="prefer: nothing")
        with pytest.raises(SourceError):
            verb(["/no/such/folder"])
    library.duplicates.check([home.root], against=home.root / "a.png")


def test_a_misspelt_mode_or_decision_changes_nothing(library: Library, plan: Path) -> None:
    before = state_of(library.path.parent / "photos")
    with pytest.raises(ValueError, match="'hard-link' is none of trash, hardlink, move"):
        library.duplicates.apply(plan, mode="hard-link")  # type: ignore[arg-type]
    one, other = sorted((library.path.parent / "photos").glob("*.png"))[:2]
    with pytest.raises(ValueError, match="'keeep' is none of not-duplicate, related, keep"):
        library.duplicates.decide(one, other, "keeep", keep=one)  # type: ignore[arg-type]
    assert state_of(library.path.parent / "photos") == before
    assert library.duplicates.decisions() == []


def test_one_path_is_not_a_list_of_letters(home: World, library: Library) -> None:
    library.duplicates.find()
    root = str(home.root)
    assert library.index(root).unchanged == 5
    alone = list(library.duplicates.groups(root, kinds="bytes"))
    assert alone == list(library.duplicates.groups([root], kinds=["bytes"])) != []
    assert library.tags.add(str(home.root / "other.png"), "mine") == 1
