"""Any order of adding, removing, searching, saving and opening agrees with a dict."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from saved_index import save

from pictor.library.vectors.exact import ExactIndex
from pictor.library.vectors.faiss_index import FaissIndex
from pictor.library.vectors.layers import VectorIndex

D = 6
N = 300
numbers = st.lists(st.integers(0, N), unique=True, max_size=30)
filters = numbers | st.integers(2, 9).map(lambda step: list(range(0, N, step)))


class AgreesWithDict(RuleBasedStateMachine):
    """The index under test beside `held`, the truth."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.saves = 0
        self.held: dict[int, Any] = {}
        self.index: VectorIndex = ExactIndex(D)

    @initialize(kind=st.sampled_from(["exact", "ivf"]), seed=st.integers(0, 9))
    def start(self, kind: str, seed: int) -> None:
        rng = np.random.default_rng(seed)
        ids = rng.choice(N, 250, replace=False).astype(np.int64)
        vectors = self.vectors(250, seed)
        rows = iter([(ids[:99], vectors[:99]), (ids[99:], vectors[99:])])
        where = self.folder / "first"
        if kind == "exact":
            self.index = ExactIndex.build(where, rows, 250, D)
        else:
            self.index = FaissIndex.build(where, rows, 250, D)
        self.held = dict(zip(ids.tolist(), vectors, strict=True))

    @staticmethod
    def vectors(n: int, seed: int) -> Any:
        """Few distinct directions, so that ties are common."""
        rng = np.random.default_rng(seed)
        rows = rng.integers(-1, 2, (n, D)) + 0.01
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)

    @rule(ids=numbers, seed=st.integers(0, 99))
    def add(self, ids: list[int], seed: int) -> None:
        vectors = self.vectors(len(ids), seed)
        self.index.add(np.array(ids, np.int64), vectors)
        self.held.update(zip(ids, vectors, strict=True))

    @rule(ids=numbers)
    def remove(self, ids: list[int]) -> None:
        known = [number for number in ids if self.held.pop(number, None) is not None]
        assert self.index.remove(np.array(ids, np.int64)) == len(known)

    @rule()
    def save_and_open(self) -> None:
        self.saves += 1
        where = self.folder / str(self.saves)
        save(self.index, where)
        self.index.close()
        self.index = type(self.index).open(where)  # type: ignore[attr-defined]  # both have it

    @rule(
        k=st.sampled_from([1, 2, 5, 10, 50, 400]),
        allowed=st.none() | filters,
        seed=st.integers(0, 99),
    )
    def search(self, k: int, allowed: list[int] | None, seed: int) -> None:
        queries = self.vectors(2, seed).astype(np.float32)
        wanted = None if allowed is None else np.array(allowed, np.int64)
        found = self.index.search(queries, k, wanted)
        candidates = sorted(self.held if allowed is None else self.held.keys() & set(allowed))
        for q in range(2):
            truth = {i: float(np.vecdot(self.held[i].astype("f4"), queries[q])) for i in candidates}
            ranked = sorted(candidates, key=lambda i: (-truth[i], i))[:k]
            got = [int(i) for i in found.ids[q] if i >= 0]
            assert len(got) == len(ranked)
            scores = found.scores[q][: len(got)].tolist()
            if self.index.index_type == "exact":
                assert got == ranked
            if not self.index.index_type.startswith("ivf"):
                np.testing.assert_allclose(scores, [truth[i] for i in ranked], atol=1e-5)
            np.testing.assert_allclose(scores, [truth[i] for i in got], atol=1e-5)

    @invariant()
    def counts_agree(self) -> None:
        assert len(self.index) == len(self.held)

    def teardown(self) -> None:
        self.index.close()
        shutil.rmtree(self.folder)


AgreesWithDict.TestCase.settings = settings(
    max_examples=25,
    stateful_step_count=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)


class TestAnyOrderOfChanges(AgreesWithDict.TestCase):  # type: ignore[misc]  # untyped by hypothesis
    @pytest.fixture(autouse=True)
    def no_short_cut(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Filters that leave few rows go through the selector of faiss too."""
        monkeypatch.setattr("pictor.library.vectors.faiss_index.EXACT_ROWS", 0)
        monkeypatch.setattr("pictor.library.vectors.faiss_index._EXACT_SHARE", 1000)
