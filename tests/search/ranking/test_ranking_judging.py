"""Levels of hits, on a library of drawn pictures and on evidence made by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from small_world import World

from pictor.library.caption_bank import open_bank
from pictor.library.catalog import caption_bank as catalog
from pictor.library.catalog import spaces
from pictor.library.null_scores import NullScores, highest
from pictor.library.records import FloatMatrix, IdArray, Level, Scoring
from pictor.library.space_encoders import open_text
from pictor.library.store import Store
from pictor.search.ranking.calibration import MOST_SCENE, calibration_for, from_section
from pictor.search.ranking.evidence import COLUMNS, Images, Setting, evidence, see
from pictor.search.ranking.judge import Judge, Judgement, levels_of, probability

FAMILIES = ["builtin", "clip", "chinese_clip", "siglip", "siglip2", "something new"]


def scoring_of(family: str) -> Scoring:
    is_sigmoid = family.startswith("siglip")
    return Scoring("sigmoid", 117.0, -12.9) if is_sigmoid else Scoring("softmax", 100.0, 0.0)


# --- calibrations


@pytest.mark.parametrize("family", FAMILIES)
@given(table=arrays(np.float64, (3, len(COLUMNS)), elements=st.floats(-1e6, 1e6)))
def test_a_probability_is_one_whatever_the_evidence(family: str, table: np.ndarray) -> None:
    found = calibration_for(family, scoring_of(family)).probability(table)
    assert found.dtype == np.float32
    assert ((found >= 0) & (found <= 1)).all()


def test_families_with_a_sigmoid_are_judged_by_it() -> None:
    calibration = calibration_for("siglip2", scoring_of("siglip2"))
    table = np.zeros((2, len(COLUMNS)))
    table[:, 0] = -4.7, -20.0  # scale * cosine + bias
    assert calibration.probability(table) == pytest.approx([0.5, 0.0], abs=1e-4)


def test_scenes_and_concepts_are_judged_each_by_their_own_as_far_as_the_gate_says() -> None:
    section = {
        "negation": 0.5,
        "usual": {"centre": 0.0, "spread": 1.0},
        "concept": {"constant": 1.0, "score": 0.5},
        "scene": {"constant": -1.0, "score": 2.0, "best": 1.0},
        "gate": {"constant": 0.0, "best": 1.0},
        "bounds": {"best": [0.0, 2.0]},
    }
    table = np.zeros((2, len(COLUMNS)))
    table[:, COLUMNS.index("score")] = 1.0
    table[:, COLUMNS.index("best")] = 0.0, 99.0  # held to 2
    share = MOST_SCENE / (1 + np.exp(-np.array([0.0, 2.0])))
    logits = (1 - share) * 1.5 + share * np.array([1.0, 3.0])
    found = from_section(section).probability(table)
    assert found == pytest.approx(1 / (1 + np.exp(-logits)), abs=1e-6)


def test_a_weight_of_what_is_no_evidence_is_refused() -> None:
    section = {
        "negation": 0.5,
        "usual": {"centre": 0.0, "spread": 1.0},
        "concept": {"constant": 1.0, "size": 0.5, "weight": 0.5},
    }
    with pytest.raises(ValueError, match="'size'"):
        from_section(section)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_higher_score_is_never_less_probable(family: str) -> None:
    """The same image and query, only more alike."""
    calibration = calibration_for(family, scoring_of(family))
    usual = calibration.usual
    is_bound = np.isfinite(calibration.low)
    table = np.zeros((50, len(COLUMNS)))
    table[:, is_bound] = (calibration.low[is_bound] + calibration.high[is_bound]) / 2
    steps = np.linspace(-3, 8, 50)
    table[:, 0] = usual.centre + steps * usual.spread
    table[:, 1] = steps * usual.spread
    table[:, 2] = steps
    found = calibration.probability(table)
    assert (np.diff(found) >= 0).all()
    assert found[-1] > 2 * found[0]


def test_levels_follow_the_probability() -> None:
    found = levels_of(np.array([0.0, 0.19, 0.21, 0.49, 0.51, 1.0], np.float32))
    assert found == [Level.WEAK] * 2 + [Level.POSSIBLE] * 2 + [Level.LIKELY] * 2


# --- a library


@pytest.fixture
def indexed(world: World) -> World:
    for i in range(6):
        world.draw(f"{i}.png", i)
    world.index()
    return world


def judged(library: Store, judge: Judge, query: FloatMatrix, ids: IdArray) -> Judgement:
    space = library.space()
    with library.reading() as connection:
        vectors = spaces.rows_of(connection, space.id, ids.tolist())
        text = "colourful squares"
        return judge.of(connection, query, text).judge(connection, ids, vectors)


def test_hits_are_judged_by_what_is_stored(indexed: World) -> None:
    with indexed.open() as library:
        space = library.space()
        judge = Judge.open(library, space)
        assert judge is not None
        query = open_text(library, space).encode(["colourful squares"])
        ids = np.arange(1, 7)
        found = judged(library, judge, query, ids)
        with library.reading() as connection:
            held = spaces.vectors_of(connection, space.id, ids.tolist())
            values = catalog.values_of(connection, space.id, ids.tolist())
        images = Images(
            np.stack([held[i] for i in ids]).astype(np.float32),
            np.array([values[i] for i in ids]),
        )
        calibration = calibration_for("builtin", space.card.scoring)
        bank = open_bank(library, space)
        scores = highest(bank, *images, space.card.scoring)
        null = NullScores.of(bank, scores.astype(np.float32).astype(np.float64))
        setting = Setting(bank, space.card.scoring, calibration.usual, images, 6, null)
    table = evidence(see(query[0], setting), images, setting)
    right = probability(table, calibration, null.limits("colourful squares"))
    assert found.probability == pytest.approx(right, abs=1e-5)
    assert found.probability.dtype == np.float32
    assert found.level == levels_of(found.probability)


def test_what_is_not_stored_is_worked_out(indexed: World) -> None:
    ids = np.arange(1, 7)
    with indexed.open() as library:
        query = open_text(library, library.space()).encode(["a wall"])
        judge = Judge.open(library, library.space())
        assert judge is not None
        before = judged(library, judge, query, ids)
    indexed.sql("DELETE FROM background WHERE item_id > 2")
    with indexed.open() as library:
        judge = Judge.open(library, library.space())
        assert judge is not None
        after = judged(library, judge, query, ids)
    assert after.probability == pytest.approx(before.probability, abs=1e-5)


def test_items_that_have_no_vector_are_weak_and_new_ones_are_seen(indexed: World) -> None:
    with indexed.open() as library:
        query = open_text(library, library.space()).encode(["a wall"])
        judge = Judge.open(library, library.space())
        assert judge is not None
        ids = np.array([3, 999])
        found = judged(library, judge, query, ids)
        assert (found.probability[1], found.level[1]) == (0.0, Level.WEAK)
        indexed.draw("new.png", 99)
        indexed.index()
        found = judged(library, judge, query, np.array([7]))
        assert found.probability[0] > 0
        none = judged(library, judge, query, np.empty(0, np.int64))
        assert (len(none.probability), list(none.level)) == (0, [])


def test_a_space_is_read_again_only_where_it_has_changed(indexed: World) -> None:
    with indexed.open() as library:
        judge = Judge.open(library, library.space())
        assert judge is not None
        with library.reading() as connection:
            before = judge.setting(connection)
            assert judge.setting(connection) is before
        indexed.draw("new.png", 99)
        indexed.index()
        with library.reading() as connection:
            after = judge.setting(connection)
        assert (before.total, after.total) == (6, 7)
        assert (len(before.sample.vectors), len(after.sample.vectors)) == (6, 7)


def test_a_space_that_knows_no_words_has_no_judge(indexed: World) -> None:
    with indexed.open() as library:
        space = library.space()
        wordless = space._replace(card=replace(space.card, has_text=False))
        assert Judge.open(library, wordless) is None


def test_a_space_without_a_background_has_no_judge(indexed: World) -> None:
    indexed.sql("UPDATE space SET background_bank = 'of another release'")
    with indexed.open() as library:
        assert Judge.open(library, library.space()) is None
