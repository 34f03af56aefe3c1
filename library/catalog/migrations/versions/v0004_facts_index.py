"""An index of what filters ask of a content, so that they read no whole rows."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"

FACTS = ("taken_at", "camera", "lens", "rating", "format")
SIZES = ("width", "height", "latitude", "longitude")


def upgrade() -> None:
    op.create_index("ix_content_facts", "content", [*FACTS, *SIZES])


def downgrade() -> None:
    op.drop_index("ix_content_facts", "content")
