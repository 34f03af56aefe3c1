"""Scores, prompts and thresholds by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pictor.library.caption_bank import Bank
from pictor.library.errors import LabelError
from pictor.library.label_scores import label_vectors, logits_of, probabilities
from pictor.library.records import EncoderCard, Scoring
from pictor.tagging.labels import Label, given_labels, read_labels
from pictor.tagging.prompts import prompts, templates_for
from pictor.tagging.scores import Rules, default_minimum
from pictor.tagging.thresholds import fit, naming, without_named

SOFTMAX = Scoring("softmax", 20.0)
SIGMOID = Scoring("sigmoid", 10.0, -5.0)


def _rules(parents: list[int], minimum: float, **more: object) -> Rules:
    facts = {"scoring": SOFTMAX, "thresholds": np.full(len(parents), -100, np.float32)}
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
    rules = _rules([-1, -1], 0.3, thresholds=np.array([-2, -2], np.float32))
    logits = np.array([[5.0, 0.0], [5.0, 0.0]], np.float32)
    scores = rules.tags(logits, np.array([6.5, 7.5], np.float32))
    assert (scores > 0).tolist() == [[True, False], [False, False]]


@given(st.integers(0, 2**32 - 1), st.booleans(), st.sampled_from([SOFTMAX, SIGMOID]))
def test_every_tag_has_all_above_it(seed: int, multi: bool, scoring: Scoring) -> None:
    rng = np.random.default_rng(seed)
    parents = [-1, *(int(rng.integers(-1, at)) for at in range(1, 12))]
    thresholds = rng.normal(0, 1, 12).astype(np.float32)
    rules = Rules(scoring, parents, thresholds, float(rng.uniform(0.01, 0.6)), multi)
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


# --- thresholds


def test_naming_takes_words_not_parts_of_short_ones() -> None:
    labels = given_labels("x", ["car", "golf", "狗"])
    captions = ["two cars", "a cartoon", "a golfer", "CAR!", "一只小狗", "scar"]
    assert naming(captions, labels.labels).T.tolist() == [
        [True, False, False, True, False, False],
        [False, False, True, False, False, False],
        [False, False, False, False, True, False],
    ]


def _bank(count: int) -> Bank:
    rng = np.random.default_rng(7)
    captions = tuple(f"caption number {i}" for i in range(count))
    return Bank.of(captions, _unit(rng.normal(size=(count, 32))))


def test_few_captions_exceed_a_threshold() -> None:
    bank = _bank(1500)
    labels = given_labels("x", [f"thing{i}" for i in range(20)])
    vectors = _unit(np.random.default_rng(8).normal(size=(20, 32)))
    thresholds = fit(labels.labels, vectors, bank, SOFTMAX)
    logits = logits_of(bank.vectors, vectors, SOFTMAX)
    near = logits_of(bank.vectors, bank.vectors, SOFTMAX).astype(np.float64)
    np.fill_diagonal(near, -np.inf)
    background = np.log(np.exp(near).sum(axis=1) / 1499)
    share = (logits - background[:, None] > thresholds).mean()
    assert 0 < share < 0.006
    assert thresholds.dtype == np.float32


def test_captions_that_name_a_label_do_not_raise_its_threshold() -> None:
    bank = _bank(600)
    labels = given_labels("x", ["zebra", "one", "two"])
    vectors = _unit(np.random.default_rng(9).normal(size=(3, 32)))
    named = tuple("a zebra" if i < 3 else text for i, text in enumerate(bank.captions))
    close = bank.vectors.copy()
    close[:3] = vectors[0]
    unnamed = fit(labels.labels, vectors, Bank.of(bank.captions, close), SOFTMAX)
    as_named = fit(labels.labels, vectors, Bank.of(named, close), SOFTMAX)
    assert as_named[0] < unnamed[0] - 0.5


def test_presets_are_found_in_the_bank_rarely_unnamed() -> None:
    from pictor.library.caption_bank import captions

    labels = read_labels("everyday")
    found = naming(captions(), labels.labels)
    assert found.any(axis=1).mean() > 0.4  # everyday captions name everyday things


def test_a_label_is_not_held_against_captions_that_name_it() -> None:
    rng = np.random.default_rng(11)
    vectors = _unit(rng.normal(size=(5, 16)))
    bank = Bank.of(tuple(f"caption {i}" for i in range(200)), _unit(rng.normal(size=(200, 16))))
    names = np.zeros((200, 2), np.bool_)
    names[:50, 1] = True
    powers = np.exp(logits_of(vectors, bank.vectors, SOFTMAX).astype(np.float64))
    whole = np.log(powers.mean(axis=1)).astype(np.float32)
    without = without_named(vectors, whole, bank, names, SOFTMAX)
    rows = np.array([0, 3])
    assert without(0, rows) == pytest.approx(whole[rows], abs=1e-5)
    expected = np.log(powers[rows][:, 50:].sum(axis=1) / 200)
    assert without(1, rows) == pytest.approx(expected, abs=1e-4)
    names[:, 1] = True  # nothing is left: very far behind, but a number
    assert np.isfinite(without_named(vectors, whole, bank, names, SOFTMAX)(1, rows)).all()


def test_a_label_that_fails_is_looked_at_again_where_its_score_is_high_enough() -> None:
    rules = _rules([-1, -1], 0.3, thresholds=np.zeros(2, np.float32))
    logits = np.array([[5.0, 0.0], [0.0, 5.0], [5.0, 4.9]], np.float32)
    asked: list[tuple[int, list[int]]] = []

    def without(at: int, rows: np.ndarray) -> np.ndarray:
        asked.append((at, rows.tolist()))
        return np.full(len(rows), 4.0 if at == 0 else 9.0)

    scores = rules.tags(logits, np.full(3, 6, np.float32), without)
    assert asked == [(0, [0, 2]), (1, [1, 2])]
    assert (scores > 0).tolist() == [[True, False], [False, False], [True, False]]
