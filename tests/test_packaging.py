"""The wheel holds all that an installation needs, and nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parent.parent
ROOMS = ("duplicates", "evaluation", "indexer", "library", "search", "tagging")
INSTALLED = """
import pictor
from pathlib import Path
assert Path(pictor.__file__).is_relative_to(Path({target!r})), pictor.__file__
from pictor.library.config import load_settings, presets_dir
assert presets_dir().is_relative_to(Path({target!r})), presets_dir()
from pictor.library.encoders.cards import list_cards
assert len(list_cards()) >= 13
from pictor.library.encoders.towers import open_text_encoder, resolve_card
vectors = open_text_encoder(resolve_card("builtin")).encode(["a dog", "一只狗"])
from pictor import open_library
with open_library({home!r}) as found:
    print(found.index([{photos!r}]).indexed, vectors.shape)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy so that the checkout stays clean."""
    source = tmp_path_factory.mktemp("source") / "pictor"
    keep_out = shutil.ignore_patterns("__pycache__", "*.egg-info")
    source.mkdir()
    for name in ("pictor", *ROOMS, "configs"):
        shutil.copytree(REPO / name, source / name, symlinks=True, ignore=keep_out)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPO / name, source / name)
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out]
    done = subprocess.run([*command, source], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(out.glob("*.whl"))


def test_the_wheel_has_our_packages_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    top = {name.split("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == {"pictor"}
    for needed in (
        "pictor/configs/default.toml",
        "pictor/configs/encoders/clip-vit-base-patch32.toml",
        "pictor/configs/labels/everyday.toml",
        "pictor/library/encoders/builtin/image.onnx",
        "pictor/library/encoders/builtin/text.onnx",
        "pictor/library/encoders/builtin/tokenizer.json",
        "pictor/library/encoders/builtin/MODEL_CARD.md",
        "pictor/library/catalog/migrations/env.py",
        "pictor/library/catalog/migrations/versions/v0001_first_schema.py",
        "pictor/py.typed",
    ):
        assert needed in names, needed


def test_an_installed_wheel_indexes_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    from PIL import Image

    target, photos = tmp_path / "site", tmp_path / "photos"
    photos.mkdir()
    Image.linear_gradient("L").save(photos / "a.png")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*command, "--target", target, wheel], check=True)
    code = INSTALLED.format(target=str(target), photos=str(photos), home=str(tmp_path / "library"))
    script = tmp_path / "script.py"  # decoding processes start from a file, not from -c
    body = "\n".join("    " + line for line in code.strip().splitlines())
    script.write_text(f"if __name__ == '__main__':\n{body}\n", encoding="utf-8")
    environ = os.environ | {"PYTHONPATH": str(target)}
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, cwd=tmp_path, env=environ
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["1", "(2,", "256)"]
