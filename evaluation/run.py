"""Evaluation: index the photos into a library, then measure a task in each encoder's space.

What was encoded before is not encoded again. Without a library of its own, an evaluation keeps one
for each pair of photos and encoder in the user's cache folder, which may be deleted at any time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from pictor.evaluation.problems import Problem
from pictor.evaluation.task import Measured, Result, Task
from pictor.evaluation.task_files import TaskName, TaskSource, open_task
from pictor.library.config import Settings, load_settings
from pictor.library.errors import LibraryNotFound, ModelUnsupported
from pictor.library.observer import SILENT, Observer, Stopped
from pictor.library.records import EncoderCard

if TYPE_CHECKING:
    from pictor.indexer.run import Summary
    from pictor.library.catalog.rows import SpaceRow
    from pictor.library.store import Store
    from pictor.library.vectors.cache import IndexKind

PathLike = str | os.PathLike[str]
_UNPACKED = "photos"
_SPEED = "speed.json"


@dataclass(frozen=True)
class Evaluation:
    """How good one encoder is at one task.

    Attributes:
        images: distinct photos that were candidates, or were classified.
        queries: captions that were asked, or photos that were classified.
        seconds: from opening the encoder to the last figure.
        problems: what was left out, and what was odd.
        dimension: of its vectors; size_bytes: of its files on this machine, 0 if unknown.
        encoded: photos that were encoded in this run; the others were there already.
        images_per_second: reading, decoding and encoding together, when they were encoded; None
            where that was no evaluation.
        stopped: the observer ended it before there was a figure; what was encoded is kept.
    """

    encoder: str
    task: str
    images: int
    queries: int
    seconds: float
    results: tuple[Result, ...]
    problems: tuple[Problem, ...]
    dimension: int
    size_bytes: int
    encoded: int
    images_per_second: float | None
    stopped: bool = False


def evaluate(
    captions: PathLike,
    images: PathLike | None = None,
    *,
    encoders: Sequence[str] = (),
    library: PathLike | None = None,
    task: TaskName | None = None,
    languages: Sequence[str] = (),
    split: str | None = None,
    labels: PathLike | None = None,
    templates: Sequence[str] = (),
    index: IndexKind = "auto",
    settings: Settings | None = None,
    observer: Observer = SILENT,
) -> Iterator[Evaluation]:
    """Measure encoders, one after the other; each figure comes as soon as it is there.

    Args:
        captions: a file of captions (JSON lines, COCO, Karpathy, Chinese-CLIP), JSON lines of
            labelled photos, or a folder with one subfolder of photos a class.
        images: the folder of the photos.
        encoders: names as for `index`; that of the library, else of the settings, if none.
        library: measure in this library, which gets the photos, rather than in the cache folder.
        task: "retrieval", "zero-shot", "cutoff" or "negation"; if None one of the first two, which
            the file looks like.
        languages: those to measure, by their keys; English and Chinese if empty.
        split: of a file that has several; "test" for Karpathy's.
        labels: a TOML or JSON file with the names of the labels by language.
        templates: prompts with "{label}", of which the mean vector is taken; the encoder's if none.
        index: measure an index of this type beside the exact one; "auto" is the library's own.

    Raises:
        EvaluationError: a file cannot be read, or nothing is left to measure.
        ModelError: an encoder is not available, or has no text tower.
    """
    source = TaskSource(
        Path(captions), _path(images), task, languages, split, _path(labels), templates
    )
    home = source.photos_home
    known = settings or load_settings()
    if library is None:  # scratch data is never a shared catalog
        known = replace(known, library=replace(known.library, catalog_url=""))
    read = open_task(source, scratch_folder(home) / _UNPACKED)
    run = _Run(home, read, _path(library), known, observer)
    cards = run.cards(encoders)  # one that is not available stops the run before it starts

    def each() -> Iterator[Evaluation]:
        for name, card in cards:
            yield (one := run.measure(name, card, index))
            if one.stopped:
                return

    return each()


@dataclass(frozen=True)
class _Run:
    """One evaluation over some encoders.

    Attributes:
        home: the folder or TSV that the photos are in.
        folder: of the library that was named.
    """

    home: Path
    task: Task
    folder: Path | None
    settings: Settings
    observer: Observer

    @property
    def scratch(self) -> Path:
        """Where what is made of the photos is kept."""
        return scratch_folder(self.home)

    def cards(self, names: Sequence[str]) -> list[tuple[str, EncoderCard]]:
        """The encoders, resolved, each once."""
        from pictor.library.encoders.base import EncoderOptions
        from pictor.library.encoders.towers import resolve_card

        options = EncoderOptions(offline=self.settings.network.offline)
        found = self._held() if not names else None
        if found is None:
            named = names or self.settings.encoder.names
            found = [(name, resolve_card(name, options, observer=self.observer)) for name in named]
        for name, card in found:
            if not card.has_text:
                raise ModelUnsupported(
                    f"{name!r} has no text tower, and this measures words against photos; "
                    "name an encoder with one, such as 'builtin'"
                )
        return list({card.fingerprint: (name, card) for name, card in found}.values())

    def measure(self, name: str, card: EncoderCard, kind: IndexKind) -> Evaluation:
        """Fill the encoder's space with the photos and measure the task in it."""
        from pictor.evaluation.bench import Bench
        from pictor.library.store import Store

        started = time.monotonic()
        home = self.folder or self.scratch / card.fingerprint
        measured, encoded, speed, stopped = Measured(0, 0, (), ()), 0, None, False
        with Store.create(home, self.settings) as library:
            try:
                summary = self._fill(library, name, card)
                encoded = summary.encoded
                space = next(r for r in library.spaces() if r.fingerprint == card.fingerprint)
                speed = _speed(library, space, summary)
                measured = self.task.measure(Bench(library, space, kind, self.observer))
            except Stopped:
                stopped = True
        return Evaluation(
            encoder=card.id,
            task=self.task.name,
            images=measured.images,
            queries=measured.queries,
            seconds=round(time.monotonic() - started, 3),
            results=measured.results,
            problems=measured.problems,
            dimension=card.dimension,
            size_bytes=size_on_disk(card),
            encoded=encoded,
            images_per_second=speed,
            stopped=stopped,
        )

    def _held(self) -> list[tuple[str, EncoderCard]] | None:
        """The encoder of the default space of the library that was named, if it has one."""
        from pictor.library.store import Store

        if self.folder is None:
            return None
        try:
            with Store.open(self.folder, self.settings) as library:
                return [(row.encoder, row.card) for row in library.spaces()[:1]] or None
        except LibraryNotFound:
            return None

    def _fill(self, library: Store, name: str, card: EncoderCard) -> Summary:
        from pictor.indexer.run import index

        has_space = card.fingerprint in [row.fingerprint for row in library.spaces()]
        names = [] if has_space else [name]
        summary = index(library, [self._root()], names, keep_default=True, observer=self.observer)
        if summary.stopped:
            raise Stopped
        return summary

    def _root(self) -> bytes:
        """What is indexed: of a scratch library a list of just the photos that are asked for."""
        paths = sorted({path for path in self.task.photos if path is not None})
        if self.folder is not None:
            unpacked = os.fsencode(os.path.abspath(self.scratch / _UNPACKED))
            is_unpacked = paths[0].startswith(unpacked + b"/")
            home = os.fsencode(os.path.abspath(self.home))
            return unpacked if is_unpacked else home
        data = b"".join(path + b"\0" for path in paths)
        self.scratch.mkdir(parents=True, exist_ok=True)
        file = self.scratch / f"{hashlib.sha256(data).hexdigest()[:16]}.list"
        file.write_bytes(data)
        return os.fsencode(file)


