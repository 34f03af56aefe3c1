"""Which RAW files lie beside a finished picture of the same name, by name alone.

Cameras that write both give one shot two files. Indexing the RAW as well would show each shot twice
and cost a slow decode. "IMG_1.CR3" belongs to "IMG_1.JPG" in the same folder, whatever the case.
"""

from __future__ import annotations

from collections.abc import Iterable

from pictor.library.names import display
from pictor.library.raw_names import RAW_ENDINGS

_RAW_ENDINGS = frozenset(f".{ending}".encode() for ending in RAW_ENDINGS)
#: Endings of what a camera writes beside a RAW, the preferred one first.
PICTURE_ENDINGS = (b".jpg", b".jpeg", b".jpe", b".heic", b".heif", b".hif")


def pair_raws(paths: Iterable[bytes]) -> dict[bytes, bytes]:
    """Each RAW among `paths` that has a picture beside it, and that picture's path.

    Costs one look at each ending unless a RAW is there.
    """
    paths = list(paths)
    raws = [path for path in paths if path[-4:].lower() in _RAW_ENDINGS]
    if not raws:
        return {}
    pictures: dict[tuple[bytes, bytes], tuple[int, bytes]] = {}
    for path in paths:
        stem, dot, ending = path.rpartition(b".")
        if (rank := _rank(dot + ending)) >= 0:
            key = _key(stem)
            pictures[key] = min(pictures.get(key, (rank, path)), (rank, path))
    pairs = ((raw, pictures.get(_key(raw[:-4]))) for raw in raws)
    return {raw: picture[1] for raw, picture in pairs if picture}


def sidecar_detail(picture: bytes) -> str:
    """The sentence stored with a RAW that is skipped for `picture`."""
    name = display(picture.rpartition(b"/")[2])
    return f"the RAW of {name!r}, which is beside it and is indexed"


def _rank(ending: bytes) -> int:
    ending = ending.lower()
    return PICTURE_ENDINGS.index(ending) if ending in PICTURE_ENDINGS else -1


def _key(stem: bytes) -> tuple[bytes, bytes]:
    folder, _, name = stem.rpartition(b"/")
    return folder, name.lower()
