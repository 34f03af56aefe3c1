"""What file names say: that a photo was edited, and that a file is a copy. Stems, without endings.

iOS names an edit IMG_E1234; other programs put a word behind: "beach-edited", "beach (Edit 2)",
"strand_bearbeitet", "海滩编辑". A word of letters counts only where it stands apart from the name,
or behind a digit: "credit" is no edit of "cr".
"""

from __future__ import annotations

import re

_WORDS = rb"(?:edit(?:ed)?|retouch(?:ed)?|bearbeitet|modifi(?:\xc3\xa9|e)e?|editado|modificato)"
_BIANJI = rb"\xe7\xbc\x96\xe8\xbe\x91"  # 编辑; with 已 before it ("edited") it may stand anywhere
_APART = rb"(?=[-_ .)]|\d*$)"
_EDITED = re.compile(
    rb"(?<=.)(?:(?:[-_ .(]+|(?<=\d))"
    + _WORDS
    + _APART
    + rb"|[-_ .(]*(?:\xe5\xb7\xb2"
    + _BIANJI
    + rb"|"
    + _BIANJI
    + _APART
    + rb"))"
    rb"(?:[-_ ]?\d{0,3}\)?$|\))?",
    re.IGNORECASE | re.DOTALL,
)
_EDITED_IOS = re.compile(rb"^(IMG_)E(?=\d)", re.IGNORECASE)
#: "photo (1)", "photo copy 2", "photo - Copy", "Kopie von photo", "photo 副本".
_COPY = re.compile(
    rb"\(\d+\)$|[-_ ]cop(y|ie)( ?\d+)?$|^cop(y|ie) (of|de) |[-_ ]kopie( ?\d+)?$|^kopie von "
    rb"|\xe5\x89\xaf\xe6\x9c\xac",
    re.IGNORECASE,
)


def unedited(stem: bytes) -> bytes:
    """The stem of the photo that an edited version is of; `stem` itself if it names no edit."""
    return _EDITED_IOS.sub(rb"\1", _EDITED.sub(b"", stem))


def is_edited(stem: bytes) -> bool:
    """Whether the name is one that programs give to an edited version."""
    return unedited(stem) != stem


def is_copy(stem: bytes) -> bool:
    """Whether the name is one that programs give to a copy."""
    return _COPY.search(stem) is not None
