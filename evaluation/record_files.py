"""Files of captions and labels: JSON documents and JSON lines that nobody vouches for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pictor.evaluation.problems import Problems
from pictor.library.errors import EvaluationError
from pictor.library.records import JsonObject

MAX_FILE_BYTES = 1 << 30  # COCO's captions of 118,000 photos are 92 MB
MAX_LINE_BYTES = 1 << 24  # of JSON lines; a record of a photo has some kilobytes
_UTF8_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Record:
    """A JSON object and where it stood, for people."""

    data: JsonObject
    where: str


def read(path: Path, problems: Problems) -> JsonObject | list[Record]:
    """A JSON document that is one object with a list of images, or records.

    Records are JSON lines, or a JSON array of objects. What is no object is counted and left out.

    Raises:
        EvaluationError: the file cannot be read, or is too large.
    """
    data = _bytes_of(path).removeprefix(_UTF8_MARK)
    document = _document(data)
    if isinstance(document, dict):
        return document
    if isinstance(document, list):
        return list(_objects(((f"record {i}", one) for i, one in enumerate(document, 1)), problems))
    return list(_objects(_lines(data), problems))


def texts_of(value: Any) -> list[Any]:
    """A field that may hold one text or a list of them; what they are is not checked."""
    return value if isinstance(value, list) else [value]


def shown(value: Any) -> str:
    """A value of a record for people, cut short."""
    return repr(value)[:80]


def read_text(path: Path) -> str:
    """A whole file as text.

    Raises:
        EvaluationError: it cannot be read, is too large, or is not UTF-8.
    """
    try:
        return _bytes_of(path).removeprefix(_UTF8_MARK).decode("utf-8")
    except UnicodeDecodeError as error:
        raise EvaluationError(f"{str(path)!r} is not UTF-8: {error.reason}") from error


def _bytes_of(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise EvaluationError(f"there is no file {str(path)!r}")
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise EvaluationError(
                f"{str(path)!r} has {size:,} bytes; the limit is {MAX_FILE_BYTES:,}"
            )
        return path.read_bytes()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise EvaluationError(f"{str(path)!r} cannot be read: {why}") from error


def _document(data: bytes) -> JsonObject | list[Any] | None:
    """The file as one JSON value with records in it; None where it must be JSON lines."""
    first, _, rest = data.lstrip().partition(b"\n")
    try:
        value = _parsed(first)
        if rest.strip():
            return None
    except ValueError:
        try:
            value = _parsed(data)
        except ValueError:
            return None
    if isinstance(value, list):
        return value
    return value if isinstance(value, dict) and isinstance(value.get("images"), list) else None


def _lines(data: bytes) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line.strip():
            continue
        if len(line) > MAX_LINE_BYTES:
            yield f"line {number}: {len(line):,} bytes", None
            continue
        try:
            yield f"line {number}", _parsed(line)
        except ValueError:
            yield f"line {number}: {line[:60]!r}", None


def _objects(values: Iterator[tuple[str, Any]], problems: Problems) -> Iterator[Record]:
    for where, value in values:
        if isinstance(value, dict):
            yield Record(value, where)
        else:
            problems.add("bad_line", where)


def _parsed(data: bytes) -> Any:
    """A JSON value; a ValueError for whatever cannot be one."""
    try:
        return json.loads(data.decode("utf-8"))
    except RecursionError as error:  # brackets in brackets, thousands deep
        raise ValueError("too deep") from error
