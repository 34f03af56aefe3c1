"""Counts, lines, logs and plans of removals, without a run: what they take and refuse."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pictor.duplicates.groups.records import Group
from pictor.duplicates.removal import log as log_module
from pictor.duplicates.removal.log import Log, LogState, logs, new_log, read_log, read_own_log
from pictor.duplicates.removal.log_lines import (
    Carried,
    Intent,
    LogHeader,
    LogLine,
    RunEnd,
    StepState,
    line_of,
)
from pictor.duplicates.removal.plan import (
    RemovalPlan,
    freed_bytes,
    plan_of,
    read_plan,
    removable,
    steps_of,
    write_plan,
)
from pictor.duplicates.removal.steps import RemovalResult, Step, StepCounter, StepResult
from pictor.library.catalog.rows import Member
from pictor.library.config import Settings
from pictor.library.errors import PlanError
from pictor.library.observer import Progress, Silent
from pictor.library.pairs import Kind
from pictor.library.store import Store

HASH = "ab" * 32
STEP = Step(b"/p/a", HASH, 10, b"/p/keep", HASH, "g", "same", "kept: why")
HEADER = LogHeader("id", "2026-01-01T00:00:00+00:00", "trash", 3, True)
INTENT = Intent(
    2, "move", b"/p/a", b"/t/p/a", b"/t/p/.part", b"/p/keep", HASH, "cd" * 32,
    10, 0o100644, 12345, 1, 2, 77, "g",
)  # fmt: skip
CARRIED = Carried("aa", "bb", ("x", "y"), 4, None)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Store:
    with Store.create(tmp_path_factory.mktemp("store") / "library", Settings()) as made:
        return made


@pytest.fixture
def store(empty: Store) -> Iterator[Store]:
    """An empty library; its folder of logs is a test's own to make, and goes with it."""
    yield empty
    shutil.rmtree(empty.path / "resolved", ignore_errors=True)


class Hears(Silent):
    def __init__(self, steps: int = 99) -> None:
        self.left = steps
        self.heard: list[Progress] = []

    def progress(self, state: Progress) -> None:
        self.heard.append(state)

    def should_stop(self) -> bool:
        self.left -= 1
        return self.left < 0


# --- counts


def test_each_result_is_counted_once_and_passed_on() -> None:
    passed: list[StepResult] = []
    hears = Hears(2)
    counter = StepCounter("applying", 7, passed.append, hears)
    big = STEP._replace(size_bytes=100)
    rows = [
        *[StepResult(STEP, b"/t"), StepResult(big, b"/t")],
        *[StepResult(big, problem="no")] * 3,
        *[StepResult(big, b"/t", is_sidecar=True)] * 4,
        *[StepResult(big, problem="no", is_sidecar=True)] * 5,
    ]
    assert counter.goes_on()
    counter.add(rows[:4])
    assert counter.goes_on()
    counter.add(rows[4:])
    assert passed == rows
    assert hears.heard == [Progress("applying", done, 7, "files") for done in (0, 4)]
    result = RemovalResult(2, 3, 4, 5, 110)
    assert counter.result() == result
    assert counter.result(Path("x")) == replace(result, log=Path("x"))
    assert not counter.goes_on()
    assert counter.result() == replace(result, unseen=2, stopped=True)
    quiet = StepCounter("undoing", 1, None, Silent())
    quiet.add(rows[:1])
    assert quiet.result().done == 1


@pytest.mark.parametrize(
    ("left_alone", "is_complete"), [((0, 0), True), ((1, 0), False), ((0, 1), False)]
)
def test_a_result_is_complete_if_nothing_was_left(
    left_alone: tuple[int, int], is_complete: bool
) -> None:
    skipped, sidecars = left_alone
    done = RemovalResult(done=1, skipped=skipped, sidecars_skipped=sidecars)
    assert done.is_complete is is_complete


# --- lines


@pytest.mark.parametrize(
    "line",
    [
        INTENT,
        replace(INTENT, path=b"/p/\xff", sidecar_of=1, action="hardlink"),
        StepState(3, "done"),
        StepState(3, "aborted", "why", is_settled=True),
        CARRIED,
        replace(CARRIED, tags=(), rating=None, rating_before=2),
        RunEnd(),
    ],
)
def test_a_line_is_read_as_it_was_written(line: LogLine) -> None:
    assert line_of(json.loads(json.dumps(line.to_json()))) == line


