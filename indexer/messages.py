"""What a decoding process and its parent say to each other, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from pictor.indexer.pixel_blocks import Slot
from pictor.indexer.shared_memory import MemoryHandle
from pictor.indexer.sources.base import Locator
from pictor.library.config import Settings
from pictor.library.images import Limits
from pictor.library.records import Decoded, ImageSpec, Reason

#: A worker's first message: its decoders are imported; if it dies from now on, a file is the cause.
READY = "ready"


@dataclass(frozen=True)
class ReadOptions:
    """What one file may cost, and whether it may be fetched.

    Attributes:
        max_file_bytes: larger images are refused; videos are read from their path and not bound by
            it.
        offline: fetch no link.
    """

    limits: Limits
    max_file_bytes: int
    fetch_timeout_s: float
    offline: bool = False

    @classmethod
    def of(cls, settings: Settings) -> ReadOptions:
        """As the settings say."""
        index = settings.index
        max_bytes = index.max_file_mib << 20
        limits = Limits(max_pixels=index.max_pixels, max_bytes=max_bytes, frames=index.frames)
        return cls(limits, max_bytes, index.fetch_timeout_s, settings.network.offline)


@dataclass(frozen=True)
class WorkerOptions:
    """What every task of a pool shares.

    Attributes:
        specs: pixels wanted of each frame, one array a spec.
        deadline_s: after which no further frame of a video is decoded; what there is counts.
        memory: where pixels are written; the pool sets it.
    """

    specs: tuple[ImageSpec, ...]
    reading: ReadOptions
    deadline_s: float
    memory: MemoryHandle | None = None


@dataclass(frozen=True)
class ReadTask:
    """One file to read.

    Attributes:
        forced: decode it whatever is known of its content.
        spaces: of a still, those in which a vector is wanted; None for all.
    """

    task_id: int
    locator: Locator
    size_bytes: int
    mtime_ns: int
    forced: bool = False
    spaces: frozenset[int] | None = None


@dataclass(frozen=True)
class Refusal:
    """Why a file gave no picture: the code of the reason and one sentence."""

    reason: Reason
    detail: str


@dataclass(frozen=True)
class ReadResult:
    """What became of a task.

    Attributes:
        digest: BLAKE3 of the whole content, 32 bytes; None where it could not be or need not be
            read.
        pictures: of the file, or why there are none, or None when the parent knew the content. The
            frames have no pixels: these are in the slots.
        slots: numbers of the slots of the frames, in their order.
    """

    task_id: int
    digest: bytes | None
    size_bytes: int
    pictures: Decoded | Refusal | None
    slots: tuple[int, ...] = ()


# --- what a worker and its parent say to each other


class TaskBatch(NamedTuple):
    """From the parent: files to read. `beat`: where in `beats` the step is written."""

    tasks: tuple[ReadTask, ...]
    beat: int


class Question(NamedTuple):
    """To the parent: which of these contents, by task id, are to be decoded? Wants a Verdict."""

    digests: tuple[tuple[int, bytes], ...]


class Verdict(NamedTuple):
    """From the parent: the tasks to decode, and slots for the first of their frames."""

    wanted: frozenset[int]
    slots: tuple[Slot, ...]


class SlotRequest(NamedTuple):
    """To the parent: so many more slots are needed; wants a tuple of one or more.

    Attributes:
        task_id: of the file that is being placed.
        written: numbers of the slots of its first frames.
        is_moving: it has more frames than one.
    """

    task_id: int
    written: tuple[int, ...]
    needed: int
    is_moving: bool


class Report(NamedTuple):
    """To the parent: results, in the order of their tasks.

    Attributes:
        unused: numbers of slots that were given and not written.
        is_last: the worker waits for the next TaskBatch.
    """

    results: tuple[ReadResult, ...]
    unused: tuple[int, ...] = ()
    is_last: bool = False
