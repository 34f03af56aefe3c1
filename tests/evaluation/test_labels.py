"""Labels and their names, and zero-shot figures by hand and against transformers."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from pictor.evaluation.bench import Bench, Photos
from pictor.evaluation.labels import (
    LabelledPhotos,
    labelled_by_folder,
    labelled_by_lines,
    own_names,
    read_names,
)
from pictor.evaluation.problems import Problems
from pictor.evaluation.record_files import Record
from pictor.evaluation.task import Measured, ZeroShotResult
from pictor.evaluation.zero_shot import ZeroShot, probabilities
from pictor.library.errors import EvaluationError
from pictor.library.records import EncoderCard, FloatMatrix, Scoring


def kinds(problems: Problems | Measured) -> dict[str, int]:
    listed = problems.listed() if isinstance(problems, Problems) else problems.problems
    return {one.kind: one.count for one in listed}


# --- photos with labels


def test_a_folder_a_class(tmp_path: Path) -> None:
    root = tmp_path / "root"
    for name in (
        "cat/1.jpg",
        "cat/deep/2.jpg",
        "dog/1.jpg",
        ".git/x.jpg",
        "cat/.hidden",
        "top.txt",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    found = labelled_by_folder(root)
    assert found.photos == ("cat/1.jpg", "cat/deep/2.jpg", "dog/1.jpg")
    assert found.labels == ("cat", "cat", "dog")


def test_a_folder_without_classes_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x")
    with pytest.raises(EvaluationError, match="no subfolder"):
        labelled_by_folder(tmp_path)


def test_lines_with_labels() -> None:
    data: list[dict[str, Any]] = [
        {"image": "a", "label": "cat"},
        {"image": "b", "label": "dog"},
        {"image": "a", "label": "cat"},
        {"image": "b", "label": "cow"},
        {"image": "c", "label": ""},
        {"image": "d"},
        {"label": "cat"},
    ]
    problems = Problems()
    records = [Record(one, f"line {i}") for i, one in enumerate(data, 1)]
    found = labelled_by_lines(Path("x"), records, problems)
    assert (found.photos, found.labels) == (("a",), ("cat",))
    assert kinds(problems) == {
        "duplicate_image": 1,
        "several_labels": 1,
        "no_label": 2,
        "no_image": 1,
    }


# --- names


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.toml", '[cat]\nen = ["cat", "kitty"]\nzh = "猫"\n[dog]\nen = "dog"\n'),
        ("x.json", '{"cat": {"en": ["cat", "kitty"], "zh": "猫"}, "dog": {"en": "dog"}}'),
        ("x.jsonl", '{"label": "cat", "en": ["cat", "kitty"], "zh": ["猫"]}\n'
         '{"label": "dog", "en": "dog"}\n'),
    ],
)  # fmt: skip
def test_names_of_labels_by_language(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert read_names(tmp_path / name) == {
        "en": {"cat": ("cat", "kitty"), "dog": ("dog",)},
        "zh": {"cat": ("猫",)},
    }


def test_names_without_a_language(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text('{"n01": "猫", "n02": ["狗", "犬"]}')
    assert read_names(path) == {"zh": {"n01": ("猫",), "n02": ("狗", "犬")}}
    path.write_text('{"label": "n01", "name": "cat"}')
    assert read_names(path) == {"en": {"n01": ("cat",)}}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.toml", "no toml"),
        ("x.json", "{broken"),
        ("x.json", "[]"),
        ("x.json", '{"cat": ""}'),
        ("x.json", '{"cat": {}}'),
        ("x.json", '{"cat": {"en": [7]}}'),
        ("x.json", "[" * 100_000),
        ("x.jsonl", '{"label": "cat"}\n{"name": "dog"}'),
        ("x.jsonl", '{"label": "cat", "en": "cat"}\nbroken'),
    ],
)
def test_a_damaged_file_of_names_is_one_error(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(EvaluationError):
        read_names(tmp_path / name)


def test_a_label_is_its_own_name() -> None:
    assert own_names(["wild_cat", "_"]) == {"en": {"wild_cat": ("wild cat",), "_": ("_",)}}
    assert own_names(["猫", "狗"]) == {"zh": {"猫": ("猫",), "狗": ("狗",)}}


# --- figures


class FixedBench:
    """Vectors that a test wrote down."""

    def __init__(self, photos: FloatMatrix, texts: dict[str, Sequence[float]]) -> None:
        self.card = EncoderCard("x", "clip", scoring=Scoring("softmax", 10.0))
        self._photos = photos
        self._texts = texts
        self.asked: list[str] = []

    def photos(self, paths: Sequence[bytes | None], problems: Problems) -> Photos:
        rows = np.array([-1 if path is None else int(path) for path in paths])
        return Photos(np.arange(len(self._photos)), self._photos, rows)

    def texts(self, texts: Sequence[str]) -> FloatMatrix:
        self.asked += texts
        return np.array([self._texts[text] for text in texts], np.float32)


def measured(
    labels: Sequence[str],
    photos: Sequence[Sequence[float]],
    names: dict[str, dict[str, tuple[str, ...]]],
    texts: dict[str, Sequence[float]],
    templates: Sequence[str] = ("{label}",),
) -> tuple[list[ZeroShotResult], Measured, FixedBench]:
    labelled = LabelledPhotos(tuple(map(str, range(len(labels)))), tuple(labels))
    paths = [str(i).encode() for i in range(len(labels))]
    task = ZeroShot(labelled, paths, names, templates, Problems())
    bench = FixedBench(np.array(photos, np.float32), texts)
    found = task.measure(cast(Bench, bench))
    return [one for one in found.results if isinstance(one, ZeroShotResult)], found, bench


def test_accuracy_classes_and_confusions_by_hand() -> None:
    names = {"en": {name: (name,) for name in ("cat", "dog", "cow")}}
    texts = {"cat": [1.0, 0, 0], "dog": [0, 1.0, 0], "cow": [0, 0, 1.0]}
    photos = [[0.9, 0.1, 0], [0.2, 0.9, 0.1], [0.3, 0.8, 0.1], [0, 0.9, 0.2]]
    (result,), found, _ = measured(["cat", "cat", "cat", "dog"], photos, names, texts)
    assert (result.top1, result.top5) == (50.0, 100.0)
    assert (result.queries, result.labels, found.images, found.queries) == (4, 3, 4, 4)
    cat, dog = result.per_class
    assert (cat.label, cat.images, cat.taken_for) == ("cat", 3, "dog")
    assert cat.top1 == pytest.approx(100 / 3)
    assert (dog.label, dog.top1, dog.taken_for) == ("dog", 100.0, None)
    assert [(one.label, one.taken_for, one.images) for one in result.confusions] == [
        ("cat", "dog", 2)
    ]
    assert kinds(found) == {"label_without_photo": 1}
    logits = 10 * np.array(photos)
    powers = np.exp(logits)
    right = (powers / powers.sum(axis=1, keepdims=True))[np.arange(4), [0, 0, 0, 1]]
    assert result.probability == pytest.approx(right.mean(), abs=1e-6)


def test_equal_names_are_no_hit() -> None:
    names = {"en": {"cat": ("cat",), "dog": ("dog",)}}
    (result,), *_ = measured(["cat"], [[1.0, 0]], names, {"cat": [1, 0], "dog": [1, 0]})
    assert result.top1 == 0.0
    assert result.per_class[0].taken_for == "dog"


def test_top5_of_many_labels() -> None:
    labels = [f"l{i}" for i in range(8)]
    texts = {label: [np.cos(i / 10), np.sin(i / 10)] for i, label in enumerate(labels)}
    names = {"en": {label: (label,) for label in labels}}
    (result,), *_ = measured(["l4", "l5"], [[1.0, 0]] * 2, names, texts)
    assert (result.top1, result.top5) == (0.0, 50.0)


def test_names_and_templates_are_averaged_as_unit_vectors() -> None:
    texts = {
        "a cat": [1.0, 0.0],
        "one cat": [0.0, 1.0],
        "a kitty": [1.0, 0.0],
        "one kitty": [1.0, 0.0],
        "a dog": [0.6, 0.8],
        "one dog": [0.6, 0.8],
    }
    names = {"en": {"cat": ("cat", "kitty"), "dog": ("dog",)}}
    templates = ("a {label}", "one {label}")
    mean = np.array([3.0, 1.0]) / np.sqrt(10)
    (result,), _, bench = measured(["cat"], [mean.tolist()], names, texts, templates)
    assert bench.asked == ["a cat", "one cat", "a kitty", "one kitty", "a dog", "one dog"]
    cosines = 10 * np.array([1.0, mean @ [0.6, 0.8]])
    assert result.probability == pytest.approx(np.exp(cosines[0]) / np.exp(cosines).sum(), abs=1e-6)


def test_templates_are_for_names_in_their_script() -> None:
    texts = {"a cat": [1.0, 0], "a dog": [0, 1.0], "一只猫": [1.0, 0], "一只狗": [0, 1.0]}
    names = {"en": {"c": ("cat",), "d": ("dog",)}, "zh": {"c": ("猫",), "d": ("狗",)}}
    results, _, bench = measured(["c"], [[1.0, 0]], names, texts, ("a {label}", "一只{label}"))
    assert [one.language for one in results] == ["en", "zh"]
    assert bench.asked == ["a cat", "a dog", "一只猫", "一只狗"]


def test_labels_that_are_unknown_or_nameless_are_counted() -> None:
    names = {"en": {"cat": ("cat",), "dog": ("dog",)}, "zh": {"cat": ("猫",)}}
    texts = {"cat": [1.0, 0], "dog": [0, 1.0], "猫": [1.0, 0]}
    photos = [[1.0, 0], [0, 1.0], [0.5, 0.5]]
    results, found, _ = measured(["cat", "dog", "cow"], photos, names, texts)
    assert [(one.language, one.queries) for one in results] == [("en", 2), ("zh", 1)]
    assert kinds(found) == {"unknown_label": 1, "nameless_label": 1}
    assert (found.images, found.queries) == (2, 3)


def test_one_content_under_two_labels_is_left_out() -> None:
    labelled = LabelledPhotos(("a", "b", "c"), ("cat", "dog", "cat"))
    names = {"en": {"cat": ("cat",), "dog": ("dog",)}}
    task = ZeroShot(labelled, [b"0", b"0", b"1"], names, (), Problems())
    bench = FixedBench(np.eye(2, dtype=np.float32), {"cat": [0, 1.0], "dog": [1.0, 0]})
    found = task.measure(cast(Bench, bench))
    assert found.images == 1
    assert kinds(found) == {"several_labels": 1}


def test_nothing_left_and_a_template_without_its_place_are_errors() -> None:
    with pytest.raises(EvaluationError, match="nothing is left"):
        measured(["cow"], [[1.0, 0]], {"en": {"cat": ("cat",)}}, {"cat": [1.0, 0]})
    with pytest.raises(EvaluationError, match=r"\{label\}"):
        measured(["cat"], [[1.0, 0]], {"en": {"cat": ("cat",)}}, {}, ("a photo",))


# --- the family's own scores


@pytest.mark.parametrize("family", ["clip", "siglip", "chinese_clip"])
def test_probabilities_equal_the_zero_shot_pipeline(
    family: str, tiny_checkpoint: Callable[[str], Path], tmp_path: Path
) -> None:
    from PIL import Image
    from transformers import AutoImageProcessor, pipeline

    from pictor.library.encoders.base import EncoderOptions
    from pictor.library.encoders.towers import (
        make_text_tower,
        open_image_encoder,
        open_text_encoder,
        resolve_card,
    )
    from pictor.library.images.prepare import prepare

    folder = tiny_checkpoint(family)
    card = resolve_card(str(folder))
    make_text_tower(card, folder=tmp_path / "tower")
    labels = ["a cat", "two dogs", "红色方块"]
    prompts = [f"this is a photo of {label}." for label in labels]
    texts = open_text_encoder(card, tmp_path / "tower").encode(prompts)
    pictures = [Image.new("RGB", (40, 30), colour) for colour in ("red", "teal", "white")]
    assert card.spec is not None
    encoder = open_image_encoder(card, EncoderOptions(device="cpu", runtime="torch"))
    photos = encoder.encode([prepare(picture, card.spec) for picture in pictures])
    ours = probabilities(photos @ texts.T, card.scoring)
    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    classify = pipeline(
        "zero-shot-image-classification", model=str(folder), image_processor=processor
    )
    for row, picture in zip(ours, pictures, strict=True):
        found = classify(
            picture, candidate_labels=labels, hypothesis_template="this is a photo of {}."
        )
        expected = {entry["label"]: entry["score"] for entry in found}
        assert [expected[label] for label in labels] == pytest.approx(row.tolist(), abs=1e-4)


def test_a_cosine_family_scores_by_its_cosine() -> None:
    cosines = np.array([[0.1, -0.5]], np.float32)
    assert probabilities(cosines, Scoring("cosine")) is cosines
    assert json.dumps(probabilities(cosines, Scoring("sigmoid", 2.0, 0.2)).tolist())
    by_hand = 1 / (1 + np.exp(-np.array([0.4, -0.8])))
    found = probabilities(cosines, Scoring("sigmoid", 2.0, 0.2))[0]
    assert found.tolist() == pytest.approx(by_hand.tolist(), abs=1e-6)
