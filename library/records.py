"""The words of the project as frozen records: what the parts hand to each other.

Nothing here opens a file, imports a heavy package or knows SQL. `ImageSpec` is the contract between
the decoders (which make its uint8 pixels) and the encoders (which turn them into vectors).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

JsonObject = dict[str, Any]  # a JSON object; its values are only known to the code that reads it
FloatMatrix = NDArray[np.float32]  # (n, d), rows unit-norm unless said otherwise
HalfMatrix = NDArray[np.float16]  # (n, d), as stored
PixelArray = NDArray[np.uint8]  # (h, w, 3) RGB, or (n, h, w, 3)
Pictures = Sequence[PixelArray] | PixelArray  # n pictures: (h, w, 3) each, or one (n, h, w, 3)
IdArray = NDArray[np.int64]  # item ids
FloatVector = NDArray[np.float32]  # (n,)
DoubleVector = NDArray[np.float64]  # (n,)
DoubleMatrix = NDArray[np.float64]  # (n, m)
BoolVector = NDArray[np.bool_]  # (n,)
BoolMatrix = NDArray[np.bool_]  # (n, m)
Mask = NDArray[np.bool_]  # (h, w)

Resize = Literal["exact", "shortest_edge", "naflex"]
Resample = Literal["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"]


class Outcome(StrEnum):
    """What became of a file in a run. Every file seen has exactly one."""

    INDEXED = "indexed"
    UNCHANGED = "unchanged"
    MOVED = "moved"
    SKIPPED = "skipped"
    FAILED = "failed"


class Reason(StrEnum):
    """Why a file was skipped or failed. The value is stored and printed; none is ever renamed."""

    # skipped: nothing is wrong with the file, it is just not indexed
    NOT_MEDIA = "not_media"  # its content is no image, video or RAW type pictor knows
    EMPTY = "empty"  # zero bytes
    SIDECAR = "sidecar"  # a RAW beside its JPEG of the same name, a caption beside its picture
    EXTRA_MISSING = "extra_missing"  # needs an optional dependency that is not installed
    ARCHIVE = "archive"  # an archive inside a folder; name it as a root to index it
    # failed: the file should have been indexed
    TRUNCATED = "truncated"
    CORRUPT = "corrupt"
    TOO_LARGE = "too_large"  # more pixels or bytes than the limits allow
    UNSUPPORTED = "unsupported"  # a known container with content no decoder here reads
    TIMEOUT = "timeout"  # decoding took longer than the limit per file
    CRASHED = "crashed"  # the decoder died
    OUT_OF_MEMORY = "out_of_memory"
    NOT_FINITE = "not_finite"  # the encoder gave NaN or infinity, also in float32
    PERMISSION = "permission"
    VANISHED = "vanished"  # listed, then gone when it was to be read
    CHANGED = "changed"  # changed while it was read
    IO_ERROR = "io_error"
    FETCH = "fetch"  # an http(s) URL could not be fetched


#: Reasons that may be gone at the next run: such files are tried again without being asked.
TRANSIENT = frozenset(
    {
        Reason.PERMISSION,
        Reason.VANISHED,
        Reason.CHANGED,
        Reason.IO_ERROR,
        Reason.FETCH,
        Reason.EXTRA_MISSING,
    }
)
SKIPPED_REASONS = frozenset(
    {Reason.NOT_MEDIA, Reason.EMPTY, Reason.SIDECAR, Reason.EXTRA_MISSING, Reason.ARCHIVE}
)


def outcome_of(reason: Reason) -> Outcome:
    """SKIPPED or FAILED, whichever a reason means."""
    return Outcome.SKIPPED if reason in SKIPPED_REASONS else Outcome.FAILED


@dataclass(frozen=True)
class ImageSpec:
    """How an oriented sRGB picture becomes the uint8 pixels of one encoder.

    Two encoders with equal specs share their pixels. The spec is part of a space's identity.

    Attributes:
        height, width: of the final pixels. For "naflex", 0: they follow the picture.
        resize: "exact" squashes to (height, width); "shortest_edge" scales the short side to `edge`
            (long side truncated to int, as PIL-based processors of transformers do) and then cuts
            the centre (height, width), zero-padding where the picture is smaller;
            "naflex" keeps the aspect, each side a multiple of `patch`, at most `max_patches`.
        edge: the short side for "shortest_edge"; 0 otherwise.
        mean, std: applied by the encoder, after scaling by `rescale`, not by the decoder.
        backend: which resizer made the pixels; only "pil" exists.
    """

    height: int
    width: int
    resize: Resize = "exact"
    edge: int = 0
    resample: Resample = "bicubic"
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    rescale: float = 1 / 255
    patch: int = 0
    max_patches: int = 0
    backend: str = "pil"

    @property
    def draft_edge(self) -> int:
        """The short side in pixels that a decoder must leave on loading: twice the need."""
        if self.resize == "naflex":
            return 2 * self.patch * max(1, math.isqrt(self.max_patches))
        return 2 * max(self.height, self.width, self.edge)

    @property
    def pixels_key(self) -> tuple[object, ...]:
        """What decides the uint8 pixels; mean, std and rescale do not."""
        size = (self.height, self.width, self.resize, self.edge)
        return (*size, self.resample, self.patch, self.max_patches, self.backend)


@dataclass(frozen=True)
class Scoring:
    """How a cosine becomes the family's own score: softmax or sigmoid of `scale * cos + bias`."""

    kind: Literal["softmax", "sigmoid", "cosine"] = "cosine"
    scale: float = 1.0
    bias: float = 0.0


