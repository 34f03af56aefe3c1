"""The parts of a query as vectors of one space.

The encoder, its preprocessing and its text rules come from the library. A picture whose content is
in the library loads no tower at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pictor.library import space_encoders
from pictor.library.catalog import contents, spaces
from pictor.library.catalog.rows import SpaceRow
from pictor.library.encoders.base import TextEncoder
from pictor.library.errors import ImageError, QueryError
from pictor.library.hashing import content_hash
from pictor.library.library import Library
from pictor.library.names import display
from pictor.library.records import FloatMatrix, FloatVector
from pictor.search.pictures import read
from pictor.search.query import Part, PicturePart, Query, WordsPart


@dataclass(frozen=True)
class Asked:
    """A query in one space.

    Attributes:
        query: (1, d) unit row: the weighted mean of the positive parts; (0, d) without one.
        positive: (p, d) unit rows, one a positive part in their order.
        negative: (m, d) unit rows, one a negative part.
        towards: (1, d) unit row that items are ranked by: the query, leaning away from negative
            words; (0, d) without a query.
        is_known: the encoder knows something of what is looked for; else only names can be found.
    """

    space: SpaceRow
    query: FloatMatrix
    positive: FloatMatrix
    negative: FloatMatrix
    towards: FloatMatrix
    is_known: bool


class QueryEncoder:
    """Encodes queries for one library; keeps the text towers it opened, and what it read."""

    def __init__(self, library: Library) -> None:
        """Nothing is opened before the first query."""
        self._library = library
        self._texts: dict[int, TextEncoder] = {}

    def close(self) -> None:
        """Forget the towers."""
        self._texts = {}

    def asked(self, query: Query, space: SpaceRow, pictures: Pictures) -> Asked:
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
        return Asked(space, mean, positive, negative, mean, any(known) or not known)

    def _is_known(self, part: Part, space: SpaceRow) -> bool:
        return not isinstance(part, WordsPart) or self._text(space).knows(part.words)

    def _rows(self, parts: Sequence[Part], space: SpaceRow, pictures: Pictures) -> FloatMatrix:
        rows = [np.empty((0, space.dimension), np.float32)]
        for part in parts:
            if isinstance(part, WordsPart):
                rows.append(self._text(space).encode([part.words]))
            else:
                rows.append(self._image(part, space, pictures))
        return np.concatenate(rows).astype(np.float32, copy=False)

    def _text(self, space: SpaceRow) -> TextEncoder:
        if space.id not in self._texts:
            self._texts[space.id] = space_encoders.open_text(self._library, space)
        return self._texts[space.id]

    def _image(self, part: PicturePart, space: SpaceRow, pictures: Pictures) -> FloatMatrix:
        """The content's stored vector where there is one, else that of the picture read now."""
        try:
            data = pictures.data(part)
            stored = self._stored(pictures.digests[part.location], space)
            return self._encoded(data, part, space) if stored is None else stored
        except ImageError as error:
            shown = display(part.location)
            raise QueryError(f"{shown!r} cannot be the query: {error.detail}") from error

    def _stored(self, digest: bytes, space: SpaceRow) -> FloatMatrix | None:
        with self._library.reading() as connection:
            state = contents.content_state(connection, digest)
            item = contents.first_item(connection, state.id) if state else None
            if item is None:
                return None
            found = spaces.vectors_of(connection, space.id, space.dimension, [item])
        return found[item].astype(np.float32)[None] if item in found else None

    def _encoded(self, data: bytes, part: PicturePart, space: SpaceRow) -> FloatMatrix:
        from pictor.library.images import (  # Pillow takes 0.1 s, and words need none of it
            Limits,
            decode,
        )

        spec = space.card.spec
        if spec is None:
            raise QueryError(f"the stored card of {space.encoder!r} has no preprocessing")
        limits = Limits(max_pixels=self._library.settings.index.max_pixels, frames=1)
        decoded = decode(data, [spec], limits, name_hint=part.location)
        tower = space_encoders.open_image(self._library, space)
        try:
            return tower.encode([decoded.frames[0].pixels[0]])
        finally:
            tower.close()


class Pictures:
    """The pictures of one query, each read once however many spaces it is encoded for."""

    def __init__(self, library: Library) -> None:
        """Nothing is read yet."""
        self._settings = library.settings.index
        self._data: dict[bytes, bytes] = {}
        self.digests: dict[bytes, bytes] = {}

    def data(self, part: PicturePart) -> bytes:
        """All bytes of one.

        Raises:
            ImageError: it cannot be read or fetched.
        """
        if part.location not in self._data:
            self._data[part.location] = data = read(part, self._settings)
            self.digests[part.location] = content_hash(data)
        return self._data[part.location]


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
