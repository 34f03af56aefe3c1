"""PAM, the newest of the netpbm formats, which Pillow does not read."""

from __future__ import annotations

import numpy as np
from PIL import Image

from pictor.library.errors import ImageError
from pictor.library.images.limits import check_pixels
from pictor.library.records import Reason

_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
_MAX_HEADER_BYTES = 4096


def read_pam(data: bytes, max_pixels: int) -> Image.Image:
    """The first picture of a PAM file, scaled to 8 bits a channel.

    Raises:
        ImageError: the header is broken, or the pixels are not all there.
    """
    width, height, depth, maximum, start = _header(data)
    check_pixels(width, height, max_pixels, "the PAM")
    if depth not in _MODES or not 0 < maximum <= 65535:
        detail = f"a PAM with {depth} channels up to {maximum} cannot be decoded"
        raise ImageError(Reason.UNSUPPORTED, detail)
    sample = np.dtype(">u2" if maximum > 255 else "u1")
    need = width * height * depth * sample.itemsize
    have = len(data) - start
    if have < need:
        raise ImageError(Reason.TRUNCATED, f"the PAM has {have} of its {need} bytes of pixels")
    values = np.frombuffer(data, sample, width * height * depth, start)
    if maximum != 255:
        # In float32, and below 2**24, so the rounding is exact enough for 8 bits.
        values = np.rint(np.minimum(values, maximum) * np.float32(255 / maximum))
    pixels = values.astype(np.uint8).tobytes()
    return Image.frombytes(_MODES[depth], (width, height), pixels)


def _header(data: bytes) -> tuple[int, int, int, int, int]:
    """Width, height, depth, greatest value, and where the pixels start."""
    head, mark, _ = data[:_MAX_HEADER_BYTES].partition(b"ENDHDR\n")
    if not mark:
        raise ImageError(Reason.CORRUPT, "the PAM header has no end")
    fields: dict[bytes, int] = {}
    for line in head.splitlines()[1:]:
        name, _, value = line.strip().partition(b" ")
        if name in (b"WIDTH", b"HEIGHT", b"DEPTH", b"MAXVAL"):
            digits = value.strip()
            if not digits.isdigit() or len(digits) > 9:
                raise ImageError(Reason.CORRUPT, f"the PAM header has {name.decode()} {value!r}")
            fields[name] = int(digits)
    if len(fields) < 4:
        raise ImageError(Reason.CORRUPT, "the PAM header lacks a size")
    start = len(head) + len(mark)
    return fields[b"WIDTH"], fields[b"HEIGHT"], fields[b"DEPTH"], fields[b"MAXVAL"], start
