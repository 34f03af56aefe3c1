"""An open index written to a folder, with what was changed since it was opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pictor.library.vectors.layers import VectorIndex


def save(index: VectorIndex, folder: Path) -> None:
    """Build an index of the same class, type and rows in a folder that does not exist."""
    stored, added = index._layers
    ids = np.concatenate([stored.ids, added.ids])
    ids = np.unique(ids[[len(index.vectors_of(ids[at : at + 1])) == 1 for at in range(len(ids))]])
    rows = index.vectors_of(ids)
    vectors = np.array([rows[i] for i in ids.tolist()], np.float16).reshape(-1, index.dimension)
    cls: Any = type(index)
    blocks = iter([(ids, vectors)] if len(ids) else [])
    cls.build(folder, blocks, len(ids), index.dimension).close()
