"""How many candidates faiss is asked for: codes order what lies close together wrongly."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pictor.library.vectors.exact import ExactIndex
from pictor.library.vectors.faiss_index import FaissIndex

D, COUNT, CLOSE, K = 16, 3000, 400, 40


def test_enough_candidates_are_settled_to_lose_next_to_none(tmp_path: Path) -> None:
    """All lists are probed. Without asking again, as the errors of the codes suggest, 0.944 of them
    are found."""
    rng = np.random.default_rng(3)
    rows = rng.standard_normal((COUNT, D))
    rows[:CLOSE] = rows[0] / np.linalg.norm(rows[0]) + 0.03 * rng.standard_normal((CLOSE, D))
    vectors = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)
    ids = np.arange(COUNT)
    index = FaissIndex.build(tmp_path / "ivf", [(ids, vectors)], COUNT, D)
    index.nprobe = index.far_nprobe = index._lists
    exact = ExactIndex(D)
    exact.add(ids, vectors)
    queries = vectors[:K].astype(np.float32)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    found, right = (one.search(queries, K).ids.tolist() for one in (index, exact))
    shares = [len({*a} & {*b}) / K for a, b in zip(found, right, strict=True)]
    assert np.mean(shares) >= 0.994
