"""The first schema."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _id(table: str) -> list[Any]:
    return [
        sa.Column("id", BIG_ID, nullable=False),
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
    ]


def _reference(table: str, column: str, target: str, *, nullable: bool = False) -> list[Any]:
    name = f"fk_{table}_{column}_{target}"
    return [
        sa.Column(column, BIG_ID, nullable=nullable),
        sa.ForeignKeyConstraint([column], [f"{target}.id"], name=name),
    ]


def _texts(*names: str, nullable: bool = False) -> list[Any]:
    return [sa.Column(name, sa.Text(), nullable=nullable) for name in names]


def upgrade() -> None:
    _create_roots_and_runs()
    _create_contents_and_files()
    _create_vectors()


def _create_roots_and_runs() -> None:
    op.create_table("meta", *_texts("key", "value"), sa.PrimaryKeyConstraint("key", name="pk_meta"))
    op.create_table(
        "root",
        *_id("root"),
        *_texts("kind", "volume", "state", "detail"),
        *_texts("scanned_at", nullable=True),
        sa.Column("location", sa.LargeBinary(), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.UniqueConstraint("location", name="uq_root_location"),
    )
    op.create_table(
        "run",
        *_id("run"),
        *_texts("started_at", "state"),
        *_texts("finished_at", nullable=True),
        sa.Column("summary", sa.JSON(), nullable=False),
    )


def _create_contents_and_files() -> None:
    op.create_table(
        "content",
        *_id("content"),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        *_texts("outcome", "format"),
        *_texts("reason", "detail", "taken_at", "camera", "lens", nullable=True),
        *_texts("title", "description", nullable=True),
        *[sa.Column(n, sa.Integer(), nullable=False) for n in ("width", "height", "orientation")],
        *[
            sa.Column(n, sa.Float(), nullable=True)
            for n in ("latitude", "longitude", "altitude_m", "duration_s")
        ],
        sa.Column("rating", sa.Integer(), nullable=True),
        sa.Column("keywords", sa.JSON(), nullable=False),
        sa.Column("warnings", sa.JSON(), nullable=False),
        sa.UniqueConstraint("hash", name="uq_content_hash"),
    )
    op.create_table(
        "file",
        *_id("file"),
        *_reference("file", "root_id", "root"),
        sa.Column("path", sa.LargeBinary(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=False),
        *_reference("file", "content_id", "content", nullable=True),
        *_texts("outcome"),
        *_texts("reason", "detail", "missing_since", nullable=True),
        *_reference("file", "run_id", "run"),
        sa.UniqueConstraint("root_id", "path", name="uq_file_root_id_path"),
    )
    op.create_index("ix_file_content_id", "file", ["content_id"])
    op.create_index("ix_file_outcome_run_id", "file", ["outcome", "run_id"])
    op.create_table(
        "caption",
        *_id("caption"),
        *_reference("caption", "content_id", "content"),
        *_texts("language", "source", "text"),
    )
    op.create_index("ix_caption_content_id", "caption", ["content_id"])


def _create_vectors() -> None:
    op.create_table(
        "item",
        *_id("item"),
        *_reference("item", "content_id", "content"),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("time_s", sa.Float(), nullable=True),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.UniqueConstraint("content_id", "position", name="uq_item_content_id_position"),
    )
    op.create_table(
        "space",
        *_id("space"),
        *_texts("encoder", "fingerprint", "state"),
        sa.Column("card", sa.JSON(), nullable=False),
        sa.Column("dimension", sa.Integer(), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("last_change", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint("fingerprint", name="uq_space_fingerprint"),
    )
    op.create_table(
        "vector",
        *_id("vector"),
        *_reference("vector", "space_id", "space"),
        *_reference("vector", "item_id", "item"),
        sa.Column("change", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.UniqueConstraint("space_id", "item_id", name="uq_vector_space_id_item_id"),
    )
    op.create_index("ix_vector_item_id", "vector", ["item_id"])
    op.create_index("ix_vector_space_id_change", "vector", ["space_id", "change"])
    op.create_table(
        "removed_vector",
        *_id("removed_vector"),
        *_reference("removed_vector", "space_id", "space"),
        sa.Column("item_id", sa.BigInteger(), nullable=False),
        sa.Column("change", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_removed_vector_space_id_change", "removed_vector", ["space_id", "change"])


def downgrade() -> None:
    for table in (
        "removed_vector",
        "vector",
        "space",
        "item",
        "caption",
        "file",
        "content",
        "run",
        "root",
        "meta",
    ):
        op.drop_table(table)
