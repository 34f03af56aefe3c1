"""Trained towers to the files that ship: ONNX graphs, tokenizer and card, checked against torch.

Weights are stored as float16 and cast to float32 by the graph, so that arithmetic stays float32
on every machine; onnxruntime folds the casts when it loads the file. Fails rather than ships where
a check does not hold.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor, nn

from training.model import SHIPPED_EDGE_PX, DualEncoder
from training.ranks import FloatMatrix
from training.tokens import encode

OPSET = 17
TOLERANCE = 1e-4  # largest difference allowed between two ways of making one vector
_SMALLEST_HALVED = 1024  # elements; below that a float16 copy saves nothing

# The second text is empty, and the last ones hold nothing that the vocabulary knows.
_SAMPLE_TEXTS = [
    "a dog runs on the beach",
    "",
    "一只狗在沙滩上奔跑。",
    "ＤＯＧ dog 狗",
    "😀🐕",
    "ᚠᛇᚻ ꙮ",
]


def export(model: DualEncoder, tokenizer: Tokenizer, start: Path, out: Path) -> None:
    """Write ``image.onnx``, ``text.onnx`` and ``tokenizer.json`` into ``out`` and check them.

    The model is turned into what ships: its text tower is folded, its weights are rounded.

    Raises:
        ValueError: a check failed; the message says which and by how much.
    """
    out.mkdir(parents=True, exist_ok=True)
    model.text = model.text.folded()
    model.eval()
    round_to_half(model)
    pixels = torch.randint(0, 256, (2, SHIPPED_EDGE_PX, SHIPPED_EDGE_PX, 3), dtype=torch.uint8)
    ids, mask = (torch.from_numpy(part) for part in encode(tokenizer, _SAMPLE_TEXTS))
    _write(model.image, (pixels,), {"pixels": {0: "n"}}, out / "image.onnx")
    text_axes = {"input_ids": {0: "n", 1: "l"}, "attention_mask": {0: "n", 1: "l"}}
    _write(model.text, (ids, mask), text_axes, out / "text.onnx")
    tokenizer.no_padding()
    tokenizer.save(str(out / "tokenizer.json"), pretty=False)
    check_changed(model, start)
    check_images(model, out / "image.onnx")
    check_texts(model, tokenizer, out / "text.onnx")


def round_to_half(model: nn.Module) -> None:
    """Round each weight that ships as float16, so that torch computes with what ships."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.numel() >= _SMALLEST_HALVED:
                parameter.copy_(parameter.half().float())


def check_changed(model: DualEncoder, start: Path) -> None:
    """No shipped convolution tensor may equal its start tensor; prints the least change."""
    tensors = load_file(start)
    changes = {}
    for index, convolution in enumerate(model.image.backbone.convolutions()):
        for name, value in convolution.named_parameters():
            before = tensors[f"c.{index}.{name}"]
            rounded = before.half().float() if before.numel() >= _SMALLEST_HALVED else before
            distance = (value.detach() - rounded).norm() / rounded.norm()
            changes[f"c.{index}.{name}"] = float(distance)
    least = min(changes, key=lambda name: changes[name])
    print(f"{len(changes)} start tensors, least relative change {changes[least]:.2e} ({least})")
    if changes[least] == 0.0:
        raise ValueError(f"shipped tensor {least} equals its start tensor; it was not trained")


def check_images(model: DualEncoder, path: Path) -> None:
    """The image graph agrees with torch, and a batch agrees with its rows one by one."""
    shape = (5, SHIPPED_EDGE_PX, SHIPPED_EDGE_PX, 3)
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    with torch.no_grad():
        expected = model.image(torch.from_numpy(pixels)).numpy()
    session = onnxruntime.InferenceSession(path)
    batch = run(session, {"pixels": pixels})
    singles = np.concatenate([run(session, {"pixels": row[None]}) for row in pixels])
    _close("image.onnx against torch", batch, expected)
    _close("image.onnx batch against singles", batch, singles)


def check_texts(model: DualEncoder, tokenizer: Tokenizer, path: Path) -> None:
    """As ``check_images``; the singles are not padded, so padding is checked too."""
    ids, mask = encode(tokenizer, _SAMPLE_TEXTS)
    with torch.no_grad():
        expected = model.text(torch.from_numpy(ids), torch.from_numpy(mask)).numpy()
    session = onnxruntime.InferenceSession(path)
    batch = run(session, {"input_ids": ids, "attention_mask": mask})
    rows = []
    for text in _SAMPLE_TEXTS:
        one_ids, one_mask = encode(tokenizer, [text])
        rows.append(run(session, {"input_ids": one_ids, "attention_mask": one_mask}))
    _close("text.onnx against torch", batch, expected)
    _close("text.onnx batch against singles", batch, np.concatenate(rows))
    nothing = run(session, {"input_ids": ids, "attention_mask": np.zeros_like(mask)})
    if not np.isfinite(nothing).all():
        raise ValueError("text.onnx gives vectors that are not finite for an all-zero mask")


def run(session: onnxruntime.InferenceSession, feed: dict[str, NDArray[np.generic]]) -> FloatMatrix:
    """The ``vectors`` output for one feed."""
    vectors: FloatMatrix = session.run(["vectors"], feed)[0]
    return vectors


def revision(folder: Path) -> str:
    """First 12 hex digits of the SHA-256 over the three model files, in name order."""
    digest = hashlib.sha256()
    for name in ("image.onnx", "text.onnx", "tokenizer.json"):
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()[:12]


def _close(what: str, found: FloatMatrix, expected: FloatMatrix) -> None:
    worst = float(np.abs(found - expected).max())
    norms = np.abs(np.linalg.norm(found, axis=1) - 1.0).max()
    print(f"{what}: largest difference {worst:.1e}, largest error of norm {norms:.1e}")
    if not (worst <= TOLERANCE and norms <= TOLERANCE):
        raise ValueError(f"{what}: differs by {worst:.1e}, norms by {norms:.1e} > {TOLERANCE}")


def _write(
    module: nn.Module, sample: tuple[Tensor, ...], axes: dict[str, dict[int, str]], path: Path
) -> None:
    buffer = io.BytesIO()
    torch.onnx.export(
        module,
        sample,
        buffer,
        input_names=list(axes),
        output_names=["vectors"],
        dynamic_axes={**axes, "vectors": {0: "n"}},
        opset_version=OPSET,
        dynamo=False,  # the new exporter needs onnxscript, which is not a dependency
    )
    graph = onnx.load_from_string(buffer.getvalue())
    _store_as_half(graph)
    onnx.checker.check_model(graph)
    onnx.save(graph, path)


def _store_as_half(model: onnx.ModelProto) -> None:
    """Replace large float32 weights by float16 ones, each followed by a cast to float32."""
    casts = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if tensor.data_type == TensorProto.FLOAT and values.size >= _SMALLEST_HALVED:
            full, half = tensor.name, f"{tensor.name}_half"
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), half))
            casts.append(helper.make_node("Cast", [half], [full], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
