"""Which pairs of contents are worth comparing by their pixels, for contents not yet compared.

Four ways lead to a pair: near perceptual hashes in any orientation, near vectors, one camera within
seconds, and one name in one folder. A fifth follows from what was found: two copies of one picture
are compared with each other, as neighbours by vector are few and a picture with twenty copies has
more. All work on the catalog; no file is read.
"""

from __future__ import annotations

import itertools
import tempfile
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from pictor.duplicates.candidates import hash_neighbours, vector_neighbours
from pictor.duplicates.candidates.hash_neighbours import turn_between
from pictor.library.catalog import fingerprints
from pictor.library.catalog import pairs as catalog_pairs
from pictor.library.catalog.rows import SpaceRow
from pictor.library.catalog.spaces import LITTLE_FLOAT16
from pictor.library.errors import LibraryCorrupt
from pictor.library.observer import SILENT, Observer, check
from pictor.library.pairs import BURST_S, DUPLICATES
from pictor.library.records import BoolVector, FloatVector, HalfMatrix, IdArray

#: How alike two shots within BURST_S must be to be compared: either will do. They are lower than
#: what makes a burst, which the comparison decides.
BURST_SCORE = 0.6
BURST_BITS = 18
#: Shots that follow one within the time, of which pairs are made: a camera takes 20 a second.
BURST_NEXT = 8
#: Files of one name in one folder of which pairs are made; more are no versions of one shot.
SAME_NAME_MOST = 6
#: Vectors up to so many bytes are held in memory: 1,000,000 of 256 values. More lie in a file.
VECTORS_IN_MEMORY = 640 << 20
#: Pairs that one content gets in this way in a round, however many copies it has.
MOST_RELATIVES = 64
#: Rounds: each doubles how far along a chain of copies is looked.
ROUNDS = 3
_PAIR_ROWS = 1 << 16  # pairs scored at once


@dataclass(frozen=True)
class FingerprintTable:
    """What candidates are found from, all ascending by content id.

    Attributes:
        ids: (n,) of every content with a fingerprint row.
        fresh: (n,) whether it is to be compared: its file is in reach, and no comparison of this
            version had it.
        stills: (m,) rows of `ids` that have hashes.
        hashes: (m, 8) uint64 of them; vectors: (m, d) float16, zeros where there is none.
    """

    ids: IdArray
    fresh: BoolVector
    stills: IdArray
    hashes: NDArray[np.uint64]
    vectors: HalfMatrix

    def rows_of(self, ids: IdArray) -> IdArray:
        """The rows of ids that are there."""
        return np.searchsorted(self.ids, ids)

    @property
    def fresh_stills(self) -> IdArray:
        """Rows of `stills` that are fresh."""
        return np.flatnonzero(self.fresh[self.stills])


class Candidates(NamedTuple):
    """Pairs of content ids, `low` < `high`, each once, ascending.

    Attributes:
        bits: hash distance over all orientations, -1 where a side has no hashes; turns: EXIF value
            (1 to 8) that turns low into high.
        scores: cosines; NaN where a side has no vector.
        recall: share of the nearest vectors that were found, as measured; 1 where exact.
        crowded: contents with more neighbours by hash than are compared.
    """

    low: IdArray
    high: IdArray
    bits: NDArray[np.int16]
    turns: NDArray[np.int8]
    scores: FloatVector
    recall: float = 1.0
    crowded: int = 0

    def __len__(self) -> int:
        """Pairs."""
        return int(self.low.shape[0])


def load(connection: Connection, space: SpaceRow | None, comparison: int) -> FingerprintTable:
    """All contents that have a fingerprint row; fresh are those not compared by `comparison`."""
    ids: list[IdArray] = [np.empty(0, np.int64)]
    fresh: list[BoolVector] = [np.empty(0, np.bool_)]
    has_hashes: list[BoolVector] = [np.empty(0, np.bool_)]
    packed: list[bytes] = []
    for block in fingerprints.blocks(connection):
        ids.append(np.array([row.content_id for row in block], np.int64))
        # What cannot be reached waits until it can.
        is_fresh = [row.is_placed and row.compared != comparison for row in block]
        fresh.append(np.array(is_fresh, np.bool_))
        has_hashes.append(np.array([bool(row.hashes) for row in block], np.bool_))
        packed.append(b"".join(row.hashes for row in block))
    every = np.concatenate(ids)
    stills = np.flatnonzero(np.concatenate(has_hashes))
    hashes = np.frombuffer(b"".join(packed), dtype="<u8").reshape(len(stills), 8)
    vectors = _vectors(connection, space, every[stills])
    hashes = hashes.astype(np.uint64, copy=False)
    return FingerprintTable(every, np.concatenate(fresh), stills, hashes, vectors)


