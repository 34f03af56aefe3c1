from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pictor.library.encoders.base import EncoderOptions
from pictor.library.encoders.torch_image import TorchImageEncoder
from pictor.library.encoders.towers import open_image_encoder, resolve_card
from pictor.library.errors import ModelError, ModelUnsupported
from pictor.library.images.prepare import prepare
from pictor.library.records import EncoderCard, PixelArray

CPU = EncoderOptions(device="cpu", runtime="torch")
Cards = Callable[[str], EncoderCard]
FAMILIES = ("clip", "siglip", "siglip2_naflex", "chinese_clip", "vit", "dinov2", "dinov3")


def _open(card: EncoderCard, **options: Any) -> TorchImageEncoder:
    encoder = open_image_encoder(card, replace(CPU, **options))
    assert isinstance(encoder, TorchImageEncoder)
    return encoder


def _pixels(card: EncoderCard, pictures: list[Image.Image]) -> list[PixelArray]:
    assert card.spec is not None
    return [prepare(picture, card.spec) for picture in pictures]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_row_is_the_same_alone_and_in_any_batch(
    family: str, card_of: Cards, pictures: list[Image.Image]
) -> None:
    card = card_of(family)
    pixels = _pixels(card, pictures)
    whole = _open(card).encode(pixels)
    assert whole.shape == (len(pictures), card.dimension) and whole.dtype == np.float32
    assert np.abs(np.linalg.norm(whole, axis=1) - 1).max() < 1e-5
    assert (whole @ whole.T).min() < 0.99  # different pictures, different vectors
    for batch_size in (1, 2, 3):
        assert np.abs(_open(card, batch_size=batch_size).encode(pixels) - whole).max() < 1e-5


def test_no_pictures_give_no_rows(card_of: Cards) -> None:
    encoder = _open(card_of("clip"))
    assert encoder.encode([]).shape == (0, 24)
    assert encoder.encode_unpooled([]).shape[0] == 0


@pytest.mark.parametrize("shape", [(32, 31, 3), (32, 32), (32, 32, 4), (3, 32, 32)])
def test_pixels_of_another_shape_are_a_bug_of_the_caller(
    shape: tuple[int, ...], card_of: Cards
) -> None:
    with pytest.raises(ValueError, match="pixels are uint8"):
        _open(card_of("clip")).encode([np.zeros(shape, np.uint8)])


def test_float_pixels_are_a_bug_of_the_caller(card_of: Cards) -> None:
    with pytest.raises(ValueError, match="pixels are float32"):
        _open(card_of("clip")).encode([np.zeros((32, 32, 3), np.float32)])


def test_too_many_patches_are_a_bug_of_the_caller(card_of: Cards) -> None:
    with pytest.raises(ValueError, match="pixels are uint8"):
        _open(card_of("siglip2_naflex")).encode([np.zeros((8, 8 * 21, 3), np.uint8)])


def _cuda_message() -> Exception:
    import torch

    error: Exception = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
    return error


