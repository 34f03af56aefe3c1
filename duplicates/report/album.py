"""The pictures of a report: small JPEGs as data URIs, within a number of bytes for all of them."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image

from pictor.duplicates.groups.records import Group, Member
from pictor.indexer.originals import Originals
from pictor.library.errors import ImageError
from pictor.library.records import PixelArray


@dataclass(frozen=True)
class PictureSize:
    """A longest side in pixels, and the bytes expected of a picture and of a difference in it."""

    edge_px: int
    bytes: int
    difference_bytes: int


#: The largest with which all pictures are expected to fit is taken. Bytes of JPEG are means of 34
#: photos of 512 pixels, beside copies shrunk to 2/3 and saved at quality 70. 640 is reckoned from
#: 480 by the area: those photos have no more pixels.
SIZES = (
    PictureSize(640, 55_000, 74_000),
    PictureSize(480, 31_000, 42_000),
    PictureSize(360, 20_000, 27_000),
    PictureSize(240, 10_000, 14_000),
    PictureSize(160, 5_100, 6_900),
)
#: Contents of one group that have pictures; nobody compares more by eye.
MOST_PICTURED = 24
_QUALITY = 80


class ShownDifference(NamedTuple):
    """A content beside the keeper; the two data URIs are "" where there is nothing to show.

    Attributes:
        aligned: it in the keeper's frame; "" if stretching its own picture gives that.
        difference: what differs, amplified; "" where no pixel does.
        covered, visible: shares, 0 to 1, and `largest` difference, as of `overlaying.Difference`.
    """

    aligned: str
    difference: str
    covered: float
    visible: float
    largest: int


class Shot(NamedTuple):
    """The picture of one content: a data URI, or "" and the reason why there is none."""

    source: str
    problem: str = ""
    compared: ShownDifference | None = None


class Album:
    """Makes the pictures of one group after another, until their bytes are spent."""

    def __init__(self, groups: Sequence[Group], most_bytes: int) -> None:
        """`groups`: all that will be asked for."""
        contents = sum(min(MOST_PICTURED, len(group.contents)) for group in groups)
        self.edge_px = _edge(contents, contents - len(groups), most_bytes)
        self.left_out = 0  # groups that have no pictures, as the bytes were spent
        self._left_bytes = most_bytes
        self._originals = Originals(one.path for group in groups for one in group.members)

    def shots(self, group: Group) -> dict[str, Shot]:
        """Pictures by content hash; none once the bytes are spent."""
        by_content = _contents(group)
        if self._left_bytes <= 0:
            self.left_out += 1
            return {}
        keeper = self._pixels(by_content.pop(group.keep.content))
        shots = {group.keep.content: self._shot(keeper)}
        for content in list(by_content)[: MOST_PICTURED - 1]:
            pixels = self._pixels(by_content[content])
            shot = self._shot(pixels)
            if not isinstance(keeper, str) and not isinstance(pixels, str):
                shot = shot._replace(compared=self._compared(keeper, pixels))
            shots[content] = shot
        return shots

    def _pixels(self, members: Sequence[Member]) -> PixelArray | str:
        """The picture, from the first of some files of one content; why none can be read."""
        problem = ""
        for member in members:
            try:
                image = self._originals.picture(member.path, self.edge_px)
            except ImageError as error:
                problem = problem or error.detail
                continue
            edge = (self.edge_px, self.edge_px)
            image.thumbnail(edge, Image.Resampling.LANCZOS, reducing_gap=2.0)
            return np.asarray(image)
        return problem

    def _shot(self, pixels: PixelArray | str) -> Shot:
        return Shot("", pixels) if isinstance(pixels, str) else Shot(self._uri(pixels))

    def _compared(self, keeper: PixelArray, other: PixelArray) -> ShownDifference:
        from pictor.duplicates.report.difference import difference

        found = difference(keeper, other)
        aligned = "" if found.is_plain else self._uri(found.aligned)
        amplified = self._uri(found.amplified) if found.largest else ""
        return ShownDifference(aligned, amplified, found.covered, found.visible, found.largest)

    def _uri(self, pixels: PixelArray) -> str:
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", quality=_QUALITY, optimize=True)
        data = base64.b64encode(file.getvalue()).decode("ascii")
        self._left_bytes -= len(data)
        return f"data:image/jpeg;base64,{data}"


def _contents(group: Group) -> dict[str, list[Member]]:
    """The members by content, the keeper's first."""
    found: dict[str, list[Member]] = {content: [] for content in group.contents}
    for member in group.members:
        found[member.content].append(member)
    return found


def _edge(pictures: int, differences: int, most_bytes: int) -> int:
    def expected(size: PictureSize) -> float:
        return (pictures * size.bytes + differences * size.difference_bytes) * 4 / 3  # base64

    return next((size for size in SIZES if expected(size) <= most_bytes), SIZES[-1]).edge_px
