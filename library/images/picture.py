"""What every decoder hands to the door: one upright sRGB picture; and how to turn it upright."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from pictor.library.orientations import TURNS


@dataclass(frozen=True)
class Picture:
    """One decoded still or frame.

    Attributes:
        image: mode RGB, upright, sRGB; possibly shrunk on load.
        full_size: (width, height) as displayed, before shrinking.
        time_s: from the start of a video or animation; None for a still.
    """

    image: Image.Image
    full_size: tuple[int, int]
    time_s: float | None = None


def upright(image: Image.Image, orientation: int) -> Image.Image:
    """The picture turned as its EXIF orientation (1 to 8) says."""
    act = TURNS[orientation].pillow if orientation in TURNS else ""
    return image.transpose(Image.Transpose[act]) if act else image


def displayed_size(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """(width, height) after `upright`."""
    return (size[1], size[0]) if orientation >= 5 else size


def even_times(length_s: float, count: int) -> list[float]:
    """The middles of `count` equal parts: neither the first black frame nor the last."""
    return [length_s * (i + 0.5) / count for i in range(count)]