@dataclass(frozen=True)
class EncoderCard:
    """An encoder as data.

    Attributes:
        id: a hub id ("openai/clip-vit-base-patch32"), the absolute path of a folder, or "builtin".
        family: "clip", "siglip", "siglip2", "chinese_clip", "vit", "dinov2", "dinov3", "builtin".
        revision: hub commit, or content hash of the weights for a folder; "" before it is resolved.
        dimension: d of its vectors; 0 before it is resolved.
        languages: ISO 639-1 codes the text tower was trained on; empty without one.
        pooling: "projection" for two-tower families; "pooler", "cls" or "mean" for image-only ones.
        image_size: side in pixels, for people; `spec` decides.
        download_bytes: of the files pictor would fetch, 0 if unknown.
        template: prompt for a bare label; "{label}" stands for it.
        spec: None before the checkpoint's own preprocessing was read.
    """

    id: str
    family: str
    revision: str = ""
    dimension: int = 0
    languages: tuple[str, ...] = ()
    has_text: bool = False
    pooling: str = "projection"
    image_size: int = 0
    licence: str = ""
    download_bytes: int = 0
    scoring: Scoring = field(default_factory=Scoring)
    template: str = "{label}"
    spec: ImageSpec | None = None

    @property
    def fingerprint(self) -> str:
        """Identity of the space this encoder fills: id, revision, pooling and preprocessing."""
        spec = asdict(self.spec) if self.spec else None
        facts = [self.id, self.family, self.revision, self.dimension, self.pooling, spec]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]

    def to_json(self) -> JsonObject:
        """A JSON object from which `from_json` makes an equal card."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: JsonObject) -> EncoderCard:
        """The card that `to_json` wrote."""
        data = dict(data)
        spec = data.get("spec")
        if spec is not None:
            spec = dict(spec, mean=tuple(spec["mean"]), std=tuple(spec["std"]))
            data["spec"] = ImageSpec(**spec)
        data["scoring"] = Scoring(**data["scoring"])
        data["languages"] = tuple(data["languages"])
        return cls(**data)


@dataclass(frozen=True)
class Metadata:
    """What a file says of itself. Every field may be unknown.

    Attributes:
        format: upper-case name by content ("JPEG", "HEIF", "MP4"…).
        width, height: in pixels, as displayed (after orientation).
        orientation: the EXIF value, 1 to 8.
        taken_at: local time, ISO 8601 to the second, with its offset where the file states one.
        latitude, longitude: degrees, WGS 84; altitude_m: metres above sea level.
        rating: 0 to 5.
        duration_s: of a video or animation.
    """

    format: str = ""
    width: int = 0
    height: int = 0
    orientation: int = 1
    taken_at: str | None = None
    camera: str | None = None
    lens: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    altitude_m: float | None = None
    rating: int | None = None
    keywords: tuple[str, ...] = ()
    title: str | None = None
    description: str | None = None
    duration_s: float | None = None


@dataclass(frozen=True)
class Frame:
    """One item-to-be: a still image, or one frame of a video or animation.

    Attributes:
        position: 0 for a still; the ordinal of the frame among those chosen.
        time_s: seconds from the start; None for a still.
        width, height: as displayed.
        pixels: one uint8 (h, w, 3) RGB array per spec that was asked for, in that order.
    """

    position: int
    time_s: float | None
    width: int
    height: int
    pixels: tuple[PixelArray, ...]


@dataclass(frozen=True)
class Decoded:
    """One file, decoded: its metadata, its frames and what the decoders warned of.

    Attributes:
        hashes: eight perceptual hashes of a still, 64 bytes (`library.images.fingerprint`); b"" of
            a video or animation; None where they were not asked for.
    """

    metadata: Metadata
    frames: tuple[Frame, ...]
    warnings: tuple[str, ...] = ()
    hashes: bytes | None = None


@dataclass(frozen=True)
class Caption:
    """A text that came with a picture (from a shard's .txt or .json)."""

    text: str
    language: str = ""
    source: str = ""


class Level(StrEnum):
    """How sure it is that a hit shows what was asked for."""

    LIKELY = "likely"
    POSSIBLE = "possible"
    WEAK = "weak"


@dataclass(frozen=True)
class Match:
    """How one part of a query fits a hit.

    Attributes:
        part: as the query language writes it.
        how: "vector", or "words" for what is written about a content.
        score: cosine in [-1, 1] of the part and the hit; for words, the share of them that was
            found, each weighted by its rarity and by where it stands.
        space: the encoder id of the space; "" for words.
        fields: where words were found: "name", "folder", "keyword", "tag", "description",
            "caption".
        is_exact: the words are the whole of a name.
    """

    part: str
    how: Literal["vector", "words"]
    score: float
    space: str = ""
    fields: tuple[str, ...] = ()
    is_exact: bool = False


@dataclass(frozen=True)
class Hit:
    """One answer to a query.

    Attributes:
        rank: from 1.
        score: cosine in [-1, 1] of the whole query, higher is better; 0 where nothing is asked.
        path: where it is now, as the bytes of the file system.
        content: hex BLAKE3 of the whole file.
        item: the item's id in this library.
        space: the encoder id of the space that found it.
        time_s: seconds into a video or animation; None for a still.
        other_paths: further files with the same content.
        state: "present", "unreachable" or "missing".
        level: None where the library cannot tell yet.
        probability: that the query explains it better than everyday captions do; None likewise.
        why: one match a part of the query, and one for words that were found.
        folded: paths of near-identical hits that this one stands for.
        by_words: its level is due to what is written about it, and is above that of `probability`.
    """

    rank: int
    score: float
    path: bytes
    content: str
    item: int
    space: str
    width: int
    height: int
    taken_at: str | None = None
    time_s: float | None = None
    other_paths: tuple[bytes, ...] = ()
    state: str = "present"
    level: Level | None = None
    probability: float | None = None
    why: tuple[Match, ...] = ()
    folded: tuple[bytes, ...] = ()
    by_words: bool = False

    @property
    def found_by(self) -> str:
        """ "by name" or "by words" where what is written about it found it too; else ""."""
        written = [match for match in self.why if match.how == "words"]
        if not written:
            return ""
        return "by name" if any(match.is_exact for match in written) else "by words"
