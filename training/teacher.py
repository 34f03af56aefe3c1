"""CLIP ViT-B/32 as a teacher of what names mean and of what else 983 photos show.

Its vectors of 1,203 class names and of 983 training photos lie in the data folder. A photo's
similarities to the names, and the names' similarities to each other, are what is taught: things
that no caption mentions, and words that no caption holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from training.batches import Rows, Texts
from training.data import LANGUAGES, Concepts
from training.ranks import FloatMatrix
from training.tokens import TokenTable

NAMES_PER_STEP = 256
CLIP_SCALE = 100.0  # of CLIP's cosines between photos and texts
BETWEEN_NAMES = 30.0  # the same between texts, whose cosines lie in a narrower range; LOG.md
_FOLDER = "clip_vitb32_vectors"


class ClipTeacher:
    """Draws names and gives the teacher's logits."""

    def __init__(
        self, data: Path, concepts: Concepts, photos: Sequence[str], tokenizer: Tokenizer, seed: int
    ) -> None:
        """``photos``: names of the Flickr8k photos, in row order."""
        folder = data / _FOLDER
        names = _lines(folder / "lvis1203_names.txt")
        vectors = _unit_rows(folder / "lvis1203_text_emb.npy")
        self._rng = np.random.default_rng(seed)
        rows = [concepts.row_of_key[f"lvis:{name}"] for name in names]
        self._tables = {
            language: TokenTable(tokenizer, [concepts.names[language][row] for row in rows])
            for language in LANGUAGES
        }
        images = _unit_rows(folder / "flickr8k_image_emb.npy")
        self._photo_logits = torch.from_numpy(CLIP_SCALE * images @ vectors.T)
        self._name_logits = torch.from_numpy(BETWEEN_NAMES * vectors @ vectors.T)
        row_of: Mapping[str, int] = {
            name: row for row, name in enumerate(_lines(folder / "flickr8k_image_names.txt"))
        }
        self._row_of_photo = np.array([row_of.get(name, -1) for name in photos])

    def draw(self) -> tuple[Rows, Texts]:
        """Rows of NAMES_PER_STEP names, and one text of each, all in one language."""
        names = self._rng.choice(self._name_logits.shape[0], NAMES_PER_STEP, replace=False)
        table = self._tables[LANGUAGES[int(self._rng.integers(len(LANGUAGES)))]]
        return names, table.draw(names, self._rng, 1)[0]

    def photos(self, flickr: Rows, names: Rows) -> tuple[Rows, Tensor]:
        """Which of the photos the teacher knows, and its logits of them over the names."""
        known = np.flatnonzero(self._row_of_photo[flickr] >= 0)
        rows = self._row_of_photo[flickr[known]]
        return known, self._photo_logits[rows][:, names]

    def between(self, names: Rows) -> Tensor:
        """The teacher's logits between names, (m, m)."""
        return self._name_logits[names][:, names]


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").strip("\n").split("\n")


def _unit_rows(path: Path) -> FloatMatrix:
    rows: FloatMatrix = np.load(path).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows
