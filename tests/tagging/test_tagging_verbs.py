"""`library.tags`: each verb acts when it is called, and says what it did."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from pictor import open_library
from pictor.library.config import Settings
from pictor.library.errors import LabelError
from pictor.library.images.xmp import xmp_facts
from pictor.tagging.sidecars.files import SidecarChange

#: Libraries are filled by worker processes.
pytestmark = pytest.mark.processes


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with two photos, and a library of them."""
    (tmp_path / "photos").mkdir()
    for name, kind in (("a.png", Image.linear_gradient), ("b.png", Image.radial_gradient)):
        kind("L").save(tmp_path / "photos" / name)
    with open_library(tmp_path / "library", settings=Settings()) as library:
        library.index([tmp_path / "photos"])
    return tmp_path


def test_a_plain_statement_writes_the_sidecars(home: Path) -> None:
    photo = home / "photos" / "a.png"
    with open_library(home / "library") as library:
        library.tags.add([photo], "Wien")
        library.tags.write_sidecars()
    assert xmp_facts((home / "photos" / "a.png.xmp").read_bytes()).keywords == ("Wien",)


def test_the_result_counts_what_was_written(home: Path) -> None:
    (home / "photos" / "b.png.xmp").mkdir()  # no regular file: it is refused
    seen: list[SidecarChange] = []
    with open_library(home / "library") as library:
        assert library.tags.add(sorted((home / "photos").glob("*.png")), "Wien") == 2
        first = library.tags.write_sidecars(on_step=seen.append)
        second = library.tags.write_sidecars()
    assert (first.written, first.unchanged, len(first.refused)) == (1, 0, 1)
    assert list(first.refused) == [one for one in seen if one.problem] and len(seen) == 2
    assert (second.written, second.unchanged, len(second.refused)) == (0, 1, 1)


def test_a_preview_writes_nothing(home: Path) -> None:
    with open_library(home / "library") as library:
        library.tags.add([home / "photos" / "a.png"], "Wien")
        changes = [one for one in library.tags.preview_sidecars() if one.is_needed]
        with pytest.raises(LabelError):
            library.tags.preview_sidecars(["nope"])
    assert [one.added for one in changes] == [("Wien",)]
    assert not list((home / "photos").glob("*.xmp"))


def test_a_set_is_applied_by_a_plain_statement(home: Path) -> None:
    labels = home / "two.txt"
    labels.write_text("a square\na circle\n")
    with open_library(home / "library") as library:
        summary = library.tags.apply(labels)
        assert sum(one.contents for one in library.tags.count()) == summary.tags
        library.tags.add([home / "photos" / "a.png"], "Wien")
        library.tags.remove([home / "photos" / "a.png"], "Wien")
        assert "Wien" not in [one.label for one in library.tags.count()]
        assert library.tags is library.tags
