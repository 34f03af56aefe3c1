"""The wheel holds all that an installation needs under one name, and works beside any other."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from PIL import Image

REPO = Path(__file__).resolve().parent.parent
ROOMS = ("answers", "duplicates", "evaluation", "indexer", "library", "search", "tagging")
#: Names that other people's packages have, in the folder that pictor is run from.
TAKEN = (*ROOMS, "configs")
INSTALLED = """
import importlib, json, os, sys
from pathlib import Path

def main(target, home, photos):
    for name in {taken!r}:
        try:
            importlib.import_module(name)
        except RuntimeError:
            continue
        raise AssertionError(name)
    import pictor
    from pictor.library.config import presets_dir
    assert Path(pictor.__file__).is_relative_to(target), pictor.__file__
    assert presets_dir().is_relative_to(target), presets_dir()
    with pictor.open_library(home) as library:
        indexed = library.index([photos]).indexed
        hits = [os.fsdecode(hit.path) for hit in library.search("red", top=9)]
        tagged = library.tags.apply(sys.argv[4]).contents
        library.duplicates.find()
        groups = [len(group.members) for group in library.duplicates.groups()]
    print(json.dumps([indexed, hits, tagged, groups]))

if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
"""


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The wheel of the checkout and that of its source distribution.

    They are built from a copy, so that the checkout stays clean.
    """
    source = tmp_path_factory.mktemp("source") / "pictor"
    keep_out = shutil.ignore_patterns("__pycache__", "*.egg-info")
    source.mkdir()
    for name in ("pictor", *ROOMS, "configs"):
        shutil.copytree(REPO / name, source / name, symlinks=True, ignore=keep_out)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPO / name, source / name)
    return _built(source, tmp_path_factory.mktemp("direct"), "--wheel"), _built(
        source, tmp_path_factory.mktemp("dist")
    )


def _built(source: Path, out: Path, *only: str) -> Path:
    command = [sys.executable, "-m", "build", *only, "--no-isolation", "--outdir", out]
    done = subprocess.run([*command, source], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheels: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pictor as pip installs it, without what it needs."""
    target = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*command, "--target", target, wheels[0]], check=True)
    return target


@pytest.fixture
def crowded(tmp_path: Path) -> Path:
    """A folder with photos, and packages of other people that have the names of our rooms."""
    folder = tmp_path / "work"
    for name in TAKEN:
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text(f"raise RuntimeError('not {name}')\n")
    photos = folder / "photos"
    photos.mkdir()
    picture = Image.effect_mandelbrot((320, 240), (-2, -1.2, 1, 1.2), 60)
    for name, size in (("large red", (320, 240)), ("small red", (200, 150))):
        picture.resize(size).convert("RGB").save(photos / f"{name}.png")
    Image.linear_gradient("L").save(photos / "grey.png")
    (folder / "labels.txt").write_text("gradient\nfractal\n")
    return folder


def _run(command: list[str | Path], folder: Path, installed: Path) -> str:
    environ = os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), str(installed)])}
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environ)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_has_our_packages_and_nothing_else(wheels: tuple[Path, Path]) -> None:
    names = zipfile.ZipFile(wheels[0]).namelist()
    top = {name.split("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == {"pictor"}
    assert sorted(zipfile.ZipFile(wheels[1]).namelist()) == sorted(names)
    for needed in (
        "pictor/configs/default.toml",
        "pictor/configs/encoders/clip-vit-base-patch32.toml",
        "pictor/configs/labels/everyday.toml",
        "pictor/page/index.html",
        "pictor/page/main.mjs",
        "pictor/page/style.css",
        "pictor/page/vendor/LICENSES.txt",
        "pictor/page/vendor/vendor.toml",
        "pictor/configs/questions.toml",
        "pictor/library/encoders/builtin/image.onnx",
        "pictor/library/encoders/builtin/text.onnx",
        "pictor/library/encoders/builtin/tokenizer.json",
        "pictor/library/encoders/builtin/MODEL_CARD.md",
        "pictor/library/catalog/migrations/env.py",
        "pictor/library/catalog/migrations/versions/v0001_first_schema.py",
        "pictor/py.typed",
    ):
        assert needed in names, needed


def test_every_file_that_is_no_module_is_in_the_wheel(wheels: tuple[Path, Path]) -> None:
    names = zipfile.ZipFile(wheels[0]).namelist()
    for room in ("pictor", *ROOMS, "configs"):
        for path in (REPO / room).rglob("*"):
            if path.is_file() and path.suffix != ".pyc":
                name = path.relative_to(REPO).as_posix()
                if room != "pictor":
                    name = f"pictor/{name}"
                assert name in names


def test_the_command_works_beside_packages_of_the_same_names(
    installed: Path, crowded: Path, tmp_path: Path
) -> None:
    def pictor(*arguments: str) -> str:
        command = [installed / "bin" / "pictor", *arguments, "--library", tmp_path / "library"]
        return _run(command, crowded, installed)

    assert "indexed 3" in pictor("index", "photos")
    hits = [json.loads(line) for line in pictor("search", "red", "--json").splitlines()]
    assert "large red.png" in [Path(hit["path"]).name for hit in hits]
    assert "scored 3 photos" in pictor("tag", "--labels", "labels.txt")
    groups = [json.loads(line) for line in pictor("duplicates", "--json").splitlines()]
    assert [len(group["members"]) for group in groups] == [2]
    checks = [json.loads(line) for line in pictor("doctor", "--json").splitlines()]
    assert str(installed) in checks[0]["value"]


def test_python_works_beside_packages_of_the_same_names(
    installed: Path, crowded: Path, tmp_path: Path
) -> None:
    script = crowded / "script.py"  # decoding processes start from a file, not from -c
    script.write_text(INSTALLED.format(taken=TAKEN), encoding="utf-8")
    command = [sys.executable, script, installed, tmp_path / "library", crowded / "photos"]
    found = _run([*command, crowded / "labels.txt"], crowded, installed)
    indexed, hits, tagged, groups = json.loads(found)
    assert (indexed, tagged, groups) == (3, 3, [2])
    assert "large red.png" in [Path(path).name for path in hits]
