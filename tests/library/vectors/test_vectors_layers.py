"""Layers of changes, the blocks of a scan, measured recall, and what FAISS is asked for."""

from __future__ import annotations

import importlib
import math
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pictor.library.vectors import exact, faiss_index, half_scan, layers, nearest, quantizer, recall
from pictor.library.vectors import scan as scan_module
from pictor.library.vectors.base import Neighbours
from pictor.library.vectors.exact import ExactIndex
from pictor.library.vectors.faiss_index import FaissIndex
from pictor.library.vectors.layers import AddedRows, StoredRows, _Buffer
from pictor.library.vectors.recall import Sample, measure_recall, recalls, sample_given
from pictor.library.vectors.scan import check_queries, merge, pair_scores, scan, top_k

D = 4


def vectors(count: int, seed: int = 1) -> Any:
    made = np.random.default_rng(seed).standard_normal((count, D))
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float16)


def ids_of(*numbers: int) -> Any:
    return np.array(numbers, np.int64)


# --- layers


@pytest.mark.parametrize("ids", [[2, 4, 6, 8], [8, 2, 6, 4]])
def test_stored_rows_are_found_by_id(ids: list[int]) -> None:
    held = vectors(4)
    rows = StoredRows(ids_of(*ids), held)
    for wanted in ([6], [2, 8], [1, 3, 9], [], [8, 1, 8]):
        found = rows.rows_of(ids_of(*wanted)).tolist()
        assert found == [ids.index(one) for one in wanted if one in ids]
    left = rows.without(ids_of(6, 6, 5))
    assert (left.dead, rows.dead) == (1, 0) and left.without(ids_of(6, 7)) is left
    assert left.without(ids_of(2)).dead == 2
    assert left.rows_of(ids_of(6, 2)).tolist() == [ids.index(2)]
    assert list(left.vectors_of(ids_of(6, 8, 1))) == [8]
    np.testing.assert_array_equal(left.vectors_of(ids_of(8))[8], held[ids.index(8)])
    assert rows.select(None) == (None, 4, False)
    every = left.select(None)
    assert every.size == 3 and not every.is_filtered and every.mask is not None
    assert every.mask.tolist() == [one != 6 for one in ids]
    some = left.select(ids_of(6, 8, 8, 9))
    assert some.size == 1 and some.is_filtered and some.mask is not None
    assert some.mask.tolist() == [one == 8 for one in ids]
    assert (left.changes, left.dead_rows.tolist()) == (1, [ids.index(6)])
    empty = StoredRows(ids_of(), vectors(0))
    assert not len(empty.rows_of(ids_of(1))) and empty.select(ids_of(1)).size == 0


