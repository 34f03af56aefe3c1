"""The review in a terminal, by a pseudo-terminal; and pictures as terminals take them."""

from __future__ import annotations

import fcntl
import io
import os
import pickle
import pty
import re
import select
import shutil
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from alike_photos import HOSTILE, Alike, make, scene
from PIL import Image

from pictor import PictorError, open_library
from pictor.cli.previews import half_blocks, has_colours, side_by_side
from pictor.cli.review import review
from pictor.duplicates.groups.decisions_file import PairDecision, decision_of
from pictor.duplicates.groups.records import Group
from pictor.library.pairs import Evidence, Kind, Verdict

_CHILD = """
import pickle, signal, sys
from pathlib import Path
from pictor import open_library
from pictor.cli.review import review
signal.signal(signal.SIGINT, signal.default_int_handler)  # also where the tests run in background
library, groups, options = pickle.loads(Path(sys.argv[1]).read_bytes())
try:
    with open_library(library) as opened:
        print("DONE", *review(opened.duplicates, groups, **options), "END")
except KeyboardInterrupt:
    sys.exit(130)
"""
_CODES = re.compile(r"\x1b\[[0-9;]*m")
_PROMPT = "q quit · ? help"
_WAIT_S = 60


class Reviewing:
    """A review in a process of its own, behind a terminal that a test types into."""

    def __init__(self, task: Path, environ: dict[str, str], size: tuple[int, int]) -> None:
        self.outer, inner = pty.openpty()
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        self.modes = termios.tcgetattr(inner)
        self._inner = inner
        self._process = subprocess.Popen(
            [sys.executable, "-c", _CHILD, str(task)],
            stdin=inner, stdout=inner, stderr=inner, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environ},
        )  # fmt: skip
        self.raw = ""

    def wait(self, text: str, *, times: int = 1) -> Reviewing:
        """Read until some text was there so many times, of all that was read."""
        end = time.monotonic() + _WAIT_S
        while self.text.count(text) < times:
            ready, _, _ = select.select([self.outer], [], [], max(0, end - time.monotonic()))
            assert ready, f"{text!r} did not come {times} times; there was:\n{self.text}"
            self.raw += os.read(self.outer, 65536).decode("utf-8", "replace")
        return self

    def press(self, keys: str) -> Reviewing:
        os.write(self.outer, keys.encode())
        return self

    @property
    def text(self) -> str:
        """What was shown, without colours."""
        return _CODES.sub("", self.raw).replace("\r\n", "\n")

    def end(self) -> list[int]:
        """Wait for the end: (decided, skipped, left, settled)."""
        self.wait(" END")
        assert self._process.wait(_WAIT_S) == 0
        last = self.text.rpartition("DONE")[2]
        return [int(number) for number in last.split()[:-1]]

    def interrupt(self) -> None:
        """Ctrl-C. What is printed after it may be lost: the terminal drops what waits in it."""
        self.press("\x03")
        assert self._process.wait(_WAIT_S) == 130

    def modes_now(self) -> list[object]:
        return termios.tcgetattr(self._inner)

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        self.kill()
        os.close(self.outer)
        os.close(self._inner)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Alike:
    return make(tmp_path_factory.mktemp("alike"))


@pytest.fixture
def alike(made: Alike, tmp_path: Path) -> Alike:
    """The photos, and a copy of their library to decide in."""
    return replace(made, library=Path(shutil.copytree(made.library, tmp_path / "library")))


@pytest.fixture
def groups(alike: Alike) -> list[Group]:
    """A pair, four files, copies of one content, and a pair with a hostile name."""
    versions = (b"photo.png", b"small.jpg", b"cropped.jpg", b"mirrored.jpg")
    return [
        alike.group(Kind.SIMILAR, b"photo.png", b"stranger.jpg", number=0),
        alike.group(Kind.NEAR, *versions, number=1, evidence=Evidence(change=("cropped",))),
        alike.group(Kind.BYTES, b"photo.png", "照片 副本.png".encode(), number=2),
        alike.group(Kind.NEAR, b"photo.png", HOSTILE, number=3),
    ]


