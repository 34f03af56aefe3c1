"""The one door for pixels and for what files say of themselves.

`decode` turns any file into the pixels of encoders, `load_rgb` and `thumbnail` into a picture for
people; each raises `ImageError` and nothing else for a file that gives none. `sniff` says what a
file is. HEIF, RAW and video decoders are imported when the first such file comes.
"""

from pictor.library.images.decode import decode as decode
from pictor.library.images.decode import load_rgb as load_rgb
from pictor.library.images.decode import thumbnail as thumbnail
from pictor.library.images.limits import Limits as Limits
from pictor.library.images.native import captured_stderr as captured_stderr
from pictor.library.images.prepare import prepare as prepare
from pictor.library.images.sniff import HEAD_BYTES as HEAD_BYTES
from pictor.library.images.sniff import MediaType as MediaType
from pictor.library.images.sniff import sniff as sniff
