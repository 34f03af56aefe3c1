"""`pictor eval` from files to figures, with the built-in encoder and tiny checkpoints."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from click.testing import Result
from PIL import Image, ImageDraw

import pictor
from pictor.library.errors import EvaluationError
from pictor.library.observer import Silent

#: Libraries are filled by worker processes.
pytestmark = pytest.mark.processes

Run = Callable[..., Result]
COLOURS = {"red": (220, 30, 30), "green": (30, 160, 60), "blue": (30, 60, 200), "white": (250,) * 3}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where evaluations without a library keep what they make."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PICTOR_INDEX__WORKERS", "1")
    return tmp_path / "cache"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Four photos with captions, and two more that no captions name."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for i, (name, rgb) in enumerate(
        [*COLOURS.items(), ("extra", (9, 9, 9)), ("more", (200, 9, 9))]
    ):
        image = Image.new("RGB", (64, 48), rgb)
        ImageDraw.Draw(image).rectangle((5 * i, 10, 5 * i + 20, 30), fill=(255 - 40 * i, 200, 0))
        image.save(folder / f"{name}.png")
    return folder


@pytest.fixture
def captions(tmp_path: Path) -> Path:
    return write_lines(
        tmp_path / "captions.jsonl",
        *(
            {"image": f"{name}.png", "en": [f"a {name} wall", f"all {name}"], "zh": ["一面墙"]}
            for name in COLOURS
        ),
    )


def write_lines(path: Path, *records: Any) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def objects(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


# --- retrieval


def test_json_has_the_promised_fields(run: Run, photos: Path, captions: Path) -> None:
    (found,) = objects(run("eval", captions, "--images", photos, "--json"))
    assert (found["encoder"], found["task"]) == ("builtin", "retrieval")
    assert (found["images"], found["queries"]) == (4, 12)  # two photos are no candidates
    assert found["seconds"] > 0
    assert found["problems"] == {}
    assert (found["encoded"], found["dimension"]) == (4, 256)
    assert found["size_bytes"] > 1_000_000
    assert found["images_per_second"] > 0
    assert [(one["language"], one["direction"], one["index"]) for one in found["results"]] == [
        (language, direction, "exact")
        for language in ("en", "zh")
        for direction in ("text_to_image", "image_to_text")
    ]
    for one in found["results"]:
        names = {"r1", "r5", "r10", "mean_recall", "median_rank"}
        assert names | {"ci95", "queries"} <= set(one)
        assert set(one["ci95"]) == names
        assert 0 <= one["r1"] <= one["r5"] <= one["r10"] == 100
    zh = found["results"][2]
    assert (zh["r1"], zh["median_rank"]) == (25.0, 2.5)  # one text for all: ranks 1 to 4
    assert found["results"][3]["r1"] == 0.0  # and from a photo all four captions tie


def test_a_second_evaluation_encodes_nothing(
    run: Run, photos: Path, captions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first,) = objects(run("eval", captions, "--images", photos, "--json"))
    forbidden = "pictor.library.encoders.onnx_image.OnnxImageEncoder.encode"
    monkeypatch.setattr(forbidden, lambda *_: pytest.fail("a photo was encoded again"))
    texts = "pictor.library.encoders.onnx_text.OnnxTextEncoder.encode"
    monkeypatch.setattr(texts, lambda *_: pytest.fail("a text was encoded again"))
    (second,) = objects(run("eval", captions, "--images", photos, "--json"))
    assert second["encoded"] == 0
    assert second["results"] == first["results"]
    assert second["images_per_second"] == first["images_per_second"]


def test_an_index_of_another_type_stands_beside_the_exact_one(
    run: Run, photos: Path, captions: Path
) -> None:
    command = ("eval", captions, "--images", photos, "--index", "ivf", "--json")
    (found,) = objects(run(*command, "--language", "en"))
    exact, through = found["results"][:2], found["results"][2:]
    assert all(one["index"].startswith("ivf") for one in through)
    for one, other in zip(exact, through, strict=True):
        assert {**one, "index": ""} == {**other, "index": ""}  # so few that none is lost


def test_what_is_wrong_is_counted_listed_and_left_out(
    run: Run, photos: Path, captions: Path, tmp_path: Path
) -> None:
    (clean,) = objects(run("eval", captions, "--images", photos, "--json"))
    (photos / "torn.png").write_bytes((photos / "red.png").read_bytes()[:60])
    (photos / "text.png").write_text("no image at all")
    shutil.copy(photos / "red.png", photos / "twin.png")
    with captions.open("a") as file:
        file.write("{broken\n")
        for record in (
            {"en": ["whose?"]},
            {"image": "red.png", "en": ["a red wall"]},
            {"image": "blue.png", "en": ["", 7]},
            {"image": "gone.png", "en": ["gone"], "zh": ["没了"]},
            {"image": "torn.png", "en": ["torn"]},
            {"image": "text.png", "en": ["text"]},
            {"image": "../../../../etc/passwd", "en": ["root"]},
            {"image": "green.png"},
        ):
            file.write(json.dumps(record) + "\n")
    (found,) = objects(run("eval", captions, "--images", photos, "--json"))
    assert found["results"] == clean["results"]
    counts = {kind: (one["count"], one["left_out"]) for kind, one in found["problems"].items()}
    assert counts == {
        "bad_line": (1, 1),
        "no_image": (1, 1),
        "no_caption": (1, 1),
        "empty_caption": (2, 2),
        "duplicate_caption": (1, 1),
        "duplicate_image": (3, 0),
        "unsafe_path": (1, 1),
        "missing_image": (1, 1),
        "undecodable_image": (2, 2),
        "lost_caption": (5, 5),
    }
    assert "gone.png" in found["problems"]["missing_image"]["examples"][0]
    people = run("eval", captions, "--images", photos)
    assert "1 images that are not there, left out 1: 'gone.png'" in people.stderr
    assert "passwd" in people.stderr
    write_lines(
        tmp_path / "twin.jsonl",
        {"image": "red.png", "en": ["a"]},
        {"image": "twin.png", "en": ["b"]},
    )
    (found,) = objects(run("eval", tmp_path / "twin.jsonl", "--images", photos, "--json"))
    assert (found["images"], found["results"][0]["r1"]) == (1, 100.0)
    assert found["problems"]["same_content"]["count"] == 1


def test_a_named_library_is_used_and_keeps_its_default(
    run: Run, photos: Path, captions: Path, tmp_path: Path, tiny_checkpoint: Callable[[str], Path]
) -> None:
    home = tmp_path / "library"
    assert run("index", photos, "--library", home).exit_code == 0
    clip = tiny_checkpoint("clip")
    command = ("eval", captions, "--images", photos, "--library", home, "--json")
    (found,) = objects(run(*command))
    assert (found["encoder"], found["encoded"], found["images"]) == ("builtin", 0, 4)
    one, other = objects(run(*command, "--encoder", "builtin", "--encoder", clip))
    assert (one["results"], one["encoded"]) == (found["results"], 0)
    assert (other["encoder"], other["dimension"], other["images"]) == (str(clip), 24, 4)
    (status,) = objects(run("status", "--library", home, "--json"))
    assert [space["encoder"] for space in status["spaces"]] == ["builtin", str(clip)]
    assert status["files"] == 6
    assert run("index", "--library", home).exit_code == 0  # a later run does not flip it either
    (status,) = objects(run("status", "--library", home, "--json"))
    assert status["spaces"][0]["encoder"] == "builtin"


def test_other_photos_of_a_library_are_no_candidates_through_its_index(
    photos: Path, captions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library's own index holds six photos; ranks are among the four that are named."""
    from pictor.library.vectors import cache

    (exact,) = pictor.evaluate(captions, photos, languages=["en"])
    monkeypatch.setattr(cache, "EXACT_MAX", 1)  # so that its own type is not the exact one
    home = tmp_path / "library"
    (found,) = pictor.evaluate(captions, photos, library=home, languages=["en"])
    figures = [(one.index, one.r1, one.median_rank) for one in found.results]
    assert [one[0][:5] for one in figures] == ["exact", "exact", "ivf5-", "ivf6-"]
    assert [one[1:] for one in figures[2:]] == [one[1:] for one in figures[:2]]
    assert [one[1:] for one in figures[:2]] == [(one.r1, one.median_rank) for one in exact.results]


