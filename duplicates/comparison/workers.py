"""Comparing processes: each reads and decodes contents, sketches them and compares their pixels.

Like a decoding process (`indexer.worker`) it runs apart, so that a decoder that dies or hangs costs
one file, and ends when its pipe closes. It says which content it is about to read, so that the
right one is blamed: that one is not read again in this run, and the pairs that its process had left
go on in a new one. Pictures are kept for the pairs to come, up to a number of bytes.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import NamedTuple

from pictor.duplicates.comparison import metadata_verdict
from pictor.duplicates.comparison.jobs import PairJob, SketchJob, Subject
from pictor.duplicates.comparison.metadata_verdict import PairFinding
from pictor.duplicates.comparison.pixel_verdict import compare
from pictor.duplicates.comparison.sketch import Sketch, first_look, sketch_of
from pictor.duplicates.comparison.still import Still, decode_still
from pictor.indexer import worker
from pictor.indexer.messages import READY, ReadOptions
from pictor.indexer.sources.file_bytes import read_bytes
from pictor.indexer.worker_pool import Loss, WorkerPool
from pictor.library.errors import ImageError
from pictor.library.hashing import content_hash
from pictor.library.images import captured_stderr

#: The module whose `main(descriptor)` a process runs.
WORKER_MODULE = "pictor.duplicates.comparison.workers"
#: How often the caller hears that there is nothing yet.
POLL_S = 0.25
#: Jobs that one process takes at a time.
BATCH = 16
#: What a picture takes beside its pixels: its grey copy, its small copy and its local features.
_SHARE = 2
_FEATURES_BYTES = 400_000


@dataclass(frozen=True)
class ComparisonOptions:
    """What every pair shares. `cache_bytes`: of pictures that are kept for further pairs."""

    reading: ReadOptions
    cache_bytes: int


class ReadNotice(NamedTuple):
    """Said before a content is read."""

    content_id: int


class SketchResult(NamedTuple):
    """What became of a `SketchJob`.

    Attributes:
        pixels: the hash of all pixels.
        unread: why the content could not be read, one sentence; there is no sketch then.
    """

    content_id: int
    sketch: Sketch | None = None
    pixels: bytes = b""
    unread: str = ""


class PairResult(NamedTuple):
    """What became of a `PairJob`.

    Attributes:
        pair: (low, high) of the contents.
        finding: None where a content could not be read now.
        pixels: by content id, the hash of all pixels of each that was decoded.
        unread: by content id, why it could not be read, one sentence.
    """

    pair: tuple[int, int]
    finding: PairFinding | None
    pixels: dict[int, bytes]
    unread: dict[int, str]


Job = SketchJob | PairJob
Result = SketchResult | PairResult
Tell = Callable[[ReadNotice], None]


def main(descriptor: int) -> None:
    """The body of a comparing process; its options come on `descriptor`, its end of the pipe."""
    worker.run(descriptor, serve)


def serve(pipe: Connection, options: ComparisonOptions) -> None:
    """Do the jobs of the batches that come."""
    _use_one_thread()
    comparer = Comparer(options, pipe.send)
    pipe.send(READY)
    while (batch := pipe.recv()) is not None:
        for job in batch:
            pipe.send(comparer.do(job))


def _use_one_thread() -> None:
    """There is a process a core; OpenCV would start as many threads in each."""
    import cv2

    cv2.setNumThreads(1)


class Comparer:
    """Sketches contents and compares pairs, one after the other; pictures used last are kept."""

    def __init__(self, options: ComparisonOptions, tell: Tell = lambda _: None) -> None:
        """Nothing is read yet."""
        self._options = options
        self._tell = tell
        self._kept: OrderedDict[int, Still | str] = OrderedDict()
        self._bytes = 0
        self.decoded = 0

    def do(self, job: Job) -> Result:
        """The result of a job. Never raises for what a file can cause."""
        return self._sketch(job) if isinstance(job, SketchJob) else self._compare(job)

    def _sketch(self, job: SketchJob) -> SketchResult:
        content_id = job.subject.content_id
        picture = self._picture(job.subject)
        if isinstance(picture, str):
            return SketchResult(content_id, unread=picture)
        return SketchResult(content_id, sketch_of(picture), picture.pixel_hash)

    def _compare(self, job: PairJob) -> PairResult:
        """What the two contents are to each other; strangers are not decoded for it."""
        if job.sketches is not None and first_look(*job.sketches).is_refused:
            return PairResult(job.ids, metadata_verdict.of_strangers(job.facts), {}, {})
        a, b = self._picture(job.a), self._picture(job.b)
        both = dict(zip(job.ids, (a, b), strict=True))
        pixels = {key: one.pixel_hash for key, one in both.items() if isinstance(one, Still)}
        unread = {key: one for key, one in both.items() if isinstance(one, str)}
        if isinstance(a, str) or isinstance(b, str):
            return PairResult(job.ids, None, pixels, unread)
        return PairResult(job.ids, compare(a, b, job.facts), pixels, unread)

    def _picture(self, subject: Subject) -> Still | str:
        """The decoded content, or why there is none."""
        kept = self._kept.get(subject.content_id)
        if kept is not None:
            self._kept.move_to_end(subject.content_id)
            return kept
        self._tell(ReadNotice(subject.content_id))
        self.decoded += 1
        made = self._decoded(subject)
        self._kept[subject.content_id] = made
        self._bytes += _bytes_of(made)
        while self._bytes > self._options.cache_bytes and len(self._kept) > 2:
            _, dropped = self._kept.popitem(last=False)
            self._bytes -= _bytes_of(dropped)
        return made

    def _decoded(self, subject: Subject) -> Still | str:
        options, place = self._options.reading, subject.place
        if options.offline and place.locator.kind == "url":
            return "it is a link and pictor is offline"
        try:
            data = read_bytes(place.locator, options.max_file_bytes, options.fetch_timeout_s)
            if content_hash(data) != subject.digest:
                return "its content has changed"
            with captured_stderr():
                return decode_still(data, place.locator.member or place.path, options.limits)
        except ImageError as error:
            return error.detail
        except MemoryError:
            return "decoding it took more memory than there is"
        except OSError as error:
            return f"reading it failed: {error.strerror or error}"
        except Exception as error:  # the boundary of one file, as in indexer.worker
            return f"its decoder raised {type(error).__name__}: {error}"


def _unread(job: Job, reasons: dict[int, str]) -> Result:
    if isinstance(job, SketchJob):
        return SketchResult(*job.ids, unread=reasons[job.ids[0]])
    return PairResult(job.ids, None, {}, reasons)


def _bytes_of(picture: Still | str) -> int:
    return 0 if isinstance(picture, str) else _SHARE * picture.pixels.nbytes + _FEATURES_BYTES


class _Batch:
    """Jobs that a process has left, and the content it reads."""

    def __init__(self, jobs: Iterable[Job]) -> None:
        self.left = deque(jobs)
        self.reading: int | None = None

    @property
    def message(self) -> list[Job]:
        """What is left."""
        return list(self.left)


class ComparisonPool:
    """Comparing processes behind one iterator. Use it in a `with` block.

    Args:
        workers: processes.
        time_limit_s: for reading and decoding one file, or for comparing two.
    """

    def __init__(self, options: ComparisonOptions, *, workers: int, time_limit_s: float) -> None:
        """Start nothing yet; processes start with the first batch."""
        self._pool: WorkerPool[_Batch] = WorkerPool(
            options, WORKER_MODULE, "comparing", size=workers, time_limit_s=time_limit_s
        )
        self._bad: dict[int, str] = {}

    def __enter__(self) -> ComparisonPool:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.end()

    def run(self, jobs: Sequence[Job]) -> Iterator[Result | None]:
        """Results as they come; None now and then when there is none yet.

        Neighbouring jobs are done in their order by one process.
        """
        coming = (jobs[start : start + BATCH] for start in range(0, len(jobs), BATCH))
        is_over = False
        while True:
            while not is_over and not self._pool.is_full:
                batch = next(coming, None)
                is_over = batch is None
                yield from self._give(_Batch(batch or ()))
            if not self._pool.busy:
                return
            yield from self._listen()

    def _give(self, batch: _Batch) -> Iterator[Result]:
        """Give a process its jobs, without those whose content is known to be no good."""
        bad = [job for job in batch.left if self._reasons(job)]
        batch.left = deque(job for job in batch.left if not self._reasons(job))
        yield from (_unread(job, self._reasons(job)) for job in bad)
        if batch.left:
            batch.reading = None
            self._pool.give(batch)

    def _reasons(self, job: Job) -> dict[int, str]:
        return {one: self._bad[one] for one in job.ids if one in self._bad}

    def _listen(self) -> Iterator[Result | None]:
        is_silent = True
        for process, message in self._pool.messages(POLL_S):
            is_silent = False
            batch = process.work
            assert batch is not None  # only a busy worker has anything to say
            if isinstance(message, Loss):
                self._blame(batch, message.detail)
                yield from self._give(batch)
                continue
            self._pool.restart_clock(process)
            if isinstance(message, ReadNotice):
                batch.reading = message.content_id
                continue
            assert isinstance(message, Result)  # nothing else is sent
            batch.reading = None
            batch.left.popleft()
            if not batch.left:
                process.work = None
            yield message
        if is_silent:
            yield None

    def _blame(self, batch: _Batch, why: str) -> None:
        """Note the content that a process was reading; both of the pair if it compared them."""
        ids = batch.left[0].ids if batch.reading is None else (batch.reading,)
        self._bad.update(dict.fromkeys(ids, why))
