"""a lead has an owner, a source and a next action, and a second call is part of it; who waits for us is called back"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from ura.db import Moment

revision: str = "0010"
down_revision: str | None = "0009"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("lead", sa.Column("owner", sa.String(length=120), server_default="", nullable=False))
    op.add_column("lead", sa.Column("source", sa.String(length=16), server_default="phone", nullable=False))
    op.add_column("lead", sa.Column("source_ref", sa.String(length=80), server_default="", nullable=False))
    op.add_column("lead", sa.Column("next_action_at", Moment(), nullable=True))
    op.add_column("lead", sa.Column("lost_reason", sa.String(length=16), nullable=True))
    op.add_column("lead", sa.Column("merged_into_id", sa.String(length=32), nullable=True))
    op.create_index(op.f("ix_lead_status_next_action_at"), "lead", ["status", "next_action_at"])
    op.create_index(op.f("ix_lead_phone_created_at"), "lead", ["phone", "created_at"])
    op.create_index(op.f("ix_lead_merged_into_id"), "lead", ["merged_into_id"])
    op.add_column("waiting_list", sa.Column("settled_at", Moment(), nullable=True))


def downgrade() -> None:
    op.drop_column("waiting_list", "settled_at")
    op.drop_index(op.f("ix_lead_merged_into_id"), "lead")
    op.drop_index(op.f("ix_lead_phone_created_at"), "lead")
    op.drop_index(op.f("ix_lead_status_next_action_at"), "lead")
    for column in ("merged_into_id", "lost_reason", "next_action_at", "source_ref", "source", "owner"):
        op.drop_column("lead", column)
