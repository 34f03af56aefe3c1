"""Large libraries made without decoding anything: real rows and real files, drawn vectors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pictor.library import indexes
from pictor.library.catalog import contents, files, spaces
from pictor.library.catalog.rows import ContentChange, FileChange
from pictor.library.config import Settings
from pictor.library.encoders import towers
from pictor.library.hashing import content_hash
from pictor.library.records import FloatMatrix, HalfMatrix, Metadata, Outcome
from pictor.library.store import Store

BATCH = 2000
_SAME = Metadata(format="JPEG", width=640, height=480)


def make_library(
    folder: Path,
    root: Path,
    paths: Sequence[bytes],
    *,
    on_disk: bool,
    with_index: bool = True,
    facts: Sequence[Metadata] | None = None,
    vectors: FloatMatrix | None = None,
) -> None:
    """A library of one root whose files are all indexed, with random unit vectors.

    Args:
        paths: relative to `root`. With `on_disk`, sizes, times and hashes are those of the files.
        with_index: also build the index cache.
        facts: what each file says of itself; all the same if None.
        vectors: (n, d) float32 unit rows instead of random ones.
    """
    rng = np.random.default_rng(20261121)
    with Store.create(folder, Settings()) as library, library.writer():
        card = towers.resolve_card("builtin")
        with library.writing() as connection:
            space = spaces.add_space(connection, card, default=True)
            root_id = files.add_root(connection, "folder", bytes(root), "")
            run = files.start_run(connection)
        for start in range(0, len(paths), BATCH):
            chunk = paths[start : start + BATCH]
            drawn = rng.standard_normal((len(chunk), card.dimension), dtype=np.float32)
            drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
            rows = drawn if vectors is None else vectors[start : start + BATCH]
            said = facts[start : start + BATCH] if facts else [_SAME] * len(chunk)
            pairs = [
                _changes(root, root_id, path, space, row[None].astype(np.float16), fact, on_disk)
                for path, row, fact in zip(chunk, rows, said, strict=True)
            ]
            with library.writing() as connection:
                contents.apply(connection, run, [c for c, _ in pairs], [f for _, f in pairs])
        with library.writing() as connection:
            spaces.set_state(connection, space, "ready")
            files.finish_run(connection, run, "finished", {})
        if with_index:
            indexes.refresh(library, library.space())


def _changes(
    root: Path,
    root_id: int,
    path: bytes,
    space: int,
    vector: HalfMatrix,
    metadata: Metadata,
    on_disk: bool,
) -> tuple[ContentChange, FileChange]:
    size, mtime_ns, digest = 1000, 1, content_hash(path)
    if on_disk:
        full = root / path.decode()
        stat = full.stat()
        size, mtime_ns, digest = stat.st_size, stat.st_mtime_ns, content_hash(full.read_bytes())
    frames = ((0, None, 640, 480),)
    content = ContentChange(
        digest, size, Outcome.INDEXED, metadata=metadata, frames=frames, vectors={space: vector}
    )
    return content, FileChange(root_id, path, size, mtime_ns, Outcome.INDEXED, hash=digest)
