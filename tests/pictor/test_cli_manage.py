import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

import pictor


def objects(stdout: str) -> list[dict]:
    return [json.loads(line) for line in stdout.splitlines()]


def test_status_json_has_counts_spaces_and_roots(run, library, pictures, archive):
    (status,) = objects(run("status", "--library", library, "--json").stdout)
    for name in ("files", "contents", "items", "failed", "skipped", "missing"):
        assert type(status[name]) is int
    assert (status["failed"], status["skipped"], status["missing"]) == (1, 1, 0)
    (space,) = status["spaces"]
    assert space["encoder"] == "builtin"
    assert space["vectors"] == status["items"]
    assert {"dimension", "index_type", "recall_at_10", "state"} <= set(space)
    roots = {root["path"]: root for root in status["roots"]}
    assert set(roots) == {str(pictures), str(archive)}
    assert roots[str(archive)]["files"] == 1
    assert roots[str(pictures)]["state"] == "reachable"


def test_status_lines_say_what_they_are(run, library, pictures):
    lines = [line.split("\t") for line in run("status", "--library", library).stdout.splitlines()]
    facts = {line[0]: line[1] for line in lines}
    assert {"library", "files", "contents", "items", "failed", "space", "root"} <= set(facts)
    assert ["root", str(pictures)] in [line[:2] for line in lines]


def test_root_whose_name_is_no_utf8_is_told_in_full(spawn, tmp_path, pictures):
    folder = os.fsencode(tmp_path) + b"/photos\xff"
    os.mkdir(folder)
    Path(os.fsdecode(folder), "a.png").write_bytes((pictures / "one.png").read_bytes())
    home = tmp_path / "lib"
    assert spawn("index", folder, "--library", home).returncode == 0
    (status,) = objects(spawn("status", "--library", home, "--json").stdout.decode())
    assert status["roots"][0]["path"].endswith("photos\\xff")
    assert "path_bytes" in status["roots"][0]


def test_errors_json_is_one_object_a_file(run, library, pictures):
    found = objects(run("errors", "--library", library, "--json").stdout)
    assert all(set(one) == {"path", "outcome", "reason", "detail"} for one in found)
    by_name = {Path(one["path"]).name: one for one in found}
    assert by_name["broken.png"]["outcome"] == "failed"
    assert by_name["broken.png"]["reason"] in ("truncated", "corrupt")
    assert (by_name["notes.txt"]["outcome"], by_name["notes.txt"]["reason"]) == (
        "skipped",
        "not_media",
    )


def test_errors_lines_are_path_outcome_reason_and_detail(run, library):
    lines = run("errors", "--library", library).stdout.splitlines()
    assert sorted(len(line.split("\t")) for line in lines) == [4, 4]


def test_errors_retry_reads_what_was_mended(run, tmp_path, pictures):
    folder, home = tmp_path / "photos", tmp_path / "lib"
    folder.mkdir()
    whole = (pictures / "one.png").read_bytes()
    (folder / "a.png").write_bytes(whole[:100])
    run("index", folder, "--library", home)
    assert len(objects(run("errors", "--library", home, "--json").stdout)) == 1
    (folder / "a.png").write_bytes(whole)
    result = run("errors", "--library", home, "--retry", "--json")
    assert result.stdout == ""
    assert "indexed 1, " in result.stderr


def test_verify_is_ok_and_exits_with_1_when_not(run, own_library):
    result = run("verify", "--library", own_library, "--json")
    assert (result.exit_code, objects(result.stdout)) == (0, [{"ok": True, "problems": []}])
    with closing(sqlite3.connect(own_library / "catalog.sqlite")) as connection:
        connection.execute("UPDATE vector SET data = zeroblob(length(data))")
        connection.commit()
    result = run("verify", "--library", own_library, "--json")
    (verdict,) = objects(result.stdout)
    assert result.exit_code == 1
    assert verdict["ok"] is False
    assert "unit-norm" in verdict["problems"][0]
    assert run("verify", "--library", own_library).stdout.splitlines() == verdict["problems"]


def test_purge_does_nothing_without_yes(run, tmp_path, pictures):
    folder, home = tmp_path / "photos", tmp_path / "lib"
    folder.mkdir()
    for name in ("one.png", "two.png"):
        (folder / name).write_bytes((pictures / name).read_bytes())
    run("index", folder, "--library", home)
    (folder / "one.png").unlink()
    run("index", folder, "--library", home)
    result = run("purge", "--library", home)
    assert result.exit_code == 0
    assert result.stdout.startswith("would forget 1 file; nothing was done")
    (told,) = objects(run("purge", "--library", home, "--json").stdout)
    assert told == {"done": False, "files": 1}
    (done,) = objects(run("purge", "--library", home, "--yes", "--json").stdout)
    assert done == {"done": True, "files": 1, "contents": 1}
    (done,) = objects(run("purge", folder, "--library", home, "--yes", "--json").stdout)
    assert done == {"done": True, "files": 1, "contents": 1}
    assert (folder / "two.png").is_file()


