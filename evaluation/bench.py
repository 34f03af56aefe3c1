"""One space of a library as a task measures with it: vectors of photos and texts, and the index."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pictor.evaluation.problems import Problems
from pictor.evaluation.ranks import IntVector
from pictor.evaluation.texts import TextVectors
from pictor.library import indexes
from pictor.library.caption_bank import Bank, log_sum_exp, open_bank
from pictor.library.catalog import spaces
from pictor.library.catalog.photos import photos_at
from pictor.library.catalog.rows import PhotoRow, SpaceRow
from pictor.library.observer import Observer
from pictor.library.records import EncoderCard, FloatMatrix, HalfMatrix, IdArray
from pictor.library.store import Store
from pictor.library.vectors.cache import IndexKind
from pictor.library.vectors.layers import VectorIndex
from pictor.search.ranking.evidence import Images


class Photos(NamedTuple):
    """Distinct photos with their vectors.

    Attributes:
        items: (n,) ids in the library, ascending.
        vectors: (n, d) float32, as stored (rounded to float16), unit rows.
        rows: for each path that was asked for its row above; -1 where it has none.
    """

    items: IdArray
    vectors: FloatMatrix
    rows: IntVector


class Bench:
    """A space and its encoder's text tower.

    Attributes:
        card: of the encoder, as the library stored it.
        kind: the type of index to measure beside the exact one; "auto" is the library's own.
    """

    def __init__(
        self, library: Store, space: SpaceRow, kind: IndexKind, observer: Observer
    ) -> None:
        """Nothing is opened yet."""
        self.card: EncoderCard = space.card
        self.kind = kind
        self._library = library
        self._space = space
        self._texts = TextVectors(library, space, observer)

    def texts(self, texts: Sequence[str]) -> FloatMatrix:
        """(n, d) float32 unit rows."""
        return self._texts.encode(texts)

    @cached_property
    def bank(self) -> Bank:
        """The background bank of the space."""
        return open_bank(self._library, self._space)

    def images(self, vectors: FloatMatrix) -> Images:
        """Photos ((n, d) float32 unit rows) with their backgrounds."""
        return Images(vectors, log_sum_exp(vectors, self.bank.vectors, self.card.scoring))

    def photos(self, paths: Sequence[bytes | None], problems: Problems) -> Photos:
        """The photos at some absolute paths; of an animation or video its first frame.

        Args:
            paths: None for those that were left out before.
            problems: receives which others are not available, and which are the same content.
        """
        named = [path for path in dict.fromkeys(paths) if path is not None]
        with self._library.reading() as connection:
            found = photos_at(connection, named)
        items = {path: _item_of(path, found.get(path), problems) for path in named}
        vectors = self._vectors(sorted({item for item in items.values() if item is not None}))
        order = {item: row for row, item in enumerate(vectors)}
        first: dict[int, bytes] = {}
        for path, item in items.items():
            if item is not None and item not in order:
                problems.add("unindexed_image", f"{_text(path)}: it has no vector")
            elif item is not None and first.setdefault(item, path) != path:
                problems.add("same_content", f"{_text(path)} is {_text(first[item])}")
        at = [-1 if path is None else order.get(items[path] or -1, -1) for path in paths]
        matrix = np.array(list(vectors.values()), np.float32).reshape(-1, self._space.dimension)
        return Photos(np.array(list(vectors), np.int64), matrix, np.array(at, np.int64))

    def _vectors(self, items: list[int]) -> dict[int, HalfMatrix]:
        """Item id → stored vector, ascending by id."""
        with self._library.reading() as connection:
            found = spaces.vectors_of(connection, self._space.id, items)
        return {item: found[item] for item in items if item in found}

    @contextlib.contextmanager
    def photo_index(self, photos: Photos) -> Iterator[VectorIndex]:
        """The library's own index of the space, or one of the type asked for over these photos."""
        if self.kind == "auto":
            with contextlib.closing(indexes.open_index(self._library, self._space).index) as index:
                yield index
            return
        queries = indexes.tuning_queries(self._library, self._space)
        with self.built_index(photos.items, photos.vectors, queries) as built:
            yield built

    @contextlib.contextmanager
    def built_index(
        self, ids: IdArray, vectors: FloatMatrix, queries: FloatMatrix | None
    ) -> Iterator[VectorIndex]:
        """An index of the type asked for over some vectors, built as a library builds its own.

        Args:
            queries: an index that is not exact is tuned for such queries.
        """
        with tempfile.TemporaryDirectory(prefix="pictor-eval-") as folder:
            index = indexes.build_apart(
                self._library, self._space, Path(folder), ids, vectors, self.kind, queries
            )
            with contextlib.closing(index):
                yield index


def _item_of(path: bytes, row: PhotoRow | None, problems: Problems) -> int | None:
    """The item at a path, or None, and why."""
    if row is not None and row.item_id is not None:
        return row.item_id
    if row is None:
        problems.add("unindexed_image", f"{_text(path)}: the library's settings leave it out")
    else:
        problems.add("undecodable_image", f"{_text(path)}: {row.detail or row.reason}")
    return None


def _text(path: bytes) -> str:
    return os.path.basename(path).decode("utf-8", "backslashreplace")
