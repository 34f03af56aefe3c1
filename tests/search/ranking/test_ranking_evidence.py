"""What speaks for a hit: against its definition worked out one image at a time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pictor.library.caption_bank import Bank, log_sum_exp
from pictor.library.records import Scoring
from pictor.search.ranking.evidence import (
    BEST,
    COLUMNS,
    Images,
    Setting,
    Usual,
    discounted,
    evidence,
    see,
)

D = 16
COLUMN = {name: i for i, name in enumerate(COLUMNS)}


def unit(rng: np.random.Generator, count: int) -> np.ndarray:
    rows = rng.standard_normal((count, D)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def bank_of(vectors: np.ndarray) -> Bank:
    return Bank.of(tuple(str(i) for i in range(len(vectors))), vectors)


def images_of(vectors: np.ndarray, bank: Bank, scoring: Scoring) -> Images:
    return Images(vectors, log_sum_exp(vectors, bank.vectors, scoring))


def setting_of(
    rng: np.random.Generator, *, sampled: int = 50, total: int = 50, scale: float = 20.0
) -> Setting:
    bank, scoring = bank_of(unit(rng, 60)), Scoring("softmax", scale, 0.0)
    sample = images_of(unit(rng, sampled), bank, scoring)
    return Setting(bank, scoring, Usual(0.0, 2.0), sample, total)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([1.0, 20.0, 100.0]), st.floats(0.0, 1.0))
def test_discounting_equals_its_definition(seed: int, scale: float, mix: float) -> None:
    rng = np.random.default_rng(seed)
    setting = setting_of(rng, scale=scale)
    vector = mix * setting.bank.vectors[0] + (1 - mix) * unit(rng, 1)[0]
    vector = (vector / np.linalg.norm(vector)).astype(np.float32)
    images = images_of(unit(rng, 7), setting.bank, setting.scoring)
    query = see(vector, setting)
    scores = scale * (images.vectors.astype(np.float64) @ setting.bank.vectors.T)
    weights = query.weights.astype(np.float64)
    total, rest = np.exp(scores).sum(axis=1), (np.exp(scores) * weights).sum(axis=1)
    right = np.log(np.maximum(rest, 1e-4 * total) / max(weights.sum(), 1.0))
    is_sound = rest > 1e-3 * total  # beyond, float32 scores do not tell
    found = discounted(query, images, setting)
    assert found[is_sound] == pytest.approx(right[is_sound], abs=1e-2)
    assert np.isfinite(found).all()


def test_a_caption_that_says_the_same_does_not_speak_against_a_query() -> None:
    rng = np.random.default_rng(1)
    setting = setting_of(rng, scale=100.0)
    vector = setting.bank.vectors[3]  # the query stands in the bank
    images = images_of(vector[None], setting.bank, setting.scoring)
    log_odds = evidence(see(vector, setting), images, setting)[0, COLUMN["log_odds"]]
    undiscounted = 100.0 - images.backgrounds[0]
    assert undiscounted < 5  # log(60): its own twin holds it down
    assert log_odds > undiscounted + 4


def test_slices_of_a_ranking_agree_with_the_whole() -> None:
    rng = np.random.default_rng(2)
    setting = setting_of(rng, total=5000)
    images = images_of(unit(rng, 40), setting.bank, setting.scoring)
    query = see(unit(rng, 1)[0], setting)
    whole = evidence(query, images, setting)
    for start in (0, 7, 39):
        part = Images(images.vectors[start:], images.backgrounds[start:])
        assert evidence(query, part, setting) == pytest.approx(whole[start:], abs=1e-5)


def test_the_z_score_is_that_of_the_lower_half_of_a_large_sample() -> None:
    rng = np.random.default_rng(3)
    setting = setting_of(rng, sampled=20_000)
    vector = unit(rng, 1)[0]
    images = Images(setting.sample.vectors[:5], setting.sample.backgrounds[:5])
    scores = 20.0 * (setting.sample.vectors @ vector)
    low, centre = np.quantile(scores, [0.1, 0.5])
    spread = (centre - low) / 1.2816  # of the lower half, as if it were half a normal distribution
    found = evidence(see(vector, setting), images, setting)[:, COLUMN["z"]]
    assert found == pytest.approx((scores[:5] - centre) / spread, abs=0.01)


@pytest.mark.parametrize("sampled", [0, 1, 2, 3])
def test_tiny_collections_are_judged_by_what_is_usual(sampled: int) -> None:
    setting = setting_of(np.random.default_rng(4), sampled=sampled, total=sampled)
    images = images_of(unit(np.random.default_rng(5), 2), setting.bank, setting.scoring)
    table = evidence(see(images.vectors[0], setting), images, setting)
    assert np.isfinite(table).all()
    assert table[0, COLUMN["spread"]] > 1.0  # though the scores of one image do not spread


def test_no_images_give_no_rows() -> None:
    setting = setting_of(np.random.default_rng(6))
    none = Images(np.empty((0, D), np.float32), np.empty(0))
    query = see(unit(np.random.default_rng(7), 1)[0], setting)
    assert evidence(query, none, setting).shape == (0, len(COLUMNS))


def test_an_image_outside_the_sample_counts_among_the_best() -> None:
    rng = np.random.default_rng(8)
    setting = setting_of(rng, total=5000)
    vector = unit(rng, 1)[0]
    images = images_of(np.stack([vector, -vector]), setting.bank, setting.scoring)
    query = see(vector, setting)
    best = evidence(query, images, setting)[:, COLUMN["best"]]
    log_odds = evidence(query, images, setting)[:, COLUMN["log_odds"]]
    assert len(query.best) == BEST
    assert best[0] == pytest.approx((log_odds[0] + query.best[1:].sum()) / 3)
    assert best[1] == pytest.approx(query.best.mean())
