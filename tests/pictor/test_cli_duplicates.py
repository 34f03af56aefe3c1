"""`pictor duplicates` as a command: from find to plan to apply to undo."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from duplicate_world import state_of
from PIL import Image

from pictor import open_library
from pictor.cli.progress import Reporter


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two photo-like pictures, one of them with a copy and smaller versions."""
    folder = tmp_path / "photos"
    (folder / "copies").mkdir(parents=True)
    image = Image.effect_mandelbrot((640, 480), (-0.75, 0.05, -0.65, 0.15), 90).convert("RGB")
    image.save(folder / "one.png")
    shutil.copy2(folder / "one.png", folder / "copies" / "one (1).png")
    image.save(folder / "copies" / "one.jpg", quality=85)
    other = Image.effect_mandelbrot((640, 480), (-1.5, -1.0, 0.5, 1.0), 60).convert("RGB")
    other.save(folder / "two.png")
    for number, path in enumerate(sorted(folder.rglob("*.*"))):
        os.utime(path, ns=(1, 1_600_000_000_000_000_000 + number * 10**9))
    return folder


@pytest.fixture
def home(tmp_path: Path, photos: Path) -> Path:
    with open_library(tmp_path / "library") as library:
        library.index([photos])
    return tmp_path / "library"


def lines(result: Any) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_find_prints_what_the_json_form_says(run: Any, home: Path, photos: Path) -> None:
    (group,) = lines(run("duplicates", photos, "--json", "--library", home))
    assert list(group)[:5] == ["group", "kind", "keep", "reason", "members"]
    assert {"pairs"} < group.keys() and len(group["group"]) == 12
    assert group["kind"] == "near" and len(group["members"]) == 3
    assert group["keep"] in {member["path"] for member in group["members"]}
    for member in group["members"]:
        assert {"path", "content", "width", "height", "bytes", "taken_at"} <= member.keys()
        assert len(member["content"]) == 64
    for pair in group["pairs"]:
        assert {"a", "b", "kind", "confidence", "evidence"} <= pair.keys()
        assert 0 <= pair["confidence"] <= 1
    (same,) = lines(run("duplicates", "--kind", "bytes", "--json", "--library", home))
    assert len(same["members"]) == 2 and same["pairs"][0]["kind"] == "bytes"


def test_what_names_no_verb_is_find(run: Any, home: Path, photos: Path) -> None:
    plain = run("duplicates", "--library", home)
    assert plain.exit_code == 0 and plain.stdout.count("\n") == 3
    assert "1 group of 3 files; 2 could go" in plain.stderr
    for words in (
        ("--library", home, "duplicates"),
        ("duplicates", f"--library={home}"),
        ("duplicates", "--library", home, photos),
        ("duplicates", "find", "--library", home, "--kind", "bytes", "--kind", "near"),
        ("duplicates", "--offline", "--library", home, "find"),
    ):
        assert run(*words).stdout.count("\n") == 3, words
    (photos / "empty").mkdir()
    nothing = run("duplicates", "--library", home, photos / "empty")
    assert nothing.stdout == "" and "no duplicates were found" in nothing.stderr


def test_a_place_that_nothing_knows_is_an_error(run: Any, home: Path, photos: Path) -> None:
    where = ("--library", home)
    for words in (("/nope",), ("--against", "/nope"), (photos, "frob"), ("plan", "-o", "p", "/x")):
        wrong = run("duplicates", *words, *where)
        assert wrong.exit_code == 1 and "is neither on this disk nor" in wrong.stderr, words
    for words in (("aply", "plan.jsonl"), ("undoo",), ("aply", "plan.jsonl", "--yes")):
        slip = run("duplicates", *words, *where)
        assert slip.exit_code == 2 and "did you mean" in slip.stderr, words
    long = run("duplicates", "/" + "n" * 3000, *where)
    assert long.exit_code == 1 and len(long.stderr) < 400
    # What the library knows is no mistake, though it is not there now.
    photos.rename(photos.with_name("unmounted"))
    for known in (photos, photos / "copies", photos / "one.png", photos.parent):
        assert run("duplicates", "--no-compare", known, *where).exit_code == 0
    for unknown in (photos / "copie", photos / "one.pn", photos / "two"):
        assert run("duplicates", "--no-compare", unknown, *where).exit_code == 1


def test_a_pipe_has_a_line_a_file_and_explains(run: Any, home: Path) -> None:
    result = run("duplicates", "--library", home, "--explain", "--rules", "prefer: name")
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    files = [row for row in rows if len(row) == 6]
    assert [row[2] for row in files] == ["keep", "go", "go"]
    assert files[0][5].endswith("/one.jpg") or files[0][5].endswith("/one.png")
    assert [row[1] for row in rows if len(row) == 3] == ["reason"]
    assert sum(row[1] == "why" for row in rows) >= 2


