"""The background of every item: stored once, renewed when its vector or the bank changes."""

from __future__ import annotations

import tomllib

import numpy as np
import pytest
from small_world import StopAfter, World

from pictor.library import caption_bank
from pictor.library.caption_bank import Bank, captions, digest_of, fill, log_sum_exp, open_bank
from pictor.library.catalog import caption_bank as catalog
from pictor.library.catalog import spaces
from pictor.library.config import presets_dir
from pictor.library.observer import SILENT, Silent
from pictor.library.records import Scoring


@pytest.fixture
def indexed(world: World) -> World:
    for i in range(5):
        world.draw(f"{i}.png", i)
    world.index()
    return world


def values(world: World) -> dict[int, float]:
    return dict(world.sql("SELECT item_id, value FROM background"))


def expected(world: World) -> dict[int, float]:
    """Worked out one item at a time, as the definition says."""
    with world.open() as library:
        space = library.space()
        bank = open_bank(library, space).vectors.astype(np.float64)
        with library.reading() as connection:
            blocks = list(spaces.vector_blocks(connection, space.id, space.dimension))
    scale = space.card.scoring.scale
    found = {}
    for ids, vectors in blocks:
        for item, vector in zip(ids.tolist(), vectors.astype(np.float64), strict=True):
            found[item] = float(np.log(np.mean(np.exp(scale * (bank @ vector)))))
    return found


