"""Blocks of pixels and the memory they lie in: slots, batches, and a full disk."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from pictor.indexer.pixel_blocks import (
    Batch,
    FrameKey,
    PixelBlocks,
    Slot,
    read_picture,
    write_picture,
)
from pictor.indexer.shared_memory import MAX_BEATS, PAGE_BYTES, SharedMemory
from pictor.library.errors import PictorError
from pictor.library.records import ImageSpec

SPEC = ImageSpec(8, 8)
ONE = 8 * 8 * 3
NAFLEX = ImageSpec(0, 0, resize="naflex", patch=4, max_patches=6)


def made_of(slots: int, *specs: ImageSpec, batch: int = 4, lanes: int = 1) -> PixelBlocks:
    """Of so many slots, and some bytes to round blocks up to pages."""
    specs = specs or (SPEC,)
    size = slots * sum(s.height * s.width * 3 or 8 + 6 * 4 * 4 * 3 for s in specs)
    made = PixelBlocks(SharedMemory.create(PixelBlocks.bytes_of(specs, size)), specs)
    if batch:
        made.shape(batch, lanes)
    return made


def fill(made: PixelBlocks, slots: Sequence[Slot], now: float = 0.0) -> None:
    for slot in slots:
        for offset in slot.offsets:
            made._memory.bytes[offset : offset + ONE] = slot.number % 251
        made.written(slot.number, FrameKey(slot.number, 0), now)


def due(made: PixelBlocks, before: float = -1.0, *, flush: bool = False) -> list[Batch]:
    return list(made.due(before, flush=flush))


# --- memory


def test_what_a_process_writes_another_mapping_reads() -> None:
    memory = SharedMemory.create(10)
    other = memory.handle.map()
    assert len(memory.bytes) == 2 * PAGE_BYTES and len(memory.beats) == MAX_BEATS
    other.beats[3] = 77
    other.bytes[PAGE_BYTES] = 9
    assert memory.beats[3] == 77 and memory.bytes[PAGE_BYTES] == 9
    memory.close()
    assert other.bytes[PAGE_BYTES] == 9  # as long as somebody looks


@pytest.mark.parametrize("has_memfd", [True, False])
def test_the_memory_has_no_name_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, has_memfd: bool
) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    if not has_memfd:
        monkeypatch.delattr(os, "memfd_create", raising=False)
    memory = SharedMemory.create(PAGE_BYTES)
    assert os.fstat(memory.handle.descriptor).st_nlink == 0 and list(folder.iterdir()) == []
    assert memory.reserve(PAGE_BYTES, PAGE_BYTES)
    memory.bytes[:] = 1
    memory.close()


def test_memory_where_memfd_is_forbidden_is_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> int:
        raise PermissionError(1, "not permitted")

    monkeypatch.setattr(os, "memfd_create", forbidden, raising=False)
    memory = SharedMemory.create(1)
    memory.bytes[PAGE_BYTES] = 3
    assert memory.handle.map().bytes[PAGE_BYTES] == 3


def test_pages_cost_nothing_before_they_are_reserved() -> None:
    memory = SharedMemory.create(1 << 30)
    assert os.fstat(memory.handle.descriptor).st_blocks * 512 <= 4 * PAGE_BYTES
    assert memory.reserve(PAGE_BYTES, 3 << 20)
    assert 3 << 20 <= os.fstat(memory.handle.descriptor).st_blocks * 512 <= 4 << 20


@pytest.mark.parametrize("answer", [OSError(28, "no space left"), 5])
def test_pages_that_cannot_be_had_are_not_used(
    monkeypatch: pytest.MonkeyPatch, answer: OSError | int
) -> None:
    """A full file system refuses a write, or takes a part of it; touching its page would kill."""
    memory = SharedMemory.create(1)

    def full(*_: object) -> int:
        if isinstance(answer, OSError):
            raise answer
        return answer

    monkeypatch.setattr(os, "pwrite", full)
    assert not memory.reserve(PAGE_BYTES, PAGE_BYTES)
    with pytest.raises(OSError, match="no memory left"):
        SharedMemory.create(1)


# --- slots and batches


def test_no_slot_is_given_before_the_size_of_a_batch_is_known() -> None:
    made = made_of(80, batch=0)
    assert made.take(1) == [] and not made.is_shaped and made.is_idle
    made.shape(4, 1)
    assert len(made.take(3)) == 3 and not made.is_idle


def test_a_full_block_is_a_batch_that_lies_side_by_side() -> None:
    made = made_of(80)
    slots = made.take(6)
    assert len({slot.offsets for slot in slots}) == 6
    fill(made, [slots[i] for i in (2, 0, 1)])
    assert due(made) == []
    fill(made, [slots[3]])
    (batch,) = due(made)
    assert batch.rows == (0, 1, 2, 3)
    assert [key.task_id for key in batch.keys] == [slot.number for slot in slots[:4]]
    pictures = made.pixels(batch.block, batch.rows, 0)
    assert isinstance(pictures, np.ndarray) and pictures.shape == (4, 8, 8, 3)
    assert [int(picture[0, 0, 0]) for picture in pictures] == [slot.number for slot in slots[:4]]
    assert due(made) == [] and made.is_encoding
    made.release(batch)
    assert not made.is_encoding and not made.is_idle  # two slots are given
    for slot in slots[4:]:
        made.give_back(slot.number)
    assert made.is_idle


def test_each_spec_has_its_own_array() -> None:
    made = made_of(60, SPEC, ImageSpec(4, 4))
    for slot in made.take(4):
        for spec, offset in zip((SPEC, ImageSpec(4, 4)), slot.offsets, strict=True):
            pixels = np.full((spec.height, spec.width, 3), slot.number + 10 * spec.width, np.uint8)
            write_picture(made._memory.bytes, offset, spec, pixels)
        made.written(slot.number, FrameKey(slot.number, 0), 0.0)
    (batch,) = due(made)
    for number, edge in enumerate((8, 4)):
        pictures = np.asarray(made.pixels(batch.block, batch.rows, number))
        assert pictures.shape == (4, edge, edge, 3)
        assert pictures[:, 0, 0, 0].tolist() == [10 * edge + i for i in range(4)]
        assert pictures.min(axis=(1, 2, 3)).tolist() == pictures.max(axis=(1, 2, 3)).tolist()


def test_pictures_of_any_shape_keep_theirs() -> None:
    made = made_of(60, NAFLEX, batch=2)
    shapes = [(4, 24), (8, 12)]
    for slot, (height, width) in zip(made.take(2), shapes, strict=True):
        pixels = np.full((height, width, 3), height, np.uint8)
        write_picture(made._memory.bytes, slot.offsets[0], NAFLEX, pixels)
        assert read_picture(made._memory.bytes, slot.offsets[0], NAFLEX).shape == pixels.shape
        made.written(slot.number, FrameKey(slot.number, 0), 0.0)
    (batch,) = due(made)
    pictures = made.pixels(batch.block, batch.rows, 0)
    assert [picture.shape[:2] for picture in pictures] == shapes
    assert [int(picture.mean()) for picture in pictures] == [4, 8]


def test_a_slot_that_comes_back_is_given_again_and_leaves_no_hole() -> None:
    made = made_of(80)
    slots = made.take(4)
    made.give_back(slots[1].number)
    fill(made, [slots[0], slots[2], slots[3]])
    assert due(made) == []
    (again,) = made.take(1)
    assert again == slots[1]
    fill(made, [again])
    (batch,) = due(made)
    assert batch.rows == (0, 1, 2, 3)


def test_a_batch_with_a_hole_is_a_list() -> None:
    made = made_of(80)
    slots = made.take(3)
    fill(made, [slots[0], slots[2]])
    (batch,) = due(made, flush=True)
    assert batch.rows == (0, 2)
    pictures = made.pixels(batch.block, batch.rows, 0)
    assert isinstance(pictures, list) and [int(p[0, 0, 0]) for p in pictures] == [0, 2]
    made.release(batch)
    assert not made.is_idle  # one is still being written
    fill(made, [slots[1]])
    (rest,) = due(made)  # the block takes no more, so it is whole now
    assert rest.rows == (1,)
    made.release(rest)
    assert made.is_idle


@pytest.mark.parametrize(("before", "is_due"), [(7.0, False), (7.001, True)])
def test_a_batch_goes_when_its_oldest_picture_waited_long_enough(
    before: float, is_due: bool
) -> None:
    made = made_of(80)
    one, other = made.take(2)
    fill(made, [one], 7.0)
    fill(made, [other], 9.0)
    assert bool(due(made, before)) is is_due


def test_a_slot_that_comes_back_to_a_block_that_is_out_stays_unused() -> None:
    made = made_of(80)
    slots = made.take(2)
    fill(made, slots[:1])
    (batch,) = due(made, flush=True)
    made.give_back(slots[1].number)
    assert made.take(1)[0].number // 4 != batch.block
    made.release(batch)


def test_blocks_are_used_again_and_never_more_than_there_are() -> None:
    made = made_of(4 * 64, batch=64)  # 4 blocks of whole pages
    seen: set[int] = set()
    for _ in range(50):
        slots = made.take(64)
        seen |= {slot.number // 64 for slot in slots}
        fill(made, slots)
        for batch in due(made):
            made.release(batch)
    assert len(seen) == 1  # the one used last is warm
    slots = made.take(1000)
    assert len(slots) == 4 * 64 and made.take(1) == []
    assert len({slot.offsets for slot in slots}) == len(slots)
    assert max(slot.offsets[0] for slot in slots) + ONE <= len(made._memory.bytes)
    fill(made, slots)
    batches = due(made)
    assert len(batches) == 4 and made.take(1) == []
    made.release(batches[2])
    assert {slot.number // 64 for slot in made.take(64)} == {batches[2].block}


@pytest.mark.parametrize(
    ("slots", "batch", "lanes", "rows"),
    [(400, 16, 1, 16), (400, 256, 1, 85), (400, 256, 2, 64), (1, 256, 1, 1), (0, 4, 9, 1)],
)
def test_blocks_are_small_enough_for_each_lane_to_have_two(
    slots: int, batch: int, lanes: int, rows: int
) -> None:
    made = made_of(slots, batch=batch, lanes=lanes)
    fill(made, made.take(10_000))
    batches = due(made)
    assert {len(batch.rows) for batch in batches} == {rows}
    assert len(batches) >= (2 * lanes + 2 if slots == 400 else 1)


def test_the_memory_of_a_block_is_where_its_pictures_lie() -> None:
    made = made_of(4 * 64, batch=64)
    slots = made.take(128)
    starts = [slots[number * 64].offsets[0] for number in range(2)]
    for number in range(2):
        memory = made.memory_of(number)
        assert memory.size == starts[1] - starts[0] >= 64 * ONE
        made._memory.bytes[starts[number]] = 77 + number
        assert memory[0] == 77 + number


def test_a_run_goes_on_with_the_blocks_that_it_could_have(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = made_of(4 * 64, batch=64)
    assert len(made.take(64)) == 64
    monkeypatch.setattr(SharedMemory, "reserve", lambda *_: False)
    assert made.take(1) == []
    monkeypatch.undo()
    assert made.take(1) == []  # it does not ask again


def test_no_memory_for_one_batch_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    made = made_of(256, batch=64)
    monkeypatch.setattr(SharedMemory, "reserve", lambda *_: False)
    with pytest.raises(PictorError, match="no memory for the pixels of one batch"):
        made.take(1)