def test_purge_of_an_unknown_root_is_refused(run, library, tmp_path):
    result = run("purge", tmp_path, "--library", library)
    assert result.exit_code == 1
    assert "is not a root of this library" in result.stderr


def test_config_show_has_value_and_origin(run, monkeypatch, tmp_path):
    monkeypatch.setenv("PICTOR_INDEX__WORKERS", "2")
    file = tmp_path / "mine.toml"
    file.write_text("[search]\ntop = 7\n")
    rows = objects(run("config", "show", "--config", file, "--json").stdout)
    by_name = {row["name"]: row for row in rows}
    assert by_name["index.workers"] == {
        "name": "index.workers",
        "value": 2,
        "origin": "PICTOR_INDEX__WORKERS",
    }
    assert (by_name["search.top"]["value"], by_name["search.top"]["origin"]) == (7, str(file))
    assert by_name["encoder.names"]["origin"] == "default"
    assert "search.top\t7\t" in run("config", "show", "--config", file).stdout


def test_config_that_is_not_there_is_one_sentence(run, tmp_path):
    result = run("config", "show", "--config", tmp_path / "none.toml")
    assert result.exit_code == 1
    assert "cannot be read" in result.stderr


def test_models_list_has_every_card_and_what_is_here(run):
    cards = objects(run("models", "list", "--json").stdout)
    assert cards[0]["id"] == "builtin"
    assert cards[0]["bytes_on_disk"] > 1_000_000
    for card in cards:
        assert {"family", "dimension", "languages", "licence", "download_bytes"} <= set(card)
    assert len(run("models", "list").stdout.splitlines()) == len(cards)


def test_models_in_the_cache_of_the_hub_are_counted(tmp_path, tiny_checkpoint):
    folder = tmp_path / "hub" / "models--openai--clip-vit-base-patch32"
    shutil.copytree(tiny_checkpoint("clip"), folder / "snapshots" / ("c" * 40))
    (tmp_path / "hub" / "models--openai--clip-vit-base-patch16" / "blobs").mkdir(parents=True)
    part = tmp_path / "hub" / "models--openai--clip-vit-base-patch16" / "blobs" / "def.incomplete"
    part.write_bytes(b"x" * 10)
    result = subprocess.run(
        [sys.executable, "-m", "pictor", "models", "list", "--json"],
        env=os.environ | {"HF_HUB_CACHE": str(tmp_path / "hub")},
        capture_output=True,
        check=True,
    )
    held = {card["id"]: card for card in objects(result.stdout.decode())}
    whole = held["openai/clip-vit-base-patch32"]
    assert (whole["state"], whole["source"]) == ("full", "cache")
    assert whole["bytes_on_disk"] > 100_000
    partly = held["openai/clip-vit-base-patch16"]
    assert (partly["state"], partly["bytes_on_disk"]) == ("partial", 10)
    assert held["openai/clip-vit-large-patch14"]["state"] == "absent"


def test_doctor_is_content_here(spawn, library):
    result = spawn("doctor", "--library", library, "--json")
    checks = {one["check"]: one for one in objects(result.stdout.decode())}
    assert result.returncode == 0
    for name in ("python", "other encoders", "device", "text queries", "vector search", "HEIF"):
        assert checks[name]["ok"], checks[name]
    assert checks["library"]["ok"]
    assert "files" in checks["library"]["value"]
    assert all(one["ok"] or one["advice"] for one in checks.values())


def test_doctor_says_that_the_base_can_do_without_torch(monkeypatch):
    from pictor.cli import doctor

    for name in ("torch", "transformers"):
        monkeypatch.setitem(sys.modules, name, None)
    found = doctor._extra("other encoders", "transformers", "models")
    assert found.value == "optional, transformers is not installed"
    assert found.advice == "pip install 'pictor-search[models]'"
    assert doctor._device() == doctor.Check("device", "cpu")


def test_doctor_says_where_words_cannot_be_looked_up(monkeypatch):
    from pictor.cli import doctor

    class WithoutFts5(sqlite3.Connection):
        def execute(self, sql, *args):
            raise sqlite3.OperationalError("no such module: fts5")

    connect = sqlite3.connect
    assert doctor._sqlite().ok
    monkeypatch.setattr(doctor.sqlite3, "connect", lambda name: connect(name, factory=WithoutFts5))
    found = doctor._sqlite()
    assert not found.ok and "without FTS5" in found.value and "PostgreSQL" in found.advice


def test_doctor_needs_no_library(run, tmp_path):
    result = run("doctor", "--library", tmp_path / "none")
    assert result.exit_code == 0
    assert "pictor index FOLDER" in result.stdout
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(run, shell):
    assert "_PICTOR_COMPLETE" in run("completion", shell).stdout


def test_version_is_the_package_s(run):
    assert run("--version").stdout == f"pictor, version {pictor.__version__}\n"