def find(
    connection: Connection, contents: FingerprintTable, observer: Observer = SILENT
) -> Candidates:
    """All pairs of a fresh content and any content that are worth comparing.

    Args:
        observer: asked now and then whether to stop; the search is then left with `Stopped`.
    """
    alike = alike_pairs(contents, observer)
    ids = contents.ids
    keys = [_keys(contents.stills[alike.low], contents.stills[alike.high], len(ids))]
    for pairs in (_bursts(connection, contents), _same_names(connection, contents)):
        check(observer)
        keys.append(_keys(pairs[:, 0], pairs[:, 1], len(ids)))
    rows = np.unique(np.concatenate(keys))
    low, high = np.divmod(rows, max(1, len(ids)))
    facts = _facts(contents, low, high)
    return Candidates(ids[low], ids[high], *facts, alike.recall, alike.crowded)


class AlikePairs(NamedTuple):
    """Pairs of rows of `FingerprintTable.stills` by hash or vector, low < high, each once."""

    low: IdArray
    high: IdArray
    recall: float
    crowded: int


def alike_pairs(contents: FingerprintTable, observer: Observer = SILENT) -> AlikePairs:
    """Pairs of a fresh still and any still that are near by hash or by vector."""
    fresh, n = contents.fresh_stills, len(contents.stills)
    if not len(fresh):
        return AlikePairs(np.empty(0, np.int64), np.empty(0, np.int64), 1.0, 0)
    by_hash = hash_neighbours.near_pairs(contents.hashes, fresh, observer)
    keys = [_keys(by_hash.pairs.low, by_hash.pairs.high, n)]
    recall = 1.0
    if contents.vectors.shape[1]:
        found = vector_neighbours.nearest(contents.vectors, fresh, observer=observer)
        at, columns = np.nonzero(found.rows >= 0)
        keys.append(_keys(fresh[at], found.rows[at, columns].astype(np.int64), n))
        recall = found.recall
    low, high = np.divmod(np.unique(np.concatenate(keys)), n)
    return AlikePairs(low, high, recall, by_hash.crowded)


def between(contents: FingerprintTable, pairs: list[tuple[int, int]]) -> Candidates:
    """Given pairs of content ids (low, high), as candidates."""
    low, high = np.array(sorted(pairs), np.int64).reshape(-1, 2).T
    rows = (np.searchsorted(contents.ids, low), np.searchsorted(contents.ids, high))
    return Candidates(low, high, *_facts(contents, *rows))


def unseen_relatives(
    connection: Connection, content_ids: Collection[int], comparison: int
) -> list[tuple[int, int]]:
    """(low, high) of contents with a duplicate in common that were never compared."""
    beside: dict[int, set[int]] = defaultdict(set)
    near = catalog_pairs.of_contents(connection, content_ids, DUPLICATES)
    around = {one for row in near for one in (row.low, row.high)}
    for row in catalog_pairs.of_contents(connection, around, DUPLICATES):
        beside[row.low].add(row.high)
        beside[row.high].add(row.low)
    seen = catalog_pairs.known(connection, content_ids, comparison)
    found: set[tuple[int, int]] = set()
    for content_id in sorted(content_ids):
        relatives = set().union(*(beside[one] for one in beside[content_id])) - {content_id}
        ordered = [(min(content_id, one), max(content_id, one)) for one in sorted(relatives)]
        found.update([pair for pair in ordered if pair not in seen][:MOST_RELATIVES])
    return sorted(found)


def _keys(left: IdArray, right: IdArray, count: int) -> IdArray:
    """A number for each pair of rows, whichever comes first."""
    keys: IdArray = np.minimum(left, right) * count + np.maximum(left, right)
    return keys


def _facts(
    contents: FingerprintTable, low: IdArray, high: IdArray
) -> tuple[NDArray[np.int16], NDArray[np.int8], FloatVector]:
    """Hash distance, turn and cosine of pairs of rows of `FingerprintTable.ids`."""
    bits = np.full(len(low), -1, np.int16)
    turns = np.ones(len(low), np.int8)
    scores = np.full(len(low), np.nan, np.float32)
    place = np.full(len(contents.ids), -1, np.int64)
    place[contents.stills] = np.arange(len(contents.stills))
    for start in range(0, len(low), _PAIR_ROWS):
        left, right = (
            place[low[start : start + _PAIR_ROWS]],
            place[high[start : start + _PAIR_ROWS]],
        )
        known = np.flatnonzero((left >= 0) & (right >= 0))
        left, right, at = left[known], right[known], start + known
        bits[at], turns[at] = turn_between(contents.hashes[left], contents.hashes[right])
        first = contents.vectors[left].astype(np.float32)
        second = contents.vectors[right].astype(np.float32)
        both = first.any(axis=1) & second.any(axis=1)
        scores[at] = np.where(both, np.vecdot(first, second), np.nan)
    return bits, turns, scores


