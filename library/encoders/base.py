"""What an encoder is: two narrow interfaces and the options that shape how they run.

An image tower turns the uint8 pixels of its `ImageSpec` into vectors; a text tower turns strings
into vectors of the same space. They are separate because a text query must load neither torch nor
transformers, while indexing may need both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from pictor.library.records import EncoderCard, FloatMatrix, Pictures

Dtype = Literal["auto", "float32", "bfloat16", "float16"]
Attention = Literal["sdpa", "eager", "flash_attention_2"]
Runtime = Literal["auto", "torch", "onnx", "onnx-int8"]


@dataclass(frozen=True)
class EncoderOptions:
    """How to run an encoder. None of it changes which space the vectors belong to.

    Attributes:
        device: "auto" (CUDA, then MPS, then CPU), "cpu", "cuda", "cuda:N" or "mps". An indexing run
            takes several, too: "cuda:0,cuda:1" or "cuda:all"; all else takes the first of them.
        dtype: "auto" is bfloat16 where the device has it natively, float16 on other GPUs, else
            float32.
        batch_size: images per forward pass; 0 picks one and halves it on out-of-memory.
        runtime: of the image tower; "auto" is ONNX Runtime on CPU where measured faster, else
            torch.
        offline: make no network call.
        threads: CPU threads per forward pass; 0 leaves it to the runtime.
    """

    device: str = "auto"
    dtype: Dtype = "auto"
    batch_size: int = 0
    attention: Attention = "sdpa"
    runtime: Runtime = "auto"
    offline: bool = False
    threads: int = 0


class ImageEncoder(Protocol):
    """The image tower of one space."""

    @property
    def card(self) -> EncoderCard:
        """The resolved card: revision, dimension and spec are set."""
        ...

    @property
    def batch_size(self) -> int:
        """Images the caller should collect before it calls `encode`."""
        ...

    def encode(self, pixels: Pictures) -> FloatMatrix:
        """Vectors of n pictures.

        Args:
            pixels: n uint8 (h, w, 3) arrays made for `card.spec` (all (height, width) unless
                "naflex").

        Returns:
            (n, d) float32, in the given order, rows unit-norm. A row that is not finite, also after
            one more pass in float32, is all NaN: the caller records it, the others are good.
        """
        ...

    def submit(self, pixels: Pictures) -> Callable[[], FloatMatrix]:
        """As `encode`, but what is returned gives the vectors, once, in the same thread.

        A device with a queue of its own computes meanwhile. `pixels` must stay as they are until
        then.
        """
        ...

    def lock_pages(self, memory: NDArray[np.uint8]) -> Callable[[], None] | None:
        """Let the device copy from memory that pictures will lie in, by itself; what undoes that.

        None where nothing is gained, or it cannot be done. Once is enough for all encoders.
        """
        ...

    def close(self) -> None:
        """Give back memory and device."""
        ...


class TextEncoder(Protocol):
    """The text tower of one space."""

    @property
    def card(self) -> EncoderCard:
        """The card of the space."""
        ...

    def encode(self, texts: Sequence[str]) -> FloatMatrix:
        """(n, d) float32 vectors, rows unit-norm. Over-long texts are cut as the family does.

        Any number of texts: they are encoded some at a time.
        """
        ...

    def knows(self, text: str) -> bool:
        """Whether there is a word or symbol in the text that is a token. Else its vector means
        nothing: it is the same for all such texts."""
        ...
