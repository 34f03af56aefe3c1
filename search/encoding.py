"""The parts of a query as vectors of one space.

The encoder, its preprocessing and its text rules come from the library. A picture whose content is
in the library loads no tower at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pictor.library.catalog.rows import SpaceRow
from pictor.library.errors import ImageError, QueryError
from pictor.library.records import FloatMatrix, FloatVector
from pictor.library.space_encoders import WarmTowers
from pictor.library.store import Store
from pictor.search.pictures import Pictures
from pictor.search.query import Part, Pictured, Query, WordsPart


@dataclass(frozen=True)
class QueryVectors:
    """A query in one space.

    Attributes:
        query: (1, d) unit row: the weighted mean of the positive parts; (0, d) without one.
        positive: (p, d) unit rows, one a positive part in their order.
        negative: (m, d) unit rows, one a negative part.
        steered: (1, d) unit row that items are ranked by: the query, leaning away from negative
            words; (0, d) without a query.
        is_known: the encoder knows something of what is looked for; else only names can be found.
    """

    space: SpaceRow
    query: FloatMatrix
    positive: FloatMatrix
    negative: FloatMatrix
    steered: FloatMatrix
    is_known: bool


class QueryEncoder:
    """Encodes queries for one library, in any number of threads; keeps the towers it opened."""

    def __init__(self, library: Store) -> None:
        """Nothing is opened before the first query."""
        self._library = library
        self._towers = WarmTowers(library)

    def close(self) -> None:
        """Close the towers. What is still to be encoded raises ValueError."""
        self._towers.close()

    def vectors(self, query: Query, space: SpaceRow, pictures: Pictures) -> QueryVectors:
        """A query in a space.

        Raises:
            QueryError: a part cannot be read or encoded, or the positive ones cancel out.
        """
        positive = self._rows(query.positive, space, pictures)
        negative = self._rows(query.negative, space, pictures)
        known = [self._is_known(part, space) for part in query.positive]
        weights = np.array([part.weight for part in query.positive], np.float32)
        if any(known):
            weights *= np.array(known)  # a text of unknown words only has a vector of no meaning
        mean = _mean(positive, weights)
        return QueryVectors(space, mean, positive, negative, mean, any(known) or not known)

    def _is_known(self, part: Part, space: SpaceRow) -> bool:
        if not isinstance(part, WordsPart):
            return True
        with self._towers.text(space) as tower:
            return tower.knows(part.words)

    def _rows(self, parts: Sequence[Part], space: SpaceRow, pictures: Pictures) -> FloatMatrix:
        rows = [np.empty((0, space.dimension), np.float32)]
        for part in parts:
            if isinstance(part, WordsPart):
                with self._towers.text(space) as tower:
                    rows.append(tower.encode([part.words]))
            else:
                rows.append(self._image(part, space, pictures))
        return np.concatenate(rows).astype(np.float32, copy=False)

    def _image(self, part: Pictured, space: SpaceRow, pictures: Pictures) -> FloatMatrix:
        """The content's stored vector where there is one, else that of the picture read now."""
        try:
            stored = pictures.stored(part, space)
            if stored is not None:
                return stored
            if space.card.spec is None:
                raise QueryError(f"the stored card of {space.encoder!r} has no preprocessing")
            pixels = pictures.pixels(part, space.card.spec)
        except ImageError as error:
            raise QueryError(f"{part.name} cannot be the query: {error.detail}") from error
        with self._towers.image(space) as tower:
            return tower.encode([pixels])


def _mean(rows: FloatMatrix, weights: FloatVector) -> FloatMatrix:
    """The weighted mean as a unit row; (0, d) of no rows."""
    if not len(rows):
        return rows
    mean = (weights[:, None] * rows).sum(axis=0, keepdims=True) / weights.sum()
    norm = float(np.linalg.norm(mean))
    if not np.isfinite(norm) or norm < 1e-6:  # parts that cancel out leave only rounding noise
        raise QueryError("the parts of the query cancel out; ask for fewer things at once")
    unit: FloatMatrix = (mean / norm).astype(np.float32)
    return unit
