"""The background bank: everyday captions that stand for anything else a picture may show.

The captions are in `configs/background.toml`. Their vectors are a space's own, made once with its
text tower and kept in the library's cache. Each item stores how well they explain it all together,
so that a query, which has to do better, need not look at them again (search/ranking/judge.py).
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from pictor.library import space_encoders
from pictor.library.atomic import replaced
from pictor.library.catalog import caption_bank, spaces
from pictor.library.catalog.rows import SpaceRow
from pictor.library.config import presets_dir
from pictor.library.observer import Observer
from pictor.library.records import DoubleVector, FloatMatrix, Scoring
from pictor.library.store import Store

BANK_FILE = "background.toml"
RARE_FILE = "absent.toml"
#: Captions that are so close to a query say the same in other words: these shares of all pairs of
#: the bank's captions lie below. Measured on the bank itself: above 0.999 are "a hot air balloon at
#: sunrise" and 热气球升空, above 0.99 captions of one subject.
NEAR_SHARE, SAME_SHARE = 0.99, 0.999
_ROWS = 1024  # items scored at once: with 1,322 captions 11 MB


@dataclass(frozen=True)
class Bank:
    """The captions as one space sees them.

    Attributes:
        digest: of the captions, in hex.
        captions: English ones, then Chinese ones.
        vectors: (k, d) float32, unit rows.
        near, same: cosines between texts; a caption is discounted for a query from `near` on, and
            does not count at all from `same` on.
        rare: (m, d) float32, unit rows of `rare_things`.
    """

    digest: str
    captions: tuple[str, ...]
    vectors: FloatMatrix
    near: float
    same: float
    rare: FloatMatrix

    @classmethod
    def of(
        cls, captions: tuple[str, ...], vectors: FloatMatrix, rare: FloatMatrix | None = None
    ) -> Bank:
        """The bank of some captions and their vectors ((k, d) float32, unit rows, k at least 2)."""
        pairs = (vectors @ vectors.T)[np.triu_indices(len(vectors), 1)]
        near, same = np.quantile(pairs, [NEAR_SHARE, SAME_SHARE])
        same = max(same, near + 1e-3)
        rare = vectors[:0] if rare is None else rare
        return cls(digest_of(captions), captions, vectors, float(near), float(same), rare)


@lru_cache(maxsize=1)
def captions() -> tuple[str, ...]:
    """The shipped captions."""
    data = tomllib.loads((presets_dir() / BANK_FILE).read_text(encoding="utf-8"))
    return tuple(data["en"]) + tuple(data["zh"])


@lru_cache(maxsize=1)
def rare_things() -> tuple[str, ...]:
    """Names of things that hardly any collection shows: English ones, then Chinese ones."""
    data = tomllib.loads((presets_dir() / RARE_FILE).read_text(encoding="utf-8"))
    return tuple(name for names in zip(*data["things"], strict=True) for name in names)


def digest_of(texts: tuple[str, ...]) -> str:
    """What tells one bank from another, 16 hex digits."""
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:16]


def open_bank(library: Store, space: SpaceRow) -> Bank:
    """The bank of a space, from the cache where it is there and sound, else encoded now.

    Raises:
        QueryError: the encoder takes images only.
        ModelError: its text tower is not available.
    """
    texts, rare = captions(), rare_things()
    name = f"{digest_of(texts + rare)}-{space.fingerprint}.npz"
    path = library.cache_dir(space, "background") / name
    kept = _read(path, texts, (len(rare), space.dimension))
    if kept is not None:
        return kept
    tower = space_encoders.open_text(library, space)
    bank = Bank.of(texts, tower.encode(texts), tower.encode(rare))
    _keep(path, bank)
    return bank


def log_sum_exp(vectors: FloatMatrix, bank: FloatMatrix, scoring: Scoring) -> DoubleVector:
    """How well a bank explains each of n items: the log of the mean of exp(scale * cosine + bias).

    Args:
        vectors: (n, d) float32; bank: (k, d) float32, unit rows both.

    Returns:
        (n,) float64.
    """
    parts = [np.empty(0)]
    for start in range(0, len(vectors), _ROWS):
        cosines = vectors[start : start + _ROWS] @ bank.T
        scores = cosines.astype(np.float64) * scoring.scale + scoring.bias
        top = scores.max(axis=1)
        parts.append(top + np.log(np.exp(scores - top[:, None]).mean(axis=1)))
    found: DoubleVector = np.concatenate(parts)
    return found


def fill(library: Store, space: SpaceRow, observer: Observer) -> int:
    """Store the background of every item of a space that lacks it; how many. Hold `writer()`.

    One transaction a block. A pass that is stopped is resumed by the next one; after a change
    of the bank everything is made anew.

    Raises:
        ModelError: the text tower is not available.
    """
    if not space.card.has_text:
        return 0
    digest = digest_of(captions())
    with library.reading() as connection:
        held, change = caption_bank.bank_of(connection, space.id)
        newest = spaces.last_change(connection, space.id)
    if held == digest and change == newest:
        return 0
    bank = open_bank(library, space)
    if held != digest:
        change = 0
        with library.writing() as connection:
            caption_bank.begin(connection, space.id, digest)
    done = _fill_blocks(library, space, bank, change, observer)
    if not observer.should_stop():
        with library.writing() as connection:
            caption_bank.complete(connection, space.id, newest)
    return done


def _fill_blocks(
    library: Store, space: SpaceRow, bank: Bank, change: int, observer: Observer
) -> int:
    done = last = 0
    while not observer.should_stop():
        with library.reading() as connection:
            blocks = caption_bank.lacking_blocks(
                connection, space.id, space.dimension, change, last
            )
            block = next(blocks, None)
        if block is None:
            break
        ids, vectors = block
        values = log_sum_exp(vectors.astype(np.float32), bank.vectors, space.card.scoring)
        with library.writing() as connection:
            caption_bank.add(connection, space.id, ids, values)
        done, last = done + len(ids), int(ids[-1])
    return done


def _read(path: Path, texts: tuple[str, ...], of_rare: tuple[int, int]) -> Bank | None:
    """What was kept, if it is whole; `of_rare` is the shape of the vectors of rare things."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as data:
            vectors: FloatMatrix = data["vectors"]
            rare: FloatMatrix = data["rare"]
            near, same = (float(value) for value in data["bounds"])
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None
    is_sound = vectors.shape == (len(texts), of_rare[1]) and rare.shape == of_rare
    is_sound &= vectors.dtype == rare.dtype == np.float32
    if not is_sound or not (np.isfinite(vectors).all() and np.isfinite(rare).all()):
        return None
    return Bank(digest_of(texts), texts, vectors, near, same, rare)


def _keep(path: Path, bank: Bank) -> None:
    """Write it whole or not at all; a library that cannot be written is read all the same."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replaced(path) as file:
            np.savez(
                file, vectors=bank.vectors, rare=bank.rare, bounds=np.array([bank.near, bank.same])
            )
        for old in path.parent.glob("*.npz"):
            if old != path:
                old.unlink()
