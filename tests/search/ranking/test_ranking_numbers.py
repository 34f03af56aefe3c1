"""The numbers of a judgement, written here once more: what was measured stays as it is."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pictor.library.caption_bank import Bank, log_sum_exp
from pictor.library.catalog.rows import WordHit
from pictor.library.records import FloatMatrix, FloatVector, JsonObject, Level, Scoring
from pictor.search import cutoff
from pictor.search.candidates import WordMatches
from pictor.search.neighbours import RankedItems
from pictor.search.plan import Trace
from pictor.search.query import Query, WordsPart
from pictor.search.ranking.calibration import calibration_for, from_section
from pictor.search.ranking.diversity import diversify
from pictor.search.ranking.evidence import COLUMNS, Images, Setting, Usual, evidence, see
from pictor.search.ranking.folding import fold, near_identical
from pictor.search.ranking.fusion import reciprocal_rank
from pictor.search.ranking.judge import levels_of
from pictor.search.ranking.negation import away_from, explains

D = 8
USUAL = {"centre": 1.0, "spread": 2.0}


def unit(seed: int, count: int) -> FloatMatrix:
    rows = np.random.default_rng(seed).standard_normal((count, D)).astype(np.float32)
    found: FloatMatrix = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return found


def setting_of(
    vectors: FloatMatrix, total: int | None = None, scale: float = 20.0, bank: Bank | None = None
) -> Setting:
    bank = bank or Bank.of(tuple(str(i) for i in range(30)), unit(99, 30))
    scoring = Scoring("softmax", scale, -1.5)
    images = images_of(vectors, bank, scoring)
    return Setting(bank, scoring, Usual(1.0, 2.0), images, len(vectors) if total is None else total)


def images_of(vectors: FloatMatrix, bank: Bank, scoring: Scoring) -> Images:
    return Images(vectors, log_sum_exp(vectors, bank.vectors, scoring))


# --- evidence


def log_odds_by_definition(vector: FloatVector, image: FloatVector, setting: Setting) -> float:
    bank, scale = setting.bank, setting.scoring.scale
    weights = np.clip((bank.same - bank.vectors @ vector) / (bank.same - bank.near), 0, 1)
    explained = np.exp(scale * (bank.vectors @ image).astype(np.float64) - 1.5)
    rest = max(float(weights @ explained), 1e-4 * float(explained.sum()))
    return float(scale * (image @ vector) - 1.5 - np.log(rest / max(weights.sum(), 1.0)))


def evidence_by_definition(
    vector: FloatVector, image: FloatVector, setting: Setting
) -> dict[str, float]:
    sample, usual = setting.sample.vectors, setting.usual
    scores = 20.0 * (sample @ vector).astype(np.float64) - 1.5
    share = len(sample) / (len(sample) + 16)
    low, median, high = np.quantile(scores, [0.1, 0.5, 0.9])
    lower, upper = (
        max(share * width / 1.2816 + (1 - share) * usual.spread, 0.1 * usual.spread)
        for width in (median - low, high - median)
    )
    centre = share * median + (1 - share) * usual.centre
    score, log_odds = 20.0 * image @ vector - 1.5, log_odds_by_definition(vector, image, setting)
    pool = [log_odds_by_definition(vector, one, setting) for one in sample]
    pool = sorted(pool)[-3:] + ([log_odds] if setting.total > len(sample) else [])
    found = sample[np.argsort(-scores)[:10]].mean(axis=0)
    return {
        "score": score,
        "log_odds": log_odds,
        "z": (score - centre) / lower,
        "alike": image @ found,
        "centre": centre,
        "spread": lower,
        "heavy": np.log(upper / lower),
        "best": float(np.mean(sorted(pool)[-3:])),
        "known": (setting.bank.vectors @ vector).max(),
        "crowd": np.log(setting.total),
    }


@pytest.mark.parametrize(("sampled", "total"), [(40, 40), (40, 41), (12, 12), (3, 900), (1, 1)])
def test_evidence_is_what_its_definition_says(sampled: int, total: int) -> None:
    setting = setting_of(unit(1, sampled), total)
    queries = unit(2, 3)
    queries[0] = setting.bank.vectors[4]  # a caption itself, which is discounted
    images = images_of(np.concatenate([queries, unit(3, 4)]), setting.bank, setting.scoring)
    for query in queries:
        found = evidence(see(query, setting), images, setting)
        for row, image in zip(found, images.vectors, strict=True):
            right = evidence_by_definition(query, image, setting)
            assert list(right) == list(COLUMNS)
            assert row == pytest.approx(list(right.values()), abs=2e-3)


def test_an_empty_collection_is_as_usual() -> None:
    setting = setting_of(unit(1, 0))
    images = images_of(unit(3, 1), setting.bank, setting.scoring)
    query = see(unit(2, 1)[0], setting)
    row = dict(zip(COLUMNS, evidence(query, images, setting)[0].tolist(), strict=True))
    assert (row["centre"], row["spread"], row["heavy"]) == (1.0, 2.0, 0.0)
    assert (row["alike"], row["crowd"]) == (0.0, 0.0)
    assert row["best"] == row["log_odds"]


def test_copies_have_a_tenth_of_the_usual_spread() -> None:
    setting = setting_of(np.repeat(unit(1, 1), 2000, axis=0))
    query = see(unit(2, 1)[0], setting)
    assert query.spread == pytest.approx(0.2)
    assert query.heavy == 0.0


def test_a_background_of_nothing_but_the_query_leaves_a_ten_thousandth() -> None:
    vector = unit(2, 1)
    bank = Bank("x", ("one",), vector, near=0.9, same=0.95, rare=vector[:0])
    setting = setting_of(vector, scale=100.0, bank=bank)
    row = evidence(see(vector[0], setting), setting.sample, setting)[0]
    assert row[COLUMNS.index("log_odds")] == pytest.approx(-np.log(1e-4), abs=1e-3)


# --- probability and levels


@pytest.mark.parametrize(
    ("probability", "level"),
    [
        (0.0, Level.WEAK),
        (0.1999, Level.WEAK),
        (0.2, Level.POSSIBLE),
        (0.2001, Level.POSSIBLE),
        (0.4999, Level.POSSIBLE),
        (0.5, Level.LIKELY),
        (0.5001, Level.LIKELY),
        (1.0, Level.LIKELY),
    ],
)
def test_a_level_begins_at_its_bound(probability: float, level: Level) -> None:
    assert levels_of(np.array([probability], np.float32)) == [level]


def section(**more: Any) -> JsonObject:
    concept = {"constant": 0.0, "z": 1.0}
    return {"negation": 0.25, "usual": USUAL, "concept": concept} | more


def table_of(**values: float) -> np.ndarray:
    return np.array([[values.get(name, 0.0) for name in COLUMNS]])


def test_what_has_no_weight_and_no_bounds_counts_as_it_is() -> None:
    calibration = from_section(section())
    for z in (-3.0, 3.0):
        table = table_of(z=z, score=1e6, known=-1e6)
        assert calibration.probability(table) == pytest.approx(1 / (1 + np.exp(-z)))
    held = from_section(section(bounds={"z": [-1.0, 2.0]}))
    for z, bound in ((-3.0, -1.0), (-0.5, -0.5), (1.5, 1.5), (3.0, 2.0)):
        assert held.probability(table_of(z=z)) == pytest.approx(1 / (1 + np.exp(-bound)))
    assert (calibration.usual, calibration.negation) == (Usual(1.0, 2.0), 0.25)


@pytest.mark.parametrize("known", [{"scene": {"constant": 9.0}}, {"gate": {"constant": 9.0}}])
def test_a_scene_needs_a_gate(known: JsonObject) -> None:
    assert from_section(section(**known)).probability(table_of(z=0.0)) == [0.5]


def test_a_query_is_no_more_than_half_a_scene() -> None:
    both = section(scene={"constant": 2.0}, gate={"constant": 50.0})
    assert from_section(both).probability(table_of()) == pytest.approx(1 / (1 + np.exp(-1.0)))


@pytest.mark.parametrize(
    ("family", "kind", "negation"),
    [
        ("builtin", "softmax", 0.015),
        ("clip", "softmax", 0.001),
        ("another", "softmax", 0.004),
        ("another", "sigmoid", 0.5),
    ],
)
def test_a_family_has_its_own_calibration_or_that_of_its_scoring(
    family: str, kind: Any, negation: float
) -> None:
    assert calibration_for(family, Scoring(kind, 100.0, 0.0)).negation == negation


# --- negation


def explained(negated: FloatMatrix, query: FloatMatrix, logit: float, setting: Setting) -> Any:
    """Whether images of the sample are explained where each has one probability."""
    constant = section(concept={"constant": logit})
    return explains(query, negated, setting.sample, setting, from_section(constant))


def test_what_is_negated_is_out_from_the_bounds_of_the_levels_on() -> None:
    setting, negated, nothing = setting_of(unit(1, 20)), unit(2, 1), unit(2, 0)
    for query, bound in ((unit(3, 1), 0.0), (nothing, float(np.log(0.25)))):  # 0.5 and 0.2
        assert explained(negated, query, bound, setting).all()
    assert not explained(negated, nothing, float(np.log(0.25)) - 1e-3, setting).any()
    assert not explained(negated, unit(3, 1), -1e-3, setting).all()


@pytest.mark.parametrize("sampled", [5, 8, 20, 60, 100])
def test_what_is_negated_is_compared_with_what_the_query_finds(sampled: int) -> None:
    setting, query, negated = setting_of(unit(sampled, sampled)), unit(2, 1), unit(3, 1)
    vectors = setting.sample.vectors
    count = min(sampled, max(8, sampled * 15 // 100))
    found = np.argsort(-(vectors @ query[0]))[:count]
    usual = np.quantile(vectors[found] @ negated[0], 0.7)
    right = (vectors @ negated[0] > usual).tolist()
    assert any(right)
    at_negation = float(np.log(1 / 3))  # 0.25
    assert explained(negated, query, at_negation, setting).tolist() == right
    assert not explained(negated, query, at_negation - 1e-3, setting).any()


def test_without_a_sample_all_that_may_be_explained_is_out() -> None:
    setting, images = setting_of(unit(1, 0)), setting_of(unit(1, 9)).sample
    calibration = from_section(section(concept={"constant": 0.0 - 1e-3}))
    assert explains(unit(2, 1), -images.vectors[:1], images, setting, calibration)[1:].all()


def test_a_query_leans_to_what_it_finds_and_half_of_what_is_negated_is_taken_off() -> None:
    setting, query, negated = setting_of(unit(1, 40)), unit(2, 1), unit(3, 3)
    vectors = setting.sample.vectors
    rows = np.concatenate([query, negated])
    found = [vectors[np.argsort(-(vectors @ row))[:10]].mean(axis=0) for row in rows]
    leaning = rows + 0.2 * np.stack(found)
    right = leaning[0] - 0.5 * leaning[1:].sum(axis=0) / np.sqrt(3)
    assert away_from(query, negated, setting)[0] == pytest.approx(right / np.linalg.norm(right))
    plain = query[0] - 0.5 * negated.sum(axis=0) / np.sqrt(3)
    assert away_from(query, negated, None)[0] == pytest.approx(plain / np.linalg.norm(plain))


# --- fusion, folding, diversity


def test_the_first_place_counts_a_sixty_first() -> None:
    ids, scores = reciprocal_rank([np.array([7, 8]), np.array([8])], [1.0, 0.5])
    assert ids.tolist() == [8, 7]
    assert scores == pytest.approx([1 / 62 + 0.5 / 61, 1 / 61])


def at_cosine(cosine: float) -> FloatMatrix:
    return np.array([[1, 0], [cosine, np.sqrt(1 - cosine**2)]], np.float32)


@pytest.mark.parametrize(("family", "least"), [("builtin", 0.94), ("clip", 0.95), ("else", 0.96)])
def test_pictures_fold_from_the_cosine_of_their_family_on(family: str, least: float) -> None:
    threshold = near_identical(family)
    assert fold(at_cosine(least + 1e-4), threshold) == [[0, 1]]
    assert fold(at_cosine(least - 1e-4), threshold) == [[0], [1]]


def test_the_least_cosine_folds() -> None:
    vectors = at_cosine(0.6)
    assert fold(vectors, float(vectors[1, 0])) == [[0, 1]]


@pytest.mark.parametrize("weight", [-0.001, 1.001])
def test_a_weight_of_diversity_is_a_share(weight: float) -> None:
    scores, vectors = np.array([1.0, 0.5], np.float32), unit(1, 2)
    assert diversify(scores, vectors, 0.0, 2) == diversify(scores, vectors, 1.0, 2) == [0, 1]
    with pytest.raises(ValueError, match="must be in 0 to 1"):
        diversify(scores, vectors, weight, 2)


# --- how far a ranking is looked through


class Heard:
    """A judge that gives items the probability of their number in thousandths."""

    limits = None

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def of(self, *_: object) -> Heard:
        return self

    def judge(self, _: object, ids: np.ndarray, vectors: object) -> Any:
        self.sizes.append(len(ids))
        probability = (ids / 1000).astype(np.float32)
        return SimpleNamespace(probability=probability, level=levels_of(probability))


def looked_through(
    runs: Sequence[Sequence[int]], minimum: str = "possible", hits: dict[int, WordHit] | None = None
) -> tuple[list[list[cutoff.Candidate]], Heard, Trace]:
    """Slices of candidates, by the thousandths that each is probable."""
    judge, trace = Heard(), Trace()
    run: Any = SimpleNamespace(
        options=SimpleNamespace(minimum_level=minimum),
        connection=None,
        query=Query((WordsPart("a dog"),)),
        trace=trace,
        spaces=[SimpleNamespace(judge=judge, vectors=SimpleNamespace(query=None))],
        vectors=lambda at, ids, known: dict.fromkeys(ids, np.ones(1)),
    )
    parts = (np.array(ids, np.int64) for ids in runs)
    ranking = (RankedItems(ids, ids.astype(np.float32), np.zeros_like(ids)) for ids in parts)
    kept = list(cutoff.filter_by_level(run, WordMatches(hits or {}), ranking))
    return kept, judge, trace


def test_slices_grow_to_the_most() -> None:
    kept, judge, trace = looked_through([[900] * 2000])
    assert judge.sizes == [96, 192, 384, 512, 512, 304]
    assert [len(part) for part in kept] == judge.sizes
    assert (trace.candidates, trace.levels) == (2000, {"likely": 2000})


@pytest.mark.parametrize(("first", "looked_at"), [(50, 250), (51, 251), (49, 299)])
def test_a_search_ends_after_so_many_weak_ones_in_a_row(first: int, looked_at: int) -> None:
    weak = [[100] * first, *([100] * 50 for _ in range(9))]
    assert looked_through(weak)[2].candidates == looked_at
    found = looked_through([*weak[:2], [100] * 49 + [200], *weak])
    assert found[2].candidates == first + 100 + looked_at
    assert [len(part) for part in found[0]][:4] == [0, 0, 1, 0]


@pytest.mark.parametrize(
    ("minimum", "kept"),
    [
        ("any", [900, 500, 499, 200, 199]),
        ("possible", [900, 500, 499, 200]),
        ("likely", [900, 500]),
    ],
)
def test_candidates_below_the_level_are_left_out(minimum: str, kept: list[int]) -> None:
    (found,), _, trace = looked_through([[900, 500, 499, 200, 199]], minimum)
    assert [candidate.item for candidate in found] == kept
    assert trace.levels == {"likely": 2, "possible": 2, "weak": 1}


@pytest.mark.parametrize(
    ("item", "hit", "level", "by_words"),
    [
        (100, None, Level.WEAK, False),
        (100, WordHit(1, 0.69, ("name",), False), Level.WEAK, False),
        (100, WordHit(1, 0.7, ("name",), False), Level.POSSIBLE, True),
        (100, WordHit(1, 0.1, ("name",), True), Level.LIKELY, True),
        (300, WordHit(1, 0.6, ("name",), False), Level.POSSIBLE, False),
        (300, WordHit(1, 0.7, ("name",), False), Level.POSSIBLE, False),
        (900, WordHit(1, 1.0, ("name",), True), Level.LIKELY, False),
        (900, WordHit(1, 0.7, ("name",), False), Level.LIKELY, False),
    ],
)
def test_words_raise_a_level(item: int, hit: WordHit | None, level: Level, by_words: bool) -> None:
    ((found,),), _, _ = looked_through([[item]], "any", {item: hit} if hit else {})
    assert (found.level, found.by_words) == (level, by_words)
    assert found.probability == pytest.approx(item / 1000)
    assert found.vector is not None


def test_what_is_not_judged_has_no_level_and_the_vector_that_was_read() -> None:
    vector = np.ones(1, np.float32)
    run: Any = SimpleNamespace(
        options=SimpleNamespace(minimum_level="likely"),
        query=Query((WordsPart("a dog"),)),
        trace=Trace(),
        spaces=[SimpleNamespace(judge=None)] * 2,
    )
    ids = np.array([7, 7, 8])
    ranking = iter([RankedItems(ids, ids.astype(np.float32), np.array([0, 1, 0]))])
    (found,) = cutoff.filter_by_level(run, WordMatches({}, {7: vector}), ranking)
    assert [(one.item, one.score, one.space) for one in found] == [(7, 7, 0), (7, 7, 1), (8, 8, 0)]
    assert [one.vector for one in found] == [vector, None, None]
    assert {(one.level, one.probability, one.by_words) for one in found} == {(None, None, False)}


def test_vectors_that_were_read_are_those_of_the_first_space() -> None:
    asked: list[Any] = []

    def vectors(at: int, ids: list[int], known: Any) -> dict[int, Any]:
        asked.append((at, ids, known))
        return {}

    run: Any = SimpleNamespace(
        options=SimpleNamespace(minimum_level="any"),
        connection=None,
        query=Query((WordsPart("a dog"),)),
        trace=Trace(),
        spaces=[SimpleNamespace(judge=Heard(), vectors=SimpleNamespace(query=None))] * 2,
        vectors=vectors,
    )
    ids, read = np.array([7, 8, 9]), {7: np.ones(1, np.float32)}
    ranking = iter([RankedItems(ids, ids.astype(np.float32), np.array([0, 1, 0]))])
    assert len(list(cutoff.filter_by_level(run, WordMatches({}, read), ranking))) == 1
    assert asked == [(0, [7, 9], read), (1, [8], {})]
