"""From names and TSV rows to photos: never outside the folder, never silently."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest

from pictor.evaluation.photos import locate, locate_by_id, tsv_beside, unpack
from pictor.evaluation.problems import Problems
from pictor.library.errors import EvaluationError

PHOTO = b"\xff\xd8\xffnot really a photo \xfb\xef\xbe"


def kinds(problems: Problems) -> dict[str, int]:
    return {one.kind: one.count for one in problems.listed()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    home = tmp_path / "photos"
    (home / "sub").mkdir(parents=True)
    for name in ("a.jpg", "sub/b.jpg", "12.png"):
        (home / name).write_bytes(PHOTO)
    (tmp_path / "secret").write_bytes(b"secret")
    return home


def test_names_below_the_folder_are_found(folder: Path) -> None:
    problems = Problems()
    found = locate(folder, ["a.jpg", "sub/b.jpg", "sub/../a.jpg"], problems)
    home = os.fsencode(folder)
    assert found == [home + b"/a.jpg", home + b"/sub/b.jpg", home + b"/a.jpg"]
    assert kinds(problems) == {}


@pytest.mark.parametrize(
    "name",
    [
        "../secret",
        "../../../../etc/passwd",
        "/etc/passwd",
        "sub/../../secret",
        "..",
        ".",
        "out",
        "out/secret",
        "nul\0byte",
        "\ud800",
        "x" * 5000,
    ],
)
def test_names_that_lead_out_are_refused(folder: Path, name: str) -> None:
    (folder / "out").symlink_to(folder.parent)
    problems = Problems()
    assert locate(folder, [name], problems) == [None]
    assert kinds(problems) == {"unsafe_path": 1}


def test_a_link_to_a_file_outside_is_refused_and_one_inside_is_not(folder: Path) -> None:
    (folder / "bad.jpg").symlink_to(folder.parent / "secret")
    (folder / "good.jpg").symlink_to(folder / "a.jpg")
    problems = Problems()
    bad, good = locate(folder, ["bad.jpg", "good.jpg"], problems)
    assert bad is None and good is not None
    assert kinds(problems) == {"unsafe_path": 1}


def test_what_is_not_there_or_no_file_is_missing(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    problems = Problems()
    assert locate(folder, ["no.jpg", "sub", "pipe"], problems) == [None] * 3
    assert kinds(problems) == {"missing_image": 3}


def test_a_folder_behind_a_link_is_a_folder(folder: Path) -> None:
    link = folder.parent / "link"
    link.symlink_to(folder)
    assert locate(link, ["a.jpg"], Problems()) == [os.fsencode(link) + b"/a.jpg"]


def test_photos_by_id(folder: Path) -> None:
    problems = Problems()
    assert locate_by_id(folder, ["12", "13"], problems) == [os.fsencode(folder) + b"/12.png", None]
    assert kinds(problems) == {"missing_image": 1}


def test_no_folder_is_an_error(tmp_path: Path) -> None:
    for find in (locate, locate_by_id):
        with pytest.raises(EvaluationError, match="no images folder"):
            find(tmp_path / "none", ["a"], Problems())


# --- TSV


def write_tsv(path: Path, *rows: bytes) -> Path:
    path.write_bytes(b"".join(row + b"\n" for row in rows))
    return path


def test_photos_of_a_tsv_are_unpacked_once(tmp_path: Path) -> None:
    plain, safe = base64.b64encode(PHOTO), base64.urlsafe_b64encode(PHOTO + b"\xff\xfe\xfd")
    tsv = write_tsv(
        tmp_path / "v_imgs.tsv",
        b"1\t" + plain,
        b"2\t" + safe.rstrip(b"="),
        b"3\tnot named",
        b"1\tanother row of the same id",
    )
    problems = Problems()
    into = tmp_path / "into"
    found = unpack(tsv, into, ["1", "2"], problems)
    assert [Path(os.fsdecode(path)).read_bytes() for path in found if path] == [
        PHOTO,
        PHOTO + b"\xff\xfe\xfd",
    ]
    assert all(Path(os.fsdecode(path)).parent == into for path in found if path)
    assert kinds(problems) == {}
    before = {path.name: path.stat().st_mtime_ns for path in into.iterdir()}
    assert unpack(tsv, into, ["1", "2"], Problems()) == found
    assert {path.name: path.stat().st_mtime_ns for path in into.iterdir()} == before


def test_damaged_rows_are_counted(tmp_path: Path) -> None:
    tsv = write_tsv(
        tmp_path / "x.tsv",
        b"1\t!!!not base64!!!",
        b"2\t",
        b"3",
        b"",
        b"../../x\tQUJD",
        b"\xff\tQUJD",
    )
    problems = Problems()
    into = tmp_path / "into"
    found = unpack(tsv, into, ["1", "2", "3", "4", "../../x"], problems)
    assert found[:4] == [None] * 4
    assert kinds(problems) == {"bad_base64": 3, "missing_image": 1}
    assert found[4] is not None and Path(os.fsdecode(found[4])).parent == into
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "into", "x.tsv"]


def test_a_row_that_is_too_long_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pictor.evaluation.photos.MAX_ROW_BYTES", 64)
    tsv = write_tsv(
        tmp_path / "x.tsv", b"1\t" + base64.b64encode(b"x" * 300), b"2\t" + base64.b64encode(PHOTO)
    )
    problems = Problems()
    found = unpack(tsv, tmp_path / "into", ["1", "2"], problems)
    assert found[0] is None and found[1] is not None
    assert kinds(problems) == {"bad_base64": 1}


def test_the_tsv_beside_the_texts() -> None:
    assert tsv_beside(Path("MUGE/valid_texts.jsonl")) == Path("MUGE/valid_imgs.tsv")


def test_a_tsv_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="cannot be unpacked"):
        unpack(tmp_path / "none.tsv", tmp_path / "into", ["1"], Problems())
