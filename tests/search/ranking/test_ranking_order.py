"""Fusion, folding and diversity against the plainest way to say what they do."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pictor.library.encoders import towers
from pictor.library.images import Limits, decode
from pictor.library.records import FloatMatrix
from pictor.search.ranking.diversity import diversify
from pictor.search.ranking.folding import fold, near_identical
from pictor.search.ranking.fusion import reciprocal_rank

RANKINGS = st.lists(st.lists(st.integers(0, 12), max_size=8), max_size=4)


def unit(seed: int, count: int, dimension: int = 3) -> FloatMatrix:
    """Few dimensions, so that many vectors lie close together; some are equal."""
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((count, dimension)).astype(np.float32)
    if count > 2:
        rows[count // 2] = rows[0]
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def arrays(rankings: list[list[int]]) -> list[np.ndarray]:
    return [np.array(ranking, dtype=np.int64) for ranking in rankings]


# --- fusion


@given(rankings=RANKINGS, data=st.data(), k=st.sampled_from([1.0, 60.0]))
def test_fusion_is_the_sum_of_reciprocal_ranks(
    rankings: list[list[int]], data: st.DataObject, k: float
) -> None:
    weights = [data.draw(st.sampled_from([0.0, 0.5, 1.0, 2.0])) for _ in rankings]
    ids, scores = reciprocal_rank(arrays(rankings), weights, k)
    expected: dict[int, float] = {}
    for ranking, weight in zip(rankings, weights, strict=True):
        for item in dict.fromkeys(ranking):
            share = weight / (k + 1 + ranking.index(item))
            expected[item] = expected.get(item, 0.0) + share
    assert ids.tolist() == sorted(expected, key=lambda item: (-expected[item], item))
    assert scores == pytest.approx([expected[item] for item in ids.tolist()], rel=1e-6)
    assert ids.dtype == np.int64 and scores.dtype == np.float32


def test_fusion_of_one_ranking_keeps_its_order() -> None:
    assert reciprocal_rank(arrays([[7, 3, 9]]), [1.0])[0].tolist() == [7, 3, 9]
    assert reciprocal_rank([], [])[0].tolist() == []


def test_what_two_rankings_agree_on_goes_before_what_one_prefers() -> None:
    ids, _ = reciprocal_rank(arrays([[1, 2, 3], [4, 2, 5]]), [1.0, 1.0])
    assert ids.tolist() == [2, 1, 4, 3, 5]


def test_fusion_refuses_what_makes_no_sense() -> None:
    with pytest.raises(ValueError, match="1 rankings have 2 weights"):
        reciprocal_rank(arrays([[1]]), [1.0, 1.0])
    for weights, k in (([-1.0], 60.0), ([1.0], 0.0)):
        with pytest.raises(ValueError, match="k must be above 0"):
            reciprocal_rank(arrays([[1]]), weights, k)


# --- folding


def folded_naively(vectors: FloatMatrix, threshold: float) -> list[list[int]]:
    groups: list[list[int]] = []
    for i in range(len(vectors)):
        home = [g for g in groups if float(vectors[g[0]] @ vectors[i]) >= threshold]
        if home:
            home[0].append(i)
        else:
            groups.append([i])
    return groups


@settings(deadline=None)
@given(
    seed=st.integers(0, 10_000),
    count=st.sampled_from([0, 1, 2, 17, 255, 256, 257, 600]),
    threshold=st.sampled_from([-1.0, 0.3, 0.9, 0.99, 1.5]),
)
def test_each_row_folds_into_the_first_it_resembles(
    seed: int, count: int, threshold: float
) -> None:
    vectors = unit(seed, count)
    near = np.abs(vectors @ vectors.T - threshold) < 1e-5
    if near.any():  # the order of the sums decides
        vectors = np.round(vectors)  # cosines of -3 to 3, none at a threshold but 1
    assert fold(vectors, threshold) == folded_naively(vectors, threshold)


def test_a_chain_of_small_steps_is_not_gathered() -> None:
    angles = np.linspace(0, np.pi / 2, 10)
    chain = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    groups = fold(chain, float(np.cos(angles[1] + 0.01)))  # each like its neighbours only
    assert [len(group) for group in groups] == [2, 2, 2, 2, 2]


def test_nothing_folds_above_one() -> None:
    vectors = np.ones((5, 1), dtype=np.float32)
    assert fold(vectors, 1.01) == [[0], [1], [2], [3], [4]]
    assert fold(vectors, 1.0) == [[0, 1, 2, 3, 4]]


def test_different_photos_stay_apart_and_copies_fold(data_dir: Callable[[str], Path]) -> None:
    photos = sorted(data_dir("dedup_imagededup/base_images").glob("*.jpg"))
    encoder = towers.open_image_encoder(towers.resolve_card("builtin"))
    spec = encoder.card.spec
    assert spec is not None
    limits = Limits(max_pixels=100_000_000, frames=1)
    pixels = [decode(p.read_bytes(), [spec], limits).frames[0].pixels[0] for p in photos]
    brighter = [np.minimum(p.astype(np.int16) + 4, 255).astype(np.uint8) for p in pixels]
    vectors = encoder.encode([*pixels, *brighter])
    n = len(photos)
    assert n == 10
    assert fold(vectors, near_identical("builtin")) == [[i, i + n] for i in range(n)]


def test_every_family_has_a_threshold() -> None:
    assert 0.9 < near_identical("builtin") < near_identical("dinov2") < 1


# --- diversity


def diversified_naively(
    scores: np.ndarray, vectors: FloatMatrix, weight: float, top: int
) -> list[int]:
    chosen: list[int] = []
    while len(chosen) < min(top, len(scores)):
        values = {}
        for i in range(len(scores)):
            if i not in chosen:
                nearest = max((float(vectors[i] @ vectors[j]) for j in chosen), default=0.0)
                values[i] = (1 - weight) * float(scores[i]) - weight * nearest
        best = max(values.values())
        chosen.append(min(i for i in values if values[i] > best - 1e-6))
    return chosen


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    count=st.integers(0, 14),
    weight=st.sampled_from([0.0, 0.25, 0.5, 1.0]),
    top=st.integers(0, 16),
)
def test_diversity_takes_the_best_marginal_value(
    seed: int, count: int, weight: float, top: int
) -> None:
    vectors = unit(seed, count)
    scores = np.random.default_rng(seed).random(count).astype(np.float32)
    expected = diversified_naively(scores, vectors, weight, top)
    found = diversify(scores, vectors, weight, top)
    assert len(set(found)) == len(found) == min(top, count)
    if weight == 0.0:
        assert found == np.argsort(-scores, kind="stable")[:top].tolist()
    similar = [i for i, (a, b) in enumerate(zip(found, expected, strict=True)) if a != b]
    if similar:  # the two sums may round apart where two rows are equally good
        a, b = found[similar[0]], expected[similar[0]]
        assert np.allclose(vectors[a], vectors[b], atol=1e-5) or weight == 1.0


def test_diversity_brings_another_picture_forward() -> None:
    vectors = np.array([[1, 0], [1, 0], [0, 1]], dtype=np.float32)
    scores = np.array([0.9, 0.8, 0.7], dtype=np.float32)
    assert diversify(scores, vectors, 0.0, 3) == [0, 1, 2]
    assert diversify(scores, vectors, 0.5, 3) == [0, 2, 1]


def test_diversity_refuses_what_makes_no_sense() -> None:
    vectors = unit(1, 3)
    with pytest.raises(ValueError, match="0 to 1"):
        diversify(np.zeros(3, np.float32), vectors, 1.5, 2)
    with pytest.raises(ValueError, match="2 scores have 3 vectors"):
        diversify(np.zeros(2, np.float32), vectors, 0.5, 2)


@pytest.mark.slow
def test_a_few_thousand_candidates_take_no_time() -> None:
    vectors = unit(3, 4000, 512)
    scores = np.linspace(1, 0, 4000, dtype=np.float32)
    started = time.process_time()  # not of the wall: other tests run at the same time
    reciprocal_rank([np.arange(4000), np.arange(4000)[::-1]], [1.0, 1.0])
    fold(vectors, 0.96)
    diversify(scores, vectors, 0.5, 50)
    assert time.process_time() - started < 8  # 0.7 s
