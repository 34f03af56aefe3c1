"""One decoding process of the service: a file or its bytes in, a small WebP out.

A picture that kills its decoder, hangs it or eats its memory costs that picture and nothing else.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path

from PIL import Image

from pictor.indexer.messages import READY, ReadOptions, Refusal
from pictor.indexer.sources.descriptors import opened_regular
from pictor.indexer.worker import run
from pictor.library.errors import ImageError, reason_of
from pictor.library.images import HEAD_BYTES, captured_stderr, load_rgb, sniff
from pictor.library.records import Reason
from pictor.service.original_files import is_same

#: Of 100. At 512 pixels a photo takes some 35 kB.
QUALITY = 80
_METHOD = 2  # of 6: a larger one takes twice the time for 3 % of the bytes


@dataclass(frozen=True)
class PictureTask:
    """A picture to make.

    Attributes:
        path: of a file, as bytes; size_bytes and mtime_ns: what it must still have.
        content: the hash that it must have, in hex; "" of what nobody indexed.
        root: the path of what was indexed.
        data: the bytes of a file instead, where it is in an archive.
        time_s: seconds into a video or animation; None for a still.
        edge_px: of the longer side; nothing is enlarged.
    """

    path: bytes
    size_bytes: int
    mtime_ns: int
    edge_px: int
    time_s: float | None = None
    data: bytes | None = None
    content: str = ""
    root: bytes = b""

    @property
    def message(self) -> PictureTask:
        """Itself is sent to the worker."""
        return self


def main(descriptor: int) -> None:
    """The body of a worker process."""
    run(descriptor, serve)


def serve(pipe: Connection, options: ReadOptions) -> None:
    """Make the pictures whose tasks come."""
    pipe.send(READY)
    while (task := pipe.recv()) is not None:
        pipe.send(made(task, options))


def made(task: PictureTask, options: ReadOptions) -> bytes | Refusal:
    """The WebP of a task, upright, in sRGB and without metadata, or why there is none."""
    try:
        with captured_stderr():
            source = task.data if task.data is not None else _read(task, options)
            return _webp(source, task, options)
    except ImageError as error:
        return Refusal(error.reason, error.detail)
    except MemoryError:
        return Refusal(Reason.OUT_OF_MEMORY, "decoding it took more memory than there is")
    except OSError as error:
        return Refusal(reason_of(error), f"reading it failed: {error.strerror or error}")
    except Exception as error:  # the boundary of one file: what a decoder raises is its own
        return Refusal(Reason.CORRUPT, f"its decoder raised {type(error).__name__}")


def _read(task: PictureTask, options: ReadOptions) -> bytes | Path:
    """The bytes of a file that is what the catalog says; of a video its path."""
    with opened_regular(task.path) as descriptor, open(descriptor, "rb", closefd=False) as file:
        found = os.fstat(descriptor)
        stated = (found.st_size, found.st_mtime_ns) == (task.size_bytes, task.mtime_ns)
        if not stated or not is_same(descriptor, found.st_size, task.content, task.path, task.root):
            raise ImageError(Reason.CHANGED, "it changed since it was indexed")
        head = file.read(HEAD_BYTES)
        media = sniff(head, task.path)
        if media is not None and media.kind == "video":
            return Path(os.fsdecode(task.path))
        if found.st_size > options.max_file_bytes:
            raise ImageError(Reason.TOO_LARGE, "it has more bytes than are read")
        return head + file.read()


def _webp(source: bytes | Path, task: PictureTask, options: ReadOptions) -> bytes:
    limits = replace(options.limits, frames=1)
    name = task.path.rpartition(b"/")[2]
    edge = task.edge_px
    image, _, _ = load_rgb(source, limits, min_edge=edge, name_hint=name, time_s=task.time_s)
    image.thumbnail((edge, edge), Image.Resampling.LANCZOS, reducing_gap=2.0)
    image.info.clear()
    file = io.BytesIO()
    image.save(file, "WEBP", quality=QUALITY, method=_METHOD)
    return file.getvalue()