def test_of_the_rows_of_one_id_only_the_last_may_be_live() -> None:
    rows = StoredRows(ids_of(5, 3, 9, 3, 5, 1), vectors(6), np.array([0, 1, 4]))
    assert (rows.dead, rows.changes, rows.dead_rows.tolist()) == (3, 0, [0, 1, 4])
    assert rows.rows_of(ids_of(1, 3, 5, 9, 2)).tolist() == [5, 3, 2]
    assert rows.select(None).size == 3 == rows.select(ids_of(1, 3, 5, 9)).size
    less = rows.without(ids_of(3, 5))
    assert (less.dead, less.changes, less.dead_rows.tolist()) == (4, 1, [0, 1, 3, 4])


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_wanted_ids_are_looked_up(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    tested: list[int] = []
    real = vars(layers)["is_among"]

    def is_among(*given: Any) -> Any:
        tested.append(1)
        return real(*given)

    monkeypatch.setattr(layers, "is_among", is_among)
    rows = StoredRows(np.arange(32, dtype=np.int64), vectors(32)).without(ids_of(1))
    selection = rows.select(np.arange(count, dtype=np.int64))
    assert selection.size == max(1, count - 1) and bool(tested) == (count * 16 >= 32)


def test_rows_in_memory_agree_with_a_dictionary() -> None:
    rng = np.random.default_rng(3)
    rows, known = AddedRows(D), dict[int, Any]()
    before = [(rows, dict(known))]
    for step in range(60):
        ids = rng.choice(40, rng.integers(0, 9), replace=False).astype(np.int64)
        if step % 3 == 2:
            rows = rows.without(ids)
            for one in ids.tolist():
                known.pop(one, None)
        else:
            new = vectors(len(ids), step)
            rows = rows.plus(ids, new)
            known |= dict(zip(ids.tolist(), new, strict=True))
        before.append((rows, dict(known)))
    for made, expected in before:  # a change leaves what was there before
        assert len(made) == len(expected) and set(made.ids.tolist()) == set(expected)
        found = made.vectors_of(np.arange(50, dtype=np.int64))
        assert {k: v.tolist() for k, v in found.items()} == {
            k: v.tolist() for k, v in expected.items()
        }
        assert made.vectors.shape == (len(expected), D)
    everything = np.arange(50, dtype=np.int64)
    allowed = ids_of(*list(known)[::2], 99)
    for chosen, wanted in ((None, everything), (allowed, allowed)):
        best = rows.nearest(vectors(2, 9).astype(np.float32), 60, chosen)
        expected_ids = set(known) & set(wanted.tolist())
        assert set(best.ids[0][best.ids[0] >= 0].tolist()) == expected_ids
    assert rows.without(ids_of()) is rows
    assert AddedRows(D).without(ids_of(1)).ids.tolist() == []
    edge = AddedRows(D).plus(ids_of(3, 7), vectors(2))
    assert edge.without(ids_of(2, 8)) is edge
    assert edge.without(ids_of(3)).ids.tolist() == [7]
    assert edge.without(ids_of(7)).ids.tolist() == [3]


def test_a_buffer_is_shared_while_it_grows_at_its_end() -> None:
    first = _Buffer(ids_of(), vectors(0)).plus(0, ids_of(1, 2), vectors(2))
    assert len(first.ids) == 64 == len(first.vectors) and first.used == 2
    second = first.plus(2, ids_of(3), vectors(1))
    assert second is first and first.used == 3
    apart = first.plus(2, ids_of(4), vectors(1))  # not at its end: row 2 is another one's
    assert apart is not first and apart.ids[:3].tolist() == [1, 2, 4]
    assert first.ids[:3].tolist() == [1, 2, 3]
    full = first.plus(3, np.arange(10, 71, dtype=np.int64), vectors(61))
    assert full is first and full.used == 64
    more = full.plus(64, ids_of(99), vectors(1))
    assert more is not full and len(more.ids) == 128 and more.ids[64] == 99
    many = more.plus(65, np.arange(1000, 1200, dtype=np.int64), vectors(200))
    assert len(many.ids) == 265 and many.ids[64:66].tolist() == [99, 1000]


def test_rows_that_are_mostly_masked_are_packed() -> None:
    rows = AddedRows(D).plus(np.arange(8, dtype=np.int64), vectors(8))
    half = rows.without(ids_of(0, 1, 2, 3))
    kept = half.plus(ids_of(9), vectors(1))
    assert len(kept._live) == 9 and len(kept) == 5
    packed = half.without(ids_of(4)).plus(ids_of(9), vectors(1))
    assert len(packed._live) == 4 == len(packed) and packed.ids.tolist() == [5, 6, 7, 9]


def test_an_index_counts_its_changes(tmp_path: Path) -> None:
    data = vectors(6)
    index = ExactIndex.build(tmp_path / "i", [(np.arange(6, dtype=np.int64), data)], 6, D)
    assert (len(index), index.changes) == (6, 0)
    index.add(ids_of(1, 9), data[:2])
    assert (len(index), index.changes) == (7, 3)
    other = index.copy()
    assert index.remove(ids_of(0, 9, 77)) == 2
    assert (len(index), index.changes, len(other), other.changes) == (5, 3, 7, 3)
    found = index.vectors_of(ids_of(0, 1, 2, 9))
    assert sorted(found) == [1, 2] and found[1].dtype == np.float32
    np.testing.assert_array_equal(found[1], data[0])
    assert index.search(data[:1].astype(np.float32), 2, ids_of(77)).ids.tolist() == [[-1, -1]]
    index.close()
    for act in (index.copy, lambda: index.vectors_of(ids_of(1)), lambda: index.remove(ids_of(1))):
        with pytest.raises(ValueError, match="'exact' index is closed"):
            act()


# --- the scan


@pytest.mark.parametrize("taken", [None, 0.0, 0.1, 0.25, 0.5, 1.0])
@pytest.mark.parametrize("k", [1, 3, 80])
@pytest.mark.parametrize("size", [1, 12, 1 << 18])
def test_a_scan_by_blocks_is_a_scan_at_once(
    monkeypatch: pytest.MonkeyPatch, brute_force: Any, taken: float | None, k: int, size: int
) -> None:
    for name, value in (
        ("_BLOCK_VALUES", size), ("_SCORE_VALUES", 4 * size), ("_QUERY_ROWS", 2),
        ("_PAIR_VALUES", size),
    ):  # fmt: skip
        monkeypatch.setattr(scan_module, name, value)
    rows = vectors(70)
    rows[40:44] = rows[4:8]  # ties
    ids = np.random.default_rng(2).permutation(70).astype(np.int64)
    queries = vectors(5, 7).astype(np.float32)
    mask = None if taken is None else np.arange(70) < round(70 * taken)
    found = scan(queries, rows, ids, k, mask)
    allowed = ids if mask is None else ids[mask]
    truth = brute_force(ids, rows, queries, k, allowed)
    np.testing.assert_allclose(found.scores, truth.scores, atol=1e-5)
    held = min(k, len(allowed))
    if k == 80:
        assert (np.sort(found.ids, axis=1) == np.sort(truth.ids, axis=1)).all()
    assert ((found.ids >= 0).sum(axis=1) == held).all()
    for scores, row in zip(found.scores[:, :held], found.ids[:, :held], strict=True):
        pairs = list(zip((-scores).tolist(), row.tolist(), strict=True))
        assert pairs == sorted(pairs)


def test_queries_of_any_length_are_scanned(brute_force: Any) -> None:
    rows, queries = vectors(40), vectors(3, 5).astype(np.float32)
    ids = np.arange(40, dtype=np.int64)
    for factor in (0.001, 1.0, 1000.0):
        found = scan(queries * np.float32(factor), rows, ids, 5)
        assert (found.ids == brute_force(ids, rows, queries, 5).ids).all()
    none = scan(queries[:0], rows, ids, 5)
    assert none.ids.shape == (0, 5) == none.scores.shape


def test_few_rows_are_candidates() -> None:
    scores = np.arange(100, dtype=np.float32)[None, :].repeat(2, axis=0)
    margin = np.full(2, 0.5, np.float32)

    def found(k: int, *worst: float) -> list[list[int]]:
        at, columns = scan_module._candidates(scores, np.array(worst, np.float32), margin, k)
        return [columns[at == row].tolist() for row in (0, 1)]

    last = list(range(100))
    assert found(3, -math.inf, 98.5) == [last[97:], last[98:]]
    assert found(60, -math.inf, -math.inf) == [last, last]  # fewer than twice k
    assert found(40, -math.inf, 70.4) == [last, last[70:]]
    assert found(100, -math.inf, -math.inf) == [last, last]
    scores[0, 50:] = -np.inf
    assert found(3, -math.inf, -math.inf) == [last[47:50], last[97:]]


def test_the_best_of_flat_lists_are_put_in_order() -> None:
    at, ids = np.array([1, 0, 1, 1, 0]), ids_of(5, 6, 3, 4, 2)
    scores = np.array([0.5, 0.1, 0.5, 0.9, 0.2], np.float32)
    best = top_k(at, ids, scores, 3, 2)
    assert best.ids.tolist() == [[2, 6], [4, 3], [-1, -1]]
    assert best.scores[1].tolist() == pytest.approx([0.9, 0.5])
    assert np.isneginf(best.scores[2]).all()
    one = Neighbours(best.scores[:, :1], best.ids[:, :1])
    assert merge([best], 3, 2) is best
    assert merge([one], 3, 2).ids.tolist() == [[2, -1], [4, -1], [-1, -1]]
    more = Neighbours(np.full((3, 1), 0.15, np.float32), np.full((3, 1), 8, np.int64))
    assert merge([best, more], 3, 2).ids.tolist() == [[2, 8], [4, 3], [8, -1]]
    assert merge([], 3, 2).ids.tolist() == [[-1, -1]] * 3


def test_scores_of_pairs_depend_on_the_pair_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, queries = vectors(9), vectors(2, 4).astype(np.float32)
    at, picked = np.array([0, 1, 1, 0, 1]), np.array([8, 0, 3, 3, 8])
    whole = pair_scores(queries, rows, at, picked)
    expected = (rows[picked].astype(np.float64) * queries[at]).sum(axis=1)
    np.testing.assert_allclose(whole, expected, atol=1e-6)
    monkeypatch.setattr(scan_module, "_PAIR_VALUES", 2 * D)
    np.testing.assert_array_equal(pair_scores(queries, rows, at, picked), whole)


@pytest.mark.parametrize(
    ("shape", "k", "said"),
    [
        ((2, D), 0, "k must be at least 1, not 0"),
        ((2, D + 1), 1, r"queries must be \(q, 4\), not \(2, 5\)"),
        ((D,), 1, r"queries must be \(q, 4\), not \(4,\)"),
        ((2, D), 1, ""),
    ],
)
def test_queries_are_checked(shape: tuple[int, ...], k: int, said: str) -> None:
    queries = np.zeros(shape, np.float64)
    if not said:
        checked = check_queries(queries.T.copy().T, k, D)  # type: ignore[arg-type]
        assert checked.dtype == np.float32 and checked.flags.c_contiguous
        queries[1, 1] = np.inf
        said = "not finite"
    with pytest.raises(ValueError, match=said):
        check_queries(queries, k, D)  # type: ignore[arg-type]


# --- recall


def neighbours(ids: list[list[int]], scores: list[list[float]]) -> Neighbours:
    return Neighbours(np.array(scores, np.float32), np.array(ids, np.int64))


def test_recall_leaves_out_the_query_itself_and_allows_ties() -> None:
    truth_ids = [list(range(11)), [5, 6, *[-1] * 9], [7, *[-1] * 10], [-1] * 11]
    falling = [1 - i / 20 for i in range(11)]
    truth_scores = [falling, [1.0, 0.5, *[-math.inf] * 9], [1.0] + [-math.inf] * 10]
    truth = neighbours(truth_ids, [*truth_scores, [-math.inf] * 11])
    sample = Sample(np.zeros((4, D), np.float32), ids_of(0, 5, 7, -1), truth)
    assert sample.k == 11
    assert recalls(truth, sample).tolist() == [1.0, 1.0, 1.0, 1.0]
    found_ids = [[0, 1, 2, 3, 4, 99, *[-1] * 5], [5, 8, *[-1] * 9], [7, 3, *[-1] * 9], [1] * 11]
    found_scores = [
        [*falling[:5], falling[10] - 0.01, *[-math.inf] * 5],
        [1.0, 0.5, *[-math.inf] * 9],
        [1.0, 0.1, *[-math.inf] * 9],
        [0.0] * 11,
    ]
    shares = recalls(neighbours(found_ids, found_scores), sample)
    assert shares.tolist() == pytest.approx([0.4, 1.0, 1.0, 1.0])
    stranger = sample._replace(own=ids_of(-1, -1, -1, -1))
    assert recalls(truth, stranger).tolist() == [1.0] * 4  # of eleven, ten count
    cut = [[*row[:10], -1] for row in truth_ids]
    low = [[*row[:10], -math.inf] for row in [*truth_scores, [-math.inf] * 11]]
    assert recalls(neighbours(cut, low), stranger).tolist() == [1.0] * 4
    assert recalls(neighbours(cut, low), sample).tolist() == pytest.approx([0.9, 1, 1, 1])


def test_samples_are_bounded_and_the_same_for_a_seed(tmp_path: Path) -> None:
    data, ids = vectors(300), np.arange(300, dtype=np.int64) * 2
    stored = StoredRows(ids, data)
    one, again, other = (recall.sample_stored(stored, seed) for seed in (0, 0, 1))
    assert len(one.own) == 200 == len(set(one.own.tolist())) and (np.diff(one.own) > 0).all()
    assert one.own.tolist() == again.own.tolist() != other.own.tolist()
    np.testing.assert_array_equal(one.queries, data[one.own // 2])
    assert (one.truth.ids[:, 0] == one.own).all() and one.truth.ids.shape == (200, 11)
    few = recall.sample_stored(StoredRows(ids[:5], data[:5]), 0)
    assert few.own.tolist() == ids[:5].tolist()
    given = sample_given(stored, vectors(250, 3).astype(np.float32))
    assert given.queries.shape == (200, D) and set(given.own.tolist()) == {-1}
    assert len(sample_given(stored, vectors(7, 3).astype(np.float32)).own) == 7
    far = recall.sample_stored(stored, 0, k=50)
    assert far.truth.ids.shape == (25, 51) and far.k == 51
    assert len(sample_given(stored, vectors(250, 3).astype(np.float32), k=50).own) == 25
    index = ExactIndex.build(tmp_path / "i", [(ids, data)], 300, D)
    assert measure_recall(index, [one, given]) == 1.0 == measure_recall(index, [])
    index.remove(ids[:150])
    part = measure_recall(index, [one])
    assert part < 0.9
    low = recall.sample_stored(StoredRows(ids[:150], data[:150]), 0)
    none = sample_given(stored, np.zeros((0, D), np.float32))
    assert measure_recall(index, [one, low, none]) <= part


# --- FAISS


def built(folder: Path, count: int, **options: Any) -> FaissIndex:
    blocks = [(np.arange(count, dtype=np.int64), vectors(count))]
    return FaissIndex.build(folder, blocks, count, D, **options)


@pytest.mark.parametrize(
    ("near", "far", "k", "probes"),
    [
        (4, 16, 1, 4),
        (4, 16, 10, 4),
        (4, 16, 11, 5),
        (4, 16, 100, 8),
        (4, 16, 1000, 16),
        (4, 16, 1001, 17),
        (4, 16, 2250, 24),
        (4, 16, 9000, 32),
        (4, 4, 999, 4),
        (30, 31, 1000, 31),
    ],
)
def test_more_neighbours_lie_in_more_lists(near: int, far: int, k: int, probes: int) -> None:
    index = FaissIndex(D)
    index.nprobe, index.far_nprobe, index._lists = near, far, 32
    assert index._probes(k) == probes


@pytest.mark.parametrize(
    ("near", "far", "lists", "chosen"),
    [
        (1, 1, 32, (1, 1)),
        (2, 2, 32, (2, 2)),
        (5, 9, 32, (5, 9)),
        (8, 3, 32, (9, 9)),
        (99, 1, 20, (20, 20)),
        (1, 99, 20, (1, 20)),
        (9, 9, 1, (1, 1)),
        (30, 400, 1024, (30, 454)),
    ],
)
def test_more_lists_are_probed_until_every_sample_is_found(
    monkeypatch: pytest.MonkeyPatch, near: int, far: int, lists: int, chosen: tuple[int, int]
) -> None:
    index: Any = FaissIndex(D)
    index._lists = lists
    kinds: list[tuple[str, int]] = []

    def sample(kind: str) -> Any:
        def take(*_: Any, k: int = 10, **__: Any) -> Any:
            kinds.append((kind, k))
            return SimpleNamespace(k=k)

        return take

    def reach(_: Any, samples: Any, target: float) -> bool:
        wanted = {10: (index.nprobe, near, 0.98), 1000: (index.far_nprobe, far, 0.95)}
        (k,) = {one.k for one in samples}
        probes, needed, least = wanted[k]
        assert target == least and len(samples) == 2
        return probes >= needed

    monkeypatch.setattr(recall, "sample_stored", sample("stored"))
    monkeypatch.setattr(recall, "sample_given", sample("given"))
    monkeypatch.setattr(faiss_index, "_reach", reach)
    index._tune(vectors(3).astype(np.float32))
    assert (index.nprobe, index.far_nprobe) == chosen
    assert faiss_index._steps(10) == [1, 2, 3, 4, 5, 7, 9, 10]
    assert sorted(kinds) == [("given", 10), ("given", 1000), ("stored", 10), ("stored", 1000)]


def test_the_target_is_reached_by_more_than_luck(monkeypatch: pytest.MonkeyPatch) -> None:
    index: Any = SimpleNamespace(search=lambda queries, k: None)
    sample: Any = SimpleNamespace(queries=None, k=11)
    for shares, reached in (
        ([], True),
        ([1.0] * 9, True),
        ([0.97] * 9, False),
        ([0.985] * 9, True),
        ([1.0] * 99 + [0.0], False),  # 0.99, give or take 0.02
        ([1.0] * 396 + [0.8] * 4, True),
        ([1.0] * 990 + [0.0] * 10, True),
        ([1.0] * 389 + [0.0] * 5, False),
    ):
        monkeypatch.setattr(recall, "recalls", lambda *_, found=shares: np.array(found))
        assert faiss_index._reach(index, [sample], 0.98) is reached, shares
        assert faiss_index._reach(index, [sample, sample], 0.98) is reached, shares
    found = iter([[1.0], [0.5]])
    monkeypatch.setattr(recall, "recalls", lambda *_: np.array(next(found)))
    assert not faiss_index._reach(index, [sample, sample], 0.98)


@pytest.mark.parametrize("count", [1, 100, 400])
def test_lists_follow_the_number_of_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    trained: list[int] = []
    real = quantizer.faiss.IndexIVFPQFastScan.train

    def train(base: Any, rows: Any) -> None:
        trained.append(len(rows))
        assert (base.cp.niter, base.cp.min_points_per_centroid) == (6, 1)
        real(base, rows)

    monkeypatch.setattr(quantizer.faiss.IndexIVFPQFastScan, "train", train)
    monkeypatch.setattr(quantizer, "_POINTS_PER_LIST", 3)
    monkeypatch.setattr(quantizer, "_ADD_ROWS", 64)
    index = built(tmp_path / "i", count)
    lists = {1: 1, 100: 20, 400: 40}[count]
    assert index.index_type == f"ivf{lists}-pq4" and trained == [max(16, min(count, 3 * lists))]
    assert 1 <= index.nprobe <= lists and index._parts[0].ntotal == count
    best = index.search(vectors(count).astype(np.float32), 1)
    assert (best.ids[:, 0] == np.arange(count)).mean() > 0.95
    assert index.search(np.zeros((0, D), np.float32), 1).ids.shape == (0, 1)


@pytest.mark.parametrize("dimension", [1, 2, 5, 8])
def test_the_rotation_pairs_the_widest_with_the_narrowest(dimension: int) -> None:
    spread = 2.0 ** np.arange(dimension)
    rows = np.random.default_rng(1).standard_normal((4000, dimension)) * spread + 5
    pairs = dimension // 2 if dimension % 2 == 0 else dimension
    rotation = quantizer._rotation(rows.astype(np.float32), pairs)
    np.testing.assert_allclose(rotation.T @ rotation, np.eye(dimension), atol=1e-5)
    widths = np.log2((rows @ rotation).std(axis=0)).round().astype(int).tolist()
    expected = {1: [0], 2: [1, 0], 5: [4, 3, 2, 1, 0], 8: [7, 0, 6, 1, 5, 2, 4, 3]}
    assert widths == expected[dimension]


def test_lists_of_nothing_can_be_built_and_opened(tmp_path: Path) -> None:
    index = built(tmp_path / "a", 0)
    assert (len(index), index.index_type) == (0, "ivf1-pq4")
    assert index.search(np.ones((1, D), np.float32) / 2, 2).ids.tolist() == [[-1, -1]]
    index.close()
    assert len(index) == 0
    with pytest.raises(ValueError, match="is closed"):
        index.search(np.zeros((1, D), np.float32), 1)


def test_other_queries_count_when_an_index_is_tuned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Any] = []
    monkeypatch.setattr(FaissIndex, "_tune", lambda _, queries: given.append(queries))
    queries = vectors(3, 8).astype(np.float32)
    built(tmp_path / "a", 50)
    built(tmp_path / "b", 50, queries=queries)
    assert given[0] is None and given[1] is queries


@pytest.mark.parametrize(
    ("size", "filtered", "k", "asked"),
    [
        (9000, False, 5, 180),
        (9000, False, 100, 560),
        (359, False, 5, None),
        (360, False, 5, 180),
        (9000, True, 5, 1020),
        (500, True, 5, None),
        (2039, True, 5, None),
        (2040, True, 5, 1020),
        (500, False, 5, 180),
        (20, False, 5, None),
    ],
)
def test_faiss_is_asked_where_that_pays(
    monkeypatch: pytest.MonkeyPatch, size: int, filtered: bool, k: int, asked: int | None
) -> None:
    monkeypatch.setattr(faiss_index, "EXACT_ROWS", 500)
    index: Any = FaissIndex(D)
    scanned = neighbours([[1] * k, [2] * k], [[0.5] * k] * 2)
    monkeypatch.setattr(
        faiss_index,
        "nearest_rows",
        lambda queries, *_: Neighbours(scanned.scores[: len(queries)], scanned.ids[: len(queries)]),
    )
    calls: list[int] = []
    first = neighbours([[7] * k, [8] * (k - 1) + [-1], [9] * k], [[0.9] * k] * 3)
    second = neighbours([[5] * k, [6] * k], [[0.9] * k] * 2)

    def probe(queries: Any, k: int, fetch: int, _: object) -> tuple[Neighbours, Any]:
        calls.append(fetch)
        return (first, np.array([False, False, True])) if len(calls) == 1 else (second, ~is_settled)

    index._probe = probe
    selection = layers.Selection(None, size, filtered)
    for is_settled in (np.array([True, True]), np.array([True, False])):
        calls.clear()
        first.ids[1:, :-1], first.ids[:, -1] = [[8], [9]], [7, -1, 9]
        found = index._search_stored(np.zeros((3, D), np.float32), k, selection)
        if asked is None:
            assert not calls
            continue
        # the query that came out short and the one that may be wrong are asked again
        goes_on = 8 * asked <= size
        assert calls == [asked, 4 * asked] if goes_on else [asked]
        is_exact = not goes_on or (filtered and not is_settled.all())
        assert found.ids[:, 0].tolist() == [7, *([1, 2] if is_exact else [5, 6])]


@pytest.mark.parametrize(("wanted", "rows"), [(30, 200), (40, 200), (None, 100)])
def test_the_wanted_rows_are_scanned_up_to_a_share_of_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: int | None, rows: int
) -> None:
    monkeypatch.setattr(faiss_index, "EXACT_ROWS", 0)
    monkeypatch.setattr(faiss_index, "_FETCH_FILTERED", 1)
    index = built(tmp_path / "i", rows)
    probed: list[int] = []
    real = index._probe

    def probe(*given: Any) -> Any:
        probed.append(given[2])
        return real(*given)

    monkeypatch.setattr(index, "_probe", probe)
    allowed = None if wanted is None else np.arange(wanted, dtype=np.int64)
    index.search(vectors(1).astype(np.float32), 2, allowed)
    assert bool(probed) == (wanted == 40)


# --- the scan by faiss


@pytest.mark.parametrize("taken", [None, 0.0, 0.02, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("k", [1, 3, 200])
def test_both_scans_give_the_same(
    monkeypatch: pytest.MonkeyPatch, taken: float | None, k: int
) -> None:
    monkeypatch.setattr(half_scan, "_GATHER_ROWS", 5)
    rows = vectors(700)
    rows[300:400] = rows[4]  # more ties than spare candidates
    ids = np.random.default_rng(2).permutation(700).astype(np.int64)
    queries = np.concatenate([vectors(3, 7), rows[4:5]]).astype(np.float32)
    mask = None if taken is None else np.random.default_rng(3).random(700) < taken
    found = half_scan.half_scan(queries, rows, ids, k, mask)
    right = scan(queries, rows, ids, k, mask)
    np.testing.assert_array_equal(found.ids, right.ids)
    np.testing.assert_array_equal(found.scores, right.scores)
    assert half_scan.half_scan(queries[:0], rows, ids, k, mask).ids.shape == (0, k)
    none = half_scan.half_scan(queries, rows[:0], ids[:0], k)
    assert (none.ids == -1).all() and none.ids.shape == (4, k)


def test_few_queries_go_to_faiss_where_it_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def noted(queries: Any, *given: Any) -> Neighbours:
        asked.append(len(queries))
        return scan(queries, *given)

    monkeypatch.setattr(half_scan, "half_scan", noted)
    rows, ids, queries = vectors(9), np.arange(9, dtype=np.int64), vectors(5).astype(np.float32)
    for count in (1, 4, 5):
        assert nearest.nearest_rows(queries[:count], rows, ids, 2).ids.shape == (count, 2)
    monkeypatch.delitem(sys.modules, "faiss")
    nearest.nearest_rows(queries[:1], rows, ids, 2)
    assert asked == [1, 4]


def test_an_exact_index_loads_faiss_once_that_pays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []
    monkeypatch.setattr(exact, "_IMPORT_VALUES", 100)
    monkeypatch.setattr(importlib, "import_module", loaded.append)
    data = vectors(10)
    index = ExactIndex.build(tmp_path / "i", [(np.arange(10, dtype=np.int64), data)], 10, D)
    for asked, count in ((1, 0), (2, 0), (3, 1)):
        index.search(data[:1].astype(np.float32), 1)
        assert len(loaded) == count, asked
    assert index.copy()._scanned == 3 * 10 * D
