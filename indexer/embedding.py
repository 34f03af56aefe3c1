"""Vectors of pictures without a library, into a file: batched, streamed, any number of them.

Pooled vectors are those a library would hold: of unit norm, in the direction that the
`image-feature-extraction` pipeline of transformers gives with pool=True. Unpooled features are the
last hidden states, as that pipeline gives them. Pictures are decoded at their full size, as there.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pictor.indexer.loose_pictures import open_card, pixels_of, tower_folder
from pictor.indexer.vector_files import VectorFile, open_vector_file
from pictor.library.config import Settings, load_settings
from pictor.library.errors import ImageError, PictorError
from pictor.library.names import PathLike, is_link, shown
from pictor.library.observer import SILENT, Observer, Progress
from pictor.library.records import EncoderCard, PixelArray, Reason

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pictor.indexer.sources import Locator
    from pictor.library.encoders.base import EncoderOptions

#: Pictures of a forward pass for unpooled features, whose towers state no number of their own.
_UNPOOLED_BATCH = 16
#: Files in a folder that are no pictures are passed over, not reported.
_PASSED_OVER = frozenset({Reason.NOT_MEDIA, Reason.EMPTY})


@dataclass(frozen=True)
class Embedded:
    """What was written.

    Attributes:
        vectors: rows of the file.
        failed: pictures without one.
        shape: of a row: (d,), or (tokens, width) unpooled.
    """

    vectors: int
    failed: int
    shape: tuple[int, ...]


def embed(
    images: Iterable[PathLike],
    output: str | os.PathLike[str],
    *,
    pool: bool = True,
    encoder: str | None = None,
    timeout_s: float | None = None,
    settings: Settings | None = None,
    observer: Observer = SILENT,
) -> Embedded:
    """Write the vectors of pictures, in the order given, to a .npz, .parquet or .jsonl file.

    The file appears when it is whole; without a vector nothing is written. Memory does not grow
    with the number of pictures.

    Args:
        images: paths or http(s) links of pictures; folders, archives and lists stand for the
            pictures in them. Of a video or animation the first frame is taken.
        output: its ending says the form. .npz has `vectors` (n, d) float32 and `paths` (n,) bytes.
        pool: False for the hidden states of the last layer, (n, tokens, width).
        encoder: a name as for `index`; that of the settings if None.
        timeout_s: for fetching one link; the setting `index.fetch_timeout_s` if None.
        observer: receives a notice for each picture that gave no vector, and how many are done.

    Raises:
        PictorError: the file cannot be written in that form, or no picture gave a vector.
        SourceError: a folder, archive or list cannot be read.
        ModelError: the encoder is not available, or has no hidden states to give.
    """
    settings = settings or load_settings()
    with open_vector_file(Path(output)) as file:
        card, options = open_card(encoder, settings)
        timeout = settings.index.fetch_timeout_s if timeout_s is None else timeout_s
        run = _Run(card, settings, timeout, observer)
        with _tower(card, options, pool=pool) as (encode, size):
            for batch in run.batches(images, size):
                run.write(batch, encode([one.pixels for one in batch]), file)
        if not run.written:
            raise PictorError(
                f"no picture gave a vector ({run.failed} failed), so {str(output)!r} was not "
                "written"
            )
    return Embedded(run.written, run.failed, run.shape)


class _Read(NamedTuple):
    """A picture on its way."""

    path: bytes
    pixels: PixelArray


class _Run:
    """Reads pictures ahead in threads and counts what becomes of them."""

    def __init__(
        self, card: EncoderCard, settings: Settings, timeout_s: float, observer: Observer
    ) -> None:
        self._card = card
        self._settings = settings
        self._timeout_s = timeout_s
        self._observer = observer
        self.written = self.failed = 0
        self.shape: tuple[int, ...] = ()

    def batches(self, images: Iterable[PathLike], size: int) -> Iterator[list[_Read]]:
        """Lists of `size` pictures, the last one shorter, in order."""
        pictures = self._read_ahead(images)
        while batch := list(islice(pictures, size)):
            yield batch

    def write(self, batch: list[_Read], rows: NDArray[np.float32], file: VectorFile) -> None:
        """Write those rows that are sound."""
        import numpy as np

        sound = [bool(np.isfinite(row).all()) for row in rows]
        for one, is_sound in zip(batch, sound, strict=True):
            if not is_sound:
                self._fail(one.path, "the encoder gives no finite vector for it")
        paths = [one.path for one, is_sound in zip(batch, sound, strict=True) if is_sound]
        if paths:
            file.add(paths, rows[sound])
            self.written += len(paths)
            self.shape = rows.shape[1:]
        self._observer.progress(Progress("embedding", self.written + self.failed, 0, "pictures"))

    def _read_ahead(self, images: Iterable[PathLike]) -> Iterator[_Read]:
        from pictor.indexer.worker_pool import worker_count

        workers = worker_count(self._settings)
        waiting: deque[tuple[bytes, bool, Future[PixelArray]]] = deque()
        with ThreadPoolExecutor(workers, "pictor-decoder") as threads:
            try:
                for path, locator, is_named in _found(images, self._settings):
                    arguments = (locator, self._card, self._settings, self._timeout_s)
                    waiting.append((path, is_named, threads.submit(pixels_of, *arguments)))
                    if len(waiting) > 2 * workers:
                        yield from self._taken(*waiting.popleft())
                while waiting:
                    yield from self._taken(*waiting.popleft())
            finally:
                threads.shutdown(wait=True, cancel_futures=True)

    def _taken(self, path: bytes, is_named: bool, future: Future[PixelArray]) -> Iterator[_Read]:
        try:
            yield _Read(path, future.result())
        except ImageError as error:
            if is_named or error.reason not in _PASSED_OVER:
                self._fail(path, error.detail)

    def _fail(self, path: bytes, problem: str) -> None:
        self.failed += 1
        self._observer.notice(f"{shown(path)}: {problem}")


def _found(images: Iterable[PathLike], settings: Settings) -> Iterator[tuple[bytes, Locator, bool]]:
    """(path, where to read it, whether it was named itself) of every picture."""
    from pictor.indexer.sources import Locator, RootKind, ScanOptions, ScanProblem, open_source
    from pictor.library.catalog.rows import full_path
    from pictor.library.errors import SourceError

    options = ScanOptions.of(settings.index)
    for image in images:
        location = os.fsencode(image)
        if is_link(location):
            yield location, Locator("url", location), True
            continue
        path = os.path.abspath(os.path.expanduser(location))
        if not os.path.lexists(path):
            yield location, Locator("file", path), True  # reading it says what is wrong
            continue
        for source in open_source(path, options):
            for found in source.scan():
                if isinstance(found, ScanProblem):
                    raise SourceError(found.detail)
                if found.skip is None:
                    name = full_path(source.kind, source.location, found.path)
                    yield name, found.locator, source.kind == RootKind.FILE


@contextmanager
def _tower(
    card: EncoderCard, options: EncoderOptions, *, pool: bool
) -> Iterator[tuple[Callable[[Sequence[PixelArray]], NDArray[np.float32]], int]]:
    """What makes vectors, or hidden states, of pictures; and of how many at once."""
    from pictor.library.encoders import towers

    if pool:
        with closing(towers.open_image_encoder(card, options, tower_folder(card, "image"))) as one:
            yield one.encode, one.batch_size
    else:
        with closing(towers.open_unpooled_encoder(card, options)) as other:
            yield other.encode_unpooled, options.batch_size or _UNPOOLED_BATCH
