"""The index of a space: its cache on disk, brought up to date from the catalog when it is opened.

The cache says which change of the space it includes. What came later is read from the catalog and
laid on top in memory, so a search sees every committed vector; a cache that does not fit is never
served.
"""

from __future__ import annotations

import threading
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from sqlalchemy import Connection

from pictor.library import space_encoders
from pictor.library.catalog import spaces as catalog_spaces
from pictor.library.catalog.rows import SpaceRow
from pictor.library.config import presets_dir
from pictor.library.errors import LibraryCorrupt, LibraryError
from pictor.library.records import FloatMatrix, IdArray
from pictor.library.store import Store
from pictor.library.vectors.base import EXACT_MAX
from pictor.library.vectors.cache import (
    CacheInfo,
    Changes,
    IndexCache,
    IndexKind,
    Stamp,
    Unusable,
)
from pictor.library.vectors.exact import ExactIndex
from pictor.library.vectors.layers import VectorIndex

#: With more changes than this above what it was opened with, an index is opened anew once a newer
#: cache is there: every search scans them, some 2 ms for so many.
MOST_CHANGES = 10_000


@dataclass(frozen=True)
class OpenIndex:
    """An index in memory.

    Attributes:
        change: the newest change of its space that it includes.
        cached: the newest change that the cache it was opened from includes; -1 without a cache.
    """

    index: VectorIndex
    change: int
    cached: int = -1


class SharedIndexes:
    """The index of each space of a library, opened once for any number of threads."""

    def __init__(self, library: Store) -> None:
        """Nothing is opened yet."""
        self._library = library
        self._lock = threading.Lock()
        self._opened: dict[tuple[int, str], OpenIndex] = {}

    def current(self, space: SpaceRow) -> VectorIndex:
        """The index with every vector committed up to now, also by another process.

        What is committed later is not added to it: it stays what it is, and is not to be closed.

        Args:
            space: as it was read for this search.
        """
        key = (space.id, space.fingerprint)
        opened = self._opened.get(key)
        if opened is None or opened.change != space.last_change:
            with self._lock:
                opened = self._opened[key] = self._caught_up(space, self._opened.get(key))
        return opened.index

    def close(self) -> None:
        """Forget the indexes; each is released with the last search that uses it."""
        with self._lock:
            self._opened = {}

    def _caught_up(self, space: SpaceRow, opened: OpenIndex | None) -> OpenIndex:
        found = None if opened is None else caught_up(self._library, space, opened)
        if found is not None and found.index.changes > MOST_CHANGES:
            held = info(self._library, space)
            if held is not None and held.stamp.last_change > found.cached:
                found = None
        return found or open_index(self._library, space)


def cache_of(library: Store, space: SpaceRow) -> IndexCache:
    """The cache folder of a space's index."""
    return IndexCache(library.cache_dir(space, "index"))


def info(library: Store, space: SpaceRow) -> CacheInfo | None:
    """What the cache of a space says of itself; None where there is none that fits."""
    found = cache_of(library, space).info(library.library_id, space.id, space.fingerprint)
    return None if isinstance(found, Unusable) else found


def open_index(library: Store, space: SpaceRow) -> OpenIndex:
    """The index of every vector committed so far. Builds the cache if it is gone and nobody writes.

    Raises:
        LibraryCorrupt: a stored vector cannot be one.
    """
    opened = _open_current(library, space)
    if opened is not None:
        return opened
    try:
        with library.writer():
            _build(library, space)
    except (LibraryError, OSError):  # another process writes, the disk is full or read-only…
        return _in_memory(library, space)
    return _open_current(library, space) or _in_memory(library, space)


def caught_up(library: Store, space: SpaceRow, opened: OpenIndex) -> OpenIndex | None:
    """An index with what was committed since, beside the open one, which stays as it is.

    Returns:
        None where the open one is not of this catalog's history.
    """
    since = opened.change
    with library.reading() as connection:
        newest = catalog_spaces.last_change(connection, space.id)
        if newest == since:
            return opened
        if not _follows(connection, space, newest, since):
            return None
        index = opened.index.copy()
        index.remove(catalog_spaces.removed_since(connection, space.id, since))
        _add_blocks(connection, space, index, since)
    return replace(opened, index=index, change=newest)


def refresh(library: Store, space: SpaceRow) -> None:
    """Bring the cache up to the last change, or write it anew. Hold the write lock.

    Raises:
        LibraryFull: the disk is full; the old cache stays.
        LibraryCorrupt: a stored vector cannot be one.
    """
    if not _append(library, space):
        _build(library, space)