def count_items_scored(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    counts: list[int] = []

    def counted(vectors: np.ndarray, bank: np.ndarray, scoring: Scoring) -> np.ndarray:
        counts.append(len(vectors))
        return log_sum_exp(vectors, bank, scoring)

    monkeypatch.setattr(caption_bank, "log_sum_exp", counted)
    return counts


# --- the bank


def test_the_bank_has_a_thousand_captions_half_of_them_chinese() -> None:
    data = tomllib.loads((presets_dir() / "background.toml").read_text(encoding="utf-8"))
    texts = captions()
    assert len(texts) == len(data["en"]) + len(data["zh"]) >= 1000
    assert len({text.casefold() for text in texts}) == len(texts)
    assert 0.4 < len(data["en"]) / len(texts) < 0.6
    is_chinese = ["\u4e00" <= text[0] <= "\u9fff" for text in texts]
    assert is_chinese == [False] * len(data["en"]) + [True] * len(data["zh"])
    assert all(text == text.strip() and 0 < len(text) <= 120 for text in texts)


def test_the_bank_is_encoded_once_and_kept(indexed: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with indexed.open() as library:
        first = open_bank(library, library.space())

        def refuse(*_: object) -> None:
            raise AssertionError("the text tower was opened again")

        monkeypatch.setattr(caption_bank.space_encoders, "open_text", refuse)
        second = open_bank(library, library.space())
    assert np.array_equal(first.vectors, second.vectors)
    assert (first.near, first.same, first.digest) == (second.near, second.same, second.digest)


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 no archive", None])
def test_a_damaged_or_lost_bank_is_made_again(indexed: World, damage: bytes | None) -> None:
    with indexed.open() as library:
        space = library.space()
        before = open_bank(library, space)
        (file,) = library.cache_dir(space, "background").glob("*.npz")
        if damage is None:
            file.unlink()
        else:
            file.write_bytes(damage)
        after = open_bank(library, space)
        assert np.allclose(before.vectors, after.vectors, atol=1e-5)
        assert file.stat().st_size > 100_000


def test_near_captions_are_those_of_one_subject() -> None:
    vectors = np.eye(8, dtype=np.float32)
    bank = Bank.of(tuple("abcdefgh"), vectors)
    assert bank.near == 0.0
    assert bank.same > bank.near


# --- what is stored


def test_a_run_stores_how_well_the_bank_explains_each_item(indexed: World) -> None:
    found, right = values(indexed), expected(indexed)
    assert found.keys() == right.keys()
    assert len(found) == 5
    assert found == pytest.approx(right, abs=1e-4)
    assert indexed.sql("SELECT background_bank FROM space") == [(digest_of(captions()),)]


def test_a_run_with_nothing_new_works_out_nothing(
    indexed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = count_items_scored(monkeypatch)
    indexed.index()
    assert counts == []
    indexed.draw("new.png", 77)
    indexed.index()
    assert counts == [1]
    assert values(indexed) == pytest.approx(expected(indexed), abs=1e-4)


def test_another_bank_drops_and_renews_everything(
    indexed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = values(indexed)
    other = captions()[:100]
    monkeypatch.setattr(caption_bank, "captions", lambda: other)
    indexed.index()
    after = values(indexed)
    assert after.keys() == before.keys()
    assert all(after[item] != before[item] for item in after)
    assert indexed.sql("SELECT background_bank FROM space") == [(digest_of(other),)]


def test_a_stopped_pass_is_gone_on_with(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(5):
        world.draw(f"{i}.png", i)
    with monkeypatch.context() as patch:
        patch.setattr("pictor.indexer.run.fill_background", lambda *_: None)
        world.index()
    monkeypatch.setattr(catalog, "BLOCK", 2)
    with world.open() as library, library.writer():
        observer = Silent()
        observer.should_stop = iter([False, True, True, True]).__next__  # type: ignore[method-assign]
        assert fill(library, library.space(), observer) == 2
        assert len(values(world)) == 2
        counts = count_items_scored(monkeypatch)
        assert fill(library, library.space(), SILENT) == 3
    assert counts == [2, 1]
    assert values(world) == pytest.approx(expected(world), abs=1e-4)


def test_a_run_that_is_stopped_leaves_the_rest_to_the_next(world: World) -> None:
    for i in range(5):
        world.draw(f"{i}.png", i)
    world.index(observer=StopAfter(2))
    world.index()
    assert values(world) == pytest.approx(expected(world), abs=1e-4)


def test_a_new_vector_drops_the_old_background(indexed: World) -> None:
    item = indexed.sql("SELECT MIN(id) FROM item")[0][0]
    with indexed.open() as library, library.writer(), library.writing() as connection:
        from pictor.library.catalog.contents import _write_vectors

        vector = np.zeros(library.space().dimension, np.float16)
        vector[0] = 1
        _write_vectors(connection, library.space().id, [(item, vector)])
    assert item not in values(indexed)
    indexed.index()
    assert values(indexed) == pytest.approx(expected(indexed), abs=1e-4)


def test_purged_items_take_their_background_with_them(indexed: World) -> None:
    from pictor.library.purge import purge

    (indexed.root / "0.png").unlink()
    indexed.index()
    with indexed.open() as library:
        purge(library)
    assert len(values(indexed)) == 4
    assert values(indexed) == pytest.approx(expected(indexed), abs=1e-4)


def test_spaces_of_images_only_have_none(indexed: World) -> None:
    from dataclasses import replace

    with indexed.open() as library, library.writer():
        space = library.space()
        blind = space._replace(card=replace(space.card, has_text=False))
        assert fill(library, blind, SILENT) == 0


def test_a_failure_is_a_notice_and_no_lost_run(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pictor.library.errors import ModelError

    def fail(*_: object) -> int:
        raise ModelError("the tower is gone")

    monkeypatch.setattr(caption_bank, "fill", fail)
    world.draw("a.png")
    summary = world.index()
    assert summary.indexed == 1
    assert any("the tower is gone" in notice for notice in summary.notices)


# --- the sample


def test_a_sample_is_all_of_a_small_space_and_spread_over_a_large_one(indexed: World) -> None:
    with indexed.open() as library, library.reading() as connection:
        space = library.space()
        ids, vectors = catalog.sample(connection, space.id, space.dimension, 100)
        assert (len(ids), vectors.shape) == (5, (5, space.dimension))
        ids, vectors = catalog.sample(connection, space.id, space.dimension, 2)
        assert ids.tolist() == [1, 5]
        stored = spaces.vectors_of(connection, space.id, [5])
        assert np.array_equal(vectors[1], stored[5])
        ids, vectors = catalog.sample(connection, 99, space.dimension, 10)
        assert (len(ids), vectors.shape) == (0, (0, space.dimension))


def test_scores_that_would_overflow_do_not() -> None:
    rng = np.random.default_rng(0)
    vectors, bank = (rng.standard_normal((n, 8)).astype(np.float32) for n in (3, 5))
    found = log_sum_exp(vectors, bank, Scoring("softmax", 1e4, -3.0))
    assert np.isfinite(found).all()
    assert log_sum_exp(vectors[:0], bank, Scoring()).shape == (0,)
