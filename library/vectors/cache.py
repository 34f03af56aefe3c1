"""The on-disk cache of the vector index of one space.

The catalog holds the vectors; this folder can be deleted at any time. It holds generations, each a
folder, and `current.json`, which names the one in force, how far it goes, and a checksum of every
file that far. A build writes a new generation under a temporary name, syncs it and renames it; an
append writes behind the rows of the one in force, and beside its files. Either replaces
`current.json` last: a kill at any step leaves the old state or the new one in force. Readers take
no lock; one that has a generation open keeps what it opened when a newer state replaces it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pictor.library.errors import LibraryFull, LibraryLocked
from pictor.library.records import FloatMatrix, HalfMatrix, IdArray, JsonObject
from pictor.library.vectors import files
from pictor.library.vectors.base import EXACT_MAX
from pictor.library.vectors.exact import ExactIndex
from pictor.library.vectors.growth import Changes, grown, superseded
from pictor.library.vectors.layers import VectorIndex
from pictor.library.vectors.manifest import (
    DAMAGE,
    MANIFEST,
    CacheInfo,
    Stamp,
    Unusable,
    check_edges,
    checksum,
    manifest_bytes,
    owned,
    read_manifest,
)
from pictor.library.vectors.parts import Extent
from pictor.library.vectors.recall import measure_recall, sample_given, sample_stored

__all__ = ["CacheInfo", "Changes", "IndexCache", "IndexKind", "Opened", "Stamp", "Unusable"]

IndexKind = Literal["auto", "exact", "ivf"]

_LOCK = "build.lock"
_UNFINISHED = "unfinished-"
_GENERATION = "generation-"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True)
class Opened:
    """A cache that can be served. Changes the catalog made since go into `index` in memory."""

    index: VectorIndex
    info: CacheInfo


class IndexCache:
    """The cache in one folder. Many processes may open it; one at a time may build it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def build(
        self,
        blocks: Iterator[tuple[IdArray, HalfMatrix]],
        total: int,
        dimension: int,
        stamp: Stamp,
        *,
        kind: IndexKind = "auto",
        queries: FloatMatrix | None = None,
    ) -> CacheInfo:
        """Write a new generation, put it in force and remove what came before it.

        Args:
            blocks: all vectors of the space, each id once, in any order; read one at a time.
            total: how many they are.
            queries: (q, d) float32, like those that will be asked, such as the vectors of captions;
                recall is then measured, and IVF tuned, on them too. Without them the recall stored
                is that of pictures as queries, and texts may find less.

        Raises:
            LibraryFull: the disk is full; the generation in force stays.
            LibraryLocked: another process is building this cache.
            ValueError: the blocks are unsound, or `total` or `stamp.count` is not their number.
        """
        if stamp.count != total:
            raise ValueError(f"the stamp counts {stamp.count} vectors, but {total} are announced")

        def make(folder: Path) -> VectorIndex:
            if kind == "exact" or (kind == "auto" and total <= EXACT_MAX):
                return ExactIndex.build(folder, blocks, total, dimension)
            from pictor.library.vectors.faiss_index import FaissIndex  # its import takes a while

            return FaissIndex.build(folder, blocks, total, dimension, queries)

        with self._needing(total, dimension, stamp):
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._lock():
                return self._build(make, stamp, queries)

    def append(self, changes: Changes, stamp: Stamp) -> CacheInfo | Unusable:
        """Bring the generation in force up to later changes, at the cost of the changes.

        Args:
            stamp: of the whole afterwards.

        Returns:
            Why it must be built anew instead; it is then as it was.

        Raises:
            LibraryFull, LibraryLocked, ValueError: as `build` does; it is then as it was.
        """
        mine = (stamp.library_id, stamp.space_id, stamp.fingerprint)
        held = self.info(*mine)
        if isinstance(held, Unusable):
            return held
        with self._needing(changes.total, held.dimension, stamp), self._lock():
            opened, manifest = self.open(*mine), read_manifest(self.folder)
            if isinstance(opened, Unusable):
                return opened
            if isinstance(manifest, Unusable):
                return manifest
            try:
                with contextlib.closing(opened.index) as index:
                    folder = self.folder / opened.info.generation
                    made = grown(folder, index, opened.info, manifest[1], changes, stamp)
                if isinstance(made, Unusable):
                    return made
                self._publish(*made)
            finally:
                self._sweep()
        return made[0]

    def open(self, library_id: str, space_id: int, fingerprint: str) -> Opened | Unusable:
        """The index in force, memory-mapped, if it is whole and of this library and space.

        It never raises for what the folder holds: a cache that cannot be served says why.
        """
        result = self._open_once(library_id, space_id, fingerprint)
        if isinstance(result, Opened):
            return result
        # A build may have replaced the generation after its name was read.
        return self._open_once(library_id, space_id, fingerprint)

    def info(self, library_id: str, space_id: int, fingerprint: str) -> CacheInfo | Unusable:
        """What `open` would open, from the manifest alone."""
        manifest = read_manifest(self.folder)
        if isinstance(manifest, Unusable):
            return manifest
        return owned(manifest[0], library_id, space_id, fingerprint)

    def verify(self) -> list[str]:
        """Read every byte of the generation in force; one sentence for each thing wrong."""
        manifest = read_manifest(self.folder)
        if isinstance(manifest, Unusable):
            return [manifest.reason]
        info, sums = manifest
        problems = []
        for name, expected in sums.items():
            path = self.folder / info.generation / name
            try:
                found = checksum(path, expected["size"] if name in files.GROWING else None)
            except OSError as error:
                problems.append(f"{str(path)!r} cannot be read: {error.strerror}")
                continue
            if found != expected:
                problems.append(f"{str(path)!r} is not as it was written: its checksum differs")
        return problems

    def _build(
        self, make: Callable[[Path], VectorIndex], stamp: Stamp, queries: FloatMatrix | None
    ) -> CacheInfo:
        self._sweep()
        name = secrets.token_hex(8)  # never used twice: a reader may still know an old name
        unfinished = self.folder / (_UNFINISHED + name)
        try:
            with contextlib.closing(make(unfinished)) as index:
                reached = _measure(index, queries)
                facts = (index.index_type, index.dimension)
            sums = _seal(unfinished)
            extent = Extent(stamp.count, stamp.count)
            info = CacheInfo(stamp, *facts, reached, _size(sums), _GENERATION + name, extent)
            files.rename(unfinished, self.folder / info.generation)
            files.sync_folder(self.folder)
            self._publish(info, sums)
        finally:
            self._sweep()
        return info

    def _publish(self, info: CacheInfo, sums: dict[str, JsonObject]) -> None:
        """Put what is on the disk in force."""
        temporary = self.folder / (_UNFINISHED + MANIFEST)
        files.write_file(temporary, manifest_bytes(info, sums))
        files.sync_file(temporary)
        files.rename(temporary, self.folder / MANIFEST)
        files.sync_folder(self.folder)

    def _sweep(self) -> None:
        """Remove what is not in force: older generations and what killed runs left."""
        manifest = read_manifest(self.folder)
        keep = {MANIFEST, _LOCK}
        old: list[Path] = []
        if not isinstance(manifest, Unusable):
            keep.add(manifest[0].generation)
            with contextlib.suppress(OSError):
                old += superseded(self.folder / manifest[0].generation, manifest[1])
        for path in sorted(self.folder.iterdir()):
            if path.name not in keep and path.name.startswith((_UNFINISHED, _GENERATION)):
                old.append(path)
        for path in old:
            with contextlib.suppress(OSError):  # it is tried again by the next build
                files.remove(path)

    @contextlib.contextmanager
    def _needing(self, total: int, dimension: int, stamp: Stamp) -> Iterator[None]:
        """Say how much room so many vectors need where the disk is full."""
        try:
            yield
        except OSError as error:
            if error.errno not in _FULL:
                raise
            # The vectors, their codes and the ids, rounded up.
            room_mb = (total * (3 * dimension + 16)) // 1_000_000 + 1
            raise LibraryFull(
                f"the disk that holds {str(self.folder)!r} is full, and the vector index of space"
                f" {stamp.space_id} needs some {room_mb} MB there; free some"
                " space and run the command again"
            ) from error

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        """Hold the build lock; the system drops it if this process dies."""
        with (self.folder / _LOCK).open("wb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise LibraryLocked(
                    f"another process is building the vector index in {str(self.folder)!r};"
                    " wait for it to end"
                ) from error
            yield

    def _open_once(self, library_id: str, space_id: int, fingerprint: str) -> Opened | Unusable:
        manifest = read_manifest(self.folder)
        if isinstance(manifest, Unusable):
            return manifest
        info = owned(manifest[0], library_id, space_id, fingerprint)
        if isinstance(info, Unusable):
            return info
        folder = self.folder / info.generation
        try:
            for name, expected in manifest[1].items():
                check_edges(folder / name, expected, grows=name in files.GROWING)
            index = _open_index(folder, info)
        except DAMAGE as error:
            return Unusable(f"{str(folder)!r} is damaged: {error}")
        found = (index.index_type, len(index), index.dimension)
        if found != (info.index_type, info.stamp.count, info.dimension):
            index.close()
            return Unusable(f"{str(folder)!r} is damaged: it contains {found}")
        return Opened(index, info)


def _open_index(folder: Path, info: CacheInfo) -> VectorIndex:
    if info.index_type == "exact":
        return ExactIndex.open(folder, info.extent)
    from pictor.library.vectors.faiss_index import FaissIndex  # importing faiss takes a while

    return FaissIndex.open(folder, info.extent)


def _size(sums: dict[str, JsonObject]) -> int:
    return sum(entry["size"] for entry in sums.values())


def _measure(index: VectorIndex, queries: FloatMatrix | None) -> float:
    """recall@10 on other stored vectors than those a build is tuned on, and on `queries`."""
    samples = [sample_stored(index.stored, seed=1)]
    if queries is not None:
        samples.append(sample_given(index.stored, queries))
    return measure_recall(index, samples)


def _seal(folder: Path) -> dict[str, JsonObject]:
    """Bring every file of a generation to the disk; their checksums by name."""
    sums = {}
    for path in sorted(folder.iterdir()):
        files.sync_file(path)
        sums[path.name] = checksum(path)
    files.sync_folder(folder)
    return sums
