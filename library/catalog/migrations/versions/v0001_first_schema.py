"""The first schema."""

from __future__ import annotations

from alembic import op
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    Integer,
    LargeBinary,
    Text,
    UniqueConstraint,
)

from pictor.library.catalog.schema import own_id, refers, required

revision = "0001"
down_revision = None


def upgrade() -> None:
    _create_roots_and_runs()
    _create_contents_and_files()
    _create_vectors()


def _texts(*names: str) -> list[Column[str]]:
    return [required(name, Text) for name in names]


def _unknown(*names: str) -> list[Column[str]]:
    return [Column(name, Text) for name in names]


def _create_roots_and_runs() -> None:
    op.create_table("meta", Column("key", Text, primary_key=True), required("value", Text))
    op.create_table(
        "root",
        own_id(),
        *_texts("kind", "volume", "state", "detail"),
        Column("scanned_at", Text),
        required("location", LargeBinary, unique=True),
        required("options", JSON),
    )
    op.create_table(
        "run",
        own_id(),
        *_texts("started_at", "state"),
        Column("finished_at", Text),
        required("summary", JSON),
    )


def _create_contents_and_files() -> None:
    op.create_table(
        "content",
        own_id(),
        required("hash", LargeBinary(32), unique=True),
        required("size_bytes", BigInteger),
        *_texts("outcome", "format"),
        *_unknown("reason", "detail", "taken_at", "camera", "lens", "title", "description"),
        *[required(name, Integer) for name in ("width", "height", "orientation")],
        *[Column(n, Float) for n in ("latitude", "longitude", "altitude_m", "duration_s")],
        Column("rating", Integer),
        required("keywords", JSON),
        required("warnings", JSON),
    )
    op.create_table(
        "file",
        own_id(),
        refers("root_id", "root"),
        required("path", LargeBinary),
        required("size_bytes", BigInteger),
        required("mtime_ns", BigInteger),
        refers("content_id", "content", index=True, nullable=True),
        required("outcome", Text),
        *_unknown("reason", "detail", "missing_since"),
        refers("run_id", "run"),
        UniqueConstraint("root_id", "path"),
    )
    op.create_index("ix_file_outcome_run_id", "file", ["outcome", "run_id"])
    texts = _texts("language", "source", "text")
    op.create_table("caption", own_id(), refers("content_id", "content", index=True), *texts)


def _create_vectors() -> None:
    op.create_table(
        "item",
        own_id(),
        refers("content_id", "content"),
        required("position", Integer),
        Column("time_s", Float),
        required("width", Integer),
        required("height", Integer),
        UniqueConstraint("content_id", "position"),
    )
    op.create_table(
        "space",
        own_id(),
        required("encoder", Text),
        required("fingerprint", Text, unique=True),
        required("state", Text),
        required("card", JSON),
        required("dimension", Integer),
        required("is_default", Boolean),
        required("last_change", BigInteger),
    )
    op.create_table(
        "vector",
        own_id(),
        refers("space_id", "space"),
        refers("item_id", "item", index=True),
        required("change", BigInteger),
        required("data", LargeBinary),
        UniqueConstraint("space_id", "item_id"),
    )
    op.create_index("ix_vector_space_id_change", "vector", ["space_id", "change"])
    op.create_table(
        "removed_vector",
        own_id(),
        refers("space_id", "space"),
        required("item_id", BigInteger),
        required("change", BigInteger),
    )
    op.create_index("ix_removed_vector_space_id_change", "removed_vector", ["space_id", "change"])


def downgrade() -> None:
    for table in ("removed_vector", "vector", "space", "item", "caption", "file", "content"):
        op.drop_table(table)
    for table in ("run", "root", "meta"):
        op.drop_table(table)
