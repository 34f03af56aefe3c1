"""Reading one file in a worker: limits, changes, and what is no regular file."""

from __future__ import annotations

import errno
import os
import pickle
from pathlib import Path

import pytest

from pictor.indexer.sources import Locator, read_bytes
from pictor.library.errors import ImageError
from pictor.library.records import Reason


def locate(path: Path) -> Locator:
    return Locator("file", os.fsencode(path))


def reason_of(locator: Locator, max_bytes: int = 100) -> tuple[Reason, str]:
    with pytest.raises(ImageError) as caught:
        read_bytes(locator, max_bytes, 1)
    return caught.value.reason, caught.value.detail


def test_a_file_up_to_the_limit_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    path.write_bytes(b"x" * 100)
    assert read_bytes(locate(path), 100, 1) == b"x" * 100
    reason, detail = reason_of(locate(path), 99)
    assert reason is Reason.TOO_LARGE
    assert detail == f"{str(path)!r} has 100 bytes, more than the limit of 99"
    path.write_bytes(b"")
    assert read_bytes(locate(path), 100, 1) == b""


def test_a_locator_travels(tmp_path: Path) -> None:
    locator = Locator("tar", b"\xff.tar", b"a.jpg", 512, 3, 0, 5)
    assert pickle.loads(pickle.dumps(locator)) == locator


def test_files_that_are_gone(tmp_path: Path) -> None:
    assert reason_of(locate(tmp_path / "gone.jpg"))[0] is Reason.VANISHED
    (tmp_path / "file").write_bytes(b"")
    assert reason_of(locate(tmp_path / "file" / "x.jpg"))[0] is Reason.VANISHED


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.EACCES, Reason.PERMISSION),
        (errno.EIO, Reason.IO_ERROR),
        (errno.ESTALE, Reason.IO_ERROR),
    ],
)
def test_files_that_cannot_be_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, reason: Reason
) -> None:
    path = tmp_path / "x.jpg"
    path.write_bytes(b"x")

    def refuse(*args: object, **options: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", refuse)
    found, detail = reason_of(locate(path))
    monkeypatch.undo()
    assert found is reason
    assert detail == f"cannot read {str(path)!r}: {os.strerror(number).lower()}"


def test_what_is_no_regular_file_is_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    reason, detail = reason_of(locate(tmp_path / "pipe.jpg"))
    assert reason is Reason.IO_ERROR
    assert detail.endswith("it is a named pipe, not a regular file")
    assert reason_of(Locator("file", b"/dev/null"))[1].endswith(
        "it is a device, not a regular file"
    )
    assert reason_of(locate(tmp_path))[1].endswith("it is a folder, not a regular file")


def test_a_pipe_swapped_in_after_the_first_look_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    regular = os.stat(__file__)
    monkeypatch.setattr(os, "stat", lambda *args, **options: regular)
    reason, _ = reason_of(locate(tmp_path / "pipe.jpg"))
    monkeypatch.undo()
    assert reason is Reason.IO_ERROR


@pytest.mark.parametrize("change", ["grow", "shrink", "touch"])
def test_a_file_that_changes_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    path = tmp_path / "x.jpg"
    path.write_bytes(b"x" * 50)
    read = os.pread

    def disturbed(descriptor: int, size: int, offset: int) -> bytes:
        if change == "grow":
            path.write_bytes(b"x" * 60)
        elif change == "shrink":
            os.truncate(path, 10)
        else:
            os.utime(path, ns=(7, 7))
        return read(descriptor, size, offset)

    monkeypatch.setattr(os, "pread", disturbed)
    reason, detail = reason_of(locate(path))
    monkeypatch.undo()
    assert reason is Reason.CHANGED
    assert detail.endswith("changed while it was read")


def test_reads_in_pieces_are_joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.jpg"
    path.write_bytes(bytes(range(100)))
    read = os.pread
    monkeypatch.setattr(os, "pread", lambda file, size, at: read(file, min(size, 7), at))
    data = read_bytes(locate(path), 100, 1)
    monkeypatch.undo()
    assert data == bytes(range(100))