def test_lines_have_no_field_that_says_nothing() -> None:
    assert StepState(3, "done").to_json() == {"step": 3, "state": "done"}
    assert "sidecar_of" not in INTENT.to_json()
    assert replace(INTENT, sidecar_of=0).to_json()["sidecar_of"] == 0
    assert line_of({"step": "3", "state": "done"}) is None
    assert line_of({"state": "unheard of"}) is None


def test_an_intent_knows_what_it_is() -> None:
    link = replace(INTENT, action="hardlink", sidecar_of=0)
    assert [(one.is_link, one.is_sidecar) for one in (INTENT, link)] == [
        (False, False),
        (True, True),
    ]
    assert INTENT.part_on_return == b"/p/.part"
    assert INTENT.step == Step(b"/p/a", HASH, 10, b"/p/keep", "cd" * 32, "g", "", "")


@pytest.mark.parametrize(
    ("line", "change", "said"),
    [
        *((INTENT, {name: None}, f"{name} is missing") for name in INTENT.to_json()
          if name not in ("step", "state")),
        (INTENT, {"action": "copy"}, "action is missing"),
        (INTENT, {"bytes": "10"}, "bytes is missing"),
        (INTENT, {"content": 10}, "content is missing"),
        (CARRIED, {"to": None}, "what was carried"),
        (CARRIED, {"tags": "x"}, "what was carried"),
        (CARRIED, {"rating": "4"}, "rating is no number"),
        (CARRIED, {"rating_before": "4"}, "rating is no number"),
    ],
)  # fmt: skip
def test_a_line_that_no_run_wrote_is_refused(
    line: LogLine, change: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        line_of(line.to_json() | change)


def test_what_a_header_lacks_is_nothing() -> None:
    assert LogHeader.from_json(HEADER.to_json()) == HEADER
    assert LogHeader.from_json({"pictor_log": 1, "steps": "3"}) == LogHeader("", "", "", 0, False)
    line = line_of(INTENT.to_json() | {"sidecar_of": "1"})
    assert isinstance(line, Intent) and line.sidecar_of is None
    for version in (0, 2, "1", None):
        with pytest.raises(ValueError, match="this version"):
            LogHeader.from_json({"pictor_log": version})


# --- logs


def written(path: Path, *lines: LogLine) -> Path:
    with Log(path, is_new=True) as log:
        for line in lines:
            log.write(line)
    return path


def test_a_log_is_read_as_it_was_written(tmp_path: Path) -> None:
    second = replace(INTENT, number=3, path="/p/é\udcff".encode("utf-8", "surrogateescape"))
    path = written(
        tmp_path / "log", HEADER, INTENT, StepState(2, "done"), CARRIED, second,
        StepState(9, "done"), RunEnd(),
    )  # fmt: skip
    assert "é" in path.read_text("utf-8") and stat.S_IMODE(path.stat().st_mode) == 0o600
    states = {2: "done", 3: "intent"}
    known = LogState(path, HEADER, {2: INTENT, 3: second}, states, [CARRIED], is_ended=True)
    assert read_log(path) == known
    assert known.steps("done") == [2] and known.steps("undone") == []


@pytest.mark.parametrize(
    ("states", "is_ended", "is_settled"),
    [
        ({}, True, True),
        ({1: "done", 2: "aborted", 3: "undone"}, True, True),
        ({1: "done"}, False, False),
        ({1: "done", 2: "intent"}, True, False),
        ({1: "undoing", 2: "done"}, True, False),
    ],
)
def test_a_log_is_settled_once_nothing_is_open(
    states: dict[int, str], is_ended: bool, is_settled: bool
) -> None:
    state = LogState(Path("x"), HEADER, states=states, is_ended=is_ended)
    assert state.is_settled is is_settled
    assert not LogState(Path("x"), HEADER).is_ended


def test_what_comes_after_an_end_opens_a_log_again(tmp_path: Path) -> None:
    path = written(tmp_path / "log", HEADER, INTENT, RunEnd(), StepState(2, "undoing"))
    state = read_log(path)
    assert state is not None and not state.is_ended and state.states == {2: "undoing"}


BEGUN = json.dumps(HEADER.to_json())


@pytest.mark.parametrize("text", ["", "\n", " \n\n", '{"pictor_log"', BEGUN[:-1]])
def test_a_log_cut_before_its_first_line_ended_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "log").write_text(text)
    assert read_log(tmp_path / "log") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("text", "is no log of pictor"),
        ('x{"pictor_log"', "is no log of pictor"),
        ("[1]\n2\n", "is no log of pictor"),
        ('{"state": "end"}\n', "no log of this version"),
        (f'{BEGUN}\n{{"state": "carried"}}\n', "a step that is none"),
        (f'{BEGUN}\n[1]\n{{"state": "intent", "step": 1}}\n', "a step that is none"),
    ],
)
def test_what_is_no_log_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "log").write_text(text)
    with pytest.raises(PlanError, match=said):
        read_log(tmp_path / "log")


