"""The level of tags: what names of absent things reach, and who they are."""

from __future__ import annotations

import numpy as np
import pytest

from pictor.library.caption_bank import Bank, rare_things
from pictor.library.label_scores import logits_of
from pictor.library.records import FloatMatrix, Scoring
from pictor.tagging.labels import Label, given_labels
from pictor.tagging.thresholds import KEPT, WRONG, absent_labels, excess, level, without_same

SOFTMAX = Scoring("softmax", 20.0)


def unit(seed: int, count: int, near: FloatMatrix | None = None) -> FloatMatrix:
    rows = np.random.default_rng(seed).standard_normal((count, 32)).astype(np.float32)
    if near is not None:
        rows = near + 0.15 * rows
    found: FloatMatrix = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return found


def test_absent_things_have_names_in_both_languages() -> None:
    names = rare_things()
    absent = absent_labels(given_labels("x", ["dog"]).labels)
    assert len(absent) == len(names) // 2 > 100
    assert [one.label for one in absent] == list(names[: len(absent)])
    assert [one.names["zh"][0] for one in absent] == list(names[len(absent) :])


def test_what_a_set_names_is_not_absent() -> None:
    whole = absent_labels([Label("dog", {"en": ("dog",)})])
    first, second, third = whole[:3]
    given = [Label("a", {"en": ("x", first.label.upper())}), Label("b", second.names)]
    assert absent_labels([*given, Label("c", {"zh": third.names["zh"]})]) == whole[3:]
    assert absent_labels(whole) == whole  # none is left: all of them are the best there is


@pytest.mark.parametrize("labels", [1, 7, 80, 800])
def test_of_photos_of_nothing_a_known_share_gets_a_tag(labels: int) -> None:
    """A set of absent things that the level has not seen, over 3,000 photos."""
    rng = np.random.default_rng(labels)
    known, others = rng.normal(size=(3000, 200)), rng.normal(size=(3000, labels))
    share = float((others.max(axis=1) > level(known, labels)).mean())
    assert WRONG / 3 < share < WRONG * 3


def test_more_labels_are_held_to_a_higher_level() -> None:
    ahead = np.random.default_rng(1).normal(size=(500, 50))
    levels = [level(ahead, count) for count in (2, 20, 200)]
    assert levels == sorted(levels) and levels[0] < levels[2]


def test_a_few_names_that_are_there_after_all_do_not_count() -> None:
    ahead = np.random.default_rng(2).normal(size=(400, 100))
    present = ahead.copy()
    present[:200, :3] += 50  # half of the photos show one of three
    assert level(present, 100) == pytest.approx(level(ahead, 100), abs=0.3)
    present[:200, :6] += 50
    assert level(present, 100) > 40
    assert 0.9 < KEPT < 1


def test_the_level_of_no_photos_is_a_number() -> None:
    assert level(np.empty((0, 9)), 3) == 0.0


def test_an_excess_is_over_the_captions_that_say_something_else() -> None:
    captions = unit(3, 300)
    bank = Bank.of(tuple(map(str, range(300))), captions)
    photos, names = unit(4, 5), np.concatenate([unit(5, 1), captions[:1]])
    powers = np.exp(logits_of(photos, captions, SOFTMAX).astype(np.float64))
    whole = np.log(powers.mean(axis=1))
    found = excess(photos, whole, names, bank, SOFTMAX)
    ahead = logits_of(photos, names, SOFTMAX)
    assert found[:, 0] == pytest.approx(ahead[:, 0] - whole, abs=0.02)
    assert found[:, 1] == pytest.approx(ahead[:, 1] - np.log(powers[:, 1:].mean(axis=1)), abs=0.02)


def test_a_label_is_not_held_against_captions_that_say_the_same() -> None:
    captions = unit(6, 300)
    bank = Bank.of(tuple(map(str, range(300))), captions)
    photos = unit(7, 4, near=captions[:1])  # they show what the first caption says
    powers = np.exp(logits_of(photos, captions, SOFTMAX).astype(np.float64))
    whole = np.log(powers.mean(axis=1)).astype(np.float32)
    without = without_same(photos, whole, captions[:2], bank, SOFTMAX)
    rows = np.array([1, 3])
    assert without(0, rows) == pytest.approx(np.log(powers[rows, 1:].mean(axis=1)), abs=0.05)
    assert without(1, rows) == pytest.approx(whole[rows], abs=0.02)
    assert (without(0, rows) < whole[rows] - 1).all()
