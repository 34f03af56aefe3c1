"""The index of a space: its cache on disk, brought up to date from the catalog whenever it is
opened.

The cache says which change of the space it includes. What came later is read from the catalog and
laid on top in memory, so a search sees every committed vector; a cache that does not fit is never
served.
"""

from __future__ import annotations

from library.catalog import spaces as catalog_spaces
from library.catalog.rows import SpaceRow
from library.errors import LibraryLocked
from library.library import Library
from library.vectors.base import VectorIndex
from library.vectors.cache import CacheInfo, IndexCache, Stamp, Unusable
from library.vectors.exact import ExactIndex

#: While a long run goes on, the cache is renewed when this many vectors, and this share of all it
#: holds, came after it: a search in the meantime reads them from the catalog, 20,000 in about 0.1
#: s.
FAR_BEHIND_VECTORS = 20_000
FAR_BEHIND_SHARE = 0.5


def cache_of(library: Library, space: SpaceRow) -> IndexCache:
    """The cache folder of a space's index."""
    return IndexCache(library.cache_dir(space, "index"))


def info(library: Library, space: SpaceRow) -> CacheInfo | None:
    """What the cache of a space says of itself; None where there is none that fits."""
    found = cache_of(library, space).info(library.library_id, space.id, space.fingerprint)
    return None if isinstance(found, Unusable) else found


def open_index(library: Library, space: SpaceRow) -> VectorIndex:
    """The index of every vector committed so far. Builds the cache if it is gone and nobody writes."""
    opened = _open_current(library, space)
    if opened is not None:
        return opened
    try:
        with library.writer():
            refresh(library, space)
    except (LibraryLocked, OSError):
        return _in_memory(library, space)
    return _open_current(library, space) or _in_memory(library, space)


def is_far_behind(library: Library, space: SpaceRow) -> bool:
    """Whether a search would have to read much that the cache lacks."""
    with library.reading() as connection:
        count = catalog_spaces.count_vectors(connection, space.id)
    held = info(library, space)
    behind = count - (held.stamp.count if held else 0)
    return behind > max(FAR_BEHIND_VECTORS, FAR_BEHIND_SHARE * count)


def refresh(library: Library, space: SpaceRow) -> CacheInfo:
    """Write the cache anew, unless it includes the last change. Hold the write lock.

    Raises:
        LibraryFull: the disk is full; the old cache stays.
    """
    with library.reading() as connection:
        row = next(r for r in catalog_spaces.spaces(connection) if r.id == space.id)
        held = info(library, row)
        if held is not None and held.stamp.last_change == row.last_change:
            return held
        count = catalog_spaces.count_vectors(connection, row.id)
        stamp = Stamp(library.library_id, row.id, row.fingerprint, count, row.last_change)
        blocks = catalog_spaces.vector_blocks(connection, row.id, row.dimension)
        return cache_of(library, row).build(blocks, count, row.dimension, stamp)


def _open_current(library: Library, space: SpaceRow) -> VectorIndex | None:
    """The cache with what came after it on top; None where there is no cache that fits."""
    opened = cache_of(library, space).open(library.library_id, space.id, space.fingerprint)
    if isinstance(opened, Unusable):
        return None
    index, held = opened.index, opened.info
    with library.reading() as connection:
        row = next(r for r in catalog_spaces.spaces(connection) if r.id == space.id)
        if row.last_change < held.stamp.last_change:  # the catalog is an older copy than the cache
            index.close()
            return None
        if row.last_change > held.stamp.last_change:
            since = held.stamp.last_change
            index.remove(catalog_spaces.removed_since(connection, row.id, since))
            blocks = catalog_spaces.vector_blocks(connection, row.id, row.dimension, since)
            for ids, vectors in blocks:
                index.add(ids, vectors)
    return index


def _in_memory(library: Library, space: SpaceRow) -> VectorIndex:
    index = ExactIndex(space.dimension)
    with library.reading() as connection:
        blocks = catalog_spaces.vector_blocks(connection, space.id, space.dimension)
        for ids, vectors in blocks:
            index.add(ids, vectors)
    return index
