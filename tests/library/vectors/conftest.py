from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pictor.library.vectors.base import Neighbours


@pytest.fixture(scope="session")
def same_neighbours() -> Callable[..., None]:
    """Two answers agree: equal scores at every rank, and equal ids but for ties within `tol`."""

    def check(found: Neighbours, truth: Neighbours, tol: float = 1e-3) -> None:
        assert found.scores.dtype == np.float32 and found.ids.dtype == np.int64
        assert found.scores.shape == truth.scores.shape
        real = truth.ids >= 0
        assert ((found.ids >= 0) == real).all()
        np.testing.assert_allclose(found.scores[real], truth.scores[real], rtol=0, atol=tol)
        assert np.isneginf(found.scores[~real]).all()
        for row in range(len(truth.ids)):
            held = found.ids[row][real[row]].tolist()
            assert len(set(held)) == len(held)
            if held:
                clear = real[row] & (truth.scores[row] > truth.scores[row][real[row]][-1] + tol)
                assert set(truth.ids[row][clear].tolist()) <= set(held)
            pairs = list(zip((-found.scores[row][real[row]]).tolist(), held, strict=True))
            assert pairs == sorted(pairs), "descending scores, ties in ascending id"

    return check


@pytest.fixture(scope="session")
def brute_force() -> Callable[..., Neighbours]:
    """The k nearest by float64 products of the float16 rows: independent of the code under test."""

    def nearest(
        ids: NDArray[np.int64],
        vectors: NDArray[np.float16],
        queries: NDArray[np.float32],
        k: int,
        allowed: NDArray[np.int64] | None = None,
    ) -> Neighbours:
        if allowed is not None:
            keep = np.isin(ids, allowed)
            ids, vectors = ids[keep], vectors[keep]
        products = queries.astype(np.float64) @ vectors.astype(np.float64).T
        scores = np.full((len(queries), k), -np.inf, np.float32)
        found = np.full((len(queries), k), -1, np.int64)
        for row, values in enumerate(products):
            best = np.lexsort((ids, -values))[:k]
            scores[row, : len(best)], found[row, : len(best)] = values[best], ids[best]
        return Neighbours(scores, found)

    return nearest


@pytest.fixture(scope="session")
def clip_vectors() -> tuple[NDArray[np.float16], NDArray[np.float32]]:
    """(983, 512) real image vectors and (1203, 512) real text queries."""
    shared = Path(__file__).parents[4] / "shared" / "data"
    folder = Path(os.environ.get("PICTOR_TEST_DATA", shared)) / "clip_vitb32_vectors"
    if not folder.is_dir():
        pytest.skip(f"no real CLIP vectors at {folder}; set PICTOR_TEST_DATA")
    images = np.load(folder / "flickr8k_image_emb.npy")
    return images, np.load(folder / "lvis1203_text_emb.npy").astype(np.float32)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    import faiss

    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)  # spinning threads crawl on a busy machine
    yield
    assert faiss.omp_get_max_threads() == 1, "an index changed the number of threads"
    faiss.omp_set_num_threads(before)
