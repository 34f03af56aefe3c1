"""Vectors of texts, kept in the library's cache: a second evaluation encodes none again."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pictor.library import space_encoders
from pictor.library.atomic import replaced
from pictor.library.catalog.rows import SpaceRow
from pictor.library.errors import LibraryError
from pictor.library.observer import Observer, Progress, check
from pictor.library.records import FloatMatrix
from pictor.library.store import Store

MOST_KEPT = 32  # sets of texts a space; the oldest go
_STEP = 256  # texts between two reports of progress


class TextVectors:
    """Encodes texts for one space."""

    def __init__(self, library: Store, space: SpaceRow, observer: Observer) -> None:
        """No tower is opened before a text needs it."""
        self._library = library
        self._space = space
        self._observer = observer
        self._folder = library.cache_dir(space, "eval")

    def encode(self, texts: Sequence[str]) -> FloatMatrix:
        """(n, d) float32 unit rows.

        Raises:
            QueryError: the encoder takes images only.
            ModelError: the text tower is not available.
            Stopped: the observer ended it.
        """
        facts = json.dumps([self._space.fingerprint, *texts])
        key = hashlib.sha256(facts.encode()).hexdigest()[:32]
        path = self._folder / f"texts-{key}.npy"
        kept = self._read(path, len(texts))
        if kept is not None:
            return kept
        tower = space_encoders.open_text(self._library, self._space)
        parts = [np.empty((0, self._space.dimension), np.float32)]
        for start in range(0, len(texts), _STEP):
            check(self._observer)
            self._observer.progress(Progress("encoding texts", start, len(texts), "texts"))
            parts.append(tower.encode(texts[start : start + _STEP]))
        vectors: FloatMatrix = np.concatenate(parts)
        self._keep(path, vectors)
        return vectors

    def _read(self, path: Path, count: int) -> FloatMatrix | None:
        """What was kept, if it is whole."""
        try:
            vectors: FloatMatrix = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        shape = (count, self._space.dimension)
        is_sound = vectors.shape == shape and vectors.dtype == np.float32
        return vectors if is_sound and np.isfinite(vectors).all() else None

    def _keep(self, path: Path, vectors: FloatMatrix) -> None:
        """Write it whole or not at all; a library that cannot be written is read all the same."""
        with contextlib.suppress(OSError, LibraryError):
            self._folder.mkdir(parents=True, exist_ok=True)
            with replaced(path) as file:
                np.save(file, vectors)
            files = sorted(self._folder.glob("texts-*.npy"), key=lambda file: file.stat().st_mtime)
            for old in files[:-MOST_KEPT]:
                old.unlink()
