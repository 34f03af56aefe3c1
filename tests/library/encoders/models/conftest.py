"""A models folder of the test's own, and a checkpoint that may be changed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from small_models import lock_of, written

from pictor.library.encoders.models.install import new_folder, put
from pictor.library.encoders.models.places import Stored, locked


@pytest.fixture
def models_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The models folder, which is not there yet; the hub's cache is empty."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PICTOR_MODELS_DIR", str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture
def clip(tmp_path: Path, tiny_checkpoint: Callable[[str], Path]) -> Path:
    """The folder of a tiny CLIP."""
    return Path(shutil.copytree(tiny_checkpoint("clip"), tmp_path / "clip"))


@pytest.fixture
def dino(tmp_path: Path, tiny_checkpoint: Callable[[str], Path]) -> Path:
    """The folder of a tiny DINOv2."""
    return Path(shutil.copytree(tiny_checkpoint("dinov2"), tmp_path / "dino"))


@pytest.fixture
def model(models_dir: Path) -> Stored:
    """A model of a few bytes in the models folder."""
    with new_folder() as new:
        written(new)
        put(new, lock_of(new, licence="MIT"))
    return locked()[0]
