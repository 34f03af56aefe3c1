"""The null: what absent things reach in a library, and where its levels begin by that."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from small_world import World

from pictor.library import caption_bank, null_scores
from pictor.library.caption_bank import Bank, captions, log_sum_exp, open_bank, rare_things
from pictor.library.null_scores import Limits, NullScores, backgrounds_of, highest, weights_of
from pictor.library.observer import SILENT, Silent
from pictor.library.records import Scoring
from pictor.search.ranking.calibration import calibration_for
from pictor.search.ranking.evidence import COLUMNS
from pictor.search.ranking.judge import Judge, probability

SCORING = Scoring("softmax", 20.0, 0.0)


def unit(seed: int, count: int, dimension: int = 12) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture
def bank() -> Bank:
    vectors = unit(1, 30)
    vectors[1] = vectors[0]  # two that say the same
    names = (*(f"caption {i}" for i in range(20)), *("句子" for _ in range(10)))
    return Bank.of(names, vectors, unit(2, 6))


# --- the shipped list


def test_rare_things_have_a_name_in_each_language_and_stand_once() -> None:
    names = rare_things()
    half = len(names) // 2
    assert half >= 200
    is_chinese = ["\u4e00" <= name[-1] <= "\u9fff" for name in names]
    assert is_chinese == [False] * half + [True] * half
    assert len(set(names)) == len(names)
    assert not set(names) & set(captions())


# --- log-odds of many texts at once


def brute(text: np.ndarray, image: np.ndarray, bank: Bank, scoring: Scoring) -> float:
    """As evidence.py says it, one caption after the other."""
    weights = [
        min(1.0, max(0.0, (bank.same - float(c @ text)) / (bank.same - bank.near)))
        for c in bank.vectors
    ]
    scores = [scoring.scale * float(c @ image) + scoring.bias for c in bank.vectors]
    whole = math.log(sum(map(math.exp, scores)) / len(scores))
    kept = sum(w * math.exp(s) for w, s in zip(weights, scores, strict=True))
    kept = max(kept, 1e-4 * len(scores) * math.exp(whole))
    others = math.log(kept / max(sum(weights), 1.0))
    return scoring.scale * float(text @ image) + scoring.bias - others


@pytest.mark.parametrize("scoring", [SCORING, Scoring("sigmoid", 9.0, -3.0)])
def test_many_texts_are_weighed_as_each_alone(bank: Bank, scoring: Scoring) -> None:
    images = unit(3, 7)
    texts = np.concatenate([unit(4, 3), bank.vectors[:3]])
    values = log_sum_exp(images, bank.vectors, scoring)
    others = backgrounds_of(weights_of(texts, bank), images, values, bank, scoring)
    found = images @ texts.T * scoring.scale + scoring.bias - others
    for i, image in enumerate(images):
        for q, text in enumerate(texts):
            assert found[i, q] == pytest.approx(brute(text, image, bank, scoring), abs=1e-3)


def test_the_highest_is_over_all_images_however_many(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = unit(3, 9)
    values = log_sum_exp(images, bank.vectors, SCORING)
    whole = highest(bank, images, values, SCORING)
    assert whole.shape == (16,)  # every third of 30 captions
    texts = np.concatenate([bank.rare, bank.vectors[::3]])
    for q in (0, 5, 6, 15):
        right = max(brute(texts[q], image, bank, SCORING) for image in images)
        assert whole[q] == pytest.approx(right, abs=2e-3)
    monkeypatch.setattr(null_scores, "_ROWS", 2)
    assert highest(bank, images, values, SCORING) == pytest.approx(whole, abs=1e-4)
    assert (highest(bank, images[:0], values[:0], SCORING) == -np.inf).all()


# --- where levels begin


def null_of(words: list[float], scenes: list[float], *, chinese: bool = False) -> NullScores:
    scores = np.array(words + scenes, np.float64)
    return NullScores(scores, np.full(len(scores), chinese), len(words))


def test_so_many_of_the_null_stay_below_each_level() -> None:
    steps = np.linspace(0, 10, 101).tolist()
    null = null_of(steps, [step + 100 for step in steps])
    assert null.limits("dog") == pytest.approx((8.0, 9.75))
    assert null.limits("a dog on the beach") == pytest.approx((109.0, 109.75))


@pytest.mark.parametrize(
    ("text", "is_word"),
    [
        ("dog", True),
        ("clock tower", True),
        ("a clock tower", False),
        ("猫", True),
        ("一只猫。", True),
        ("海滩上的狗", False),
        ("海滩的狗", True),
    ],
)
def test_a_query_of_few_words_names_a_thing(text: str, is_word: bool) -> None:
    chinese = "\u4e00" <= text[0] <= "\u9fff"
    limits = null_of([1.0], [5.0], chinese=chinese).limits(text)
    assert limits is not None
    assert limits.possible == (1.0 if is_word else 5.0)


def test_a_language_has_levels_of_its_own() -> None:
    null = NullScores(np.array([1.0, 2.0, 3.0, 4.0]), np.array([False, True, False, True]), 2)
    found = [null.limits(text) for text in ("dog", "狗", "a dog that runs", "一只奔跑的狗")]
    assert [limits and limits.possible for limits in found] == [1.0, 2.0, 3.0, 4.0]


def test_without_images_or_texts_of_a_kind_there_are_no_levels() -> None:
    assert null_of([-np.inf], [-np.inf]).limits("dog") is None
    assert null_of([1.0], []).limits("a dog that runs") is None
    assert null_of([1.0], [1.0]).limits("狗") is None


def test_levels_are_never_nearer_than_a_quarter() -> None:
    assert null_of([3.0] * 9, []).limits("dog") == Limits(3.0, 3.25)


def test_a_probability_rises_with_the_log_odds_and_is_the_level_at_its_limit() -> None:
    table = np.zeros((5, len(COLUMNS)))
    table[:, COLUMNS.index("log_odds")] = (-50.0, 1.99, 2.01, 4.01, 50.0)
    calibration = calibration_for("builtin", SCORING)
    found = probability(table, calibration, Limits(2.0, 4.0))
    assert found.dtype == np.float32
    assert (np.diff(found) > 0).all()
    assert found[1] < 0.2 < found[2] < 0.5 < found[3]
    assert found[1:4] == pytest.approx([0.2, 0.2, 0.5], abs=0.01)
    assert found[0] < 1e-6
    assert found[4] > 0.999
    assert (probability(table, calibration, None) == calibration.probability(table)).all()


# --- in a library


def stored(world: World) -> dict[str, object]:
    ((value,),) = world.sql("SELECT value FROM meta WHERE key = 'null_scores:1'")
    return dict(json.loads(value))


def null(world: World) -> NullScores | None:
    with world.open() as library, library.reading() as connection:
        bank = open_bank(library, library.space())
        return null_scores.of_space(connection, library.space(), bank)


@pytest.fixture
def indexed(world: World) -> World:
    for i in range(5):
        world.draw(f"{i}.png", i)
    world.index()
    return world


def expected(world: World) -> np.ndarray:
    from pictor.library.catalog import spaces

    with world.open() as library, library.reading() as connection:
        space = library.space()
        bank = open_bank(library, space)
        blocks = list(spaces.vector_blocks(connection, space.id, space.dimension))
    vectors = np.concatenate([rows for _, rows in blocks]).astype(np.float32)
    scoring = space.card.scoring
    return highest(bank, vectors, log_sum_exp(vectors, bank.vectors, scoring), scoring)


def scored(world: World) -> list[int]:
    counts: list[int] = []

    def counted(bank: Bank, vectors: np.ndarray, *rest: object) -> np.ndarray:
        counts.append(len(vectors))
        return highest(bank, vectors, *rest)  # type: ignore[arg-type]

    world.monkeypatch.setattr(null_scores, "highest", counted)
    return counts


def test_a_run_scores_what_is_new_and_keeps_the_highest(indexed: World) -> None:
    found = null(indexed)
    assert found is not None
    assert found.highest == pytest.approx(expected(indexed), abs=1e-2)
    assert found.rare == len(rare_things())
    assert stored(indexed)["items"] == 5
    counts = scored(indexed)
    with indexed.monkeypatch.context() as patch:
        patch.setattr(caption_bank, "open_bank", lambda *_: pytest.fail("nothing was new"))
        indexed.index()
    assert counts == []
    indexed.draw("new.png", 77)
    indexed.index()
    assert counts == [1]
    more = null(indexed)
    assert more is not None
    assert (more.highest >= found.highest).all()
    assert more.highest == pytest.approx(expected(indexed), abs=1e-2)


def test_a_library_that_shrank_is_scored_anew(indexed: World) -> None:
    for i in range(3):
        (indexed.root / f"{i}.png").unlink()
    indexed.index()
    with indexed.open() as library:
        from pictor.library.purge import purge

        purge(library)
    counts = scored(indexed)
    indexed.draw("new.png", 77)
    indexed.index()
    assert counts == [3]
    found = null(indexed)
    assert found is not None
    assert found.highest == pytest.approx(expected(indexed), abs=1e-2)


def test_a_tenth_of_a_library_may_go_before_it_is_scored_anew(world: World) -> None:
    from pictor.library.purge import purge

    for i in range(20):
        world.draw(f"{i}.png", i)
    world.index()
    counts = scored(world)
    for gone, anew in ((2, []), (1, [17])):
        for path in sorted(world.root.glob("*.png"))[:gone]:
            path.unlink()
        world.index()
        with world.open() as library:
            purge(library)
        world.index()
        assert counts == anew


def test_a_stop_leaves_the_null_as_it_was(indexed: World) -> None:
    before = stored(indexed)
    with indexed.monkeypatch.context() as patch:
        patch.setattr("pictor.indexer.run.null_scores.fill", lambda *_: None)
        indexed.draw("new.png", 77)
        indexed.index()

    class Stopped(Silent):
        def should_stop(self) -> bool:
            return True

    with indexed.open() as library, library.writer():
        null_scores.fill(library, library.space(), Stopped())
        assert stored(indexed) == before
        null_scores.fill(library, library.space(), SILENT)
    assert stored(indexed)["items"] == 6


def test_a_background_that_is_not_complete_gives_no_null(world: World) -> None:
    with world.monkeypatch.context() as patch:
        patch.setattr("pictor.indexer.run.fill_background", lambda *_: None)
        world.draw("a.png", 1)
        world.index()
    with world.open() as library, library.writer():
        null_scores.fill(library, library.space(), SILENT)
        assert null(world) is None
        caption_bank.fill(library, library.space(), SILENT)
        null_scores.fill(library, library.space(), SILENT)
    assert null(world) is not None


def test_a_null_of_other_texts_counts_for_nothing_until_the_next_run(
    indexed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caption_bank, "rare_things", lambda: ("narwhal", "独角鲸"))
    assert null(indexed) is None
    indexed.index()
    found = null(indexed)
    assert found is not None
    assert (found.rare, len(found.highest)) == (2, 2 + len(captions()[::3]))


def test_a_stopped_run_leaves_the_null_to_the_next(world: World) -> None:
    with world.monkeypatch.context() as patch:
        patch.setattr("pictor.indexer.run.fill_background", lambda *_: None)
        world.draw("a.png", 1)
        world.index()
    assert null(world) is None
    world.index()
    assert null(world) is not None


def test_most_searches_for_what_is_absent_show_nothing(tmp_path: Path, indexed: World) -> None:
    names = rare_things()[: len(rare_things()) // 2]
    with indexed.open() as library:
        space = library.space()
        judge = Judge.open(library, space)
        assert judge is not None
        bank = open_bank(library, space)
        shown = []
        with library.reading() as connection:
            from pictor.library.catalog import spaces

            rows = spaces.rows_of(connection, space.id, [1, 2, 3, 4, 5])
            ids = np.array(list(rows), np.int64)
            for name, vector in zip(names, bank.rare, strict=False):
                judgement = judge.of(connection, vector[None], name).judge(connection, ids, rows)
                shown.append(judgement.probability.max())
    of_two_words = [p for p, name in zip(shown, names, strict=True) if len(name.split()) < 3]
    assert np.mean([p < 0.2 for p in of_two_words]) == pytest.approx(0.8, abs=0.03)
    assert np.mean([p < 0.5 for p in of_two_words]) == pytest.approx(0.975, abs=0.02)
