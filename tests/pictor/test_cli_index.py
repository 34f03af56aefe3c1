import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

COUNTS = (
    "seen",
    "indexed",
    "unchanged",
    "moved",
    "missing",
    "skipped",
    "failed",
    "encoded",
    "items",
)


@pytest.fixture
def few(tmp_path: Path, pictures: Path) -> Path:
    folder = tmp_path / "few"
    folder.mkdir()
    for name in ("one.png", "two.png"):
        shutil.copy(pictures / name, folder)
    return folder


def last_json(stdout: str | bytes) -> dict[str, object]:
    return json.loads(stdout.splitlines()[-1])


def test_json_is_one_object_with_all_counts(run, few):
    result = run("index", few, "--json")
    counts = last_json(result.stdout)
    assert result.exit_code == 0
    assert all(type(counts[name]) is int for name in COUNTS)
    assert type(counts["seconds"]) is float
    assert (counts["seen"], counts["indexed"], counts["encoded"], counts["items"]) == (2, 2, 2, 2)
    assert counts["interrupted"] is False
    assert counts["unreachable"] == []


def test_second_run_without_a_root_finds_everything_unchanged(run, few):
    run("index", few)
    counts = last_json(run("index", "--json").stdout)
    assert (counts["seen"], counts["unchanged"], counts["encoded"]) == (2, 2, 0)


def test_closing_sentence_has_all_counts(run, few):
    result = run("index", few)
    assert result.stdout.startswith(
        "indexed 2, unchanged 0, moved 0, skipped 0, failed 0; missing 0; 2 vectors in "
    )
    assert result.stdout.endswith(" per second)\n")


def test_the_first_run_of_a_library_introduces_its_encoder(run, few):
    first = run("index", few, "--json")
    assert last_json(first.stdout)["indexed"] == 2
    assert "fills this library" in first.stderr and first.stderr.count("\n") == 1
    assert "fills this library" not in first.stdout
    assert run("index", few).stderr == ""


def test_failed_file_is_counted_and_fails_only_a_strict_run(run, few, pictures):
    shutil.copy(pictures / "broken.png", few)
    result = run("index", few)
    assert result.exit_code == 0
    assert "failed 1 (see: pictor errors)" in result.stdout
    assert run("index", few, "--strict").exit_code == 1


def test_unreachable_root_is_told_and_fails_only_a_strict_run(run, few, tmp_path, pictures):
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(pictures / "three.png", other)
    run("index", few, other)
    shutil.rmtree(other)
    result = run("index", "--json")
    assert result.exit_code == 0
    assert "unreachable" in result.stderr
    assert last_json(result.stdout)["unreachable"] == [str(other)]
    assert run("index", "--strict").exit_code == 1


def test_globs_are_settings_of_the_run(run, few):
    assert last_json(run("index", few, "--exclude", "two*", "--json").stdout)["seen"] == 1


def test_library_may_be_named_before_or_after_the_verb(run, few, tmp_path):
    run("--library", tmp_path / "a", "index", few)
    run("index", few, "--library", tmp_path / "b")
    assert (tmp_path / "a" / "catalog.sqlite").is_file()
    assert (tmp_path / "b" / "catalog.sqlite").is_file()


def test_settings_file_of_the_library_holds_and_another_can_be_named(run, few, tmp_path):
    home = tmp_path / "lib"
    home.mkdir()
    (home / "settings.toml").write_text('[index]\nexclude = ["one*"]\n')
    other = tmp_path / "other.toml"
    other.write_text("[index]\nexclude = []\n")
    assert last_json(run("index", few, "--library", home, "--json").stdout)["seen"] == 1
    both = run("index", few, "--library", home, "--config", other, "--json")
    assert last_json(both.stdout)["seen"] == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("--workers", "many"),
        ("--batch-size", "0"),
        ("--dtype", "int4"),
        ("--runtime", "abacus"),
        ("--no-such-option",),
    ],
)
def test_wrong_command_lines_exit_with_2(run, few, arguments):
    assert run("index", few, *arguments).exit_code == 2


@pytest.mark.parametrize("size", ["auto", "3"])
def test_batch_size_is_auto_or_a_number(run, few, size):
    assert run("index", few, "--batch-size", size).exit_code == 0


