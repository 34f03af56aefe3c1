"""Strings and dates out of metadata, where anything may be written: cleaned, checked, or None."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime, timedelta

MAX_LINE_CHARS = 300  # of a title, camera or lens
MAX_TEXT_CHARS = 5_000  # of a description
_MAX_KEYWORDS = 256
_MAX_KEYWORD_CHARS = 200
_FIRST_YEAR = 1826  # of the oldest photograph that survives; earlier dates are typing errors
_LONGEST_OFFSET = timedelta(hours=15)  # UTC+14 exists

_DATE = re.compile(
    r"\s*(\d{4})[:\-/.]?(\d{2})[:\-/.]?(\d{2})"
    r"(?:[T\s]+(\d{2}):?(\d{2})(?::?(\d{2}))?(?:[.,]\d+)?)?"
    r"\s*(Z|[+-]\d{2}:?\d{2})?\s*$"
)
_COMPANY = re.compile(r"(?i)([\s,]+(optical|imaging|corporation|corp|co|ltd|inc)\b\.?,?)+$")
_OFFSET = re.compile(r"([+-])(\d{2}):?(\d{2})$")


def clean(value: object, max_chars: int = MAX_LINE_CHARS) -> str | None:
    """One line (or text, for a description) without control characters; None where nothing is left.

    A NUL ends the string, as in C. Bytes, and text that was decoded as Latin-1 by the EXIF reader,
    are taken for UTF-8 where they are valid UTF-8.
    """
    text = _as_text(value)
    if text is None:
        return None
    text = text.partition("\0")[0][: 4 * max_chars]
    text = text.encode("utf-8", "replace").decode("utf-8")  # lone surrogates cannot be stored
    kept = "".join(
        char if unicodedata.category(char) not in ("Cc", "Cn", "Co") else " " for char in text
    )
    return " ".join(kept.split())[:max_chars].strip() or None


def _as_text(value: object) -> str | None:
    if isinstance(value, str):
        try:
            return value.encode("latin-1").decode("utf-8")
        except (UnicodeEncodeError, UnicodeDecodeError):
            return value
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return value.decode("cp1252", "replace")
    return None


def clean_keywords(values: list[str | None]) -> tuple[str, ...]:
    """Distinct non-empty keywords in their first spelling and order."""
    distinct: dict[str, str] = {}
    for value in values:
        word = clean(value, _MAX_KEYWORD_CHARS)
        if word and len(distinct) < _MAX_KEYWORDS:
            distinct.setdefault(word.casefold(), word)
    return tuple(distinct.values())


def parse_date(value: object, offset: object = None) -> str | None:
    """ISO 8601 to the second from any usual spelling ("2020:05:17 13:00:59"), or None.

    Args:
        value: a date, or a date and time, or with an offset too. A lone date is at midnight.
        offset: "+02:00", for formats that keep it apart; used where `value` has none.
    """
    match = _DATE.match(clean(value) or "")
    if match is None:
        return None
    try:
        moment = datetime(*(int(part or 0) for part in match.groups()[:6]))  # type: ignore[arg-type]  # six ints, no tzinfo
    except ValueError:
        return None
    if moment.year < _FIRST_YEAR:
        return None
    return moment.isoformat() + (parse_offset(match[7]) or parse_offset(offset))


def parse_offset(value: object) -> str:
    """ "+HH:MM", or "" where there is no sensible offset."""
    text = clean(value) or ""
    if text == "Z":
        return "+00:00"
    match = _OFFSET.match(text)
    if match is None or int(match[3]) > 59:
        return ""
    length = timedelta(hours=int(match[2]), minutes=int(match[3]))
    return f"{match[1]}{match[2]}:{match[3]}" if length < _LONGEST_OFFSET else ""


def camera_name(make: object, model: object) -> str | None:
    """Maker and model without the maker twice: "Canon EOS 5D", not "Canon Canon EOS 5D"."""
    maker, name = clean(make), clean(model)
    if maker:
        maker = _COMPANY.sub("", maker)
    if not maker or not name:
        return name or maker
    is_named_twice = name.casefold().startswith(maker.split()[0].casefold())
    return name if is_named_twice else f"{maker} {name}"[:MAX_LINE_CHARS]
