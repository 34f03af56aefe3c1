"""What the base can do without the extra `models`, which is torch, transformers and onnx."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from PIL import Image

from pictor import open_library
from pictor.library.config import load_settings

#: As if none of them was installed, in a process and in those that it starts.
WITHOUT = """
import sys
for name in ("google.protobuf", "onnx", "safetensors", "torch", "transformers"):
    sys.modules[name] = None
"""
EXTRA = "pip install 'pictor-search[models]'"

Bare = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def bare(tmp_path: Path) -> Bare:
    """Run the command in a process that has the base alone."""
    (tmp_path / "sitecustomize.py").write_text(WITHOUT)
    paths = [str(tmp_path), os.environ.get("PYTHONPATH", "")]
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pictor", *arguments]
        return subprocess.run(command, capture_output=True, text=True, env=environ)

    return run


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for i, colour in enumerate(["red", "green", "blue", "white"]):
        image = Image.linear_gradient("L").rotate(90 * i).convert("RGB")
        image.paste(colour, (40 * i, 30, 40 * i + 90, 150))
        image.save(folder / f"{i}.png")
    return folder


@pytest.fixture
def filled(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    photos: Path,
    tiny_checkpoint: Callable[[str], Path],
) -> Path:
    """A library that a machine with torch filled, whose checkpoint stayed there."""
    checkpoint = tmp_path / "checkpoint"
    shutil.copytree(tiny_checkpoint(request.param), checkpoint)
    with open_library(tmp_path / "library") as library:
        library.index([photos], encoders=[str(checkpoint)])
    checkpoint.rename(tmp_path / "elsewhere")
    return tmp_path / "library"


def _towers(library: Path, kind: str) -> list[Path]:
    return list((library / "cache").glob(f"space-*/{kind}"))


def _scores(lines: str) -> dict[str, float]:
    return {hit["path"]: hit["score"] for hit in map(json.loads, lines.splitlines())}


def _says_what_it_needs(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 1, done.stdout + done.stderr
    assert EXTRA in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("filled", ["siglip", "siglip2", "clip", "chinese_clip"], indirect=True)
def test_a_library_of_a_larger_encoder_is_searched(
    filled: Path, bare: Bare, run: Callable[..., Result]
) -> None:
    for folder in _towers(filled, "image"):  # a machine with a GPU makes none
        shutil.rmtree(folder)
    words = ("search", "a red square", "--min", "any", "--no-fold", "--json", "--library", filled)
    expected = _scores(run(*words).stdout)
    found = bare(*words)
    assert _scores(found.stdout) == pytest.approx(expected, abs=1e-5), found.stderr
    assert len(expected) == 4


@pytest.mark.slow
@pytest.mark.parametrize("filled", ["siglip"], indirect=True)
def test_a_picture_is_looked_for_where_its_tower_is(
    filled: Path, photos: Path, tmp_path: Path, bare: Bare
) -> None:
    new = tmp_path / "new.png"
    Image.radial_gradient("L").save(new)
    query = ("similar", new, "--min", "any", "--json", "--library", filled)
    assert len(_scores(bare(*query).stdout)) == 4
    (tower,) = _towers(filled, "image")
    shutil.rmtree(tower)
    _says_what_it_needs(bare(*query))
    stored = bare("similar", photos / "0.png", "--min", "any", "--json", "--library", filled)
    assert len(_scores(stored.stdout)) == 3, stored.stderr  # its vector is there
    (tower,) = _towers(filled, "text")
    shutil.rmtree(tower)
    _says_what_it_needs(bare("search", "a red square", "--library", filled))


@pytest.mark.slow
def test_what_needs_the_extra_says_so(
    tmp_path: Path, photos: Path, bare: Bare, tiny_checkpoint: Callable[[str], Path]
) -> None:
    clip, library, made = tiny_checkpoint("clip"), tmp_path / "library", tmp_path / "made.npz"
    captions = tmp_path / "captions.jsonl"
    captions.write_text('{"image": "0.png", "captions": ["red"]}\n')
    assert bare("index", photos, "--library", library).returncode == 0
    asked = ("--encoder", clip)
    _says_what_it_needs(bare("index", *asked, "--library", library))
    _says_what_it_needs(bare("index", "--encoder", "siglip2", "--library", library))
    _says_what_it_needs(bare("embed", photos, *asked, "-o", made))
    _says_what_it_needs(bare("classify", photos / "0.png", *asked, "--labels", "a,b"))
    _says_what_it_needs(bare("eval", captions, "--images", photos, *asked))
    with open_library(library, settings=load_settings()) as opened:
        assert [space.encoder for space in opened.status().spaces] == ["builtin"]
    assert not made.exists()
    assert bare("models", "list").returncode == 0
    doctor = bare("doctor", "--json", "--library", library)
    checks = {one["check"]: one for one in map(json.loads, doctor.stdout.splitlines())}
    assert EXTRA in checks["other encoders"]["advice"]
