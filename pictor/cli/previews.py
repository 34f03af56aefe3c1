"""Pictures in a terminal: by its own protocol where it has one, else as coloured half blocks.

Which protocol a terminal speaks is told by its environment only. Asking it would mix its answer
with the keys that people press.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from enum import Enum

import numpy as np
from PIL import Image

Size = tuple[int, int]  # (width, height), or (columns, rows)

#: Pixels of a cell where the terminal does not say: a common size, width to height 1 to 2.
CELL_PX = (10, 20)
_KITTY_CHUNK = 4096  # bytes of base64 in one escape code, by the protocol
_SIXEL_COLOURS = 255
_KONSOLE_KITTY = 220400  # the first release of Konsole that speaks it
_SIXEL_TERMS = ("foot", "mlterm", "contour", "yaft", "sixel")
_PLAIN_TERMS = ("", "dumb", "linux", "vt100", "vt220", "ansi")


class Protocol(Enum):
    """How a terminal shows pictures."""

    KITTY = "kitty"
    ITERM = "iterm"
    SIXEL = "sixel"
    BLOCKS = "blocks"
    NONE = "none"


def detect(environ: Mapping[str, str]) -> Protocol:
    """What the terminal of some environment shows."""
    term, program = environ.get("TERM", ""), environ.get("TERM_PROGRAM", "")
    if term in _PLAIN_TERMS or environ.get("NO_COLOR"):
        return Protocol.NONE
    if environ.get("TMUX") or term.startswith(("screen", "tmux")):
        return Protocol.BLOCKS  # a multiplexer takes the other codes for itself
    konsole = environ.get("KONSOLE_VERSION", "")
    if konsole.isdecimal() and int(konsole) >= _KONSOLE_KITTY:
        return Protocol.KITTY
    if environ.get("KITTY_WINDOW_ID") or "kitty" in term or "ghostty" in (term[6:], program):
        return Protocol.KITTY
    if program in ("iTerm.app", "WezTerm", "mintty") or environ.get("LC_TERMINAL") == "iTerm2":
        return Protocol.ITERM
    return Protocol.SIXEL if any(name in term for name in _SIXEL_TERMS) else Protocol.BLOCKS


def pixels_of(protocol: Protocol, cells: Size, cell_px: Size) -> Size:
    """(width, height) in pixels of a picture that takes so many columns and rows."""
    if protocol is Protocol.BLOCKS:
        return cells[0], cells[1] * 2
    return cells[0] * cell_px[0], cells[1] * cell_px[1]


def sheet(pictures: Sequence[Image.Image | None], size: Size, gap: int) -> Image.Image:
    """Pictures side by side, each as large as its share of `size` allows, on black.

    Args:
        pictures: mode RGB; None leaves a place empty.
        gap: pixels between them.
    """
    made = Image.new("RGB", size)
    width = max(1, size[0] // max(1, len(pictures)))
    for place, picture in enumerate(pictures):
        if picture is None:
            continue
        scale = min(max(1, width - gap) / picture.width, size[1] / picture.height)
        small = picture.resize(
            (max(1, int(picture.width * scale)), max(1, int(picture.height * scale))),
            Image.Resampling.LANCZOS,
        )
        made.paste(small, (place * width, 0))
    return made


def drawn(picture: Image.Image, protocol: Protocol, cells: Size) -> str:
    """The codes that show a picture on so many columns and rows, and end the line behind it."""
    if protocol is Protocol.NONE:
        return ""
    return _DRAW[protocol](picture, cells)


def _blocks(picture: Image.Image, cells: Size) -> str:
    """Each cell is an upper half block: its colour is the upper pixel, its ground the lower."""
    pixels = np.asarray(picture.resize((cells[0], cells[1] * 2)))
    lines = []
    for upper, lower in zip(pixels[::2], pixels[1::2], strict=True):
        line, before = [], None
        for high, low in zip(upper.tolist(), lower.tolist(), strict=True):
            if (high, low) != before:
                line.append("\x1b[38;2;{};{};{}m\x1b[48;2;{};{};{}m".format(*high, *low))
                before = (high, low)
            line.append("▀")
        lines.append("".join(line) + "\x1b[0m\n")
    return "".join(lines)


def _kitty(picture: Image.Image, cells: Size) -> str:
    """Kitty's graphics protocol: a PNG in chunks; q=2, so that the terminal answers nothing."""
    data = base64.b64encode(_png(picture)).decode("ascii")
    chunks = [data[at : at + _KITTY_CHUNK] for at in range(0, len(data), _KITTY_CHUNK)]
    codes = []
    for number, chunk in enumerate(chunks):
        first = f"a=T,f=100,q=2,c={cells[0]},r={cells[1]}," if number == 0 else ""
        more = int(number < len(chunks) - 1)
        codes.append(f"\x1b_G{first}m={more};{chunk}\x1b\\")
    return "".join(codes) + "\n"


def _iterm(picture: Image.Image, cells: Size) -> str:
    """The inline images of iTerm2."""
    png = _png(picture)
    facts = f"inline=1;size={len(png)};width={cells[0]};height={cells[1]};preserveAspectRatio=0"
    return f"\x1b]1337;File={facts}:{base64.b64encode(png).decode('ascii')}\x07\n"


def _sixel(picture: Image.Image, cells: Size) -> str:
    """DEC's sixels: bands of six rows, one run of columns a colour and band."""
    reduced = picture.quantize(_SIXEL_COLOURS)
    palette = np.array(reduced.getpalette() or [], dtype=int).reshape(-1, 3)
    pixels = np.asarray(reduced)
    colours = "".join(
        "#{};2;{};{};{}".format(number, *(int(level) * 100 // 255 for level in rgb))
        for number, rgb in enumerate(palette.tolist())
    )
    bands = [_band(pixels[top : top + 6]) for top in range(0, len(pixels), 6)]
    size = f'"1;1;{picture.width};{picture.height}'
    return f"\x1bPq{size}{colours}{'-'.join(bands)}\x1b\\\n"


def _band(rows: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> str:
    bits = (1 << np.arange(len(rows)))[:, None]
    runs = []
    for colour in np.unique(rows).tolist():
        columns = ((rows == colour) * bits).sum(axis=0)
        starts = np.flatnonzero(np.diff(columns, prepend=-1))
        lengths = np.diff(starts, append=len(columns))
        codes = (
            f"!{length}{chr(63 + value)}" if length > 3 else chr(63 + value) * length
            for value, length in zip(columns[starts].tolist(), lengths.tolist(), strict=True)
        )
        runs.append(f"#{colour}{''.join(codes)}")
    return "$".join(runs)


def _png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=1)
    return file.getvalue()


_DRAW: dict[Protocol, Callable[[Image.Image, Size], str]] = {
    Protocol.KITTY: _kitty,
    Protocol.ITERM: _iterm,
    Protocol.SIXEL: _sixel,
    Protocol.BLOCKS: _blocks,
}
