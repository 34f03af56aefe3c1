"""From a query to ranked hits: encode, ask the index, fold frames into files, say where they lie.

The encoder, its preprocessing and its scoring come from the library, not from today's settings. A
text query loads the exported text tower only; an image query whose content is in the library loads
no tower at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import TracebackType

import numpy as np

from library import indexes, towers
from library.catalog import contents, files, spaces
from library.catalog.rows import FilePlace, ItemRow, SpaceRow
from library.encoders.base import TextEncoder
from library.errors import ImageError, QueryError
from library.hashing import content_hash
from library.indexes import OpenIndex
from library.library import Library
from library.records import FloatMatrix, Hit
from library.vectors.base import VectorIndex
from search.pictures import read
from search.query import ImagePart, Part, TextPart


class Engine:
    """Answers queries on one library; keeps towers and indexes it opened. Close it after use."""

    def __init__(self, library: Library) -> None:
        """Nothing is opened before the first query."""
        self._library = library
        self._indexes: dict[int, OpenIndex] = {}
        self._texts: dict[int, TextEncoder] = {}

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release what was opened."""
        for opened in self._indexes.values():
            opened.index.close()
        self._indexes = {}
        self._texts = {}

    def search(
        self,
        parts: Sequence[Part],
        *,
        top: int,
        encoder: str | None = None,
        without_itself: bool = False,
    ) -> list[Hit]:
        """The best matches of all parts together, best first, one hit a content.

        Args:
            parts: their vectors are averaged with equal weight.
            top: at most this many hits.
            encoder: the space to ask; by default the library's default one, or for words the first
                one that has a text tower.
            without_itself: leave out contents that are themselves part of the query.

        Raises:
            QueryError: a part cannot be read or encoded, or there is no such space.
        """
        if not parts:
            raise QueryError("the query is empty: give words, or the path of an image")
        if top < 1:
            raise QueryError(f"the number of hits must be at least 1, not {top}")
        space = self._space(parts, encoder)
        vector, digests = self._encode(parts, space)
        hidden = digests if without_itself else frozenset()
        hits = self._ranked(space, vector, top, hidden)
        return [hit for _, hit in zip(range(top), hits, strict=False)]

    # --- the query's vector

    def _space(self, parts: Sequence[Part], encoder: str | None) -> SpaceRow:
        row = self._library.space(encoder)
        has_words = any(isinstance(part, TextPart) for part in parts)
        if encoder is None and has_words and not row.card.has_text:
            others = [other for other in self._library.spaces() if other.card.has_text]
            others.sort(key=lambda other: other.state != "ready")  # stable: complete ones first
            return others[0] if others else row
        return row

    def _encode(
        self, parts: Sequence[Part], space: SpaceRow
    ) -> tuple[FloatMatrix, frozenset[bytes]]:
        rows: list[FloatMatrix] = []
        digests: set[bytes] = set()
        for part in parts:
            if isinstance(part, TextPart):
                rows.append(self._text(space).encode([part.text]))
            else:
                digest, vector = self._image_vector(part, space)
                digests.add(digest)
                rows.append(vector)
        mean = np.concatenate(rows).mean(axis=0, keepdims=True)
        norm = float(np.linalg.norm(mean))
        if not np.isfinite(norm) or norm < 1e-6:  # parts that cancel out leave only rounding noise
            raise QueryError("the parts of the query cancel out; ask for fewer things at once")
        return (mean / norm).astype(np.float32), frozenset(digests)

    def _text(self, space: SpaceRow) -> TextEncoder:
        if space.id not in self._texts:
            self._texts[space.id] = towers.open_text(self._library, space)
        return self._texts[space.id]

    def _image_vector(self, part: ImagePart, space: SpaceRow) -> tuple[bytes, FloatMatrix]:
        """The content's stored vector where there is one, else that of the picture read now."""
        try:
            data = read(part, self._library.settings.index)
            digest = content_hash(data)
            stored = self._stored(digest, space)
            if stored is not None:
                return digest, stored
            return digest, self._encode_image(data, part, space)
        except ImageError as error:
            shown = part.location.decode("utf-8", errors="backslashreplace")
            raise QueryError(f"{shown!r} cannot be the query: {error.detail}") from error

    def _stored(self, digest: bytes, space: SpaceRow) -> FloatMatrix | None:
        with self._library.reading() as connection:
            state = contents.content_state(connection, digest)
            item = contents.first_item(connection, state.id) if state else None
            if item is None:
                return None
            found = spaces.vectors_of(connection, space.id, space.dimension, [item])
        return found[item].astype(np.float32)[None] if item in found else None

    def _encode_image(self, data: bytes, part: ImagePart, space: SpaceRow) -> FloatMatrix:
        from library.images import Limits, decode  # Pillow takes 0.1 s, and words need none of it

        spec = space.card.spec
        if spec is None:
            raise QueryError(f"the stored card of {space.encoder!r} has no preprocessing")
        limits = Limits(max_pixels=self._library.settings.index.max_pixels, frames=1)
        decoded = decode(data, [spec], limits, name_hint=part.location)
        tower = towers.open_image(self._library, space)
        try:
            return tower.encode([decoded.frames[0].pixels[0]])
        finally:
            tower.close()

    # --- from neighbours to hits

    def _index(self, space: SpaceRow) -> VectorIndex:
        """The index with every vector committed up to now, also by another process."""
        opened = self._indexes.get(space.id)
        if opened is not None and not indexes.catch_up(self._library, space, opened):
            del self._indexes[space.id]
            opened.index.close()
            opened = None
        if opened is None:
            opened = self._indexes[space.id] = indexes.open_index(self._library, space)
        return opened.index

    def _ranked(
        self, space: SpaceRow, query: FloatMatrix, top: int, hidden: frozenset[bytes]
    ) -> Iterator[Hit]:
        """Hits in rank order. Asks the index for more while frames fold or contents are hidden."""
        index = self._index(space)
        seen: set[int] = set()
        asked, taken, rank = min(2 * top + 8, len(index)), 0, 1
        while asked and taken < asked:
            neighbours = index.search(query, asked)
            ids = [int(i) for i in neighbours.ids[0] if i >= 0]
            scores = dict(zip(ids, neighbours.scores[0].tolist(), strict=False))
            rows, places = self._describe(ids[taken:])
            for item_id in ids[taken:]:
                row = rows.get(item_id)
                if row is None or row.content_id in seen or row.hash in hidden:
                    continue
                seen.add(row.content_id)
                where = [place for place in places[row.content_id] if place.state != "missing"]
                if where:
                    yield _hit(rank, scores[item_id], row, where, space)
                    rank += 1
            if len(ids) < asked:
                return
            taken, asked = asked, min(4 * asked, len(index))

    def _describe(
        self, item_ids: list[int]
    ) -> tuple[dict[int, ItemRow], dict[int, list[FilePlace]]]:
        with self._library.reading() as connection:
            rows = contents.items(connection, item_ids)
            places = files.places(connection, sorted({row.content_id for row in rows.values()}))
        return rows, places


def _hit(rank: int, score: float, row: ItemRow, places: list[FilePlace], space: SpaceRow) -> Hit:
    return Hit(
        rank=rank,
        score=score,
        path=places[0].full_path,
        content=row.hash.hex(),
        item=row.id,
        space=space.encoder,
        width=row.width,
        height=row.height,
        taken_at=row.taken_at,
        time_s=row.time_s,
        other_paths=tuple(place.full_path for place in places[1:]),
        state=places[0].state,
    )
