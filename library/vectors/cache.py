"""The on-disk cache of the vector index of one space.

The catalog holds the vectors; this folder can be deleted at any time. It holds generations, each a
folder written once and never changed, and `current.json`, which names the one in force with a
checksum of every file. A build writes a new generation under a temporary name, syncs it, renames
it, and replaces `current.json` last: a kill at any step leaves the old generation or the new one in
force. Readers take no lock; one that has a generation open keeps it when a newer one replaces it.
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
from pictor.library.vectors.exact import ExactIndex
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
from pictor.library.vectors.recall import measure_recall, sample_given, sample_stored

__all__ = ["CacheInfo", "IndexCache", "IndexKind", "Opened", "Stamp", "Unusable"]

IndexKind = Literal["auto", "exact", "flat", "ivf"]

#: Up to here "auto" takes the exact index: 100k x 512 answers in 15 ms, where a command pays 50 to
#: 260 ms to import faiss and some 60 ms for its first search.
EXACT_MAX = 100_000

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

            wanted = None if kind == "auto" else kind
            return FaissIndex.build(folder, blocks, total, dimension, wanted, queries)

        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._lock():
                return self._build(make, stamp, queries)
        except OSError as error:
            if error.errno not in _FULL:
                raise
            # The vectors, their 8-bit codes and the ids, rounded up.
            room_mb = (total * (3 * dimension + 16)) // 1_000_000 + 1
            raise LibraryFull(
                f"the disk that holds {str(self.folder)!r} is full, and the vector index of space"
                f" {stamp.space_id} needs some {room_mb} MB there; free some"
                " space and run the command again"
            ) from error

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
                found = checksum(path)
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
            size = sum(entry["size"] for entry in sums.values())
            info = CacheInfo(stamp, *facts, reached, size, _GENERATION + name)
            self._publish(unfinished, info, sums)
        finally:
            self._sweep()
        return info

    def _publish(self, unfinished: Path, info: CacheInfo, sums: dict[str, JsonObject]) -> None:
        """Put a sealed generation in force."""
        files.rename(unfinished, self.folder / info.generation)
        files.sync_folder(self.folder)
        temporary = self.folder / (_UNFINISHED + MANIFEST)
        files.write_file(temporary, manifest_bytes(info, sums))
        files.sync_file(temporary)
        files.rename(temporary, self.folder / MANIFEST)
        files.sync_folder(self.folder)

    def _sweep(self) -> None:
        """Remove what is not in force: older generations and what killed builds left."""
        manifest = read_manifest(self.folder)
        keep = {MANIFEST, _LOCK}
        if not isinstance(manifest, Unusable):
            keep.add(manifest[0].generation)
        for path in sorted(self.folder.iterdir()):
            if path.name not in keep and path.name.startswith((_UNFINISHED, _GENERATION)):
                with contextlib.suppress(OSError):  # it is tried again by the next build
                    files.remove(path)

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
                check_edges(folder / name, expected)
            index = _open_index(folder, info.index_type)
        except DAMAGE as error:
            return Unusable(f"{str(folder)!r} is damaged: {error}")
        found = (index.index_type, len(index), index.dimension)
        if found != (info.index_type, info.stamp.count, info.dimension):
            index.close()
            return Unusable(f"{str(folder)!r} is damaged: it contains {found}")
        return Opened(index, info)


def _open_index(folder: Path, index_type: str) -> VectorIndex:
    if index_type == "exact":
        return ExactIndex.open(folder)
    from pictor.library.vectors.faiss_index import FaissIndex  # importing faiss takes a while

    return FaissIndex.open(folder)


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
