"""One file over HTTP, as the hub serves it: resumed where it broke off, never taken unchecked.

huggingface_hub (2.4) throws away what it has when a download ends early, so a process that is
killed would begin its gigabytes anew. Here the bytes go to one file beside the blob, and the next
call asks for the rest. The session is huggingface_hub's own: proxies and certificates are as there.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pictor.library.encoders.models.lockfile import digest
from pictor.library.encoders.models.states import git_digest
from pictor.library.errors import ModelError
from pictor.library.observer import ByteCount, check

_LOG = logging.getLogger(__name__)
_TRIES = 5  # in a row, without one more byte
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class RemoteFile:
    """A file that can be downloaded.

    Attributes:
        url: where.
        size_bytes: as listed; -1 if unknown.
        sha256: as listed or locked; "" if unknown.
        git_id: SHA-1 of the bytes as a git blob, as listed; "" if unknown.
    """

    name: str
    url: str
    size_bytes: int = -1
    sha256: str = ""
    git_id: str = ""

    def fault(self, path: Path) -> str:
        """What is wrong with the bytes in a file, as the end of a sentence; "" if nothing is."""
        size = path.stat().st_size
        if self.size_bytes not in (-1, size):
            return f"has {size} bytes, not {self.size_bytes}"
        if self.sha256 and digest(path) != self.sha256:
            return f"does not have the checksum {self.sha256[:12]}…"
        if self.git_id and not self.sha256 and git_digest(path) != self.git_id:
            return f"does not have the checksum {self.git_id[:12]}…"
        return ""


def download(file: RemoteFile, part: Path, headers: dict[str, str], count: ByteCount) -> None:
    """Have all bytes of a file in `part`, checked; a partial download in it is resumed.

    Args:
        file: what is expected.
        part: kept when this fails, but for bytes that are wrong.
        headers: of huggingface_hub, with the token.
        count: counts each block, and takes back bytes that were thrown away.

    Raises:
        ModelError: the bytes that come are not those expected.
        HTTPError (of huggingface_hub): the server refused, or cannot be reached.
        OSError: the disk.
        Stopped: the observer ended it; what came is kept.
    """
    resumed = part.stat().st_size if part.is_file() else 0
    count.add(resumed)
    _receive(file, part, headers, count)
    fault = file.fault(part)
    if fault and resumed:  # what was left may have been of another file
        _LOG.info("%s %s after it was resumed; downloading it again", file.name, fault)
        count.add(-part.stat().st_size)
        part.unlink()
        _receive(file, part, headers, count)
        fault = file.fault(part)
    if fault:
        part.unlink()
        raise ModelError(
            f"{file.name!r} from {file.url} {fault}, so it was discarded; try again, or set "
            "HF_ENDPOINT to another mirror"
        )


def _receive(file: RemoteFile, part: Path, headers: dict[str, str], count: ByteCount) -> None:
    """Ask until all is there, or nothing came `_TRIES` times in a row."""
    from huggingface_hub.errors import (  # type: ignore[attr-defined]  # the first is its transport's
        HfHubHTTPError,
        HTTPError,
    )

    failures = 0
    while True:
        before = part.stat().st_size if part.is_file() else 0
        if before == file.size_bytes and part.is_file():
            return
        refused: HTTPError | None = None
        try:
            _stream(file, part, headers, count)
        except HTTPError as error:
            status = error.response.status_code if isinstance(error, HfHubHTTPError) else 0
            if status and status not in _TRANSIENT:
                raise
            refused = error
        now = part.stat().st_size if part.is_file() else 0
        if refused is None and now >= file.size_bytes:
            return
        failures = 0 if now > before else failures + 1
        if failures >= _TRIES:
            if refused is None:
                return  # short, and the server says that is all
            raise refused
        _LOG.info("%s: %s; trying again", file.name, refused or "it was truncated")
        time.sleep(_pause(failures, refused))


def _pause(failures: int, error: Any) -> float:  # Any: an error of huggingface_hub, or None
    response = getattr(error, "response", None)  # an error of the connection has none
    asked = response.headers.get("Retry-After", "") if response is not None else ""
    own = _FIRST_PAUSE_S * 2**failures
    return min(float(asked) if asked.isdigit() else own, _LONGEST_PAUSE_S)


def _stream(file: RemoteFile, part: Path, headers: dict[str, str], count: ByteCount) -> None:
    """One request for what is not there yet."""
    from huggingface_hub import constants, get_session
    from huggingface_hub.utils import hf_raise_for_status  # type: ignore[attr-defined]  # public

    at = part.stat().st_size if part.is_file() else 0
    asked = {**headers, "Accept-Encoding": "identity"}
    if at:
        asked["Range"] = f"bytes={at}-"
    timeout = constants.HF_HUB_DOWNLOAD_TIMEOUT
    with get_session().stream(
        "GET", file.url, headers=asked, timeout=timeout, follow_redirects=True
    ) as response:
        if response.status_code == 416:  # there are not that many bytes
            count.add(-at)
            part.unlink()
            return _stream(file, part, headers, count)
        hf_raise_for_status(response)
        if at and not _goes_on(response, at):
            count.add(-at)
            at = 0
        with part.open("r+b" if at else "wb") as out:
            out.seek(at)
            for block in response.iter_bytes():  # as they come: what is cut off is kept
                at += len(block)
                if -1 < file.size_bytes < at:
                    raise ModelError(
                        f"{file.name!r} from {file.url} has more than its {file.size_bytes} bytes; "
                        "try again, or set HF_ENDPOINT to another mirror"
                    )
                out.write(block)
                count.add(len(block))
                check(count.observer)


def _goes_on(response: Any, at: int) -> bool:  # Any: huggingface_hub's transport
    """Whether an answer begins where it was asked to."""
    says = str(response.headers.get("Content-Range", ""))
    return bool(response.status_code == 206) and says.startswith(f"bytes {at}-")
