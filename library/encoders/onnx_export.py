"""From a torch checkpoint to ONNX towers, checked against torch before anyone uses them.

The TorchScript exporter (dynamo=False) is used: the newer one needs the package onnxscript, takes
three times as long, and its graphs break quantize_dynamic (measured, torch 2.13). Everything heavy
is imported in the functions.
"""

from __future__ import annotations

import json
import logging
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from pictor.library.encoders import onnx_image, onnx_text
from pictor.library.encoders.base import EncoderOptions
from pictor.library.encoders.batches import stack
from pictor.library.encoders.checkpoint import Checkpoint
from pictor.library.encoders.onnx_session import open_session
from pictor.library.encoders.onnx_text import OnnxTextEncoder
from pictor.library.encoders.text_rules import open_tokenizer, pad
from pictor.library.encoders.tokenizer_export import save_tokenizer
from pictor.library.encoders.torch_image import TorchImageEncoder
from pictor.library.encoders.torch_model import load_model, pooled_tensor, quiet_transformers
from pictor.library.errors import ModelError, ModelUnsupported
from pictor.library.records import EncoderCard

TOLERANCE = 1e-4  # largest difference of a unit vector's component between torch and ONNX Runtime
_INT8_COSINE = 0.99  # least agreement of a quantised tower; 0.9997 was measured on ViT-B/32
_OPSET = 17  # the newest the TorchScript exporter documents
_ONE_FILE_BYTES = 1_900_000_000  # a protobuf holds less than 2 GiB; beyond, weights go beside it
_SAMPLES = (
    "a photo of a dog",
    "",
    "两只猫在沙发上",
    "A man, in a RED jacket & 2 children play football on the beach at sunset; it's 5 o'clock!",
    "many words " * 60,
)


def export_text(checkpoint: Checkpoint, card: EncoderCard, folder: Path) -> None:
    """Write text.onnx, text.json and the tokenizer into an existing, empty folder.

    There is no int8 form: its activations are scaled over the whole batch, so that a text's vector
    would depend on its company, and one query takes some 20 ms as it is.

    Raises:
        ModelError: the tower cannot be exported, or does not agree with torch.
        ModelUnsupported: the family has no text tower.
    """
    import torch

    model = load_model(checkpoint, card, tower="text", dtype=torch.float32, attention="eager")
    rules = save_tokenizer(checkpoint, card, folder)
    (folder / onnx_text.RULES).write_text(json.dumps(asdict(rules), indent=1), encoding="utf-8")
    wrapped = _text_module(model, rules.attention_mask)
    tokenizer = open_tokenizer(folder, rules)
    tokens, mask = pad(tokenizer(_SAMPLES[:3]), rules)
    inputs = {"input_ids": torch.from_numpy(tokens)}
    if rules.attention_mask:
        inputs["attention_mask"] = torch.from_numpy(mask)
    axes = {name: {0: "batch", 1: "length"} for name in inputs}
    if rules.padding == "max_length":
        axes = {name: {0: "batch"} for name in inputs}
    _export(wrapped, inputs, axes, folder / onnx_text.MODEL)
    encoder = OnnxTextEncoder(card, folder, rules)
    for texts in (_SAMPLES, _SAMPLES[:1], _SAMPLES[3:]):
        tokens, mask = pad(tokenizer(texts), rules)
        both = (torch.from_numpy(tokens), torch.from_numpy(mask))
        with torch.inference_mode():
            expected = wrapped(*both[: len(inputs)]).numpy()
        _compare(encoder.encode(texts), expected, card)


