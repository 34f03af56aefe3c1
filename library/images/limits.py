"""How much one file may cost: pixels, bytes, memory and frames.

Native decoders take memory by the pixel, so a header alone tells what a file will cost. It is
refused before anything is allocated. Wall time and crashes are the business of the process that
decodes.
"""

from __future__ import annotations

from dataclasses import dataclass

from pictor.library.errors import ImageError
from pictor.library.records import Reason


@dataclass(frozen=True)
class Limits:
    """What one file may cost before it is refused.

    Attributes:
        max_pixels: of a decoded picture, after shrink-on-load. RGB takes 4 bytes a pixel in Pillow,
            so the default keeps a decoding process well below 700 MB.
        max_header_pixels: what the header of a JPEG may claim, since it is shrunk while it is read:
            1000 MP cover gigapixel panoramas, which decode in about 15 s at an eighth.
        max_memory_bytes: what a decoder may be expected to take at its peak (see
            `MediaType.bytes_per_pixel`); tighter than `max_pixels` for the hungry formats.
        max_bytes: of a still image or RAW file; larger ones are no photos. Videos are streamed and
            have no limit.
        frames: the most items made of one video or animation.
    """

    max_pixels: int = 100_000_000
    max_header_pixels: int = 1_000_000_000
    max_memory_bytes: int = 600_000_000
    max_bytes: int = 512 * 1024 * 1024
    frames: int = 8


def check_pixels(width: int, height: int, limit: int, what: str) -> None:
    """Refuse a picture that has no pixel, or more than `limit`.

    Raises:
        ImageError: CORRUPT or TOO_LARGE.
    """
    if width < 1 or height < 1:
        raise ImageError(Reason.CORRUPT, f"{what} claims {width}x{height} pixels")
    if width * height > limit:
        raise ImageError(
            Reason.TOO_LARGE,
            f"{what} has {width}x{height} = {width * height / 1e6:.1f} megapixels,"
            f" the limit is {limit / 1e6:.1f}",
        )


def check_memory(needed_bytes: int, limits: Limits, what: str) -> None:
    """Refuse a picture whose decoder would need more memory than allowed.

    Raises:
        ImageError: TOO_LARGE.
    """
    if needed_bytes > limits.max_memory_bytes:
        raise ImageError(
            Reason.TOO_LARGE,
            f"{what} would need {needed_bytes / 1e6:.0f} MB to decode,"
            f" the limit is {limits.max_memory_bytes / 1e6:.0f} MB",
        )


def check_bytes(size_bytes: int, limits: Limits, what: str) -> None:
    """Refuse a file that is larger than allowed.

    Raises:
        ImageError: TOO_LARGE.
    """
    if size_bytes > limits.max_bytes:
        raise ImageError(
            Reason.TOO_LARGE,
            f"{what} is {size_bytes / 1e6:.1f} MB, the limit is {limits.max_bytes / 1e6:.1f} MB",
        )
