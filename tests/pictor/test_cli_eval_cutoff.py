"""`pictor eval --cutoff` and `--negation`, from files to figures."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from PIL import Image

pytestmark = pytest.mark.processes

Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PICTOR_INDEX__WORKERS", "1")


@pytest.fixture
def captions(tmp_path: Path) -> Path:
    """Forty photos of dogs, every fourth with a ball, and their captions."""
    folder = tmp_path / "photos"
    folder.mkdir()
    lines = []
    for i in range(40):
        Image.new("RGB", (32, 32), (6 * i, 90, 200 - 5 * i)).save(folder / f"{i}.png")
        more, zh = (" with a ball", "和球") if i % 4 == 0 else ("", "")
        lines.append({"image": f"{i}.png", "en": [f"a dog{more}"], "zh": [f"狗{zh}"]})
    path = tmp_path / "captions.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def evaluated(run: Run, captions: Path, photos: Path, *flags: str) -> dict[str, Any]:
    result = run("eval", captions, "--images", photos, "--encoder", "builtin", "--json", *flags)
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


def test_cutoff_gives_figures_of_each_level_beside_the_threshold(run: Run, captions: Path) -> None:
    data = evaluated(run, captions, captions.parent / "photos", "--cutoff")
    assert (data["task"], data["images"]) == ("cutoff", 40)
    rows = {(r["language"], r["kind"], r["level"]): r for r in data["results"]}
    assert {language for language, _, _ in rows} == {"en", "zh", "all"}
    assert {level for _, _, level in rows} == {"likely", "possible"}
    row = rows["all", "all", "possible"]
    assert row["absent"] > 700
    assert row["present"] >= 4
    assert 0 <= row["empty"] <= 100
    assert row["recall"] <= row["found"] <= 100
    assert row["threshold_recall"] >= row["recall"] - 1e-6
    assert rows["all", "all", "likely"]["recall"] <= row["recall"]


def test_negation_is_held_against_plain_text_and_subtraction(run: Run, captions: Path) -> None:
    data = evaluated(run, captions, captions.parent / "photos", "--negation")
    assert [row["language"] for row in data["results"]] == ["en", "zh"]
    row = data["results"][0]
    assert row["queries"] >= 1
    assert row["most"] >= row["left_out"]
    assert {"plain", "subtracted", "half_subtracted"} < row.keys()


def test_a_table_has_a_row_a_level(run: Run, captions: Path) -> None:
    result = run(
        *("eval", captions, "--images", captions.parent / "photos"),
        *("--encoder", "builtin", "--cutoff", "--language", "en"),
    )
    assert result.exit_code == 0, result.output
    assert "possible" in result.stdout
    assert "empty)" in result.stdout


def test_captions_without_any_concept_cannot_be_measured(run: Run, tmp_path: Path) -> None:
    Image.new("RGB", (32, 32)).save(tmp_path / "a.png")
    path = tmp_path / "c.jsonl"
    path.write_text('{"image": "a.png", "en": ["qwerty"]}\n')
    result = run("eval", path, "--images", tmp_path, "--encoder", "builtin", "--negation")
    assert result.exit_code == 1
    assert "pairs of concepts" in result.output


def test_a_folder_of_classes_and_a_chart_are_refused(run: Run, captions: Path) -> None:
    photos = captions.parent / "photos"
    result = run("eval", photos, "--cutoff")
    assert result.exit_code == 1
    assert "needs a file of captions" in result.output
    result = run("eval", captions, "--images", photos, "--cutoff", "--plot", "x.svg")
    assert result.exit_code == 2


@pytest.mark.slow
def test_most_absent_things_show_nothing_and_negation_is_ahead(
    run: Run, tmp_path: Path, data_dir: Callable[[str], Path]
) -> None:
    """On photos that neither the encoder was trained on nor the shares of the null chosen on."""
    captions, photos = data_dir("flickr8k/test.jsonl"), data_dir("flickr8k/test")
    cutoff = evaluated(run, captions, photos, "--cutoff")
    rows = {(r["language"], r["kind"], r["level"]): r for r in cutoff["results"]}
    for language in ("en", "zh"):
        for kind in ("word", "caption"):
            possible, likely = (rows[language, kind, name] for name in ("possible", "likely"))
            assert possible["empty"] >= 68
            assert likely["empty"] >= 92
            assert possible["ratio"] < 1
        assert rows[language, "word", "possible"]["precision"] >= 60
        assert rows[language, "word", "likely"]["precision"] >= 80
    negation = evaluated(run, captions, photos, "--negation")
    for row in negation["results"]:
        assert row["left_out"] > max(row["plain"], row["subtracted"], row["half_subtracted"])
