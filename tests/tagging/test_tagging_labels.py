"""Sets of labels: presets, TOML, plain lists, and everything that is none."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pictor.library.errors import LabelError
from pictor.tagging.labels import (
    Label,
    LabelSet,
    given_labels,
    language_of,
    person_label,
    presets,
    read_labels,
)

#: Preset → (fewest, most) labels without one below them.
SIZES = {
    "coco": (80, 80),
    "documents": (40, 100),
    "everyday": (360, 440),
    "scenes": (90, 120),
    "weather": (30, 60),
}


def test_the_presets_are_those_that_are_documented() -> None:
    assert presets() == sorted(SIZES)


@pytest.mark.parametrize("name", SIZES)
def test_a_preset_is_whole(name: str) -> None:
    labels = read_labels(name)
    assert labels.name == name
    parents = {one.parent for one in labels.labels}
    leaves = [one for one in labels.labels if one.label not in parents]
    fewest, most = SIZES[name]
    assert fewest <= len(leaves) <= most
    for one in labels.labels:
        assert set(one.names) == {"en", "zh"}, one
        assert all(language_of(text) == "zh" or "T" in text for text in one.names["zh"]), one
        assert all(text.isascii() for text in one.names["en"]), one


@pytest.mark.parametrize("name", SIZES)
def test_no_name_of_a_preset_stands_for_two_labels(name: str) -> None:
    for language in ("en", "zh"):
        names = [text.lower() for one in read_labels(name).labels for text in one.names[language]]
        assert [text for text, count in Counter(names).items() if count > 1] == []


def test_a_text_file_has_one_label_a_line_and_paths(tmp_path: Path) -> None:
    file = tmp_path / "pets.txt"
    file.write_text("\ufeff# ours\n\nanimal|dog\n猫\r\nanimal|bird|owl\n", encoding="utf-8")
    labels = read_labels(str(file))
    assert labels.name == "pets"
    found = [(one.label, dict(one.names), one.parent) for one in labels.labels]
    assert found == [
        ("animal", {"en": ("animal",)}, ""),
        ("dog", {"en": ("dog",)}, "animal"),
        ("猫", {"zh": ("猫",)}, ""),
        ("bird", {"en": ("bird",)}, "animal"),
        ("owl", {"en": ("owl",)}, "bird"),
    ]
    assert labels.lineage("owl") == ("owl", "bird", "animal")
    assert labels.parents() == [-1, 0, -1, 0, 3]


def test_a_toml_file_says_all(tmp_path: Path) -> None:
    file = tmp_path / "some.toml"
    file.write_text(
        'name = "mine"\nmulti_label = true\nmin = 0.25\ntemplates = ["a {label}"]\n'
        'labels = ["sky", { en = "dog", zh = ["狗", "犬"] }, { zh = ["猫"], parent = "dog" },'
        ' { label = "X", de = ["Haus"] }]\n',
        encoding="utf-8",
    )
    labels = read_labels(str(file))
    assert (labels.name, labels.multi_label, labels.minimum) == ("mine", True, 0.25)
    assert labels.templates == ("a {label}",)
    assert [one.label for one in labels.labels] == ["sky", "dog", "猫", "X"]
    assert labels.labels[1].names == {"en": ("dog",), "zh": ("狗", "犬")}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("labels = 3", "no list `labels`"),
        ("labels = []", "0 labels"),
        ("labels = [1]", "not a text or table"),
        ("lables = ['a']", "unknown key 'lables'; did you mean 'labels'"),
        ("labels = ['a', 'a']", "'a' twice"),
        ("labels = [{ parent = 'a' }]", "no name"),
        ("labels = [{ en = 'a', parent = 'b' }]", "which is no label of it"),
        ("labels = [{ en = 'a', parent = 'a' }]", "is its own ancestor"),
        ("labels = [{ english = 'a' }]", "not a language code"),
        ("labels = [{ en = [] }]", "must be names"),
        ("labels = [{ en = 'a|b' }]", "no name of a label"),
        ('labels = ["a\\u0007"]', "no name of a label"),
        ("labels = ['a']\nmin = true", "must be a number"),
        ("labels = ['a']\nmin = 2", "from 0 to 1"),
        ("labels = ['a']\ntemplates = ['photo']", "has no {label}"),
        ("labels = ['a']\nmulti_label = 1", "true or false"),
        ("labels = [", "not valid TOML"),
        ("labels = " + "[" * 3000, "not valid TOML"),
    ],
)
def test_what_is_no_set_is_said_in_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(LabelError) as caught:
        read_labels(str(file))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)[:200]


def test_a_circle_of_parents_is_refused() -> None:
    with pytest.raises(LabelError, match="is its own ancestor"):
        LabelSet(
            "s",
            (
                Label("a", {"en": ("a",)}, "b"),
                Label("b", {"en": ("b",)}, "a"),
            ),
        )


def test_neither_file_nor_preset_names_the_presets() -> None:
    with pytest.raises(LabelError, match="coco, documents, everyday, scenes, weather"):
        read_labels("everyday2")


def test_no_text_is_no_set(tmp_path: Path) -> None:
    file = tmp_path / "latin.txt"
    file.write_bytes(b"caf\xe9\n")
    with pytest.raises(LabelError, match="UTF-8"):
        read_labels(str(file))


@pytest.mark.parametrize(
    ("labels", "words"),
    [(["a", "a"], "twice"), (["a", "b|a"], "two places"), ([""], "no name"), ([], "0 labels")],
)
def test_labels_given_one_by_one_are_checked(labels: list[str], words: str) -> None:
    with pytest.raises(LabelError, match=words):
        given_labels("x", labels)


def test_an_error_repeats_little_of_a_long_line(tmp_path: Path) -> None:
    file = tmp_path / "long.txt"
    file.write_text("dog\n" + "x" * 200_000 + "\n")
    with pytest.raises(LabelError, match=r"xxx…xxx.*no name of a label") as caught:
        read_labels(str(file))
    assert len(str(caught.value)) < 500
    for call in (read_labels, person_label):
        with pytest.raises(LabelError, match="…") as caught:
            call("y" * 5_000)
        assert len(str(caught.value)) < 600


@given(st.lists(st.text(max_size=12), max_size=6))
def test_any_texts_give_a_set_or_one_error(texts: list[str]) -> None:
    try:
        labels = given_labels("any", texts)
    except LabelError:
        return
    named = [text.split("|")[-1].strip() for text in texts]
    assert set(named) <= {one.label for one in labels.labels}


def test_a_persons_tag_is_a_word_or_a_path() -> None:
    assert person_label(" places | Wien ") == "places|Wien"
    for bad in ("", " ", "a||b", "x\ny", "|"):
        with pytest.raises(LabelError) as caught:
            person_label(bad)
        place = f" in {bad!r}" if "|" in bad else ""
        part = "" if "|" in bad else bad
        assert str(caught.value).startswith(f"{part!r}{place} is no name of a label: give 1 to 200")
