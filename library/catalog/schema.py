"""The tables of the catalog, as SQLAlchemy models.

The catalog is the truth: everything else on disk is a cache of it. Paths are bytes, hashes are
bytes, vectors are float16 blobs. Nothing here is peculiar to SQLite. `docs/storage-format.md`
describes each column for people who read the file without pictor.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

#: The newest migration; a test holds it equal to the head of the migration scripts.
SCHEMA_REVISION = "0001"

#: SQLite only numbers rows by itself for INTEGER keys; elsewhere ids are 64-bit.
BigId = BigInteger().with_variant(Integer, "sqlite")


class Base(DeclarativeBase):
    """The models share one naming convention, so that migrations can name constraints."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Meta(Base):
    """Facts about the library: `library_id`, `created_at`, and `next_default_space` for a time."""

    __tablename__ = "meta"

    key: Mapped[str] = mapped_column(Text, primary_key=True)
    value: Mapped[str] = mapped_column(Text)


class Root(Base):
    """A folder, file, list or archive that was indexed. `state`: "reachable" or "unreachable"."""

    __tablename__ = "root"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    location: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    volume: Mapped[str] = mapped_column(Text, default="")
    state: Mapped[str] = mapped_column(Text, default="reachable")
    detail: Mapped[str] = mapped_column(Text, default="")
    options: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    scanned_at: Mapped[str | None] = mapped_column(Text)


class Content(Base):
    """Bytes, known by the BLAKE3 hash of all of them. Many files may hold one content.

    `outcome` is "indexed", "skipped" or "failed"; only indexed contents have items.
    """

    __tablename__ = "content"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    outcome: Mapped[str] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
    detail: Mapped[str | None] = mapped_column(Text)
    format: Mapped[str] = mapped_column(Text, default="")
    width: Mapped[int] = mapped_column(Integer, default=0)
    height: Mapped[int] = mapped_column(Integer, default=0)
    orientation: Mapped[int] = mapped_column(Integer, default=1)
    taken_at: Mapped[str | None] = mapped_column(Text)
    camera: Mapped[str | None] = mapped_column(Text)
    lens: Mapped[str | None] = mapped_column(Text)
    latitude: Mapped[float | None] = mapped_column(Float)
    longitude: Mapped[float | None] = mapped_column(Float)
    altitude_m: Mapped[float | None] = mapped_column(Float)
    rating: Mapped[int | None] = mapped_column(Integer)
    keywords: Mapped[list[str]] = mapped_column(JSON, default=list)
    title: Mapped[str | None] = mapped_column(Text)
    description: Mapped[str | None] = mapped_column(Text)
    duration_s: Mapped[float | None] = mapped_column(Float)
    warnings: Mapped[list[str]] = mapped_column(JSON, default=list)


class File(Base):
    """A path under a root. `run_id` is the last run that changed the row.

    `missing_since` is set while the path is gone from a root that can be reached.
    """

    __tablename__ = "file"
    __table_args__ = (UniqueConstraint("root_id", "path"), Index(None, "outcome", "run_id"))

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    root_id: Mapped[int] = mapped_column(ForeignKey("root.id"))
    path: Mapped[bytes] = mapped_column(LargeBinary)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    mtime_ns: Mapped[int] = mapped_column(BigInteger)
    content_id: Mapped[int | None] = mapped_column(ForeignKey("content.id"), index=True)
    outcome: Mapped[str] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
    detail: Mapped[str | None] = mapped_column(Text)
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"))
    missing_since: Mapped[str | None] = mapped_column(Text)


class Item(Base):
    """What a search returns: a still, or one frame of a video or animation."""

    __tablename__ = "item"
    __table_args__ = (UniqueConstraint("content_id", "position"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    content_id: Mapped[int] = mapped_column(ForeignKey("content.id"))
    position: Mapped[int] = mapped_column(Integer)
    time_s: Mapped[float | None] = mapped_column(Float)
    width: Mapped[int] = mapped_column(Integer)
    height: Mapped[int] = mapped_column(Integer)


class Space(Base):
    """The vectors of one encoder at one revision with one preprocessing.

    `state`: "building" until every item has a vector, then "ready". `last_change` is the number of
    the newest transaction that touched its vectors: numbers rise in random steps, so that a cache
    stamped with one fits one history of one catalog only.
    """

    __tablename__ = "space"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    encoder: Mapped[str] = mapped_column(Text)
    fingerprint: Mapped[str] = mapped_column(Text, unique=True)
    card: Mapped[dict[str, Any]] = mapped_column(JSON)
    dimension: Mapped[int] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(Text)
    is_default: Mapped[bool] = mapped_column(Boolean)
    last_change: Mapped[int] = mapped_column(BigInteger, default=0)


class Vector(Base):
    """One item's vector in one space: `dimension` little-endian float16 values of unit norm."""

    __tablename__ = "vector"
    __table_args__ = (UniqueConstraint("space_id", "item_id"), Index(None, "space_id", "change"))

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    space_id: Mapped[int] = mapped_column(ForeignKey("space.id"))
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"), index=True)
    change: Mapped[int] = mapped_column(BigInteger)
    data: Mapped[bytes] = mapped_column(LargeBinary)


class RemovedVector(Base):
    """An item id whose vector left a space at `change`, so that a cache can follow."""

    __tablename__ = "removed_vector"
    __table_args__ = (Index(None, "space_id", "change"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    space_id: Mapped[int] = mapped_column(ForeignKey("space.id"))
    item_id: Mapped[int] = mapped_column(BigInteger)
    change: Mapped[int] = mapped_column(BigInteger)


class CaptionRow(Base):
    """A text that came with a content, for example from a shard's .txt."""

    __tablename__ = "caption"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    content_id: Mapped[int] = mapped_column(ForeignKey("content.id"), index=True)
    language: Mapped[str] = mapped_column(Text)
    source: Mapped[str] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text)


class Run(Base):
    """One indexing run. `state`: "running", "finished" or "interrupted" (a killed one stays
    "running").

    `summary` holds the counts that the run printed.
    """

    __tablename__ = "run"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    started_at: Mapped[str] = mapped_column(Text)
    finished_at: Mapped[str | None] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    summary: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
