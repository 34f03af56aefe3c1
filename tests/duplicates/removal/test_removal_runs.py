"""Runs of removals: previews that agree with them, steps that fail, and undoing part of them."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from duplicate_world import content_ids, link, state_of
from small_world import World

from pictor import Library
from pictor.duplicates.removal import apply, metadata_transfer, preflight, recovery, undo
from pictor.duplicates.removal.apply import ApplyOptions
from pictor.duplicates.removal.log import LogState, read_log
from pictor.duplicates.removal.log_lines import Carried, Intent
from pictor.duplicates.removal.preflight import Checker, Refused
from pictor.duplicates.removal.steps import RemovalResult, Step, StepResult
from pictor.library.catalog import removals
from pictor.library.errors import PlanError
from pictor.library.observer import Progress, Silent
from pictor.library.pairs import Kind
from pictor.library.store import Store


@pytest.fixture
def home(world: World) -> World:
    """a.png with a copy, and the same as b.png in two folders, one of them with sidecars."""
    world.draw("a.png", 1)
    for name in ("a2.png", "sub/b.png", "sub/b.jpg"):
        (world.root / name).parent.mkdir(exist_ok=True)
        shutil.copy2(world.root / "a.png", world.root / name)
    for name in ("a2.png.xmp", "sub/b.xmp", "sub/b.png.xmp"):
        (world.root / name).write_text(f"<x>{name}</x>")
    world.index()
    return world


class Hears(Silent):
    def __init__(self, steps: int = 99) -> None:
        self.left = steps
        self.heard: list[str] = []
        self.states: list[Progress] = []

    def progress(self, state: Progress) -> None:
        self.states.append(state)

    def notice(self, text: str) -> None:
        self.heard.append(text)

    def should_stop(self) -> bool:
        self.left -= 1
        return self.left < 0


def planned(world: World) -> Path:
    plan = world.folder / "plan.jsonl"
    with Library(world.path, world.settings) as library:
        groups = list(library.duplicates.groups(rules="prefer: name"))
        library.duplicates.plan(groups, plan, force=True)
    return plan


def run(
    world: World, verb: str, *given: object, **options: Any
) -> tuple[RemovalResult, list[StepResult]]:
    """What a verb of duplicates came to, and each step."""
    results: list[StepResult] = []
    with Library(world.path, world.settings) as library:
        act = getattr(library.duplicates, verb)
        return act(*given, on_step=results.append, **options), results


def applied(world: World, **options: Any) -> tuple[RemovalResult, list[StepResult]]:
    return run(world, "apply", planned(world), **options)


def log_of(result: RemovalResult) -> LogState:
    assert result.log is not None
    state = read_log(result.log)
    assert state is not None
    return state


# --- previews


@pytest.mark.parametrize("mode", ["trash", "move", "hardlink"])
def test_a_preview_says_what_a_run_does(
    home: World, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.set(duplicates__never=[f"path:{home.root}/a2.png.xmp"])
    options = {"mode": mode} | ({"folder": home.folder / "moved"} if mode == "move" else {})
    plan = planned(home)
    (home.root / "a3.png").write_bytes((home.root / "a2.png").read_bytes())
    text = plan.read_text()
    (row,) = [line for line in text.splitlines() if "/a2.png" in line]
    plan.write_text(f"{text}{row.replace('/a2.png', '/a3.png')}\n")
    before = state_of(home.root)
    with monkeypatch.context() as patch:
        patch.setattr(preflight, "hash_of", lambda _: pytest.fail("a preview reads no file whole"))
        would, steps = run(home, "preview", plan, **options)
    assert state_of(home.root) == before and would.log is None
    assert not (home.path / "trash").exists() and not (home.folder / "moved").exists()
    done, results = run(home, "apply", plan, **options)
    assert done.log is not None
    name = os.fsencode(done.log.stem)
    paths = [(one.step.path, one.target, one.problem, one.is_sidecar) for one in results]
    expected = [
        (one.step.path, one.target.replace("…".encode(), name), one.problem, one.is_sidecar)
        for one in steps
    ]
    assert paths == expected and replace(done, log=None) == would
    sidecars = 0 if mode == "hardlink" else 2
    assert (done.done, done.skipped, done.sidecars) == (3, 1, sidecars)
    size = (home.root / "a.png").stat().st_size
    assert {one.step.size_bytes for one in results if not (one.is_sidecar or one.problem)} == {size}
    assert all(one.target == one.step.path for one in results if mode == "hardlink" and one.target)
    state = log_of(done)
    assert state.is_settled and state.header.owns_target is (mode == "trash")
    assert state.header.steps == 4
    files = [number for number, intent in state.intents.items() if not intent.is_sidecar]
    assert [*files, *range(5, 5 + sidecars)] == sorted(state.intents) and max(files) <= 4
    undone, _ = run(home, "undo")
    assert state_of(home.root) == before and undone.is_complete


@pytest.mark.parametrize("verb", ["preview", "apply", "undo"])
def test_progress_counts_files_and_not_sidecars(home: World, verb: str) -> None:
    plan = planned(home)
    if verb == "undo":
        run(home, "apply", plan)
    hears = Hears()
    run(home, verb, *(() if verb == "undo" else (plan,)), observer=hears)
    doing = {"preview": "checking", "apply": "applying", "undo": "undoing"}[verb]
    done = sorted({(one.doing, one.done, one.total) for one in hears.states})
    assert done[0] == (doing, 0, 3) and {one[2] for one in done} == {3} and not hears.heard


def test_names_that_are_taken_get_numbers(tmp_path: Path) -> None:
    for name in (".x", "a", "a.b.png", "n" * 251 + ".png"):
        path = os.fsencode(tmp_path / name)
        assert apply._free_name(path) == path
        for number in (2, 3):
            Path(os.fsdecode(apply._free_name(path))).symlink_to("nothing")
            stem, ending = os.path.splitext(name)
            found = os.path.basename(os.fsdecode(apply._free_name(path)))
            mark = f" ({number}){ending}"
            assert found == stem[: 255 - len(mark)] + mark
            assert len(found) == min(255, len(name) + 4)


def test_where_files_may_go(home: World) -> None:
    plan = planned(home)
    hidden, below = home.root / "x" / ".bin" / "y", home.root / "x" / "bin"
    for verb in ("preview", "apply"):
        with pytest.raises(PlanError, match="no folder was named"):
            run(home, verb, plan, mode="move")
        with pytest.raises(PlanError, match="find the files again"):
            run(home, verb, plan, folder=below)
    home.set(index__hidden=True)
    for verb in ("preview", "apply"):
        with pytest.raises(PlanError, match="find the files again"):
            run(home, verb, plan, folder=hidden)
    home.set(index__hidden=False)
    assert not below.exists() and not hidden.exists()
    for folder in (hidden, home.root.with_name("photos2"), Path("~/bin")):
        done, steps = run(home, "apply", plan, folder=folder)
        start = os.fsencode(folder.expanduser()) + b"/"
        assert done.done == 3 and all(one.target.startswith(start) for one in steps)
        run(home, "undo")


def test_a_library_within_its_root_has_its_own_trash(world: World) -> None:
    world.path = world.root / "library"
    world.draw("a.png")
    shutil.copy(world.root / "a.png", world.root / "b.png")
    world.index()
    with pytest.raises(PlanError, match="find the files again"):
        applied(world, folder=world.path / "trash2")
    assert applied(world, folder=world.path / "trash" / "mine")[0].done == 1


# --- checks


def step_of(world: World, name: str = "a2.png") -> Step:
    with world.open() as library, library.reading() as connection:
        kept = os.fsencode(world.root / "a.png")
        (digest,) = removals.contents_at(connection, kept)
    path = os.fsencode(world.root / name)
    return Step(path, digest, 1, kept, digest, "g", "same", "kept: why")


def test_a_file_is_read_once_while_it_stays_as_it_is(
    home: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    real = preflight.hash_of

    def hash_of(file: int) -> str:
        read.append(file)
        return real(file)

    monkeypatch.setattr(preflight, "hash_of", hash_of)
    one, other = step_of(home), step_of(home, "sub/b.png")
    with home.open() as library:
        checker = Checker(library)
        for step, reads, count in (
            *[(one, False, 0), (one, True, 2), (one, True, 2), (other, True, 3)],
        ):
            with checker.opened(step, reads=reads):
                assert len(read) == count
        os.utime(home.root / "a.png")
        with checker.opened(one) as (source, _):
            assert len(read) == 4
            (home.root / "a2.png").unlink()
            with pytest.raises(Refused, match="changes while"):
                checker._verify(source, one.content, "x")


def test_what_cannot_be_read_is_refused(home: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: int) -> str:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(preflight, "hash_of", fails)
    with home.open() as library:
        with (
            pytest.raises(Refused, match="it cannot be read: broken"),
            Checker(library).opened(step_of(home)),
        ):
            pass
        with Checker(library).opened(step_of(home), reads=False):
            pass
        never = Checker(library, [step_of(home).path])
        with (
            pytest.raises(Refused, match="a rule protects it"),
            never.opened(step_of(home), reads=False),
        ):
            pass


def test_paths_are_plain_and_absolute(home: World) -> None:
    step = step_of(home)
    forms = (b"photos/a.png", b"/x/../a", b"/a/", b"/./a")
    with home.open() as library:
        for wrong in (
            *(step._replace(path=form) for form in forms),
            *(step._replace(keep=form) for form in forms),
        ):
            with (
                pytest.raises(Refused, match="not plain and absolute"),
                Checker(library).opened(wrong, reads=False),
            ):
                pass


# --- steps that fail


def failing(real: Callable[..., Any], part: bytes, error: Exception) -> Callable[..., Any]:
    """The same, but for targets with this in their name."""

    def act(source: Any, target: bytes, *more: Any) -> None:
        if part in target:
            raise error
        real(source, target, *more)

    return act


def test_a_sidecar_that_stays_is_told_and_counted(
    home: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for error, said in (
        (OSError(errno.ENOSPC, "full"), "it cannot be moved: full"),
        (OSError("odd"), "it cannot be moved: odd"),
        (Refused("it was replaced"), "it was replaced"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(apply, "move", failing(apply.move, b".xmp", error))
            done, steps = applied(home)
        counts = (done.done, done.skipped, done.sidecars, done.sidecars_skipped)
        assert counts == (3, 0, 0, 3) and not done.is_complete
        followers = [one for one in steps if one.is_sidecar]
        assert {(one.problem, one.target) for one in followers} == {(said, b"")}
        assert len(log_of(done).steps("aborted")) == 3 == len(log_of(done).steps("done"))
        assert len(list(home.root.rglob("*.xmp"))) == 3
        assert not any(Path(home.path / "trash").rglob("*.xmp"))
        run(home, "undo")


def test_a_sidecar_that_cannot_be_read_stays(home: World, monkeypatch: pytest.MonkeyPatch) -> None:
    real = apply.open_in

    def open_in(parent: int, name: bytes) -> Any:
        if name == b"b.xmp":
            raise OSError(errno.EIO, "broken")
        return real(parent, name)

    monkeypatch.setattr(apply, "open_in", open_in)
    done, steps = applied(home)
    assert (done.sidecars, done.sidecars_skipped) == (2, 1)
    (left,) = [one for one in steps if one.is_sidecar and one.problem]
    assert left.step.path.endswith(b"/b.xmp") and left.problem == "it cannot be moved: broken"


def test_the_catalog_learns_of_steps_in_batches(
    home: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    tell, told = apply._ApplyRun._tell_catalog, undo._tell_catalog

    def tell_catalog(self: Any) -> None:
        seen.append(len(self._waiting))
        tell(self)

    def tell_of_undone(library: Any, waiting: list[Intent], observer: Any) -> None:
        seen.append(len(waiting))
        told(library, waiting, observer)

    monkeypatch.setattr(apply, "_BATCH", 2)
    monkeypatch.setattr(undo, "_BATCH", 2)
    monkeypatch.setattr(apply._ApplyRun, "_tell_catalog", tell_catalog)
    monkeypatch.setattr(undo, "_tell_catalog", tell_of_undone)
    applied(home)  # a2.png with a sidecar, b.jpg alone, b.png with two
    assert sum(seen) == 6 and seen[0] == 2 and max(seen) <= 4 and len(seen) == 3
    seen.clear()
    run(home, "undo")
    assert seen == [2, 2, 2, 0]


def test_a_file_that_cannot_be_put_back_can_be_later(
    home: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = state_of(home.root)
    done, _ = applied(home)
    broken = OSError(errno.ENOSPC, "full")
    with monkeypatch.context() as patch:
        patch.setattr(undo, "move", failing(undo.move, b"a2.png", broken))
        part, steps = run(home, "undo")
    assert (part.done, part.skipped, part.sidecars, part.sidecars_skipped) == (2, 1, 2, 1)
    assert {one.problem for one in steps} == {"", "it cannot be put back: full"}
    state = log_of(done)
    assert len(state.steps("done")) == 2 and state.is_settled
    assert '"why": "it could not be undone"' in (state.path.read_text())
    again, _ = run(home, "undo")
    assert (again.done, again.sidecars) == (1, 1) and state_of(home.root) == before


def test_a_link_that_was_replaced_is_not_undone(home: World) -> None:
    applied(home, mode="hardlink")
    copy = home.root / "a2.png"
    data = copy.read_bytes()
    copy.unlink()
    copy.write_bytes(data)
    done, steps = run(home, "undo")
    assert done.skipped == 1 and {o.problem for o in steps} == {"", "it is no hard link any more"}


def test_folders_of_a_run_go_once_they_are_empty(tmp_path: Path) -> None:
    def left(base: str, run: str, other: str = "") -> list[str]:
        top = tmp_path / "t"
        shutil.rmtree(top, ignore_errors=True)
        target = Path(f"{top}/{base}/p/q/a")
        target.parent.mkdir(parents=True)
        if other:
            (top / base / other).write_bytes(b"")
        undo._remove_empty_folders(os.fsencode(target), b"/p/q/a", run.encode())
        return sorted(str(path.relative_to(top)) for path in top.rglob("*"))

    assert left("run", "run") == []
    assert left("moved", "run") == ["moved"]
    assert left("run", "run", "x") == ["run", "run/x"]
    assert left("moved", "run", "p/x") == ["moved", "moved/p", "moved/p/x"]
    assert (tmp_path / "t").is_dir()


# --- which run is undone


def test_a_run_is_found_by_every_name_it_has(home: World, monkeypatch: pytest.MonkeyPatch) -> None:
    done, _ = applied(home)
    assert done.log is not None
    monkeypatch.chdir(home.folder)
    with home.open() as library:
        for name in (done.log, done.log.name, done.log.stem, os.path.relpath(done.log)):
            assert undo._found(library, Path(name)).samefile(done.log)
        for name in ("nothing", f"x/{done.log.name}"):
            assert undo._found(library, Path(name)) == Path(name)
        (home.folder / done.log.name).write_text("nearer")
        assert undo._found(library, Path(done.log.name)).read_text() == "nearer"
    empty = home.folder / "empty"
    empty.write_text("")
    with pytest.raises(PlanError, match="is empty: that run touched nothing"):
        run(home, "undo", empty)
    run(home, "undo", done.log)
    text = done.log.read_text()
    assert '"settled"' not in text and text.count('{"state": "end"}') == 2
    with pytest.raises(PlanError, match="has nothing left to undo"):
        run(home, "undo", done.log)
    assert done.log.read_text() == text


def test_a_log_that_lies_elsewhere_is_settled_first(home: World) -> None:
    before = state_of(home.root)
    done, _ = applied(home)
    assert done.log is not None
    elsewhere = home.folder / "log.jsonl"
    rows = done.log.read_text().splitlines(keepends=True)
    elsewhere.write_text("".join(rows[:-2]))  # without the last "done" and the end
    done.log.unlink()
    hears = Hears()
    undone, _ = run(home, "undo", elsewhere, observer=hears)
    assert (undone.done, undone.sidecars) == (3, 3) and state_of(home.root) == before
    assert elsewhere.read_text().count('"settled": true') == 1


def test_a_cut_log_is_settled_once_and_told(home: World) -> None:
    done, _ = applied(home)
    assert done.log is not None
    rows = done.log.read_text().splitlines(keepends=True)
    done.log.write_text("".join(rows[:-2]))
    moved = log_of(done).intents[1]
    Path(os.fsdecode(moved.path)).write_bytes(b"new")  # came to the place since
    home.sql("UPDATE file SET missing_since = NULL")
    with home.open() as library, library.writer():
        told = f"the run {done.log.stem} was interrupted; its log is now completed"
        hears = Hears()
        for _ in range(2):
            assert recovery.settle_all(library, hears) == []
        assert hears.heard == [told]
    assert log_of(done).is_settled
    missing = {name for name, (_, _, gone) in home.files().items() if gone}
    assert missing == {"a2.png", "sub/b.png", "sub/b.jpg"} - {
        os.path.relpath(os.fsdecode(moved.path), home.root)
    }


@pytest.mark.parametrize("is_named", [False, True])
@pytest.mark.parametrize("lines", [1, 2])
def test_completing_a_cut_undoing_undoes_no_other_run(
    home: World, is_named: bool, lines: int
) -> None:
    earlier, _ = applied(home)
    home.draw("c.png", 2)
    shutil.copy2(home.root / "c.png", home.root / "c2.png")
    home.index()
    later, _ = applied(home)
    between = state_of(home.root)
    assert later.log is not None and later.done == 1
    name = later.log.stem if is_named else "last"
    run(home, "undo")
    rows = later.log.read_text().splitlines(keepends=True)
    later.log.write_text("".join(rows[:-lines]))  # killed before its end, or its last "undone"
    before, hears = state_of(home.root), Hears()
    done, steps = run(home, "undo", name, observer=hears)
    assert (done.done, done.log, steps) == (0, later.log, []) and state_of(home.root) == before
    assert before != between and log_of(earlier).steps("done") and log_of(later).is_settled
    assert hears.heard == [
        f"the run {later.log.stem} was interrupted; its log is now completed",
        f"the run {later.log.stem} is now undone: all its files were back",
    ]
    assert run(home, "undo")[0].log == earlier.log


def test_an_older_run_whose_undoing_was_cut_is_not_the_last(home: World) -> None:
    earlier, _ = applied(home)
    home.draw("c.png", 2)
    shutil.copy2(home.root / "c.png", home.root / "c2.png")
    home.index()
    later, _ = applied(home)
    assert earlier.log is not None
    run(home, "undo", earlier.log)
    rows = earlier.log.read_text().splitlines(keepends=True)
    earlier.log.write_text("".join(rows[:-1]))
    done, _ = run(home, "undo")
    assert (done.done, done.log) == (1, later.log)


def test_files_that_the_library_forgot_are_told(home: World) -> None:
    applied(home)
    home.sql("DELETE FROM file WHERE path = ?", b"a2.png")
    hears = Hears()
    done, _ = run(home, "undo", observer=hears)
    said = "1 of the restored files are no longer in the library; run: pictor index"
    assert hears.heard == [said] and done.is_complete
    applied(home)
    hears = Hears()
    run(home, "undo", observer=hears)
    assert hears.heard == []


def test_a_file_that_went_again_is_none_that_is_unknown(home: World) -> None:
    done, _ = applied(home)
    intents = log_of(done).intents
    photo = next(one for one in intents.values() if not one.is_sidecar)
    sidecar = next(one for one in intents.values() if one.is_sidecar)
    with home.open() as library, library.writing() as connection:
        assert recovery.note_undone(connection, photo)
        Path(os.fsdecode(photo.path)).write_bytes(b"x")
        Path(os.fsdecode(sidecar.path)).write_bytes(b"x")
        assert recovery.note_undone(connection, photo)
        assert recovery.note_undone(connection, sidecar)
        assert not recovery.note_undone(connection, replace(photo, content="00" * 32))


# --- tags and ratings


@pytest.fixture
def two(world: World) -> World:
    """a.png, and b.png with two keywords and a rating."""
    world.draw("a.png")
    world.draw("b.png")
    world.index()
    with world.open() as library:
        link(library, "a.png", "b.png", Kind.NEAR)
    rate(world, "b.png", 4)
    world.sql(
        "UPDATE content SET keywords = ? WHERE id = "
        "(SELECT content_id FROM file WHERE path = 'b.png' OR path = ?)",
        '["One", "a||b", "", "One", "Two"]',
        b"b.png",
    )
    return world


def rate(world: World, name: str, rating: int | None) -> None:
    world.sql(
        "UPDATE content SET rating = ? WHERE id = (SELECT content_id FROM file WHERE path = ?)",
        rating,
        name.encode(),
    )


def known(world: World, name: str) -> tuple[int | None, set[str]]:
    """The rating of a file, and its tags."""
    with world.open() as library:
        content = content_ids(library)[name]
    ((rating,),) = world.sql("SELECT rating FROM content WHERE id = ?", content)
    labels = world.sql("SELECT label FROM tag WHERE content_id = ?", content)
    return rating, {label for (label,) in labels}


def digests(library: Store, world: World) -> tuple[str, str]:
    with library.reading() as connection:
        one, other = (
            removals.contents_at(connection, os.fsencode(world.root / name))[0]
            for name in ("b.png", "a.png")
        )
    return one, other


def test_a_rating_is_given_where_there_is_none(two: World) -> None:
    for has, gives, given in (
        *((None, 4, 4), (0, 4, 4), (3, 4, None)),
        *((None, 0, None), (None, None, None), (5, None, None)),
    ):
        rate(two, "a.png", has)
        rate(two, "b.png", gives)
        with two.open() as library, library.writing() as connection:
            source, target = digests(library, two)
            carried = metadata_transfer.carry(connection, source, target)
        assert carried == Carried(source, target, ("One", "Two"), given, has)
        assert known(two, "a.png") == (has if given is None else given, {"One", "Two"})
        with two.open() as library, library.writing() as connection:
            assert metadata_transfer.carry(connection, source, target) is None
            metadata_transfer.take_back(connection, carried)
        assert known(two, "a.png") == (has, set())
        assert known(two, "b.png") == (gives, set())


def test_a_rating_alone_is_given(two: World) -> None:
    with Library(two.path, two.settings) as library:
        for label in ("ONE", "tWo"):
            library.tags.add([two.root / "a.png"], label)
    with two.open() as store, store.writing() as connection:
        source, target = digests(store, two)
        carried = metadata_transfer.carry(connection, source, target)
    assert carried == Carried(source, target, (), 4, None)
    assert known(two, "a.png") == (4, {"ONE", "tWo"})


def test_what_people_changed_since_stays(two: World) -> None:
    with two.open() as library, library.writing() as connection:
        source, target = digests(library, two)
        for pair in ((source, "00" * 32), ("00" * 32, target), (source, source)):
            assert metadata_transfer.carry(connection, *pair) is None
        carried = metadata_transfer.carry(connection, source, target)
        assert carried is not None
        metadata_transfer.take_back(connection, replace(carried, target="00" * 32))
    rate(two, "a.png", 2)
    with two.open() as library, library.writing() as connection:
        metadata_transfer.take_back(connection, replace(carried, tags=("One",)))
    assert known(two, "a.png") == (2, {"Two"})
    with two.open() as library, library.writing() as connection:
        metadata_transfer.take_back(connection, replace(carried, rating=None, tags=()))
    assert known(two, "a.png") == (2, {"Two"})


def test_tags_are_taken_back_with_the_last_step(two: World) -> None:
    shutil.copy2(two.root / "b.png", two.root / "c.png")
    two.index()
    done, _ = applied(two)
    assert done.done == 2 and known(two, "a.png") == (4, {"One", "Two"})
    assert len(log_of(done).carried) == 1
    run(two, "undo", observer=Hears(1))
    assert known(two, "a.png") == (4, {"One", "Two"})
    run(two, "undo")
    assert known(two, "a.png") == (None, set())


def test_settling_takes_back_what_an_undone_run_gave(two: World) -> None:
    done, _ = applied(two)
    state = log_of(done)
    assert state.carried
    run(two, "undo")
    assert done.log is not None
    rows = done.log.read_text().splitlines(keepends=True)
    done.log.write_text("".join(rows[:-1]))  # the catalog was not told
    rate(two, "a.png", 4)
    two.sql("UPDATE file SET missing_since = '2026-01-01T00:00:00+00:00' WHERE path = ?", b"b.png")
    with two.open() as library, library.writer():
        recovery.settle_all(library, Hears())
    assert known(two, "a.png") == (None, set())
    assert not any(gone for _, _, gone in two.files().values())


def test_options_that_are_misspelt_are_refused() -> None:
    assert ApplyOptions() == ApplyOptions("trash", None, ())
    with pytest.raises(ValueError, match="'copy' is none of trash, hardlink, move"):
        ApplyOptions("copy")  # type: ignore[arg-type]
