"""What the engine does with a ranking: filters, pages, folding, dates, words, levels, negation."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image
from small_world import World

from pictor.library import space_encoders
from pictor.library.catalog import contents, spaces
from pictor.library.catalog.rows import SpaceRow
from pictor.library.errors import QueryError
from pictor.library.records import BoolVector, FloatMatrix, FloatVector, Hit, IdArray, Level
from pictor.search import candidates, negative_parts, neighbours, pages
from pictor.search.engine import Engine
from pictor.search.options import SearchOptions
from pictor.search.plan import Ranking
from pictor.search.query import Query, WordsPart, image, parse, words
from pictor.search.ranking.negation import TAKEN_OFF

COLOURS = {
    "red": (255, 0, 0),
    "green": (0, 160, 0),
    "blue": (0, 0, 255),
    "yellow": (255, 230, 0),
    "grey": (128, 128, 128),
}
ALL = SearchOptions(top=1000, minimum="any", is_folded=False)
ROUNDING = 1e-6  # of two ways to compute one cosine


class Judgement(NamedTuple):
    probability: FloatVector
    level: Sequence[Level]


class ByScore:
    """A judge for tests: the probability is the cosine's place between two bounds."""

    def __init__(self, possible: float, likely: float) -> None:
        self.possible = possible
        self.likely = likely
        self.judged: list[int] = []

    calibration = None
    limits = None

    def of(self, _: object, query: FloatMatrix, text: str) -> ByScore:
        self.query = query
        return self

    def judge(self, _: object, item_ids: IdArray, vectors: Mapping[int, FloatVector]) -> Judgement:
        self.judged += item_ids.tolist()
        scores = np.array([vectors[item] @ self.query[0] for item in item_ids.tolist()], np.float32)
        levels = [
            Level.LIKELY
            if s >= self.likely - ROUNDING
            else Level.POSSIBLE
            if s >= self.possible - ROUNDING
            else Level.WEAK
            for s in scores.tolist()
        ]
        return Judgement(np.clip(scores, 0, 1), levels)

    def setting(self, _: object) -> None:
        return None

    def images(self, _: object, item_ids: Sequence[int], vectors: FloatMatrix) -> FloatMatrix:
        return vectors

    def explains(
        self, query: FloatMatrix, negated: FloatMatrix, vectors: FloatMatrix, *_: object
    ) -> BoolVector:
        return np.asarray((vectors @ negated.T).max(axis=1) >= self.likely)


@contextmanager
def engine_of(world: World, judge: ByScore | None = None) -> Iterator[Engine]:
    world.monkeypatch.setattr(Engine, "_judge", lambda self, space: judge)
    if judge is not None:
        world.monkeypatch.setattr(negative_parts, "explains", judge.explains)
    with world.open() as library, Engine(library) as opened:
        yield opened


def ask(
    world: World, query: str | Query, options: SearchOptions = ALL, judge: ByScore | None = None
) -> Ranking:
    with engine_of(world, judge) as opened:
        return opened.search(parse(query) if isinstance(query, str) else query, options)


def names(hits: Sequence[Hit]) -> list[str]:
    return [os.path.basename(os.fsdecode(hit.path)) for hit in hits]