def scratch_folder(photos: Path) -> Path:
    """Where an evaluation keeps what it made of a folder or TSV of photos."""
    key = hashlib.sha256(os.fsencode(os.path.abspath(photos))).hexdigest()[:16]
    return Path(platformdirs.user_cache_dir("pictor")) / "eval" / key


def size_on_disk(card: EncoderCard) -> int:
    """Bytes of an encoder's files on this machine: in the package, its folder or where hubs put it.

    Returns:
        0 where they cannot be found.
    """
    from pictor.library.encoders.builtin_card import BUILTIN, BUILTIN_FOLDER
    from pictor.library.encoders.models.places import lock_folder, snapshot

    folders = [BUILTIN_FOLDER if card.id == BUILTIN else Path(card.id)]
    if not folders[0].is_absolute():
        folders = [snapshot(card.id, card.revision), lock_folder(card.id, card.revision)]
    files = ([path for path in folder.glob("*") if path.is_file()] for folder in folders)
    return max(sum(path.stat().st_size for path in group) for group in files)


def _path(path: PathLike | None) -> Path | None:
    return None if path is None else Path(path).expanduser()


def _speed(library: Store, space: SpaceRow, summary: Summary) -> float | None:
    """Images a second of this run, or of the last one that encoded any."""
    file = library.cache_dir(space, "eval") / _SPEED
    if summary.encoded and summary.seconds:
        rate = round(summary.encoded / summary.seconds, 2)
        with contextlib.suppress(OSError):  # it is only remembered
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps({"images_per_second": rate}), encoding="utf-8")
        return rate
    try:
        return float(json.loads(file.read_text(encoding="utf-8"))["images_per_second"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
