"""Captions in every layout, also damaged and hostile ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pictor.evaluation.captions import CaptionSet, captions_in
from pictor.evaluation.problems import Problems
from pictor.evaluation.record_files import MAX_LINE_BYTES, read
from pictor.library.errors import EvaluationError


def lines(*records: Any) -> bytes:
    return b"".join(
        (record if isinstance(record, bytes) else json.dumps(record).encode()) + b"\n"
        for record in records
    )


def load(folder: Path, data: bytes | dict[str, Any], **options: Any) -> tuple[CaptionSet, Problems]:
    path = folder / "captions"
    path.write_bytes(json.dumps(data).encode() if isinstance(data, dict) else data)
    problems = Problems()
    return captions_in(path, read(path, problems), problems, **options), problems


def texts(found: CaptionSet) -> dict[str, list[tuple[str, tuple[str, ...]]]]:
    return {
        language: [(one.text, tuple(found.photos[i] for i in one.photos)) for one in captions]
        for language, captions in found.languages.items()
    }


def counts(problems: Problems) -> dict[str, tuple[int, int]]:
    return {one.kind: (one.count, one.left_out) for one in problems.listed()}


# --- layouts


def test_json_lines_by_language(tmp_path: Path) -> None:
    data = lines(
        {"image": "a.jpg", "en": ["a dog", " a cat "], "zh": "一只狗"},
        {"image": "b.jpg", "en": ["a car"], "zh": [], "other": ["not asked for"]},
    )
    found, problems = load(tmp_path, data)
    assert found.photos == ("a.jpg", "b.jpg")
    assert texts(found) == {
        "en": [("a dog", ("a.jpg",)), ("a cat", ("a.jpg",)), ("a car", ("b.jpg",))],
        "zh": [("一只狗", ("a.jpg",))],
    }
    assert counts(problems) == {}


def test_other_keys_are_languages_when_asked_for(tmp_path: Path) -> None:
    data = lines({"image": "a", "en": ["one"], "zh_translated": ["二"]})
    found, _ = load(tmp_path, data, languages=["zh_translated"])
    assert texts(found) == {"zh_translated": [("二", ("a",))]}


@pytest.mark.parametrize(("text", "language"), [("a dog", "en"), ("一只狗", "zh")])
def test_captions_without_a_language_have_the_one_they_are_written_in(
    tmp_path: Path, text: str, language: str
) -> None:
    found, _ = load(tmp_path, lines({"image": "a", "captions": [text]}))
    assert list(found.languages) == [language]
    found, _ = load(tmp_path, lines({"image": "a", "captions": [text]}), languages=["de"])
    assert list(found.languages) == ["de"]


def test_captions_may_be_an_object_by_language(tmp_path: Path) -> None:
    data = lines({"image": "a", "captions": {"en": "one", "zh": ["二"]}})
    assert texts(load(tmp_path, data)[0]) == {"en": [("one", ("a",))], "zh": [("二", ("a",))]}


def test_a_json_array_of_records_is_as_good_as_lines(tmp_path: Path) -> None:
    data = json.dumps([{"image": "a", "en": ["one"]}, {"image": "b", "en": ["two"]}], indent=1)
    assert load(tmp_path, data.encode())[0].photos == ("a", "b")


def test_coco(tmp_path: Path) -> None:
    document = {
        "images": [{"id": 7, "file_name": "7.jpg"}, {"id": 8, "file_name": "8.jpg"}],
        "annotations": [
            {"id": 1, "image_id": 7, "caption": "a dog"},
            {"id": 2, "image_id": 7, "caption": "a cat"},
            {"id": 2, "image_id": 7, "caption": "a cat"},
            {"id": 3, "image_id": 9, "caption": "no image"},
            {"id": 4, "image_id": 7},
            "no object",
        ],
    }
    found, problems = load(tmp_path, document)
    assert found.photos == ("7.jpg",)  # 8.jpg has no caption: it is no candidate
    assert texts(found) == {"en": [("a dog", ("7.jpg",)), ("a cat", ("7.jpg",))]}
    assert counts(problems) == {
        "duplicate_caption": (1, 1),
        "no_image": (1, 1),
        "no_caption": (1, 1),
        "bad_line": (1, 1),
    }


def karpathy(**more: Any) -> dict[str, Any]:
    image = {"filename": "a.jpg", "split": "test", "sentences": [{"raw": "a dog ."}]}
    other = {"filename": "b.jpg", "split": "train", "sentences": [{"raw": "a cat ."}]}
    return {"dataset": "flickr8k", "images": [image | more, other]}


def test_karpathy_takes_the_test_split_unless_told(tmp_path: Path) -> None:
    assert texts(load(tmp_path, karpathy())[0]) == {"en": [("a dog .", ("a.jpg",))]}
    found, _ = load(tmp_path, karpathy(), split="train")
    assert found.photos == ("b.jpg",)
    assert load(tmp_path, karpathy(filepath="val2014"))[0].photos == ("val2014/a.jpg",)
    with pytest.raises(EvaluationError, match="no split 'val', only test, train"):
        load(tmp_path, karpathy(), split="val")


def test_split_of_json_lines(tmp_path: Path) -> None:
    data = lines(
        {"image": "a", "en": ["x"], "split": "test"}, {"image": "b", "en": ["y"], "split": "val"}
    )
    assert load(tmp_path, data)[0].photos == ("a", "b")
    assert load(tmp_path, data, split="val")[0].photos == ("b",)


def test_chinese_clip_layout_has_captions_with_several_photos(tmp_path: Path) -> None:
    data = lines(
        {"text_id": 1, "text": "高级感托特包斜挎", "image_ids": [30, 20]},
        {"text_id": 2, "text": "牛仔裤", "image_ids": [20]},
        {"text_id": 2, "text": "牛仔裤", "image_ids": [20]},
        {"text_id": 3, "text": "无图", "image_ids": []},
        {"text_id": 4, "image_ids": [20]},
    )
    found, problems = load(tmp_path, data)
    assert found.is_by_id
    assert texts(found) == {"zh": [("高级感托特包斜挎", ("30", "20")), ("牛仔裤", ("20",))]}
    assert counts(problems) == {
        "duplicate_caption": (1, 1),
        "no_image": (1, 1),
        "no_caption": (1, 1),
    }


# --- damage


def test_what_is_malformed_is_counted_and_left_out(tmp_path: Path) -> None:
    data = lines(
        {"image": "a", "en": ["one", "", "  ", 7, None, "one"]},
        b"{broken",
        b"[1, 2]",
        b'"text"',
        b"\xff\xfe{}",
        b'{"image": "a\xff", "en": ["x"]}',
        {"en": ["no image"]},
        {"image": 7, "en": ["x"]},
        {"image": "", "en": ["x"]},
        {"image": "b"},
        {"image": "a", "en": ["one", "two"]},
        b"",
    )
    found, problems = load(tmp_path, data)
    assert [text for text, _ in texts(found)["en"]] == ["one", "one", "two"]
    assert counts(problems) == {
        "bad_line": (5, 5),
        "no_image": (3, 3),
        "no_caption": (1, 1),
        "empty_caption": (4, 4),
        "duplicate_caption": (1, 1),
        "repeated_caption": (1, 0),
        "duplicate_image": (1, 0),
    }


def test_huge_and_deep_lines_are_left_out(tmp_path: Path) -> None:
    huge = b'{"image": "a", "en": ["' + b"x" * MAX_LINE_BYTES + b'"]}'
    deep = b'{"image": "a", "en": ' + b"[" * 100_000
    digits = b'{"image": "a", "n": ' + b"9" * 10_000 + b"}"
    found, problems = load(tmp_path, lines(huge, deep, digits, {"image": "b", "en": ["y"]}))
    assert found.photos == ("b",)
    assert counts(problems) == {"bad_line": (3, 3)}


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    data = b'\xef\xbb\xbf{"image": "a", "en": ["x"]}\r\n{"image": "b", "en": ["y"]}\r\n'
    assert load(tmp_path, data)[0].photos == ("a", "b")


@pytest.mark.parametrize(
    "data", [b"", b"\n\n", b"no json", b"\x00\x01", b"{}", b"[]", b"null", b'{"images": []}']
)
def test_nothing_left_is_one_error(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(EvaluationError):
        load(tmp_path, data)


def test_a_language_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    data = lines({"image": "a", "en": ["x"]})
    with pytest.raises(EvaluationError, match="'zh'"):
        load(tmp_path, data, languages=["en", "zh"])


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path, tmp_path / "nul\0byte"):
        with pytest.raises(EvaluationError):
            read(path, Problems())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
KEYS = ("image", "en", "captions", "image_ids", "text", "text_id", "images", "annotations", "split")
RECORDS = st.dictionaries(st.sampled_from(KEYS), JSON, max_size=5)


@settings(max_examples=200, deadline=None)
@given(st.lists(RECORDS | JSON, max_size=4), st.binary(max_size=20))
def test_no_file_makes_anything_but_a_set_or_an_error(
    tmp_path_factory: pytest.TempPathFactory, records: list[Any], rest: bytes
) -> None:
    data = b"".join(json.dumps(record).encode() + b"\n" for record in records) + rest
    try:
        found, _ = load(tmp_path_factory.getbasetemp(), data)
    except EvaluationError:
        return
    assert all(found.languages.values())
    for captions in found.languages.values():
        assert all(caption.text.strip() and caption.photos for caption in captions)
