"""Tagging passes over a small library: incremental, exact about whose tags are whose."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from pictor.library.catalog import spaces as catalog_spaces
from pictor.library.catalog import tags as catalog_tags
from pictor.library.catalog.schema import CONTENT
from pictor.library.errors import LabelError, QueryError
from pictor.library.observer import Progress, Silent
from pictor.tagging import manual_tags, run, thresholds
from pictor.tagging.labels import LabelSet, given_labels
from pictor.tagging.run import TagOptions, TagSummary, tag

COLOURS = replace(
    given_labels("colours", ["colour|red", "colour|green", "colour|blue", "dog"]),
    multi_label=True,
)
ALL = TagOptions(minimum=0.0)


@pytest.fixture
def small(world: Any) -> Any:
    for at, name in enumerate(("a.png", "b.png", "sub/c.png")):
        world.draw(name, at)
    world.index()
    return world


def _tag(world: Any, labels: LabelSet = COLOURS, options: TagOptions = ALL) -> TagSummary:
    with world.open() as library:
        return tag(library, labels, options)


def _tags(world: Any, name: str = "colours") -> list[tuple[Any, ...]]:
    return world.sql(
        "SELECT content_id, label, score FROM tag JOIN tag_set s ON s.id = set_id WHERE s.name = ?"
        " ORDER BY content_id, label",
        name,
    )


@pytest.fixture(autouse=True)
def _open_to_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every label pass, so that what a pass does can be counted, at any size of the space."""
    monkeypatch.setattr("pictor.tagging.thresholds.level", lambda *_: -1000.0)
    monkeypatch.setattr("pictor.tagging.run.GROWTH", 1000.0)


def test_a_pass_reads_no_picture_and_scores_all(small: Any) -> None:
    small.forget_work()
    summary = _tag(small)
    assert (summary.contents, summary.is_anew, summary.labels) == (3, True, 5)
    assert (small.decoded, small.encoded) == (0, 0)
    assert summary.tags == len(_tags(small)) > 0
    row = small.sql("SELECT kind, space_id, version, labels FROM tag_set")[0]
    assert row[0] == "labels" and row[1] == 1 and row[2] == summary.version
    assert '"threshold"' in row[3]


def test_scores_are_the_softmax_over_the_set(small: Any) -> None:
    labels = LabelSet("plain", given_labels("x", ["a dog", "a cat"]).labels, multi_label=True)
    _tag(small, labels)
    for content in {row[0] for row in _tags(small, "plain")}:
        scores = [row[2] for row in _tags(small, "plain") if row[0] == content]
        assert sum(scores) == pytest.approx(1, abs=2e-4)


def test_a_second_pass_scores_only_what_is_new(small: Any) -> None:
    first = _tag(small)
    before = _tags(small)
    assert _tag(small).contents == 0
    assert _tags(small) == before
    small.draw("d.png", 9)
    small.index()
    second = _tag(small)
    assert (second.contents, second.is_anew, second.version) == (1, False, first.version)
    assert [row for row in _tags(small) if row[0] <= 3] == before
    assert {row[0] for row in _tags(small)} == {1, 2, 3, 4}


