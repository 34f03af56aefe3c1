"""The FAISS index of large libraries: inverted lists of 4-bit codes, and the float16 rows.

The folder holds the rows as `ExactIndex` writes them, `rotation.npy`, `trained.faiss`, and the
inverted lists of the rows it was built with (`built`) and of those appended since (one part each),
with the same centres. Rows behind the last part are scanned.
FAISS only proposes candidates: the score of each is settled from its float16 vector, so it equals
what `ExactIndex` returns.

Only this module and `half_scan` import faiss, and only code that opens such an index or scans many
rows imports them. They never change the number of threads faiss uses.
"""

from __future__ import annotations

import importlib
import math
from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pictor.library.records import BoolVector, FloatMatrix
from pictor.library.vectors import files, recall
from pictor.library.vectors.base import Neighbours
from pictor.library.vectors.layers import Selection, VectorIndex
from pictor.library.vectors.list_files import (
    open_lists,
    open_trained,
    write_lists,
    write_trained,
)
from pictor.library.vectors.nearest import nearest_rows
from pictor.library.vectors.parts import Extent, next_part
from pictor.library.vectors.quantizer import encode, trained
from pictor.library.vectors.scan import Rows, merge, pair_scores, top_k

faiss: Any = importlib.import_module("faiss")  # its own type stubs contradict its wrappers

TARGET_RECALL = 0.98  # at 10, on stored vectors and on the queries given; decides nprobe
TARGET_FAR_RECALL = 0.95  # at FAR, on some of the same; a ranking goes on that far
FAR = 1000
# Under a filter, the wanted rows are scanned up to this many, and up to this share of all rows: a
# row takes five times as long as its code does, but those of rows that are not wanted are read too.
EXACT_ROWS = 20_000
_EXACT_SHARE = 6
_BUILT = "built"
_ROTATION_FILE = "rotation.npy"  # (d, d) float32; what is encoded is vectors @ rotation
# 4-bit codes order neighbours wrongly: so many candidates, settled from the vectors, lose next to
# none (measured: docs/adr/0005-index-types.md).
_FETCH_FACTOR = 4
_FETCH_MORE = 160
_FETCH_FILTERED = 1000  # instead, under a filter: there, enough of them that none is lost
_STEP = 1.25  # the choices for nprobe grow by this factor


