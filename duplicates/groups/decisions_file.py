"""Decisions as a file: what the report of duplicates saves, and `duplicates decide --from` reads.

JSON lines in UTF-8, one object a decision:

    {"a": HASH, "b": HASH, "verdict": "not-duplicate" | "related" | "keep-a" | "keep-b"}

The hashes are those of two different contents, 64 hexadecimal digits each. "keep-a" says that both
are one picture and that `b` may go. Empty lines count for nothing, and so do other fields.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from pictor.library.errors import DecisionError
from pictor.library.names import safe_text
from pictor.library.pairs import Verdict
from pictor.library.records import JsonObject

#: What stands for each verdict, seen from `a`.
VERDICTS = ("not-duplicate", "related", "keep-a", "keep-b")
_HASH = re.compile(r"[0-9a-f]{64}", re.IGNORECASE)
_MOST_BYTES = 1 << 16  # of one line; a decision takes about 200


class PairDecision(NamedTuple):
    """A verdict on two contents by their hashes (32 bytes each), low < high, as it is stored."""

    low: bytes
    high: bytes
    verdict: Verdict


def decision_of(a: bytes, b: bytes, verdict: str) -> PairDecision:
    """A decision told in either order; `verdict` is one of VERDICTS, seen from `a`."""
    if verdict in ("keep-a", "keep-b"):
        is_low = (verdict == "keep-a") == (a < b)
        return PairDecision(min(a, b), max(a, b), Verdict.KEEP_LOW if is_low else Verdict.KEEP_HIGH)
    return PairDecision(min(a, b), max(a, b), Verdict(verdict))


def read_decisions(path: str | bytes | os.PathLike[str]) -> list[PairDecision]:
    """Every decision of a file, in its order; a pair that stands there twice is given once.

    Raises:
        DecisionError: the file cannot be read, or a line (the message has its number) is no
            decision or contradicts one before it.
    """
    name = safe_text(os.fsdecode(path))
    try:
        with open(path, "rb") as file:
            lines = iter(lambda: file.readline(_MOST_BYTES), b"")
            return _decisions(lines, name)
    except OSError as error:
        raise DecisionError(f"the decisions {name!r} cannot be read: {error.strerror}") from error


def _decisions(lines: Iterable[bytes], name: str) -> list[PairDecision]:
    found: dict[tuple[bytes, bytes], PairDecision] = {}
    where: dict[tuple[bytes, bytes], int] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip(b" \t\r\n\xef\xbb\xbf"):
            continue
        try:
            one = _decision(line)
        except ValueError as error:
            raise DecisionError(f"{name!r}, line {number}: {error}") from error
        pair = (one.low, one.high)
        before = found.setdefault(pair, one)
        if before != one:
            raise DecisionError(
                f"{name!r}, line {number}: it says {one.verdict}, and line {where[pair]} says "
                f"{before.verdict} of the same two; delete one of the lines"
            )
        where.setdefault(pair, number)
    return list(found.values())


def _decision(line: bytes) -> PairDecision:
    """The decision on one line.

    Raises:
        ValueError: it is none; the message says why, without the line.
    """
    if len(line) >= _MOST_BYTES:
        raise ValueError(f"it has {_MOST_BYTES:,} characters or more, which no decision has")
    data = _object(line)
    a, b = _hash(data, "a"), _hash(data, "b")
    if a == b:
        raise ValueError("`a` and `b` are one content; a decision is on two different ones")
    verdict = data.get("verdict")
    if verdict not in VERDICTS:
        raise ValueError(f"`verdict` is {_short(verdict)}, not one of {', '.join(VERDICTS)}")
    return decision_of(a, b, str(verdict))


def _object(line: bytes) -> JsonObject:
    try:
        data: Any = json.loads(line.decode("utf-8-sig"))  # Any: what JSON may hold
    except UnicodeDecodeError as error:
        raise ValueError("it is not UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise ValueError("it is not JSON; each line must be one object") from error
    if not isinstance(data, dict):
        raise ValueError(f'it is {_short(data)}, not an object with "a", "b" and "verdict"')
    return data


def _hash(data: JsonObject, field: str) -> bytes:
    value = data.get(field)
    if not isinstance(value, str) or not _HASH.fullmatch(value):
        raise ValueError(f"`{field}` is {_short(value)}, not a hash of 64 hexadecimal digits")
    return bytes.fromhex(value)


def _short(value: object) -> str:
    if value is None:
        return "missing"
    text = safe_text(repr(value))
    return text if len(text) <= 60 else text[:57] + "…"
