"""Which files of a root are wanted: hidden and system names, sidecars, include and exclude globs.

It knows names only, never the disk. A folder's path is given with a final b"/", which lets one
expression a list of globs answer for files, for folders, and for all that is in a matching folder.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from pictor.indexer.sources.base import ScanOptions

#: Names that are no one's pictures, in lower case. Sources: Synology DSM (@eaDir, @tmp, #recycle,
#: #snapshot), QNAP QTS (@Recycle, @__thumb), Windows ($RECYCLE.BIN, RECYCLER, System Volume
#: Information, Thumbs.db, ehthumbs.db, desktop.ini), ext (lost+found), macOS zips (__MACOSX).
#: Those that begin with a dot (.git, .thumbnails, .Trash-1000, .DS_Store, ._x) need no entry.
SYSTEM_NAMES = frozenset(
    b"@eadir @tmp @recycle @__thumb #recycle #snapshot $recycle.bin recycler thumbs.db ehthumbs.db"
    b" ehthumbs_vista.db desktop.ini lost+found __macosx".split()
) | {b"system volume information"}

#: XMP sidecars hold what programs, pictor among them, note of a photo beside it, never a picture.
SIDECAR_ENDING = b".xmp"

#: A folder with these is a library of ours; what stands in `LIBRARY_NAMES` there belongs to it.
LIBRARY_MARKS = frozenset({b"catalog.sqlite", b"write.lock"})
LIBRARY_NAMES = LIBRARY_MARKS | set(
    b"cache/ catalog.sqlite-shm catalog.sqlite-wal resolved/ settings.toml trash/"
    b" write.owner".split()
)


def is_hidden(name: bytes) -> bool:
    """Whether one part of a path is a hidden or system name."""
    if name.startswith(b"."):
        return name not in (b".", b"..")
    return name.lower() in SYSTEM_NAMES


def is_sidecar(path: bytes) -> bool:
    """Whether a path is that of a sidecar; a folder's path ends in b"/" and is none."""
    return path[-4:].lower() == SIDECAR_ENDING


class Selector:
    """Says of a path in a root whether `options` want it.

    Attributes:
        has_globs: whether `matches` can ever say no.
        hides: whether hidden and system names are left out.
    """

    def __init__(self, options: ScanOptions) -> None:
        self.hides = not options.hidden
        self._include = _compiled(options.include)
        self._exclude = _compiled(options.exclude)
        self.has_globs = bool(self._include or self._exclude)

    def matches(self, path: bytes) -> bool:
        """Whether the globs let it through; a folder's path ends in b"/".

        A folder is let through unless it is excluded, since a file in it may be included.
        """
        text = _comparable(path.decode("utf-8", "surrogateescape"))
        if self._exclude and self._exclude.fullmatch(text):
            return False
        if self._include is None or path.endswith(b"/"):
            return True
        return self._include.fullmatch(text) is not None

    def wants(self, path: bytes) -> bool:
        """Whether a whole path, each of its folders included, is wanted."""
        if is_sidecar(path):
            return False
        if self.hides and any(is_hidden(part) for part in path.split(b"/")):
            return False
        return not self.has_globs or self.matches(path)


def _comparable(text: str) -> str:
    # macOS stores names decomposed, keyboards type them composed: compare both in one form.
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _compiled(globs: Sequence[str]) -> re.Pattern[str] | None:
    """One expression for all globs; None if there are none."""
    parts = [_expression(_comparable(glob)) for glob in globs if glob.strip("/")]
    return re.compile("|".join(parts), re.DOTALL) if parts else None


def _expression(glob: str) -> str:
    """The expression that a file's path, or each path in a matching folder, matches whole."""
    folders_only = glob.endswith("/")
    body = glob.rstrip("/")
    anchored = "/" in body
    body = body.lstrip("/")
    text = "" if anchored else "(?:.*/)?"
    position = 0
    while position < len(body):
        piece, position = _next_piece(body, position)
        text += piece
    return f"(?:{text}{'/.*' if folders_only else '(?:/.*)?'})"


def _next_piece(body: str, at: int) -> tuple[str, int]:
    """The expression of what stands at `at`, and where the next piece begins."""
    character = body[at]
    if character == "*":
        end = at
        while end < len(body) and body[end] == "*":
            end += 1
        if end - at == 1:
            return "[^/]*", end
        whole_part = (at == 0 or body[at - 1] == "/") and body[end : end + 1] == "/"
        return ("(?:.*/)?", end + 1) if whole_part else (".*", end)
    if character == "?":
        return "[^/]", at + 1
    if character == "[":
        return _character_class(body, at)
    if character == "\\" and at + 1 < len(body):
        return re.escape(body[at + 1]), at + 2
    return re.escape(character), at + 1


def _character_class(body: str, at: int) -> tuple[str, int]:
    """`[abc]`, `[!abc]` or `[^abc]`; a bracket that opens no valid class stands for itself."""
    start = at + 1
    is_negated = body[start : start + 1] in ("!", "^")
    if is_negated:
        start += 1
    end = body.find("]", start + 1)
    if end == -1:
        return r"\[", at + 1
    members = _class_members(body[start:end])
    if members is None:
        return r"\[", at + 1
    return f"(?!/)[{'^' if is_negated else ''}{members}]", end + 1


def _class_members(inner: str) -> str | None:
    """The characters and ranges of a class, escaped; None if a range runs backwards."""
    members = ""
    at = 0
    while at < len(inner):
        first = last = inner[at]
        if inner[at + 1 : at + 2] == "-" and at + 2 < len(inner):
            last = inner[at + 2]
            at += 2
        at += 1
        if last < first:
            return None
        members += _escaped(first) if first == last else f"{_escaped(first)}-{_escaped(last)}"
    return members


def _escaped(character: str) -> str:
    # re.escape leaves out what only a class gives a meaning or a warning: "&", "~", "|" doubled.
    return character if character.isalnum() else f"\\U{ord(character):08x}"
