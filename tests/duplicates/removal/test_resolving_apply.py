"""From groups to files that go, and back: plans, applying, undoing."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from duplicate_world import content_ids, link, names, state_of
from small_world import World

from pictor import Library
from pictor.duplicates.groups.records import Group
from pictor.duplicates.removal import apply, file_moves
from pictor.duplicates.removal.apply import ApplyOptions
from pictor.duplicates.removal.log import logs, read_log
from pictor.duplicates.removal.steps import StepResult
from pictor.library.catalog import removals
from pictor.library.errors import LibraryLocked, PlanError
from pictor.library.lock import write_lock
from pictor.library.pairs import Kind


@pytest.fixture
def home(world: World) -> World:
    """a.png with two copies; b.png, a near version of it; c.png with a copy; a single one."""
    for name in ("a.png", "b.png", "c.png", "single.png"):
        world.draw(name)
    (world.root / "sub").mkdir()
    for copy, original in (("a2.png", "a.png"), ("sub/a3.png", "a.png"), ("sub/c2.png", "c.png")):
        shutil.copy2(world.root / original, world.root / copy)
    for number, path in enumerate(sorted(world.root.rglob("*.png"))):
        os.utime(path, ns=(1, 1_600_000_000_123_456_789 + number * 1_000_000_007))
        path.chmod(0o640 if number % 2 else 0o604)
    world.index()
    with world.open() as library:
        link(library, "a.png", "b.png", Kind.NEAR)
    return world


RULES = "prefer: name"


def opened(world: World) -> Library:
    return Library(world.path, world.settings)


def planned(world: World, name: str = "plan.jsonl", **options: Any) -> Path:
    path = world.folder / name
    with opened(world) as library:
        groups: list[Group] = list(library.duplicates.groups(rules=RULES, **options))
        library.duplicates.plan(groups, path, force=True)
    return path


def applied(world: World, plan: Path, **options: Any) -> list[StepResult]:
    results: list[StepResult] = []
    with opened(world) as library:
        library.duplicates.apply(plan, on_step=results.append, **options)
    return results


def undone(world: World, log: str | Path = "last") -> list[StepResult]:
    results: list[StepResult] = []
    with opened(world) as library:
        library.duplicates.undo(log, on_step=results.append)
    return results


def problems(results: list[StepResult]) -> list[str]:
    return [one.problem for one in results if one.problem]


def rewritten(plan: Path, change: Callable[[list[dict[str, Any]]], None]) -> Path:
    """The plan with its lines changed by hand."""
    rows = [json.loads(line) for line in plan.read_text("utf-8").splitlines()]
    change(rows)
    plan.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return plan


def test_a_plan_says_what_goes_and_what_it_frees(home: World) -> None:
    plan = planned(home)
    header, *steps = [json.loads(line) for line in plan.read_text("utf-8").splitlines()]
    assert header["pictor_plan"] == 1 and header["files"] == 4 and header["groups"] == 2
    going = {os.path.relpath(step["path"], home.root) for step in steps}
    assert going == {"a2.png", "sub/a3.png", "b.png", "sub/c2.png"}
    assert header["bytes"] == sum(step["bytes"] for step in steps)
    assert {os.path.basename(step["keep"]) for step in steps} == {"a.png", "c.png"}
    assert all(step["reason"].startswith("kept: ") for step in steps)


def test_a_plan_is_never_written_over(home: World) -> None:
    plan = planned(home)
    with opened(home) as library:
        groups = list(library.duplicates.groups())
        with pytest.raises(PlanError, match="--force"):
            library.duplicates.plan(groups, plan)
        library.duplicates.plan(groups, plan, force=True)
        photo = home.root / "a.png"
        before = photo.read_bytes()
        with pytest.raises(PlanError, match="it is not a plan"):
            library.duplicates.plan(groups, photo, force=True)
    assert photo.read_bytes() == before
    assert not [path for path in home.folder.iterdir() if path.name.startswith(".pictor")]


def test_a_rehearsal_touches_nothing(home: World) -> None:
    plan = planned(home)
    before = state_of(home.folder)
    with opened(home) as library:
        results: list[StepResult] = []
        library.duplicates.preview(plan, on_step=results.append)
    assert len(results) == 4 and not problems(results)
    after = state_of(home.folder)
    assert {k: v for k, v in after.items() if b"catalog.sqlite" not in k} == {
        k: v for k, v in before.items() if b"catalog.sqlite" not in k
    }


def test_there_and_back_byte_for_byte(home: World) -> None:
    before = state_of(home.root)
    plan = planned(home)
    results = applied(home, plan)
    assert not problems(results) and len(results) == 4
    assert {path.name for path in home.root.rglob("*.png")} == {"a.png", "c.png", "single.png"}
    for one in results:
        assert one.target.startswith(os.fsencode(home.path / "trash") + b"/")
        assert Path(os.fsdecode(one.target)).read_bytes() == before[one.step.path][0]
    assert {name for name, (_, _, missing) in home.files().items() if missing} == {
        "a2.png", "sub/a3.png", "b.png", "sub/c2.png"
    }  # fmt: skip
    assert not problems(undone(home))
    assert state_of(home.root) == before
    assert not any(missing for _, _, missing in home.files().values())
    summary = home.index()
    assert (summary.unchanged, summary.missing, summary.indexed) == (7, 0, 0)
    assert home.verify().ok
    assert not any((home.path / "trash").rglob("*.png"))
    with pytest.raises(PlanError, match="no run to undo"):
        undone(home)


def test_a_second_apply_finds_nothing_left_to_do(home: World) -> None:
    plan = planned(home)
    applied(home, plan)
    kept = state_of(home.root)
    again = applied(home, plan)
    assert problems(again) == ["it is not there any more"] * 4
    assert state_of(home.root) == kept
    assert len(problems(undone(home))) == 0  # of the first run: the second did nothing
    assert len(state_of(home.root)) == 7


def test_a_search_after_it_finds_no_ghosts(home: World) -> None:
    applied(home, planned(home))
    assert sorted(name for name, state in home.found().items() if state == "present") == [
        "a.png", "c.png", "single.png",
    ]  # fmt: skip


def test_what_changed_since_is_left_alone(home: World) -> None:
    plan = planned(home)
    a2, a3, b = (home.root / name for name in ("a2.png", "sub/a3.png", "b.png"))
    facts = a2.stat()
    data = bytearray(a2.read_bytes())
    data[-1] ^= 1
    a2.write_bytes(data)
    os.utime(a2, ns=(facts.st_atime_ns, facts.st_mtime_ns))  # only its bytes tell
    a3.unlink()
    a3.symlink_to(home.root / "a.png")
    b.unlink()
    before = state_of(home.root)
    found = {os.path.basename(one.step.path): one.problem for one in applied(home, plan)}
    assert "its bytes differ" in found[b"a2.png"]
    assert "no regular file" in found[b"a3.png"]
    assert "not there any more" in found[b"b.png"]
    assert found[b"c2.png"] == ""
    after = state_of(home.root)
    before.pop(os.fsencode(home.root / "sub/c2.png"))
    assert after == before and a3.is_symlink()


def test_a_keeper_that_vanished_or_changed_keeps_all_of_its_group(home: World) -> None:
    plan = planned(home)
    (home.root / "a.png").unlink()
    (home.root / "c.png").write_bytes((home.root / "single.png").read_bytes())
    before = state_of(home.root)
    found = problems(applied(home, plan))
    assert len(found) == 4 and all("the file to keep" in one for one in found)
    assert state_of(home.root) == before


def test_the_last_copy_stays_whatever_a_plan_says(home: World) -> None:
    """Each is to go for another one, in a circle: one stays."""

    def circle(rows: list[dict[str, Any]]) -> None:
        header, *steps = rows
        one = next(step for step in steps if step["path"].endswith("a2.png"))
        files = [str(home.root / name) for name in ("a.png", "a2.png", "sub/a3.png")]
        rows[:] = [
            header,
            *(one | {"path": path, "keep": files[i - 1]} for i, path in enumerate(files)),
        ]

    results = applied(home, rewritten(planned(home), circle))
    assert [bool(one.problem) for one in results] == [False, True, False]
    left = [path.name for path in home.root.rglob("a*.png")]
    assert left == ["a2.png"]


def hostile(world: World) -> list[tuple[str, dict[str, str], str]]:
    """(name, what a step says otherwise, what is said of it)."""
    root = str(world.root)
    outside = world.folder / "outside.png"
    shutil.copy2(world.root / "a.png", outside)
    single = str(world.root / "single.png")
    return [
        ("outside", {"path": str(outside)}, "no such file"),
        ("climbing", {"path": f"{root}/sub/../../outside.png"}, "not plain"),
        ("relative", {"path": "a2.png"}, "not plain"),
        ("no catalog row", {"path": f"{root}/nothing.png"}, "no such file"),
        (
            "itself",
            {"path": f"{root}/a.png", "keep": f"{root}/a.png"},
            "the kept file itself",
        ),
        ("another content", {"content": "00" * 32}, "not the one in the plan"),
        ("keeper outside", {"keep": str(outside)}, "does not have the file to keep"),
        (
            "keeper is another",
            {"keep": single},
            "content of the file to keep is not the one in the plan",
        ),
        ("library", {"path": str(world.path / "catalog.sqlite")}, "no such file"),
    ]


def test_plans_edited_by_hand_do_no_harm(home: World) -> None:
    plan = planned(home)
    cases = hostile(home)

    def change(rows: list[dict[str, Any]]) -> None:
        good = next(row for row in rows[1:] if row["path"].endswith("/a2.png"))
        rows[1:] = [good | case for _, case, _ in cases]

    before = state_of(home.folder / "photos"), (home.folder / "outside.png").read_bytes()
    results = applied(home, rewritten(plan, change))
    for (name, _, said), one in zip(cases, results, strict=True):
        assert said in one.problem, name
    assert (state_of(home.root), (home.folder / "outside.png").read_bytes()) == before


def test_one_picture_never_goes_for_another_one(home: World) -> None:
    with opened(home) as library, library._open().reading() as connection:
        digest = {
            name: removals.contents_at(connection, os.fsencode(home.root / name))[0]
            for name in ("single.png", "c.png")
        }

    def change(rows: list[dict[str, Any]]) -> None:
        rows[1:] = [
            rows[1]
            | {"path": str(home.root / "single.png"), "content": digest["single.png"]}
            | {"keep": str(home.root / "c.png"), "keep_content": digest["c.png"]}
        ]

    plan = rewritten(planned(home), change)
    assert problems(applied(home, plan)) == ["the two are not known to be alike"]
    with home.open() as library:
        link(library, "single.png", "c.png", Kind.DIFFERENT)
    assert problems(applied(home, plan)) == ["the two are not known to be alike"]
    with opened(home) as library:
        library.duplicates.decide(home.root / "single.png", home.root / "c.png", "not-duplicate")
    assert "decided that the two are not-duplicate" in problems(applied(home, plan))[0]
    with opened(home) as library:
        pair = (home.root / "single.png", home.root / "c.png")
        library.duplicates.decide(*pair, "keep", keep=pair[0])
    assert "this is the one to keep" in problems(applied(home, plan))[0]
    with opened(home) as library:
        library.duplicates.decide(*pair, "keep", keep=pair[1])
    assert problems(applied(home, plan)) == []


def test_a_folder_exchanged_for_a_link_leads_nowhere(home: World) -> None:
    plan = planned(home)
    (home.root / "sub").rename(home.folder / "elsewhere")
    (home.root / "sub").symlink_to(home.folder / "elsewhere")
    before = state_of(home.folder / "elsewhere")
    found = {os.path.basename(one.step.path): one.problem for one in applied(home, plan)}
    assert "symbolic link" in found[b"a3.png"] and "symbolic link" in found[b"c2.png"]
    assert state_of(home.folder / "elsewhere") == before


def test_never_holds_when_a_plan_is_applied(home: World) -> None:
    plan = planned(home)
    home.set(duplicates__never=[f"path:{home.root}/sub"])
    results = applied(home, plan)
    assert sorted(names([one.step.path for one in results if one.problem])) == ["a3.png", "c2.png"]


def test_hard_links_count_once_and_free_nothing_while_one_stays(home: World) -> None:
    for name in ("l1.png", "l2.png"):
        os.link(home.root / "sub/c2.png", home.root / name)
    os.link(home.root / "a.png", home.root / "same.png")
    home.index()
    with opened(home) as library:
        plan = library.duplicates.plan(library.duplicates.groups(rules=RULES), home.folder / "p")
    sizes = {path.name: path.stat().st_size for path in home.root.rglob("*.png")}
    going = names([step.path for step in plan.steps])
    assert sorted(going) == ["a2.png", "a3.png", "b.png", "c2.png", "l1.png", "l2.png"]
    assert plan.hard_links == 1 and plan.free_nothing == 0
    assert plan.size_bytes == 2 * sizes["a.png"] + sizes["b.png"] + sizes["c.png"]
    home.set(duplicates__never=[f"path:{home.root}/l1.png"])
    with opened(home) as library:
        plan = library.duplicates.plan(library.duplicates.groups(rules=RULES), home.folder / "q")
    assert plan.free_nothing == 2
    assert plan.size_bytes == 2 * sizes["a.png"] + sizes["b.png"]


def test_hardlinks_share_one_file_and_come_apart_again(home: World) -> None:
    for path in home.root.rglob("*.png"):
        path.chmod(0o644)
    (home.root / "sub/c2.png").chmod(0o600)
    home.index()
    before = state_of(home.root)
    found = {
        os.path.basename(o.step.path): o.problem
        for o in applied(home, planned(home), mode="hardlink")
    }
    assert "would lose them" in found[b"b.png"] and "access rights" in found[b"c2.png"]
    assert found[b"a2.png"] == found[b"a3.png"] == ""
    inodes = {(home.root / name).stat().st_ino for name in ("a.png", "a2.png", "sub/a3.png")}
    assert len(inodes) == 1 and (home.root / "a.png").stat().st_nlink == 3
    kept = os.fsencode(home.root / "a.png")
    assert state_of(home.root)[kept] == before[kept]
    assert home.index().unchanged == 7
    assert not problems(undone(home))
    assert state_of(home.root) == before
    assert (home.root / "a.png").stat().st_nlink == 1
    assert home.index().unchanged == 7


def test_move_keeps_whole_paths_and_gives_colliding_names_numbers(home: World) -> None:
    target = home.folder / "moved"
    taken = target / str(home.root / "a2.png").lstrip("/")
    taken.parent.mkdir(parents=True)
    taken.write_bytes(b"mine")
    before = state_of(home.root)
    results = applied(home, planned(home), mode="move", folder=target)
    assert not problems(results)
    assert taken.read_bytes() == b"mine"
    assert taken.with_name("a2 (2).png").is_file()
    assert not problems(undone(home))
    assert state_of(home.root) == before
    assert list(state_of(target)) == [os.fsencode(taken)]


def test_a_trash_inside_an_indexed_folder_is_refused(home: World) -> None:
    plan = planned(home)
    for folder in (home.root, home.root / "sub" / "trash"):
        with pytest.raises(PlanError, match="would find the files again"):
            applied(home, plan, folder=folder)
    assert len(state_of(home.root)) == 7
    assert not problems(applied(home, plan, folder=home.root / ".trash"))
    assert home.index().indexed == 0


def test_the_library_may_lie_in_the_folder_it_indexes(world: World) -> None:
    world.path = world.root / "library"
    world.draw("a.png")
    shutil.copy(world.root / "a.png", world.root / "b.png")
    world.index()
    assert not problems(applied(world, planned(world)))
    summary = world.index()
    assert (summary.seen, summary.indexed, summary.moved) == (1, 0, 0)
    assert not problems(undone(world))


def test_undo_overwrites_nothing(home: World) -> None:
    applied(home, planned(home))
    (home.root / "a2.png").write_bytes(b"new")
    shutil.rmtree(home.root / "sub")
    results = undone(home)
    assert problems(results) == ["another file is in its place"]
    assert (home.root / "a2.png").read_bytes() == b"new"
    assert (home.root / "sub/c2.png").is_file()
    (home.root / "a2.png").unlink()
    assert not problems(undone(home)) and (home.root / "a2.png").stat().st_size > 3


def test_a_trash_that_cannot_be_written_is_refused_before_any_file(home: World) -> None:
    plan = planned(home)
    before = state_of(home.root)
    taken = home.folder / "a file"
    taken.write_bytes(b"")
    for folder in (taken, taken / "below"):
        for mode in ("trash", "move"):
            with pytest.raises(PlanError, match=r"nothing can be moved to .*: \w"):
                applied(home, plan, folder=folder, mode=mode)
    assert state_of(home.root) == before


def test_undo_leaves_no_empty_folder_of_the_run(home: World) -> None:
    plan = planned(home)
    trash = home.folder / "trash"
    trash.mkdir()
    assert not problems(applied(home, plan, folder=trash))
    assert any(trash.iterdir())
    assert not problems(undone(home))
    assert trash.is_dir() and not any(trash.iterdir())


def test_undo_leaves_what_was_changed_in_the_trash(home: World) -> None:
    results = applied(home, planned(home))
    changed = next(one for one in results if one.step.path.endswith(b"/b.png"))
    Path(os.fsdecode(changed.target)).write_bytes(b"changed")
    assert problems(undone(home)) == ["its bytes are not those it had"]
    assert not (home.root / "b.png").exists() and (home.root / "a2.png").exists()


def test_two_at_once_are_refused(home: World) -> None:
    plan = planned(home)
    with write_lock(home.path):
        with pytest.raises(LibraryLocked):
            applied(home, plan)
        with pytest.raises(LibraryLocked):
            undone(home)
    assert len(state_of(home.root)) == 7


@pytest.fixture
def other_disk(tmp_path: Path) -> Path:
    """A folder on another file system."""
    folder = Path("/dev/shm") / f"pictor-test-{os.getpid()}"
    if not Path("/dev/shm").is_dir() or os.stat("/dev/shm").st_dev == os.stat(tmp_path).st_dev:
        pytest.skip("there is no second file system here (/dev/shm)")
    folder.mkdir()
    request = folder
    return request


def test_across_file_systems_bytes_times_and_rights_travel(home: World, other_disk: Path) -> None:
    try:
        before = state_of(home.root)
        results = applied(home, planned(home), folder=other_disk)
        assert not problems(results)
        moved = state_of(other_disk)
        for one in results:
            assert moved[one.target] == before[one.step.path]
        assert len(moved) == 4  # no leftovers
        assert not problems(undone(home))
        assert state_of(home.root) == before and not state_of(other_disk)
    finally:
        shutil.rmtree(other_disk)


def test_a_full_disk_leaves_the_file_where_it_is(
    home: World, other_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    before = state_of(home.root)
    monkeypatch.setattr(file_moves, "_copy_bytes", full)
    try:
        found = problems(applied(home, planned(home), folder=other_disk))
        assert len(found) == 4 and all("No space left" in one for one in found)
        assert state_of(home.root) == before and not state_of(other_disk)
    finally:
        shutil.rmtree(other_disk)


def test_a_bad_copy_is_never_taken_for_the_file(
    home: World, other_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(_: int, target: int) -> None:
        os.write(target, b"not the same")

    before = state_of(home.root)
    monkeypatch.setattr(file_moves, "_copy_bytes", wrong)
    try:
        assert all(
            "other bytes" in p for p in problems(applied(home, planned(home), folder=other_disk))
        )
        assert state_of(home.root) == before and not state_of(other_disk)
    finally:
        shutil.rmtree(other_disk)


def test_a_full_disk_under_the_log_stops_before_anything_is_touched(
    home: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pictor.duplicates.removal.log import Log
    from pictor.duplicates.removal.log_lines import LogLine

    real = Log.write

    def write(self: Log, line: LogLine) -> None:
        if line.to_json().get("step") == 2:
            raise PlanError("the log cannot be written, so nothing more was touched: full")
        real(self, line)

    plan = planned(home)
    before = state_of(home.root)
    monkeypatch.setattr(Log, "write", write)
    with pytest.raises(PlanError, match="full"):
        applied(home, plan)
    monkeypatch.undo()
    assert len(state_of(home.root)) == 6
    assert not problems(undone(home)) and state_of(home.root) == before


def test_a_read_only_folder_keeps_its_files(home: World) -> None:
    if os.geteuid() == 0:
        pytest.skip("the rights of folders do not bind root")
    plan = planned(home)
    (home.root / "sub").chmod(0o555)
    try:
        found = {os.path.basename(one.step.path): one.problem for one in applied(home, plan)}
    finally:
        (home.root / "sub").chmod(0o755)
    assert "cannot be moved" in found[b"a3.png"] and found[b"a2.png"] == ""
    assert (home.root / "sub/a3.png").exists()


def test_odd_names_go_and_come_back(world: World) -> None:
    world.draw("a.png")
    odd = (
        b"bad\xff\xfe.png",
        b"new\nline.png",
        "海边.png".encode(),
        b" two  words .png",
        b"-x.png",
    )
    odd += (b"quo\"te'\\.png", b"\x1b[31m.png", b"n" * 251 + b".png")
    for name in odd:
        shutil.copy2(world.root / "a.png", os.path.join(os.fsencode(world.root), name))
    world.index()
    before = state_of(world.root)
    plan = planned(world)
    assert all(json.loads(line) for line in plan.read_text("utf-8").splitlines())
    assert not problems(applied(world, plan))
    assert len(state_of(world.root)) == 1
    assert not problems(undone(world)) and state_of(world.root) == before


def test_tags_keywords_and_rating_go_to_what_stays_and_come_back(home: World) -> None:
    with opened(home) as library:
        library.tags.add([home.root / "b.png"], "places|Wien")
        library.tags.add([home.root / "a.png"], "Family")
    home.sql(
        "UPDATE content SET rating = 4, keywords = ? WHERE id = "
        "(SELECT content_id FROM file WHERE path = ?)",
        '["family", "Holiday"]',
        b"b.png",
    )

    def known() -> tuple[set[str], int | None]:
        with home.open() as library:
            content = content_ids(library)["a.png"]
        rows = home.sql("SELECT label FROM tag WHERE content_id = ?", content)
        rating = home.sql("SELECT rating FROM content WHERE id = ?", content)[0][0]
        return {label for (label,) in rows}, rating

    def kept() -> int:
        with home.open() as library:
            return content_ids(library)["a.png"]

    before = known()
    assert before == ({"Family"}, None)
    assert not problems(applied(home, planned(home)))
    assert known() == ({"Family", "places|Wien", "Holiday"}, 4)
    home.sql("UPDATE content SET outcome = 'failed', reason = 'damaged' WHERE id = ?", kept())
    home.sql("UPDATE file SET outcome = 'failed' WHERE content_id = ?", kept())
    assert home.index(retry=True).indexed == 1  # decoded anew: what was carried stays
    assert known() == ({"Family", "places|Wien", "Holiday"}, 4)
    assert not problems(undone(home))
    assert known() == before


def test_damaged_plans_and_logs_are_named(home: World) -> None:
    plan = planned(home)
    good = plan.read_text("utf-8").splitlines()
    cases = {
        "": "not a plan of this version",
        "[1]\n": "no JSON object",
        "{}\n": "not a plan of this version",
        good[0] + "\nnothing\n": "line 2 .* no JSON",
        good[0] + '\n{"path": "/x"}\n': "line 2 .* no content hash",
        good[0].replace('"library_id": "', '"library_id": "x'): "another library",
    }
    for text, said in cases.items():
        plan.write_text(text, "utf-8")
        with pytest.raises(PlanError, match=said):
            applied(home, plan)
    with pytest.raises(PlanError, match="cannot be read"):
        applied(home, home.folder / "no such plan")
    with pytest.raises(PlanError, match="is no log"):
        undone(home, planned(home))
    with pytest.raises(PlanError, match="cannot be read"):
        undone(home, home.folder / "no such log")


def test_a_log_of_its_own_place_can_be_undone(home: World) -> None:
    before = state_of(home.root)
    applied(home, planned(home))
    (log,) = [path for path in logs(home.open()) if read_log(path)]
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert not problems(undone(home, log)) and state_of(home.root) == before


def test_apply_stops_where_it_is_told_to(home: World) -> None:
    from pictor.library.observer import Silent

    class Stops(Silent):
        left = 2

        def should_stop(self) -> bool:
            self.left -= 1
            return self.left < 0

    before = state_of(home.root)
    assert len(applied(home, planned(home), observer=Stops())) == 2
    assert len(state_of(home.root)) == 5
    assert len(undone(home)) == 2 and state_of(home.root) == before


def test_options_are_checked(home: World) -> None:
    with home.open() as library, pytest.raises(PlanError, match="no folder was named"):
        apply.apply(library, [], ApplyOptions("move"))
