"""From pixels to vectors: one batch through every space, and what comes of each of its frames.

One picture whose vector is not finite, or on which an encoder fails, fails alone; its batch goes
on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, TypeVar

import numpy as np

from pictor.indexer.pixel_blocks import Batch, FrameKey, PixelBlocks
from pictor.indexer.spaces import OpenSpace
from pictor.library.encoders.base import ImageEncoder
from pictor.library.errors import ModelError, PictorError
from pictor.library.records import FloatMatrix, HalfMatrix, Pictures

Made = TypeVar("Made")

#: Pictures in a row on which an encoder fails one by one before the encoder, not they, is blamed.
MAX_FAILURES_IN_A_ROW = 8
NOT_FINITE = "its vector is not finite, also when encoded alone in float32"


@dataclass(frozen=True)
class EncodedFrame:
    """What came of one frame.

    Attributes:
        vectors: space id → (1, d) float16, unit-norm; of all spaces that were wanted.
        failure: why there is a space without one, a sentence.
    """

    key: FrameKey
    vectors: dict[int, HalfMatrix]
    failure: str | None = None


class _SpaceBatch(NamedTuple):
    """What one space has of a batch: the positions in the batch, and what gives their vectors."""

    space: OpenSpace
    positions: Sequence[int]
    pixels: Pictures
    encoder: ImageEncoder
    vectors: Callable[[], FloatMatrix] | None


class EncodingBatch:
    """A batch on its way through the encoders of one lane; use it in that lane's thread."""

    def __init__(
        self, batch: Batch, blocks: PixelBlocks, spaces: Sequence[OpenSpace], lane: int
    ) -> None:
        """Hand it to the encoders; those with a queue of their own return at once."""
        self.batch = batch
        self._parts: list[_SpaceBatch] = []
        for space in spaces:
            positions = [i for i, key in enumerate(batch.keys) if _is_wanted(key, space)]
            if positions:
                rows = [batch.rows[i] for i in positions]
                pixels = blocks.pixels(batch.block, rows, space.spec_index)
                encoder = space.load(lane)
                vectors = _attempted(partial(encoder.submit, pixels))
                self._parts.append(_SpaceBatch(space, positions, pixels, encoder, vectors))

    def frames(self) -> list[EncodedFrame]:
        """Wait for the vectors; what came of each frame, in order.

        Raises:
            ModelError: an encoder fails on everything it is given.
        """
        vectors: list[dict[int, HalfMatrix]] = [{} for _ in self.batch.keys]
        failures: dict[int, str] = {}
        for part in self._parts:
            matrix, failed = _vectors(part)
            is_sound = np.isfinite(matrix.min(axis=1)) & np.isfinite(matrix.max(axis=1))
            with np.errstate(invalid="ignore", over="ignore"):
                halves = matrix.astype(np.float16)
            for row, position in enumerate(part.positions):
                if is_sound[row]:
                    vectors[position][part.space.row.id] = halves[row : row + 1]
                else:
                    failures[position] = failed.get(row, NOT_FINITE)
        return [
            EncodedFrame(key, vectors[i], failures.get(i)) for i, key in enumerate(self.batch.keys)
        ]


def _is_wanted(key: FrameKey, space: OpenSpace) -> bool:
    return key.spaces is None or space.row.id in key.spaces


def _attempted(do: Callable[[], Made]) -> Made | None:
    """What an encoder gives; None if it failed: the boundary of one batch."""
    try:
        return do()
    except PictorError:
        raise
    except Exception:  # onnxruntime's errors share no base class
        return None


def _vectors(part: _SpaceBatch) -> tuple[FloatMatrix, dict[int, str]]:
    """Vectors, NaN where the encoder fails on a picture alone, and why it did, by row."""
    matrix = _attempted(part.vectors) if part.vectors is not None else None
    return _one_by_one(part) if matrix is None else (matrix, {})


def _one_by_one(part: _SpaceBatch) -> tuple[FloatMatrix, dict[int, str]]:
    row = part.space.row
    matrix = np.full((len(part.pixels), row.dimension), np.nan, dtype=np.float32)
    failed: dict[int, str] = {}
    in_a_row = 0
    for i, picture in enumerate(part.pixels):
        try:
            matrix[i] = part.encoder.encode([picture])[0]
            in_a_row = 0
        except PictorError:
            raise
        except Exception as error:  # the boundary of one picture
            failed[i] = f"the encoder {row.encoder!r} failed on it: {error}"
            in_a_row += 1
            if in_a_row >= MAX_FAILURES_IN_A_ROW:
                raise ModelError(f"the encoder {row.encoder!r} fails: {error}") from error
    return matrix, failed
