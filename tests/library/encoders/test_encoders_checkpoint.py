from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pictor.library.encoders.checkpoint import open_folder
from pictor.library.encoders.towers import open_image_encoder, resolve_card
from pictor.library.errors import ModelError, ModelNotAvailable, ModelUnsupported


@pytest.fixture
def folder(tiny_checkpoint: Callable[[str], Path], tmp_path: Path) -> Path:
    """A copy of the tiny CLIP that a test may damage."""
    return shutil.copytree(tiny_checkpoint("clip"), tmp_path / "clip")


def _edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_the_revision_is_the_content(folder: Path, tmp_path: Path) -> None:
    revision = open_folder(folder).revision
    assert len(revision) == 40
    copy = shutil.copytree(folder, tmp_path / "copy")
    assert open_folder(copy).revision == revision
    (copy / "README.md").write_text("not part of the model")
    assert open_folder(copy).revision == revision
    raw = bytearray((copy / "model.safetensors").read_bytes())
    raw[-5] ^= 1
    (copy / "model.safetensors").write_bytes(raw)
    assert open_folder(copy).revision != revision


def test_a_sharded_checkpoint_is_read(folder: Path) -> None:
    from transformers import CLIPModel
    from transformers.utils import logging

    before = resolve_card(str(folder))
    logging.disable_progress_bar()
    model = CLIPModel.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="50KB")
    assert len(list(folder.glob("model-*.safetensors"))) > 1
    card = resolve_card(str(folder))
    assert card.scoring == before.scoring and card.revision != before.revision
    open_image_encoder(card).close()
    next(iter(sorted(folder.glob("model-*.safetensors")))).unlink()
    with pytest.raises(ModelNotAvailable, match=r"has no model-00001-of-\d+\.safetensors"):
        resolve_card(str(folder))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
def test_the_scale_is_read_in_any_float_type(folder: Path, dtype: str) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    path = folder / "model.safetensors"
    tensors = {name: t.to(getattr(torch, dtype)) for name, t in load_file(path).items()}
    save_file(tensors, path, metadata={"format": "pt"})
    assert resolve_card(str(folder)).scoring.scale == pytest.approx(np.exp(2.5), rel=1e-2)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelNotAvailable, match=r"there is no folder .*nowhere"):
        resolve_card(str(tmp_path / "nowhere"))


def test_a_file_is_no_folder(folder: Path) -> None:
    with pytest.raises(ModelNotAvailable, match=r"is not a folder; give the folder that holds"):
        resolve_card(str(folder / "model.safetensors"))


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json", "model.safetensors"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ModelNotAvailable, match=f"has no {name}"):
        resolve_card(str(folder))


def test_a_pickle_is_never_opened(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(ModelUnsupported, match="only as a pickle"):
        resolve_card(str(folder))


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_a_truncated_file_is_told_apart(folder: Path, keep: int) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(
        ModelError, match=r"is no whole safetensors|header says \d+ bytes and it has \d+"
    ):
        resolve_card(str(folder))


def test_a_header_of_garbage_is_told_apart(folder: Path) -> None:
    path = folder / "model.safetensors"
    raw = bytearray(path.read_bytes())
    raw[8:12] = b"!!!!"
    path.write_bytes(raw)
    with pytest.raises(ModelError, match="its header is damaged"):
        resolve_card(str(folder))


@pytest.mark.parametrize("text", ["{", "[]", "\udcff"])
def test_a_damaged_config_is_named(folder: Path, text: str) -> None:
    (folder / "config.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ModelError, match=r"config\.json' (is not valid JSON|holds no JSON object)"):
        resolve_card(str(folder))


def test_an_unknown_family_is_refused(folder: Path) -> None:
    _edit(folder / "config.json", model_type="blip")
    with pytest.raises(ModelUnsupported, match="model type 'blip', which pictor does not read"):
        resolve_card(str(folder))


def test_preprocessing_of_another_family_is_refused(folder: Path) -> None:
    _edit(folder / "preprocessor_config.json", image_processor_type="Siglip2ImageProcessor")
    with pytest.raises(ModelUnsupported, match="does not fit its model type 'clip'"):
        resolve_card(str(folder))


def test_a_checkpoint_without_its_scale_is_refused(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = folder / "model.safetensors"
    tensors = load_file(path)
    del tensors["logit_scale"]
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(ModelError, match="has no logit_scale"):
        resolve_card(str(folder))


def test_missing_weights_are_not_left_random(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = folder / "model.safetensors"
    tensors = load_file(path)
    del tensors["visual_projection.weight"]
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"lacks 1 weights.*visual_projection\.weight"):
        open_image_encoder(resolve_card(str(folder)))


def test_weights_of_another_shape_are_refused(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["vision_config"]["intermediate_size"] = 40
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="cannot be loaded by transformers"):
        open_image_encoder(resolve_card(str(folder)))


def test_a_folder_that_changed_under_a_library_is_refused(folder: Path) -> None:
    card = resolve_card(str(folder))
    _edit(folder / "preprocessor_config.json", resample=2)
    with pytest.raises(ModelError, match="changed: the library was filled with revision"):
        open_image_encoder(card)
