"""Background scores of items, and tags of contents."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column(
        "space", sa.Column("background_bank", sa.Text(), nullable=False, server_default="")
    )
    op.add_column(
        "space", sa.Column("background_change", sa.BigInteger(), nullable=False, server_default="0")
    )
    op.create_table(
        "background",
        sa.Column("space_id", BIG_ID, nullable=False),
        sa.Column("item_id", BIG_ID, nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["space_id"], ["space.id"], name="fk_background_space_id_space"),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name="fk_background_item_id_item"),
        sa.PrimaryKeyConstraint("space_id", "item_id", name="pk_background"),
    )
    op.create_index("ix_background_item_id", "background", ["item_id"])
    _create_tags()


def _create_tags() -> None:
    op.create_table(
        "tag_set",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("space_id", BIG_ID, nullable=True),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("templates", sa.JSON(), nullable=False),
        sa.Column("change", sa.BigInteger(), nullable=False),
        sa.Column("tagged_at", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["space_id"], ["space.id"], name="fk_tag_set_space_id_space"),
        sa.PrimaryKeyConstraint("id", name="pk_tag_set"),
        sa.UniqueConstraint("name", name="uq_tag_set_name"),
    )
    op.create_table(
        "tag",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("set_id", BIG_ID, nullable=False),
        sa.Column("content_id", BIG_ID, nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("score", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["set_id"], ["tag_set.id"], name="fk_tag_set_id_tag_set"),
        sa.ForeignKeyConstraint(["content_id"], ["content.id"], name="fk_tag_content_id_content"),
        sa.PrimaryKeyConstraint("id", name="pk_tag"),
        sa.UniqueConstraint("set_id", "label", "content_id", name="uq_tag_set_id_label_content_id"),
    )
    op.create_index("ix_tag_content_id", "tag", ["content_id"])


def downgrade() -> None:
    op.drop_table("tag")
    op.drop_table("tag_set")
    op.drop_table("background")
    op.drop_column("space", "background_change")
    op.drop_column("space", "background_bank")
