"""The FAISS index: flat float16 for middling libraries, IVF with 8-bit codes for large ones.

The folder holds the rows as `ExactIndex` writes them, and `index.faiss`, whose labels are row
numbers. For "flat" the codes of FAISS are the float16 vectors themselves, so they are stored once,
as the tail of `index.faiss`. Everything is memory-mapped. FAISS only proposes candidates: the score
of each is settled from its float16 vector, so it equals what `ExactIndex` returns.

Only this module imports faiss, and only code that opens such an index imports this module. It never
changes the number of threads faiss uses.
"""

from __future__ import annotations

import importlib
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np

from pictor.library.records import FloatMatrix, HalfMatrix
from pictor.library.vectors import files, recall
from pictor.library.vectors.base import FLAT_MAX, Neighbours
from pictor.library.vectors.layers import Selection, StoredRows, VectorIndex
from pictor.library.vectors.scan import Rows, empty_neighbours, pair_scores, scan, top_k

faiss: Any = importlib.import_module("faiss")  # its own type stubs contradict its wrappers

FaissKind = Literal["flat", "ivf"]

INDEX_FILE = "index.faiss"
TARGET_RECALL = 0.98  # at 10, on stored vectors and on the queries given; decides nprobe
# At most this many wanted rows are scored one by one: some 5 ms at d = 512, where a masked pass of
# 8-bit codes over 500k rows takes 2 to 30 ms and is less exact.
EXACT_ROWS = 20_000
_WRITE_BYTES = 1 << 20
_ADD_ROWS = 16_384  # rows widened to float32 at once
_TRAIN_VALUES = 1 << 26  # float32 values in the training sample: 256 MiB
_POINTS_PER_LIST = 50  # k-means wants at least 39 (faiss, ClusteringParameters)
# Twice the square root of n lists trains in a third of the time of four times, and at equal recall
# searches 500k x 256 as fast (measured: 1414 lists, 16 probes against 2828 lists, 16 probes).
_LISTS_PER_ROOT = 2
_MAX_LISTS = 65_536
_TRAIN_ROUNDS = 6
# 8-bit codes order neighbours slightly wrongly: 4 times k candidates, settled from the vectors,
# lose none (measured at 500k x 256: 10 of 10 kept with 20 and with 40 candidates, 9.85 with 10).
_FETCH_FACTOR = 4
_FETCH_MORE = 16


class FaissIndex(VectorIndex):
    """Stored rows searched by FAISS; rows added since it was opened are searched exactly.

    Without a filter, IVF probes as many lists as reached the target recall when it was built, and
    all of them for a query that came out short. With a filter no list is left out.

    Attributes:
        nprobe: how many lists a query without a filter looks into; 0 for flat.
    """

    def __init__(self, dimension: int) -> None:
        """An empty index; its rows are searched exactly until it is saved and opened again."""
        super().__init__(dimension)
        self._faiss: Any = None
        self._kind: FaissKind | None = None
        self.nprobe = 0

    @classmethod
    def build(
        cls,
        folder: Path,
        blocks: files.Blocks,
        total: int,
        dimension: int,
        kind: FaissKind | None = None,
        queries: FloatMatrix | None = None,
    ) -> FaissIndex:
        """Write `total` rows and their index into a new folder and open it.

        Memory: one block; for "flat" 2 n d bytes, for "ivf" n (d + 8) bytes and at most 256 MiB to
        train with.

        Args:
            kind: None chooses by size.
            queries: (q, d) float32, like those that will be asked (text vectors of captions): IVF
                then probes enough lists for them as well as for stored vectors. Texts lie apart
                from pictures, so their neighbours lie in many lists: on 250k CLIP-like pictures
                the 16 lists of 1000 that find 0.99 for a picture find 0.69 for a real text.

        Raises:
            ValueError: a block is unsound, an id occurs twice, or the blocks do not hold `total`.
        """
        kind = kind or ("flat" if total <= FLAT_MAX else "ivf")
        if not total:
            kind = "flat"
        files.make_folder(folder)
        files.write_rows(folder, blocks, total, dimension)
        ids, vectors = files.read_rows(folder)
        base = _make_flat(vectors) if kind == "flat" else _make_ivf(vectors)
        _write_index(base, folder / INDEX_FILE)
        meta = {"format": 1, "kind": "faiss", "type": kind, "count": total, "dimension": dimension}
        if kind == "flat":
            del vectors
            files.remove(folder / files.VECTORS_FILE)
            files.write_meta(folder, {**meta, "nprobe": 0})
            return cls.open(folder)
        index = cls(dimension)
        index._load(base, StoredRows(ids, vectors), kind, 1)
        samples = [recall.sample_stored(index.stored, seed=0)]
        if queries is not None:
            samples.append(recall.sample_given(index.stored, queries))
        index._choose_nprobe(samples)
        files.write_meta(folder, {**meta, "nprobe": index.nprobe})
        index.close()
        return cls.open(folder)

    @classmethod
    def open(cls, folder: Path) -> FaissIndex:
        """The index that `save` or `build` wrote, memory-mapped.

        Raises:
            OSError: a file cannot be read.
            ValueError: the folder holds something else, or a file is short.
            RuntimeError: faiss cannot read its file.
        """
        meta = files.read_meta(folder, "faiss")
        count, dimension, kind = meta["count"], meta["dimension"], meta["type"]
        base = faiss.read_index(str(folder / INDEX_FILE), faiss.IO_FLAG_MMAP_IFC)
        if kind == "flat":
            ids = files.map_array(folder / files.IDS_FILE)
            vectors = _map_codes(folder / INDEX_FILE, count, dimension)
        else:
            ids, vectors = files.read_rows(folder)
        sizes = {len(ids), len(vectors), base.ntotal, count}
        if len(sizes) != 1 or vectors.shape[1] != dimension or base.d != dimension:
            raise ValueError(f"the files of {str(folder)!r} disagree on how many rows there are")
        index = cls(dimension)
        index._load(base, StoredRows(ids, vectors), kind, meta["nprobe"])
        return index

    @property
    def index_type(self) -> str:
        """ "flat-f16", or "ivf1414-sq8" with its number of lists."""
        return f"ivf{self._faiss.nlist}-sq8" if self._kind == "ivf" else "flat-f16"

    def close(self) -> None:
        """Release memory maps. A closed index answers nothing more."""
        super().close()
        self._faiss, self._kind = None, None

    def _search_stored(self, queries: FloatMatrix, k: int, selection: Selection) -> Neighbours:
        stored = self.stored
        fetch = min(_FETCH_FACTOR * k + _FETCH_MORE, selection.size)
        if (selection.is_filtered and selection.size <= EXACT_ROWS) or (2 * fetch > selection.size):
            return scan(queries, stored.vectors, stored.ids, k, selection.mask)
        nprobe = 0
        if self._kind == "ivf":
            nprobe = self._faiss.nlist if selection.is_filtered else self._probes(k)
        best = self._probe(queries, k, fetch, selection, nprobe)
        short = np.flatnonzero(best.ids[:, -1] < 0)
        if len(short):
            exact = scan(queries[short], stored.vectors, stored.ids, k, selection.mask)
            best.scores[short], best.ids[short] = exact
        return best

    def _probe(
        self, queries: FloatMatrix, k: int, fetch: int, selection: Selection, nprobe: int
    ) -> Neighbours:
        """The k best of `fetch` candidates from faiss, at settled scores."""
        if not len(queries):
            return empty_neighbours(0, k)
        bits = None if selection.mask is None else np.packbits(selection.mask, bitorder="little")
        wanted = None if bits is None else faiss.IDSelectorBitmap(bits)
        if self._kind == "ivf":
            options = faiss.SearchParametersIVF(sel=wanted, nprobe=nprobe)
        else:
            options = faiss.SearchParameters(sel=wanted)
        _, labels = self._faiss.search(queries, fetch, params=options)
        found = labels >= 0
        at: Rows = np.nonzero(found)[0]
        rows: Rows = labels[found]
        scores = pair_scores(queries, self.stored.vectors, at, rows)
        return top_k(at, self.stored.ids[rows], scores, len(queries), k)

    def _probes(self, k: int) -> int:
        """nprobe for k: it was chosen for recall@10, and more neighbours lie in more lists."""
        return min(math.ceil(self.nprobe * math.sqrt(max(1.0, k / recall.RECALL_AT))), self._lists)

    @property
    def _lists(self) -> int:
        return int(self._faiss.nlist)

    def _choose_nprobe(self, samples: Sequence[recall.Sample]) -> None:
        """Double nprobe until every sample of queries reaches the target recall."""
        self.nprobe = 1
        while self.nprobe < self._lists:
            found = (self.search(sample.queries, sample.k) for sample in samples)
            if all(_reaches_target(*pair) for pair in zip(found, samples, strict=True)):
                break
            self.nprobe = min(2 * self.nprobe, self._lists)

    def _load(self, base: Any, rows: StoredRows, kind: FaissKind, nprobe: int) -> None:
        self._faiss, self._kind, self.nprobe = base, kind, nprobe
        self._layers = (rows, self._layers[1])


