"""Sidecars on disk: named as others look for them, written whole, originals never touched."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

import pictor.tagging.sidecars.files as writing
from pictor.library.errors import LabelError
from pictor.library.images.xmp import xmp_facts
from pictor.tagging import manual_tags
from pictor.tagging.labels import Label, LabelSet
from pictor.tagging.run import TagOptions, tag
from pictor.tagging.sidecars.files import SidecarChange, SidecarOptions, sidecar_path

LABELS = LabelSet(
    "pets",
    (
        Label("animal", {"en": ("animal",), "zh": ("动物",)}),
        Label("dog", {"en": ("dog",), "zh": ("狗",)}, "animal"),
    ),
)


@pytest.fixture
def tagged(world: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr("pictor.tagging.thresholds.level", lambda *_: -1000.0)
    world.draw("a.png", 1)
    world.draw("b.png", 2)
    world.index()
    with world.open() as library:
        tag(library, LABELS, TagOptions(minimum=0.0))
        manual_tags.add(library, [bytes(world.root / "a.png")], "places|Wien")
    return world


def _run(world: Any, **options: Any) -> list[SidecarChange]:
    changes: list[SidecarChange] = []
    with world.open() as library:
        writing.write(library, ["pets"], SidecarOptions(**options), changes.append)
    return changes


def _words(path: Path) -> set[str]:
    return set(xmp_facts(path.read_bytes()).keywords)


def test_a_dry_run_writes_nothing_and_says_all(tagged: Any) -> None:
    before = sorted(os.listdir(tagged.root))
    with tagged.open() as library:
        changes = list(writing.preview(library, ["pets"], SidecarOptions()))
    assert [os.path.basename(one.path) for one in changes] == [b"a.png.xmp", b"b.png.xmp"]
    assert all(one.is_new for one in changes)
    assert set(changes[0].added) == {"animal", "dog", "Wien"}
    assert sorted(os.listdir(tagged.root)) == before


def test_photos_stay_as_they_are(tagged: Any) -> None:
    photo = tagged.root / "a.png"
    before = (photo.read_bytes(), photo.stat().st_mtime_ns)
    _run(tagged)
    assert (photo.read_bytes(), photo.stat().st_mtime_ns) == before
    assert _words(tagged.root / "a.png.xmp") == {"animal", "dog", "Wien"}
    assert b"<rdf:li>places|Wien</rdf:li>" in (tagged.root / "a.png.xmp").read_bytes()
    assert [one.added for one in _run(tagged)] == [(), ()]


def test_names_are_in_the_language_asked_for(tagged: Any) -> None:
    _run(tagged, language="zh")
    assert _words(tagged.root / "b.png.xmp") == {"动物", "狗"}


def test_a_changed_set_takes_out_what_it_put_in(tagged: Any) -> None:
    _run(tagged)
    with tagged.open() as library:
        tag(library, LabelSet("pets", (Label("cat", {"en": ("cat",)}),)), TagOptions(minimum=0.0))
        manual_tags.remove(library, [bytes(tagged.root / "a.png")], "places|Wien")
    changes = _run(tagged)
    assert set(changes[0].removed) == {"animal", "dog", "Wien"}
    assert _words(tagged.root / "a.png.xmp") == {"cat"}


def test_stems_are_used_when_asked_and_shared_ones_only_grow(tagged: Any) -> None:
    _run(tagged, naming="stem")
    assert _words(tagged.root / "a.xmp") == {"animal", "dog", "Wien"}
    with tagged.open() as library:
        manual_tags.remove(library, [bytes(tagged.root / "a.png")], "places|Wien")
    _run(tagged, naming="stem")
    assert "Wien" in _words(tagged.root / "a.xmp")


def test_where_only_the_other_name_is_there_it_is_taken(tmp_path: Path) -> None:
    photo = os.fsencode(tmp_path / "p.jpg")
    assert sidecar_path(photo, "full") == photo + b".xmp"
    (tmp_path / "p.xmp").write_bytes(b"")
    assert sidecar_path(photo, "full") == os.fsencode(tmp_path / "p.xmp")
    (tmp_path / "p.jpg.xmp").write_bytes(b"")
    assert sidecar_path(photo, "full") == photo + b".xmp"
    assert sidecar_path(photo, "stem") == os.fsencode(tmp_path / "p.xmp")


def test_a_hostile_sidecar_is_left_and_the_others_go_on(tagged: Any) -> None:
    bad = tagged.root / "a.png.xmp"
    bad.write_bytes(b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>')
    changes = _run(tagged)
    assert "document type or entities" in changes[0].problem
    assert bad.read_bytes().startswith(b"<!DOCTYPE")
    assert (tagged.root / "b.png.xmp").exists()


def test_what_is_no_regular_file_is_left(tagged: Any) -> None:
    (tagged.root / "a.png.xmp").symlink_to(tagged.root / "b.png")
    (tagged.root / "b.png.xmp").mkdir()
    assert [one.problem.split(";")[0] for one in _run(tagged)] == ["it is no regular file"] * 2
    assert (tagged.root / "b.png").read_bytes()[:4] == b"\x89PNG"


def test_a_cut_short_write_leaves_the_old_one(tagged: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _run(tagged)
    old = (tagged.root / "a.png.xmp").read_bytes()
    with tagged.open() as library:
        manual_tags.add(library, [bytes(tagged.root / "a.png")], "new")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writing.os, "replace", fail)
    assert "No space left" in _run(tagged)[0].problem
    assert (tagged.root / "a.png.xmp").read_bytes() == old
    assert not [name for name in os.listdir(tagged.root) if name.startswith(".pictor-")]


def test_rights_are_those_of_the_photo(tagged: Any) -> None:
    (tagged.root / "a.png").chmod(0o640)
    _run(tagged)
    assert stat.S_IMODE((tagged.root / "a.png.xmp").stat().st_mode) == 0o640


def test_archives_have_no_sidecars(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import zipfile

    photo = world.draw("a.png", 1)
    with zipfile.ZipFile(world.folder / "x.zip", "w") as archive:
        archive.write(photo, "a.png")
    photo.unlink()
    world.index(world.folder / "x.zip")
    with world.open() as library:
        tag(library, LABELS, TagOptions(minimum=0.0))
    assert _run(world) == []


def test_an_unknown_set_is_an_error(tagged: Any) -> None:
    with tagged.open() as library, pytest.raises(LabelError, match="no tags of a set"):
        writing.preview(library, ["nope"], SidecarOptions())
    with tagged.open() as library, pytest.raises(LabelError, match="no tags of a set"):
        writing.write(library, ["nope"], SidecarOptions(), print)