@pytest.fixture
def start(alike: Alike, tmp_path: Path) -> Iterator[Callable[..., Reviewing]]:
    """Begin a review of some groups in a terminal."""
    begun: list[Reviewing] = []

    def begin(
        groups: Sequence[Group],
        *,
        size: tuple[int, int] = (100, 40),
        environ: dict[str, str] | None = None,
        **options: object,
    ) -> Reviewing:
        task = tmp_path / f"task{len(begun)}"
        task.write_bytes(pickle.dumps((alike.library, groups, {"preview": False} | options)))
        surroundings = {"TERM": "xterm-256color", "NO_COLOR": "", "TMUX": ""} | (environ or {})
        begun.append(Reviewing(task, surroundings, size))
        return begun[-1].wait(_PROMPT)

    yield begin
    for one in begun:
        one.close()


def keyed(*decisions: PairDecision) -> dict[tuple[bytes, bytes], str]:
    return {(one.low, one.high): one.verdict.value for one in decisions}


def test_each_key_decides_and_moves_on(alike, groups, start):
    photo, stranger, small, cropped, mirrored, hostile = alike.hashes(
        b"photo.png", b"stranger.jpg", b"small.jpg", b"cropped.jpg", b"mirrored.jpg", HOSTILE
    )
    found = start(groups).press("n").wait("2 of 3").press("3").wait("3 of 3").press("k").end()
    assert found == [3, 0, 0, 1]
    assert alike.stored() == keyed(
        decision_of(photo, stranger, "not-duplicate"),
        decision_of(cropped, photo, "keep-a"),
        decision_of(cropped, small, "keep-a"),
        decision_of(cropped, mirrored, "keep-a"),
        decision_of(photo, hostile, "keep-a"),
    )


def test_group_is_shown_with_its_facts_and_reason(alike, groups, start):
    keep = replace(groups[1].keep, camera="Camera\x1b[31m", keywords=("sea",))
    group = replace(groups[1], keep=keep, members=(keep, *groups[1].members[1:]))
    review = start([group])
    assert "1 of 1  same picture · up to " in review.text
    assert f"1* {alike.photos}/photo.png" in review.text
    assert "320 × 240 · " in review.text and "200 × 150" in review.text
    assert "same picture, 97 % sure: cropped" in review.text
    assert "camera: 1: Camera\\x1b[31m | 2, 3, 4: –" in review.text
    assert "kept: highest resolution" in review.text
    assert review.press("q").end() == [0, 0, 1, 0]


def test_hostile_name_reaches_the_terminal_escaped(alike, groups, start):
    review = start([groups[3]])
    assert "\\n\\u202e\\xff.jpg" in review.text
    assert "\u202e" not in review.raw


def test_related_is_stored_for_all_pairs(alike, groups, start):
    start([groups[1]]).press("r").end()
    assert list(alike.stored().values()) == ["related"] * 6


def test_skip_back_help_and_keys_that_mean_nothing(alike, groups, start):
    review = start(groups).press("xyz5\x1b[H?").wait("keep that one")
    assert "there is no 5; the group has 2 files" in review.text
    review.press("s").wait("2 of 3").press("\x1b[A").wait("1 of 3", times=2)
    review.press("\x1b[B").wait("2 of 3", times=2).press("q")
    assert review.end() == [0, 1, 2, 1]
    assert alike.stored() == {}


def test_undo_restores_what_was_decided_before(alike, groups, start):
    photo, stranger = alike.hashes(b"photo.png", b"stranger.jpg")
    start(groups[:1]).press("r").end()
    before = alike.stored()
    assert before == keyed(decision_of(photo, stranger, "related"))
    review = start(groups).press("u").wait("nothing to undo")
    review.press("k").wait("2 of 3").press("n").wait("3 of 3")
    assert len(alike.stored()) == 7
    review.press("u").wait("2 of 3", times=2)
    assert alike.stored() == keyed(decision_of(photo, stranger, "keep-a"))
    review.press("u").wait("1 of 3", times=2)
    assert alike.stored() == before
    assert review.press("q").end() == [0, 0, 3, 1]


def test_it_is_said_that_copies_stay_duplicates(alike, groups, start):
    names = (b"photo.png", b"small.jpg", "照片 副本.png".encode())
    copies = alike.group(Kind.NEAR, *names, number=5)
    shown = start([groups[2], copies, groups[0]])
    assert "1 group is of files with the same bytes; nothing to decide" in shown.text
    shown.press("n").wait("2 of 2").press("n").end()
    assert shown.text.count("no duplicates, but files with the same bytes stay duplicates") == 1