def test_from_find_to_plan_to_apply_to_undo(
    run: Any, home: Path, photos: Path, tmp_path: Path
) -> None:
    where = ("--library", home)
    before = state_of(photos)
    plan = tmp_path / "plan.jsonl"
    made = run("duplicates", "plan", "-o", plan, "--rules", "prefer: largest, name", *where)
    assert made.exit_code == 0 and "2 files of 1 group would go" in made.stderr
    refused = run("duplicates", "plan", "-o", plan, *where)
    assert refused.exit_code == 1 and "--force" in refused.stderr

    rehearsed = run("duplicates", "apply", plan, *where)
    assert rehearsed.exit_code == 0 and "nothing was touched: add --yes" in rehearsed.stderr
    assert rehearsed.stdout.count("would be moved") == 2 and state_of(photos) == before

    done = run("duplicates", "apply", plan, "--yes", *where)
    assert done.exit_code == 0 and "2 files moved, 0 left alone" in done.stderr
    assert sorted(path.name for path in photos.rglob("*.*")) == ["one.png", "two.png"]
    assert "no duplicates were found" in run("duplicates", *where).stderr
    again = run("duplicates", "apply", plan, "--yes", *where)
    assert again.exit_code == 1 and "0 files moved, 2 left alone" in again.stderr

    back = run("duplicates", "undo", "last", *where)
    assert back.exit_code == 0 and "2 files put back" in back.stderr
    assert state_of(photos) == before
    assert "1 group of 3 files" in run("duplicates", *where).stderr
    nothing = run("duplicates", "undo", *where)
    assert nothing.exit_code == 1 and "no run to undo" in nothing.stderr


