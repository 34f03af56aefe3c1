"""The image tower of a checkpoint on torch: CPU, CUDA or MPS.

Pixels travel as uint8 and are scaled and normalised on the device, in float32 and in the order of
the processors of transformers: x * rescale, then (x - mean) / std.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pictor.library.encoders.base import EncoderOptions
from pictor.library.encoders.batches import check_pixels, mark_broken_rows, stack
from pictor.library.encoders.checkpoint import Checkpoint
from pictor.library.encoders.families import FAMILIES, native_image_size, prefix_tokens
from pictor.library.encoders.torch_model import (
    check_attention,
    choose_device,
    choose_dtype,
    load_model,
    pooled_tensor,
)
from pictor.library.errors import ModelError
from pictor.library.records import EncoderCard, FloatMatrix, ImageSpec, Pictures, PixelArray

Tensor = Any  # torch.Tensor; torch is imported lazily and not typed in this project's checks

#: Images of a forward pass before anything ran out of memory. CPU: 8 to 32 were measured equal on
#: ViT-B/32. GPUs: enough to fill one with a base-size tower; larger towers halve it once and stay
#: there.
_BATCH = {"cpu": 16, "mps": 32, "cuda": 256}
#: cudaHostRegisterPortable of the CUDA runtime.
_FOR_ALL_DEVICES = 1
#: Families whose towers take another picture size than their position table only when told to.
_INTERPOLATING = frozenset({"clip", "siglip", "siglip2", "chinese_clip", "vit"})


class TorchImageEncoder:
    """An image encoder on torch. Not safe to use from several threads at once.

    Attributes:
        card: the resolved card.
        batch_size: images of one forward pass; smaller after the device ran out of memory.
        model: the torch module, for the exporter.
    """

    def __init__(self, card: EncoderCard, checkpoint: Checkpoint, options: EncoderOptions) -> None:
        import torch

        if card.spec is None:
            raise ValueError(f"the card of {card.id!r} is not resolved: it has no spec")
        self.card, self._spec = card, card.spec
        self._device = choose_device(options.device)
        self._dtype = choose_dtype(options.dtype, self._device)
        check_attention(options.attention, self._device, self._dtype)
        if options.threads:
            torch.set_num_threads(options.threads)
        config = checkpoint.config()
        self._first_patch = prefix_tokens(config)
        native = native_image_size(FAMILIES[card.family], config)
        self._forward_options: dict[str, Any] = {}
        resized = native and (self._spec.height, self._spec.width) != (native, native)
        if resized and card.family in _INTERPOLATING:
            self._forward_options["interpolate_pos_encoding"] = True
        self.batch_size = options.batch_size or _BATCH[self._device.type]
        model = load_model(
            checkpoint, card, tower="image", dtype=self._dtype, attention=options.attention
        )
        self.model = self._on_device(model)

    def encode(self, pixels: Pictures) -> FloatMatrix:
        """As `ImageEncoder.encode`."""
        return self.submit(pixels)()

    def submit(self, pixels: Pictures) -> Callable[[], FloatMatrix]:
        """As `ImageEncoder.submit`: a GPU computes until the vectors are asked for."""
        check_pixels(pixels, self.card)
        parts = self._in_batches(pixels, pooled=True)
        return lambda: self._sound(pixels, _rows_of(parts))

    def _sound(self, pixels: Pictures, vectors: FloatMatrix) -> FloatMatrix:
        """The vectors, with those that are not finite made once more in float32."""
        if vectors.size == 0:
            return np.empty((0, self.card.dimension), np.float32)
        if vectors.shape[1] != self.card.dimension:
            raise ModelError(
                f"{self.card.id!r} gives vectors of {vectors.shape[1]} numbers, "
                f"its configuration declares {self.card.dimension}; fetch it again"
            )
        if np.isfinite(vectors).all():
            return vectors
        with self._in_float32():
            return mark_broken_rows(vectors, lambda row: self._alone(pixels[row]))

    def encode_unpooled(self, pixels: Pictures) -> NDArray[np.float32]:
        """Hidden states of the last layer, as the model gives them, not normalised.

        Returns:
            (n, tokens, width) float32. The first token is the class token where the family has one.
            For "naflex" tokens is max_patches, and those past a picture's own patches mean nothing.
        """
        check_pixels(pixels, self.card)
        states = _rows_of(self._in_batches(pixels, pooled=False))
        return states if states.ndim == 3 else np.empty((0, 0, 0), np.float32)

    def vectors_of(self, pixels: Tensor) -> Tensor:
        """(n, h, w, 3) uint8 on the device → (n, d) float32 unit vectors, for the exporter."""
        return self._unit(self._pooled(self._inputs(pixels)))

    def lock_pages(self, memory: NDArray[np.uint8]) -> Callable[[], None] | None:
        """As `ImageEncoder.lock_pages`: CUDA copies from locked pages without a copy by the CPU."""
        import torch

        if self._device.type != "cuda" or torch.from_numpy(memory).is_pinned():
            return None
        runtime, address = torch.cuda.cudart(), memory.ctypes.data
        if int(runtime.cudaHostRegister(address, memory.nbytes, _FOR_ALL_DEVICES)):
            return None
        return lambda: runtime.cudaHostUnregister(address)

    def close(self) -> None:
        """Give back memory and device. The encoder cannot be used afterwards."""
        self.model = None
        self._free_cache()

    def _in_batches(self, pixels: Pictures, *, pooled: bool) -> list[Tensor]:
        """All rows in order, on the device. A batch that does not fit is halved; none is lost."""
        parts: list[Tensor] = []
        done = 0
        while done < len(pixels):
            chunk = pixels[done : done + self.batch_size]
            result = self._try(chunk, pooled)
            if result is None:
                self._halve(len(chunk))
                continue
            # It stays on the device: the next batch is stacked while this one runs.
            parts.append(result)
            done += len(chunk)
        return parts

    def _try(self, pixels: Pictures, pooled: bool) -> Tensor | None:
        """The rows of one batch, None if the device has too little memory for it."""
        try:
            return self._forward(pixels, pooled)
        except (RuntimeError, MemoryError) as error:
            if not _is_out_of_memory(error):
                raise
        # outside of the handler: the traceback would keep the tensors alive
        self._free_cache()
        return None

    def _halve(self, size: int) -> None:
        if size <= 1:
            raise ModelError(
                f"{self._device} has too little memory for one picture through {self.card.id!r}; "
                "use --device cpu or a smaller encoder"
            )
        self.batch_size = size // 2

    def _forward(self, pixels: Pictures, pooled: bool) -> Tensor:
        import torch

        with torch.inference_mode():
            if self._spec.resize == "naflex":
                inputs = self._patch_inputs(pixels)
            else:
                inputs = self._inputs(self._to_device(stack(pixels)))
            return self._unit(self._pooled(inputs)) if pooled else self._states(inputs).float()

    def _inputs(self, pixels: Tensor) -> dict[str, Any]:
        values = self._normalised(pixels).permute(0, 3, 1, 2).to(self._dtype).contiguous()
        return {"pixel_values": values, **self._forward_options}

    def _patch_inputs(self, pixels: Pictures) -> dict[str, Any]:
        import torch

        patches, mask, shapes = patchify(pixels, self._spec)
        on_device = self._to_device(mask)
        values = self._normalised(self._to_device(patches)).flatten(2)
        values = values * on_device[..., None]  # pads are zero after normalising, not before
        return {
            "pixel_values": values.to(self._dtype),
            "pixel_attention_mask": on_device,
            "spatial_shapes": torch.from_numpy(shapes),
        }

    def _normalised(self, pixels: Tensor) -> Tensor:
        import torch

        mean = torch.tensor(self._spec.mean, dtype=torch.float32, device=self._device)
        std = torch.tensor(self._spec.std, dtype=torch.float32, device=self._device)
        return (pixels.float() * self._spec.rescale - mean) / std

    @staticmethod
    def _unit(vectors: Tensor) -> Tensor:
        """Rows of norm 1 in float32; a row of zeros, which means nothing, becomes NaN."""
        vectors = vectors.float()
        return vectors / vectors.norm(dim=-1, keepdim=True)

    def _to_device(self, array: NDArray[Any]) -> Tensor:
        import torch

        tensor = torch.from_numpy(array)
        if self._device.type == "cuda":
            locked = tensor if tensor.is_pinned() else tensor.pin_memory()
            return locked.to(self._device, non_blocking=True)
        return tensor.to(self._device)

    def _pooled(self, inputs: dict[str, Tensor]) -> Tensor:
        if self.card.pooling == "projection":
            return pooled_tensor(self.model.get_image_features(**inputs))
        output = self.model(**inputs)
        if self.card.pooling == "cls":
            return output.last_hidden_state[:, 0]
        if self.card.pooling == "mean":
            return output.last_hidden_state[:, self._first_patch :].mean(dim=1)
        return output.pooler_output

    def _states(self, inputs: dict[str, Any]) -> Tensor:
        two_towers = self.card.pooling == "projection"
        tower = self.model.get_image_features if two_towers else self.model
        return tower(**inputs).last_hidden_state

    @contextlib.contextmanager
    def _in_float32(self) -> Iterator[None]:
        import torch

        usual = self._dtype
        self._dtype = torch.float32
        self.model.float()
        try:
            yield
        finally:
            self._dtype = usual
            self.model.to(usual)

    def _alone(self, pixels: PixelArray) -> NDArray[np.float32]:
        result = self._try([pixels], pooled=True)
        if result is None:
            return np.full(self.card.dimension, np.nan, np.float32)
        row: NDArray[np.float32] = result[0].cpu().numpy()
        return row

    def _on_device(self, model: Any) -> Any:
        try:
            return model.to(self._device)
        except RuntimeError as error:
            if not _is_out_of_memory(error):
                raise
            raise ModelError(
                f"{self._device} has too little memory for {self.card.id!r}; "
                "use --device cpu or a smaller encoder"
            ) from error

    def _free_cache(self) -> None:
        import torch

        if self._device.type == "cuda":
            torch.cuda.empty_cache()


def _rows_of(parts: list[Tensor]) -> NDArray[np.float32]:
    """What the device computed, once it has."""
    if not parts:
        return np.empty((0, 0), np.float32)
    return np.concatenate([part.cpu().numpy() for part in parts])


def patchify(
    pixels: Pictures, spec: ImageSpec
) -> tuple[NDArray[np.uint8], NDArray[np.int32], NDArray[np.int64]]:
    """n pictures of any aspect as rows of patches, padded to one length with a mask.

    As `Siglip2ImageProcessorPil` of transformers 5.23: patches in reading order, each flattened as
    (row, column, channel).

    Args:
        pixels: each (h, w, 3), h and w multiples of `spec.patch`, at most `spec.max_patches`
            patches.
        spec: of resize "naflex".

    Returns:
        (n, max_patches, patch * patch, 3) uint8 with zero pads; (n, max_patches) mask, 1 on
        patches; (n, 2) rows and columns of patches.
    """
    side = spec.patch
    patches = np.zeros((len(pixels), spec.max_patches, side * side, 3), np.uint8)
    mask = np.zeros((len(pixels), spec.max_patches), np.int32)
    shapes = np.zeros((len(pixels), 2), np.int64)
    for i, picture in enumerate(pixels):
        rows, columns = picture.shape[0] // side, picture.shape[1] // side
        grid = picture.reshape(rows, side, columns, side, 3).transpose(0, 2, 1, 3, 4)
        patches[i, : rows * columns] = grid.reshape(rows * columns, side * side, 3)
        mask[i, : rows * columns] = 1
        shapes[i] = rows, columns
    return patches, mask, shapes


def _is_out_of_memory(error: BaseException) -> bool:
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return "out of memory" in str(error).lower() or "DefaultCPUAllocator" in str(error)
