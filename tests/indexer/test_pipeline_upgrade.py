"""A library that another release's built-in encoder filled: it answers as before, then moves on."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pictor.library.encoders import builtin_card, builtin_towers

TEXT = "a red square on a blue ground beside a green one"


@pytest.fixture
def older(tmp_path: Path) -> Iterator[pytest.MonkeyPatch]:
    """The release before: its encoder reads the first two tokens of a text; `undo` upgrades."""
    folder = shutil.copytree(builtin_card.BUILTIN_FOLDER, tmp_path / "older")
    card = folder / "card.toml"
    was = card.read_text(encoding="utf-8")
    now = was.replace('revision = "', 'revision = "older-').replace(
        "max_tokens = 48", "max_tokens = 4"
    )
    assert was.count("max_tokens = 48") == 1
    card.write_text(now, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(builtin_card, "BUILTIN_FOLDER", folder)
        patch.setattr(builtin_towers, "BUILTIN_FOLDER", folder)
        yield patch


@pytest.fixture
def filled(older: pytest.MonkeyPatch, world: Any) -> Any:
    for at, name in enumerate(("a.png", "b.png", "c.png")):
        world.draw(name, at)
    world.index()
    return world


def _scores(world: Any, text: str = TEXT) -> list[float]:
    return [round(hit.score, 5) for hit in world.search(text)]


def _spaces(world: Any) -> list[tuple[str, bool, str]]:
    return world.sql("SELECT encoder, is_default, state FROM space ORDER BY id")


def test_it_answers_as_before(filled: Any, older: pytest.MonkeyPatch) -> None:
    before = _scores(filled)
    assert before == _scores(filled, "a red square")  # all that the older one reads
    older.undo()
    assert _scores(filled) == before


def test_the_next_run_fills_the_space_of_this_release_and_says_so(
    filled: Any, older: pytest.MonkeyPatch
) -> None:
    before = _scores(filled)
    older.undo()
    filled.draw("d.png", 9)
    summary = filled.index()
    assert [one for one in summary.notices if "another built-in encoder" in one]
    assert _spaces(filled) == [("builtin", 0, "ready"), ("builtin", 1, "ready")]
    assert filled.sql("SELECT space_id, count(*) FROM vector GROUP BY 1") == [(1, 4), (2, 4)]
    assert _scores(filled) != _scores(filled, "a red square") != before
    again = filled.index()
    assert not again.notices and len(_spaces(filled)) == 2


def test_a_library_that_finds_by_another_encoder_is_left(
    filled: Any, older: pytest.MonkeyPatch, tiny_checkpoint: Any
) -> None:
    filled.index(encoders=(str(tiny_checkpoint("clip")),))
    older.undo()
    assert not [one for one in filled.index().notices if "another built-in" in one]
    assert len(_spaces(filled)) == 2


def test_without_its_towers_it_says_the_way_out(filled: Any, older: pytest.MonkeyPatch) -> None:
    older.undo()
    shutil.rmtree(filled.path / "cache")
    summary = filled.index()
    assert [one for one in summary.notices if "is not filled in this run" in one]
    assert _spaces(filled)[-1] == ("builtin", 1, "ready")
    assert _scores(filled)
