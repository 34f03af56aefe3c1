"""Names of files and places as text: on a terminal, on a page, in JSON, in messages.

A name is bytes that others chose. It may be no UTF-8, and it may hold characters that drive a
terminal, end a line or reorder what stands around them. Nothing here loses a byte unsaid.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import urllib.parse
from collections.abc import Iterable

from pictor.library.records import JsonObject

PathLike = str | bytes | os.PathLike[str]
#: C0 and C1 controls, line separators, marks that reorder text, and bytes that are no UTF-8 (which
#: Python holds as lone surrogates). Joiners stay: emoji and many scripts need them.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
#: Parameters of a URL that are not shown.
_SECRET = re.compile("pass|pwd|secret|token", re.IGNORECASE)
#: scheme://user:password@host:port/path?query. A ":" or "@" elsewhere may be a part of a password.
_URL = re.compile(
    r"(?P<scheme>[\w+]+)://(?:(?P<user>[^:/?@]*)(?P<password>:[^?@]*)?@)?"
    r"(?P<place>(?:\[[^]@]*\]|[^:/?@[]*)(?::\d+)?(?:/(?:[^?:]|:(?![^?]*@))*)?)(?:\?(?P<query>.*))?",
    re.DOTALL,
)
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def safe_text(text: str) -> str:
    r"""The text on one line, with what could disturb a terminal as `\n`, `\x1b` and so on."""
    return _UNSAFE.sub(_escaped, text)


def display(path: bytes) -> str:
    """A path as text that any database, message and log can hold; for people see `shown`."""
    return path.decode("utf-8", errors="backslashreplace")


def shown(path: bytes) -> str:
    r"""A path for people and for lines: as `safe_text`, and a backslash of its own as `\\`."""
    return safe_text(path.decode("utf-8", "surrogateescape").replace("\\", "\\\\"))


def path_fields(path: bytes, name: str = "path") -> JsonObject:
    """The JSON fields of a path: text, and the very bytes in base64 where they are no UTF-8."""
    try:
        return {name: path.decode("utf-8")}
    except UnicodeDecodeError:
        coded = base64.b64encode(path).decode("ascii")
        return {name: display(path), f"{name}_bytes": coded}


def path_of(data: JsonObject, name: str) -> bytes:
    """The path that `path_fields` wrote.

    Raises:
        ValueError: there is none, or it is no path.
    """
    coded, text = data.get(f"{name}_bytes"), data.get(name)
    if isinstance(coded, str):
        try:
            path = base64.b64decode(coded, validate=True)
        except binascii.Error:
            raise ValueError(f"{name}_bytes is no base64") from None
    elif isinstance(text, str):
        path = text.encode("utf-8", "surrogateescape")
    else:
        raise ValueError(f"{name} is {'missing' if text is None else 'no text'}")
    if not path or b"\0" in path:
        raise ValueError(f"{name} is no path")
    return path


def is_under(path: bytes, place: bytes) -> bool:
    """Whether a path is a place or lies below it; both absolute."""
    return path == place or path.startswith(place.rstrip(b"/") + b"/")


def under_any(path: bytes, places: Iterable[bytes]) -> bool:
    """Whether a path lies at or below any of some places."""
    return any(is_under(path, place) for place in places)


def is_link(path: bytes) -> bool:
    """Whether a place is on the web, and no path."""
    return path.startswith((b"http://", b"https://"))


def expanded(path: PathLike) -> bytes:
    """A path with a leading ~ replaced, as the bytes of the file system."""
    return os.path.expanduser(os.fsencode(path))


def all_expanded(paths: PathLike | Iterable[PathLike]) -> list[bytes]:
    """As `expanded`, of several paths, or of a single one: a text is not a list of its letters."""
    if isinstance(paths, str | bytes | os.PathLike):
        return [expanded(paths)]
    return [expanded(path) for path in paths]


def shown_url(url: str) -> str:
    """A URL for people: without its password, and without the values of secret parameters.

    Of one that cannot be read without doubt, only the scheme is shown.
    """
    parts = _URL.fullmatch(url)
    if parts is None:
        scheme = re.match(r"[\w+]+://", url)
        return f"{scheme[0] if scheme else ''}***" if url else ""
    user = f"{parts['user']}:***@" if parts["password"] else f"{parts['user']}@"
    place = f"{parts['scheme']}://{user if parts['user'] is not None else ''}{parts['place']}"
    query = "&".join(_without_secret(one) for one in (parts["query"] or "").split("&"))
    return safe_text(f"{place}?{query}" if query else place)


def is_secret(parameter: str) -> bool:
    """Whether the value of this parameter of a URL is not shown."""
    return _SECRET.search(urllib.parse.unquote_plus(parameter)) is not None


def _without_secret(parameter: str) -> str:
    name, mark, _ = parameter.partition("=")
    return f"{name}{mark}***" if mark and is_secret(name) else parameter


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    if match[0] in _SHORT:
        return _SHORT[match[0]]
    if 0xDC80 <= code <= 0xDCFF:  # one byte that is no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}"
