import errno
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from pictor import Library
from pictor.cli.main import cli
from pictor.library.errors import LibraryLocked

COMMAND = (sys.executable, "-m", "pictor")


def status_when(error: BaseException, monkeypatch: pytest.MonkeyPatch):
    def fail(self):
        raise error

    monkeypatch.setattr(Library, "status", fail)
    return CliRunner().invoke(cli, ["status"])


def test_error_of_ours_is_one_line_and_exit_1(monkeypatch):
    result = status_when(LibraryLocked("written by\nprocess \x1b[31m7"), monkeypatch)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "Error: written by\\nprocess \\x1b[31m7\n"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EMFILE])
def test_error_of_the_machine_is_one_line_with_a_way_out(monkeypatch, code):
    error = OSError(code, os.strerror(code), b"/photos/\xff")
    result = status_when(error, monkeypatch)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {os.strerror(code)} (")
    assert "xff" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_library_that_cannot_be_read_is_named_by_its_folder(monkeypatch, tmp_path):
    real = os.stat

    def fail(path, **options):
        if str(path) == str(tmp_path / "settings.toml"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path, **options)

    monkeypatch.setattr("pictor.library.config.os.stat", fail)
    result = CliRunner().invoke(cli, ["status", "--library", str(tmp_path)])
    assert result.exit_code == 1
    assert result.stderr == f"Error: Permission denied ('{tmp_path}'): check its permissions\n"


def test_no_memory_is_one_line(monkeypatch):
    result = status_when(MemoryError(), monkeypatch)
    assert result.exit_code == 1
    assert "--workers" in result.stderr


def test_ctrl_c_is_130(monkeypatch):
    assert status_when(KeyboardInterrupt(), monkeypatch).exit_code == 130


@pytest.mark.parametrize("error", [ValueError("a bug"), FileNotFoundError(errno.ENOENT, "a bug")])
def test_bug_keeps_its_traceback(monkeypatch, error):
    assert status_when(error, monkeypatch).exception is error


def test_verbose_says_where_an_error_was_raised(spawn, tmp_path):
    result = spawn("status", "-v", "--library", tmp_path / "none")
    assert result.returncode == 1
    assert b"Traceback" in result.stderr
    assert b"Traceback" not in spawn("status", "--library", tmp_path / "none").stderr


@pytest.mark.parametrize("verb", [["status"], ["search", "a dog", "--min", "any"], ["--help"]])
def test_a_closed_stdout_is_no_bug(library: Path, verb: list[str]) -> None:
    command = [*COMMAND, *verb] if verb == ["--help"] else [*COMMAND, "--library", library, *verb]
    line = " ".join(shlex.quote(str(part)) for part in command)
    done = subprocess.run(["sh", "-c", f"{line} >&-"], capture_output=True, timeout=120)
    assert b"Traceback" not in done.stderr
    done = subprocess.run(["sh", "-c", f"{line} >/dev/full"], capture_output=True, timeout=120)
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr and b"No space left" in done.stderr


@pytest.mark.parametrize("delay_s", [0.05, 0.2, 0.35, 0.5])
def test_ctrl_c_ends_a_search_in_silence(library: Path, delay_s: float) -> None:
    command = [*COMMAND, "--library", library, "search", "a dog"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        time.sleep(delay_s)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    # On a busy machine the first one comes while Python itself starts, which ends with 1.
    at_start = (1,) if delay_s == 0.05 else ()
    assert process.returncode in (0, 130, -signal.SIGINT, *at_start)
    assert b"Error" not in said and (b"Traceback" not in said or b"KeyboardInterrupt" in said)


@pytest.mark.parametrize(
    "arguments",
    [
        ("search", "-" * 100_000),
        ("search", "a dog", "--top", "9" * 5_000),
        ("search", "a dog", "--after", "x" * 5_000),
        ("x" * 5_000,),
        ("--" + "x" * 5_000, "status"),
        ("tag", "add", "one.png", "y" * 5_000),
        ("tag", "--labels", "y" * 5_000),
        ("search", "a dog", "--encoder", "y" * 5_000),
        ("similar", "y" * 5_000),
        ("search", "after:" + "9" * 5_000),
    ],
)
def test_an_error_repeats_little_of_what_was_given(run, library, arguments, monkeypatch):
    monkeypatch.setenv("PICTOR_LIBRARY", str(library))
    result = run(*arguments)
    assert result.exit_code in (1, 2)
    assert "…" in result.stderr and len(result.stderr) < 700


def test_a_name_that_is_too_long_is_one_sentence(run, tmp_path):
    result = run("search", "red", "--library", tmp_path / ("x" * 300))
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1 and "File name too long ('" in result.stderr
    assert result.stderr.endswith("use a shorter name\n")