def test_a_pass_that_goes_on_keeps_its_level(small: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _tag(small)
    monkeypatch.setattr("pictor.tagging.thresholds.level", lambda *_: 1000.0)
    small.draw("d.png", 9)
    small.index()
    assert _tag(small).contents == 1
    assert {row[0] for row in _tags(small)} == {1, 2, 3, 4}
    monkeypatch.undo()  # the space has grown by a third since
    monkeypatch.setattr("pictor.tagging.thresholds.level", lambda *_: 1000.0)
    grown = _tag(small)
    assert (grown.is_anew, grown.contents, grown.tags) == (True, 4, 0)


@pytest.mark.parametrize(("count", "size"), [(0, 0), (1, 0), (2, 4), (100, 25), (109, 26)])
def test_a_step_of_size_is_a_fifth(
    small: Any, count: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr("pictor.library.catalog.spaces.count_vectors", lambda *_: count)
    with small.open() as library:
        assert run._prepared(library, COLOURS, ALL).size == size


def test_the_level_is_set_by_the_photos_and_the_size_of_the_set(
    small: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[tuple[int, ...], int]] = []
    monkeypatch.setattr(
        "pictor.tagging.thresholds.level",
        lambda ahead, labels: asked.append((ahead.shape, labels)) or 1.23456,
    )
    _tag(small)
    names = len(thresholds.absent_labels(COLOURS.labels))
    assert asked == [((3, names), 5)]
    stored = json.loads(small.sql("SELECT labels FROM tag_set")[0][0])
    assert [one["threshold"] for one in stored] == [1.2346] * 5


def test_a_changed_set_replaces_only_its_own_tags(small: Any) -> None:
    _tag(small)
    _tag(small, given_labels("other", ["sky", "sea"]))
    other = _tags(small, "other")
    changed = _tag(small, given_labels("colours", ["colour|red", "violet"]))
    assert changed.is_anew and changed.contents == 3
    assert {row[1] for row in _tags(small)} <= {"colour", "red", "violet"}
    assert _tags(small, "other") == other


@pytest.mark.parametrize(
    "options",
    [TagOptions(minimum=0.5), TagOptions(minimum=0.0, templates=("ein Foto: {label}",))],
)
def test_another_threshold_or_template_is_another_version(small: Any, options: TagOptions) -> None:
    assert _tag(small).version != _tag(small, options=options).version


def test_peoples_tags_are_never_touched(small: Any) -> None:
    photo = bytes(small.root / "a.png")
    with small.open() as library:
        assert manual_tags.add(library, [photo], "places|Wien") == 1
        assert manual_tags.add(library, [photo, photo], "places|Wien") == 0
    _tag(small)
    _tag(small, given_labels("colours", ["dog"]))
    assert [row[1:] for row in _tags(small, "person")] == [("places|Wien", None)]
    with small.open() as library:
        with pytest.raises(LabelError, match="'dog' is a tag of the set 'colours', which"):
            manual_tags.remove(library, [photo], "dog")
        assert manual_tags.remove(library, [photo], "cat") == 0
        assert manual_tags.remove(library, [photo], "places|Wien") == 1
    assert _tags(small, "person") == []


def test_a_tag_for_a_file_that_is_none_changes_nothing(small: Any) -> None:
    with small.open() as library:
        with pytest.raises(LabelError, match=r"no photo of this library"):
            manual_tags.add(library, [bytes(small.root / "a.png"), b"/nowhere.png"], "x")
        with pytest.raises(LabelError):
            manual_tags.add(library, [bytes(small.root / "a.png")], " ")
    assert small.sql("SELECT count(*) FROM tag") == [(0,)]


def test_no_set_can_take_peoples_name(small: Any) -> None:
    with pytest.raises(LabelError, match="your own tags"):
        _tag(small, given_labels("person", ["dog"]))


def test_frames_of_an_animation_share_their_best_score(small: Any) -> None:
    from PIL import Image

    frames = [Image.new("RGB", (64, 64), colour) for colour in ("red", "green", "blue", "white")]
    frames[0].save(small.root / "moving.gif", save_all=True, append_images=frames[1:], duration=400)
    small.index()
    _tag(small)
    labels = [row[1] for row in _tags(small) if row[0] == 4]
    assert len(labels) == len(set(labels)) > 1


def test_a_pass_says_what_it_did_and_how_far_it_is(
    small: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Heard(Silent):
        def progress(self, progress: Progress) -> None:
            heard.append(progress)

    monkeypatch.setattr(catalog_tags, "BLOCK", 2)
    labels = replace(
        given_labels("x", ["dog", "cat"]), multi_label=True, templates=("b {}", "a {}")
    )
    for expected in ([(1, 3), (2, 3), (3, 3)], [(1, 0)]):
        heard: list[Progress] = []
        with small.open() as library:
            summary = tag(library, labels, TagOptions(minimum=0.0), Heard())
        tagged = [one for one in heard if one.doing == "tagging"]
        assert [(one.done, one.total) for one in tagged] == expected
        assert {one.unit for one in tagged} == {"photos"}
        count = 3 if summary.is_anew else 4
        assert (summary.contents, summary.tags, summary.tagged) == (
            tagged[-1].done,
            2 * count,
            count,
        )
        assert (summary.name, summary.space, summary.minimum) == ("x", "builtin", 0.0)
        assert 0 < summary.seconds == round(summary.seconds, 3)
        small.draw("d.png", 9)
        small.index()
    stored, templates = small.sql("SELECT labels, templates FROM tag_set")[0]
    assert [one["threshold"] for one in json.loads(stored)] == [-1000, -1000]
    assert json.loads(templates) == ["a {}", "b {}"]
    assert all(row[2] == round(row[2], 4) for row in _tags(small, "x"))


def test_the_first_space_that_knows_words_is_tagged(small: Any) -> None:
    with small.open() as library:
        card = replace(library.space().card, id="wordless", has_text=False)
        with library.writer(), library.writing() as connection:
            space = catalog_spaces.add_space(connection, card, default=True)
            catalog_spaces.set_state(connection, space, "ready")
    assert _tag(small).space == "builtin"


def test_a_least_score_is_the_familys_unless_one_is_given(small: Any) -> None:
    one, several = given_labels("x", ["dog", "cat"]), COLOURS
    assert _tag(small, one, TagOptions()).minimum == 0.3
    assert _tag(small, several, TagOptions()).minimum == 0.2
    assert _tag(small, replace(one, minimum=0.7), TagOptions()).minimum == 0.7
    assert _tag(small, replace(one, minimum=0.7), TagOptions(minimum=0.6)).minimum == 0.6


def test_an_interrupted_pass_leaves_nothing(small: Any) -> None:
    class Stop(Silent):
        def should_stop(self) -> bool:
            return True

    with small.open() as library:
        summary = tag(library, COLOURS, ALL, Stop())
    assert (summary.stopped, summary.contents, summary.tags, summary.tagged) == (True, 0, 0, 0)
    assert small.sql("SELECT count(*) FROM tag_set") == [(0,)]


def test_a_pass_that_is_stopped_between_blocks_leaves_nothing(
    small: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stop(Silent):
        is_begun = False

        def progress(self, progress: Progress) -> None:
            self.is_begun |= progress.doing == "tagging"

        def should_stop(self) -> bool:
            return self.is_begun

    monkeypatch.setattr(catalog_tags, "BLOCK", 2)
    with small.open() as library:
        summary = tag(library, COLOURS, ALL, Stop())
    assert (summary.stopped, summary.contents, summary.tags) == (True, 0, 0)
    assert small.sql("SELECT count(*) FROM tag_set") == [(0,)]


def test_blocks_cut_no_content_in_two(small: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = _tag(small) and _tags(small)
    monkeypatch.setattr(catalog_tags, "BLOCK", 2)
    _tag(small, options=TagOptions(minimum=0.0, name="again"))
    assert _tags(small, "again") == whole


def test_tags_go_with_their_contents(small: Any) -> None:
    from pictor.library.purge import purge

    _tag(small)
    (small.root / "a.png").unlink()
    small.index()
    with small.open() as library:
        with library.reading() as connection:
            assert max(one.contents for one in catalog_tags.counts(connection)) == 2
        purge(library, [])
    assert {row[0] for row in _tags(small)} == {2, 3}


def test_an_encoder_without_words_cannot_tag(
    small: Any, tiny_checkpoint: Callable[[str], Path]
) -> None:
    small.index(encoders=(str(tiny_checkpoint("vit")),))
    with pytest.raises(QueryError, match="no text tower"):
        _tag(small, options=TagOptions(encoder=str(tiny_checkpoint("vit"))))


# --- as filters


def _found(world: Any, make: Callable[..., Any], name: str) -> set[int]:
    with world.open() as library, library.reading() as connection:
        where = make(connection, name)
        return set(connection.scalars(select(CONTENT.c.id).where(where)))


def test_tags_are_found_by_any_name_and_letter_case(small: Any) -> None:
    from pictor.tagging.labels import Label

    dog = Label("dog", {"en": ("dog", "hound"), "zh": ("狗",)}, "animal")
    labels = LabelSet(
        "pets", (Label("animal", {"en": ("animal",), "zh": ("动物",)}), dog), multi_label=True
    )
    _tag(small, labels)
    for name in ("dog", "Hound", "狗", "ANIMAL", "动物"):
        assert _found(small, catalog_tags.contents_with, name) == {1, 2, 3}, name
    for name in ("do", "dogs", "", "%", "x' OR 1=1 --"):
        with pytest.raises(QueryError, match=r"^no tag "):
            _found(small, catalog_tags.contents_with, name)
    assert _found(small, catalog_tags.contents_of_set, "PETS") == {1, 2, 3}
    with pytest.raises(
        QueryError, match=r"^no label set 'pet' was applied; did you mean 'pets'\?$"
    ):
        _found(small, catalog_tags.contents_of_set, "pet")


def test_a_tag_that_no_set_knows_is_said_with_the_nearest(small: Any) -> None:
    for make, said in (
        (catalog_tags.contents_with, "no tag 'kat': nothing is tagged yet"),
        (catalog_tags.contents_of_set, "no label set 'kat' was applied: nothing is tagged yet"),
    ):
        with pytest.raises(QueryError) as error:
            _found(small, make, "kat")
        assert str(error.value) == said
    _tag(small, given_labels("x", ["cat", "boat"]))
    with small.open() as library:
        manual_tags.add(library, [bytes(small.root / "a.png")], "places|Wien")
    for name, said in (
        ("Kat", "no tag 'Kat'; did you mean 'cat'?"),
        ("vien", "no tag 'vien'; did you mean 'wien'?"),
        ("zzz", "no tag 'zzz'"),
    ):
        with pytest.raises(QueryError) as error:
            _found(small, catalog_tags.contents_with, name)
        assert str(error.value) == said
    with small.open() as library:  # a label of an applied set is known, also where no photo has it
        tag(library, given_labels("x", ["cat", "boat"]), TagOptions(minimum=1.0))
    assert _found(small, catalog_tags.contents_with, "cat") == set()


def test_a_persons_path_is_found_by_its_parts(small: Any) -> None:
    with small.open() as library:
        manual_tags.add(library, [bytes(small.root / "b.png")], "Orte|Österreich|Wien")
    for name in ("wien", "Österreich", "orte", "Orte|Österreich|Wien"):
        assert len(_found(small, catalog_tags.contents_with, name)) == 1, name
    with pytest.raises(QueryError, match=r"^no tag .ort.; did"):
        _found(small, catalog_tags.contents_with, "ort")
