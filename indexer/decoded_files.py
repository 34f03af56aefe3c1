"""Decoded files that wait for the vectors of their frames, and the content changes they become.

The frames of one file may come in several batches, and those of a long video before the file
itself, which is not decoded to its end then.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pictor.indexer.encode import EncodedFrame
from pictor.library.catalog.rows import ContentChange
from pictor.library.records import Caption, Decoded, HalfMatrix, Outcome, Reason


@dataclass(frozen=True)
class DecodedFile:
    """A content that waits to be encoded.

    Attributes:
        decoded: its frames have no pixels.
        is_known: it is in the catalog and lacks only vectors.
    """

    hash: bytes
    size_bytes: int
    decoded: Decoded
    captions: tuple[Caption, ...] = ()
    is_known: bool = False

    def change(self, frames: list[EncodedFrame]) -> ContentChange:
        """Indexed with a vector an item and space, or failed."""
        decoded = self.decoded
        change = ContentChange(
            hash=self.hash,
            size_bytes=self.size_bytes,
            outcome=Outcome.FAILED,
            metadata=decoded.metadata,
            warnings=decoded.warnings,
            hashes=decoded.hashes,
        )
        if not frames:
            return replace(change, reason=Reason.CORRUPT, detail="it gave no frame")
        failure = next((frame.failure for frame in frames if frame.failure is not None), None)
        if failure is not None:
            return replace(change, reason=Reason.NOT_FINITE, detail=failure)
        return replace(
            change,
            outcome=Outcome.INDEXED,
            frames=tuple((f.position, f.time_s, f.width, f.height) for f in decoded.frames),
            vectors=_joined(frames),
            captions=self.captions,
        )


class DecodedFiles:
    """Files and frames by task id, until each file has all of its frames."""

    def __init__(self) -> None:
        """Nothing waits yet."""
        self._files: dict[int, DecodedFile] = {}
        self._frames: dict[int, list[EncodedFrame]] = {}

    def __len__(self) -> int:
        """Files that lack frames."""
        return len(self._files)

    def add(self, task_id: int, file: DecodedFile) -> ContentChange | None:
        """Take a file; its change, if it lacks nothing."""
        self._files[task_id] = file
        return self._change(task_id)

    def add_frame(self, frame: EncodedFrame) -> tuple[DecodedFile, ContentChange] | None:
        """Take a frame; its file and that one's change, if that lacks nothing now."""
        task_id = frame.key.task_id
        self._frames.setdefault(task_id, []).append(frame)
        file = self._files.get(task_id)
        change = self._change(task_id) if file is not None else None
        return (file, change) if file is not None and change is not None else None

    def forget_frames(self) -> None:
        """Drop frames of files that will not come: of one whose process died before its end."""
        self._frames.clear()

    def _change(self, task_id: int) -> ContentChange | None:
        file = self._files[task_id]
        if len(self._frames.get(task_id, ())) < len(file.decoded.frames):
            return None
        del self._files[task_id]
        frames = self._frames.pop(task_id, [])
        return file.change(sorted(frames, key=lambda frame: frame.key.ordinal))


def _joined(frames: list[EncodedFrame]) -> dict[int, HalfMatrix]:
    """The rows of each space, in the order of the frames."""
    if len(frames) == 1:
        return frames[0].vectors
    spaces = frames[0].vectors
    return {space: np.concatenate([frame.vectors[space] for frame in frames]) for space in spaces}
