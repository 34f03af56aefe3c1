"""What a negated concept leaves out and leads away from, on vectors made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from pictor.library.caption_bank import Bank, log_sum_exp
from pictor.library.records import Scoring
from pictor.search.ranking.calibration import Calibration, from_section
from pictor.search.ranking.evidence import Images, Setting, Usual
from pictor.search.ranking.negation import TAKEN_OFF, away_from, explains

AXES = np.eye(8, dtype=np.float32)


def by_score(threshold: float) -> Calibration:
    """Half at a z-score of 2, and no negation below a probability."""
    section = {
        "negation": threshold,
        "usual": {"centre": 0.0, "spread": 1.0},
        "concept": {"constant": -2.0, "z": 1.0},
    }
    return from_section(section)


def toy() -> tuple[Setting, Images]:
    """20 images: ten of the query (axis 0), of which the first three show axis 1 as well."""
    vectors = np.zeros((20, 8), np.float32)
    vectors[:10, 0] = vectors[10:, 2] = 1.0
    vectors[:3, 1] = 0.5
    vectors[:, 5] = np.linspace(0, 0.05, 20)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    bank = Bank.of(tuple("abcd"), AXES[4:])
    scoring = Scoring("softmax", 20.0, 0.0)
    images = Images(vectors, log_sum_exp(vectors, bank.vectors, scoring))
    return Setting(bank, scoring, Usual(0.0, 1.0), images, 20), images


def test_what_the_negated_concept_explains_is_left_out() -> None:
    setting, images = toy()
    out = explains(AXES[:1], AXES[1:2], images, setting, by_score(0.9))
    assert out.tolist() == [True] * 3 + [False] * 17


def test_negating_what_nothing_shows_leaves_out_nothing() -> None:
    setting, images = toy()
    assert not explains(AXES[:1], AXES[3:4], images, setting, by_score(0.3)).any()


def test_several_concepts_are_negated_each_by_itself_also_without_a_query() -> None:
    setting, images = toy()
    out = explains(AXES[:0], AXES[1:3], images, setting, by_score(0.3))
    assert out.tolist() == [True] * 3 + [False] * 7 + [True] * 10


def test_what_fits_the_negated_concept_comes_later() -> None:
    setting, images = toy()
    towards = away_from(AXES[:1], AXES[1:2], setting)
    scores = images.vectors @ towards[0]
    assert np.linalg.norm(towards) == pytest.approx(1.0, abs=1e-6)
    assert scores[3:10].min() > scores[:3].max()  # dogs alone, then dogs with balls,
    assert scores[:3].min() > scores[10:].max()  # and only then what is neither


def test_without_a_sample_half_of_the_concept_is_taken_off() -> None:
    found = away_from(AXES[:1], AXES[1:2], None)
    right = AXES[0] - TAKEN_OFF * AXES[1]
    assert found[0] == pytest.approx(right / np.linalg.norm(right), abs=1e-6)


def test_nothing_negated_changes_nothing() -> None:
    setting, _ = toy()
    assert away_from(AXES[:1], AXES[:0], setting) is not None
    assert (away_from(AXES[:1], AXES[:0], setting) == AXES[:1]).all()


def test_many_negated_concepts_do_not_drown_the_query() -> None:
    setting, images = toy()
    scores = images.vectors @ away_from(AXES[:1], AXES[1:], setting)[0]
    assert scores[3:10].min() > scores[10:].max()


def test_negating_the_query_itself_is_no_division_by_zero() -> None:
    setting, _ = toy()
    assert np.isfinite(away_from(AXES[:1], np.repeat(AXES[:1], 4, axis=0), setting)).all()
