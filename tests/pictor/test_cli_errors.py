import errno
import os

import pytest
from click.testing import CliRunner

from library.errors import LibraryLocked
from pictor import OpenLibrary
from pictor.cli.main import cli


def status_when(error: BaseException, monkeypatch: pytest.MonkeyPatch):
    def fail(self):
        raise error

    monkeypatch.setattr(OpenLibrary, "status", fail)
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
