"""Small pictures of items: made once by decoding processes, kept in the library's cache folder."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import Future
from pathlib import Path

from pictor.indexer.messages import ReadOptions, Refusal
from pictor.indexer.originals import Originals
from pictor.indexer.worker_pool import Loss, WorkerPool, worker_count
from pictor.library.atomic import replaced
from pictor.library.config import Settings
from pictor.library.errors import ImageError, PictorError
from pictor.library.item_facts import ItemFacts, ItemFile
from pictor.library.names import is_link
from pictor.library.records import Reason
from pictor.service import picture_worker
from pictor.service.picture_worker import PictureTask

#: Long sides in pixels of the pictures that are kept, and of one that fills a screen.
EDGES = (256, 512, 1024)
PREVIEW_PX = 2048
#: Part of the names of kept pictures; another recipe has another one.
RECIPE = "1"
#: A picture that takes longer is given up; a screen does not wait for it.
TIME_LIMIT_S = 20.0
_POLL_S = 0.05


class Decoders:
    """A pool of decoding processes, asked from any thread; the newest request goes first."""

    def __init__(self, settings: Settings) -> None:
        """No process is started before the first request."""
        self._pool: WorkerPool[PictureTask] = WorkerPool(
            ReadOptions.of(settings),
            picture_worker.__name__,
            "decoding",
            size=worker_count(settings),
            time_limit_s=TIME_LIMIT_S,
        )
        self._order: list[PictureTask] = []  # of those not yet given to a process, oldest first
        self._asked: dict[PictureTask, list[Future[bytes]]] = {}
        self._changed = threading.Condition()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="pictures", daemon=True)
        self._thread.start()

    def make(self, task: PictureTask) -> Future[bytes]:
        """The WebP of a task; raises ImageError where there is none.

        Equal tasks are worked on once. One that nobody waits for any more is left.
        """
        future: Future[bytes] = Future()
        with self._changed:
            if self._is_closed:
                raise ImageError(Reason.IO_ERROR, "the service is ending")
            if task not in self._asked:
                self._asked[task] = []
                self._order.append(task)
            self._asked[task].append(future)
            self._changed.notify()
        return future

    def close(self) -> None:
        """End the processes, whatever they do."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join()
        self._pool.end()
        for future in (one for some in self._asked.values() for one in some):
            future.cancel()

    def _run(self) -> None:
        while True:
            try:
                if not self._give():
                    return
                for worker, message in self._pool.messages(_POLL_S) if self._pool.busy else ():
                    task, worker.work = worker.work, None
                    if task is not None:
                        self._settle(task, message)
            except PictorError as error:  # processes do not start: what was asked for is not made
                self._pool.end()
                with self._changed:
                    self._order.clear()
                for task in list(self._asked):
                    self._settle(task, Loss(Reason.CRASHED, str(error)))

    def _give(self) -> bool:
        """Hand out what waits, the newest first, once there is something; False at the end."""
        with self._changed:
            while not (self._is_closed or self._order or self._pool.busy):
                self._changed.wait()
            while self._order and not self._pool.is_full and not self._is_closed:
                task = self._order.pop()
                if all(future.cancelled() for future in self._asked[task]):
                    del self._asked[task]
                else:
                    self._pool.give(task)
            return not self._is_closed

    def _settle(self, task: PictureTask, message: object) -> None:
        with self._changed:
            futures = self._asked.pop(task)
        for future in futures:
            if not future.set_running_or_notify_cancel():
                continue
            if isinstance(message, bytes):
                future.set_result(message)
            else:
                assert isinstance(message, Refusal | Loss)
                future.set_exception(ImageError(message.reason, message.detail))


class PictureStore:
    """The pictures of a library's items."""

    def __init__(self, folder: Path, decoders: Decoders) -> None:
        """Kept pictures are in `folder`, which may be deleted at any time."""
        self._folder = folder
        self._decoders = decoders

    def kept(self, facts: ItemFacts, edge_px: int) -> bytes | None:
        """A picture that was made before."""
        try:
            return self._place(facts, edge_px).read_bytes()
        except OSError:
            return None

    def keep(self, facts: ItemFacts, edge_px: int, data: bytes) -> None:
        """Keep a picture. One that cannot be kept, on a full disk, is made again the next time."""
        place = self._place(facts, edge_px)
        with contextlib.suppress(OSError):
            place.parent.mkdir(parents=True, exist_ok=True)
            with replaced(place) as file:
                file.write(data)

    @staticmethod
    def readable(facts: ItemFacts) -> list[ItemFile]:
        """The files of an item that a picture can be made of."""
        return [file for file in facts.files if file.state == "present" and not is_link(file.path)]

    def make(self, file: ItemFile, facts: ItemFacts, edge_px: int) -> Future[bytes]:
        """What gives the picture of an item, from one of its files.

        Raises:
            ImageError: the file is not in its archive any more.
        """
        found = Originals([file.path]).read(file.path)
        data = found if isinstance(found, bytes) else None
        return self._decoders.make(
            PictureTask(
                file.path,
                file.size_bytes,
                file.mtime_ns,
                edge_px,
                facts.time_s,
                data,
                facts.content,
                file.root,
            )
        )

    def _place(self, facts: ItemFacts, edge_px: int) -> Path:
        moment = "" if facts.time_s is None else f"-{round(facts.time_s * 1000)}"
        name = f"{facts.content}{moment}-{edge_px}-{RECIPE}.webp"
        return self._folder / facts.content[:2] / name
