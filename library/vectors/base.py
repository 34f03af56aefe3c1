"""The interface of every vector index, and what one search returns."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol, Self

from pictor.library.records import FloatMatrix, HalfMatrix, IdArray

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


class VectorIndex(Protocol):
    """Unit-norm float16 vectors by id, searched by inner product, also by several threads at once.

    Every implementation passes one contract test and agrees with `ExactIndex`, ties allowed.
    """

    @property
    def index_type(self) -> str:
        """For people: "exact", "flat-f16", "ivf4096-sq8"…."""
        ...

    @property
    def dimension(self) -> int:
        """d."""
        ...

    def __len__(self) -> int:
        """How many vectors it holds."""
        ...

    def add(self, ids: IdArray, vectors: HalfMatrix) -> None:
        """Add n vectors ((n,) int64 unique ids, (n, d) float16). An id it holds is replaced.

        Raises:
            ValueError: shapes disagree, an id is negative or occurs twice, or a value is not
                finite.
        """
        ...

    def remove(self, ids: IdArray) -> int:
        """Remove these ids; unknown ones are ignored. Returns how many were held."""
        ...

    def search(self, queries: FloatMatrix, k: int, allowed: IdArray | None = None) -> Neighbours:
        """The k nearest of each query ((q, d) float32 unit rows), among `allowed` if given.

        A filter is exact for the ids it names: no allowed id is lost because of it.

        Raises:
            ValueError: k < 1, queries are not (q, d), or hold a value that is not finite.
        """
        ...

    @property
    def changes(self) -> int:
        """Rows added plus rows removed since it was opened: what every search pays extra for."""
        ...

    def copy(self) -> Self:
        """One of the same vectors that is changed apart from this one."""
        ...

    def save(self, path: Path) -> None:
        """Write to `path` (a file or folder that must not exist). The caller makes it atomic."""
        ...

    def close(self) -> None:
        """Release memory maps."""
        ...