def build_apart(
    library: Store,
    space: SpaceRow,
    folder: Path,
    ids: IdArray,
    vectors: FloatMatrix,
    kind: IndexKind,
    queries: FloatMatrix | None,
) -> VectorIndex:
    """An index of any type over n vectors of a space, built as the space's own is, in `folder`.

    It is no part of the library, and is measured, not served.

    Raises:
        LibraryError: it cannot be built.
    """
    cache = IndexCache(folder)
    stamp = Stamp(library.library_id, space.id, space.fingerprint, len(ids), 0)
    block = (ids, vectors.astype(np.float16))
    cache.build(iter([block]), len(ids), space.dimension, stamp, kind=kind, queries=queries)
    held = cache.open(library.library_id, space.id, space.fingerprint)
    if isinstance(held, Unusable):
        raise LibraryError(f"an index of type {kind!r} cannot be built: {held.reason}")
    return held.index


def _append(library: Store, space: SpaceRow) -> bool:
    """Whether the cache could be brought up to the last change, if it did not include it."""
    held = info(library, space)
    if held is None:
        return False
    cache, since = cache_of(library, space), held.stamp.last_change
    with library.reading() as connection:
        newest = catalog_spaces.last_change(connection, space.id)
        if newest == since:
            return _is_whole(library, space)
        if not _follows(connection, space, newest, since):
            return False
        changes = Changes(
            catalog_spaces.vector_blocks(connection, space.id, space.dimension, since),
            catalog_spaces.count_vectors(connection, space.id, since),
            catalog_spaces.removed_since(connection, space.id, since),
        )
        count = catalog_spaces.count_vectors(connection, space.id)
        stamp = replace(held.stamp, count=count, last_change=newest)
        try:
            return isinstance(cache.append(changes, stamp), CacheInfo)
        except ValueError:  # vectors that cannot be one, which a build names, or a false cache
            return False


def _is_whole(library: Store, space: SpaceRow) -> bool:
    """Whether the cache can be served."""
    held = cache_of(library, space).open(library.library_id, space.id, space.fingerprint)
    if isinstance(held, Unusable):
        return False
    held.index.close()
    return True


def _follows(connection: Connection, space: SpaceRow, newest: int, since: int) -> bool:
    """Whether a cache as of `since` is of this catalog's history.

    It is not where the catalog was restored from a backup, or the cache copied from a twin.
    """
    return newest == since or (
        newest > since and catalog_spaces.has_change(connection, space.id, since)
    )


def _build(library: Store, space: SpaceRow) -> None:
    with library.reading() as connection:
        newest = catalog_spaces.last_change(connection, space.id)
        count = catalog_spaces.count_vectors(connection, space.id)
        stamp = Stamp(library.library_id, space.id, space.fingerprint, count, newest)
        blocks = catalog_spaces.vector_blocks(connection, space.id, space.dimension)
        try:
            queries = tuning_queries(library, space) if count > EXACT_MAX else None
            cache = cache_of(library, space)
            cache.build(blocks, count, space.dimension, stamp, queries=queries)
        except ValueError as error:
            raise _corrupt(space, error) from error


def _open_current(library: Store, space: SpaceRow) -> OpenIndex | None:
    """The cache with what came after it on top; None where there is no cache that fits."""
    held = cache_of(library, space).open(library.library_id, space.id, space.fingerprint)
    if isinstance(held, Unusable):
        return None
    change = held.info.stamp.last_change
    found = None
    try:
        found = caught_up(library, space, OpenIndex(held.index, change, cached=change))
    finally:
        if found is None:
            held.index.close()
    return found


def tuning_queries(library: Store, space: SpaceRow) -> FloatMatrix | None:
    """Vectors of everyday words, which an index that is not exact must be tuned for."""
    if not space.card.has_text:
        return None
    text = (presets_dir() / "tuning_queries.toml").read_text(encoding="utf-8")
    return space_encoders.open_text(library, space).encode(tomllib.loads(text)["queries"])


def _in_memory(library: Store, space: SpaceRow) -> OpenIndex:
    index = ExactIndex(space.dimension)
    with library.reading() as connection:
        newest = catalog_spaces.last_change(connection, space.id)
        _add_blocks(connection, space, index, -1)
    return OpenIndex(index, newest)


def _add_blocks(
    connection: Connection, space: SpaceRow, index: VectorIndex, after_change: int
) -> None:
    blocks = catalog_spaces.vector_blocks(connection, space.id, space.dimension, after_change)
    try:
        for ids, vectors in blocks:
            index.add(ids, vectors)
    except ValueError as error:
        raise _corrupt(space, error) from error


def _corrupt(space: SpaceRow, error: ValueError) -> LibraryCorrupt:
    return LibraryCorrupt(
        f"the vectors of {space.encoder} in the catalog are damaged: {error}; see: pictor verify"
    )
