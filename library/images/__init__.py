"""The one door for pixels and for what files say of themselves.

`decode` turns any file into the pixels of encoders, `load_rgb` and `thumbnail` into a picture for
people; each raises `ImageError` and nothing else for a file that gives none. `sniff` says what a
file is. HEIF, RAW and video decoders are imported when the first such file comes.
"""

from pictor.library.images.decode import decode, load_rgb, thumbnail
from pictor.library.images.limits import Limits
from pictor.library.images.native import captured_stderr
from pictor.library.images.prepare import prepare
from pictor.library.images.sniff import HEAD_BYTES, MediaType, sniff

__all__ = [
    "HEAD_BYTES",
    "Limits",
    "MediaType",
    "captured_stderr",
    "decode",
    "load_rgb",
    "prepare",
    "sniff",
    "thumbnail",
]
