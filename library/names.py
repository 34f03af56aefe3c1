"""Names of files as text: on a terminal, on a page, in JSON.

A name is bytes that others chose. It may be no UTF-8, and it may hold characters that drive a
terminal, end a line or reorder what stands around them. Nothing here loses a byte unsaid.
"""

from __future__ import annotations

import base64
import os
import re

from pictor.library.records import JsonObject

PathLike = str | bytes | os.PathLike[str]

#: C0 and C1 controls, line separators, marks that reorder text, and bytes that are no UTF-8 (which
#: Python holds as lone surrogates). Joiners stay: emoji and many scripts need them.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def safe_text(text: str) -> str:
    r"""The text on one line, with what could disturb a terminal as `\n`, `\x1b` and so on."""
    return _UNSAFE.sub(_escaped, text)


def shown(path: bytes) -> str:
    r"""A path for people and for lines: as `safe_text`, and a backslash of its own as `\\`."""
    return safe_text(path.decode("utf-8", "surrogateescape").replace("\\", "\\\\"))


def path_fields(path: bytes, name: str = "path") -> JsonObject:
    """The JSON fields of a path: text, and the very bytes in base64 where they are no UTF-8."""
    try:
        return {name: path.decode("utf-8")}
    except UnicodeDecodeError:
        text = path.decode("utf-8", "backslashreplace")
        return {name: text, f"{name}_bytes": base64.b64encode(path).decode("ascii")}


def expanded(path: PathLike) -> bytes:
    """The path with a leading ~ replaced, as the bytes of the file system."""
    return os.path.expanduser(os.fsencode(path))


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    if match[0] in _SHORT:
        return _SHORT[match[0]]
    if 0xDC80 <= code <= 0xDCFF:  # one byte that is no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}"
