"""Fingerprints, pairs of contents that were compared, and what people decided of pairs."""

from __future__ import annotations

from alembic import op
from sqlalchemy import JSON, Column, Float, Integer, LargeBinary, Text

from pictor.library.catalog.schema import refers, required

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "fingerprint",
        refers("content_id", "content", primary_key=True, autoincrement=False),
        required("version", Integer),
        required("hashes", LargeBinary(64)),
        Column("pixels", LargeBinary(32)),
        required("compared", Integer),
    )
    op.create_table(
        "pair",
        refers("low_id", "content", primary_key=True, autoincrement=False),
        refers("high_id", "content", primary_key=True, autoincrement=False, index=True),
        required("kind", Text),
        required("confidence", Float),
        required("evidence", JSON),
        required("version", Integer),
    )
    op.create_table(
        "decision",
        Column("low_hash", LargeBinary(32), primary_key=True),
        Column("high_hash", LargeBinary(32), primary_key=True),
        required("verdict", Text),
        required("decided_at", Text),
    )


def downgrade() -> None:
    for name in ("decision", "pair", "fingerprint"):
        op.drop_table(name)
