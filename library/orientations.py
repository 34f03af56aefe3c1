"""What each EXIF orientation does to a picture to show it upright."""

from __future__ import annotations

from typing import NamedTuple


class Turn(NamedTuple):
    """A picture is transposed first, then mirrored.

    Attributes:
        pillow: the name of the act in `PIL.Image.Transpose`; "" for none.
        words: for people.
    """

    is_transposed: bool
    is_mirrored_across: bool
    is_mirrored_down: bool
    pillow: str
    words: str


#: By EXIF orientation (Exif 3.0, tag 0x0112).
TURNS = {
    1: Turn(False, False, False, "", ""),
    2: Turn(False, True, False, "FLIP_LEFT_RIGHT", "mirrored"),
    3: Turn(False, True, True, "ROTATE_180", "turned by 180°"),
    4: Turn(False, False, True, "FLIP_TOP_BOTTOM", "mirrored upside down"),
    5: Turn(True, False, False, "TRANSPOSE", "mirrored and turned"),
    6: Turn(True, True, False, "ROTATE_270", "turned by 90°"),
    7: Turn(True, True, True, "TRANSVERSE", "mirrored and turned"),
    8: Turn(True, False, True, "ROTATE_90", "turned by 270°"),
}
