from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tiny_checkpoints import pil_processor

from pictor.library.encoders.image_specs import read_image_spec
from pictor.library.encoders.torch_image import patchify
from pictor.library.errors import ModelError, ModelNotAvailable, ModelUnsupported
from pictor.library.images.prepare import prepare
from pictor.library.records import ImageSpec

VARIANTS: list[tuple[str, str, dict[str, Any]]] = [
    ("CLIPImageProcessor", "clip", {}),
    ("CLIPImageProcessor", "clip", {"size": 40, "crop_size": 32}),
    (
        "CLIPImageProcessor",
        "clip",
        {"size": {"shortest_edge": 32}, "crop_size": {"height": 48, "width": 40}},
    ),
    ("CLIPImageProcessor", "clip", {"size": {"height": 32, "width": 48}, "do_center_crop": False}),
    ("CLIPImageProcessorFast", "clip", {"resample": 2, "image_mean": [0.1, 0.2, 0.3]}),
    (
        "ChineseCLIPFeatureExtractor",
        "chinese_clip",
        {"size": {"height": 24, "width": 24}, "crop_size": 24},
    ),
    ("SiglipImageProcessor", "siglip", {}),
    ("SiglipImageProcessor", "siglip", {"size": {"height": 48, "width": 48}, "resample": 2}),
    ("SiglipImageProcessorFast", "siglip", {"do_normalize": False}),
    ("ViTImageProcessor", "vit", {"size": 40}),
    ("ViTImageProcessorPil", "vit", {"resample": 0, "do_rescale": False}),
    (
        "BitImageProcessor",
        "dinov2",
        {"size": {"shortest_edge": 64}, "crop_size": {"height": 56, "width": 56}},
    ),
    ("BitImageProcessor", "dinov2", {"resample": 1, "rescale_factor": 0.01}),
    ("Siglip2ImageProcessor", "siglip2", {"patch_size": 8, "max_num_patches": 30}),
]


def _write(folder: Path, settings: dict[str, Any]) -> Path:
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    return folder


def _spec(folder: Path, settings: dict[str, Any], family: str = "clip") -> ImageSpec:
    return read_image_spec(_write(folder, settings), family, "a/b")


@pytest.mark.parametrize(("name", "family", "settings"), VARIANTS)
def test_pixels_equal_those_of_the_processor_class(
    name: str, family: str, settings: dict[str, Any], tmp_path: Path, pictures: list[Image.Image]
) -> None:
    plain = (
        name.removesuffix("Fast").removesuffix("Pil").replace("FeatureExtractor", "ImageProcessor")
    )
    processor = pil_processor(plain)(**settings)
    spec = _spec(tmp_path, {"image_processor_type": name, **settings}, family)
    for picture in pictures:
        expected = processor(picture, return_tensors="np")
        pixels = prepare(picture, spec)
        if spec.resize == "naflex":
            patches, mask, shapes = patchify([pixels], spec)
            values = _normalise(patches, spec).reshape(*mask.shape, -1) * mask[..., None]
            assert np.array_equal(mask, expected["pixel_attention_mask"])
            assert np.array_equal(shapes, expected["spatial_shapes"])
        else:
            values = _normalise(pixels[None], spec).transpose(0, 3, 1, 2)
        assert values.shape == expected["pixel_values"].shape
        assert np.abs(values - expected["pixel_values"]).max() < 1e-5


def _normalise(pixels: np.ndarray[Any, Any], spec: ImageSpec) -> np.ndarray[Any, Any]:
    values: np.ndarray[Any, Any] = (pixels * spec.rescale - np.array(spec.mean)) / np.array(
        spec.std
    )
    return values


def test_dinov3_takes_its_own_defaults(tmp_path: Path) -> None:
    spec = _spec(tmp_path, {"image_processor_type": "DINOv3ViTImageProcessorFast"}, "dinov3")
    assert spec == ImageSpec(
        224, 224, resample="bilinear", mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
    )


def test_the_nested_form_of_transformers_5_is_read(tmp_path: Path) -> None:
    settings = {"image_processor_type": "SiglipImageProcessor", "size": {"height": 32, "width": 32}}
    (tmp_path / "processor_config.json").write_text(json.dumps({"image_processor": settings}))
    assert read_image_spec(tmp_path, "siglip", "a/b").height == 32


def test_an_old_file_without_a_class_takes_the_family_s(tmp_path: Path) -> None:
    assert _spec(tmp_path, {"size": 224}, "vit").resize == "exact"
    assert _spec(tmp_path, {"size": 224}, "clip").resize == "shortest_edge"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelNotAvailable, match=r"'a/b' has no preprocessor_config\.json"):
        read_image_spec(tmp_path, "clip", "a/b")


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text("{")
    with pytest.raises(ModelError, match=r"preprocessor_config\.json' is not valid JSON"):
        read_image_spec(tmp_path, "clip", "a/b")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"image_processor_type": "SamImageProcessor"}, "'Sam', which pictor does not know"),
        ({"do_resize": False}, "do_resize = False"),
        ({"do_pad": True}, "do_pad = True"),
        ({"do_center_crop": False}, "size = {'shortest_edge': 224} with crop_size = None"),
        ({"size": {"longest_edge": 224}}, "longest_edge"),
        ({"size": {"height": 256, "width": 256}}, "with crop_size"),
        ({"resample": 9}, "resample = 9"),
        ({"image_mean": [0.5]}, "1 colour channels"),
    ],
)
def test_steps_a_spec_cannot_say_are_refused(
    settings: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelUnsupported, match=message):
        _spec(tmp_path, {"image_processor_type": "CLIPImageProcessor", **settings})