class FaissIndex(VectorIndex):
    """Stored rows searched by FAISS; rows added since it was opened are searched exactly.

    Without a filter it probes as many lists as reached the target recall when it was built, and
    scans all rows for a query that came out short. With a filter no list is left out.

    Attributes:
        nprobe: how many lists a query without a filter looks into, for 10 neighbours.
        far_nprobe: for FAR neighbours.
    """

    def __init__(self, dimension: int) -> None:
        """An empty index; its rows are searched exactly until it is built and opened again."""
        super().__init__(dimension)
        self._parts: list[Any] = []
        self._rotation: FloatMatrix = np.eye(dimension, dtype=np.float32)
        self._indexed = 0
        self._lists = 0
        self.nprobe = self.far_nprobe = 1

    @classmethod
    def build(
        cls,
        folder: Path,
        blocks: files.Blocks,
        total: int,
        dimension: int,
        queries: FloatMatrix | None = None,
    ) -> FaissIndex:
        """Write `total` rows and their lists into a new folder and open it.

        Memory: one block, n (d / 4 + 8) bytes, and at most 512 MiB to train with.

        Args:
            queries: (q, d) float32, like those that will be asked (text vectors of captions): it
                then probes enough lists for them as well as for stored vectors. Texts lie apart
                from pictures, so their neighbours lie in many lists: on 250k CLIP-like pictures
                the 16 lists of 1000 that find 0.99 for a picture find 0.69 for a real text.

        Raises:
            ValueError: a block is unsound, an id occurs twice, or the blocks do not hold `total`.
        """
        files.make_folder(folder)
        files.write_rows(folder, blocks, total, dimension)
        _, vectors = files.read_rows(folder, total, dimension)
        lists, rotation = trained(vectors)
        files.write_array(folder / _ROTATION_FILE, rotation)
        write_trained(lists, folder)
        encode(lists, vectors, rotation, 0)
        write_lists(lists, folder, _BUILT)
        meta = {"kind": "ivf", "dimension": dimension}
        files.write_meta(folder, {**meta, "nprobe": 1, "far_nprobe": 1})
        index = cls.open(folder)
        index._tune(queries)
        probes = {"nprobe": index.nprobe, "far_nprobe": index.far_nprobe}
        files.write_meta(folder, {**meta, **probes})
        return index

    @classmethod
    def open(cls, folder: Path, extent: Extent | None = None) -> FaissIndex:
        """The index that `build` wrote, memory-mapped, with what was appended to it.

        Args:
            extent: None where nothing was.

        Raises:
            OSError: a file cannot be read.
            ValueError: the folder holds something else, or a file is short.
            RuntimeError: faiss cannot read its file.
        """
        meta = files.read_meta(folder, "ivf")
        index = cls(meta["dimension"])
        index.nprobe, index.far_nprobe = meta["nprobe"], meta["far_nprobe"]
        index._map_rows(folder, extent)
        index._rotation = files.read_array(folder / _ROTATION_FILE)
        names = [_BUILT, *(part.name for part in (extent.parts if extent else ()))]
        index._parts = [open_lists(folder, name) for name in names]
        index._lists = int(index._parts[0].nlist)
        index._indexed = sum(part.ntotal for part in index._parts)
        wanted = len(index.stored.ids) if extent is None else extent.indexed
        if index._indexed != wanted or {part.d for part in index._parts} != {index.dimension}:
            raise ValueError(f"the files of {str(folder)!r} disagree on how many rows there are")
        return index

    @classmethod
    def append(cls, folder: Path, extent: Extent, name: str) -> Extent:
        """Write the part that is due after rows were appended, if one is; the extent with it.

        Args:
            name: of the part, which no other one has.
        """
        due = next_part(extent, name)
        if due is None:
            return extent
        part, start, kept = due
        lists = open_trained(folder)
        _, vectors = files.read_rows(folder, extent.rows, lists.d)
        encode(lists, vectors[start:], files.read_array(folder / _ROTATION_FILE), start)
        write_lists(lists, folder, name)
        return extent._replace(parts=(*kept, part))

    @property
    def index_type(self) -> str:
        """ "ivf2000-pq4" with its number of lists."""
        return f"ivf{self._lists}-pq4"

    def close(self) -> None:
        """Release memory maps. A closed index answers nothing more."""
        super().close()
        self._parts = []

    def _search_stored(self, queries: FloatMatrix, k: int, selection: Selection) -> Neighbours:
        if selection.is_filtered:
            few = max(EXACT_ROWS, len(self.stored.ids) // _EXACT_SHARE)
            is_exact, fetch = selection.size <= few, _FETCH_FACTOR * k + _FETCH_FILTERED
        else:
            is_exact, fetch = False, _FETCH_FACTOR * k + _FETCH_MORE
        fetch = min(fetch, selection.size)
        if is_exact or 2 * fetch > selection.size:
            stored = self.stored
            return nearest_rows(queries, stored.vectors, stored.ids, k, selection.mask)
        best, is_open = self._probe(queries, k, fetch, selection)
        again = np.flatnonzero(is_open | (best.ids[:, -1] < 0))
        if len(again):
            more = self._search_more(queries[again], k, _FETCH_FACTOR * fetch, selection)
            best.scores[again], best.ids[again] = more
        return best

    def _search_more(
        self, queries: FloatMatrix, k: int, fetch: int, selection: Selection
    ) -> Neighbours:
        """What `_search_stored` returns, for queries that fewer candidates did not settle."""
        if 2 * fetch <= selection.size:
            best, is_open = self._probe(queries, k, fetch, selection)
            if best.ids.min() >= 0 and not (selection.is_filtered and is_open.any()):
                return best
        stored = self.stored
        return nearest_rows(queries, stored.vectors, stored.ids, k, selection.mask)

    def _probe(
        self, queries: FloatMatrix, k: int, fetch: int, selection: Selection
    ) -> tuple[Neighbours, BoolVector]:
        """The k best of `fetch` candidates from each part and of the tail, at settled scores.

        Returns:
            Also (q,) for which queries a better one may lie behind the candidates, in the lists
            that were looked into: if codes err there as they do among the candidates at worst, with
            a filter, or else on the whole.
        """
        wanted = None
        if selection.mask is not None:
            wanted = faiss.IDSelectorBitmap(np.packbits(selection.mask, bitorder="little"))
        nprobe = self._lists if selection.is_filtered else self._probes(k)
        options = faiss.SearchParametersIVF(sel=wanted, nprobe=nprobe)
        rotated = queries @ self._rotation
        found = [part.search(rotated, fetch, params=options) for part in self._parts]
        labels = np.concatenate([rows for _, rows in found], axis=1)
        held = labels >= 0
        at: Rows = np.nonzero(held)[0]
        rows: Rows = labels[held]
        scores = pair_scores(queries, self.stored.vectors, at, rows)
        best = top_k(at, self.stored.ids[rows], scores, len(queries), k)
        best = merge([best, *self._tail(queries, k, selection)], len(queries), k)
        guessed = np.concatenate([values for values, _ in found], axis=1)
        errors = np.zeros(labels.shape, np.float32)
        errors[held] = np.abs(guessed[held] - scores)
        doubt = errors.max(axis=1) if selection.is_filtered else 2 * errors.mean(axis=1)
        behind = [np.where(labels[:, -1] < 0, -np.inf, guess[:, -1]) for guess, labels in found]
        is_open: BoolVector = best.scores[:, -1] - doubt < np.max(behind, axis=0)
        return best, is_open

    def _tail(self, queries: FloatMatrix, k: int, selection: Selection) -> list[Neighbours]:
        """The k nearest of the rows that no lists hold, if there are any."""
        stored, tail = self.stored, slice(self._indexed, None)
        if self._indexed == len(stored.ids):
            return []
        mask = None if selection.mask is None else selection.mask[tail]
        return [nearest_rows(queries, stored.vectors[tail], stored.ids[tail], k, mask)]

    def _probes(self, k: int) -> int:
        """nprobe for k: it was chosen for 10 and for FAR, and more neighbours lie in more lists."""
        growth = self.far_nprobe / self.nprobe
        if k <= FAR:
            far = math.log(max(1.0, k / recall.RECALL_AT)) / math.log(FAR / recall.RECALL_AT)
            wanted: float = self.nprobe * growth**far
        else:
            wanted = self.far_nprobe * math.sqrt(k / FAR)
        return min(math.ceil(wanted - 1e-9), self._lists)

    def _tune(self, queries: FloatMatrix | None) -> None:
        """Choose how many lists are probed, on stored vectors and on some queries."""
        near = [recall.sample_stored(self.stored, seed=0)]
        far = [recall.sample_stored(self.stored, seed=0, k=FAR)]
        if queries is not None:
            near.append(recall.sample_given(self.stored, queries))
            far.append(recall.sample_given(self.stored, queries, k=FAR))
        steps = _steps(self._lists)

        def finds(probes: int, samples: Sequence[recall.Sample], target: float) -> bool:
            self.nprobe = self.far_nprobe = probes
            return probes == self._lists or _reach(self, samples, target)

        first = bisect_left(steps, True, key=lambda probes: finds(probes, near, TARGET_RECALL))
        rest = steps[first:]
        at = bisect_left(rest, True, key=lambda probes: finds(probes, far, TARGET_FAR_RECALL))
        self.nprobe, self.far_nprobe = steps[first], rest[at]


def _steps(lists: int) -> list[int]:
    """How many lists may be probed: from 1 up to all of them, by a quarter more each time."""
    steps = [1]
    while steps[-1] < lists:
        steps.append(min(lists, math.ceil(_STEP * steps[-1])))
    return steps


def _reach(index: FaissIndex, samples: Sequence[recall.Sample], target: float) -> bool:
    """Whether recall on each sample is above the target by two standard errors, not by its luck."""
    for sample in samples:
        shares = recall.recalls(index.search(sample.queries, sample.k), sample)
        if len(shares):
            error = shares.std() / math.sqrt(len(shares))
            if shares.mean() - 2 * error < target:
                return False
    return True
