"""XMP files that no photo needs any more once one is gone, so that they go along with it.

`photo.jpg.xmp` and `photo.xmp` are both names of a sidecar of `photo.jpg`; the second one serves
each file `photo.…` of its folder. So one goes only if no other file is left that it could be of.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator
from typing import NamedTuple

from pictor.duplicates.removal.preflight import OpenFile

ENDING = b".xmp"


class Companion(NamedTuple):
    """A sidecar: its name, and whether it is named after the whole name of its photo."""

    name: bytes
    has_whole_name: bool

    def beside(self, photo: bytes) -> bytes:
        """The path that it has beside a photo of that path."""
        stem = photo if self.has_whole_name else os.path.splitext(photo)[0]
        return stem + self.name[-len(ENDING) :]


def companions(photo: OpenFile, gone: Collection[bytes] = ()) -> Iterator[Companion]:
    """The sidecars of a photo that nothing in its folder needs but the photo.

    Only regular files with something in them. The folder is listed only where there is one.

    Args:
        gone: names of its folder that count as gone.
    """
    stem = os.path.splitext(photo.name)[0]
    wanted = ((photo.name, True), (stem, False)) if stem != photo.name else ((stem, True),)
    found = [
        Companion(base + ending, is_whole)
        for base, is_whole in wanted
        for ending in (ENDING, ENDING.upper())
        if _is_there(photo.parent, base + ending)
    ]
    if not found:
        return
    away = {photo.name, *gone}
    others = [name for name in map(os.fsencode, os.listdir(photo.parent)) if name not in away]
    needed = {base for name in others for base in _bases(name)}
    yield from (one for one in found if one.name[: -len(ENDING)].lower() not in needed)


def _bases(name: bytes) -> tuple[bytes, ...]:
    """What sidecars of a file are named after, in lower case: a folder may not tell cases apart."""
    stem, ending = os.path.splitext(name.lower())
    return () if ending == ENDING else (name.lower(), stem)


def _is_there(folder: int, name: bytes) -> bool:
    try:
        facts = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return False
    return stat.S_ISREG(facts.st_mode) and facts.st_size > 0