def test_ctrl_c_loses_nothing_and_leaves_the_terminal_as_it_was(alike, groups, start):
    review = start(groups).press("n").wait("2 of 3").wait(_PROMPT, times=2)
    assert review.modes_now() != review.modes
    review.interrupt()
    assert review.modes_now() == review.modes
    assert list(alike.stored().values()) == ["not-duplicate"]


def test_killed_review_has_stored_what_it_showed(alike, groups, start):
    review = start(groups).press("k").wait("2 of 3")
    review.kill()
    assert len(alike.stored()) == 1
    start(groups[1:]).press("q").end()  # the lock is free


def test_what_was_decided_is_not_asked_again(alike, groups, start):
    start(groups).press("k").wait("2 of 3").press("q").end()
    assert start(groups).press("q").end() == [0, 0, 2, 2]
    assert start(groups, again=True).press("q").end() == [0, 0, 3, 1]


def test_locked_library_is_said_and_the_group_stays(alike, groups, start):
    review = start(groups)
    with alike.open() as library, library.writer():
        review.press("k").wait("not stored: ")
        assert "is being written" in review.text
    assert alike.stored() == {}
    review.press("k").wait("2 of 3").press("q").end()
    assert len(alike.stored()) == 1


def test_keys_typed_ahead_are_all_taken(alike, groups, start):
    assert start(groups).press("knk").end() == [3, 0, 0, 1]
    assert set(alike.stored().values()) >= {Verdict.NOT_DUPLICATE.value}


def test_preview_is_drawn_and_a_file_that_is_gone_is_named(alike, groups, start):
    gone = replace(groups[1].members[1], path=b"/no/such.jpg")
    members = (groups[1].keep, gone, *groups[1].members[2:])
    groups[1] = replace(groups[1], members=members)
    review = start(groups[1:2], preview=True)
    assert review.raw.count("▀") > 500 and "\x1b[38;2;" in review.raw
    assert "2: no picture: it cannot be read: No such file or directory" in review.text
    plain = start(groups[1:2], preview=True, environ={"NO_COLOR": "1"})
    assert "▀" not in plain.raw
    tiny = start(groups[1:2], preview=True, size=(30, 12))
    assert "▀" not in tiny.raw


def test_nothing_to_decide_asks_for_no_key(alike, groups, tmp_path, start):
    from pictor.cli.terminal import Terminal

    class Unused(Terminal):
        def __init__(self) -> None:
            self.written = ""

        def __enter__(self) -> Unused:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def write(self, text: str) -> None:
            self.written += text

    with open_library(alike.library) as library:
        found = review(library.duplicates, groups[2:3], terminal=Unused())
    assert found == (0, 0, 0, 1)


def test_without_a_terminal_there_is_one_clear_error(alike, groups, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("kkk"))
    error = pytest.raises(PictorError, match="not a terminal; write a page")
    with open_library(alike.library) as library, error:
        review(library.duplicates, groups)
    assert alike.stored() == {}


# --- pictures


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, False),
        ({"TERM": "dumb"}, False),
        ({"TERM": "xterm-256color"}, True),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, False),
        ({"TERM": "xterm-kitty"}, True),
        ({"TERM": "screen-256color", "TMUX": "/tmp/x"}, True),
    ],
)
def test_colours_are_told_by_the_environment(environ, wanted):
    assert has_colours(environ) is wanted


def test_half_blocks_hold_the_colours_of_both_pixels():
    picture = Image.fromarray(np.array([[[1, 2, 3]], [[4, 5, 6]]], np.uint8))
    assert half_blocks(picture) == "\x1b[38;2;1;2;3m\x1b[48;2;4;5;6m▀\x1b[0m\n"


def test_sheet_keeps_the_shape_of_pictures_and_the_place_of_lost_ones():
    made = np.asarray(side_by_side([Image.new("RGB", (10, 20), "white"), None, scene(3)], (60, 20)))
    assert made.shape == (20, 60, 3)
    assert (made[:, :10] == 255).all() and not made[:, 10:40].any() and made[:, 40:59].any()
