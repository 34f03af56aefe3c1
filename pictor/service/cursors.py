"""Where the next page of a search begins, as a text that only this service can make."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets

from pictor.service.problems import Problem


class Cursors:
    """Signs cursors; those of another service or start are refused."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def next(self, asked: str, offset: int, change: int) -> str:
        """The cursor of the page that begins at an offset.

        Args:
            asked: what is searched for, all of it; change: of the library at the first page.
        """
        data = json.dumps([_digest(asked), offset, change]).encode()
        return base64.urlsafe_b64encode(self._sign(data) + data).decode()

    def read(self, cursor: str, asked: str) -> tuple[int, int]:
        """The offset and the change that `next` was given for the same search.

        Raises:
            Problem: it is none of this service, or of another search.
        """
        try:
            raw = base64.urlsafe_b64decode(cursor.encode("ascii"))
        except (UnicodeEncodeError, binascii.Error):
            raw = b""
        signature, data = raw[:16], raw[16:]
        if not hmac.compare_digest(signature, self._sign(data)):
            raise Problem(
                422, "cursor", "the cursor is not of this service; begin at the first page"
            )
        digest, offset, change = json.loads(data)
        if digest != _digest(asked):
            raise Problem(422, "cursor", "the cursor is of another search")
        return int(offset), int(change)

    def _sign(self, data: bytes) -> bytes:
        return hmac.digest(self._key, data, "sha256")[:16]


def _digest(asked: str) -> str:
    return hashlib.sha256(asked.encode()).hexdigest()[:16]
