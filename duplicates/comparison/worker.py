"""One comparing process: reads and decodes two contents, looks at their pixels, says what it found.

Like a decoding process (`indexer.worker`) it runs apart, so that a decoder that dies or hangs costs
one file, and ends when its pipe closes. It tells which content it is about to read, so that the
right one is blamed. Pictures are kept for the pairs to come, up to a number of bytes.
"""

from __future__ import annotations

import signal
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import NamedTuple

from pictor.duplicates.comparison.content_places import Place
from pictor.duplicates.comparison.facts import PairFacts, PairFinding
from pictor.duplicates.comparison.look import compare
from pictor.duplicates.comparison.picture import Picture, picture_of
from pictor.indexer.sources.file_bytes import read_bytes
from pictor.indexer.worker import READY, end_with_parent
from pictor.library.errors import ImageError
from pictor.library.hashing import content_hash
from pictor.library.images import Limits, captured_stderr

#: What a picture takes beside its pixels: its grey copy, its small copy and its local features.
_SHARE = 2
_FEATURES_BYTES = 400_000


@dataclass(frozen=True)
class LookOptions:
    """What every pair shares. `cache_bytes`: of pictures that are kept for further pairs."""

    limits: Limits
    max_file_bytes: int
    fetch_timeout_s: float
    cache_bytes: int
    offline: bool = False


class Subject(NamedTuple):
    """One content of a pair, and where to read it; `digest` is what its bytes must have."""

    content_id: int
    digest: bytes
    place: Place


class LookTask(NamedTuple):
    """A pair to look at; `a` is the content with the lower id."""

    task_id: int
    a: Subject
    b: Subject
    facts: PairFacts


class Reading(NamedTuple):
    """Told before a content is read."""

    content_id: int


class Looked(NamedTuple):
    """What became of a task.

    Attributes:
        finding: None where a content could not be read now.
        pixels: by content id, the hash of all pixels of each that was decoded.
        unread: by content id, why it could not be read, one sentence.
    """

    task_id: int
    finding: PairFinding | None
    pixels: dict[int, bytes]
    unread: dict[int, str]


Tell = Callable[[Reading], None]


def main(descriptor: int) -> None:
    """The body of a comparing process; its options come on `descriptor`, its end of the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    pipe = Connection(descriptor)
    threading.Thread(target=end_with_parent, args=(descriptor,), daemon=True).start()
    try:
        options = pipe.recv()
        _use_one_thread()
        looker = Looker(options, pipe.send)
        pipe.send(READY)
        while (batch := pipe.recv()) is not None:
            for task in batch:
                pipe.send(looker.look(task))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the parent is gone


def _use_one_thread() -> None:
    """There is a process a core; OpenCV would start as many threads in each."""
    import cv2

    cv2.setNumThreads(1)


class Looker:
    """Looks at pairs, one after the other; pictures used last are kept."""

    def __init__(self, options: LookOptions, tell: Tell = lambda _: None) -> None:
        """Nothing is read yet."""
        self._options = options
        self._tell = tell
        self._kept: OrderedDict[int, Picture | str] = OrderedDict()
        self._bytes = 0
        self.decoded = 0

    def look(self, task: LookTask) -> Looked:
        """What the two contents are to each other. Never raises for what a file can cause."""
        a, b = self._picture(task.a), self._picture(task.b)
        pairs = ((task.a.content_id, a), (task.b.content_id, b))
        pixels = {key: one.pixel_hash for key, one in pairs if isinstance(one, Picture)}
        unread = {key: one for key, one in pairs if isinstance(one, str)}
        if isinstance(a, str) or isinstance(b, str):
            return Looked(task.task_id, None, pixels, unread)
        return Looked(task.task_id, compare(a, b, task.facts), pixels, unread)

    def _picture(self, subject: Subject) -> Picture | str:
        """The decoded content, or why there is none."""
        kept = self._kept.get(subject.content_id)
        if kept is not None:
            self._kept.move_to_end(subject.content_id)
            return kept
        self._tell(Reading(subject.content_id))
        self.decoded += 1
        made = self._decoded(subject)
        self._kept[subject.content_id] = made
        self._bytes += _bytes_of(made)
        while self._bytes > self._options.cache_bytes and len(self._kept) > 2:
            _, dropped = self._kept.popitem(last=False)
            self._bytes -= _bytes_of(dropped)
        return made

    def _decoded(self, subject: Subject) -> Picture | str:
        options, place = self._options, subject.place
        if options.offline and place.locator.kind == "url":
            return "it is a link and pictor is offline"
        try:
            data = read_bytes(place.locator, options.max_file_bytes, options.fetch_timeout_s)
            if content_hash(data) != subject.digest:
                return "its content has changed"
            with captured_stderr():
                return picture_of(data, place.locator.member or place.path, options.limits)
        except ImageError as error:
            return error.detail
        except MemoryError:
            return "decoding it took more memory than there is"
        except OSError as error:
            return f"reading it failed: {error.strerror or error}"
        except Exception as error:  # the boundary of one file, as in indexer.worker
            return f"its decoder raised {type(error).__name__}: {error}"


def _bytes_of(picture: Picture | str) -> int:
    return 0 if isinstance(picture, str) else _SHARE * picture.pixels.nbytes + _FEATURES_BYTES