@pytest.fixture(scope="module")
def dated_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Colours with the year they were taken: 2020.png has none."""
    world = World(tmp_path_factory.mktemp("dated"), patch := pytest.MonkeyPatch())
    for year, (name, rgb) in enumerate(COLOURS.items(), 2020):
        picture = Image.new("RGB", (64, 48 if year % 2 else 80), rgb)
        exif = Image.Exif()
        if name != "red":
            exif[0x8769] = {0x9003: f"{year}:05:06 07:08:09"}
        path = world.root / f"{year}" / f"{name}.jpg"
        path.parent.mkdir()
        picture.save(path, exif=exif)
    world.index()
    patch.undo()
    return world.folder


@pytest.fixture
def dated(world: World, dated_folder: Path) -> World:
    world.become(dated_folder)
    return world


# --- filters


def test_a_filter_keeps_what_passes_in_the_same_order(dated: World) -> None:
    everything = names(ask(dated, "a picture").hits)
    kept = names(ask(dated, "a picture after:2022 -is:portrait").hits)
    assert kept == ["yellow.jpg"]
    assert names(ask(dated, "a picture -after:2000").hits) == ["red.jpg"]
    found = names(ask(dated, "a picture (taken:2021 or taken:2023)").hits)
    assert found == [name for name in everything if name in ("green.jpg", "yellow.jpg")]


def test_a_filter_alone_lists_the_newest_first(dated: World) -> None:
    ranking = ask(dated, "type:image")
    assert names(ranking.hits) == ["grey.jpg", "yellow.jpg", "blue.jpg", "green.jpg", "red.jpg"]
    assert all((hit.score, hit.level, hit.why) == (0.0, None, ()) for hit in ranking.hits)
    assert not ranking.plan.lacks_levels
    oldest = ask(dated, "type:image", replace(ALL, order="oldest"))
    assert names(oldest.hits) == ["green.jpg", "blue.jpg", "yellow.jpg", "grey.jpg", "red.jpg"]


def test_a_filter_shows_the_copy_it_asks_for(dated: World) -> None:
    (dated.root / "copies").mkdir()
    shutil.copy(dated.root / "2021" / "green.jpg", dated.root / "copies" / "zz.jpg")
    dated.index()
    (hit,) = ask(dated, "a picture dir:copies").hits
    assert hit.path.endswith(b"/copies/zz.jpg")
    assert [os.path.basename(path) for path in hit.other_paths] == [b"green.jpg"]


def test_missing_files_pass_no_filter_and_are_no_hits(dated: World) -> None:
    (dated.root / "2023" / "yellow.jpg").unlink()
    dated.index()
    assert "yellow.jpg" not in names(ask(dated, "a picture").hits)
    assert names(ask(dated, "dir:2023").hits) == []
    assert names(ask(dated, "taken:2023").hits) == []


# --- pages


@pytest.fixture(scope="module")
def noisy_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 pictures whose vectors are drawn: thirty, each with one that is near-identical."""
    world = World(tmp_path_factory.mktemp("noisy"), patch := pytest.MonkeyPatch())
    for i in range(60):
        world.draw(f"{i:02}.png", i, size=16)
    world.index()
    rng = np.random.default_rng(20261121)
    with world.open() as library, library.writer(), library.writing() as connection:
        space = library.space()
        rows = rng.standard_normal((30, space.dimension)).repeat(2, axis=0)
        rows += 0.05 * rng.standard_normal(rows.shape)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        pairs = list(zip(range(1, 61), rows.astype(np.float16), strict=True))
        contents._write_vectors(connection, space.id, pairs)
    patch.undo()
    return world.folder


@pytest.fixture
def noisy(world: World, noisy_folder: Path) -> World:
    world.become(noisy_folder)
    return world


@pytest.mark.parametrize(
    "options",
    [
        ALL,
        replace(ALL, is_folded=True),
        replace(ALL, diversity=0.5),
        replace(ALL, order="newest"),
        replace(ALL, minimum="possible", is_folded=True),
    ],
)
@pytest.mark.parametrize("query", ["a picture", "noise dir:photos", "type:image"])
def test_pages_together_are_one_long_page(
    noisy: World, monkeypatch: pytest.MonkeyPatch, options: SearchOptions, query: str
) -> None:
    for module, name in ((neighbours, "FIRST"), (candidates, "FIRST")):
        monkeypatch.setattr(module, name, 8)  # so that the index is asked again and again
    monkeypatch.setattr(neighbours, "LOOK_FIRST_ABOVE", 0)
    monkeypatch.setattr(neighbours, "RARE", 0.0)
    judge = ByScore(possible=-1.0, likely=0.1)
    with engine_of(noisy, judge) as opened:
        whole = opened.search(parse(query), replace(options, top=60)).hits
        shown = [
            hit
            for offset in range(0, 60, 7)
            for hit in opened.search(parse(query), replace(options, top=7, offset=offset)).hits
        ]
    assert len(whole) > 10
    assert [hit.item for hit in shown] == [hit.item for hit in whole]
    assert [hit.rank for hit in shown] == list(range(1, len(whole) + 1))


# --- folding and diversity