def _vectors(connection: Connection, space: SpaceRow | None, ids: IdArray) -> HalfMatrix:
    """(n, d) float16 vectors of contents, zeros where there is none; (n, 0) without a space."""
    if space is None:
        return np.zeros((len(ids), 0), np.float16)
    vectors = _room((len(ids), space.dimension))
    for block in fingerprints.vector_blocks(connection, space.id):
        found = np.array([content_id for content_id, _ in block], np.int64)
        data = np.frombuffer(b"".join(data for _, data in block), dtype=LITTLE_FLOAT16)
        if data.size != len(block) * space.dimension:
            raise LibraryCorrupt(
                f"a vector of {space.encoder} in the catalog has not {space.dimension} values; "
                "see: pictor verify"
            )
        rows = np.searchsorted(ids, found)
        known = rows < len(ids)
        known[known] = ids[rows[known]] == found[known]
        vectors[rows[known]] = data.reshape(len(block), space.dimension)[known]
    return vectors


def _room(shape: tuple[int, int]) -> HalfMatrix:
    """Zeros, in memory or in a temporary file that goes with them."""
    if 2 * shape[0] * shape[1] <= VECTORS_IN_MEMORY:
        return np.zeros(shape, np.float16)
    with tempfile.NamedTemporaryFile(prefix="pictor-") as file:
        return np.memmap(Path(file.name), np.float16, "w+", shape=shape)


def _bursts(connection: Connection, contents: FingerprintTable) -> NDArray[np.int64]:
    """(p, 2) rows of stills that one camera took within seconds and that are somewhat alike."""
    found: list[tuple[int, int]] = []
    row_of = {int(contents.ids[row]): int(row) for row in contents.stills}
    shots = fingerprints.moments(connection)
    for _, group in itertools.groupby(shots, key=lambda shot: shot[1]):
        times = sorted(
            (moment, row_of[content_id])
            for content_id, _, taken_at in group
            if content_id in row_of and (moment := _seconds(taken_at)) is not None
        )
        found.extend(_within(times))
    pairs = np.array(found, np.int64).reshape(-1, 2)
    pairs = pairs[contents.fresh[pairs].any(axis=1)]
    bits, _, scores = _facts(contents, pairs[:, 0], pairs[:, 1])
    return pairs[(scores >= BURST_SCORE) | (bits <= BURST_BITS)]


def _within(times: list[tuple[float, int]]) -> Iterator[tuple[int, int]]:
    """Pairs of rows of one camera within the time, each with the next few."""
    for place, (moment, row) in enumerate(times):
        for other_moment, other in times[place + 1 : place + 1 + BURST_NEXT]:
            if other_moment - moment > BURST_S:
                break
            yield row, other


def _seconds(taken_at: str) -> float | None:
    """A moment by the camera's own clock, whatever zone it states."""
    try:
        moment = datetime.fromisoformat(taken_at).replace(tzinfo=None)
    except ValueError:
        return None
    return (moment - datetime(1970, 1, 1)).total_seconds()


def _same_names(connection: Connection, contents: FingerprintTable) -> NDArray[np.int64]:
    """(p, 2) rows of different contents whose files differ in nothing but their ending."""
    names: list[int] = []
    held: list[int] = []
    for root_id, path, content_id in fingerprints.names(connection):
        folder, slash, name = path.rpartition(b"/")
        stem, dot, _ = name.rpartition(b".")
        if dot:
            names.append(hash((root_id, folder + slash + stem.lower())))
            held.append(content_id)
    keys, ids = np.array(names, np.int64), np.array(held, np.int64)
    order = np.lexsort((ids, keys))
    keys, rows = keys[order], np.searchsorted(contents.ids, ids[order])
    known = rows < len(contents.ids)
    known[known] = contents.ids[rows[known]] == ids[order][known]
    keys, rows = keys[known], rows[known]
    found: list[NDArray[np.int64]] = [np.empty((0, 2), np.int64)]
    for step in range(1, SAME_NAME_MOST):
        same = np.flatnonzero(keys[step:] == keys[:-step])
        found.append(np.stack([rows[same], rows[same + step]], axis=1))
    pairs = np.concatenate(found)
    is_fresh = contents.fresh[pairs].any(axis=1)
    kept: NDArray[np.int64] = pairs[(pairs[:, 0] != pairs[:, 1]) & is_fresh]
    return kept
