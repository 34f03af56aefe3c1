import base64
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pictor import Hit, open_library
from pictor.cli.hits import hit_json
from pictor.library.names import shown
from pictor.query import SearchOptions

#: The pictures are drawn, and show nothing that has a name.
EVERYTHING = ("--min", "any", "--no-fold")
RED = ("search", "red", *EVERYTHING)

FIELDS = {
    "rank": int,
    "score": float,
    "path": str,
    "content": str,
    "item": int,
    "space": str,
    "width": int,
    "height": int,
    "taken_at": (str, type(None)),
    "time_s": (float, type(None)),
    "state": str,
    "other_paths": list,
    "level": (str, type(None)),
    "probability": (float, type(None)),
    "why": list,
    "folded": list,
}


def objects(stdout: str | bytes) -> list[dict]:
    return [json.loads(line) for line in stdout.splitlines()]


def all_paths(hits: list[Hit]) -> set[bytes]:
    return {path for hit in hits for path in (hit.path, *hit.other_paths)}


@pytest.fixture(scope="module")
def hits(library: Path) -> list[Hit]:
    with open_library(library) as opened:
        options = SearchOptions(top=100, minimum="any", is_folded=False)
        return opened.search("red", options=options)


def test_json_is_one_object_a_hit_with_every_field(run, library, hits):
    result = run(*RED, "--top", "100", "--library", library, "--json")
    found = objects(result.stdout)
    assert result.exit_code == 0
    assert len(found) == len(hits)
    assert [hit["rank"] for hit in found] == list(range(1, len(found) + 1))
    for hit in found:
        assert set(hit) - {"path_bytes", "other_paths_bytes"} == set(FIELDS)
        assert all(isinstance(hit[name], kind) for name, kind in FIELDS.items())
        assert len(hit["content"]) == 64
        assert hit["state"] == "present"
    scores = [hit["score"] for hit in found]
    assert scores == sorted(scores, reverse=True)
    assert {hit["space"] for hit in found} == {"builtin"}


def test_json_names_the_copy_and_the_time_of_an_animation(run, library):
    found = objects(run(*RED, "--top", "100", "--library", library, "--json").stdout)
    (one,) = [hit for hit in found if hit["other_paths"]]
    names = sorted(Path(path).name for path in (one["path"], *one["other_paths"]))
    assert names == ["copy.png", "one.png"]
    (moving,) = [hit for hit in found if hit["time_s"] is not None]
    assert moving["path"].endswith("moving.gif")


def test_json_gives_back_every_byte_of_every_name(run, library, hits):
    found = objects(run(*RED, "--top", "100", "--library", library, "--json").stdout)
    for shown_hit, hit in zip(found, hits, strict=True):
        if "path_bytes" in shown_hit:
            assert base64.b64decode(shown_hit["path_bytes"]) == hit.path
            assert shown_hit["path"].endswith("bad\\xff\\xfe.png")
        else:
            assert os.fsencode(shown_hit["path"]) == hit.path
    assert sum("path_bytes" in hit for hit in found) == 1


def test_json_keeps_copies_whose_names_are_no_utf8():
    hit = Hit(1, 0.5, b"/a", "00", 1, "builtin", 1, 1, other_paths=(b"/b", b"/\xff"))
    data = hit_json(hit)
    assert data["other_paths"] == ["/b", "/\\xff"]
    assert data["other_paths_bytes"] == [None, base64.b64encode(b"/\xff").decode()]


def test_null_gives_raw_paths_for_xargs(spawn, library, hits):
    result = spawn(*RED, "--top", "100", "--library", library, "-0")
    assert result.stdout.split(b"\0")[:-1] == [hit.path for hit in hits]
    assert any(b"some.zip!/in/inside.png" in path for path in result.stdout.split(b"\0"))