def test_near_identical_hits_are_one_unless_asked_otherwise(world: World) -> None:
    world.draw("noise.png", 5, size=200)
    with Image.open(world.root / "noise.png") as picture:
        picture.convert("RGB").save(world.root / "again.jpg", quality=95)
    world.draw("other.png", 6)
    world.index()
    asked = Query((image(world.root / "noise.png"),))
    folded = ask(world, asked, replace(ALL, is_folded=True))
    assert len(folded.hits) == 2
    assert folded.hits[0].folded == (os.fsencode(world.root / "again.jpg"),)
    assert folded.plan.trace.folded == 1
    assert len(ask(world, asked, ALL).hits) == 3


def test_diversity_puts_what_differs_before_what_is_alike(
    noisy: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = [hit.item for hit in ask(noisy, "a picture", ALL).hits]
    diverse = [hit.item for hit in ask(noisy, "a picture", replace(ALL, diversity=1.0)).hits]
    assert sorted(plain) == sorted(diverse)
    assert plain[0] == diverse[0]
    assert plain != diverse
    monkeypatch.setattr(pages, "DIVERSITY_POOL", 5)
    short = [hit.item for hit in ask(noisy, "a picture", replace(ALL, diversity=1.0)).hits]
    assert short[5:] == plain[5:]


# --- levels


def test_levels_cut_off_what_is_weak(noisy: World) -> None:
    scores = [hit.score for hit in ask(noisy, "a picture").hits]
    judge = ByScore(possible=scores[9], likely=scores[4])
    options = replace(ALL, minimum=None)
    ranking = ask(noisy, "a picture", options, judge)
    assert [hit.level for hit in ranking.hits] == [Level.LIKELY] * 5 + [Level.POSSIBLE] * 5
    assert all(hit.probability == pytest.approx(max(hit.score, 0)) for hit in ranking.hits)
    assert ranking.plan.trace.levels == {"likely": 5, "possible": 5, "weak": 50}
    assert len(ask(noisy, "a picture", replace(ALL, minimum="likely"), judge).hits) == 5
    assert len(ask(noisy, "a picture", ALL, judge).hits) == 60
    nothing = ask(noisy, "a picture", options, ByScore(2.0, 2.0))
    assert nothing.hits == ()
    assert not nothing.plan.lacks_levels


def test_a_search_ends_after_enough_weak_candidates(
    noisy: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbours, "FIRST", 5)
    monkeypatch.setattr("pictor.search.cutoff.SLICE", 5)
    monkeypatch.setattr("pictor.search.cutoff.STOP_AFTER", 10)
    monkeypatch.setattr("pictor.search.cutoff.MOST", 5)
    judge = ByScore(2.0, 2.0)
    assert ask(noisy, "a picture", replace(ALL, minimum=None), judge).hits == ()
    assert len(judge.judged) == 10


def test_without_levels_nothing_is_cut_off_and_the_plan_says_so(noisy: World) -> None:
    ranking = ask(noisy, "a picture", replace(ALL, minimum="likely"))
    assert len(ranking.hits) == 60
    assert ranking.plan.lacks_levels
    assert "no levels yet" in "\n".join(ranking.plan.lines())


def test_pictures_are_not_judged_against_captions(noisy: World) -> None:
    judge = ByScore(2.0, 2.0)
    ranking = ask(noisy, Query((image(noisy.root / "00.png"),)), SearchOptions(top=9), judge)
    assert len(ranking.hits) == 9
    assert ranking.hits[0].level is None
    assert not ranking.plan.lacks_levels
    assert judge.judged == []


def test_dates_sort_the_likely_ones(dated: World) -> None:
    scores = sorted((hit.score for hit in ask(dated, "a picture").hits), reverse=True)
    likely = names(ask(dated, "a picture").hits)[:3]
    judge = ByScore(possible=-1.0, likely=scores[2])
    order = ["grey.jpg", "yellow.jpg", "blue.jpg", "green.jpg", "red.jpg"]
    newest = ask(dated, "a picture", replace(ALL, minimum=None, order="newest"), judge)
    assert names(newest.hits) == [name for name in order if name in likely]
    every = ask(dated, "a picture", replace(ALL, minimum="possible", order="newest"), judge)
    assert names(every.hits) == order


def test_without_levels_only_the_best_are_sorted_by_date(
    dated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "UNJUDGED_POOL", 2)
    best = names(ask(dated, "a picture").hits)[:2]
    assert set(names(ask(dated, "a picture", replace(ALL, order="oldest")).hits)) == set(best)


# --- negative parts


def test_negative_parts_leave_out_what_they_explain(dated: World) -> None:
    asked = 'a picture -"plain red color"'
    ranking = ask(dated, asked, ALL, ByScore(-1.0, 0.0))
    with_judge = names(ranking.hits)
    scores = {name: hit.score for name, hit in zip(*_scored(dated, "plain red color"), strict=True)}
    assert set(with_judge) == {name for name, score in scores.items() if score < 0}
    assert ranking.plan.trace.negated == 5 - len(with_judge)


def test_what_is_left_is_ranked_away_from_negative_words(dated: World) -> None:
    asked = ask(dated, 'a picture -"plain red color"', ALL, ByScore(-1.0, 2.0)).hits
    wanted = dict(zip(*_scored(dated, "a picture"), strict=True))
    absent = dict(zip(*_scored(dated, "plain red color"), strict=True))
    lead = {name: wanted[name].score - TAKEN_OFF * absent[name].score for name in wanted}
    assert names(asked) == sorted(lead, key=lambda name: -lead[name])
    for name, hit in zip(names(asked), asked, strict=True):
        assert hit.why[0].score == pytest.approx(wanted[name].score, abs=1e-4)


def test_without_levels_negation_compares_with_the_query(dated: World) -> None:
    by_name = {name: hit.score for name, hit in zip(*_scored(dated, "red car"), strict=True)}
    absent = {name: hit.score for name, hit in zip(*_scored(dated, "green grass"), strict=True)}
    kept = names(ask(dated, 'red car -"green grass"').hits)
    assert set(kept) == {name for name in by_name if by_name[name] >= absent[name]}
    assert 0 < len(kept) < 5


def test_a_negative_picture_leaves_out_what_is_like_it(noisy: World) -> None:
    kept = names(ask(noisy, f'a picture -"{noisy.root}/00.png"').hits)
    assert len(kept) == 58
    assert {"00.png", "01.png"}.isdisjoint(kept)


def test_nothing_but_negative_parts_lists_by_date_or_says_why_not(dated: World) -> None:
    with pytest.raises(QueryError, match="needs levels"):
        ask(dated, "-red")
    listed = names(ask(dated, "-red", ALL, ByScore(2.0, 2.0)).hits)
    assert listed == ["grey.jpg", "yellow.jpg", "blue.jpg", "green.jpg", "red.jpg"]


def _scored(world: World, text: str) -> tuple[list[str], Sequence[Hit]]:
    hits = ask(world, Query((words(text),))).hits
    return names(hits), hits


# --- several parts


def test_weights_move_a_query_between_its_parts(dated: World) -> None:
    def shares(weight: float) -> dict[str, float]:
        parts = (WordsPart("plain red color", weight), WordsPart("plain blue color"))
        hits = ask(dated, Query(parts)).hits
        return {name: hit.score for name, hit in zip(names(hits), hits, strict=True)}

    hits = ask(dated, Query((WordsPart("plain red color"),))).hits
    alone = {name: hit.score for name, hit in zip(names(hits), hits, strict=True)}
    light, heavy = shares(0.01), shares(100.0)
    assert heavy == pytest.approx(alone, abs=0.02)
    assert light != pytest.approx(alone, abs=0.02)


def test_why_gives_the_cosine_of_each_part(dated: World) -> None:
    parts = (words("plain red color"), image(dated.root / "2022" / "blue.jpg"))
    hit = next(h for h in ask(dated, Query(parts)).hits if h.path.endswith(b"blue.jpg"))
    assert [match.part for match in hit.why] == [str(part) for part in parts]
    assert hit.why[1].score == pytest.approx(1.0, abs=2e-3)
    (only,) = ask(dated, "plain red color").hits[0].why
    assert (only.how, only.space) == ("vector", "builtin")
    assert only.score == pytest.approx(ask(dated, "plain red color").hits[0].score)


# --- words


def test_an_exact_name_is_never_buried(noisy: World) -> None:
    noisy.draw("my holiday.png", 99)
    noisy.index()
    judge = ByScore(2.0, 2.0)  # finds nothing in any picture
    ranking = ask(noisy, "my holiday", SearchOptions(), judge)
    (hit,) = ranking.hits
    assert hit.path.endswith(b"my holiday.png")
    assert hit.level == Level.LIKELY
    assert hit.why[-1].how == "words" and hit.why[-1].is_exact
    assert hit.by_words and hit.found_by == "by name"
    (sure,) = ask(noisy, "my holiday", SearchOptions(top=1), ByScore(-2.0, -2.0)).hits
    assert not sure.by_words and sure.found_by == "by name"  # its vector says as much
    assert names(ask(noisy, "my holiday").hits)[0] == "my holiday.png"
    assert len(ask(noisy, "my holiday").hits) == 61
    assert names(ask(noisy, "my holiday has:gps").hits) == []


def test_a_pictures_own_name_comes_before_those_of_its_folder(noisy: World) -> None:
    for i in range(8):
        noisy.draw(f"harbour/{i}.png", 200 + i)
    noisy.draw("harbour.png", 300)
    noisy.index()
    options = SearchOptions(is_folded=False)
    found = ask(noisy, "harbour", options, ByScore(2.0, 2.0)).hits
    assert names(found)[0] == "harbour.png"
    assert sorted(names(found)[1:]) == [f"{i}.png" for i in range(8)]


@pytest.mark.parametrize("text", ["🐶🐶", "()", "- - -", "+++***", "\udc80\udcff", "龘"])
def test_a_text_of_no_known_word_finds_nothing_but_names(noisy: World, text: str) -> None:
    asked = Query((words(text),))
    ranking = ask(noisy, asked, SearchOptions(minimum="any"))
    assert (ranking.hits, ranking.plan.is_known) == ((), False)
    together = ask(noisy, Query((words("a wall"), words(text))))
    alone = ask(noisy, "a wall")
    assert names(together.hits) == names(alone.hits)


def test_a_name_of_no_known_word_is_found(noisy: World) -> None:
    noisy.draw("龘.png", 99)
    noisy.index()
    assert names(ask(noisy, "龘").hits) == ["龘.png"]


# --- several spaces


class Turned:
    """The built-in text tower, seen in a space whose axes are turned round."""

    def __init__(self, tower: object) -> None:
        self.tower = tower

    def encode(self, texts: Sequence[str]) -> FloatMatrix:
        rows: FloatMatrix = self.tower.encode(texts)[:, ::-1]  # type: ignore[attr-defined]
        return rows

    def knows(self, text: str) -> bool:
        return True


@pytest.fixture
def bilingual(dated: World) -> World:
    """A second space, of an encoder that knows Chinese best: the same vectors, turned round."""
    with dated.open() as library:
        builtin = library.space()
        card = replace(builtin.card, id="chinese", languages=("zh",))
        with library.reading() as connection:
            ids, vectors = next(spaces.vector_blocks(connection, builtin.id, builtin.dimension))
        with library.writer(), library.writing() as connection:
            space = spaces.add_space(connection, card, default=False)
            pairs = list(zip(ids.tolist(), vectors[:, ::-1], strict=True))
            contents._write_vectors(connection, space, pairs)
            spaces.set_state(connection, space, "ready")
    opened: Callable[..., object] = space_encoders.open_text

    def open_text(library: object, space: SpaceRow, threads: int) -> object:
        if space.encoder != "chinese":
            return opened(library, space)
        return Turned(opened(library, replace_encoder(space)))

    def replace_encoder(space: SpaceRow) -> SpaceRow:
        return space._replace(card=replace(space.card, id="builtin"), encoder="builtin")

    dated.monkeypatch.setattr(space_encoders, "open_text", open_text)
    return dated


def test_a_query_goes_to_the_space_that_knows_its_language(bilingual: World) -> None:
    assert ask(bilingual, "a picture").plan.spaces == ("builtin",)
    chinese = ask(bilingual, "一张红色的图")
    assert chinese.plan.spaces == ("chinese",)
    assert {hit.space for hit in chinese.hits} == {"chinese"}
    assert ask(bilingual, "一张红色的图", replace(ALL, encoder="builtin")).plan.spaces == (
        "builtin",
    )


def test_a_mixed_query_fuses_both_spaces(bilingual: World) -> None:
    mixed = ask(bilingual, "plain red 红色")
    assert set(mixed.plan.spaces) == {"builtin", "chinese"}
    alone = ask(bilingual, "plain red 红色", replace(ALL, encoder="builtin"))
    assert [hit.item for hit in mixed.hits] == [hit.item for hit in alone.hits]  # twins agree
    assert mixed.hits[0].score == pytest.approx(alone.hits[0].score, abs=1e-5)