@pytest.mark.parametrize(
    "error",
    [
        _cuda_message,
        lambda: RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate"),
        lambda: RuntimeError("MPS backend out of memory"),
        MemoryError,
    ],
)
def test_a_batch_that_does_not_fit_is_halved_and_loses_no_row(
    error: Callable[[], Exception],
    card_of: Cards,
    pictures: list[Image.Image],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    card = card_of("clip")
    pixels = _pixels(card, pictures * 2)
    expected = _open(card).encode(pixels)
    encoder = _open(card, batch_size=8)
    forward, sizes = encoder.model.get_image_features, []

    def small(pixel_values: Any, **options: Any) -> Any:
        sizes.append(len(pixel_values))
        if len(pixel_values) > 3:
            raise error()
        return forward(pixel_values=pixel_values, **options)

    monkeypatch.setattr(encoder.model, "get_image_features", small)
    assert np.abs(encoder.encode(pixels) - expected).max() < 1e-5
    assert sizes == [8, 4, 2, 2, 2, 2, 2]
    assert encoder.batch_size == 2  # and stays there


def test_one_picture_that_does_not_fit_is_an_error(
    card_of: Cards, pictures: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = _open(card_of("clip"))

    def never(**_: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(encoder.model, "get_image_features", never)
    with pytest.raises(ModelError, match="too little memory for one picture"):
        encoder.encode(_pixels(encoder.card, pictures))


def test_other_errors_of_torch_are_not_hidden(
    card_of: Cards, pictures: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = _open(card_of("clip"))

    def broken(**_: Any) -> Any:
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(encoder.model, "get_image_features", broken)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        encoder.encode(_pixels(encoder.card, pictures))


@pytest.mark.parametrize("heals", [True, False])
def test_rows_that_are_not_finite_are_tried_alone_in_float32(
    heals: bool, card_of: Cards, pictures: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    card = card_of("clip")
    pixels = _pixels(card, pictures)
    expected = _open(card).encode(pixels)
    encoder = _open(card, dtype="bfloat16")
    forward, seen = encoder.model.get_image_features, []

    def overflow(pixel_values: Any, **options: Any) -> Any:
        output = forward(pixel_values=pixel_values, **options)
        seen.append((len(pixel_values), pixel_values.dtype))
        if len(pixel_values) > 1:
            output.pooler_output[1:3] = float("inf")
        elif not heals:
            output.pooler_output[:] = float("nan")
        return output

    monkeypatch.setattr(encoder.model, "get_image_features", overflow)
    vectors = encoder.encode(pixels)
    assert seen == [(5, torch.bfloat16), (1, torch.float32), (1, torch.float32)]
    assert next(encoder.model.parameters()).dtype == torch.bfloat16
    good = [0, 3, 4]
    assert (vectors[good] * expected[good]).sum(axis=1).min() > 0.99
    if heals:
        assert (vectors * expected).sum(axis=1).min() > 0.99
    else:
        assert np.isnan(vectors[1:3]).all()


def test_a_vector_of_zeros_is_not_finite(
    card_of: Cards, pictures: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = _open(card_of("clip"))
    import torch

    def zeros(pixel_values: Any) -> Any:
        return torch.zeros(len(pixel_values), 24)  # a tensor, as transformers 4 returned

    monkeypatch.setattr(encoder.model, "get_image_features", zeros)
    assert np.isnan(encoder.encode(_pixels(encoder.card, pictures))).all()


def test_half_types_stay_close_to_float32(card_of: Cards, pictures: list[Image.Image]) -> None:
    card = card_of("siglip")
    pixels = _pixels(card, pictures)
    expected = _open(card).encode(pixels)
    for dtype in ("bfloat16", "float16"):
        assert (_open(card, dtype=dtype).encode(pixels) * expected).sum(axis=1).min() > 0.99


def test_auto_is_float32_on_the_cpu(card_of: Cards) -> None:
    import torch

    assert next(_open(card_of("clip")).model.parameters()).dtype == torch.float32


def test_only_the_image_tower_is_kept(card_of: Cards) -> None:
    for family in ("clip", "siglip", "chinese_clip"):
        names = [name for name, _ in _open(card_of(family)).model.named_parameters()]
        assert not [name for name in names if name.startswith("text")]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "cuda"}, "'cuda' was asked for, but torch .* finds no CUDA device"),
        ({"device": "cuda:3"}, "'cuda:3' was asked for"),
        ({"device": "mps"}, "'mps' was asked for, but this machine has none"),
        ({"device": "toaster"}, "'toaster' is no device"),
        ({"device": "meta"}, "'meta' is not supported"),
        ({"attention": "flash_attention_2"}, "flash-attn is not installed"),
        ({"runtime": "onnx", "device": "cuda"}, "runs on the CPU"),
    ],
)
def test_what_the_machine_lacks_is_said_clearly(
    options: dict[str, Any],
    message: str,
    card_of: Cards,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ModelError, match=message):
        open_image_encoder(card_of("clip"), replace(CPU, **options), tmp_path)


def test_flash_attention_needs_a_gpu(card_of: Cards, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    with pytest.raises(ModelError, match="flash_attention_2 needs a CUDA device"):
        _open(card_of("clip"), attention="flash_attention_2")


def test_a_gpu_number_that_is_not_there(card_of: Cards, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ModelError, match="this machine has 2 CUDA devices, cuda:0 to cuda:1"):
        _open(card_of("clip"), device="cuda:2")


def test_pooling_is_chosen_for_image_only_families(tiny_checkpoint: Callable[[str], Path]) -> None:
    folder = str(tiny_checkpoint("vit"))
    prints = {resolve_card(folder, pooling=p).fingerprint for p in (None, "cls", "mean")}
    assert len(prints) == 3
    with pytest.raises(ModelUnsupported, match="has no pooler; use the pooling 'cls' or 'mean'"):
        resolve_card(str(tiny_checkpoint("vit_classifier")), pooling="pooler")
    with pytest.raises(ModelUnsupported, match="pools by its own projection"):
        resolve_card(str(tiny_checkpoint("clip")), pooling="cls")


def test_an_unresolved_card_is_a_bug_of_the_caller() -> None:
    with pytest.raises(ValueError, match="is not resolved"):
        open_image_encoder(EncoderCard("a/b", "clip"))


def test_onnx_without_a_cache_is_a_bug_of_the_caller(card_of: Cards) -> None:
    with pytest.raises(ValueError, match="needs a cache_dir"):
        open_image_encoder(card_of("clip"), EncoderOptions(runtime="onnx"))


def test_close_lets_go_of_the_model(card_of: Cards) -> None:
    encoder = _open(card_of("clip"))
    encoder.close()
    assert encoder.model is None
