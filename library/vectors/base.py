"""What one search of any vector index returns, and up to which size one is flat."""

from __future__ import annotations

from typing import NamedTuple

from pictor.library.records import FloatMatrix, IdArray

# One flat query takes 4.4 ms at 100k x 512 and grows with n. IVF at 250k takes 1 ms for a picture
# but several for a text (see `build`), at less than full recall and after training.
FLAT_MAX = 300_000


class Neighbours(NamedTuple):
    """The k nearest of each of q queries.

    Attributes:
        scores: (q, k) float32, inner product (cosine of unit rows), descending; -inf where padded.
        ids: (q, k) int64, ties in ascending id; -1 where padded.
    """

    scores: FloatMatrix
    ids: IdArray