def test_tables_are_for_people(run: Run, photos: Path, captions: Path) -> None:
    result = run("eval", captions, "--images", photos, "--language", "en")
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    assert [row[:4] for row in rows] == [
        ["builtin", "en", "text → image", "exact"],
        ["builtin", "en", "image → text", "exact"],
    ]
    assert rows[0][-1] == "256" and rows[0][-2].endswith("MB")
    assert "±" in rows[0][4]


def test_photos_inside_a_tsv(run: Run, photos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "MUGE"
    folder.mkdir()
    rows = [
        f"{i}\t{base64.b64encode((photos / f'{name}.png').read_bytes()).decode()}\n"
        for i, name in enumerate(COLOURS)
    ]
    (folder / "valid_imgs.tsv").write_text("".join([*rows, "9\t%%%\n"]))
    texts = write_lines(
        folder / "valid_texts.jsonl",
        {"text_id": 1, "text": "红色的墙", "image_ids": [0, 3]},
        {"text_id": 2, "text": "绿色的墙", "image_ids": [1]},
        {"text_id": 3, "text": "没有图", "image_ids": [9]},
    )
    (found,) = objects(run("eval", texts, "--json"))
    assert (found["images"], found["queries"]) == (3, 2)
    assert {kind: one["count"] for kind, one in found["problems"].items()} == {
        "bad_base64": 1,
        "lost_caption": 1,
    }
    for images in (folder, folder / "valid_imgs.tsv"):
        (again,) = objects(run("eval", texts, "--images", images, "--json"))
        assert again["results"] == found["results"]
    library = tmp_path / "library"
    (again,) = objects(run("eval", texts, "--images", folder, "--library", library, "--json"))
    assert again["results"] == found["results"]


# --- zero-shot


@pytest.fixture
def classes(tmp_path: Path, photos: Path) -> Path:
    root = tmp_path / "classes"
    for i, name in enumerate(("red", "blue")):
        (root / f"{name}_wall").mkdir(parents=True)
        for shade in range(3):
            rgb = [200 - 20 * shade if at == 2 * i else 20 for at in range(3)]
            Image.new("RGB", (50, 40), tuple(rgb)).save(root / f"{name}_wall" / f"{shade}.png")
    return root


def test_zero_shot_of_a_folder_a_class(run: Run, classes: Path, tmp_path: Path) -> None:
    names = tmp_path / "names.toml"
    names.write_text('[red_wall]\nen = "red"\nzh = "红色"\n[blue_wall]\nen = "blue"\nzh = "蓝色"\n')
    plain, named = (
        objects(run("eval", classes, "--json", *more))[0] for more in ([], ["--labels", names])
    )
    assert (plain["task"], plain["images"], plain["queries"]) == ("zero-shot", 6, 6)
    (result,) = plain["results"]
    assert {"language", "top1", "top5", "ci95", "probability", "per_class"} <= set(result)
    assert (result["language"], result["top5"]) == ("en", 100.0)
    assert set(result["ci95"]) == {"top1", "top5"}
    assert [one["images"] for one in result["per_class"]] == [3, 3]
    assert [one["language"] for one in named["results"]] == ["en", "zh"]
    assert (named["queries"], named["encoded"]) == (12, 0)
    (zh,) = objects(run("eval", classes, "--labels", names, "--language", "zh", "--json"))
    assert zh["results"] == named["results"][1:]


def test_zero_shot_of_lines_and_its_tables(run: Run, classes: Path, tmp_path: Path) -> None:
    lines = write_lines(
        tmp_path / "labels.jsonl",
        {"image": "red_wall/0.png", "label": "red"},
        {"image": "blue_wall/0.png", "label": "blue"},
        {"image": "blue_wall/1.png", "label": "blue"},
        {"image": "blue_wall/2.png", "label": "mauve"},
    )
    names = tmp_path / "names.json"
    names.write_text('{"red": "red", "blue": "blue", "grey": "grey"}')
    command = ("eval", lines, "--images", classes, "--labels", names)
    (found,) = objects(run(*command, "--json", "--template", "a photo of {label}"))
    assert found["images"] == 3
    assert {kind: one["count"] for kind, one in found["problems"].items()} == {
        "unknown_label": 1,
        "label_without_photo": 1,
    }
    result = run(*command, "--classes")
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    assert rows[0][:4] == ["builtin", "en", "3", "3"]
    assert {row[2] for row in rows[1:3]} == {"red", "blue"}
    assert "1 photos whose label the file of labels does not have, left out 1" in result.stderr


def test_plot(run: Run, classes: Path, tmp_path: Path) -> None:
    chart = tmp_path / "chart.svg"
    result = run("eval", classes, "--plot", chart)
    assert f"written: {chart}" in result.stderr
    text = chart.read_text()
    assert "builtin  top-1" in text and "red_wall (3)" in text
    boxes = [one for one in ElementTree.fromstring(text) if one.tag.endswith("rect")]
    assert len({one.get("fill") for one in boxes}) > 3


# --- what cannot be


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("captions.jsonl",), 1, "--images"),
        (("captions.jsonl", "--images", "nowhere"), 1, "no images folder"),
        (("none.jsonl", "--images", "photos"), 1, "no file"),
        (("empty.jsonl", "--images", "photos"), 1, "nothing is left to evaluate"),
        (("gone.jsonl", "--images", "photos"), 1, "1 images that are not there"),
        (("photos",), 1, "no subfolder"),
        (("captions.jsonl", "--images", "photos", "--language", "fr"), 1, "'fr'"),
        (("captions.jsonl", "--images", "photos", "--split", "val"), 1, "'val'"),
        (("captions.jsonl", "--images", "photos", "--encoder", "no such one"), 1, "no such one"),
        (
            ("captions.jsonl", "--images", "photos", "--plot", "chart.png"),
            1,
            "charts are written as .svg only",
        ),
        (("captions.jsonl", "--images", "photos", "--index", "hnsw"), 2, "hnsw"),
        (("captions.jsonl", "--images", "photos", "--task", "zero-shot"), 1, "without a label"),
    ],
)
def test_mistakes_are_one_sentence(
    run: Run,
    photos: Path,
    captions: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    status: int,
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.jsonl").write_text("\n")
    write_lines(tmp_path / "gone.jsonl", {"image": "gone.png", "en": ["x"]})
    result = run("eval", *arguments)
    assert result.exit_code == status
    assert words in result.stderr
    assert result.stdout == ""


def test_an_encoder_without_words_is_refused_before_anything_is_encoded(
    run: Run, photos: Path, captions: Path, own_cache: Path, tiny_checkpoint: Callable[[str], Path]
) -> None:
    vit = tiny_checkpoint("vit")
    result = run("eval", captions, "--images", photos, "--encoder", "builtin", "--encoder", vit)
    assert result.exit_code == 1
    assert "no text tower" in result.stderr
    assert not own_cache.exists()


def test_a_watcher_can_stop_it(photos: Path, captions: Path) -> None:
    class Impatient(Silent):
        def should_stop(self) -> bool:
            return True

    (only,) = pictor.evaluate(
        captions, photos, encoders=["builtin", "builtin"], observer=Impatient()
    )
    assert only.stopped and only.results == ()


def test_from_python(photos: Path, captions: Path) -> None:
    (found,) = pictor.evaluate(str(captions), str(photos), languages=["en"])
    assert isinstance(found, pictor.Evaluation)
    assert [result.language for result in found.results] == ["en", "en"]
    with pytest.raises(EvaluationError):
        pictor.evaluate(photos / "none.jsonl", photos)


# --- real photos


def test_figures_equal_those_of_the_training_code_on_real_photos(
    data_dir: Callable[[str], Path], tmp_path: Path
) -> None:
    training = pytest.importorskip("training.evaluate")
    from pictor.library.encoders.builtin_card import BUILTIN_FOLDER
    from training.ranks import first_ranks, recall

    lines = data_dir("flickr8k/test.jsonl").read_text().splitlines()[:80]
    captions = tmp_path / "some.jsonl"
    captions.write_text("\n".join(lines))
    folder = data_dir("flickr8k/test")
    languages = ("en", "zh", "zh_translated")
    (found,) = pictor.evaluate(captions, folder, languages=languages)
    records = [json.loads(line) for line in lines]
    encoder = training.ShippedEncoder(BUILTIN_FOLDER, 1)
    pixels = []
    for record in records:
        with Image.open(folder / record["image"]) as image:
            pixels.append(encoder.pixels(image))
    photos, rows = encoder.encode_images(pixels), np.arange(80)
    for language in languages:
        owner = np.repeat(rows, [len(record[language]) for record in records])
        texts = encoder.encode_texts([text for record in records for text in record[language]])
        theirs = {
            "text_to_image": first_ranks(texts, photos, owner, rows),
            "image_to_text": first_ranks(photos, texts, rows, owner),
        }
        for result in found.results:
            if result.language == language:
                ranks = theirs[result.direction]
                ours = (result.r1, result.r5, result.r10)
                one = 100 / result.queries  # vectors are stored as float16: one rank may differ
                expected = [recall(ranks, k) for k in (1, 5, 10)]
                assert ours == pytest.approx(expected, abs=1.5 * one), (language, result.direction)
