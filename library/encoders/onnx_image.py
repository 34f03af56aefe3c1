"""An image tower on ONNX Runtime: the built-in one, or one exported for faster CPU runs.

The graph takes uint8 pixels and gives unit-norm vectors: scaling and normalisation are inside.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pictor.library.encoders.batches import check_pixels, mark_broken_rows, stack
from pictor.library.encoders.onnx_session import open_session
from pictor.library.records import EncoderCard, FloatMatrix, Pictures

MODEL = "image.onnx"
#: Images a run. Measured on 2 cores with ViT-B/32: 8 to 32 are equal within noise; 16 keeps memory
#: low.
BATCH = 16


class OnnxImageEncoder:
    """An image encoder from a folder with image.onnx. Safe to use from several threads at once.

    Attributes:
        card: the resolved card.
        batch_size: images of one run.
    """

    def __init__(
        self, card: EncoderCard, folder: Path, *, batch_size: int = 0, threads: int = 0
    ) -> None:
        self.card = card
        self.batch_size = batch_size or BATCH
        self._session = open_session(folder / MODEL, threads)

    def encode(self, pixels: Pictures) -> FloatMatrix:
        """As `ImageEncoder.encode`."""
        check_pixels(pixels, self.card)
        step = self.batch_size
        parts = [self._run(pixels[i : i + step]) for i in range(0, len(pixels), step)]
        vectors = np.concatenate([np.empty((0, self.card.dimension), np.float32), *parts])
        return mark_broken_rows(vectors, lambda row: self._run([pixels[row]])[0])

    def submit(self, pixels: Pictures) -> Callable[[], FloatMatrix]:
        """As `ImageEncoder.submit`; on the CPU nothing is gained by waiting."""
        vectors = self.encode(pixels)
        return lambda: vectors

    def lock_pages(self, memory: NDArray[np.uint8]) -> None:
        """Nothing: the CPU reads any memory."""

    def close(self) -> None:
        """Give back the session's memory. The encoder cannot be used afterwards."""
        self._session = None

    def _run(self, pixels: Pictures) -> FloatMatrix:
        vectors: FloatMatrix = self._session.run(["vectors"], {"pixels": stack(pixels)})[0]
        return vectors
