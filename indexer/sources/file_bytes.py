"""The bytes of a file, wherever its locator says they are. This is what workers call."""

from __future__ import annotations

import os

from pictor.indexer.sources.base import Locator, quoted, why
from pictor.indexer.sources.descriptors import opened_regular
from pictor.indexer.sources.zip_format import read_member, read_span
from pictor.library.errors import ImageError, reason_of
from pictor.library.records import Reason


def read_bytes(locator: Locator, max_bytes: int, timeout_s: float) -> bytes:
    """All bytes of one file.

    Args:
        locator: from the scan of this run.
        max_bytes: a file that holds more is not read.
        timeout_s: for a URL, from the first byte sent to the last received, redirects included. The
            system gives no such limit for disks: a dead network share waits as long as it makes us.

    Raises:
        ImageError: VANISHED, PERMISSION, IO_ERROR, TOO_LARGE, CHANGED (while it was read, or its
            archive since it was listed), FETCH; TRUNCATED, CORRUPT or UNSUPPORTED for a member.
    """
    if locator.kind == "url":
        # httpx takes 0.1 s to import, and most libraries hold no URL.
        from pictor.library.downloads import fetch

        return fetch(locator.path, max_bytes, timeout_s)
    try:
        with opened_regular(locator.path) as descriptor:
            if locator.kind == "zip":
                _check_stamp(descriptor, locator)
                return read_member(descriptor, locator, max_bytes)
            if locator.kind == "tar":
                _check_stamp(descriptor, locator)
                return _read_span(descriptor, locator, max_bytes)
            return _read_file(descriptor, locator.path, max_bytes)
    except OSError as error:
        raise ImageError(
            reason_of(error), f"cannot read {_shown(locator)}: {why(error)}"
        ) from error


def _read_file(descriptor: int, path: bytes, max_bytes: int) -> bytes:
    before = os.fstat(descriptor)
    if before.st_size > max_bytes:
        raise _too_large(quoted(path), before.st_size, max_bytes)
    data = read_span(descriptor, 0, before.st_size + 1)
    after = os.fstat(descriptor)
    facts = (before.st_size, before.st_size, before.st_mtime_ns)
    if (len(data), after.st_size, after.st_mtime_ns) != facts:
        raise ImageError(Reason.CHANGED, f"{quoted(path)} changed while it was read")
    return data


def _read_span(descriptor: int, locator: Locator, max_bytes: int) -> bytes:
    if locator.size > max_bytes:
        raise _too_large(_shown(locator), locator.size, max_bytes)
    data = read_span(descriptor, locator.offset, locator.size)
    if len(data) < locator.size:
        detail = f"{_shown(locator)} ends after {len(data)} of {locator.size} bytes"
        raise ImageError(Reason.TRUNCATED, detail)
    return data


def _check_stamp(descriptor: int, locator: Locator) -> None:
    """Offsets into an archive that was written again would give another picture's bytes."""
    if locator.stamp_ns not in (-1, os.fstat(descriptor).st_mtime_ns):
        detail = f"{quoted(locator.path)} changed since it was listed"
        raise ImageError(Reason.CHANGED, detail)


def _too_large(shown: str, size: int, max_bytes: int) -> ImageError:
    detail = f"{shown} has {size} bytes, more than the limit of {max_bytes}"
    return ImageError(Reason.TOO_LARGE, detail)


def _shown(locator: Locator) -> str:
    if not locator.member:
        return quoted(locator.path)
    return f"{quoted(locator.member)} in {quoted(locator.path)}"
