"""Files are written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pictor.library.atomic import replaced


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """An empty folder."""
    (tmp_path / "place").mkdir()
    return tmp_path / "place"


def test_the_new_file_takes_the_old_one_s_place_at_the_end(place: Path) -> None:
    path = place / ("海" * 80)  # as long as a name may be, in bytes
    path.write_bytes(b"old")
    with replaced(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new" and list(place.iterdir()) == [path]
    path.unlink()
    path.touch()
    ours = path.stat().st_mode
    with replaced(path):
        pass
    assert path.stat().st_mode == ours  # as any new file's, whatever was there


def test_a_block_that_fails_changes_nothing(place: Path) -> None:
    path = place / "file"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), replaced(path) as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old" and list(place.iterdir()) == [path]


def test_what_came_meanwhile_is_not_replaced_where_it_must_be_new(place: Path) -> None:
    path = place / "file"
    with pytest.raises(FileExistsError), replaced(path, is_new=True) as file:
        file.write(b"ours")
        path.write_bytes(b"another's")
    assert path.read_bytes() == b"another's" and list(place.iterdir()) == [path]


def test_bytes_are_on_the_disk_first_where_that_is_asked(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = place / "file"
    synced: list[bool] = []
    monkeypatch.setattr(os, "fsync", lambda _: synced.append(path.exists()))
    with replaced(path) as file:
        file.write(b"x")
    assert synced == []
    path.unlink()
    with replaced(path, is_synced=True) as file:
        file.write(b"x")
    assert synced == [False] and path.exists()
