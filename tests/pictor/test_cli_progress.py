"""What a run shows: counts and rates by unit on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import io

import pytest

from pictor.cli import progress
from pictor.cli.progress import Reporter, TransferReporter
from pictor.library.observer import ByteCount, Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def terminal_of(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal in the place of stderr; pytest changes that itself between fixtures and tests."""
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setattr(progress, "REDRAW_S", 0.0)
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("TERM", "xterm")
    return screen


def test_files_are_counted_and_bytes_are_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of(monkeypatch)
    with Reporter() as reporter:
        count = ByteCount(reporter, "fetching", 2_000_000)
        count.add(500_000)
        count.add(500_000)
        reporter.progress(Progress("indexing", 3, 0, "files"))
        reporter.progress(Progress("indexing", 30, 1_200, "files", "encoded 12"))
    first, _, second = terminal.getvalue().partition("indexing")
    assert "fetching" in first and "1.0/2.0 MB" in first and "B/s" in first
    assert "30/1200" in second and "encoded 12" in second
    assert "fetching" not in second


def test_a_bar_is_not_redrawn_for_every_block(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of(monkeypatch)
    monkeypatch.setattr(progress, "REDRAW_S", 3_600.0)
    with Reporter() as reporter:
        for done in range(1, 1000):
            reporter.progress(Progress("indexing", done, 1000, "files"))
    assert "1/1000" in terminal.getvalue() and "999/1000" not in terminal.getvalue()


def test_where_no_terminal_is_a_long_download_says_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with Reporter() as reporter:
        ByteCount(reporter, "fetching", 2_000_000).add(1)
        monkeypatch.setattr(progress, "LINE_S", 0.0)
        reporter.progress(Progress("indexing", 1, 2, "files"))
        ByteCount(reporter, "fetching", 2_000_000).add(500_000)
    assert capsys.readouterr().err == "fetching: 500 kB of 2 MB\n"


def test_a_transfer_that_is_interrupted_says_that_it_can_go_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(KeyboardInterrupt), TransferReporter():
        raise KeyboardInterrupt
    assert capsys.readouterr().err == "stopped early: run the same command again to resume\n"
