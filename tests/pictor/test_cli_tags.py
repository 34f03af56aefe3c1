"""`pictor tag` and `pictor tags` as commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pictor.library.images.xmp import xmp_facts


def test_a_set_is_applied_counted_and_gone_on_with(
    run: Any, own_library: Path, tmp_path: Path
) -> None:
    labels = tmp_path / "two.txt"
    labels.write_text("thing|square\nthing|circle\n")
    options = ("tag", "--labels", labels, "--min", "0", "--library", own_library)
    first = json.loads(run(*options, "--json").stdout)
    assert first["name"] == "two" and first["is_anew"] and first["contents"] > 10
    second = run(*options)
    assert second.stdout.startswith("two: scored 0 new or changed photos against 3 labels")
    counted = [
        json.loads(line)
        for line in run("tags", "--json", "--library", own_library).stdout.splitlines()
    ]
    assert sum(one["photos"] for one in counted) <= first["tags"]
    assert {one["set"] for one in counted} <= {"two"}


def test_people_tag_and_untag(run: Any, own_library: Path, pictures: Path) -> None:
    where = ("--library", own_library)
    paths = (pictures / "one.png", pictures / "sub" / "copy.png", pictures / "two.png")
    assert run("tag", "add", *paths, "ours|Wien", *where).stdout == "tagged 2 photos 'ours|Wien'\n"
    assert run("tags", *where).stdout == "person\tours|Wien\t2\n"
    assert run("tag", "remove", paths[0], "ours|Wien", *where).stdout.endswith("from 1 photo\n")
    assert run("tag", "add", pictures / "notes.txt", "x", *where).exit_code == 1


def test_a_tag_of_a_set_is_not_taken_by_hand(
    run: Any, own_library: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pictor.tagging.thresholds.level", lambda *_: -1000.0)
    where, photo = ("--library", own_library), pictures / "one.png"
    labels = tmp_path / "mine.txt"
    labels.write_text("square\n")
    run("tag", "--labels", labels, "--min", "0", *where)
    before = run("tags", *where).stdout
    refused = run("tag", "remove", photo, "square", *where)
    assert refused.exit_code == 1 and refused.stdout == ""
    assert "'square' is a tag of the set 'mine', which a tagging pass gives" in refused.stderr
    run("tag", "add", photo, "square", *where)
    assert run("tag", "remove", photo, "square", *where).stdout.endswith("from 1 photo\n")
    assert run("tags", *where).stdout == before
    assert run("tag", "remove", photo, "other", *where).exit_code == 0


@pytest.mark.processes
def test_a_dry_run_then_sidecars(run: Any, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.linear_gradient("L").save(photos / "a.png")
    home = tmp_path / "library"
    run("index", photos, "--library", home)
    run("tag", "add", photos / "a.png", "Wien", "--library", home)
    labels = tmp_path / "l.txt"
    labels.write_text("square\n")
    options = ("tag", "--labels", labels, "--write-xmp", "--library", home)
    dry = run(*options)
    assert "a.png.xmp (new)\t+" in dry.stdout and "nothing was done: add --yes" in dry.stderr
    assert not (photos / "a.png.xmp").exists()
    assert "wrote 1 sidecars" in run(*options, "--yes").stderr
    assert "Wien" in xmp_facts((photos / "a.png.xmp").read_bytes()).keywords


def test_mistakes_are_one_sentence(run: Any, own_library: Path, tmp_path: Path) -> None:
    where = ("--library", own_library)
    assert run("tag", *where).exit_code == 2
    assert run("tag", "--labels", "everyday", "--min", "2", *where).exit_code == 2
    missing = run("tag", "--labels", "nothere.toml", *where)
    assert missing.exit_code == 1 and "presets" in missing.stderr
    bad = run("tag", "--labels", "coco", "--template", "x", *where)
    assert bad.exit_code == 1 and "has no {label}" in bad.stderr
    assert run("tag", "--labels", "coco", "--encoder", "no/such", *where).exit_code == 1
    unknown = run("tag", "--labels", "everyday", "--language", "xx", *where)
    assert unknown.exit_code == 1 and "'xx', only in en, zh" in unknown.stderr
    empty = run("tags", *where)
    assert empty.stdout == "" and "no photo has a tag" in empty.stderr
