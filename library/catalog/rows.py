"""What the catalog hands out: named tuples, one a kind of row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from pictor.library.records import Caption, EncoderCard, HalfMatrix, Metadata, Outcome, Reason


class RootRow(NamedTuple):
    """A root as stored."""

    id: int
    kind: str
    location: bytes
    volume: str
    state: str
    detail: str
    scanned_at: str | None


class FileRow(NamedTuple):
    """What a scan compares a file with."""

    id: int
    path: bytes
    size_bytes: int
    mtime_ns: int
    content_id: int | None
    outcome: str
    reason: str | None
    missing_since: str | None


class FilePlace(NamedTuple):
    """One place of a content: enough to say where it is and whether it can be opened."""

    file_id: int
    content_id: int
    root_id: int
    root_kind: str
    location: bytes
    path: bytes
    root_state: str
    missing_since: str | None
    size_bytes: int
    mtime_ns: int

    @property
    def full_path(self) -> bytes:
        """The absolute path; a member of an archive stands behind "!/"."""
        return full_path(self.root_kind, self.location, self.path)

    @property
    def state(self) -> str:
        """ "present", "missing" or "unreachable"."""
        if self.missing_since:  # it was gone while its root could be reached
            return "missing"
        return "unreachable" if self.root_state == "unreachable" else "present"


def full_path(root_kind: str, location: bytes, path: bytes) -> bytes:
    """The absolute path of a file of a root, as the bytes of the file system."""
    if root_kind == "folder":
        return location.rstrip(b"/") + b"/" + path
    if root_kind == "file":
        return location
    if root_kind == "list":
        return path
    return location + b"!/" + path


class ContentState(NamedTuple):
    """What the catalog knows of a content."""

    id: int
    outcome: str
    reason: str | None


class SpaceRow(NamedTuple):
    """A space as stored."""

    id: int
    encoder: str
    fingerprint: str
    card: EncoderCard
    dimension: int
    state: str
    is_default: bool
    last_change: int


class ItemRow(NamedTuple):
    """An item with its content."""

    id: int
    content_id: int
    position: int
    time_s: float | None
    width: int
    height: int
    hash: bytes
    taken_at: str | None


class WordHit(NamedTuple):
    """A content that words were found with.

    Attributes:
        score: above 0, at most 1: the share of the query's words that were found, each weighted by
            its rarity and by where it stands.
        fields: where: "name", "folder", "keyword", "tag", "description", "caption", in that order.
        is_exact: the query is the whole of a file's name (with or without its ending), a keyword, a
            title or a tag that a person gave (score 1), or of its folder's name (less).
    """

    content_id: int
    score: float
    fields: tuple[str, ...]
    is_exact: bool


class PhotoRow(NamedTuple):
    """What became of the file at a path: its content's first item, or why there is none."""

    content_id: int | None
    item_id: int | None
    outcome: str
    reason: str | None
    detail: str | None


@dataclass(frozen=True)
class ContentChange:
    """A content that was decoded (or could not be), with its vectors in every space it was encoded
    for.

    Attributes:
        hash: BLAKE3, 32 bytes.
        frames: (position, time_s, width, height) of each item.
        vectors: space id → (len(frames), d) float16.
        hashes: as `Decoded.hashes`.
    """

    hash: bytes
    size_bytes: int
    outcome: Outcome
    reason: Reason | None = None
    detail: str | None = None
    metadata: Metadata = field(default_factory=Metadata)
    warnings: tuple[str, ...] = ()
    frames: tuple[tuple[int, float | None, int, int], ...] = ()
    vectors: Mapping[int, HalfMatrix] = field(default_factory=dict)
    captions: tuple[Caption, ...] = ()
    hashes: bytes | None = None


@dataclass(frozen=True)
class FileChange:
    """What a run found at one path.

    Attributes:
        file_id: the row to change; None makes a new one.
        hash: of its content, which must be in the catalog or in the same batch; None without one.
        keeps_content: without a hash, the row goes on to hold the content it held: the file is
            there but could not be read this time.
    """

    root_id: int
    path: bytes
    size_bytes: int
    mtime_ns: int
    outcome: Outcome
    file_id: int | None = None
    hash: bytes | None = None
    reason: Reason | None = None
    detail: str | None = None
    keeps_content: bool = False


@dataclass(frozen=True)
class Member:
    """One file that is not missing, with the facts of its content.

    Attributes:
        path: absolute; a member of an archive stands behind "!/". content: hash, hexadecimal.
        width, height: pixels as shown, after orientation. taken_at: ISO 8601; None if unknown.
        format: lower case, as the catalog has it ("jpeg"); keywords: of the file's metadata.
        tags: what people tagged it with. state: "present" or "unreachable".
        root_kind: only files of a "folder" or "file" can be moved or removed.
        is_edited: it has a border or something laid over it, beside another one of its group.
            `files_of` tells neither that nor the tags.
    """

    file_id: int
    content_id: int
    path: bytes
    content: str
    width: int
    height: int
    size_bytes: int
    mtime_ns: int
    format: str
    taken_at: str | None
    camera: str | None
    has_place: bool
    rating: int | None
    keywords: tuple[str, ...]
    state: str
    root_kind: str
    root: bytes
    tags: tuple[str, ...] = ()
    is_edited: bool = False