def _reaches_target(found: Neighbours, sample: recall.Sample) -> bool:
    """Whether recall is above the target by two standard errors, not by the luck of the sample."""
    shares = recall.recalls(found, sample)
    if not len(shares):
        return True
    error = shares.std() / math.sqrt(len(shares))
    return bool(shares.mean() - 2 * error >= TARGET_RECALL)


def _make_flat(vectors: HalfMatrix) -> Any:
    base = faiss.IndexScalarQuantizer(
        vectors.shape[1], faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
    )
    _add_all(base, vectors)
    return base


def _make_ivf(vectors: HalfMatrix) -> Any:
    n, d = vectors.shape
    lists = max(1, min(round(_LISTS_PER_ROOT * math.sqrt(n)), _MAX_LISTS, n))
    base = faiss.IndexIVFScalarQuantizer(
        faiss.IndexFlatIP(d), d, lists, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
    )
    base.cp.niter = _TRAIN_ROUNDS
    base.cp.min_points_per_centroid = 1  # else faiss warns on stderr where rows are few
    sample = min(n, _POINTS_PER_LIST * lists, max(lists, _TRAIN_VALUES // d))
    rows = np.sort(np.random.default_rng(0).choice(n, sample, replace=False))
    base.train(vectors[rows].astype(np.float32))
    _add_all(base, vectors)
    return base


def _add_all(base: Any, vectors: HalfMatrix) -> None:
    for start in range(0, len(vectors), _ADD_ROWS):
        base.add(vectors[start : start + _ADD_ROWS].astype(np.float32))


def _write_index(base: Any, path: Path) -> None:
    """Write through Python, so that a full disk is an OSError and not a text from C++."""
    with path.open("wb") as file, io.BufferedWriter(_Sink(file), _WRITE_BYTES) as buffer:
        faiss.write_index(base, faiss.PyCallbackIOWriter(buffer.write))


class _Sink(io.RawIOBase):
    """A raw stream whose every write is one step of `files`."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        """All of a bytes-like object."""
        files.write(self._file, data)
        return len(data)


def _map_codes(path: Path, count: int, dimension: int) -> HalfMatrix:
    """The float16 vectors at the end of a flat index file."""
    offset = path.stat().st_size - 2 * count * dimension
    if offset < 0:
        raise ValueError(f"{str(path)!r} is too short for {count} vectors")
    codes = np.memmap(path, np.dtype("<f2"), "r", offset, (count, dimension))
    return np.asarray(codes)
