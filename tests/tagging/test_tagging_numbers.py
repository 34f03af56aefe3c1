"""The numbers of tagging, written here once more, and both sides of what a set may be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pictor.library.errors import LabelError
from pictor.library.records import Scoring
from pictor.tagging.labels import (
    Label,
    LabelSet,
    given_labels,
    person_label,
    presets,
    read_labels,
)
from pictor.tagging.run import TagOptions, _as_asked, _by_content
from pictor.tagging.scores import Rules, default_minimum

SOFTMAX = Scoring("softmax", 20.0)
SIGMOID = Scoring("sigmoid", 10.0, -5.0)


# --- scores


@pytest.mark.parametrize(
    ("scoring", "several", "least"),
    [(SOFTMAX, False, 0.3), (SOFTMAX, True, 0.2), (SIGMOID, False, 0.05), (SIGMOID, True, 0.05)],
)
def test_the_least_scores(scoring: Scoring, several: bool, least: float) -> None:
    assert default_minimum(scoring, multi_label=several) == least


@pytest.mark.parametrize(
    ("minimum", "ahead", "is_tag"),
    [(0.5, 1.0, True), (0.5001, 1.0, False), (0.5, 1.0001, False)],
)
def test_a_tag_reaches_both_bounds(minimum: float, ahead: float, is_tag: bool) -> None:
    """A logit of 0 has the sigmoid 0.5; the background is 1 below it."""
    rules = Rules(SIGMOID, [-1], ahead, minimum, True)
    logits, background = np.zeros((1, 1), np.float32), np.array([-1.0], np.float32)
    assert rules.tags(logits, background).tolist() == [[0.5 if is_tag else 0.0]]
    given = rules.tags(logits, np.array([9.0], np.float32), lambda at, rows: np.array([-1.0]))
    assert given.tolist() == [[0.5 if is_tag else 0.0]]


def test_only_what_may_be_a_tag_is_compared_once_more() -> None:
    asked: list[tuple[int, list[int]]] = []

    def without(at: int, rows: np.ndarray) -> np.ndarray:
        asked.append((at, rows.tolist()))
        return np.full(len(rows), -100.0)

    rules = Rules(SIGMOID, [-1, -1], 0.0, 0.5, False)
    logits = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, -2.0]], np.float32)
    scores = rules.tags(logits, np.full(3, 9.0, np.float32), without)
    assert asked == [(0, [0]), (1, [1])]  # of each the best, where it is good enough
    assert (scores > 0).tolist() == [[True, False], [False, True], [False, False]]


def test_labels_above_take_part_from_the_bottom_up() -> None:
    logits = np.log(np.array([[0.1, 0.2, 0.3, 0.4]], np.float32))
    background, low = np.zeros(1, np.float32), -9.0
    for parents in ([-1, 0, 1, 2], [-1, 0, 1, -1]):
        rules = Rules(SOFTMAX, parents, low, 0.0, True)
        right = [1.0, 0.9, 0.7, 0.4] if parents[3] == 2 else [0.6, 0.5, 0.3, 0.4]
        assert rules.tags(logits, background)[0] == pytest.approx(right)
    lowest = Rules(SOFTMAX, [-1, 0, 1, 2], -1.0, 0.0, False)  # passes, and with it all above
    assert (lowest.tags(logits, background) > 0).all()
    best = Rules(SOFTMAX, [-1, 0, -1, -1], low, 0.0, False).tags(logits, background)[0]
    assert (best > 0).tolist() == [False, False, False, True]


def test_a_content_of_several_items_has_their_best_scores() -> None:
    scores = np.array([[0.1, 0.9], [0.5, 0.2], [0.3, 0.3]], np.float32)
    ids, best = _by_content(np.array([4, 4, 7]), scores)
    assert ids.tolist() == [4, 7]
    assert best == pytest.approx(np.array([[0.5, 0.9], [0.3, 0.3]]))
    ids, same = _by_content(np.array([4, 5, 7]), scores)
    assert (ids.tolist(), same.tolist()) == ([4, 5, 7], scores.tolist())


def test_options_go_before_what_the_set_says() -> None:
    labels = LabelSet("x", given_labels("x", ["dog"]).labels, ("a {label}",), minimum=0.4)
    assert _as_asked(labels, TagOptions(language="en")) == labels
    asked = _as_asked(labels, TagOptions(minimum=0.0, templates=("b {}",), name="y"))
    assert (asked.name, asked.minimum, asked.templates) == ("y", 0.0, ("b {}",))
    for options, words in (
        (TagOptions(name="PERSON"), "your own tags are"),
        (TagOptions(templates=("x",)), "has no {label}"),
        (TagOptions(language="zh"), "'zh', only in en"),
    ):
        with pytest.raises(LabelError, match=words):
            _as_asked(labels, options)


# --- sets of labels


def labels_of(count: int) -> tuple[Label, ...]:
    return tuple(Label(f"l{i}", {"en": (f"l{i}",)}) for i in range(count))


def test_a_set_has_up_to_twenty_thousand_labels() -> None:
    assert len(LabelSet("x", labels_of(20_000)).labels) == 20_000
    with pytest.raises(LabelError, match="has 20,001 labels; give 1 to 20,000"):
        LabelSet("x", labels_of(20_001))


def test_a_set_is_shown_without_what_it_looks_up_with() -> None:
    assert repr(LabelSet("x", labels_of(2))).endswith("multi_label=False, minimum=None)")
    with pytest.raises(TypeError):
        LabelSet("x", labels_of(1), _places={})  # type: ignore[call-arg]  # that is tested


@pytest.mark.parametrize("minimum", [0, 0.0, 1, 1.0, None])
def test_a_least_score_is_a_share(minimum: float | None) -> None:
    made = LabelSet("x", labels_of(1), minimum=minimum)
    assert (made.minimum, made.multi_label, made.templates) == (minimum, False, ())
    for wrong in (-0.001, 1.001, float("nan")):
        with pytest.raises(LabelError, match="from 0 to 1"):
            LabelSet("x", labels_of(1), minimum=wrong)


@pytest.mark.parametrize("char", ["\n", "\x7f", "\ud800", "\u2028", "\u2029", "|"])
def test_a_name_can_be_printed(char: str) -> None:
    with pytest.raises(LabelError, match="cannot be called"):
        LabelSet(f"a{char}b", labels_of(1))
    with pytest.raises(LabelError, match="cannot be called ''"):
        LabelSet("", labels_of(1))


def test_a_name_has_up_to_two_hundred_characters() -> None:
    assert person_label("x" * 200) == "x" * 200
    with pytest.raises(LabelError, match="no name of a label"):
        person_label("x" * 201)


def written(tmp_path: Path, text: str, name: str = "some.toml") -> LabelSet:
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    return read_labels(str(file))


def test_a_file_of_little_has_the_defaults(tmp_path: Path) -> None:
    made = written(tmp_path, "labels = [' dog ', '狗']", "pets.TOML")
    labels = (Label("dog", {"en": ("dog",)}), Label("狗", {"zh": ("狗",)}))
    assert made == LabelSet("pets", labels, (), False, None)
    assert written(tmp_path, "labels = ['a']\nmin = 1").minimum == 1
    assert written(tmp_path, "labels = ['a']\nmin = 0.5").minimum == 0.5
    with pytest.raises(LabelError, match="is neither a file"):
        read_labels(str(tmp_path))


def test_names_are_in_any_language(tmp_path: Path) -> None:
    text = (
        "labels = [{ de = ['Hund', 'Köter'], zh = '狗', parent = 'x' }, { en = 'y', label = 'x' }]"
    )
    assert written(tmp_path, text).labels == (
        Label("Hund", {"de": ("Hund", "Köter"), "zh": ("狗",)}, "x"),
        Label("x", {"en": ("y",)}),
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("labels = [{ en = 'a', label = 1 }]", "`label` and `parent` of"),
        ("labels = [{ en = 'a', parent = 1 }]", "`label` and `parent` of"),
        ("labels = [{ en = 1 }]", "'en' in .* must be names, not 1"),
        ("labels = [{ en = ['a', 1] }]", "1 in .* is no name of a label"),
        ("labels = [{ EN = 'a' }]", "'EN' in .* is not a language code"),
        ("labels = ['a']\ntemplates = 'x'", "must be a list of texts"),
        ("labels = ['a']\ntemplates = [1]", "must be a list of texts"),
        ("labels = ['a']\nmin = '1'", "`min` of .* must be a number, not '1'"),
        ("labels = ['dog', { en = 'a', parent = 'dgo' }]", "no label of it; did you mean 'dog'"),
        ("labels = [{ en = 'a', parent = 'zzz' }]", "no label of it$"),
    ],
)
def test_a_file_that_is_wrong_says_where(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(LabelError, match=words):
        written(tmp_path, text)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (["b|a", "b"], [("b", ""), ("a", "b")]),
        (["b", "b|a"], [("b", ""), ("a", "b")]),
        (["c|b|a"], [("c", ""), ("b", "c"), ("a", "b")]),
        (["b|a", "b|a"], None),
        (["a", "b|a"], None),
    ],
)
def test_paths_of_labels(given: list[str], found: Any) -> None:
    if found is None:
        with pytest.raises(LabelError, match=r"twice|in two places"):
            given_labels("x", given)
        return
    made = given_labels("x", given)
    assert [(one.label, one.parent) for one in made.labels] == found
    assert made.parents() == [-1 if not up else [f[0] for f in found].index(up) for _, up in found]
    assert made.lineage("a")[-1] == found[0][0]
    assert made.to_json()[0] == {"label": found[0][0], "names": {"en": [found[0][0]]}, "parent": ""}


def test_presets_are_known_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "coco").write_text("dog\n")
    assert "coco" in presets()
    assert len(read_labels("coco").labels) > 1  # the file is "./coco"
    assert [one.label for one in read_labels("./coco").labels] == ["dog"]
