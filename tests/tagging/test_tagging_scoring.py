"""Scores and prompts by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pictor.library.errors import LabelError
from pictor.library.label_scores import label_vectors, logits_of, probabilities
from pictor.library.records import EncoderCard, Scoring
from pictor.tagging.labels import Label
from pictor.tagging.prompts import prompts, templates_for
from pictor.tagging.scores import Rules, default_minimum

SOFTMAX = Scoring("softmax", 20.0)
SIGMOID = Scoring("sigmoid", 10.0, -5.0)


def _rules(parents: list[int], minimum: float, **more: object) -> Rules:
    facts = {"scoring": SOFTMAX, "level": -100.0}
    return Rules(
        **(facts | {"parents": parents, "minimum": minimum, "multi_label": True} | more)  # type: ignore[arg-type]
    )


def _unit(rows: object) -> np.ndarray:
    matrix = np.asarray(rows, np.float32)
    return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)


def test_scores_are_a_softmax_or_sigmoids() -> None:
    logits = np.array([[1.0, 2.0, 3.0]], np.float32)
    assert probabilities(logits, SOFTMAX)[0] == pytest.approx([0.0900, 0.2447, 0.6652], abs=1e-4)
    assert probabilities(logits, SIGMOID)[0] == pytest.approx([0.7311, 0.8808, 0.9526], abs=1e-4)
    extreme = np.array([[-500.0, 500.0]], np.float32)
    assert probabilities(extreme, SIGMOID)[0].tolist() == [0, 1]
    assert probabilities(extreme, SOFTMAX)[0].tolist() == [0, 1]


def test_logits_have_scale_and_bias() -> None:
    vectors = _unit([[1, 0], [0, 1]])
    assert logits_of(vectors, vectors, SIGMOID).tolist() == [[5, -5], [-5, 5]]


def test_a_label_above_has_the_sum_of_scores_and_is_implied() -> None:
    # animal > dog, cat; car
    rules = _rules([-1, 0, 0, -1], 0.3)
    logits = np.log(np.array([[0.02, 0.48, 0.40, 0.10]], np.float32))
    scores = rules.tags(logits, np.zeros(1, np.float32))[0]
    assert scores == pytest.approx([0.90, 0.48, 0.40, 0], abs=1e-4)


def test_a_label_above_can_hold_where_none_below_does() -> None:
    rules = _rules([-1, 0, 0, -1], 0.5)
    logits = np.log(np.array([[0.02, 0.45, 0.43, 0.10]], np.float32))
    assert (rules.tags(logits, np.zeros(1, np.float32))[0] > 0).tolist() == [
        True,
        False,
        False,
        False,
    ]


def test_sigmoids_above_take_the_largest() -> None:
    rules = _rules([-1, 0, -1], 0.5, scoring=SIGMOID)
    scores = rules.tags(np.array([[-3.0, 2.0, -1.0]], np.float32), np.zeros(1, np.float32))[0]
    assert scores == pytest.approx([0.8808, 0.8808, 0], abs=1e-4)


def test_one_label_an_item_keeps_the_best_line_only() -> None:
    rules = _rules([-1, 0, -1, 2], 0.3, multi_label=False)
    logits = np.log(np.array([[0.05, 0.40, 0.20, 0.35]], np.float32))
    scores = rules.tags(logits, np.zeros(1, np.float32))[0]
    assert (scores > 0).tolist() == [True, True, False, False]


def test_what_the_background_explains_gets_no_tag() -> None:
    rules = _rules([-1, -1], 0.3, level=-2.0)
    logits = np.array([[5.0, 0.0], [5.0, 0.0]], np.float32)
    scores = rules.tags(logits, np.array([6.5, 7.5], np.float32))
    assert (scores > 0).tolist() == [[True, False], [False, False]]


@given(st.integers(0, 2**32 - 1), st.booleans(), st.sampled_from([SOFTMAX, SIGMOID]))
def test_every_tag_has_all_above_it(seed: int, multi: bool, scoring: Scoring) -> None:
    rng = np.random.default_rng(seed)
    parents = [-1, *(int(rng.integers(-1, at)) for at in range(1, 12))]
    rules = Rules(scoring, parents, float(rng.normal()), float(rng.uniform(0.01, 0.6)), multi)
    logits = rng.normal(0, 3, (40, 12)).astype(np.float32)
    scores = rules.tags(logits, rng.normal(0, 1, 40).astype(np.float32))
    assert ((scores >= 0) & (scores <= 1)).all()
    for row in scores:
        for at in np.flatnonzero(row):
            if parents[at] >= 0:
                assert row[parents[at]] >= row[at] > 0


def test_the_least_score_follows_the_family() -> None:
    assert default_minimum(SIGMOID, multi_label=True) < default_minimum(SOFTMAX, multi_label=True)
    assert default_minimum(SOFTMAX, multi_label=True) < default_minimum(SOFTMAX, multi_label=False)


# --- prompts


def test_a_prompt_is_in_the_language_of_its_name() -> None:
    english, chinese = "a {label}", "{label}的照片"
    assert templates_for("dog", [english, chinese], "x{label}") == (english,)
    assert templates_for("狗", [english, chinese], "x{label}") == (chinese,)
    assert templates_for("狗", [english], "x{label}") == (english,)
    assert templates_for("狗", [], "{label}") == ("{label}",)
    assert templates_for("狗", [], "This is a photo of {label}.") == ("一张{label}的照片。",)
    assert templates_for("dog", [], "一张{label}的照片。") == ("This is a photo of {label}.",)


def test_names_are_those_of_the_encoders_language() -> None:
    labels = [Label("dog", {"en": ("dog", "hound"), "zh": ("狗",)}), Label("猫", {"zh": ("猫",)})]
    card = EncoderCard(id="x", family="clip", languages=("zh",))
    assert prompts(labels, (), card, None) == [["狗"], ["猫"]]
    assert prompts(labels, ("a {}",), card, "en") == [["a dog", "a hound"], ["a 猫"]]


def test_an_ensemble_is_the_unit_mean_of_its_texts() -> None:
    known = {"a": [1, 0, 0], "b": [0, 1, 0], "c": [0, 0, 1], "-c": [0, 0, -1]}

    def encode(texts: object) -> np.ndarray:
        return np.array([known[text] for text in texts], np.float32)  # type: ignore[attr-defined]

    vectors = label_vectors([["a", "b"], ["c"]], encode)
    assert vectors == pytest.approx(np.array([[0.7071, 0.7071, 0], [0, 0, 1]]), abs=1e-4)
    with pytest.raises(LabelError, match="cancel out"):
        label_vectors([["a"], ["c", "-c"]], encode)


# --- what is looked at again


def test_a_label_that_fails_is_looked_at_again_where_its_score_is_high_enough() -> None:
    rules = _rules([-1, -1], 0.3, level=0.0)
    logits = np.array([[5.0, 0.0], [0.0, 5.0], [5.0, 4.9]], np.float32)
    asked: list[tuple[int, list[int]]] = []

    def without(at: int, rows: np.ndarray) -> np.ndarray:
        asked.append((at, rows.tolist()))
        return np.full(len(rows), 4.0 if at == 0 else 9.0)

    scores = rules.tags(logits, np.full(3, 6, np.float32), without)
    assert asked == [(0, [0, 2]), (1, [1, 2])]
    assert (scores > 0).tolist() == [[True, False], [False, False], [True, False]]
