"""A small library of pictures that are alike, and groups of them made by hand."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pictor import open_library
from pictor.duplicates.groups.records import Group, Link, Member
from pictor.library.catalog import members
from pictor.library.pairs import Evidence, Kind
from pictor.library.store import Store

#: A script, markup, both quotes, an ampersand, a line end, a mark that reorders text, no UTF-8.
HOSTILE = "<script>alert(1)<∕script><img src=x onerror=alert(2)>\"'&\n\u202e".encode() + b"\xff.jpg"


@dataclass
class Alike:
    """The library's folder, that of its photos, and the members by file name."""

    library: Path
    photos: Path
    members: dict[bytes, Member]

    def group(
        self,
        kind: Kind,
        *names: bytes,
        number: int = 0,
        evidence: Evidence | None = None,
        **facts: Any,
    ) -> Group:
        """A group of some files, the first of which is kept."""
        chosen = [self.members[name] for name in names]
        keep = chosen[0]
        links = [
            Link(keep.path, one.path, kind, 0.97, evidence or Evidence(hash_distance=3))
            for one in chosen[1:]
        ]
        reason = "kept: highest resolution (320 x 240 vs 200 x 150)"
        made: dict[str, Any] = {"id": f"{number:012x}", "reason": reason, "links": tuple(links)}
        return Group(kind=kind, keep=keep, members=tuple(chosen), **(made | facts))

    def open(self) -> Store:
        """The library, to be closed by the caller."""
        return Store.open(self.library)

    def hashes(self, *names: bytes) -> list[bytes]:
        """The contents of some files."""
        return [bytes.fromhex(self.members[name].content) for name in names]

    def stored(self) -> dict[tuple[bytes, bytes], str]:
        """What the catalog says was decided, by pair of hashes."""
        from pictor.library.catalog.decisions import decisions

        with self.open() as library, library.reading() as connection:
            return {(row.low, row.high): row.verdict.value for row in decisions(connection)}


def scene(seed: int, size: tuple[int, int] = (320, 240)) -> Image.Image:
    """Patches of colours, with detail in them: no two seeds are alike."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 255, (9, 12, 3), dtype=np.uint8)
    fine = random.integers(0, 90, (60, 80, 3), dtype=np.uint8)
    made = Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)
    detail = Image.fromarray(fine).resize(size, Image.Resampling.BICUBIC)
    return Image.fromarray(np.asarray(made) // 2 + np.asarray(detail))


def make(folder: Path) -> Alike:
    """A photo with a copy, a smaller, a cropped and a mirrored version, and a stranger."""
    photos = folder / "photos"
    photos.mkdir(parents=True)
    photo = scene(1)
    photo.save(photos / "photo.png")
    shutil.copy(photos / "photo.png", photos / "照片 副本.png")
    photo.convert("RGB").save(photos / "same pixels.bmp")
    photo.resize((200, 150), Image.Resampling.LANCZOS).save(photos / "small.jpg", quality=85)
    photo.crop((50, 30, 280, 200)).save(photos / "cropped.jpg", quality=90)
    photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(photos / "mirrored.jpg", quality=95)
    scene(2).save(photos / "stranger.jpg")
    photo.save(os.path.join(os.fsencode(photos), HOSTILE), "JPEG", quality=70)
    with open_library(folder / "library") as library:
        library.index([photos])
    return Alike(folder / "library", photos, _members(folder / "library"))


def _members(path: Path) -> dict[bytes, Member]:
    with Store.open(path) as library, library.reading() as connection:
        ids: Sequence[int] = [
            row[0] for row in connection.exec_driver_sql("SELECT id FROM content")
        ]
        rows = members.files_of(connection, ids)
    return {os.path.basename(row.path): row for row in rows}
