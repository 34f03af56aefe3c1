"""Pixels between decoding processes and encoders: slots of blocks in shared memory, reused.

A block is the pixels of one batch: for each spec a row a picture. A slot is the same row of each
spec in one block. A process that decodes is given slots, writes its pictures there, and names the
slots it wrote; when all slots of a block that were given are written, the block is a batch, which
an encoder reads where it lies. Nothing is copied or sent on the way.

All methods are called from one thread, the dispatcher's; arrays may be read in any.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pictor.indexer.shared_memory import PAGE_BYTES, SharedMemory
from pictor.library.errors import PictorError
from pictor.library.records import ImageSpec, Pictures, PixelArray

#: Batches that an encoder holds (one computed, one queued) and that are filled meanwhile. With
#: fewer blocks decoding and encoding would wait for each other, so rather the blocks are small.
BLOCKS_PER_LANE = 2
BLOCKS_FILLING = 2
#: Pictures of which the spec bounds only the number of patches begin with their height and width.
_SHAPE = np.dtype(np.uint32)


class Slot(NamedTuple):
    """A place for one picture: its number, and where in the memory the pixels of each spec go."""

    number: int
    offsets: tuple[int, ...]


class FrameKey(NamedTuple):
    """Whose pixels a slot holds.

    Attributes:
        task_id: of the file.
        ordinal: of the frame among those of the file.
        spaces: those in which a vector is wanted; None for all.
    """

    task_id: int
    ordinal: int
    spaces: frozenset[int] | None = None


@dataclass(frozen=True)
class Batch:
    """Pictures that lie in one block and can be encoded together.

    Attributes:
        block: its number.
        rows: ascending, of the block.
        keys: whose pixels they are, one a row.
    """

    block: int
    rows: tuple[int, ...]
    keys: tuple[FrameKey, ...]


@dataclass
class _Block:
    """What is known of a block that is in use.

    Attributes:
        free: rows to give, the lowest last; none once it is closed.
        given: how many rows are given and not yet written or given back.
        written: by row, whose pixels are to be encoded.
        since: when the oldest of these was written.
        encoding: batches of it that are not released.
    """

    number: int
    free: list[int]
    given: int = 0
    written: dict[int, FrameKey] = field(default_factory=dict)
    since: float = 0.0
    encoding: int = 0
    is_closed: bool = False

    @property
    def is_idle(self) -> bool:
        return not (self.given or self.written or self.encoding)


class PixelBlocks:
    """Blocks of shared memory. Slots can be taken once `shape` said how large a batch is."""

    def __init__(self, memory: SharedMemory, specs: Sequence[ImageSpec]) -> None:
        """Use all of `memory` beyond its first page."""
        self._memory = memory
        self._specs = tuple(specs)
        self._row_bytes = [_row_bytes(spec) for spec in specs]
        self._rows = 0
        self._block_bytes = 0
        self._spec_starts: list[int] = []  # in a block
        self._most_blocks = 0
        self._blocks: dict[int, _Block] = {}
        self._idle: list[int] = []

    @staticmethod
    def bytes_of(specs: Sequence[ImageSpec], wanted: int) -> int:
        """Memory to have where `wanted` bytes may be used: of one slot at least."""
        return max(wanted, sum(map(_row_bytes, specs)) + PAGE_BYTES)

    @property
    def is_shaped(self) -> bool:
        """Whether slots can be taken."""
        return self._rows > 0

    @property
    def is_idle(self) -> bool:
        """Whether no slot is given, no picture waits, and no batch is being encoded."""
        return all(block.is_idle for block in self._blocks.values())

    @property
    def is_encoding(self) -> bool:
        """Whether a batch is out that will be released."""
        return any(block.encoding for block in self._blocks.values())

    def shape(self, batch_size: int, lanes: int) -> None:
        """Divide the memory into blocks of at most `batch_size` rows, enough for so many lanes."""
        size = len(self._memory.bytes) - PAGE_BYTES
        slot_bytes = sum(self._row_bytes)
        least = BLOCKS_PER_LANE * lanes + BLOCKS_FILLING
        block_bytes = size // least // PAGE_BYTES * PAGE_BYTES
        self._rows = max(1, min(batch_size, block_bytes // slot_bytes))
        self._block_bytes = -(-self._rows * slot_bytes // PAGE_BYTES) * PAGE_BYTES
        self._most_blocks = max(1, size // self._block_bytes)
        self._spec_starts = [
            self._rows * sum(self._row_bytes[:spec]) for spec in range(len(self._specs))
        ]

    # --- slots

    def take(self, count: int) -> list[Slot]:
        """At most so many slots, in the order in which they are best written."""
        taken: list[Slot] = []
        while self.is_shaped and len(taken) < count:
            block = self._open_block()
            if block is None:
                break
            rows = [block.free.pop() for _ in range(min(len(block.free), count - len(taken)))]
            block.given += len(rows)
            taken += [self._slot(block.number, row) for row in rows]
        return taken

    def give_back(self, number: int) -> None:
        """A slot that was taken is not going to be written."""
        block, row = self._find(number)
        block.given -= 1
        if not block.is_closed:
            block.free.append(row)
            block.free.sort(reverse=True)
        self._reuse(block)

    def written(self, number: int, key: FrameKey, now: float) -> None:
        """A slot that was taken holds a picture."""
        block, row = self._find(number)
        block.given -= 1
        if not block.written:
            block.since = now
        block.written[row] = key

    def due(self, before: float, *, flush: bool = False) -> Iterator[Batch]:
        """Blocks that are full, or whose oldest picture was written before a moment, or any.

        A batch that is given is taken out: `release` it when its pixels are no longer needed.
        """
        for block in list(self._blocks.values()):
            is_whole = not block.free and not block.given
            if block.written and (is_whole or flush or block.since < before):
                rows = tuple(sorted(block.written))
                keys = tuple(block.written[row] for row in rows)
                block.written, block.free = {}, []
                block.is_closed = True
                block.encoding += 1
                yield Batch(block.number, rows, keys)

    def release(self, batch: Batch) -> None:
        """The pixels of a batch are no longer needed."""
        block = self._blocks[batch.block]
        block.encoding -= 1
        self._reuse(block)

    def _open_block(self) -> _Block | None:
        """The oldest block with a free row, else one that is idle or new; None if all are full."""
        for block in self._blocks.values():
            if block.free:
                return block
        if self._idle:
            number = self._idle.pop()
        else:
            number = len(self._blocks)
            if number >= self._most_blocks or not self._reserve(number):
                return None
        block = self._blocks[number] = _Block(number, list(range(self._rows))[::-1])
        return block

    def _reserve(self, number: int) -> bool:
        """Have a block's memory; where there is no more, those that are there must do.

        Raises:
            PictorError: there is not even memory for the first.
        """
        if self._memory.reserve(self._start(number), self._block_bytes):
            return True
        if number == 0:
            mib = self._block_bytes / (1 << 20)
            raise PictorError(
                f"there is no memory for the pixels of one batch ({mib:.0f} MiB); lower "
                "encoder.batch_size or index.lookahead_mib, or make room and run again"
            )
        self._most_blocks = number
        return False

    def _reuse(self, block: _Block) -> None:
        if block.is_closed and block.is_idle:
            del self._blocks[block.number]
            self._idle.append(block.number)

    def _find(self, number: int) -> tuple[_Block, int]:
        block, row = divmod(number, self._rows)
        return self._blocks[block], row

    # --- where pixels lie

    def _start(self, block: int) -> int:
        return PAGE_BYTES + block * self._block_bytes

    def _offset(self, block: int, row: int, spec: int) -> int:
        return self._start(block) + self._spec_starts[spec] + row * self._row_bytes[spec]

    def _slot(self, block: int, row: int) -> Slot:
        offsets = tuple([self._offset(block, row, spec) for spec in range(len(self._specs))])
        return Slot(block * self._rows + row, offsets)

    def memory_of(self, block: int) -> NDArray[np.uint8]:
        """All bytes of a block, for encoders that make them known to a device."""
        return self._memory.bytes[self._start(block) : self._start(block + 1)]

    def pixels(self, block: int, rows: Sequence[int], spec: int) -> Pictures:
        """The pictures of some rows: one array (n, h, w, 3) where they lie side by side."""
        kind = self._specs[spec]
        is_dense = rows[-1] - rows[0] + 1 == len(rows)
        if kind.resize == "naflex" or not is_dense:
            offsets = [self._offset(block, row, spec) for row in rows]
            return [read_picture(self._memory.bytes, offset, kind) for offset in offsets]
        start = self._offset(block, rows[0], spec)
        flat = self._memory.bytes[start : start + len(rows) * self._row_bytes[spec]]
        return flat.reshape(len(rows), kind.height, kind.width, 3)


def _row_bytes(spec: ImageSpec) -> int:
    if spec.resize == "naflex":
        return 2 * _SHAPE.itemsize + spec.max_patches * spec.patch * spec.patch * 3
    return spec.height * spec.width * 3


def write_picture(
    memory: NDArray[np.uint8], offset: int, spec: ImageSpec, pixels: PixelArray
) -> None:
    """Put the pixels that a spec asked for at their place."""
    if spec.resize == "naflex":
        shape = np.array(pixels.shape[:2], _SHAPE).view(np.uint8)
        memory[offset : offset + shape.size] = shape
        offset += shape.size
    memory[offset : offset + pixels.size] = pixels.reshape(-1)


def read_picture(memory: NDArray[np.uint8], offset: int, spec: ImageSpec) -> PixelArray:
    """The pixels at a place, (h, w, 3), not copied."""
    height, width = spec.height, spec.width
    if spec.resize == "naflex":
        shape = memory[offset : offset + 2 * _SHAPE.itemsize].copy().view(_SHAPE)
        height, width = int(shape[0]), int(shape[1])
        offset += 2 * _SHAPE.itemsize
    return memory[offset : offset + height * width * 3].reshape(height, width, 3)
