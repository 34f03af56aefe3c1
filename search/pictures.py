"""The pictures of a query: items of the library, paths, links, bytes, and regions of each."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pictor.library.catalog import contents, files, spaces
from pictor.library.catalog.rows import FilePlace, ItemRow, SpaceRow
from pictor.library.errors import ImageError, QueryError
from pictor.library.hashing import content_hash
from pictor.library.names import shown
from pictor.library.records import FloatMatrix, ImageSpec, PixelArray, Reason
from pictor.library.store import Store
from pictor.search.query import BytesPart, ItemPart, Pictured, PicturePart, Region

if TYPE_CHECKING:
    from PIL.Image import Image

MIB = 1 << 20
#: Of a side; no picture that is decoded has a pixel in less.
LEAST_SHARE = 1e-6
#: Gives the bytes of a file of the library, or its path on this machine; raises ImageError.
OriginalReader = Callable[[FilePlace], bytes | Path]


def plain_file(place: FilePlace) -> Path:
    """The path of a file that is neither in an archive nor on the web.

    Raises:
        ImageError: it is, or it is gone.
    """
    path = Path(os.fsdecode(place.full_path))
    if not path.is_file():
        raise ImageError(Reason.VANISHED, f"there is no file {shown(place.full_path)}")
    return path


class Pictures:
    """The pictures of one query, each read once however many spaces it is encoded for.

    Attributes:
        digests: hashes of the contents looked up so far, by path, link, hash or item.
    """

    def __init__(self, library: Store, read_original: OriginalReader) -> None:
        """Nothing is read yet."""
        self._library = library
        self._read_original = read_original
        self._data: dict[bytes, bytes] = {}
        self.digests: dict[bytes | int, bytes] = {}

    def stored(self, part: Pictured, space: SpaceRow) -> FloatMatrix | None:
        """(1, d) the vector a space has of a picture; None where it has none, and of a region.

        Raises:
            QueryError: the library has no such item.
            ImageError: the picture cannot be read or fetched.
        """
        item = self._row(part).id if isinstance(part, ItemPart) else self._known(part)
        if item is None or part.region is not None:
            return None
        with self._library.reading() as connection:
            found = spaces.vectors_of(connection, space.id, [item])
        return found[item].astype(np.float32)[None] if item in found else None

    def pixels(self, part: Pictured, spec: ImageSpec) -> PixelArray:
        """What an encoder gets of a picture or of its region.

        Raises:
            QueryError: the library has no such item, or the region no pixel.
            ImageError: the picture cannot be read, fetched or decoded.
        """
        from pictor.library.images import (  # Pillow takes 0.1 s, and words need none of it
            Limits,
            load_rgb,
            prepare,
        )

        limits = Limits(max_pixels=self._library.settings.index.max_pixels, frames=1)
        region = part.region or Region(0, 0, 1, 1)
        edge = math.ceil(spec.draft_edge / max(LEAST_SHARE, min(region.width, region.height)))
        if isinstance(part, ItemPart):
            row = self._row(part)
            (data, name), time_s = self._original(row), row.time_s
        else:
            data, time_s = self._bytes(part), None
            name = part.location if isinstance(part, PicturePart) else b""
        image, facts, _ = load_rgb(data, limits, edge, name, time_s=time_s)
        size = (facts.width, facts.height)
        if part.region is not None:
            image, size = _cut(image, size, part.region, part.name)
        return prepare(image, spec, size)

    # --- items

    def _row(self, part: ItemPart) -> ItemRow:
        with self._library.reading() as connection:
            row = contents.items(connection, [part.item]).get(part.item)
        if row is None:
            raise QueryError(f"the library has no item {part.item}")
        self.digests[part.item] = row.hash
        return row

    def _original(self, row: ItemRow) -> tuple[bytes | Path, bytes]:
        """The first file of an item that can be read and is what it was, and its name."""
        with self._library.reading() as connection:
            places = files.places(connection, [row.content_id])[row.content_id]
        failed = ImageError(Reason.VANISHED, "none of its files can be reached")
        for place in places:
            if place.state == "present":
                try:
                    return self._unchanged(place, row), place.path or place.location
                except ImageError as error:
                    failed = error
                except OSError as error:
                    failed = ImageError(Reason.IO_ERROR, f"it cannot be read: {error.strerror}")
        raise failed

    def _unchanged(self, place: FilePlace, row: ItemRow) -> bytes | Path:
        data = self._read_original(place)
        if isinstance(data, Path) and row.time_s is not None:  # a video is not read whole
            is_same = data.stat().st_size == place.size_bytes
        else:
            data = self._file(bytes(data)) if isinstance(data, Path) else data
            is_same = content_hash(data) == row.hash
        if not is_same:
            detail = f"{shown(place.full_path)} was changed since it was indexed"
            raise ImageError(Reason.CHANGED, detail)
        return data

    # --- pictures from elsewhere

    def _known(self, part: PicturePart | BytesPart) -> int | None:
        """The first item of its content, if the library has it."""
        digest = content_hash(self._bytes(part))
        self.digests[part.location if isinstance(part, PicturePart) else digest] = digest
        with self._library.reading() as connection:
            state = contents.content_state(connection, digest)
            return contents.first_item(connection, state.id) if state else None

    def _bytes(self, part: PicturePart | BytesPart) -> bytes:
        """All bytes of a picture.

        Raises:
            ImageError: it cannot be read or fetched, or is larger than `index.max_file_mib` allows.
        """
        if isinstance(part, BytesPart):
            self._check_size(len(part.data))
            return part.data
        if part.location not in self._data:
            read = self._fetched if part.is_link else self._file
            self._data[part.location] = read(part.location)
        return self._data[part.location]

    def _fetched(self, link: bytes) -> bytes:
        from pictor.library.downloads import fetch  # httpx takes 0.1 s to import

        settings = self._library.settings.index
        return fetch(link, settings.max_file_mib * MIB, settings.fetch_timeout_s)

    def _file(self, path: bytes) -> bytes:
        try:
            with open(path, "rb") as file:
                self._check_size(os.fstat(file.fileno()).st_size)
                return file.read()
        except OSError as error:
            raise ImageError(Reason.IO_ERROR, f"it cannot be read: {error.strerror}") from error

    def _check_size(self, size: int) -> None:
        limit = self._library.settings.index.max_file_mib * MIB
        if size > limit:
            detail = f"it has {size:,} bytes; the limit is {limit:,} (index.max_file_mib)"
            raise ImageError(Reason.TOO_LARGE, detail)


def _cut(
    image: Image, size: tuple[int, int], region: Region, name: str
) -> tuple[Image, tuple[int, int]]:
    """A region of a picture, and its size where the picture is as large as it was taken.

    Args:
        image: may have been shrunk while it was read; `size` is (width, height) before.

    Raises:
        QueryError: the region is smaller than a pixel.
    """
    width, height = region.width * size[0], region.height * size[1]
    if min(width, height) < 1:
        raise QueryError(
            f"the region {region} of {name} is smaller than a pixel: the picture has "
            f"{size[0]}x{size[1]} pixels"
        )
    left, right = _span(region.x, region.width, image.width)
    top, bottom = _span(region.y, region.height, image.height)
    return image.crop((left, top, right, bottom)), (round(width), round(height))


def _span(start: float, length: float, pixels: int) -> tuple[int, int]:
    """The first pixel of a share of a side, and the one after its last; at least one."""
    first = min(round(start * pixels), pixels - 1)
    return first, min(max(round((start + length) * pixels), first + 1), pixels)
