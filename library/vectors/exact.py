"""The exact index: a scan of float16 rows. The choice for small libraries, and the oracle.

It needs no index structure: what `build` writes is the rows themselves, which `open` maps. numpy
scans them until that has cost as much as importing faiss, which scans them faster, would have.
"""

from __future__ import annotations

import importlib
from pathlib import Path

from pictor.library.records import FloatMatrix
from pictor.library.vectors import files
from pictor.library.vectors.base import Neighbours
from pictor.library.vectors.layers import Selection, VectorIndex
from pictor.library.vectors.nearest import nearest_rows
from pictor.library.vectors.parts import Extent

#: Values that numpy scans in the 60 to 250 ms that an import of faiss takes.
_IMPORT_VALUES = 1 << 28


class ExactIndex(VectorIndex):
    """Brute force with a fixed order of ties: equal scores come in ascending id.

    One query against 100k x 512 takes some 8 ms by faiss, and some 15 ms on two cores by numpy.
    """

    def __init__(self, dimension: int) -> None:
        """An empty index in memory."""
        super().__init__(dimension)
        self._scanned = 0

    @classmethod
    def build(cls, folder: Path, blocks: files.Blocks, total: int, dimension: int) -> ExactIndex:
        """Write `total` rows into a new folder, one block in memory at a time, and open it.

        Raises:
            ValueError: a block is unsound, an id occurs twice, or the blocks do not hold `total`.
        """
        files.make_folder(folder)
        files.write_rows(folder, blocks, total, dimension)
        files.write_meta(folder, {"kind": "exact", "dimension": dimension})
        return cls.open(folder)

    @classmethod
    def open(cls, folder: Path, extent: Extent | None = None) -> ExactIndex:
        """The index that `build` wrote, memory-mapped.

        Args:
            extent: None where nothing was appended to it.

        Raises:
            OSError: a file cannot be read.
            ValueError: the folder holds something else, or a file is short.
        """
        index = cls(files.read_meta(folder, "exact")["dimension"])
        index._map_rows(folder, extent)
        return index

    @property
    def index_type(self) -> str:
        """ "exact"."""
        return "exact"

    def _search_stored(self, queries: FloatMatrix, k: int, selection: Selection) -> Neighbours:
        self._scanned += selection.size * self.dimension
        if self._scanned > _IMPORT_VALUES:
            importlib.import_module("faiss")
        stored = self.stored
        return nearest_rows(queries, stored.vectors, stored.ids, k, selection.mask)