def test_piped_lines_are_rank_score_and_escaped_path(spawn, library, hits):
    result = spawn(*RED, "--top", "100", "--library", library)
    rows = [line.split("\t") for line in result.stdout.decode().splitlines()]
    assert [row[0] for row in rows] == [str(hit.rank) for hit in hits]
    assert [row[1] for row in rows] == [f"{hit.score:.4f}" for hit in hits]
    assert [row[2] for row in rows] == [shown(hit.path) for hit in hits]
    assert b"\x1b" not in result.stdout
    assert result.stderr == b""


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
@pytest.mark.parametrize("form", [(), ("--json",), ("-0",)])
def test_no_encoding_of_the_terminal_makes_printing_fail(library, encoding, form):
    result = subprocess.run(
        [sys.executable, "-m", "pictor", "search", "海", *EVERYTHING, "--library", library, *form],
        env=os.environ | {"PYTHONIOENCODING": encoding},
        capture_output=True,
        check=True,
    )
    assert "海边".encode() in result.stdout


def test_top_and_the_setting_bound_the_number_of_hits(run, library, monkeypatch):
    assert len(run(*RED, "--top", "2", "--library", library).stdout.splitlines()) == 2
    monkeypatch.setenv("PICTOR_SEARCH__TOP", "3")
    assert len(run(*RED, "--library", library).stdout.splitlines()) == 3


def test_several_queries_and_an_image_are_one_query(run, library, pictures):
    result = run(*RED, pictures / "one.png", "--library", library, "--json")
    assert result.exit_code == 0
    assert len(objects(result.stdout)) > 3


def test_image_of_any_name_finds_itself_first(run, library, odd_paths):
    for path in odd_paths:
        result = run("search", os.fsdecode(path), "--top", "1", "-0", "--library", library)
        assert result.stdout_bytes == path + b"\0"


def test_similar_leaves_the_image_itself_out(spawn, library, pictures):
    result = spawn("similar", pictures / "two.png", "--top", "100", "-0", "--library", library)
    found = result.stdout.split(b"\0")[:-1]
    assert os.fsencode(pictures / "two.png") not in found
    assert len(found) > 5


def test_leading_dash_is_a_name_after_two_dashes(library, pictures):
    command = [sys.executable, "-m", "pictor", "similar", "--library", library, "--", "-dash.png"]
    result = subprocess.run(
        command, cwd=pictures, capture_output=True, check=True, env=os.environ | SOURCES
    )
    assert result.stdout


SOURCES = {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("search", " "), 1, "the query is empty"),
        (("search",), 2, "Missing argument"),
        (("search", "red", "--top", "0"), 2, "--top"),
        (("search", "red", "--json", "-0"), 2, "--json and -0"),
        (("search", "red", "--encoder", "nobody"), 1, "nobody"),
        (("similar", "/no/such.png"), 1, "/no/such.png"),
        (("similar", __file__), 1, "test_cli_search.py"),
    ],
)
def test_questions_that_cannot_be_asked(run, library, arguments, status, words):
    result = run(*arguments, "--library", library)
    assert result.exit_code == status
    assert words in result.stderr
    assert result.stdout == ""


def test_no_library_is_one_sentence(run, tmp_path):
    result = run(*RED, "--library", tmp_path / "none")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: there is no library at ")


@pytest.mark.parametrize("form", [("--json",), ("-0",), ()])
def test_reader_that_goes_away_ends_the_command_quietly(library, form):
    reader, writer = os.pipe()
    os.close(reader)
    result = subprocess.run(
        [sys.executable, "-m", "pictor", *RED, "--library", library, *form],
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writer)
    assert (result.returncode, result.stderr) == (141, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_full_disk_is_one_sentence(library):
    with Path("/dev/full").open("wb") as full:
        command = [sys.executable, "-m", "pictor", *RED, "--library", library]
        result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False)
    assert result.returncode == 1
    assert result.stderr.decode().startswith("Error: No space left on device: free some space")
    assert result.stderr.count(b"\n") == 1


# --- on a terminal


