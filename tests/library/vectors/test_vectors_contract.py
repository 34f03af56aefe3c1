"""One body of facts for every index: new, opened from disk, changed after opening."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from saved_index import save

from pictor.library.vectors.exact import ExactIndex
from pictor.library.vectors.faiss_index import FaissIndex
from pictor.library.vectors.layers import VectorIndex

D = 24
Ids = NDArray[np.int64]
Halves = NDArray[np.float16]
Make = Callable[[Ids, Halves], VectorIndex]


def unit(rows: NDArray[Any]) -> NDArray[np.float32]:
    rows = np.asarray(rows, np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def random_rows(n: int, seed: int = 0, d: int = D) -> tuple[Ids, Halves]:
    rng = np.random.default_rng(seed)
    ids = rng.choice(10 * n + 10, n, replace=False).astype(np.int64)
    return ids, unit(rng.standard_normal((n, d)) + 1e-3).astype(np.float16)


def clustered_rows(n: int, seed: int = 0, d: int = D) -> tuple[Ids, Halves]:
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((20, d))
    rows = centres[rng.integers(0, 20, n)] + 0.2 * rng.standard_normal((n, d))
    return np.arange(n, dtype=np.int64), unit(rows).astype(np.float16)


def blocks(ids: Ids, vectors: Halves, size: int = 700) -> Iterator[tuple[Ids, Halves]]:
    for start in range(0, len(ids), size):
        yield ids[start : start + size], vectors[start : start + size]


VARIANTS = [
    "exact-new",
    "exact-opened",
    "faiss-new",
    "faiss-ivf",
    "exact-changed",
    "faiss-ivf-changed",
    "exact-resaved",
    "faiss-ivf-resaved",
]


def make_variant(name: str, folder: Path, ids: Ids, vectors: Halves) -> VectorIndex:
    """An index of these rows, reached by the way the name says."""
    family, _, rest = name.partition("-")
    cls: Any = ExactIndex if family == "exact" else FaissIndex
    d = vectors.shape[1]
    if rest == "new":
        index: VectorIndex = cls(d)
        index.add(ids, vectors)
        return index
    half = len(ids) // 2
    if rest.endswith(("changed", "resaved")):
        # The first half is stored under wrong vectors and beside strangers, then put right.
        strange = np.arange(7, dtype=np.int64) + 1_000_000
        old_ids = np.concatenate([strange, ids[:half]])
        old = np.concatenate([vectors[: half + 7][::-1], vectors[:7]])[: len(old_ids)]
        old = np.resize(old, (len(old_ids), d)) if len(old) else np.zeros((7, d), np.float16)
        index = cls.build(folder / "old", blocks(old_ids, old), len(old_ids), d)
        assert index.remove(np.concatenate([strange, strange + 50])) == 7
        index.add(ids[half:], vectors[half:])
        index.add(ids[:half], vectors[:half])
    else:
        index = cls.build(folder / "new", blocks(ids, vectors), len(ids), d)
    if rest.endswith("resaved"):
        save(index, folder / "resaved")
        index.close()
        index = cls.open(folder / "resaved")
    return index


@pytest.fixture(params=VARIANTS)
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    made: list[VectorIndex] = []

    def build(ids: Ids, vectors: Halves) -> VectorIndex:
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(make_variant(request.param, folder, ids, vectors))
        return made[-1]

    yield build
    for index in made:
        index.close()


@pytest.fixture
def no_short_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Filters that leave few rows go through the selector of faiss too."""
    monkeypatch.setattr("pictor.library.vectors.faiss_index.EXACT_ROWS", 0)
    monkeypatch.setattr("pictor.library.vectors.faiss_index._EXACT_SHARE", 1000)


