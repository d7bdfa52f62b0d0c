"""messages by several channels, with receipts, and those who want none"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from ura.db import Moment

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

HAS_PROVIDER_ID = sa.text("provider_id <> ''")


def upgrade() -> None:
    op.add_column("outbox", sa.Column("channel", sa.String(length=16), server_default="sms", nullable=False))
    op.add_column("outbox", sa.Column("text", sa.Text(), server_default="", nullable=False))
    op.add_column("outbox", sa.Column("problem", sa.String(length=16), nullable=True))
    op.add_column("outbox", sa.Column("urgent_until", Moment(), nullable=True))
    op.add_column("outbox", sa.Column("provider", sa.String(length=16), server_default="", nullable=False))
    op.add_column("outbox", sa.Column("provider_id", sa.String(length=200), server_default="", nullable=False))
    op.add_column("outbox", sa.Column("delivered_at", Moment(), nullable=True))
    op.add_column("outbox", sa.Column("read_at", Moment(), nullable=True))
    op.create_index(op.f("ix_outbox_created_at_id"), "outbox", ["created_at", "id"])
    op.create_index(
        "ix_outbox_provider_id",
        "outbox",
        ["provider_id"],
        sqlite_where=HAS_PROVIDER_ID,
        postgresql_where=HAS_PROVIDER_ID,
    )
    op.create_table(
        "message_opt_out",
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("target", sa.String(length=120), nullable=False),
        sa.Column("by", sa.String(length=120), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("channel", "target", name=op.f("pk_message_opt_out")),
    )


def downgrade() -> None:
    op.drop_table("message_opt_out")
    op.drop_index("ix_outbox_provider_id", "outbox")
    op.drop_index(op.f("ix_outbox_created_at_id"), "outbox")
    for column in ("read_at", "delivered_at", "provider_id", "provider", "urgent_until", "problem", "text", "channel"):
        op.drop_column("outbox", column)
