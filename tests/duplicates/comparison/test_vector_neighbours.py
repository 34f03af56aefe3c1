"""Nearest vectors of many rows against brute force."""

from __future__ import annotations

import numpy as np
import pytest

from pictor.duplicates.candidates import vector_neighbours as module
from pictor.duplicates.candidates.vector_neighbours import LEAST_SCORE, nearest
from pictor.library.records import HalfMatrix, IdArray


def clustered(seed: int, count: int, dimension: int = 12, groups: int = 60) -> HalfMatrix:
    """Unit rows around some directions, so that each has neighbours."""
    rng = np.random.default_rng(seed)
    middles = rng.standard_normal((groups, dimension))
    rows = middles[rng.integers(groups, size=count)] + 0.4 * rng.standard_normal((count, dimension))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float16)


def scores_by_force(vectors: HalfMatrix, asking: IdArray, k: int) -> np.ndarray:
    wide = vectors.astype(np.float32)
    scores = wide[asking] @ wide.T
    scores[np.arange(len(asking)), asking] = -np.inf
    best = -np.sort(-scores, axis=1)[:, :k]
    best[best <= LEAST_SCORE] = -np.inf
    return best


@pytest.mark.parametrize("count", [1, 5, 300, pytest.param(9000, marks=pytest.mark.slow)])
def test_every_row_against_every_row_is_exact(count: int) -> None:
    vectors = clustered(count, count)
    found = nearest(vectors, np.arange(count), 4)
    wanted = scores_by_force(vectors, np.arange(count), 4)
    assert found.recall == 1.0
    np.testing.assert_allclose(found.scores[:, : wanted.shape[1]], wanted, atol=1e-5)
    assert ((found.rows < 0) == np.isneginf(found.scores)).all()
    assert (found.rows != np.arange(count)[:, None]).all()
    for row in range(min(count, 50)):
        there = [one for one in found.rows[row].tolist() if one >= 0]
        assert len(set(there)) == len(there)


@pytest.mark.parametrize("count", [300, 9000])
def test_a_few_rows_against_every_row_are_exact(count: int) -> None:
    vectors = clustered(7, count)
    asking = np.arange(3, count, 11)
    found = nearest(vectors, asking, 4)
    np.testing.assert_allclose(found.scores, scores_by_force(vectors, asking, 4), atol=1e-5)
    assert (found.rows != asking[:, None]).all()


@pytest.mark.parametrize("step", [1, 3])
def test_cells_find_nearly_all_and_say_how_many(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EXACT_WORK", 0)
    monkeypatch.setattr(module, "PROBES", 6)
    vectors = clustered(1, 6000)
    asking = np.arange(0, 6000, step)
    found = nearest(vectors, asking, 4)
    wanted = scores_by_force(vectors, asking, 4)
    there = wanted > -np.inf
    share = float((found.scores[there] >= wanted[there] - 1e-5).mean())
    assert 0.8 < found.recall <= 1.0
    assert abs(share - found.recall) < 0.05
    assert (found.rows != asking[:, None]).all()


def test_rows_of_zeros_have_no_neighbours() -> None:
    vectors = clustered(2, 40)
    vectors[::4] = 0
    found = nearest(vectors, np.arange(40), 4)
    assert (found.rows[::4] == -1).all()
    assert not np.isin(found.rows, np.arange(0, 40, 4)).any()