@pytest.mark.parametrize("rows", [random_rows, clustered_rows])
def test_agrees_with_brute_force(
    make: Make, rows: Any, brute_force: Any, same_neighbours: Any, no_short_cut: None
) -> None:
    ids, vectors = rows(3000)
    queries = np.concatenate([unit(rows(40, seed=9)[1]), vectors[:20].astype(np.float32)])
    index = make(ids, vectors)
    assert (len(index), index.dimension) == (3000, D)
    found = index.search(queries, 10)
    truth = brute_force(ids, vectors, queries, 10)
    if not index.index_type.startswith("ivf"):
        same_neighbours(found, truth)
        return
    pairs = zip(found.ids, truth.ids, strict=True)
    assert np.mean([len(set(a) & set(b)) / 10 for a, b in pairs]) >= 0.9
    # Every list looked into, as under a filter, nothing is lost.
    same_neighbours(index.search(queries, 10, ids), truth)


def test_agrees_on_real_clip_vectors(
    make: Make, clip_vectors: Any, brute_force: Any, same_neighbours: Any, no_short_cut: None
) -> None:
    images, texts = clip_vectors
    ids = np.arange(len(images), dtype=np.int64) * 5
    index = make(ids, images)
    truth = brute_force(ids, images, texts[::10], 10)
    same_neighbours(index.search(texts[::10], 10, ids), truth)
    if not index.index_type.startswith("ivf"):
        same_neighbours(index.search(texts[::10], 10), truth)


def test_a_filter_is_exact(
    make: Make, brute_force: Any, same_neighbours: Any, no_short_cut: None
) -> None:
    ids, vectors = random_rows(4000)
    queries = unit(random_rows(8, seed=3)[1])
    index = make(ids, vectors)
    for share in (0.0001, 0.001, 0.01, 0.1, 0.5, 0.9, 1.0):
        allowed = np.random.default_rng(4).choice(ids, max(1, int(share * 4000)), replace=False)
        for k in (1, 10, 200):
            found = index.search(queries, k, np.append(allowed, [-5, 10**9, allowed[0]]))
            same_neighbours(found, brute_force(ids, vectors, queries, k, allowed))
        everything = index.search(queries[:1], len(allowed) + 3, allowed)
        assert set(everything.ids[0][:-3]) == set(allowed)
        assert (everything.ids[0][-3:] == -1).all()


def test_scores_equal_those_of_the_float16_rows(make: Make) -> None:
    ids, vectors = random_rows(500)
    queries = unit(random_rows(5, seed=2)[1])
    found = make(ids, vectors).search(queries, 10)
    row = {int(number): at for at, number in enumerate(ids)}
    for q, (scores, numbers) in enumerate(zip(*found, strict=True)):
        rows = vectors[[row[int(number)] for number in numbers]].astype(np.float64)
        np.testing.assert_allclose(scores, rows @ queries[q].astype(np.float64), atol=1e-6)


def test_equal_vectors_come_in_ascending_id(make: Make) -> None:
    ids, vectors = random_rows(2100)
    vectors[::3] = vectors[0]
    twins = np.sort(ids[::3])
    index = make(ids, vectors)
    found = index.search(vectors[:1].astype(np.float32), len(twins))
    assert len(np.unique(found.scores)) == 1
    np.testing.assert_array_equal(found.ids[0], twins)


def test_short_answers_are_padded(make: Make) -> None:
    ids, vectors = random_rows(20)
    index = make(ids, vectors)
    found = index.search(unit(vectors[:2]), 30)
    assert set(found.ids[0][:20]) == set(ids)
    assert (found.ids[:, 20:] == -1).all() and np.isneginf(found.scores[:, 20:]).all()
    nothing = index.search(unit(vectors[:2]), 3, np.empty(0, np.int64))
    assert (nothing.ids == -1).all() and nothing.ids.shape == (2, 3)


def test_an_empty_index_answers_padding(make: Make, tmp_path: Path) -> None:
    ids, vectors = random_rows(0)
    index = make(ids, vectors)
    assert len(index) == 0
    found = index.search(np.ones((2, D), np.float32) / D**0.5, 4)
    assert (found.ids == -1).all() and found.ids.shape == (2, 4)
    save(index, tmp_path / "saved")
    index.add(*random_rows(3))
    assert len(index) == 3


