"""Queries for what is there and for what is not, from captions written for the purpose."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pictor.evaluation import concept_pairs
from pictor.evaluation.absence import CAPTION, WORD, Question, questions
from pictor.evaluation.captions import CaptionSet, PhotoCaption
from pictor.evaluation.concepts import Concept, kin, load_concepts, mentions, words_of
from pictor.evaluation.cutoff import precision_of, recall_of, threshold_at

DOG = Concept({"en": ("dog", "poodle"), "zh": ("狗",)})
BEAR = Concept({"en": ("bear",), "zh": ("熊",)}, exceptions=("熊猫",))
PANDA = Concept({"en": ("panda",), "zh": ("熊猫",)})
GRASS = Concept({"en": ("grass",), "zh": ("草",)})
MAN = Concept({"en": ("man", "men"), "zh": ("男人",)}, is_person=True)
TABLE_TENNIS = Concept({"en": ("table tennis",), "zh": ("乒乓球",)})


def captions(**languages: list[str]) -> CaptionSet:
    """One caption a photo and language, in the order of the photos."""
    groups = {
        language: tuple(PhotoCaption(text, (i,)) for i, text in enumerate(texts) if text)
        for language, texts in languages.items()
    }
    count = max(len(texts) for texts in languages.values())
    return CaptionSet(tuple(f"{i}.jpg" for i in range(count)), groups)


def ask(texts: CaptionSet, *concepts: Concept, lost: tuple[int, ...] = ()) -> list[Question]:
    available = ~np.isin(np.arange(len(texts.photos)), lost)
    return list(questions(texts, concepts, available).queries)


def shown(text: str, concept: Concept, language: str = "en") -> bool:
    return bool(mentions([concept], captions(**{language: [text]}))[0, 0])


# --- concepts


@pytest.mark.parametrize(
    ("text", "is_there"),
    [
        ("A dog runs.", True),
        ("two DOGS", True),
        ("a dog-sled", True),
        ("a hotdog", False),
        ("three poodles", True),
        ("狗在跑", True),
        ("dogma", False),
    ],
)
def test_names_are_whole_words_in_any_number_or_chinese_parts(text: str, is_there: bool) -> None:
    assert shown(text, DOG) is is_there


def test_a_word_that_only_holds_a_name_is_none() -> None:
    assert not shown("一只熊猫", BEAR)
    assert shown("一只熊和一只熊猫", BEAR)
    assert shown("一只熊猫", PANDA)


def test_a_name_of_two_words_does_not_span_captions() -> None:
    two = CaptionSet(
        ("0.jpg",), {"en": (PhotoCaption("a table", (0,)), PhotoCaption("tennis", (0,)))}
    )
    assert not mentions([TABLE_TENNIS], two)[0, 0]
    assert shown("men play table tennis", TABLE_TENNIS)


def test_captions_of_every_language_count() -> None:
    both = captions(en=["a picture"], zh=["狗"])
    assert mentions([DOG], both)[0, 0]


@given(st.text(max_size=40))
def test_any_text_has_words(text: str) -> None:
    assert words_of(text).startswith(" ")


def test_the_shipped_concepts_are_sound() -> None:
    concepts = load_concepts()
    assert len(concepts) > 400
    for language in ("en", "zh"):
        queries = [concept.query(language) for concept in concepts]
        assert len(set(queries)) > 0.97 * len(queries)
    assert 5 <= sum(concept.is_person for concept in concepts) <= 10
    for concept in concepts:
        assert all(
            any(name in other for name in concept.names["zh"]) for other in concept.exceptions
        )


# --- questions


def test_words_that_no_caption_mentions_are_absent() -> None:
    texts = captions(en=["a dog on grass"] * 3, zh=["狗", "草", ""])
    asked = ask(texts, DOG, BEAR)
    words = {(one.text, one.language): one.photos for one in asked if one.kind == WORD}
    assert words == {
        ("dog", "en"): (0, 1, 2),
        ("bear", "en"): (),
        ("狗", "zh"): (0, 1, 2),
        ("熊", "zh"): (),
    }


def test_photos_of_a_rare_concept_are_taken_out_with_what_is_only_about_it() -> None:
    rest = ["a dog on grass"] * 150
    texts = captions(en=["a man with a bear", *rest])
    found = questions(texts, [DOG, BEAR, GRASS, MAN], np.ones(151, bool))
    assert found.remains.tolist() == [False] + [True] * 150
    absent = [one for one in found.queries if one.is_absent]
    assert {(one.text, one.kind) for one in absent} == {
        ("bear", WORD),
        ("man", WORD),
        ("a man with a bear", CAPTION),  # men are no matter
    }


def test_a_caption_that_is_about_what_remains_too_is_not_absent() -> None:
    texts = captions(en=["a bear on grass", *["a dog on grass"] * 150])
    found = questions(texts, [DOG, BEAR, GRASS], np.ones(151, bool))
    assert not found.remains[0]
    assert [one.text for one in found.queries if one.is_absent] == ["bear"]


def test_photos_that_are_lost_are_neither_right_nor_taken_for_granted() -> None:
    texts = captions(en=["a dog", "a dog", "a bear"])
    asked = ask(texts, DOG, BEAR, lost=(0, 2))
    assert [(one.text, one.photos) for one in asked if one.kind == WORD] == [
        ("dog", (1,)),
        ("bear", ()),
    ] or all(2 not in one.photos and 0 not in one.photos for one in asked)


# --- figures


def test_recall_and_precision_by_hand() -> None:
    right = np.array([[1, 1, 0], [0, 0, 1], [0, 0, 0]], bool)
    hits = np.array([[1, 0, 1], [0, 0, 1], [1, 1, 1]], bool)
    assert recall_of(hits, right) == pytest.approx((0.5 + 1) / 2)
    assert precision_of(hits, right) == pytest.approx(2 / 3)  # absent queries have none
    assert precision_of(np.zeros_like(hits), right) is None


@given(
    arrays(np.float32, (4, 6), elements=st.floats(-1, 1, width=32)),
    arrays(np.bool_, (4, 6)),
    st.floats(0, 1),
)
def test_a_threshold_has_the_recall_that_was_asked_for_and_no_higher_one_does(
    scores: np.ndarray, right: np.ndarray, recall: float
) -> None:
    right[0, 0] = True
    threshold = threshold_at(recall, scores, right)
    assert recall_of(scores >= threshold, right) >= recall - 1e-6
    higher = scores[scores > threshold]
    if len(higher) and recall > 0:
        assert recall_of(scores >= higher.min(), right) < recall + 1e-6


# --- pairs to negate


def test_pairs_come_together_often_but_not_nearly_always() -> None:
    rows = np.zeros((4, 60), bool)
    rows[0, :40] = True  # wanted
    rows[1, 30:50] = True  # in 10 of them
    rows[2, :39] = True  # in nearly all
    rows[3, :4] = True  # in too few
    none = np.zeros((4, 4), bool)
    found = concept_pairs.pairs(rows, none | np.eye(4, dtype=bool))
    assert concept_pairs.Pair(0, 1) in found
    assert concept_pairs.Pair(0, 2) not in found
    assert concept_pairs.Pair(0, 3) not in found
    assert concept_pairs.pairs(rows, ~none) == []


def test_kin_share_a_name() -> None:
    child = Concept({"en": ("child", "boy"), "zh": ("孩子",)})
    boy = Concept({"en": ("boy",), "zh": ("男孩",)})
    assert kin([child, boy, BEAR, PANDA]).tolist() == [
        [True, True, False, False],
        [True, True, False, False],
        [False, False, True, True],  # 熊 is part of 熊猫
        [False, False, True, True],
    ]


def test_precision_counts_rows_that_are_lacking_as_wrong() -> None:
    photos = np.eye(4, dtype=np.float32)
    query = np.array([0.9, 0.4, 0.1, 0.0], np.float32)
    order = concept_pairs.left_out(query, photos, np.array([True, False, False, True]))
    assert order.tolist() == [1, 2]
    assert concept_pairs.precision(order, np.array([True, True, True, True])) == 0.2
    assert concept_pairs.plain(query - photos[0], photos).tolist() == [1, 2, 3, 0]
