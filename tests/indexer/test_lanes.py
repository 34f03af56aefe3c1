"""Lanes: two batches on each device at once, nothing lost when one fails, all devices at work."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pictor.indexer.encode import MAX_FAILURES_IN_A_ROW, NOT_FINITE, EncodedFrame, EncodingBatch
from pictor.indexer.lanes import Lanes
from pictor.indexer.pixel_blocks import Batch, FrameKey
from pictor.indexer.spaces import OpenSpace, _loaders
from pictor.library.encoders import towers
from pictor.library.encoders.base import EncoderOptions
from pictor.library.errors import ModelError

Spoil = Callable[[Any], None]


class Colours:
    """Pictures of one pixel, whose colour is the row they stand in."""

    def pixels(self, _block: int, rows: tuple[int, ...], spec: int) -> np.ndarray:
        return np.array([[[[row, spec, 0]]] for row in rows], np.uint8)

    def memory_of(self, block: int) -> int:
        return block


class Device:
    """An encoder whose batches are computed when the test says so; vectors tell whose they are."""

    def __init__(self, *, is_slow: bool = False, spoil: Spoil | None = None) -> None:
        self.submitted = threading.Semaphore(0)
        self.computed = threading.Semaphore(0 if is_slow else 10_000)
        self.batches: list[int] = []
        self.is_closed = False
        self.locks = True
        self.locked: list[int] = []
        self.unlocked: list[int] = []
        self.spoil = spoil or (lambda _: None)

    def submit(self, pixels: Any) -> Callable[[], np.ndarray]:
        self.batches.append(len(pixels))
        self.submitted.release()
        return lambda: self._computed(pixels)

    def encode(self, pixels: Any) -> np.ndarray:
        self.spoil(pixels)
        rows = np.stack([np.asarray(picture, np.float32).reshape(-1) for picture in pixels])
        return np.where(rows[:, :1] == 200, np.nan, rows)

    def _computed(self, pixels: Any) -> np.ndarray:
        assert self.computed.acquire(timeout=60)
        return self.encode(pixels)

    def lock_pages(self, memory: int) -> Callable[[], None] | None:
        self.locked.append(memory)
        return (lambda: self.unlocked.append(memory)) if self.locks else None

    def close(self) -> None:
        self.is_closed = True


def space(*devices: Device, number: int = 1, spec: int = 0) -> OpenSpace:
    row: Any = SimpleNamespace(id=number, encoder="odd", dimension=3)
    loaders: Any = [lambda device=device: device for device in devices]
    return OpenSpace(row, spec, loaders)


def batch(number: int, *rows: int, spaces: frozenset[int] | None = None) -> Batch:
    return Batch(number, rows, tuple(FrameKey(row, 0, spaces) for row in rows))


def frames(of: Batch, *spaces: OpenSpace) -> list[EncodedFrame]:
    return EncodingBatch(of, Colours(), spaces, 0).frames()  # type: ignore[arg-type]


class Run:
    """Lanes with what they release."""

    def __init__(self, lanes: Lanes, *devices: Device) -> None:
        self.lanes = lanes
        self.released: list[int] = []
        self.nudged = threading.Semaphore(0)
        one: Any = Colours()
        lanes.start(
            one,
            (space(*devices),),
            len(devices),
            lambda done: self.released.append(done.block),
            self.nudged.release,
        )

    def frames(self, count: int) -> list[EncodedFrame]:
        found: list[EncodedFrame] = []
        while len(found) < count:
            assert self.nudged.acquire(timeout=60)
            found += self.lanes.taken()
        return found


@pytest.fixture
def lanes() -> Iterator[Lanes]:
    with Lanes() as made:
        yield made


# --- a batch through the spaces


def test_each_frame_has_a_vector_of_each_space_that_wants_one() -> None:
    one, two = space(Device()), space(Device(), number=2, spec=9)
    first, second = frames(batch(0, 4, 6), one, two)
    assert (first.key.task_id, second.key.task_id) == (4, 6)
    assert first.vectors[1].tolist() == [[4, 0, 0]] and first.vectors[2].tolist() == [[4, 9, 0]]
    assert first.vectors[1].dtype == np.float16 and first.failure is None
    keys = (FrameKey(7, 0, frozenset({2})), FrameKey(8, 0), FrameKey(9, 0, frozenset()))
    found = frames(Batch(0, (7, 8, 9), keys), one, two)
    assert [sorted(frame.vectors) for frame in found] == [[2], [1, 2], []]
    assert found[0].vectors[2].tolist() == [[7, 9, 0]]


def test_a_vector_that_is_not_finite_fails_its_frame_alone() -> None:
    good, bad, other = frames(batch(0, 1, 200, 2), space(Device()))
    assert (good.failure, bad.failure, other.failure) == (None, NOT_FINITE, None)
    assert bad.vectors == {} and other.vectors[1].tolist() == [[2, 0, 0]]


def raising(row: int) -> Spoil:
    def spoil(pixels: Any) -> None:
        if any(picture[0, 0, 0] == row for picture in pixels):
            raise RuntimeError("a node returned a non-zero status")

    return spoil


def test_a_picture_on_which_the_encoder_fails_fails_alone() -> None:
    found = frames(batch(0, 1, 5, 2), space(Device(spoil=raising(5))))
    assert [frame.failure for frame in found] == [
        None,
        "the encoder 'odd' failed on it: a node returned a non-zero status",
        None,
    ]
    assert found[2].vectors[1].tolist() == [[2, 0, 0]]


def test_an_encoder_that_fails_when_it_is_given_a_batch_gets_them_one_by_one() -> None:
    device = Device()

    def refuse(_: Any) -> Any:
        raise RuntimeError("no")

    device.submit = refuse  # type: ignore[method-assign]
    assert [frame.failure for frame in frames(batch(0, 1, 2), space(device))] == [None, None]


@pytest.mark.parametrize("count", [MAX_FAILURES_IN_A_ROW - 1, MAX_FAILURES_IN_A_ROW])
def test_an_encoder_that_fails_on_everything_is_blamed(count: int) -> None:
    def lost(_: Any) -> None:
        raise RuntimeError("device lost")

    rows = tuple(range(count))
    if count < MAX_FAILURES_IN_A_ROW:
        assert all(frame.failure for frame in frames(batch(0, *rows), space(Device(spoil=lost))))
        return
    with pytest.raises(ModelError, match="'odd' fails: device lost"):
        frames(batch(0, *rows), space(Device(spoil=lost)))


# --- lanes


def test_a_device_has_two_batches_and_a_third_when_one_is_done(lanes: Lanes) -> None:
    device = Device(is_slow=True)
    run = Run(lanes, device)
    for number in range(4):
        lanes.put(batch(number, number))
    for _ in range(2):
        assert device.submitted.acquire(timeout=60)
    assert not device.submitted.acquire(timeout=0.2)
    assert run.released == []
    device.computed.release()
    assert [frame.key.task_id for frame in run.frames(1)] == [0]
    assert device.submitted.acquire(timeout=60)
    assert run.released == [0]
    device.computed.release(3)
    assert [frame.key.task_id for frame in run.frames(3)] == [1, 2, 3]


def test_a_batch_is_computed_though_no_other_comes(lanes: Lanes) -> None:
    run = Run(lanes, Device())
    lanes.put(batch(0, 1))
    assert len(run.frames(1)) == 1


def test_several_devices_share_what_comes(lanes: Lanes) -> None:
    devices = [Device(is_slow=True), Device(is_slow=True)]
    run = Run(lanes, *devices)
    for number in range(4):
        lanes.put(batch(number, number))
    for device in devices:
        for _ in range(2):
            assert device.submitted.acquire(timeout=60)
    devices[1].computed.release(2)  # the other does not hold it up
    assert len(run.frames(2)) == 2
    devices[0].computed.release(2)
    run.frames(2)
    assert [len(device.batches) for device in devices] == [2, 2]
    assert sorted(run.released) == [0, 1, 2, 3]


@pytest.mark.parametrize("locks", [True, False])
def test_each_block_is_locked_once_and_unlocked_at_the_end(*, locks: bool) -> None:
    device = Device()
    device.locks = locks
    with Lanes() as lanes:
        run = Run(lanes, device, device)
        for number in (0, 7, 0, 7, 0):
            lanes.put(batch(number, number))
        run.frames(5)
        assert sorted(device.locked) == [0, 7] and device.unlocked == []
    assert sorted(device.unlocked) == ([0, 7] if locks else [])


def test_lanes_share_an_encoder_where_there_are_fewer() -> None:
    device = Device()
    one = space(device)
    assert one.lanes == 1 and one.load(0) is one.load(1) is device
    one.close()
    assert device.is_closed


@pytest.mark.parametrize(
    ("encoder", "devices"), [("google/vit", ["cuda:0", "cuda:2"]), ("builtin", ["cuda:0,cuda:2"])]
)
def test_a_space_has_an_encoder_a_device_unless_it_is_the_built_in_one(
    monkeypatch: pytest.MonkeyPatch, encoder: str, devices: list[str]
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(
        towers, "open_image_encoder", lambda _, options, __: opened.append(options.device)
    )
    library: Any = SimpleNamespace(cache_dir=lambda *_: None)
    row: Any = SimpleNamespace(encoder=encoder, card=None)
    loaders = _loaders(library, row, EncoderOptions(device="cuda:0,cuda:2"))
    assert opened == []  # nothing is loaded before there is something to encode
    for load in loaders:
        load()
    assert opened == devices


def test_what_ends_a_lane_is_raised_to_who_takes(lanes: Lanes) -> None:
    def broken(_: Any) -> None:
        raise ModelError("too little memory for one picture")

    run = Run(lanes, Device(spoil=broken))
    lanes.put(batch(0, 1))
    assert run.nudged.acquire(timeout=60)
    with pytest.raises(ModelError, match="too little memory"):
        list(lanes.taken())
    assert run.released == []


def test_lanes_that_are_left_wait_for_the_device_and_drop_what_waits() -> None:
    device = Device(is_slow=True)
    with Lanes() as lanes:
        run = Run(lanes, device)
        for number in range(5):
            lanes.put(batch(number, number))
        for _ in range(2):
            assert device.submitted.acquire(timeout=60)
        threading.Timer(0.1, device.computed.release, (5,)).start()
        started = time.monotonic()
    assert time.monotonic() - started < 30 and len(device.batches) == 2
    assert run.released == [0, 1]
