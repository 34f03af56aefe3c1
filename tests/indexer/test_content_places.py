"""Where contents can be read: archives are listed once, and what is damaged says so."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

import pictor.indexer.content_places
from pictor.indexer.content_places import ArchiveMembers
from pictor.indexer.messages import ReadOptions
from pictor.indexer.sources import read_bytes
from pictor.library.config import IndexSettings, NetworkSettings, Settings


@pytest.fixture
def listings(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The locations that were listed."""
    listed: list[bytes] = []
    reopen = pictor.indexer.content_places.reopen

    def counted(kind, location, options):
        listed.append(location)
        return reopen(kind, location, options)

    monkeypatch.setattr(pictor.indexer.content_places, "reopen", counted)
    return listed


def test_an_archive_is_listed_once_for_all_of_its_members(
    tmp_path: Path, listings: list[bytes]
) -> None:
    path = tmp_path / "some.zip"
    with zipfile.ZipFile(path, "w") as file:
        for name in ("a.jpg", "deep/b.jpg", "c.jpg"):
            file.writestr(name, name)
    location = os.fsencode(path)
    archives = ArchiveMembers()
    members = archives.of(location, wanted=lambda name: name != b"c.jpg")
    assert archives.of(location) is members and listings == [location]
    data = {name: read_bytes(locator, 1 << 20, 0) for name, locator in members.items()}
    assert data == {b"a.jpg": b"a.jpg", b"deep/b.jpg": b"deep/b.jpg"}
    assert archives.problems == {}


def test_an_archive_that_cannot_be_listed_is_a_problem_and_not_tried_again(
    tmp_path: Path, listings: list[bytes]
) -> None:
    path = tmp_path / "broken.zip"
    path.write_bytes(b"PK\x03\x04" + bytes(100))
    location = os.fsencode(path)
    archives = ArchiveMembers()
    assert archives.of(location) == archives.of(location) == {}
    assert listings == [location] and "broken.zip" in archives.problems[location]


def test_options_of_reading_are_those_of_the_settings() -> None:
    index = IndexSettings(max_file_mib=3, max_pixels=5, frames=7, fetch_timeout_s=9.0)
    options = ReadOptions.of(Settings(index=index, network=NetworkSettings(offline=True)))
    assert (options.max_file_bytes, options.fetch_timeout_s, options.offline) == (
        3 << 20,
        9.0,
        True,
    )
    limits = options.limits
    assert (limits.max_bytes, limits.max_pixels, limits.frames) == (3 << 20, 5, 7)
