"""Ranks and figures: values worked out by hand, and a naive oracle."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pictor.evaluation import metrics
from pictor.evaluation.ranks import NOT_FOUND, Pairs, exact_ranks, index_ranks, ranks_of
from pictor.library.vectors.exact import ExactIndex


def pairs_of(*pairs: tuple[int, int]) -> Pairs:
    queries, targets = zip(*sorted(pairs), strict=True)
    return Pairs(np.array(queries), np.array(targets))


def axes(*numbers: int, d: int = 4) -> np.ndarray:
    return np.eye(d, dtype=np.float32)[list(numbers)]


# --- ranks


def test_rank_counts_wrong_answers_with_a_higher_score() -> None:
    scores = np.array([[0.9, 0.5, 0.7], [0.1, 0.5, 0.7]], np.float32)
    assert ranks_of(scores, np.array([0, 1]), np.array([1, 2])).tolist() == [3, 1]


def test_best_of_several_right_answers_counts_and_the_others_do_not_stand_before_it() -> None:
    scores = np.array([[0.9, 0.8, 0.7, 0.6]], np.float32)
    assert ranks_of(scores, np.array([0, 0]), np.array([1, 2])).tolist() == [2]


def test_ties_count_against_the_model() -> None:
    same = np.full((1, 5), 0.25, np.float32)
    assert ranks_of(same, np.array([0]), np.array([2])).tolist() == [5]


def test_scores_that_differ_by_rounding_are_a_tie() -> None:
    scores = np.array([[0.5, 0.5 - 2e-7]], np.float32)
    assert ranks_of(scores, np.array([0]), np.array([0])).tolist() == [2]


def test_a_model_that_gives_one_vector_to_all_is_worst_not_best() -> None:
    vectors = axes(0, 0, 0, 0)
    assert exact_ranks(vectors, vectors, pairs_of(*((i, i) for i in range(4)))).tolist() == [4] * 4


def test_turned_pairs_are_sorted_by_their_new_queries() -> None:
    turned = pairs_of((0, 2), (1, 0), (2, 2), (3, 1)).turned()
    assert turned.queries.tolist() == [0, 1, 2, 2]
    assert turned.targets.tolist() == [1, 3, 0, 2]


def naive(queries: np.ndarray, targets: np.ndarray, right: list[set[int]]) -> list[int]:
    found = []
    for query, wanted in zip(queries, right, strict=True):
        scores = [float(np.float32(query @ target)) for target in targets]
        best = max(scores[i] for i in wanted)
        wrong = [s for i, s in enumerate(scores) if i not in wanted]
        found.append(1 + sum(s >= best - 1e-6 for s in wrong))
    return found


@st.composite
def problems(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, list[set[int]]]:
    """Queries and targets with small integer parts, so that scores are exact and often tie."""
    n, q = draw(st.integers(1, 12)), draw(st.integers(1, 8))
    part = st.lists(st.integers(-2, 2), min_size=3, max_size=3)
    targets = np.array(draw(st.lists(part, min_size=n, max_size=n)), np.float32)
    queries = np.array(draw(st.lists(part, min_size=q, max_size=q)), np.float32)
    right = st.sets(st.integers(0, n - 1), min_size=1, max_size=3)
    return queries, targets, draw(st.lists(right, min_size=q, max_size=q))


@settings(max_examples=150, deadline=None)
@given(problems(), st.integers(1, 40))
def test_exact_ranks_equal_a_naive_count(
    problem: tuple[np.ndarray, np.ndarray, list[set[int]]], cells: int
) -> None:
    queries, targets, right = problem
    pairs = pairs_of(*((i, t) for i, wanted in enumerate(right) for t in wanted))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pictor.evaluation.ranks._CELLS", cells)  # several blocks
        assert exact_ranks(queries, targets, pairs).tolist() == naive(queries, targets, right)


@settings(max_examples=100, deadline=None)
@given(problems(), st.integers(0, 6), st.integers(0, 1000))
def test_an_exact_index_gives_exact_ranks_also_among_other_vectors(
    problem: tuple[np.ndarray, np.ndarray, list[set[int]]], others: int, seed: int
) -> None:
    queries, targets, right = problem
    pairs = pairs_of(*((i, t) for i, wanted in enumerate(right) for t in wanted))
    rng = np.random.default_rng(seed)
    ids = np.sort(rng.choice(100, len(targets) + others, replace=False))
    ours = np.sort(rng.choice(ids, len(targets), replace=False))
    index = ExactIndex(3)
    index.add(ours, targets.astype(np.float16))
    strange = np.setdiff1d(ids, ours)
    if len(strange):
        index.add(strange, np.full((len(strange), 3), 2, np.float16))  # nearest to many queries
    found = index_ranks(index, ours, queries, pairs, depth=len(targets))
    assert found.tolist() == naive(queries, targets, right)


def test_what_an_index_does_not_return_is_not_found() -> None:
    targets = axes(0, 1, 2, 3)
    index = ExactIndex(4)
    index.add(np.arange(4), targets.astype(np.float16))
    query = np.array([[0.9, 0.5, 0.3, 0.1]], np.float32)
    assert index_ranks(index, np.arange(4), query, pairs_of((0, 1)), depth=2).tolist() == [2]
    assert index_ranks(index, np.arange(4), query, pairs_of((0, 3)), depth=2).tolist() == [
        NOT_FOUND
    ]


# --- figures


def test_recalls_mean_and_median_by_hand() -> None:
    ranks = np.array([1, 1, 3, 5, 6, 10, 11, 20])
    found = metrics.recalls(ranks, np.arange(8))
    assert (found.r1, found.r5, found.r10) == (25.0, 50.0, 75.0)
    assert found.mean_recall == 50.0
    assert found.median_rank == 5.5
    assert set(found.ci95) == {"r1", "r5", "r10", "mean_recall", "median_rank"}


def test_median_beyond_what_an_index_returns_is_unknown() -> None:
    found = metrics.recalls(np.array([1, NOT_FOUND, NOT_FOUND]), np.arange(3))
    assert found.median_rank is None
    assert found.r10 == pytest.approx(100 / 3)
    assert found.ci95["median_rank"][1] is None


def test_accuracies_by_hand() -> None:
    found = metrics.accuracies(np.array([1, 1, 2, 6]))
    assert (found.top1, found.top5) == (50.0, 75.0)


def test_intervals_hold_the_figure_and_are_the_same_again() -> None:
    ranks = np.random.default_rng(3).integers(1, 30, 200)
    one, two = (metrics.recalls(ranks, np.arange(200)) for _ in range(2))
    assert one == two
    for name in ("r1", "r5", "r10", "mean_recall", "median_rank"):
        low, high = one.ci95[name]
        assert low is not None and high is not None
        assert low <= getattr(one, name) <= high


def test_interval_of_a_share_is_as_wide_as_statistics_say() -> None:
    ranks = np.where(np.arange(400) < 200, 1, 99)  # one half right
    low, high = metrics.recalls(ranks, np.arange(400)).ci95["r1"]
    assert low is not None and high is not None
    assert high - low == pytest.approx(2 * 1.96 * 100 * 0.5 / 400**0.5, rel=0.1)


def test_photos_are_resampled_and_not_captions() -> None:
    """Five captions of a photo that rise and fall together carry no more than one."""
    single = np.where(np.arange(100) % 2, 1, 99)
    fivefold = np.repeat(single, 5)
    alone = metrics.recalls(single, np.arange(100))
    together = metrics.recalls(fivefold, np.repeat(np.arange(100), 5))
    assert together.ci95 == alone.ci95
    as_if_apart = metrics.recalls(fivefold, np.arange(500))
    width = [high - low for low, high in (alone.ci95["r1"], as_if_apart.ci95["r1"])]
    assert width[1] < 0.6 * width[0]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=9),
    st.lists(st.integers(0, 3), min_size=9, max_size=9),
)
def test_weighted_median_equals_that_of_repeated_ranks(ranks: list[int], times: list[int]) -> None:
    times = times[: len(ranks)]
    if not sum(times):
        return
    ordered = np.sort(np.array(ranks))
    expected = np.median(np.repeat(ordered, times))
    assert metrics._median(ordered, np.array(times, np.uint16)) == expected


def test_figures_equal_those_of_the_training_code() -> None:
    evaluate = pytest.importorskip("training.evaluate")
    rng = np.random.default_rng(5)
    photo = np.repeat(np.arange(60), 5)
    ranks = rng.integers(1, 40, 300)
    theirs = evaluate.bootstrap(ranks - 1, photo)
    ours = metrics.recalls(ranks, photo)
    assert [ours.r1, ours.r5, ours.r10] == pytest.approx(theirs.recall)
    for name, low, high in zip(("r1", "r5", "r10"), theirs.low, theirs.high, strict=True):
        assert ours.ci95[name] == pytest.approx((low, high), abs=1.5)