def test_apply_as_json_and_as_hardlinks(run: Any, home: Path, photos: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.jsonl"
    run("duplicates", "plan", "--kind", "bytes", "-o", plan, "--library", home)
    (row,) = lines(
        run("duplicates", "apply", plan, "--yes", "--hardlink", "--json", "--library", home)
    )
    assert row["done"] == "linked" and row["problem"] is None
    assert (photos / "one.png").stat().st_nlink == 2
    (back,) = lines(run("duplicates", "undo", "--json", "--library", home))
    assert back["done"] == "back" and (photos / "one.png").stat().st_nlink == 1
    both = run("duplicates", "apply", plan, "--hardlink", "--move", "x", "--library", home)
    assert both.exit_code == 2
    for option in ("--trash", "--move"):
        empty = run("duplicates", "apply", plan, "--yes", option, "", "--library", home)
        assert empty.exit_code == 2 and "its name is empty" in empty.stderr


def test_hard_links_are_not_counted_as_what_could_go(
    run: Any, home: Path, photos: Path, tmp_path: Path
) -> None:
    where = ("--kind", "bytes", "--library", home)
    assert "1 could go" in run("duplicates", *where).stderr
    plan = tmp_path / "plan.jsonl"
    run("duplicates", "plan", "-o", plan, *where)
    run("duplicates", "apply", plan, "--yes", "--hardlink", "--library", home)
    found = run("duplicates", *where)
    assert "0 could go: 0 B; 1 hard link of files that are kept would free nothing" in found.stderr
    assert [line.split("\t")[2] for line in found.stdout.splitlines()] == ["keep", "stay"]


@pytest.mark.parametrize("verb", ["apply", "undo"])
def test_a_run_that_is_stopped_says_so(
    run: Any, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    where = ("--library", home)
    plan = tmp_path / "plan.jsonl"
    run("duplicates", "plan", "-o", plan, *where)
    if verb == "undo":
        run("duplicates", "apply", plan, "--yes", *where)
    asked = iter([False, True, True])
    monkeypatch.setattr(Reporter, "should_stop", lambda _: next(asked))
    words = ("apply", plan, "--yes") if verb == "apply" else ("undo",)
    stopped = run("duplicates", *words, *where)
    done = "moved" if verb == "apply" else "put back"
    assert stopped.exit_code == 130
    assert f"stopped early: 1 file {done}, 1 not reached; " in stopped.stderr
    monkeypatch.undo()
    assert "1 file put back" in run("duplicates", "undo", *where).stderr


def test_a_rehearsal_says_where_files_would_go(
    run: Any, home: Path, photos: Path, tmp_path: Path
) -> None:
    where = ("--library", home)
    plan = tmp_path / "plan.jsonl"
    run("duplicates", "plan", "-o", plan, *where)
    would = [
        line.split("\t")[2]
        for line in run("duplicates", "apply", plan, *where).output.splitlines()
        if "\t" in line
    ]
    did = [
        line.split("\t")[2]
        for line in run("duplicates", "apply", plan, "--yes", *where).output.splitlines()
        if "\t" in line
    ]
    assert len(would) == 2 and all(f"{home}/trash/…/" in one for one in would)
    run_id = did[0].removeprefix(f"{home}/trash/").partition("/")[0]
    assert [one.replace("…", run_id) for one in would] == did
    # The name of the run is enough to take it back.
    back = run("duplicates", "undo", run_id, *where)
    assert back.exit_code == 0 and "2 files put back" in back.stderr
    assert run("duplicates", "undo", "20200101T000000Z-0001", *where).exit_code == 1


def test_decisions_stick_are_listed_and_taken_back(
    run: Any, home: Path, photos: Path, tmp_path: Path
) -> None:
    where = ("--library", home)
    png, jpg = photos / "one.png", photos / "copies" / "one.jpg"
    assert run("duplicates", "decide", png, jpg, "--not-duplicate", *where).exit_code == 0
    (group,) = lines(run("duplicates", "--json", *where))
    assert group["kind"] == "bytes"
    (row,) = lines(run("duplicates", "decide", "--list", "--json", *where))
    assert row["verdict"] == "not-duplicate" and row["a"] < row["b"]
    # By digits of hashes; a decision replaces the one before.
    short = (row["a"][:12], row["b"])
    assert run("duplicates", "decide", *short, "--keep", jpg, *where).exit_code == 0
    (group,) = lines(run("duplicates", "--json", *where))
    assert group["keep"] == str(jpg) and "your decision" in group["reason"]
    assert run("duplicates", "decide", png, jpg, "--related", *where).exit_code == 0
    shared = tmp_path / "decisions.jsonl"
    shared.write_text(run("duplicates", "decide", "--list", "--json", *where).stdout)
    taken = run("duplicates", "decide", png, jpg, "--undo", *where)
    assert "decision withdrawn" in taken.stderr
    assert "there is no decision" in run("duplicates", "decide", png, jpg, "--undo", *where).stderr
    assert lines(run("duplicates", "--json", *where))[0]["kind"] == "near"
    assert "1 decision stored" in run("duplicates", "decide", "--from", shared, *where).stderr
    assert lines(run("duplicates", "--json", *where))[0]["kind"] == "bytes"


def test_decisions_outlive_indexing_anew(
    run: Any, home: Path, photos: Path, tmp_path: Path
) -> None:
    where = ("--library", home)
    names = (photos / "one.png", photos / "copies" / "one.jpg")
    run("duplicates", "decide", *names, "--not-duplicate", *where)
    photos.rename(tmp_path / "elsewhere")
    run("index", tmp_path / "elsewhere", *where)
    (group,) = lines(run("duplicates", tmp_path / "elsewhere", "--json", *where))
    assert group["kind"] == "bytes"


def test_mistakes_are_one_sentence(run: Any, home: Path, photos: Path, tmp_path: Path) -> None:
    where = ("--library", home)
    one, two = photos / "one.png", photos / "two.png"
    wrong = run("duplicates", "--rules", "prefer: biggest", *where)
    assert wrong.exit_code == 1 and "at character 9" in wrong.stderr
    assert run("duplicates", "--kind", "all", *where).exit_code == 2
    assert run("duplicates", "decide", one, two, *where).exit_code == 2
    assert run("duplicates", "decide", one, "--related", *where).exit_code == 2
    assert run("duplicates", "decide", one, two, "--list", *where).exit_code == 2
    assert run("duplicates", "decide", one, two, "--related", "--undo", *where).exit_code == 2
    same = run("duplicates", "decide", one, photos / "copies" / "one (1).png", "--related", *where)
    assert same.exit_code == 1 and "the same content" in same.stderr
    unknown = run("duplicates", "decide", one, photos / "none.png", "--related", *where)
    assert unknown.exit_code == 1 and "no file of this library" in unknown.stderr
    short = run("duplicates", "decide", one, "abcdef1", "--related", *where)
    assert short.exit_code == 1 and "first 8 digits or more of its hash" in short.stderr
    long = run("duplicates", "decide", one, "x" * 3000, "--related", *where)
    assert long.exit_code == 1 and len(long.stderr) < 450
    third = run("duplicates", "decide", one, two, "--keep", photos / "copies" / "one.jpg", *where)
    assert third.exit_code == 1 and "not one of the two" in third.stderr
    gone = run("duplicates", "apply", tmp_path / "none", *where)
    assert gone.exit_code == 1 and "cannot be read" in gone.stderr


def test_html_is_written(run: Any, home: Path, tmp_path: Path) -> None:
    page = tmp_path / "duplicates.html"
    result = run("duplicates", "--html", page, "--library", home)
    assert result.exit_code == 0, result.output
    assert "one.png" in page.read_text("utf-8") and "1 group of 3 files" in result.stderr
    assert f"written: {page}" in result.stderr and result.stdout.count("\n") == 3
    (group,) = lines(run("duplicates", "--html", page, "--json", "--library", home))
    assert len(group["members"]) == 3
    explained = run("duplicates", "--html", page, "--explain", "--library", home)
    assert "\twhy\t" in explained.stdout
    photo = tmp_path / "photo.html"
    photo.write_bytes(b"no page")
    refused = run("duplicates", "--html", photo, "--library", home)
    assert refused.exit_code == 1 and refused.stdout == "" and photo.read_bytes() == b"no page"


def test_review_needs_a_terminal(run: Any, home: Path) -> None:
    result = run("duplicates", "review", "--library", home)
    assert result.exit_code == 1 and "terminal" in result.stderr