def test_root_that_is_not_there_is_one_sentence(run, tmp_path):
    result = run("index", tmp_path / "no\x1b[31mwhere")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    assert "\x1b" not in result.stderr


def test_no_root_and_no_library_says_how_to_begin(run):
    result = run("index")
    assert result.exit_code == 1
    assert "pictor index FOLDER" in result.stderr


def test_encoder_that_does_not_exist_is_one_sentence(run, few):
    result = run("index", few, "--encoder", "no such encoder")
    assert result.exit_code == 1
    assert "'no such encoder'" in result.stderr


def test_wrong_setting_in_the_environment_is_one_sentence(run, few, monkeypatch):
    monkeypatch.setenv("PICTOR_INDEX__WORKER", "2")
    result = run("index", few)
    assert result.exit_code == 1
    assert "index.workers" in result.stderr


# --- signals


class Running:
    """An index run in a process group of its own, over more pictures than it can have done."""

    def __init__(self, folder: Path, home: Path, *arguments: str) -> None:
        self.home = home
        environ = os.environ | {"PICTOR_INDEX__CHECKPOINT_S": "0.1", "PICTOR_LIBRARY": str(home)}
        self.process = subprocess.Popen(
            [sys.executable, "-c", _LISTEN, "index", folder, "--workers", "1", *arguments],
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def wait_until_committed(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            if committed(self.home):
                return
            time.sleep(0.02)
        raise AssertionError(f"nothing was committed: {self.process.communicate()}")

    def signal(self, number: int) -> None:
        """To the whole group, as a terminal does."""
        os.killpg(self.process.pid, number)

    def end(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out.decode(), err.decode()


#: A shell starts background jobs deaf to SIGINT, and children inherit that; the run must hear it.
_LISTEN = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    "if __name__ == '__main__':\n    from pictor.__main__ import main; main()"
)


def committed(home: Path) -> int:
    catalog = home / "catalog.sqlite"
    if not catalog.is_file():
        return 0
    with closing(sqlite3.connect(f"file:{catalog}?mode=ro", uri=True)) as connection:
        try:
            return connection.execute("SELECT count(*) FROM item").fetchone()[0]
        except sqlite3.OperationalError:
            return 0


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_first_signal_ends_the_run_and_the_next_completes(run, many, tmp_path, number):
    home = tmp_path / "lib"
    running = Running(many, home, "--json")
    running.wait_until_committed()
    running.signal(number) if number == signal.SIGINT else running.process.send_signal(number)
    status, out, err = running.end()
    counts = last_json(out)
    assert status == 130, err
    assert counts["interrupted"] is True
    assert 0 < counts["items"] < 150
    assert counts["failed"] == 0
    assert "run pictor index again to resume" in err
    assert "Traceback" not in err
    rest = last_json(run("index", "--library", home, "--json").stdout)
    assert (rest["seen"], rest["items"], rest["failed"]) == (150, 150, 0)
    assert rest["encoded"] < 150
    assert run("verify", "--library", home).exit_code == 0


@pytest.mark.slow
def test_second_ctrl_c_ends_the_run_at_once(run, many, tmp_path):
    home = tmp_path / "lib"
    running = Running(many, home)
    running.wait_until_committed()
    running.signal(signal.SIGINT)
    running.signal(signal.SIGINT)
    for _ in range(20):  # signals that come together may count as one
        time.sleep(0.01)
        if running.process.poll() is None:
            running.signal(signal.SIGINT)
    status, _, err = running.end()
    assert status == 130
    assert "Traceback" not in err
    assert last_json(run("index", "--library", home, "--json").stdout)["items"] == 150


@pytest.mark.slow
def test_ctrl_c_at_the_very_start_fails_no_file(run, many, tmp_path):
    home = tmp_path / "lib"
    running = Running(many, home)
    while not (home / "catalog.sqlite").is_file():
        assert running.process.poll() is None
        time.sleep(0.005)
    time.sleep(0.4)  # its decoders are being imported
    running.signal(signal.SIGINT)
    status, _, err = running.end()
    assert status == 130, err
    assert "Traceback" not in err
    counts = last_json(run("index", "--library", home, "--json").stdout)
    assert (counts["items"], counts["failed"]) == (150, 0)
