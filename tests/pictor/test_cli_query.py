"""The query language on the command line: filters as options, negative parts, levels, pages."""

import json
import os
from pathlib import Path

import pytest
from PIL import Image

from pictor import open_library
from pictor.library.config import Settings
from pictor.library.errors import QueryError

COLOURS = {"red": (255, 0, 0), "green": (0, 160, 0), "blue": (0, 0, 255), "grey": (90, 90, 90)}
ANY = ("--min", "any", "--no-fold", "--json")


@pytest.fixture(scope="module")
def dated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of four colours, taken in 2020 to 2023, the first south of the equator."""
    folder = tmp_path_factory.mktemp("dated")
    (folder / "photos").mkdir()
    for year, (name, rgb) in enumerate(COLOURS.items(), 2020):
        exif = Image.Exif()
        exif[0x010F] = "Sony" if year % 2 else "Canon"
        exif[0x8769] = {0x9003: f"{year}:05:06 07:08:09"}
        if year == 2020:
            exif[0x8825] = {1: "S", 2: (33.9, 0.0, 0.0), 3: "E", 4: (18.4, 0.0, 0.0)}
        size = (64, 48) if year < 2022 else (48, 64)
        Image.new("RGB", size, rgb).save(folder / "photos" / f"{name}.jpg", exif=exif)
    with open_library(folder / "library", settings=Settings()) as opened:
        opened.index([folder / "photos"])
    return folder / "library"


@pytest.fixture
def found(run, dated):
    """The names a search finds, in order."""

    def ask(*arguments: str, status: int = 0) -> list[str]:
        result = run("search", *arguments, *ANY, "--library", dated)
        assert result.exit_code == status, result.output
        return [Path(json.loads(line)["path"]).stem for line in result.stdout.splitlines()]

    return ask


@pytest.mark.parametrize(
    ("written", "options"),
    [
        ("after:2021 before:2023", ("--after", "2021", "--before", "2023")),
        ("camera:sony", ("--camera", "sony")),
        ("taken:2020-05..2021", ("--taken", "2020-05..2021")),
        ("near:-33.9,18.4,5km", ("--near", "-33.9,18.4,5km")),
        ("is:portrait dir:photos", ("--is", "portrait", "--dir", "photos")),
        ("type:image format:jpg has:date", ("--type", "image", "--format", "jpg", "--has", "date")),
        ("min-mp:1", ("--min-mp", "1")),
        ("-camera:sony", ("--not", "camera:sony")),
    ],
)
def test_options_are_the_filters_of_the_language(found, written, options):
    assert found("a picture", written) == found("a picture", *options)
    assert set(found(written)) == set(found(*options)) == set(found("a picture", *options))


def test_filters_select(found):
    assert found("after:2021 before:2023") == ["blue", "green"]  # the newest first
    assert found("--sort", "oldest", "--after", "2021") == ["green", "blue", "grey"]
    assert found("near:-33.9,18.4") == ["red"]
    assert found("min-mp:1") == []


def test_a_dash_before_a_word_or_phrase_is_a_negative_part(run, dated):
    for arguments in (
        ("-red",),
        ("-very",),
        ("-红",),
        ("--not", "x"),
        ("--not", "red"),
        ("--top", "3", "-red", "--json"),
    ):
        result = run("search", "a picture", *arguments, "--explain", "--library", dated)
        assert result.exit_code == 0, result.output
        shown = next(word for word in ("very", "红", "x", "red") if word in " ".join(arguments))
        assert f'query       "a picture" -"{shown}"' in result.stderr
    result = run(
        "similar", dated.parent / "photos" / "red.jpg", "--not", "blue", "--library", dated
    )
    assert result.exit_code == 0


def test_short_options_stay_options(run, dated):
    assert run("search", "red", "-0", "--library", dated).stdout_bytes.count(b"\0") <= 4
    assert run("search", "-h").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("--after", "soon"), 2, "--after takes a date"),
        (("red", "--near", "100,0"), 2, "--near takes degrees"),
        (("red", "--page", "2", "--offset", "3"), 2, "--page and --offset"),
        (("red", "--min", "sure"), 2, "--min"),
        (("red", "--diversity", "2"), 2, "--diversity"),
        (("-n", "3", "red"), 2, "No such option: -n; for N hits use --top N"),
        (("red", "-3"), 2, "No such option: -3"),
        (("red camera:",), 1, "at character 5 of the query needs a value"),
        (("red", "root:none"), 1, "no root 'none'"),
    ],
)
def test_mistakes_are_one_sentence(run, dated, arguments, status, words):
    result = run("search", *arguments, "--library", dated)
    assert result.exit_code == status
    assert words in result.stderr
    assert result.stdout == ""


def test_pages_follow_each_other(found):
    whole = found("a picture")
    assert found("a picture", "--top", "2") == whole[:2]
    assert found("a picture", "--top", "2", "--page", "2") == whole[2:]
    assert found("a picture", "--top", "2", "--offset", "1") == whole[1:3]


def test_json_says_how_sure_and_why(run, dated):
    result = run("search", "a picture", "-zebra", *ANY, "--library", dated)
    for line in result.stdout.splitlines():
        hit = json.loads(line)
        assert hit["level"] in ("likely", "possible", "weak")
        assert 0 <= hit["probability"] <= 1
        assert [match["how"] for match in hit["why"]] == ["vector"]
        assert hit["why"][0]["part"] == '"a picture"'
        assert hit["folded"] == []


def test_a_name_is_found_as_words(run, dated):
    result = run("search", "grey", "--json", "--library", dated)
    hit = json.loads(result.stdout.splitlines()[0])
    assert Path(hit["path"]).name == "grey.jpg"
    assert hit["level"] == "likely"
    written = {"part": "grey", "how": "words", "score": 1.0, "fields": ["name"], "exact": True}
    assert hit["why"][-1] == written


def test_no_hits_says_how_many_weak_ones_there_are(run, dated):
    result = run("search", "a submarine full of accountants", "--library", dated)
    assert result.exit_code == 0
    assert result.stdout == ""
    assert (
        result.stderr == "nothing fits well enough; 4 weak candidates: show them with --min any\n"
    )


def test_a_library_without_levels_says_so_once(run, dated, tmp_path):
    import shutil
    import sqlite3

    older = Path(shutil.copytree(dated, tmp_path / "older"))
    with sqlite3.connect(older / "catalog.sqlite") as connection:
        connection.execute("UPDATE space SET background_bank = ''")
    connection.close()
    result = run("search", "a submarine", "--json", "--library", older)
    assert len(result.stdout.splitlines()) >= 1
    assert json.loads(result.stdout.splitlines()[0])["level"] is None
    assert result.stderr.count("no levels yet") == 1


def test_what_cannot_be_counted_or_understood_is_said(run, dated):
    for option in (("--offset", str(2**63 - 1)), ("--page", "9" * 20), ("--top", "9" * 20)):
        result = run("search", "a picture", *option, "--library", dated)
        assert result.exit_code in (1, 2) and "must be" in result.stderr
    beyond = run("search", "a picture", *ANY, "--page", 50, "--library", dated)
    assert (beyond.stdout, beyond.stderr) == ("", "no hits from number 981 on\n")
    unknown = run("search", "🐶🐶", *ANY, "--library", dated)
    assert 'builtin knows no word of "🐶🐶"' in unknown.stderr and not unknown.stdout
    with open_library(dated) as library:
        for query in (None, 5, b"x", []):
            with pytest.raises(QueryError, match="a query is a text"):
                library.search(query)
        for top in (10**30, "x"):
            with pytest.raises(QueryError, match="number of hits must be 1 to"):
                library.search("dog", top=top)


def test_explain_says_what_was_done_and_leaves_the_data_alone(run, dated):
    plain = run("search", "a picture", "after:2021", *ANY, "--library", dated)
    result = run("search", "a picture", "after:2021", *ANY, "--explain", "--library", dated)
    assert result.stdout == plain.stdout
    for words in ("query  ", "spaces  ", "filter      select first; 3 pass", "candidates  "):
        assert words in result.stderr
    assert result.stderr.count('"a picture": cosine') == 3
    assert os.fsdecode(dated.parent) in result.stderr