def test_torn_lines_are_ended_and_passed_over(tmp_path: Path) -> None:
    path = written(tmp_path / "log", HEADER, INTENT)
    whole = path.read_bytes()
    for torn, ended in ((b"", b""), (b'{"step', b'{"step\n')):
        path.write_bytes(whole + torn)
        with Log(path) as log:
            log.write(StepState(2, "done"))
        assert path.read_bytes() == whole + ended + b'{"step": 2, "state": "done"}\n'
        state = read_log(path)
        assert state is not None and state.states == {2: "done"}
    path.write_bytes(b"")
    with Log(path):
        pass
    assert path.read_bytes() == b""


def test_a_log_is_on_the_disk_before_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, fsync, events = os.write, os.fsync, list[str]()
    folders: list[Path | bytes] = []

    def slow(file: int, data: bytes) -> int:
        events.append("write")
        return write(file, data[:9])

    monkeypatch.setattr(os, "write", slow)

    def synced(file: int) -> None:
        events.append("sync")
        fsync(file)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(log_module, "sync", folders.append)
    with Log(tmp_path / "log", is_new=True) as log:
        assert folders == [tmp_path]
        log.write(RunEnd())
    assert events == ["write", "write", "sync"]  # 17 bytes, nine at a time
    assert (tmp_path / "log").read_text() == '{"state": "end"}\n'
    with pytest.raises(OSError):
        os.fstat(log._file)
    with Log(tmp_path / "log"):
        assert folders == [tmp_path]


def test_logs_that_cannot_be_written_are_told(tmp_path: Path, store: Store) -> None:
    with pytest.raises(PlanError, match="nothing more was touched"):
        Log(tmp_path / "none")
    with pytest.raises(PlanError, match="nothing more was touched"):
        Log(tmp_path / "no folder" / "log", is_new=True)
    path = written(tmp_path / "log", HEADER)
    with pytest.raises(FileExistsError):
        Log(path, is_new=True)
    with Log(path) as log:
        pass
    with pytest.raises(PlanError, match="nothing more was touched"):
        log.write(RunEnd())
    (store.path / "resolved").write_bytes(b"")
    assert logs(store) == []
    with pytest.raises(PlanError, match=r"resolved.*nothing more was touched"):
        new_log(store, mode="trash", steps=1, owns_target=True)
    (store.path / "resolved").unlink()  # a file


