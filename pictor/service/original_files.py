"""Whether a file that is opened still is the one that was indexed."""

from __future__ import annotations

import os

from pictor.library.hashing import Hasher

#: Larger files are not read to their end for it; of these only the path is looked at.
MOST_HASHED = 64 << 20
_BLOCK = 1 << 20


def is_same(descriptor: int, size: int, content: str, path: bytes, root: bytes) -> bool:
    """Whether an open file has a content, in hex; of a large one, whether no link leads to it.

    Size and time of a file can be made alike, its hash cannot.

    Args:
        path: of the file; root: of what was indexed, which may itself be behind links.
    """
    if size > MOST_HASHED:
        return not is_behind_link(path, root)
    hasher, at = Hasher(), 0
    while block := os.pread(descriptor, _BLOCK, at):
        hasher.update(block)
        at += len(block)
    return hasher.digest().hex() == content


def is_behind_link(path: bytes, root: bytes) -> bool:
    """Whether a link stands between a root and a path at or below it."""
    rest = os.path.relpath(path, root) if path != root else b""
    return os.path.realpath(path) != os.path.normpath(os.path.join(os.path.realpath(root), rest))
