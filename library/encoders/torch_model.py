"""Loading a checkpoint into torch: device, number type, attention, and nothing that could run code.

torch and transformers are imported inside the functions: only indexing may pay for them (7 s, 1
GB).
"""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterator
from typing import Any

from pictor.library.encoders.base import Attention, Dtype
from pictor.library.encoders.checkpoint import Checkpoint
from pictor.library.encoders.devices import device_names
from pictor.library.encoders.families import FAMILIES
from pictor.library.errors import ModelError, ModelUnsupported
from pictor.library.records import EncoderCard

Module = Any  # torch.nn.Module; torch is not imported here, and not typed in this project's checks
Device = Any  # torch.device


def choose_device(name: str) -> Device:
    """The torch device that an option names, the first of several.

    Raises:
        ModelError: it is not in this machine, or no device name.
    """
    import torch

    name = device_names(name)[0]
    has_mps = torch.backends.mps.is_available()
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if has_mps else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ModelError(f"{name!r} is no device; use auto, cpu, cuda, cuda:N or mps") from error
    if device.type == "cuda":
        _check_cuda(name, device)
    elif device.type == "mps" and not has_mps:
        raise ModelError(
            "the device 'mps' was asked for, but this machine has none; use auto or cpu"
        )
    elif device.type not in {"cpu", "mps"}:
        raise ModelError(
            f"the device {name!r} is not supported; use auto, cpu, cuda, cuda:N or mps"
        )
    return device


def _check_cuda(name: str, device: Device) -> None:
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if count == 0:
        raise ModelError(
            f"the device {name!r} was asked for, but torch {torch.__version__} finds no CUDA "
            "device; use auto or cpu, or install a CUDA build of torch"
        )
    if (device.index or 0) >= count:
        raise ModelError(
            f"the device {name!r} was asked for, but this machine has {count} CUDA devices, "
            f"cuda:0 to cuda:{count - 1}"
        )


def choose_dtype(name: Dtype, device: Device) -> Any:  # Any: torch.dtype
    """The number type that an option means on a device.

    "auto" is float32 on CPU even where bfloat16 works: without native support it was measured 8
    times slower than float32 (ViT-B/32, AVX2).
    """
    import torch

    if name != "auto":
        return getattr(torch, name)
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if native else torch.float16
    return torch.float16 if device.type == "mps" else torch.float32


def check_attention(attention: Attention, device: Device, dtype: Any) -> None:
    """Raise ModelError where FlashAttention 2 was asked for and cannot run."""
    import torch

    if attention != "flash_attention_2":
        return
    if importlib.util.find_spec("flash_attn") is None:
        raise ModelError(
            "flash_attention_2 was asked for, but the package flash-attn is not installed; "
            "install it, or use sdpa"
        )
    if device.type != "cuda" or dtype not in {torch.float16, torch.bfloat16}:
        raise ModelError(
            f"flash_attention_2 needs a CUDA device and float16 or bfloat16, not {device} and "
            f"{dtype}; use sdpa"
        )


def load_model(
    checkpoint: Checkpoint,
    card: EncoderCard,
    *,
    tower: str,
    dtype: Any,
    attention: Attention = "sdpa",
) -> Module:
    """One tower of a checkpoint, in eval mode, on the CPU.

    Args:
        checkpoint: a whole one; it is read from its folder only.
        card: its resolved card.
        tower: "image" or "text"; the other one of a two-tower model is dropped.
        dtype: torch.dtype of the weights.
        attention: implementation in transformers.

    Raises:
        ModelError: the weights do not fit the configuration.
    """
    from transformers import AutoModel

    extra = {}
    if card.family == "vit":
        extra["add_pooling_layer"] = card.pooling == "pooler"
    try:
        with quiet_transformers():
            model, report = AutoModel.from_pretrained(
                str(checkpoint.folder),
                dtype=dtype,
                attn_implementation=None if attention == "sdpa" else attention,  # None: if it can
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
                output_loading_info=True,
                **extra,
            )
    except (OSError, ValueError, RuntimeError, KeyError, AttributeError, ImportError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ModelError(
            f"the checkpoint {card.id!r} cannot be loaded by transformers ({reason}); "
            "fetch it again"
        ) from error
    missing = sorted(report["missing_keys"])
    if missing:
        # transformers would leave them random, and the vectors with them
        raise ModelError(
            f"the checkpoint {card.id!r} lacks {len(missing)} weights of its own model, "
            f"the first is {missing[0]!r}; fetch it again"
        )
    return _keep_tower(model.eval(), card, tower)


def _keep_tower(model: Module, card: EncoderCard, tower: str) -> Module:
    if not FAMILIES[card.family].has_text:
        if tower == "text":
            raise ModelUnsupported(f"{card.id!r} has no text tower; it finds by picture only")
        return model
    prefix = "text" if tower == "image" else "vis"  # vision_model and CLIP's visual_projection
    for name, _ in list(model.named_children()):
        if name.startswith(prefix):
            setattr(model, name, None)
    return model


def pooled_tensor(output: Any) -> Any:  # Any: tensors and outputs of transformers
    """The projected vectors in what get_image_features and get_text_features return.

    transformers 5 returns an output object whose pooler_output is projected; 4 returned the tensor.
    """
    return getattr(output, "pooler_output", output)


@contextlib.contextmanager
def quiet_transformers() -> Iterator[None]:
    """transformers without its loading bar and reports; real problems become errors here."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