def test_runs_of_one_second_have_numbers(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    assert logs(store) == []
    made = []
    for mode in ("trash", "move"):
        with new_log(store, mode=mode, steps=5, owns_target=mode == "trash") as log:
            made.append(log.path)
    assert logs(store) == made and made[0].name.endswith("Z-0001.jsonl")
    state = read_own_log(made[1], store)
    assert state is not None
    assert state.header == LogHeader(store.library_id, state.header.started_at, "move", 5, False)
    assert state.header.started_at.endswith("+00:00") and len(state.header.started_at) == 25
    tried: list[str] = []

    def taken(path: Path, *, is_new: bool) -> Log:
        tried.append(path.name)
        raise FileExistsError

    monkeypatch.setattr(log_module, "Log", taken)
    with pytest.raises(PlanError, match="too many logs"):
        new_log(store, mode="trash", steps=1, owns_target=True)
    assert [tried[0][-10:], tried[-1][-10:], len(tried)] == ["0001.jsonl", "9999.jsonl", 9999]


def test_a_log_of_another_library_is_not_its_own(tmp_path: Path, store: Store) -> None:
    own = written(tmp_path / "own", replace(HEADER, library_id=store.library_id))
    assert read_own_log(own, store) == read_log(own) is not None
    with pytest.raises(PlanError, match="of another library"):
        read_own_log(written(tmp_path / "other", HEADER), store)
    (tmp_path / "empty").write_bytes(b"")
    assert read_own_log(tmp_path / "empty", store) is None


# --- plans


def member(path: Path | str, *, content: str = HASH, **facts: Any) -> Member:
    place = os.fsencode(path)
    known = {"state": "present", "root_kind": "folder", **facts}
    return Member(
        1, 1, place, content, 1, 1, 10, 0, "png", None, None, False, None, (),
        root=b"/", **known,
    )  # fmt: skip


def group(*members: Member, protected: frozenset[bytes] = frozenset(), **facts: Any) -> Group:
    known = {"id": "g", "kind": Kind.BYTES, **facts}
    return Group(
        keep=members[0], reason="kept: why", members=members, links=(), protected=protected, **known
    )


@pytest.mark.parametrize(
    ("facts", "goes"),
    [
        ({}, True),
        ({"root_kind": "file"}, True),
        ({"root_kind": "list"}, False),
        ({"root_kind": "zip"}, False),
        ({"state": "unreachable"}, False),
        ({"path": "/keep"}, False),
        ({"path": "/protected"}, False),
    ],
)
def test_what_goes_of_a_group(facts: dict[str, Any], goes: bool) -> None:
    other = member(**{"path": "/other", **facts})
    found = group(member("/keep"), other, protected=frozenset({b"/protected"}))
    assert removable(found) == ([other] if goes else [])


@pytest.mark.parametrize(
    ("keeper", "count"),
    [
        ({}, 1),
        ({"root_kind": "file"}, 1),
        ({"root_kind": "list"}, 1),
        ({"root_kind": "zip"}, 0),
        ({"state": "unreachable"}, 0),
        ({"state": "missing", "root_kind": "zip"}, 0),
    ],
)
def test_nothing_goes_unless_the_keeper_is_by_itself_on_a_disk(
    keeper: dict[str, Any], count: int
) -> None:
    found = list(steps_of(group(member("/keep", **keeper), member("/other", content="cd" * 32))))
    assert len(found) == count
    for step in found:
        facts = (b"/other", "cd" * 32, 10, b"/keep", HASH)
        assert step == Step(*facts, "g", Kind.BYTES.value, "kept: why")


def test_a_plan_counts_what_is_on_the_disk(tmp_path: Path) -> None:
    keep, one, link, part, whole, gone = (
        tmp_path / name for name in ["keep", "one", "link", "part", "w", "gone"]
    )
    keep.write_bytes(b"k")
    one.write_bytes(b"1" * 100)
    os.link(keep, link)
    part.write_bytes(b"p" * 1000)
    os.link(part, tmp_path / "other name that stays")
    whole.write_bytes(b"w" * 10_000)
    os.link(whole, tmp_path / "w2")
    paths = (keep, one, link, part, whole, tmp_path / "w2", gone)
    found = group(*map(member, paths))
    plan = plan_of([found, group(member(gone), member(one), id="h")])
    assert [step.path for step in plan.steps] == [
        os.fsencode(path) for path in (one, part, whole, tmp_path / "w2")
    ]
    assert plan[1:] == (10_100, 1, 1, 1, 2)
    assert freed_bytes(found) == 10_100
    assert freed_bytes(replace(found, kind=Kind.DIFFERENT)) == 0


def plan_file(store: Store, path: Path, *steps: Step, force: bool = False) -> Path:
    write_plan(path, store, RemovalPlan(steps, 20, 1, 0, 0, 0), force=force)
    return path


def test_a_plan_is_read_as_it_was_written(store: Store, tmp_path: Path) -> None:
    steps = [STEP, STEP._replace(path="/p/é".encode()), STEP._replace(keep=b"/p/\xff")]
    path = plan_file(store, tmp_path / "plan", *steps)
    assert read_plan(path, store) == steps
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    header, _, second, _ = path.read_text("utf-8").splitlines()
    assert "/p/é" in second
    counts = {"files": 3, "bytes": 20, "groups": 1}
    assert json.loads(header).items() >= counts.items()
    path.write_text(f"\n{path.read_text('utf-8')}\n \n", "utf-8")
    assert read_plan(path, store) == steps


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, ""),
        ({"bytes": 0}, ""),
        ({"bytes": (1 << 63) - 1}, ""),
        ({"bytes": 1 << 63}, "bytes is no size"),
        ({"bytes": -1}, "bytes is no size"),
        ({"bytes": True}, "bytes is no size"),
        ({"bytes": "10"}, "bytes is no size"),
        ({"content": 1}, "content is no content hash"),
        ({"content": "AB" * 32}, "content is no content hash"),
        ({"keep_content": "ab" * 31}, "keep_content is no content hash"),
        ({"path": 1}, "path is no text"),
        ({"keep": None}, "keep is missing"),
    ],
)
def test_steps_of_a_plan_are_checked(
    store: Store, tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    path = plan_file(store, tmp_path / "plan", STEP)
    header, step = map(json.loads, path.read_text().splitlines())
    path.write_text(f"{json.dumps(header)}\n\n{json.dumps(step | change)}\n")
    if not said:
        (found,) = read_plan(path, store)
        assert found.size_bytes == change.get("bytes", 10)
        return
    with pytest.raises(PlanError, match=f"line 3 of .* is no step: {said}"):
        read_plan(path, store)


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_only_a_plan_is_replaced_by_force(store: Store, tmp_path: Path, mark: bytes) -> None:
    path = tmp_path / "plan"
    path.write_bytes(mark + b'{"pictor_plan"')
    with pytest.raises(PlanError, match="add --force"):
        plan_file(store, path, STEP)
    plan_file(store, path, STEP, force=True)
    assert read_plan(path, store) == [STEP]
    for text in (mark + b'{"pictor_plan', b" " + mark + b'{"pictor_plan"', mark * 2 + b'{"pictor'):
        path.write_bytes(text)
        with pytest.raises(PlanError, match="it is not a plan"):
            plan_file(store, path, STEP, force=True)
        assert path.read_bytes() == text
    path.unlink()
    path.symlink_to(tmp_path / "nothing")
    with pytest.raises(PlanError, match="it is not a plan"):
        plan_file(store, path, STEP, force=True)
    assert path.is_symlink()
    plan_file(store, tmp_path / "new", STEP, force=True)


def test_a_name_that_was_taken_meanwhile_is_left(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan's name is free when it is looked at, and taken when the plan is moved there."""
    path = tmp_path / "plan"
    path.write_bytes(b"mine")
    monkeypatch.setattr(os.path, "lexists", lambda _: False)
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    with pytest.raises(PlanError, match="cannot be written: File exists"):
        plan_file(store, path, STEP)
    assert path.read_bytes() == b"mine" and len(synced) == 1


def test_what_is_no_plan_of_this_library_is_refused(store: Store, tmp_path: Path) -> None:
    path = plan_file(store, tmp_path / "plan", STEP)
    good = path.read_text()
    deep = "[" * 100_000
    for data, said in (
        (b"", "not a plan of this version"),
        (b"\xff", "not UTF-8"),
        (good.replace('plan": 1', 'plan": 2').encode(), "not a plan of this version"),
        (good.replace(store.library_id, "other").encode(), "of another library"),
        (f"{good}{deep}\n".encode(), "line 3 of .* is no JSON"),
        (f"{good}7\n".encode(), "line 3 of .* is no JSON object"),
    ):
        path.write_bytes(data)
        with pytest.raises(PlanError, match=said):
            read_plan(path, store)
    with pytest.raises(PlanError, match="cannot be written"):
        plan_file(store, tmp_path / "no folder" / "plan", STEP)
