"""Lanes: one thread a device, which keeps two batches there and hands out what came of them.

While a device computes one batch the next is in its queue, so that it need not wait for this
process; and none of it waits for a commit, which is another thread's.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator

from pictor.indexer.encode import EncodedFrame, EncodingBatch
from pictor.indexer.pixel_blocks import Batch, PixelBlocks
from pictor.indexer.spaces import OpenSpace

#: Batches that a device has at once: one is computed, one is queued.
IN_FLIGHT = 2


class Lanes:
    """Threads that encode what is put here. Use it in a `with` block."""

    def __init__(self) -> None:
        """Nothing is started before `start`."""
        self._batches: queue.Queue[Batch | None] = queue.Queue()
        self._results: queue.SimpleQueue[list[EncodedFrame] | BaseException] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._is_closing = False
        self._lock = threading.Lock()
        self._locked: dict[int, Callable[[], None] | None] = {}

    def start(
        self,
        blocks: PixelBlocks,
        spaces: tuple[OpenSpace, ...],
        count: int,
        release: Callable[[Batch], None],
        nudge: Callable[[], None],
    ) -> None:
        """Start so many lanes.

        Args:
            spaces: whose encoders are loaded, for every lane.
            release: receives each batch whose pixels were encoded, after its frames can be taken.
            nudge: called when there is something to take.
        """
        for lane in range(count):
            thread = threading.Thread(
                target=self._run,
                args=(blocks, spaces, lane, release, nudge),
                name=f"pictor-lane-{lane}",
                daemon=True,
            )
            thread.start()
            self._threads.append(thread)

    def __enter__(self) -> Lanes:
        return self

    def __exit__(self, *_: object) -> None:
        """Wait for what the devices compute; batches that wait are dropped."""
        self._is_closing = True
        for _lane in self._threads:
            self._batches.put(None)
        for thread in self._threads:
            thread.join()
        for unlock in self._locked.values():
            if unlock is not None:
                unlock()

    def put(self, batch: Batch) -> None:
        """Have a batch encoded by the first lane that has room."""
        self._batches.put(batch)

    def taken(self) -> Iterator[EncodedFrame]:
        """The frames that were encoded since the last time; raises what ended a lane."""
        while not self._results.empty():
            result = self._results.get()
            if isinstance(result, BaseException):
                raise result
            yield from result

    # --- in the thread of a lane

    def _run(
        self,
        blocks: PixelBlocks,
        spaces: tuple[OpenSpace, ...],
        lane: int,
        release: Callable[[Batch], None],
        nudge: Callable[[], None],
    ) -> None:
        flying: deque[EncodingBatch] = deque()
        try:
            while True:
                while len(flying) < IN_FLIGHT and (batch := self._next(is_idle=not flying)):
                    self._lock_pages(batch.block, blocks, spaces, lane)
                    flying.append(EncodingBatch(batch, blocks, spaces, lane))
                if not flying:
                    return
                done = flying.popleft()
                self._results.put(done.frames())
                nudge()
                release(done.batch)
        except BaseException as error:  # handed to the caller's thread, which raises it
            self._results.put(error)
            nudge()

    def _lock_pages(
        self, block: int, blocks: PixelBlocks, spaces: tuple[OpenSpace, ...], lane: int
    ) -> None:
        """Let the devices copy from a block by themselves, from its first batch on."""
        with self._lock:
            if block not in self._locked:
                memory = blocks.memory_of(block)
                undos = (space.load(lane).lock_pages(memory) for space in spaces)
                self._locked[block] = next((undo for undo in undos if undo is not None), None)

    def _next(self, *, is_idle: bool) -> Batch | None:
        """The next batch; None if there is none now, or for an idle lane, if none will come."""
        if self._is_closing:
            return None
        try:
            batch = self._batches.get(block=is_idle)
        except queue.Empty:
            return None
        return None if self._is_closing else batch