def test_no_queries_give_no_answers(make: Make) -> None:
    found = make(*random_rows(900)).search(np.empty((0, D), np.float32), 4)
    assert found.ids.shape == found.scores.shape == (0, 4)


def test_add_replaces_and_remove_forgets(make: Make) -> None:
    ids, vectors = random_rows(300)
    index = make(ids, vectors)
    first, second = ids[:1], ids[1:2]
    index.add(first, vectors[5:6])
    assert len(index) == 300
    found = index.search(vectors[5:6].astype(np.float32), 2)
    assert set(found.ids[0]) == {ids[0], ids[5]}
    assert index.remove(np.concatenate([first, second, first, [10**12]])) == 2
    assert index.remove(first) == 0
    assert len(index) == 298
    assert not np.isin(index.search(unit(vectors[:2]), 298).ids, ids[:2]).any()
    index.add(second, vectors[1:2])
    assert index.search(vectors[1:2].astype(np.float32), 1).ids[0, 0] == second[0]
    assert len(index) == 299


def test_saved_and_opened_it_answers_the_same(make: Make, tmp_path: Path) -> None:
    ids, vectors = random_rows(400)
    index = make(ids, vectors)
    index.remove(ids[:50])
    index.add(ids[:10], vectors[10:20])
    before = index.search(unit(vectors[:9]), 400)
    save(index, tmp_path / "saved")
    with pytest.raises(FileExistsError):
        save(index, tmp_path / "saved")
    again = type(index).open(tmp_path / "saved")  # type: ignore[attr-defined]  # both have it
    after = again.search(unit(vectors[:9]), 400)
    np.testing.assert_array_equal(before.ids, after.ids)
    np.testing.assert_array_equal(before.scores, after.scores)
    again.close()


@pytest.mark.parametrize(
    ("ids", "vectors", "message"),
    [
        ([1, 2], np.zeros((3, D)), "float16"),
        ([1], np.zeros((1, D + 1)), "float16"),
        ([1, 1], np.zeros((2, D)), "twice"),
        ([-1], np.zeros((1, D)), "negative"),
        ([1], np.full((1, D), np.nan), "id 1 holds a value that is not finite"),
        ([1], np.full((1, D), np.inf), "finite"),
    ],
)
def test_unsound_rows_are_refused_and_change_nothing(
    make: Make, ids: list[int], vectors: NDArray[Any], message: str
) -> None:
    index = make(*random_rows(30))
    with pytest.raises(ValueError, match=message):
        index.add(np.array(ids, np.int64), vectors.astype(np.float16))
    assert len(index) == 30


def test_unsound_queries_are_refused(make: Make) -> None:
    index = make(*random_rows(30))
    good = np.ones((1, D), np.float32)
    with pytest.raises(ValueError, match="k must be at least 1"):
        index.search(good, 0)
    for bad in (good[0], good[:, 1:]):
        with pytest.raises(ValueError, match="queries must be"):
            index.search(bad, 1)
    with pytest.raises(ValueError, match="not finite"):
        index.search(good * np.float32(np.nan), 1)


def test_a_closed_index_lets_go_of_its_files(make: Make, tmp_path: Path) -> None:
    index = make(*random_rows(2000))
    index.search(np.ones((1, D), np.float32), 3)
    index.close()
    index.close()
    assert str(tmp_path) not in Path("/proc/self/maps").read_text()
    with pytest.raises(ValueError, match="closed"):
        index.search(np.ones((1, D), np.float32), 1)
    with pytest.raises(ValueError, match="closed"):
        index.remove(np.array([1], np.int64))


def test_large_k_finds_everything_there_is(make: Make) -> None:
    ids, vectors = clustered_rows(3000)
    index = make(ids, vectors)
    for k in (150, 400, 2999):
        assert (index.search(unit(vectors[:3]), k).ids >= 0).all()


