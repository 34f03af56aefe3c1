"""What one search of any vector index returns, and up to which size one is exact."""

from __future__ import annotations

from typing import NamedTuple

from pictor.library.records import FloatMatrix, IdArray

#: Up to here an index is exact: 100k x 512 answers in some 8 ms, which grows with the size. Lists
#: over 250k take 1 to 3 ms, at less than full recall and after training.
EXACT_MAX = 300_000


class Neighbours(NamedTuple):
    """The k nearest of each of q queries.

    Attributes:
        scores: (q, k) float32, inner product (cosine of unit rows), descending; -inf where padded.
        ids: (q, k) int64, ties in ascending id; -1 where padded.
    """

    scores: FloatMatrix
    ids: IdArray
