"""Sets of ids and quantiles agree with numpy's own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pictor.library.arrays import distinct, is_among, quantiles

IDS = arrays(np.int64, st.integers(0, 40), elements=st.integers(0, 60))
VALUES = arrays(np.float64, st.integers(1, 40), elements=st.floats(-1e6, 1e6))


@given(IDS)
def test_distinct_ids_are_numpys(ids: np.ndarray) -> None:
    assert distinct(ids).tolist() == np.unique(ids).tolist()


@given(IDS, IDS)
def test_membership_is_numpys(ids: np.ndarray, those: np.ndarray) -> None:
    assert is_among(ids, those).tolist() == np.isin(ids, those).tolist()


@given(VALUES, st.lists(st.floats(0, 1), max_size=4))
def test_quantiles_are_numpys(values: np.ndarray, shares: list[float]) -> None:
    if shares:
        assert quantiles(values, shares) == pytest.approx(np.quantile(values, shares), abs=1e-6)