def test_ivf_finds_k_where_the_lists_it_probes_hold_fewer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pictor.library.vectors.faiss_index.TARGET_RECALL", 0.0)
    ids, vectors = random_rows(3000)
    index = FaissIndex.build(tmp_path / "ivf", blocks(ids, vectors), 3000, D)
    assert (index.nprobe, index.index_type) == (1, "ivf110-pq4")
    assert (index.search(unit(vectors[:200]), 90).ids >= 0).all()
    index.close()


def test_exact_search_is_the_same_in_any_batch() -> None:
    ids, vectors = random_rows(5000, d=64)
    vectors[1000:3000] = vectors[1000]
    index = ExactIndex(64)
    index.add(ids, vectors)
    queries = unit(np.concatenate([vectors[990:1010], random_rows(2500, seed=5, d=64)[1]]))
    together = index.search(queries, 7)
    for row in (0, 3, 12, 17, 2300):
        alone = index.search(queries[row : row + 1], 7)
        np.testing.assert_array_equal(alone.ids[0], together.ids[row])
        np.testing.assert_array_equal(alone.scores[0], together.scores[row])


def test_exact_search_reads_every_float16(brute_force: Any, same_neighbours: Any) -> None:
    """Subnormal, negative and zero values are widened right."""
    values = np.arange(65536, dtype=np.uint16).view(np.float16)
    values = values[np.isfinite(values) & (np.abs(values) <= 1)]
    vectors = np.resize(values, (len(values) // 8, 8))
    ids = np.arange(len(vectors), dtype=np.int64)
    index = ExactIndex(8)
    index.add(ids, vectors)
    queries = np.eye(8, dtype=np.float32)
    same_neighbours(index.search(queries, 50), brute_force(ids, vectors, queries, 50), tol=1e-6)


def test_a_build_refuses_blocks_that_do_not_add_up(tmp_path: Path) -> None:
    ids, vectors = random_rows(100)
    for cls in (ExactIndex, FaissIndex):
        for name, total in (("few", 99), ("many", 101)):
            with pytest.raises(ValueError, match="announced"):
                cls.build(tmp_path / f"{cls.__name__}-{name}", blocks(ids, vectors), total, D)
        twice = iter([(ids, vectors), (ids, vectors)])
        with pytest.raises(ValueError, match="twice"):
            cls.build(tmp_path / f"{cls.__name__}-twice", twice, 200, D)


# --- copies


def test_a_copy_is_changed_apart(make: Make) -> None:
    """Also two copies of one, and a copy of a copy, though they share the rows they have."""
    ids, vectors = random_rows(300)
    more_ids, more = np.arange(5000, 5100, dtype=np.int64), random_rows(100, seed=5)[1]
    index = make(ids[:200], vectors[:200])
    index.add(ids[200:], vectors[200:])
    queries = unit(np.concatenate([vectors[:5], more[:5]]))
    before = index.search(queries, 20)
    first, second = index.copy(), index.copy()
    first.add(more_ids[:50], more[:50])
    second.add(more_ids[50:], more[50:])
    second.remove(ids[:10])
    third = second.copy()
    third.add(more_ids[50:], more[50:][::-1])
    for changed, kept, added in (
        (first, slice(0, 300), (more_ids[:50], more[:50])),
        (second, slice(10, 300), (more_ids[50:], more[50:])),
        (third, slice(10, 300), (more_ids[50:], more[50:][::-1])),
    ):
        oracle = ExactIndex(D)
        oracle.add(ids[kept], vectors[kept])
        oracle.add(*added)
        assert len(changed) == len(oracle)
        found, right = changed.search(queries, 400), oracle.search(queries, 400)
        assert np.array_equal(found.ids, right.ids)
        assert np.array_equal(found.scores, right.scores)
    after = index.search(queries, 20)
    assert np.array_equal(before.ids, after.ids)
    assert len(index) == 300


def test_rows_that_are_replaced_again_and_again_take_no_more_room() -> None:
    ids, vectors = random_rows(100)
    index = ExactIndex(D)
    for _ in range(50):
        index.add(ids, vectors)
    assert len(index) == 100
    assert len(index._layers[1]._buffer.ids) <= 600
