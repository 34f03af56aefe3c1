"""What a person asks: each argument is a text, or an image by path or link."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from library.errors import QueryError

#: Longer texts are refused: every text tower reads at most a few hundred tokens.
MAX_TEXT_CHARS = 10_000


@dataclass(frozen=True)
class TextPart:
    """Words."""

    text: str


@dataclass(frozen=True)
class ImagePart:
    """A picture: a path as bytes of the file system, or an http(s) link."""

    location: bytes

    @property
    def is_link(self) -> bool:
        """Whether it must be fetched."""
        return self.location.startswith((b"http://", b"https://"))


Part = TextPart | ImagePart

_PATH_STARTS = ("/", "./", "../", "~/")
_ENDING = re.compile(r"/|\.\w+$")


def parse(argument: str) -> Part:
    """A link, or the path of an existing file, is an image; anything else is text.

    A bare word is always text, though a file of that name may lie in the current folder: a path has
    a "/" or an ending. What begins like a path (/, ./, ../, ~/) but names no file is a mistake.

    Raises:
        QueryError: the text is empty or over-long, or a path names no file.
    """
    if argument.startswith(("http://", "https://")):
        return ImagePart(os.fsencode(argument))
    if argument.startswith(_PATH_STARTS):
        return image(os.path.expanduser(argument))
    if _ENDING.search(argument) and _is_file(argument):
        return image(argument)
    return text(argument)


def image(argument: str | bytes | os.PathLike[str]) -> ImagePart:
    """The image a path or link names.

    Raises:
        QueryError: there is no such file.
    """
    location = os.fsencode(argument)
    part = ImagePart(location)
    if part.is_link:
        return part
    if b"\0" in location or not os.path.isfile(location):
        shown = location.decode("utf-8", errors="backslashreplace")
        raise QueryError(f"there is no image file at {shown!r}")
    return ImagePart(os.path.abspath(location))


def text(words: str) -> TextPart:
    """A text query.

    Raises:
        QueryError: it is empty or over-long.
    """
    # A terminal may hand over bytes that are no text; towers get what can be read of them.
    clean = words.encode("utf-8", errors="replace").decode("utf-8").replace("\0", " ").strip()
    if not clean:
        raise QueryError("the query is empty: give words, or the path of an image")
    if len(clean) > MAX_TEXT_CHARS:
        raise QueryError(
            f"the query has {len(clean):,} characters; at most {MAX_TEXT_CHARS:,} are read"
        )
    return TextPart(clean)


def _is_file(argument: str) -> bool:
    try:
        return Path(argument).is_file()
    except (OSError, ValueError):  # a name too long for the file system, or with a NUL, is a text
        return False
