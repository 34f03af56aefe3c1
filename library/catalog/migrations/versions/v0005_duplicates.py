"""Fingerprints, pairs of contents that were compared, and what people decided of pairs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "fingerprint",
        sa.Column("content_id", BIG_ID, nullable=False, autoincrement=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("hashes", sa.LargeBinary(64), nullable=False),
        sa.Column("pixels", sa.LargeBinary(32)),
        sa.Column("compared", sa.Integer, nullable=False),
        sa.ForeignKeyConstraint(
            ["content_id"], ["content.id"], name="fk_fingerprint_content_id_content"
        ),
        sa.PrimaryKeyConstraint("content_id", name="pk_fingerprint"),
    )
    op.create_table(
        "pair",
        sa.Column("low_id", BIG_ID, nullable=False, autoincrement=False),
        sa.Column("high_id", BIG_ID, nullable=False, autoincrement=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("confidence", sa.Float, nullable=False),
        sa.Column("evidence", sa.JSON, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.ForeignKeyConstraint(["low_id"], ["content.id"], name="fk_pair_low_id_content"),
        sa.ForeignKeyConstraint(["high_id"], ["content.id"], name="fk_pair_high_id_content"),
        sa.PrimaryKeyConstraint("low_id", "high_id", name="pk_pair"),
    )
    op.create_index("ix_pair_high_id", "pair", ["high_id"])
    op.create_table(
        "decision",
        sa.Column("low_hash", sa.LargeBinary(32), nullable=False),
        sa.Column("high_hash", sa.LargeBinary(32), nullable=False),
        sa.Column("verdict", sa.Text, nullable=False),
        sa.Column("decided_at", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("low_hash", "high_hash", name="pk_decision"),
    )


def downgrade() -> None:
    for name in ("decision", "pair", "fingerprint"):
        op.drop_table(name)
