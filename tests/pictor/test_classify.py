"""`classify` against the zero-shot pipeline of transformers, on tiny checkpoints."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pictor import classify
from pictor.library.config import Settings
from pictor.library.errors import LabelError, ModelUnsupported

Folders = Callable[[str], Path]
LABELS = ["a cat", "2 dogs in the snow", "红色方块", "a blue circle"]
CPU = Settings().with_values({"encoder.device": "cpu"}, "test")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """A large JPEG, an upright-by-EXIF JPEG, a PNG."""
    rng = np.random.default_rng(5)
    paths = []
    for at, (size, name) in enumerate(
        [((900, 610), "a.jpg"), ((333, 500), "b.jpg"), ((71, 50), "c.png")]
    ):
        noise = rng.integers(0, 255, (9, 7, 3), dtype=np.uint8)
        image = Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)
        exif = Image.Exif()
        exif[0x0112] = 6 if at == 1 else 1
        image.save(tmp_path / name, exif=exif)
        paths.append(tmp_path / name)
    return paths


@pytest.fixture
def server(photos: list[Path]) -> Iterator[str]:
    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(photos[0].parent))

        def do_GET(self) -> None:
            if self.path == "/slow":
                threading.Event().wait(5)
                return
            super().do_GET()

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
        serving.daemon_threads = True
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_port}"
        serving.shutdown()


def _expected(folder: Path, photos: list[Path], labels: list[str], template: str) -> list[Any]:
    from transformers import AutoImageProcessor, pipeline

    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    run = pipeline("zero-shot-image-classification", model=str(folder), image_processor=processor)
    asked = {"candidate_labels": labels, "hypothesis_template": template}
    return [{one["label"]: one["score"] for one in run(str(p), **asked)} for p in photos]


@pytest.mark.parametrize("family", ["clip", "siglip", "chinese_clip"])
@pytest.mark.parametrize("template", ["this is a photo of {}.", "一张{}的照片"])
def test_scores_are_those_of_the_pipeline(
    family: str, template: str, tiny_checkpoint: Folders, photos: list[Path]
) -> None:
    folder = tiny_checkpoint(family)
    expected = _expected(folder, photos, LABELS, template)
    found = list(classify(photos, LABELS, templates=[template], encoder=str(folder), settings=CPU))
    for one, wanted in zip(found, expected, strict=True):
        assert {s.label: s.score for s in one.labels} == pytest.approx(wanted, abs=1e-4)
        scores = [s.score for s in one.labels]
        assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("family", ["clip", "siglip", "chinese_clip"])
def test_without_a_template_english_labels_score_as_in_the_pipeline(
    family: str, tiny_checkpoint: Folders, photos: list[Path]
) -> None:
    folder = tiny_checkpoint(family)
    labels = ["a cat", "dogs"]
    expected = _expected(folder, photos[:1], labels, "This is a photo of {}.")
    found = next(iter(classify(photos[:1], labels, encoder=str(folder), settings=CPU)))
    assert {s.label: s.score for s in found.labels} == pytest.approx(expected[0], abs=1e-4)


def test_links_and_paths_score_alike_and_a_bad_one_stops_no_other(
    photos: list[Path], server: str
) -> None:
    images = [photos[0], f"{server}/a.jpg", f"{server}/none.jpg", "nowhere.png", photos[2]]
    found = list(classify(images, ["dog", "sky"], settings=CPU))
    assert found[0].labels == found[1].labels
    assert [not one.problem for one in found] == [True, True, False, False, True]
    assert "404" in found[2].problem
    assert "no such file" in found[3].problem


def test_a_slow_link_ends_at_the_timeout(server: str) -> None:
    found = next(iter(classify([f"{server}/slow"], ["a", "b"], timeout_s=0.3, settings=CPU)))
    assert "took longer than 0.3 s" in found.problem


def test_offline_no_link_is_fetched(server: str) -> None:
    offline = CPU.with_values({"network.offline": True}, "test")
    found = next(iter(classify([f"{server}/a.jpg"], ["a", "b"], settings=offline)))
    assert "offline" in found.problem


def test_mistakes_are_told_before_any_picture(tiny_checkpoint: Folders) -> None:
    with pytest.raises(LabelError, match="twice"):
        classify([], ["a", "a"])
    with pytest.raises(LabelError, match=r"has no \{label\}"):
        classify([], ["a"], templates=["photo"])
    with pytest.raises(ModelUnsupported, match="no text tower"):
        next(iter(classify(["x.png"], ["a"], encoder=str(tiny_checkpoint("vit")), settings=CPU)))


def test_the_command_prints_a_line_a_label_or_json(run: Any, photos: list[Path]) -> None:
    plain = run("classify", photos[0], photos[2], "--labels", "dog, cat,sky", "--top", "2")
    assert plain.exit_code == 0
    rows = [line.split("\t") for line in plain.stdout.splitlines()]
    assert [row[0] for row in rows] == [str(photos[0])] * 2 + [str(photos[2])] * 2
    result = run("classify", photos[0], "nope.png", "--labels", "dog，猫", "--json")
    assert result.exit_code == 1
    first, second = (json.loads(line) for line in result.stdout.splitlines())
    assert first["image"] == str(photos[0])
    assert sum(one["score"] for one in first["labels"]) == pytest.approx(1, abs=1e-5)
    assert second["labels"] == [] and "no such file" in second["problem"]


def test_the_command_takes_a_preset(run: Any, photos: list[Path]) -> None:
    result = run("classify", photos[0], "--labels", "weather", "--json")
    assert len(json.loads(result.stdout)["labels"]) > 30
