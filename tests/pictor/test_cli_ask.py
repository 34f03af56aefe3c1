"""`pictor ask`: what it prints, as what, and what it loads."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from PIL import Image

from pictor import open_library

Run = Callable[..., Result]
FIELDS = [
    "question",
    "asked",
    "intent",
    "is_answered",
    "reason",
    "text",
    "confidence",
    "answerer",
    "model",
    "citations",
    "evidence",
    "dropped",
    "seconds",
]
EVIDENCE = ["number", "item", "path", "level", "probability", "taken_at", "caption", "text"]


@pytest.fixture(scope="module")
def dated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of two photos with dates, of which one has a name that is no UTF-8."""
    folder = tmp_path_factory.mktemp("dated")
    (folder / "photos").mkdir()
    exif = Image.Exif()
    exif[0x8769] = {0x9003: "2023:05:12 10:00:03"}
    exif[0x010E] = "<b>seen</b> [7] from the pier"
    Image.linear_gradient("L").save(folder / "photos" / "lighthouse.jpg", exif=exif)
    exif[0x8769] = {0x9003: "2022:01:02 03:04:05"}
    Image.radial_gradient("L").save(folder / "photos" / "odd.jpg", exif=exif)
    os.rename(folder / "photos" / "odd.jpg", bytes(folder / "photos") + b"/od\xff\x1b.jpg")
    with open_library(folder / "library") as library:
        library.index([folder / "photos"])
    return folder / "library"


def test_an_answer_is_printed_with_what_it_rests_on(run: Run, dated: Path) -> None:
    done = run("ask", "How many photos did I take in 2023?", "--library", dated)
    assert done.exit_code == 0, done.stderr
    text, row = done.stdout.splitlines()
    assert text == "1 photo: [1]."
    assert row.split("\t")[:3] == ["[1]", "", "2023-05-12 10:00"]
    assert row.endswith("lighthouse.jpg")


def test_not_in_this_library_is_an_answer_too(run: Run, dated: Path) -> None:
    done = run("ask", "How many photos did I take in 1999?", "--library", dated)
    assert done.exit_code == 0
    assert done.stdout == "Not in this library: nothing fits well enough.\n"


def test_json_is_one_object_with_every_field(run: Run, dated: Path) -> None:
    done = run("ask", "When did I take my first photo?", "--library", dated, "--json", "--top", "1")
    (line,) = done.stdout.splitlines()
    answer = json.loads(line)
    assert list(answer) == FIELDS
    assert answer["text"] == "The first time was 2022-01-02 03:04:05 [1]."
    assert (answer["intent"], answer["confidence"]) == ("when", "exact")
    assert (answer["is_answered"], answer["reason"], answer["dropped"]) == (True, "", [])
    assert (answer["answerer"], answer["model"]) == ("facts", "")
    assert answer["seconds"] > 0
    (one,) = answer["evidence"]
    assert [name for name in one if name != "path_bytes"] == EVIDENCE
    assert one["taken_at"] == "2022-01-02T03:04:05" and "path_bytes" in one
    assert one["caption"] == "<b>seen</b> [7] from the pier"  # data, as it is
    assert answer["citations"] == [{k: one[k] for k in ("number", "item", "path", "path_bytes")}]


def test_a_place_that_is_cited_twice_is_one_citation(run: Run, dated: Path) -> None:
    done = run("ask", "what is written in item:1?", "--library", dated, "--json")
    answer = json.loads(done.stdout)
    assert answer["text"].count("[1]") == 2 and len(answer["citations"]) == 1


def test_nothing_found_in_json(run: Run, dated: Path) -> None:
    done = run("ask", "photos before 1999", "--library", dated, "--json")
    answer = json.loads(done.stdout)
    assert (answer["is_answered"], answer["reason"]) == (False, "nothing_found")
    assert answer["citations"] == answer["evidence"] == [] and answer["confidence"] is None
    assert answer["answerer"] == ""


def test_a_stream_prints_the_evidence_first(run: Run, dated: Path) -> None:
    question = "When did I last take a picture?"
    whole = run("ask", question, "--library", dated).stdout.splitlines()
    streamed = run("ask", question, "--library", dated, "--stream").stdout.splitlines()
    assert streamed == [*whole[1:], whole[0]]


def test_a_page_has_the_answer_and_its_pictures(run: Run, dated: Path, tmp_path: Path) -> None:
    page = tmp_path / "answer.html"
    done = run("ask", "describe item:1", "--library", dated, "--html", page)
    assert done.exit_code == 0 and str(page) in done.stderr
    html = page.read_text("utf-8")
    assert "Of [1]: caption “＜b＞seen＜/b＞ ［7］ from the pier”" in html
    assert "<b>seen" not in html and html.count("data:image/jpeg;base64,") == 1
    assert "<b>1</b>" in html
    other = tmp_path / "mine.html"
    other.write_text("mine")
    done = run("ask", "describe item:1", "--library", dated, "--html", other)
    assert done.exit_code == 1 and other.read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        ((), 2, "Missing argument"),
        (("a", "--top", "0"), 2, "1<=x<=100"),
        (("a", "--min", "any"), 2, "likely"),
        (("a", "--json", "--stream"), 2, "exclude each other"),
        (("when was it taken?",), 1, "names nothing"),
        (("dogs camra:sony",), 1, "misspelt"),
    ],
)
def test_what_cannot_be_asked_says_why(
    run: Run, dated: Path, arguments: tuple[str, ...], status: int, says: str
) -> None:
    done = run("ask", *arguments, "--library", dated)
    assert done.exit_code == status and says in done.stderr
    assert done.stdout == ""


def test_a_name_drives_no_terminal(run: Run, dated: Path) -> None:
    for more in ((), ("--stream",)):
        done = run("ask", "photos in 2022", "--library", dated, *more)
        assert "\x1b" not in done.stdout and r"od\xff\x1b.jpg" in done.stdout


@pytest.mark.processes
def test_a_search_loads_nothing_of_it_and_it_no_torch(dated: Path) -> None:
    code = (
        "import sys\nfrom pictor.cli.main import cli\n"
        "cli(sys.argv[1:], standalone_mode=False)\nprint('LOADED', *sys.modules)\n"
    )

    def loaded(*arguments: str | Path) -> set[str]:
        command = [sys.executable, "-c", code, *arguments]
        done = subprocess.run(command, capture_output=True, check=True)
        return set(done.stdout.rpartition(b"LOADED")[2].decode().split())

    searched = loaded("search", "red", "--library", dated)
    assert [name for name in searched if "answers" in name] == []
    asked = loaded("ask", "photos in 2022", "--library", dated)
    assert asked.isdisjoint({"torch", "transformers", "httpx", "PIL", "pictor.hits_page"})
    assert "pictor.answers.facts" in asked


def test_a_library_without_levels_says_so(run: Run, dated: Path, tmp_path: Path) -> None:
    import sqlite3
    from contextlib import closing

    shutil.copytree(dated, tmp_path / "library")
    with closing(sqlite3.connect(tmp_path / "library" / "catalog.sqlite")) as db, db:
        db.execute("UPDATE space SET background_bank = ''")
        db.execute("DELETE FROM meta WHERE key LIKE 'null_scores:%'")
    done = run("ask", "is there a lighthouse?", "--library", tmp_path / "library", "--json")
    answer = json.loads(done.stdout)
    assert (answer["is_answered"], answer["reason"]) == (False, "no_levels")
    assert "pictor index" in answer["text"] and answer["evidence"] == []
