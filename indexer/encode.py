"""From decoded files to content changes: frames gathered into batches for every space.

One file whose vector is not finite, or on which an encoder fails, fails alone; its batch goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from indexer.spaces import OpenSpace, OpenSpaces
from library.catalog.rows import ContentChange
from library.errors import ModelError
from library.records import (
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


@dataclass(frozen=True)
class DecodedFile:
    """A content that waits to be encoded. `is_known`: it is in the catalog and lacks only vectors."""

    hash: bytes
    size_bytes: int
    decoded: Decoded
    captions: tuple[Caption, ...] = ()
    is_known: bool = False


def encode(files: Sequence[DecodedFile], spaces: OpenSpaces) -> list[ContentChange]:
    """A change for each file, in order: indexed with a vector an item and space, or failed.

    Raises:
        ModelError: an encoder fails on everything it is given.
    """
    vectors: dict[int, FloatMatrix] = {}
    for space in spaces.spaces:
        pixels = [f.pixels[space.spec_index] for file in files for f in file.decoded.frames]
        vectors[space.row.id] = _encode_safely(space, pixels)
    changes: list[ContentChange] = []
    start = 0
    for file in files:
        stop = start + len(file.decoded.frames)
        rows = {space_id: matrix[start:stop] for space_id, matrix in vectors.items()}
        changes.append(_change(file, rows))
        start = stop
    return changes


def _encode_safely(space: OpenSpace, pixels: list[PixelArray]) -> FloatMatrix:
    """Vectors, NaN where the encoder fails on a picture alone."""
    try:
        return space.encoder.encode(pixels)
    except (RuntimeError, ValueError) as error:
        if len(pixels) == 1:
            return np.full((1, space.row.dimension), np.nan, dtype=np.float32)
        rows, failures = [], 0
        for picture in pixels:
            row = _encode_safely(space, [picture])
            failures = failures + 1 if np.isnan(row).any() else 0
            if failures >= MAX_FAILURES_IN_A_ROW:
                raise ModelError(f"the encoder {space.row.encoder!r} fails: {error}") from error
            rows.append(row)
        return np.concatenate(rows)


def _change(file: DecodedFile, rows: dict[int, FloatMatrix]) -> ContentChange:
    decoded = file.decoded
    if not all(np.isfinite(matrix).all() for matrix in rows.values()):
        return ContentChange(
            hash=file.hash,
            size_bytes=file.size_bytes,
            outcome=Outcome.FAILED,
            reason=Reason.NOT_FINITE,
            detail="its vector is not finite, also when encoded alone in float32",
            metadata=decoded.metadata,
            warnings=decoded.warnings,
        )
    halves: dict[int, HalfMatrix] = {s: matrix.astype(np.float16) for s, matrix in rows.items()}
    return ContentChange(
        hash=file.hash,
        size_bytes=file.size_bytes,
        outcome=Outcome.INDEXED,
        metadata=decoded.metadata,
        warnings=decoded.warnings,
        frames=tuple((f.position, f.time_s, f.width, f.height) for f in decoded.frames),
        vectors=halves,
        captions=file.captions,
    )
