"""The parts of a run by themselves: comparing, deciding outcomes, encoding when due, reporting."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from small_world import World

import pictor.indexer.journal
import pictor.indexer.pipeline
import pictor.indexer.run
from pictor.indexer.decoded_files import DecodedFile
from pictor.indexer.encode import EncodedFrame
from pictor.indexer.journal import OF_THE_PATH, Journal, _from_state, _safe
from pictor.indexer.messages import ReadResult, ReadTask, Refusal
from pictor.indexer.pipeline import Pipeline
from pictor.indexer.pixel_blocks import FrameKey
from pictor.indexer.run import Summary, fill_background
from pictor.indexer.run_loop import run_loop
from pictor.indexer.scan import Pending, Scan, stored_ns
from pictor.indexer.sources.base import FoundFile, Locator, ScanProblem
from pictor.library.catalog.rows import ContentChange, ContentState, FilePlace, FileRow
from pictor.library.errors import LibraryError, ModelError, SourceError
from pictor.library.observer import Progress, Silent, Stopped
from pictor.library.records import Caption, Decoded, Frame, Metadata, Outcome, Reason
from pictor.library.store import Store

SAME = (10, 20)
DECODED = Decoded(Metadata(), (Frame(0, None, 1, 1, ()), Frame(1, 0.5, 1, 1, ())))


def found(path: bytes, facts: tuple[int, int] = SAME, **more: Any) -> FoundFile:
    return FoundFile(path, *facts, Locator("file", b"/r/" + path), **more)


def row(
    path: bytes,
    number: int = 1,
    outcome: str = "indexed",
    reason: Reason | None = None,
    missing: str | None = None,
    content: int | None = 7,
) -> FileRow:
    return FileRow(number, path, *SAME, content, outcome, reason, missing)


class Hears(Silent):
    def __init__(self, results: int = 99) -> None:
        self.left = results
        self.heard: list[str] = []
        self.states: list[Progress] = []

    def progress(self, state: Progress) -> None:
        self.states.append(state)

    def notice(self, text: str) -> None:
        self.heard.append(text)

    def should_stop(self) -> bool:
        self.left -= 1
        return self.left < 0


# --- the loop


def test_a_loop_commits_when_it_is_due_and_stops_when_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    events: list[str] = []
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])

    def results() -> Iterator[int]:
        try:
            for number in range(8):
                clock[0] += 1
                yield number
        finally:
            events.append("closed")

    def run(observer: Hears) -> bool:
        events.clear()
        return run_loop(
            results(),
            lambda number: events.append(str(number)),
            lambda: events.append("c"),
            lambda: Progress("x", len(events), 0, "files"),
            observer,
            2.0,
        )

    hears = Hears()
    assert run(hears) is False
    assert "".join(events) == "012c345c67closed" and len(hears.states) == 8
    assert run(Hears(3)) is True
    assert "".join(events) == "012c3closed"


# --- the scan


class FakeSource:
    def __init__(self, listed: Sequence[FoundFile | ScanProblem | SourceError]) -> None:
        self.listed = listed

    def scan(self, prefix: bytes) -> Iterator[FoundFile | ScanProblem]:
        for one in self.listed:
            if isinstance(one, SourceError):
                raise one
            yield one


def scanned(
    monkeypatch: pytest.MonkeyPatch,
    rows: Sequence[FileRow],
    listed: Sequence[FoundFile | ScanProblem | SourceError],
    prefix: bytes = b"",
) -> tuple[Scan, list[bytes]]:
    """A scan that is over, and the paths that it gave to be read."""
    monkeypatch.setattr(Scan, "_rows", lambda self, scope: iter(rows))
    scope = SimpleNamespace(root=SimpleNamespace(id=5), source=FakeSource(listed), prefix=prefix)
    scan = Scan(None, [scope], 1)  # type: ignore[arg-type, list-item]
    assert scan.complete is bool(scan.seen)  # neither yet
    tasks = list(scan.tasks())
    assert scan.complete
    for number, task in enumerate(tasks, 1):
        pending = scan.pending[task.task_id]
        assert task.task_id == number and pending.root_id == 5 and not task.forced
        facts = (pending.found.locator, pending.found.size_bytes, pending.found.mtime_ns)
        assert (task.locator, task.size_bytes, task.mtime_ns) == facts
    return scan, [scan.pending[task.task_id].found.path for task in tasks]


def test_files_and_rows_are_merged_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [row(b"a", 1), row(b"c", 2), row(b"d", 3, missing="x"), row(b"f", 4), row(b"h", 5)]
    scan, tasks = scanned(
        monkeypatch, rows, [found(b"b"), found(b"c"), found(b"e"), found(b"f", (10, 21))]
    )
    assert tasks == [b"b", b"e", b"f"] and scan.missing == [1, 5]
    assert [scan.pending[number].row for number in (1, 2, 3)] == [None, None, rows[3]]
    assert scan.seen == 4 and scan.settled["unchanged"] == 1 == sum(scan.settled.values())
    assert scan.drain() == ([], [])


@pytest.mark.parametrize("prefix", [b"", b"a/", b"a.jpg"])
def test_one_file_is_not_what_begins_like_it(
    monkeypatch: pytest.MonkeyPatch, prefix: bytes
) -> None:
    listed: list[Any] = [ScanProblem(b"p/", "no"), found(b"a.jpg"), found(b"a.jpg.png")]
    scan, tasks = scanned(monkeypatch, [], listed, prefix)
    assert tasks == ([b"a.jpg"] if prefix == b"a.jpg" else [b"a.jpg", b"a.jpg.png"])
    assert scan.seen == len(tasks) and len(scan.problems) == 1


def test_what_could_not_be_listed_is_not_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [row(b"a/x", 1), row(b"b/x", 2), row(b"c/x", 3), row(b"d/x", 4)]
    problems = [ScanProblem(b"a/", "no"), ScanProblem(b"c/", "no")]
    scan, _ = scanned(monkeypatch, rows, [problems[0], problems[1], found(b"d/w")])
    assert scan.missing == [2, 4] and [one for _, one in scan.problems] == problems
    scan, tasks = scanned(monkeypatch, rows, [found(b"b/y"), SourceError("pulled out")])
    assert tasks == [b"b/y"] and scan.missing == [1, 2]
    assert [why for _, why in scan.lost] == ["pulled out"]
    assert [one for _, one in scan.problems] == [ScanProblem(b"", "pulled out")]


@pytest.mark.parametrize(
    ("known", "facts", "settled"),
    [
        (row(b"a"), SAME, "unchanged"),
        (row(b"a", outcome="moved"), SAME, "unchanged"),
        (row(b"a", outcome="unchanged"), SAME, "unchanged"),
        (row(b"a", outcome="failed", reason=Reason.CORRUPT), SAME, "failed"),
        (row(b"a", outcome="skipped", reason=Reason.NOT_MEDIA), SAME, "skipped"),
        (row(b"a", outcome="failed", reason=Reason.IO_ERROR), SAME, ""),
        (row(b"a", outcome="skipped", reason=Reason.SIDECAR), SAME, ""),
        (row(b"a"), (11, 20), ""),
        (row(b"a"), (10, 21), ""),
        (None, SAME, ""),
    ],
)
def test_a_file_that_is_as_it_was_is_settled_unread(
    monkeypatch: pytest.MonkeyPatch, known: FileRow | None, facts: tuple[int, int], settled: str
) -> None:
    for missing in (None, "2026"):
        rows = [known._replace(missing_since=missing)] if known else []
        scan, tasks = scanned(monkeypatch, rows, [found(b"a", facts)])
        assert {name for name, count in scan.settled.items() if count} == ({settled} - {""})
        assert tasks == ([] if settled else [b"a"]) and scan.missing == []
        assert scan.drain() == ([], [1] if settled and missing else [])
        assert scan.drain() == ([], [])


@pytest.mark.parametrize(
    ("known", "detail", "is_settled"),
    [
        (None, "", False),
        (None, "why", False),
        (row(b"a", outcome="skipped", reason=Reason.SIDECAR), "why", True),
        (row(b"a", outcome="skipped", reason=Reason.EMPTY), "why", False),
        (row(b"a"), "why", False),
    ],
)
def test_what_its_source_skips_is_decided_unread(
    monkeypatch: pytest.MonkeyPatch, known: FileRow | None, detail: str, is_settled: bool
) -> None:
    listed = found(b"a", (10, 1 << 70), skip=Reason.SIDECAR, skip_detail=detail)
    known = known._replace(mtime_ns=(1 << 63) - 1) if known else None
    scan, tasks = scanned(monkeypatch, [known] if known else [], [listed])
    decided, _ = scan.drain()
    assert tasks == [] and scan.settled["skipped"] == is_settled
    if is_settled:
        assert decided == []
        return
    (change,) = decided
    assert (change.outcome, change.reason, change.hash) == (Outcome.SKIPPED, Reason.SIDECAR, None)
    assert change.detail == (detail or "a is not indexed") and change.root_id == 5
    assert change.file_id == (known.id if known else None) and change.size_bytes == 10
    assert change.mtime_ns == (1 << 63) - 1


def test_times_are_stored_in_64_bits() -> None:
    end = (1 << 63) - 1
    cases = {0: 0, -1: -1, end: end, end + 1: end, -end: -end, -end - 1: -end, -(1 << 70): -end}
    assert {given: stored_ns(given) for given in cases} == cases


def test_a_change_is_of_its_own_row_or_of_another() -> None:
    pending = Pending(5, found(b"a"), row(b"a", 3))
    assert pending.change(Outcome.INDEXED, b"h").file_id == 3
    assert pending.change(Outcome.MOVED, b"h", file_id=0).file_id == 0
    assert Pending(5, found(b"a"), None).change(Outcome.INDEXED, b"h").file_id is None


def test_rows_come_by_pages_but_those_of_this_run(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.png", "b.png", "c.png", "d.png", "sub/e.png"):
        world.draw(name, 1)
    world.index()
    real, pages = pictor.indexer.scan.files.scan_page, []

    def scan_page(connection: Any, where: Any, after: bytes | None, count: int) -> Any:
        pages.append(after)
        return real(connection, where, after, count)

    monkeypatch.setattr(pictor.indexer.scan.files, "scan_page", scan_page)
    monkeypatch.setattr(pictor.indexer.scan, "PAGE", 2)
    world.sql("UPDATE file SET run_id = 9 WHERE path = ?", b"b.png")
    with world.open() as library:

        def paths(prefix: bytes, run_id: int) -> list[bytes]:
            pages.clear()
            scope: Any = SimpleNamespace(root=SimpleNamespace(id=1), prefix=prefix)
            return [one.path for one in Scan(library, [], run_id)._rows(scope)]

        assert paths(b"", 9) == [b"a.png", b"c.png", b"d.png", b"sub/e.png"]
        assert pages == [None, b"c.png", b"sub/e.png"]
        assert len(paths(b"", 8)) == 5 and pages == [None, b"b.png", b"d.png"]
        assert paths(b"sub/", 9) == [b"sub/e.png"] and pages == [None]
        again = Scan(library, [], 9)
        pending = Pending(1, found(b"a"), None)
        assert [task.task_id for task in again.again([pending, pending])] == [1, 2]
        assert again.pending == {1: pending, 2: pending}


# --- the journal


@pytest.fixture
def known(world: World) -> Iterator[tuple[World, Store, Scan, Journal, dict[str, Any]]]:
    """Two indexed files, and a journal of a second run that is about to begin."""
    for name in ("a.png", "b.png"):
        world.draw(name)
    world.index()
    rows = world.sql(
        "SELECT file.path, file.id, content_id, hash FROM file JOIN content ON content_id = "
        "content.id"
    )
    facts = {path.decode(): (number, content, digest) for path, number, content, digest in rows}
    with world.open() as library:
        with library.writing() as connection:
            assert pictor.indexer.scan.files.start_run(connection) == 2
        scan = Scan(library, [], 2)
        yield world, library, scan, Journal(library, 2, scan), facts


def pending_of(path: str, facts: dict[str, Any]) -> Pending:
    known = facts.get(path)
    old = known and row(path.encode(), known[0], content=known[1])
    return Pending(1, found(path.encode()), old)


def result(digest: bytes | None, reason: Reason | None = None) -> ReadResult:
    return ReadResult(1, digest, 10, Refusal(reason, "why \ud800") if reason else None)


@pytest.mark.parametrize("reason", list(Reason))
def test_some_reasons_say_something_of_the_path_alone(reason: Reason) -> None:
    of_path = {"permission", "vanished", "changed", "io_error", "fetch"}
    assert Journal.file_failed(result(b"h", reason)) is (reason.value in of_path)
    assert Journal.file_failed(result(None, reason)) is True
    assert {one.value for one in OF_THE_PATH} == of_path
    assert Journal.file_failed(result(b"h")) is False
    assert Journal.file_failed(replace(result(b"h"), pictures=DECODED)) is False


@pytest.mark.parametrize(
    ("path", "digest", "reason", "outcome", "keeps"),
    [
        ("a.png", None, Reason.VANISHED, "missing", True),
        ("new.png", None, Reason.VANISHED, "failed", False),
        ("a.png", None, Reason.IO_ERROR, "failed", True),
        ("a.png", b"\1" * 32, Reason.CHANGED, "failed", True),
        ("a.png", None, Reason.TOO_LARGE, "failed", False),
        ("a.png", b"\1" * 32, Reason.CORRUPT, "failed", False),
        ("a.png", b"\1" * 32, Reason.NOT_MEDIA, "skipped", False),
    ],
)
def test_what_could_not_be_read_is_noted(
    known: Any, path: str, digest: bytes | None, reason: Reason, outcome: str, keeps: bool
) -> None:
    world, _, _, journal, facts = known
    journal.file_read(pending_of(path, facts), result(digest, reason))
    is_content = digest is not None and reason not in OF_THE_PATH
    assert journal.commit() == ({digest} if is_content else set())
    assert journal.commit() == set()
    if outcome == "missing":
        assert world.files()[path] == ("indexed", None, True)
        return
    assert world.files()[path] == (outcome, reason, False)
    ((detail, content),) = world.sql(
        "SELECT detail, content_id FROM file WHERE path = ?", path.encode()
    )
    assert detail == "why \\ud800"
    assert (content == facts.get(path, (0, 0))[1]) is keeps
    stored = world.sql("SELECT outcome, reason, detail FROM content WHERE hash = ?", digest or b"")
    assert stored == ([(outcome, reason, "why \\ud800")] if is_content else [])


def test_a_vanished_file_without_a_content_failed(known: Any) -> None:
    world, _, _, journal, facts = known
    pending = pending_of("a.png", facts)
    assert pending.row is not None
    pending = replace(pending, row=pending.row._replace(content_id=None))
    journal.file_read(pending, result(None, Reason.VANISHED))
    journal.commit()
    assert world.files()["a.png"] == ("failed", Reason.VANISHED, False)


def test_nothing_is_written_where_nothing_waits(
    known: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, scan, journal, facts = known
    written: list[int] = []
    real = Store.writing

    @contextlib.contextmanager
    def writing(self: Store) -> Iterator[Any]:
        written.append(1)
        with real(self) as connection:
            yield connection

    monkeypatch.setattr(Store, "writing", writing)
    assert journal.commit(last=True) == set() and written == []
    pending = pending_of("a.png", facts)
    waits: list[Callable[[], object]] = [
        lambda: scan._decided.append(pending.change(Outcome.INDEXED, facts["a.png"][2])),
        lambda: scan._returned.append(facts["a.png"][0]),
        lambda: journal.file_read(pending, result(None, Reason.IO_ERROR)),
        lambda: journal.file_read(pending, result(None, Reason.VANISHED)),
        lambda: journal.file_read(pending, result(facts["a.png"][2])),
        lambda: journal.content(ContentChange(b"\2" * 32, 1, Outcome.FAILED, Reason.CORRUPT)),
    ]
    for number, wait in enumerate(waits, 1):
        wait()
        journal.commit()
        assert len(written) == number
        assert journal.commit() == set() and len(written) == number


def test_files_wait_for_a_content_that_is_read_elsewhere(known: Any) -> None:
    world, _, _, journal, facts = known
    digest, strange = facts["a.png"][2], b"\3" * 32
    new, lost = pending_of("new.png", facts), pending_of("lost.png", facts)
    journal.file_read(new, result(digest))
    journal.file_read(lost, result(strange))
    assert journal.commit({digest}) == set()
    assert set(world.files()) == {"a.png", "b.png"}
    assert journal.take_waiting() == [new, lost] and journal.take_waiting() == []
    journal.file_read(new, result(digest))
    journal.file_read(lost, result(strange))
    journal.commit({digest}, last=True)
    stored = world.files()
    assert stored["new.png"] == ("indexed", None, False)
    assert stored["lost.png"] == ("failed", Reason.CHANGED, False)
    assert journal.take_waiting() == []


def test_texts_of_twins_come_together(known: Any) -> None:
    _, _, _, journal, facts = known
    one, other = Caption("one"), Caption("other")
    for name, digest, captions in (
        ("x", b"x", (one,)), ("y", b"y", ()), ("z", b"x", (other, one)),
    ):  # fmt: skip
        pending = replace(pending_of(name, facts), found=found(name.encode(), captions=captions))
        journal.file_read(pending, result(digest))
    assert journal._captions() == {b"x": (one, other, one)}


def test_a_known_content_decides_what_a_file_is() -> None:
    place = FilePlace(8, 7, 1, "folder", b"/r", b"old", "reachable", None, 1, 1)
    gone = {7: [place, place._replace(file_id=9)]}
    state = ContentState(7, "indexed", None)
    new = Pending(1, found(b"new"), None)
    changes = [_from_state(new, b"h", state, gone) for _ in range(3)]
    assert [(one.outcome, one.file_id) for one in changes] == [
        (Outcome.MOVED, 8), (Outcome.MOVED, 9), (Outcome.INDEXED, None),
    ]  # fmt: skip
    assert _from_state(new, b"h", state, {}).outcome is Outcome.INDEXED
    for content, outcome in ((7, Outcome.UNCHANGED), (6, Outcome.INDEXED)):
        change = _from_state(
            Pending(1, found(b"a"), row(b"a", 3, content=content)), b"h", state, {}
        )
        assert (change.outcome, change.file_id, change.hash) == (outcome, 3, b"h")
    refused = ContentState(7, "skipped", Reason.NOT_MEDIA)
    change = _from_state(new, b"h", refused, {7: [place]})
    assert (change.outcome, change.reason) == (Outcome.SKIPPED, Reason.NOT_MEDIA)
    assert change.detail == "its content is known: it was refused before"


@pytest.mark.parametrize(
    ("kind", "there", "state", "missing", "reachable", "gone"),
    [
        ("folder", True, "reachable", None, True, False),
        ("folder", False, "reachable", None, True, True),
        ("folder", False, "reachable", None, False, False),
        ("folder", False, "unreachable", None, True, True),
        ("folder", False, "reachable", "2026", False, True),
        ("file", False, "reachable", None, False, True),
        ("file", False, "unreachable", None, True, False),
        ("file", False, "unreachable", "2026", True, True),
        ("file", True, "reachable", "2026", True, False),
        ("list", False, "reachable", None, True, False),
        ("archive", False, "reachable", None, True, False),
    ],
)
def test_a_file_is_gone_if_its_volume_is_there_without_it(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    kind: str,
    there: bool,
    state: str,
    missing: str | None,
    reachable: bool,
    gone: bool,
) -> None:
    asked: list[Any] = []

    def check(_: object, root: Any) -> tuple[str | None, str]:
        asked.append(root)
        return (None if reachable else "away"), ""

    monkeypatch.setattr(pictor.indexer.journal, "check_reachable", check)
    monkeypatch.setattr(pictor.indexer.journal.files, "roots", lambda _, where: [where])
    path = tmp_path / "a"
    if there:
        path.write_bytes(b"")
    location = os.fsencode(path if kind == "file" else tmp_path)
    inside = b"" if kind == "file" else b"a"
    place = FilePlace(8, 7, 1, kind, location, inside, state, missing, 1, 1)
    journal = Journal(None, 1, None)  # type: ignore[arg-type]
    for _ in range(2):
        assert journal._is_gone(None, place) is gone  # type: ignore[arg-type]
    needs_volume = kind == "folder" and not there and not missing
    assert asked == ([location] if needs_volume else [])


def test_details_are_bounded_text() -> None:
    assert _safe("x" * 501) == "x" * 500
    assert _safe("a\udcffb") == "a\\udcffb"


# --- the pipeline


def pipeline(observer: Silent | None = None, **parts: Any) -> Any:
    """One whose parts are stand-ins."""
    index = SimpleNamespace(checkpoint_s=5.0, time_limit_s=60.0, lookahead_mib=3)
    library = SimpleNamespace(settings=SimpleNamespace(index=index))
    spaces = SimpleNamespace(batch_size=4, spaces=[], specs=("spec",))
    known = {"library": library, "spaces": spaces, "scan": None, "counter": None, "journal": None}
    known |= {"observer": observer or Silent()} | parts
    made = Pipeline(*known.values())  # type: ignore[arg-type]
    return made


@pytest.mark.parametrize(
    ("held", "encoded", "unsaved", "is_due"),
    [
        (0, 20_001, 20_000, False),
        (0, 20_001, 20_001, True),
        (60_000, 40_000, 50_000, False),
        (60_000, 40_000, 50_001, True),
    ],
)
def test_the_index_is_renewed_when_it_is_far_behind(
    held: int, encoded: int, unsaved: int, is_due: bool
) -> None:
    asked: list[tuple[frozenset[bytes], bool]] = []

    def commit(in_flight: frozenset[bytes], *, last: bool) -> set[bytes]:
        asked.append((in_flight, last))
        return {b"x"}

    line = pipeline(journal=SimpleNamespace(commit=commit))
    line._held_before, line.encoded, line._unsaved = held, encoded, unsaved
    line._in_flight = {b"x", b"y"}
    line._commit()
    assert line._unsaved == (0 if is_due else unsaved)
    line._commit(last=True)
    assert asked == [(frozenset({b"x", b"y"}), False), (frozenset({b"y"}), True)]


@pytest.mark.parametrize(
    ("complete", "counted", "seen", "settled", "total"),
    [
        (False, 0, 3, 2, 0),
        (False, 9, 3, 2, 9),
        (False, 2, 3, 2, 3),
        (True, 9, 3, 2, 3),
        (True, 0, 3, 4, 4),
        (False, 2, 3, 5, 5),
    ],
)
def test_progress_knows_how_much_there_is(
    complete: bool, counted: int, seen: int, settled: int, total: int
) -> None:
    scan = SimpleNamespace(settled={"unchanged": 1, "failed": 1}, complete=complete, seen=seen)
    line = pipeline(scan=scan, counter=SimpleNamespace(total=counted))
    line._settled = settled - 2
    assert line._where() == Progress("indexing", settled, total, "files", "")
    line.encoded = 12004
    assert line._where().detail == "encoded 12 004"


@pytest.mark.parametrize(
    ("state", "retry", "wanted"),
    [
        (None, False, True),
        (ContentState(1, "indexed", None), False, False),
        (ContentState(1, "indexed", None), True, False),
        (ContentState(1, "failed", Reason.CORRUPT), False, False),
        (ContentState(1, "failed", Reason.CORRUPT), True, True),
        (ContentState(1, "failed", Reason.IO_ERROR), False, True),
    ],
)
def test_a_content_is_decoded_once(
    monkeypatch: pytest.MonkeyPatch, state: ContentState | None, retry: bool, wanted: bool
) -> None:
    asked: list[Sequence[bytes]] = []

    def states(_: object, digests: Sequence[bytes]) -> dict[bytes, ContentState]:
        asked.append(digests)
        return {digest: state for digest in digests if state is not None}

    monkeypatch.setattr(pictor.indexer.pipeline, "content_states", states)
    line = pipeline()
    line._retry = retry
    line._library.reading = contextlib.nullcontext
    line._refused = {b"no"}
    assert line._wanted([b"no"]) == [False] and line._in_flight == set() and asked == []
    assert line._wanted([b"h", b"no", b"h", b"i"]) == [wanted, False, False, wanted]
    assert line._in_flight == ({b"h", b"i"} if wanted else set())
    assert asked == [[b"h", b"h", b"i"]]  # once for all that is not known to this run
    assert line._wanted([b"h"]) == [False]


def encoded(number: int, ordinal: int = 0, failure: str | None = None) -> EncodedFrame:
    vectors = {} if failure else {5: np.full((1, 2), ordinal, np.float16)}
    return EncodedFrame(FrameKey(number, ordinal), vectors, failure)


def test_a_file_is_settled_when_all_of_its_frames_are_encoded() -> None:
    hears = Hears()
    noted: list[ContentChange] = []
    read: list[int] = []
    journal = SimpleNamespace(
        content=noted.append,
        file_read=lambda _, given: read.append(given.task_id),
        file_failed=lambda given: given.task_id == 98,
    )
    scan = SimpleNamespace(pending={})
    line = pipeline(hears, journal=journal, scan=scan)
    arrived: list[EncodedFrame] = []

    def taken() -> Iterator[EncodedFrame]:
        while arrived:
            yield arrived.pop(0)

    line._lanes = SimpleNamespace(taken=taken)

    def take(number: int, digest: bytes, pictures: Any = DECODED) -> None:
        scan.pending[number] = Pending(1, found(b"a"), None)
        line._take(ReadResult(number, digest, 10, pictures))

    line._take(None)
    take(1, b"a")
    assert (line._settled, read, noted) == (0, [1], [])
    arrived += [encoded(1, 1), encoded(2, 0)]  # of a file that is not decoded to its end yet
    line._take(None)
    assert (line._settled, noted) == (0, [])
    arrived.append(encoded(1, 0))
    line._take(None)
    assert (line._settled, line.encoded, line._unsaved) == (1, 2, 2)
    assert noted[0].vectors[5].tolist() == [[0, 0], [1, 1]]  # in the order of the frames
    arrived.append(encoded(2, 1, "why"))
    take(2, b"bad")
    assert (noted[1].outcome, noted[1].detail) == (Outcome.FAILED, "why")
    assert (line._settled, line.encoded) == (2, 2)
    take(3, b"none", replace(DECODED, frames=()))
    assert (noted[2].outcome, noted[2].detail) == (Outcome.FAILED, "it gave no frame")
    line._in_flight = {b"p", b"q", b"r"}
    take(98, b"p", Refusal(Reason.IO_ERROR, ""))
    take(99, b"q", Refusal(Reason.CORRUPT, ""))
    take(97, b"r", None)
    assert line._in_flight == {b"q", b"r"} and line._refused == {b"q"} and not scan.pending
    assert line._settled == 6
    given = {1: known_file(b"bad"), 2: "it is gone"}
    line._backfill = SimpleNamespace(accept=lambda one: given[one.task_id])
    line._take(ReadResult(1, b"bad", 10, DECODED))
    line._take(ReadResult(2, None, 10, None))
    arrived += [encoded(1, 0, "why"), encoded(1, 1)]
    line._take(None)
    assert len(noted) == 3 and line.encoded == 2 and line._settled == 8
    assert hears.heard == ["it is gone", f"content {b'bad'.hex()} lacks a vector: why"]


def test_no_file_is_left_without_an_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictor.indexer.pipeline, "run_loop", lambda *_: False)
    line = pipeline()
    line._await_frames(1, known_file(b"a"))
    with pytest.raises(AssertionError, match="no outcome"):
        line._drain(SimpleNamespace(run=lambda tasks: tasks), iter(()))


def known_file(digest: bytes) -> DecodedFile:
    """A decoded file whose content is in the catalog already."""
    return DecodedFile(digest, 10, DECODED, is_known=True)


def test_readers_get_the_limits_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}
    module = pictor.indexer.pipeline
    monkeypatch.setattr(
        module, "ReaderPool", lambda options, **more: given.update(more, options=options)
    )
    monkeypatch.setattr(module, "worker_count", lambda _: 6)
    monkeypatch.setattr(module.ReadOptions, "of", lambda _: "reading")
    line = pipeline()
    line._pool()
    options, encoding = given.pop("options"), given.pop("encoding")
    assert encoding.patience_s == 5.0
    assert (options.specs, options.deadline_s) == (("spec",), 30.0)
    assert given == {
        "workers": 6, "time_limit_s": 60.0, "lookahead_bytes": 3 << 20, "wanted": line._wanted
    }  # fmt: skip


@pytest.mark.parametrize("stops", [True, False])
def test_what_is_encoded_is_committed_also_when_the_run_stops(
    monkeypatch: pytest.MonkeyPatch, stops: bool
) -> None:
    events: list[str] = []
    monkeypatch.setattr(pictor.indexer.pipeline, "run_loop", lambda *_: stops)
    line = pipeline()
    line._take_frames = lambda: events.append("take")
    line._commit = lambda: events.append("commit")
    if stops:
        line._await_frames(1, known_file(b"a"))  # what was not encoded is left for the next run
    pool = SimpleNamespace(run=lambda tasks: tasks)
    assert line._drain(pool, iter(())) is stops
    assert events == ["take", "commit"]


@pytest.mark.parametrize(
    ("stops_at", "orphaned", "expected"),
    [
        (0, True, ["tasks"]),
        (1, True, ["tasks", "again"]),
        (9, False, ["tasks", "last", "lacking", "notice"]),
        (9, True, ["tasks", "again", "last", "lacking", "notice"]),
        (2, True, ["tasks", "again", "last", "lacking", "notice"]),
    ],
)
def test_a_run_goes_step_by_step(
    monkeypatch: pytest.MonkeyPatch, stops_at: int, orphaned: bool, expected: list[str]
) -> None:
    events: list[str] = []
    hears: Any = SimpleNamespace(notice=events.append)
    scan = SimpleNamespace(tasks=lambda: "tasks", again=lambda files: "again")
    journal = SimpleNamespace(take_waiting=lambda: [1] if orphaned else [])
    line = pipeline(hears, scan=scan, journal=journal, counter=contextlib.nullcontext())
    line._library.reading = contextlib.nullcontext
    monkeypatch.setattr(pictor.indexer.pipeline.catalog_spaces, "count_items", lambda _: 5)
    lacking = SimpleNamespace(tasks=lambda: "lacking", problems=["notice"])
    monkeypatch.setattr(pictor.indexer.pipeline.Backfill, "of", lambda *_: lacking)

    def drain(_: object, tasks: str) -> bool:
        events.append(tasks)
        return len(events) > stops_at if tasks != "lacking" else stops_at == 2

    line._pool = contextlib.nullcontext
    line._drain = drain
    line._commit = lambda *, last=False: events.append("last" if last else "commit")
    assert line.run() is (stops_at != 9)
    assert events == expected and line._held_before == 5


# --- a whole run


def test_an_index_that_cannot_be_saved_is_a_notice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "full")

    monkeypatch.setattr(pictor.indexer.pipeline.indexes, "refresh", full)
    world.draw("a.png")
    summary = world.index()
    assert summary.indexed == 1
    assert any("was not saved, searches build it: [Errno 28] full" in o for o in summary.notices)


def test_a_run_that_stops_while_a_model_is_fetched_counts_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.draw("a.png")
    world.index()

    def stopped(*_: object, **__: object) -> Any:
        raise Stopped

    monkeypatch.setattr(pictor.indexer.run, "opened", stopped)
    summary = world.index()
    assert 0 <= summary.seconds < 60 and summary.seconds == round(summary.seconds, 3)
    assert replace(summary, seconds=0.0) == Summary(0, 0, 0, 0, 0, 0, 0, 0, 1, 0.0, stopped=True)


@pytest.mark.parametrize("error", [LibraryError("full"), ModelError("full")])
def test_a_background_that_is_not_renewed_is_a_notice(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    hears = Hears()
    filled: list[str] = []

    def fill(_: object, row: Any, observer: object) -> None:
        filled.append(row.encoder)
        if row.encoder == "one":
            raise error

    monkeypatch.setattr(pictor.indexer.run.caption_bank, "fill", fill)
    scored: list[str] = []
    monkeypatch.setattr(
        pictor.indexer.run.null_scores, "fill", lambda _, row, __: scored.append(row.encoder)
    )
    spaces = [SimpleNamespace(row=SimpleNamespace(encoder=name)) for name in ("one", "two")]
    fill_background(None, SimpleNamespace(spaces=spaces), hears)  # type: ignore[arg-type]
    assert filled == ["one", "two"]
    assert scored == ["two"]
    assert hears.heard == ["the background of one was not renewed: full"]


def test_the_counts_of_a_run_are_stored(world: World) -> None:
    world.draw("a.png")
    world.draw("b.png", 3)
    summary = world.index()
    assert (summary.seen, summary.indexed, summary.encoded, summary.items) == (2, 2, 2, 2)
    assert 0 < summary.seconds < 600 and summary.seconds == round(summary.seconds, 3)
    assert summary.unreachable == () and not summary.stopped
    ((stored,),) = world.sql("SELECT json_extract(summary, '$.encoded') FROM run")
    assert stored == 2
    (world.root / "a.png").unlink()
    assert world.index().missing == 1
    stored = world.sql("SELECT json_extract(summary, '$.missing') FROM run ORDER BY id")
    assert stored == [(0,), (1,)]


def test_a_root_that_breaks_off_is_told_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from pictor.indexer.sources.folder import FolderSource

    world.draw("a.png")
    other = world.folder / "other"
    other.mkdir()
    world.index(world.root, other)
    real = FolderSource.scan

    def scan(self: FolderSource, prefix: bytes = b"") -> Iterator[Any]:
        if self.location == os.fsencode(other):
            raise SourceError("pulled out")
        yield ScanProblem(b"sub/", "not allowed")
        yield from real(self, prefix)

    monkeypatch.setattr(FolderSource, "scan", scan)
    summary = world.index_named([])
    assert summary.notices == (
        f"{str(other)!r} is unreachable, nothing of it was forgotten: pulled out",
        f"{str(world.root) + '/sub/'!r} could not be listed: not allowed",
    )
    assert summary.unreachable == (str(other),) and summary.unchanged == 1


def test_only_what_was_refused_is_forgotten_by_a_retry(world: World) -> None:
    world.draw("a.png")
    (world.root / "b.txt").write_text("text")
    (world.root / "c.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    world.index()
    world.forget_work()
    again = world.index(retry=True)
    assert (again.unchanged, again.skipped, again.failed) == (1, 1, 1)
    assert world.decoded >= 1 and world.encoded == 0


def test_a_task_is_not_forced() -> None:
    assert ReadTask(1, Locator("file", b"/a"), 1, 1).forced is False
