"""From whatever a decoder raised to the reason that is stored for the file.

Decoders tell a cut-off file from a damaged one badly or not at all, so the structure of the file is
asked too: every format says somewhere how long it is.
"""

from __future__ import annotations

import errno
import re

from PIL import Image, UnidentifiedImageError

from pictor.library.errors import ImageError
from pictor.library.images.sniff import AVIF, BMP, GIF, HEIF, JPEG, JPEG2000, PNG, TIFF, VIDEO, WEBP
from pictor.library.images.source import MediaFile, read_failure
from pictor.library.records import Reason

_TRUNCATED = re.compile(
    r"truncat|premature|not enough|unexpected end|end of file|buffer is not large|too short"
    r"|incomplete|only got|underrun|zero-filled|Cannot read|no more|not fit|beyond",
    re.IGNORECASE,
)
_UNSUPPORTED = re.compile(
    r"unsupported|not supported|unknown|unrecogni[sz]ed|not implemented|not available"
    r"|cannot handle|no decoder|codec .*not",
    re.IGNORECASE,
)
_REFUSED = "its variant is unknown to every decoder"  # no plug-in takes it
_DISK_ERRORS = frozenset(
    (errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENODEV, errno.ENXIO, errno.EREMOTEIO)
)
_BOXED = (HEIF, AVIF, VIDEO["MP4"], VIDEO["MOV"])
_BOXES = frozenset(b"ftyp meta mdat moov moof mfra styp sidx idat free skip uuid mpvd wide".split())
_STRIPS, _TILES = (273, 279), (324, 325)  # TIFF tags: offsets and byte counts
_ZERO_TAIL_BYTES = 1024  # so many zeros and no end marker: space that was never written


def as_image_error(error: Exception, source: MediaFile, heard: list[str]) -> ImageError:
    """The one error a caller sees for any failure to decode `source`."""
    name = source.media.name
    if isinstance(error, ImageError):
        return error
    if isinstance(error, MemoryError):
        return ImageError(Reason.OUT_OF_MEMORY, f"decoding this {name} ran out of memory")
    if isinstance(error, Image.DecompressionBombError):
        return ImageError(Reason.TOO_LARGE, _bomb_sentence(name, str(error)))
    if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
        return read_failure(error)
    text = _explanation(error, heard)
    if _TRUNCATED.search(text) or is_cut_off(source):
        reason = Reason.TRUNCATED
        text = f"{text}; the file has {source.size_bytes} bytes"
    elif isinstance(error, NotImplementedError) or _UNSUPPORTED.search(text):
        reason = Reason.UNSUPPORTED
    else:
        reason = Reason.CORRUPT
    return ImageError(reason, _sentence(name, text))


def check_complete(source: MediaFile) -> None:
    """Refuse a file that its decoder would read although its end is missing.

    Raises:
        ImageError: TRUNCATED.
    """
    if source.media in (WEBP, *_BOXED) and is_cut_off(source):
        detail = f"the {source.media.name} says it is longer than its {source.size_bytes} bytes"
        raise ImageError(Reason.TRUNCATED, detail)
    if source.media == JPEG and source.tail(_ZERO_TAIL_BYTES) == bytes(_ZERO_TAIL_BYTES):
        # libjpeg makes grey of the zeros and says so on stderr only.
        detail = f"the end of the JPEG's {source.size_bytes} bytes is zero-filled"
        raise ImageError(Reason.TRUNCATED, detail)


def is_cut_off(source: MediaFile) -> bool:
    """Whether the structure of the file says that its end is missing."""
    media = source.media
    if media == JPEG:
        return b"\xff\xd9" not in source.tail(65_536)
    if media == PNG:
        return b"IEND" not in source.tail(65_536)
    if media == GIF:
        return b"\x3b" not in source.tail(64)
    if media == JPEG2000:
        return b"\xff\xd9" not in source.tail(64)
    if media == TIFF:
        return _tiff_end(source) > source.size_bytes
    with source.open() as file:
        head = file.read(12)
        if media == WEBP:
            return int.from_bytes(head[4:8], "little") + 8 > source.size_bytes
        if media == BMP:
            return int.from_bytes(head[2:6], "little") > source.size_bytes
    return media in _BOXED and _boxes_end(source) > source.size_bytes


def _boxes_end(source: MediaFile) -> int:
    """Where the last box of an ISO media file ends, by the lengths the boxes state."""
    position = 0
    with source.open() as file:
        while position + 8 <= source.size_bytes:
            file.seek(position)
            header = file.read(16)
            length = int.from_bytes(header[:4], "big")
            if length == 1:
                length = int.from_bytes(header[8:16], "big")
            if length == 0:  # to the end of the file
                return source.size_bytes
            if length < 8 or header[4:8] not in _BOXES:
                return position  # not a box: damaged, or something a camera appended
            position += length
    return position


def _tiff_end(source: MediaFile) -> int:
    """Where the last strip or tile of the first page ends, by the tags."""
    try:
        with source.open() as file, Image.open(file, formats=("TIFF",)) as image:
            tags = image.tag_v2  # type: ignore[attr-defined]  # of a TIFF
            for offsets, lengths in (_STRIPS, _TILES):
                if offsets in tags and lengths in tags:
                    return max(map(sum, zip(tags[offsets], tags[lengths], strict=True)))
    except Exception:  # any error of the TIFF reader: then the structure says nothing
        return 0
    return 0


def _explanation(error: Exception, heard: list[str]) -> str:
    if isinstance(error, UnidentifiedImageError):
        reasons = [line for line in heard if "opening failed" in line]
        reason = reasons[-1].partition("opening failed. ")[2] if reasons else _REFUSED
        return reason.replace("not identified by this driver", "its header is broken")
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, KeyError | IndexError | TypeError | AttributeError):
        return f"its structure is broken ({type(error).__name__}: {error})"
    return str(error) or type(error).__name__


def _bomb_sentence(name: str, text: str) -> str:
    """Pillow's message ("Image size (N pixels) exceeds limit of M pixels, …") as ours."""
    numbers = [int(number) / 1e6 for number in re.findall(r"\d+", text)]
    if len(numbers) < 2:
        return _sentence(name, text)
    return f"the {name} has {numbers[0]:.1f} megapixels, the limit is {numbers[1]:.1f}"


def _sentence(name: str, text: str) -> str:
    return f"the {name} cannot be decoded: {' '.join(text.split())[:300].rstrip('.')}"
