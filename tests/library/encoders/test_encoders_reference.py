"""Our vectors and scores against those of transformers itself, its classes and its pipelines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pictor.library.encoders.base import EncoderOptions
from pictor.library.encoders.towers import (
    open_image_encoder,
    open_text_encoder,
    open_unpooled_encoder,
    resolve_card,
)
from pictor.library.images.prepare import prepare
from pictor.library.records import EncoderCard, FloatMatrix

TWO_TOWERS = ("clip", "siglip", "siglip2", "siglip2_naflex", "chinese_clip")
IMAGE_ONLY = ("vit", "dinov2")
LABELS = ["a cat", "2 dogs, in the snow!", "红色方块", "many words " * 30]
CPU = EncoderOptions(device="cpu", runtime="torch")

Folders = Callable[[str], Path]
Cards = Callable[[str], EncoderCard]


def _vectors(card: EncoderCard, pictures: Sequence[Image.Image]) -> FloatMatrix:
    assert card.spec is not None
    return open_image_encoder(card, CPU).encode([prepare(p, card.spec) for p in pictures])


def _unit(values: Any) -> FloatMatrix:
    array = np.asarray(values, np.float32)
    unit: FloatMatrix = array / np.linalg.norm(array, axis=-1, keepdims=True)
    return unit


def _processor(folder: Path) -> Any:
    from transformers import AutoImageProcessor

    return AutoImageProcessor.from_pretrained(folder, backend="pil")


@pytest.mark.parametrize("family", TWO_TOWERS)
def test_image_vectors_equal_get_image_features(
    family: str, tiny_checkpoint: Folders, card_of: Cards, pictures: list[Image.Image]
) -> None:
    import torch
    from transformers import AutoModel

    model = AutoModel.from_pretrained(tiny_checkpoint(family)).eval()
    processor = _processor(tiny_checkpoint(family))
    with torch.no_grad():
        inputs = (processor(picture, return_tensors="pt") for picture in pictures)
        rows = [model.get_image_features(**each).pooler_output[0].numpy() for each in inputs]
    cosines = (_unit(rows) * _vectors(card_of(family), pictures)).sum(axis=1)
    assert cosines.min() > 0.99999


@pytest.mark.parametrize("family", TWO_TOWERS)
def test_text_vectors_equal_get_text_features(
    family: str, tiny_checkpoint: Folders, card_of: Cards, text_tower: Folders
) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    model = AutoModel.from_pretrained(tiny_checkpoint(family)).eval()
    tokenizer = AutoTokenizer.from_pretrained(tiny_checkpoint(family))
    length = {"clip": 77, "chinese_clip": 52}.get(family, 64)
    padding = "max_length" if "siglip" in family else True
    texts = [*LABELS, "", " ", "Ünïcode ☂ and\ttabs\n", "x" * 500]
    # transformers keeps the case of this one; it was trained without
    given = [text.lower() for text in texts] if family == "siglip2" else texts
    inputs = tokenizer(
        given, padding=padding, max_length=length, truncation=True, return_tensors="pt"
    )
    with torch.no_grad():
        expected = _unit(model.get_text_features(**inputs).pooler_output.numpy())
    actual = open_text_encoder(card_of(family), text_tower(family)).encode(texts)
    assert np.abs(actual - expected).max() < 1e-5
    assert (expected @ expected.T).min() < 0.9  # else this test would show nothing


def test_siglip2_texts_do_not_depend_on_case(card_of: Cards, text_tower: Folders) -> None:
    for family in ("siglip", "siglip2", "siglip2_naflex", "clip", "chinese_clip"):
        encoder = open_text_encoder(card_of(family), text_tower(family))
        upper, lower = encoder.encode(["Two DOGS in the Snow", "two dogs in the snow"])
        assert np.array_equal(upper, lower), family


@pytest.mark.parametrize("family", TWO_TOWERS)
def test_scores_equal_the_zero_shot_pipeline(
    family: str,
    tiny_checkpoint: Folders,
    card_of: Cards,
    text_tower: Folders,
    pictures: list[Image.Image],
) -> None:
    from transformers import pipeline

    folder = str(tiny_checkpoint(family))
    processor = _processor(tiny_checkpoint(family))
    classify = pipeline("zero-shot-image-classification", model=folder, image_processor=processor)
    labels = LABELS[:3]
    if family == "siglip2":
        labels = [label.lower() for label in labels]
    card = card_of(family)
    template = "this is a photo of {}."
    texts = [template.format(label) for label in labels]
    cosines = _vectors(card, pictures) @ open_text_encoder(card, text_tower(family)).encode(texts).T
    ours = _scores(cosines, card)
    for row, picture in zip(ours, pictures, strict=True):
        found = classify(picture, candidate_labels=labels, hypothesis_template=template)
        expected = {entry["label"]: entry["score"] for entry in found}
        assert [expected[label] for label in labels] == pytest.approx(list(row), abs=1e-4)


def _scores(cosines: FloatMatrix, card: EncoderCard) -> FloatMatrix:
    logits = cosines * card.scoring.scale + card.scoring.bias
    if card.scoring.kind == "sigmoid":
        probabilities: FloatMatrix = 1 / (1 + np.exp(-logits))
        return probabilities
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    scores: FloatMatrix = powers / powers.sum(axis=1, keepdims=True)
    return scores


@pytest.mark.parametrize("family", IMAGE_ONLY)
def test_pooled_vectors_equal_the_feature_pipeline(
    family: str, tiny_checkpoint: Folders, card_of: Cards, pictures: list[Image.Image]
) -> None:
    rows = [features[0] for features in _features(tiny_checkpoint(family), pictures, pool=True)]
    card = card_of(family)
    assert card.pooling == "pooler"
    assert (_unit(rows) * _vectors(card, pictures)).sum(axis=1).min() > 0.99999


@pytest.mark.parametrize("family", IMAGE_ONLY)
def test_hidden_states_equal_the_feature_pipeline(
    family: str, tiny_checkpoint: Folders, card_of: Cards, pictures: list[Image.Image]
) -> None:
    expected = [f[0] for f in _features(tiny_checkpoint(family), pictures, pool=False)]
    card = card_of(family)
    assert card.spec is not None
    encoder = open_unpooled_encoder(card, CPU)
    actual = encoder.encode_unpooled([prepare(picture, card.spec) for picture in pictures])
    assert actual.dtype == np.float32
    assert np.abs(actual - np.array(expected)).max() < 1e-4


def _features(folder: Path, pictures: Sequence[Image.Image], *, pool: bool) -> list[Any]:
    from transformers import pipeline

    extract = pipeline(
        "image-feature-extraction", model=str(folder), image_processor=_processor(folder), pool=pool
    )
    return [extract(picture) for picture in pictures]


@pytest.mark.parametrize("family", TWO_TOWERS)
def test_hidden_states_of_two_tower_families(
    family: str, tiny_checkpoint: Folders, card_of: Cards, pictures: list[Image.Image]
) -> None:
    import torch
    from transformers import AutoModel

    model = AutoModel.from_pretrained(tiny_checkpoint(family)).eval()
    inputs = _processor(tiny_checkpoint(family))(pictures[0], return_tensors="pt")
    with torch.no_grad():
        expected = model.get_image_features(**inputs).last_hidden_state[0].numpy()
    card = card_of(family)
    assert card.spec is not None
    encoder = open_unpooled_encoder(card, CPU)
    actual = encoder.encode_unpooled([prepare(pictures[0], card.spec)])[0]
    assert np.abs(actual - expected).max() < 1e-4


def test_a_classifier_checkpoint_is_pooled_by_its_class_token(
    tiny_checkpoint: Folders, card_of: Cards, pictures: list[Image.Image]
) -> None:
    card = card_of("vit_classifier")
    assert card.pooling == "cls"
    states = _features(tiny_checkpoint("vit_classifier"), pictures, pool=False)
    rows = [state[0][0] for state in states]
    assert (_unit(rows) * _vectors(card, pictures)).sum(axis=1).min() > 0.99999


def test_mean_pooling_leaves_out_class_and_register_tokens(
    tiny_checkpoint: Folders, pictures: list[Image.Image]
) -> None:
    for family, prefix in (("vit", 1), ("dinov3", 5)):
        card = resolve_card(str(tiny_checkpoint(family)), pooling="mean")
        assert card.spec is not None
        encoder: Any = open_image_encoder(card, CPU)
        pixels = [prepare(picture, card.spec) for picture in pictures]
        states = encoder.encode_unpooled(pixels)
        expected = _unit(states[:, prefix:].mean(axis=1))
        assert (expected * encoder.encode(pixels)).sum(axis=1).min() > 0.99999


def test_dinov3_equals_its_model_class(
    tiny_checkpoint: Folders, card_of: Cards, pictures: list[Image.Image]
) -> None:
    import torch
    from transformers import AutoModel

    card = card_of("dinov3")
    assert card.spec is not None
    model = AutoModel.from_pretrained(tiny_checkpoint("dinov3")).eval()
    pixels = np.stack([prepare(picture, card.spec) for picture in pictures])
    values = (pixels * card.spec.rescale - np.array(card.spec.mean)) / np.array(card.spec.std)
    with torch.no_grad():
        inputs = torch.from_numpy(values.astype(np.float32)).permute(0, 3, 1, 2)
        expected = model(pixel_values=inputs).pooler_output.numpy()
    assert (_unit(expected) * _vectors(card, pictures)).sum(axis=1).min() > 0.99999


def test_another_picture_size_interpolates_positions(
    tiny_checkpoint: Folders, card_of: Cards, pictures: list[Image.Image]
) -> None:
    from dataclasses import replace

    import torch
    from transformers import AutoModel

    for family in ("clip", "siglip", "chinese_clip"):
        card = card_of(family)
        assert card.spec is not None
        spec = replace(card.spec, height=48, width=48, edge=48 if card.spec.edge else 0)
        larger = replace(card, spec=spec)
        assert larger.fingerprint != card.fingerprint
        model = AutoModel.from_pretrained(tiny_checkpoint(family)).eval()
        size = {"shortest_edge": 48} if spec.edge else {"height": 48, "width": 48}
        processor = _processor(tiny_checkpoint(family))
        crop = {"crop_size": {"height": 48, "width": 48}} if spec.edge else {}
        inputs = processor(pictures, size=size, return_tensors="pt", **crop)
        with torch.no_grad():
            output = model.get_image_features(**inputs, interpolate_pos_encoding=True)
        expected = _unit(output.pooler_output.numpy())
        assert (expected * _vectors(larger, pictures)).sum(axis=1).min() > 0.99999


def test_an_old_clip_config_pools_the_highest_token(
    tiny_checkpoint: Folders, tmp_path: Path
) -> None:
    """OpenAI's checkpoints state the end token as 2; transformers then takes the highest id."""
    import json
    import shutil

    import torch
    from transformers import AutoTokenizer, CLIPModel

    from pictor.library.encoders.towers import make_text_tower

    folder = shutil.copytree(tiny_checkpoint("clip"), tmp_path / "clip")
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["eos_token_id"] = 2
    (folder / "config.json").write_text(json.dumps(config))
    card = resolve_card(str(folder))
    make_text_tower(card, folder=tmp_path / "tower")
    inputs = AutoTokenizer.from_pretrained(folder)(LABELS[:3], padding=True, return_tensors="pt")
    with torch.no_grad():
        output = CLIPModel.from_pretrained(folder).eval().get_text_features(**inputs)
    actual = open_text_encoder(card, tmp_path / "tower").encode(LABELS[:3])
    assert np.abs(actual - _unit(output.pooler_output.numpy())).max() < 1e-5
