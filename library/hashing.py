"""The hash that is the identity of a content: BLAKE3 over all of its bytes, 32 bytes long."""

from __future__ import annotations

from blake3 import blake3

#: Streaming form: `hasher = Hasher(first_bytes); hasher.update(more); hasher.digest()`.
Hasher = blake3


def content_hash(data: bytes) -> bytes:
    """The identity of a content that is in memory."""
    return blake3(data).digest()
