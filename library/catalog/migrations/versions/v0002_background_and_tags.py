"""Background scores of items, and tags of contents."""

from __future__ import annotations

from alembic import op
from sqlalchemy import JSON, BigInteger, Column, Float, Text, UniqueConstraint

from pictor.library.catalog.schema import own_id, refers, required

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("space", required("background_bank", Text, server_default=""))
    op.add_column("space", required("background_change", BigInteger, server_default="0"))
    op.create_table(
        "background",
        refers("space_id", "space", primary_key=True),
        refers("item_id", "item", primary_key=True, index=True),
        required("value", Float),
    )
    op.create_table(
        "tag_set",
        own_id(),
        required("name", Text, unique=True),
        required("kind", Text),
        refers("space_id", "space", nullable=True),
        required("version", Text),
        required("labels", JSON),
        required("templates", JSON),
        required("change", BigInteger),
        required("tagged_at", Text),
    )
    op.create_table(
        "tag",
        own_id(),
        refers("set_id", "tag_set"),
        refers("content_id", "content", index=True),
        required("label", Text),
        Column("score", Float),
        UniqueConstraint("set_id", "label", "content_id"),
    )


def downgrade() -> None:
    op.drop_table("tag")
    op.drop_table("tag_set")
    op.drop_table("background")
    op.drop_column("space", "background_change")
    op.drop_column("space", "background_bank")