def export_image(
    checkpoint: Checkpoint, card: EncoderCard, folder: Path, *, quantise: bool = False
) -> None:
    """Write image.onnx into an existing, empty folder: uint8 (n, h, w, 3) in, unit vectors out.

    Raises:
        ModelError: the tower cannot be exported, or does not agree with torch.
        ModelUnsupported: NaFlex towers have no fixed graph.
    """
    import torch

    spec = card.spec
    if spec is None or spec.resize == "naflex":
        raise ModelUnsupported(
            f"the image tower of {card.id!r} takes pictures of any shape and cannot be exported; "
            "use the runtime 'torch'"
        )
    reference = TorchImageEncoder(
        card, checkpoint, EncoderOptions(device="cpu", dtype="float32", attention="eager")
    )
    rng = np.random.default_rng(0)
    shape = (3, spec.height, spec.width, 3)
    pixels = rng.integers(0, 256, shape, np.uint8)
    pixels[1:] //= np.linspace(1, 4, spec.width, dtype=np.uint8)[:, None]  # not noise alone
    path = folder / onnx_image.MODEL
    inputs = {"pixels": torch.from_numpy(pixels[:2])}
    _export(_image_module(reference), inputs, {"pixels": {0: "batch"}}, path)
    if quantise:
        _quantise(path)
    session = open_session(path)
    for rows in (pixels, pixels[:1]):
        actual = session.run(["vectors"], {"pixels": stack(list(rows))})[0]
        _compare(actual, reference.encode(list(rows)), card, quantised=quantise)
    reference.close()


def _text_module(model: Any, attention_mask: bool) -> Any:
    import torch

    class TextTower(torch.nn.Module):  # type: ignore[misc]  # torch is not followed by the checks
        """Token ids to unit vectors."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any, mask: Any = None) -> Any:
            """(n, length) int64 → (n, d)."""
            inputs = {"attention_mask": mask} if attention_mask else {}
            output = pooled_tensor(self.model.get_text_features(input_ids=input_ids, **inputs))
            return torch.nn.functional.normalize(output, dim=-1)

    return TextTower().eval()


def _image_module(reference: TorchImageEncoder) -> Any:
    import torch

    class ImageTower(torch.nn.Module):  # type: ignore[misc]  # torch is not followed by the checks
        """uint8 pixels to unit vectors."""

        def __init__(self) -> None:
            super().__init__()
            self.model = reference.model

        def forward(self, pixels: Any) -> Any:
            """(n, h, w, 3) uint8 → (n, d)."""
            return reference.vectors_of(pixels)

    return ImageTower().eval()


def _export(module: Any, inputs: dict[str, Any], axes: dict[str, Any], path: Path) -> None:
    import torch

    size_bytes = sum(p.numel() * p.element_size() for p in module.parameters())
    try:
        with torch.inference_mode(), quiet_transformers(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of tracing: the results are compared
            torch.onnx.export(
                module,
                tuple(inputs.values()),
                str(path),
                input_names=list(inputs),
                output_names=["vectors"],
                dynamic_axes={**axes, "vectors": {0: "batch"}},
                opset_version=_OPSET,
                dynamo=False,
                external_data=size_bytes > _ONE_FILE_BYTES,
            )
    except (RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ModelError(f"the model cannot be exported to ONNX ({reason})") from error


def _quantise(path: Path) -> None:
    """Replace a tower by one with int8 weights: half the time, a quarter of the size."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    smaller = path.with_name("quantised.onnx")
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # it advises its own pre-processing on the root logger
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            quantize_dynamic(str(path), str(smaller), weight_type=QuantType.QInt8)
    finally:
        root.setLevel(level)
    for other in path.parent.iterdir():  # a tower of 2 GB or more has its weights beside it
        if other != smaller:
            other.unlink()
    smaller.replace(path)


def _compare(actual: Any, expected: Any, card: EncoderCard, *, quantised: bool = False) -> None:
    difference = float(np.abs(actual - expected).max())
    cosine = float((actual * expected).sum(axis=1).min())
    good = cosine >= _INT8_COSINE if quantised else difference <= TOLERANCE
    if not good:
        raise ModelError(
            f"the exported tower of {card.id!r} differs from torch by {difference:.2g} "
            f"(cosine {cosine:.5f}), more than is safe; use the runtime 'torch'"
        )
