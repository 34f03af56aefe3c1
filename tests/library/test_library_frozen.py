"""A library where nothing can be written is still one that can be read."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from pictor import open_library
from pictor.library.errors import LibraryError
from pictor.library.store import Store
from pictor.search.options import SearchOptions


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own; needs the right to mount."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if shutil.which("mount") is None or mount(folder, "-t", "tmpfs", "-o", "size=24m", "tmpfs"):
        pytest.skip("this user may not mount a file system")
    yield folder
    subprocess.run(["umount", folder], check=True)


def mount(folder: Path, *options: str) -> int:
    return subprocess.run(["mount", *options, folder], capture_output=True).returncode


@pytest.fixture
def library(disk: Path, tmp_path: Path) -> Path:
    """A library on that disk, of two pictures beside it."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for name, colour in (("red.png", "red"), ("blue.png", "blue")):
        Image.new("RGB", (64, 48), colour).save(photos / name)
    with open_library(disk / "library") as found:
        assert found.index([photos]).indexed == 2
    return disk / "library"


def check_it_can_be_read(folder: Path) -> None:
    with open_library(folder) as found:
        assert len(found.search("a red wall", options=SearchOptions(minimum="any"))) == 2
        assert found.status().items == 2
        assert found.verify().problems == ()
        with pytest.raises(LibraryError, match="cannot be written"):
            found.index()


def test_read_only_media_can_be_searched(disk: Path, library: Path) -> None:
    assert mount(disk, "-o", "remount,ro") == 0
    check_it_can_be_read(library)


def test_a_library_on_a_full_disk_can_be_searched(disk: Path, library: Path) -> None:
    with (disk / "fill").open("wb") as file, pytest.raises(OSError, match="No space"):
        while True:
            file.write(bytes(1 << 20))
            file.flush()
    check_it_can_be_read(library)


def test_a_catalog_whose_log_was_left_behind_is_not_read_without_it(tmp_path: Path) -> None:
    with Store.create(tmp_path / "library") as made:
        made.spaces()
    (tmp_path / "library" / "catalog.sqlite-wal").write_bytes(b"changes that are not folded back")
    from pictor.library.store import _can_be_read_frozen

    assert not _can_be_read_frozen(tmp_path / "library")
