"""From decoded files to content changes: frames gathered into batches for every space.

One file whose vector is not finite, or on which an encoder fails, fails alone; its batch goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pictor.indexer.spaces import OpenSpace, OpenSpaces
from pictor.library.catalog.rows import ContentChange
from pictor.library.errors import ModelError, PictorError
from pictor.library.records import (
    Caption,
    Decoded,
    FloatMatrix,
    HalfMatrix,
    Outcome,
    PixelArray,
    Reason,
)

#: Files in a row on which an encoder fails one by one before the encoder, not the files, is blamed.
MAX_FAILURES_IN_A_ROW = 8
NOT_FINITE = "its vector is not finite, also when encoded alone in float32"


@dataclass(frozen=True)
class DecodedFile:
    """A content that waits to be encoded.

    Attributes:
        is_known: it is in the catalog and lacks only vectors, in `spaces`.
    """

    hash: bytes
    size_bytes: int
    decoded: Decoded
    captions: tuple[Caption, ...] = ()
    is_known: bool = False
    spaces: frozenset[int] = frozenset()

    def is_wanted_in(self, space_id: int) -> bool:
        """Whether a vector of it is to be made in a space.

        Frames of a video are made in all: they may be other ones than before.
        """
        is_still = all(frame.time_s is None for frame in self.decoded.frames)
        return not self.is_known or not is_still or space_id in self.spaces


def encode(files: Sequence[DecodedFile], spaces: OpenSpaces) -> list[ContentChange]:
    """A change for each file, in order: indexed with a vector an item and space, or failed.

    Raises:
        ModelError: an encoder fails on everything it is given.
    """
    vectors: list[dict[int, FloatMatrix]] = [{} for _ in files]
    failures: list[str] = [NOT_FINITE for _ in files]
    for space in spaces.loaded():
        wanting = [i for i, file in enumerate(files) if file.is_wanted_in(space.row.id)]
        pixels = [f.pixels[space.spec_index] for i in wanting for f in files[i].decoded.frames]
        matrix, failed = _encode_safely(space, pixels)
        start = 0
        for i in wanting:
            stop = start + len(files[i].decoded.frames)
            vectors[i][space.row.id] = matrix[start:stop]
            failures[i] = next((failed[j] for j in range(start, stop) if j in failed), failures[i])
            start = stop
    return [_change(*each) for each in zip(files, vectors, failures, strict=True)]


def _encode_safely(
    space: OpenSpace, pixels: list[PixelArray]
) -> tuple[FloatMatrix, dict[int, str]]:
    """Vectors, NaN where the encoder fails on a picture alone, and why it did, by row."""
    if not pixels:
        return np.empty((0, space.row.dimension), dtype=np.float32), {}
    encoder = space.load()
    try:
        return encoder.encode(pixels), {}
    except PictorError:
        raise
    except Exception:  # the boundary of one picture: onnxruntime's errors share no base class
        matrix = np.full((len(pixels), space.row.dimension), np.nan, dtype=np.float32)
    failed: dict[int, str] = {}
    in_a_row = 0
    for i, picture in enumerate(pixels):
        try:
            matrix[i] = encoder.encode([picture])[0]
            in_a_row = 0
        except PictorError:
            raise
        except Exception as error:  # the same boundary
            failed[i] = f"the encoder {space.row.encoder!r} failed on it: {error}"
            in_a_row += 1
            if in_a_row >= MAX_FAILURES_IN_A_ROW:
                raise ModelError(f"the encoder {space.row.encoder!r} fails: {error}") from error
    return matrix, failed


def _change(file: DecodedFile, rows: dict[int, FloatMatrix], why: str) -> ContentChange:
    decoded = file.decoded
    change = ContentChange(
        hash=file.hash,
        size_bytes=file.size_bytes,
        outcome=Outcome.FAILED,
        metadata=decoded.metadata,
        warnings=decoded.warnings,
        hashes=decoded.hashes,
    )
    if not decoded.frames:
        return replace(change, reason=Reason.CORRUPT, detail="it gave no frame")
    if not all(np.isfinite(matrix).all() for matrix in rows.values()):
        return replace(change, reason=Reason.NOT_FINITE, detail=why)
    halves: dict[int, HalfMatrix] = {s: matrix.astype(np.float16) for s, matrix in rows.items()}
    return replace(
        change,
        outcome=Outcome.INDEXED,
        frames=tuple((f.position, f.time_s, f.width, f.height) for f in decoded.frames),
        vectors=halves,
        captions=file.captions,
    )
