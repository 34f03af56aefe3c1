"""The scan of float16 rows that is quicker here: by numpy, or by faiss where that is loaded."""

from __future__ import annotations

import sys

from pictor.library.records import FloatMatrix, HalfMatrix, IdArray
from pictor.library.vectors.base import Neighbours
from pictor.library.vectors.scan import RowMask, scan

# By faiss one query takes a quarter of the time of numpy, which widens rows once for all queries.
_FEW_QUERIES = 4


def nearest_rows(
    queries: FloatMatrix, vectors: HalfMatrix, ids: IdArray, k: int, mask: RowMask | None = None
) -> Neighbours:
    """What `scan` returns, for few queries by faiss if this process has loaded it."""
    if len(queries) > _FEW_QUERIES or "faiss" not in sys.modules:
        return scan(queries, vectors, ids, k, mask)
    from pictor.library.vectors.half_scan import half_scan  # it imports faiss

    return half_scan(queries, vectors, ids, k, mask)