def on_a_terminal(*arguments: str | Path, term: str = "dumb") -> str:
    """What the command shows on a terminal of 200 columns."""
    import pty

    ours, theirs = pty.openpty()
    environ = os.environ | {"TERM": term, "COLUMNS": "200"}
    command = [sys.executable, "-m", "pictor", *arguments]
    process = subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environ)
    os.close(theirs)
    parts = []
    try:
        while part := os.read(ours, 65536):
            parts.append(part)
    except OSError:  # Linux: the other end was closed
        pass
    os.close(ours)
    assert process.wait(timeout=60) == 0
    return b"".join(parts).decode()


def test_table_has_headings_and_no_character_that_drives_the_terminal(library):
    text = on_a_terminal(*RED, "--top", "100", "--library", library)
    assert [word in text.splitlines()[0] for word in ("score", "path", "size", "taken at", "time")]
    assert "96×64" in text
    assert "+1 other path" in text
    assert r"esc\x1b[31mred\x1b]0;owned\x07.png" in text
    assert r"csi\u009b31m.png" in text
    assert r"rtl\u202egnp.exe.png" in text
    assert r"new\nline.png" in text
    assert not any(ord(c) < 32 and c not in "\r\n" for c in text)


def test_a_terminal_shows_the_best_weak_hits_where_there_are_no_others(run, library):
    nowhere = ("search", "a submarine full of accountants", "--library", library)
    said = "nothing fits well enough; {} weak candidates: show them with --min any"
    best = [
        json.loads(line) for line in run(*nowhere, "--min", "any", "--json").stdout.splitlines()
    ]
    assert {hit["level"] for hit in best} == {"weak"}
    sentence, headings, *rows = on_a_terminal(*nowhere).splitlines()
    assert re.fullmatch(said.format(r"\d+"), sentence)
    assert headings.split()[:3] == ["#", "score", "level"]
    assert [row.split()[:3] for row in rows] == [
        [str(hit["rank"]), f"{hit['score']:.3f}", "weak"] for hit in best[:3]
    ]
    greyed = on_a_terminal(*nowhere, term="xterm-256color").splitlines()
    assert all("\x1b[2m" in row or ";2m" in row for row in greyed[2:])
    # Programs get what they always got, and so do people who named a level or a page.
    for form in ("--json", "-0"):
        (line,) = on_a_terminal(*nowhere, form).splitlines()
        assert re.fullmatch(said.format(r"\d+"), line)
    assert run(*nowhere).stdout == ""
    for options in (("--min", "possible"), ("--min", "likely"), ("--page", "2")):
        assert len(on_a_terminal(*nowhere, *options).splitlines()) == 1
    dated = on_a_terminal(*nowhere, "--sort", "newest").splitlines()
    assert dated[2:] == rows


def test_paths_are_links_where_the_terminal_knows_them(library):
    text = on_a_terminal(*RED, "--top", "100", "--library", library, term="xterm-256color")
    assert "two%20%20words" in text
    assert "bad%FF%FE.png" in text
    assert "\x1b]0;" not in text


def test_unreachable_hits_are_marked(own_library, archive, tmp_path):
    import sqlite3

    with sqlite3.connect(own_library / "catalog.sqlite") as connection:
        connection.execute("UPDATE root SET state = 'unreachable' WHERE kind = 'archive'")
    connection.close()
    text = on_a_terminal(*RED, "--top", "100", "--library", own_library)
    (line,) = [line for line in text.splitlines() if "some.zip" in line]
    assert "unreachable" in line


@pytest.mark.slow
def test_run_shows_a_bar_with_rate(tmp_path, many):
    text = on_a_terminal("index", many, "--library", tmp_path / "lib", term="xterm-256color")
    assert "indexing" in text
    assert "/150" in text
    assert "/s" in text
    assert "indexed 150, " in text


def test_page_is_written_beside_the_hits(run, library, tmp_path):
    page = tmp_path / "found.html"
    result = run(*RED, "狗", "--library", library, "--html", page)
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) > 3
    assert "written: " in result.stderr
    assert "red + 狗" in page.read_text("utf-8")


def test_page_is_not_written_over_a_photo(run, library, pictures):
    before = (pictures / "one.png").read_bytes()
    result = run(*RED, "--library", library, "--html", pictures / "one.png")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert (pictures / "one.png").read_bytes() == before
