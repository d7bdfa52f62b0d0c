"""the SLA clock: policies, and what each ticket was promised by them"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

from ura.db import Moment

revision: str = "0027"
down_revision: str | None = "0026"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

WORDS = sa.String(length=16)  # of an enumeration: kept as text


def _added() -> list[sa.Column[Any]]:
    return [
        sa.Column("warn_at", Moment(), nullable=True),
        sa.Column("terms", sa.JSON(), server_default="{}", nullable=False),
        sa.Column("clock_from_at", Moment(), nullable=True),
        sa.Column("priority", sa.Integer(), server_default="0", nullable=False),
    ]


def upgrade() -> None:
    op.create_table(
        "sla_policy",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("title", sa.String(length=80), nullable=False),
        sa.Column("tier", WORDS, nullable=False),
        sa.Column("category", sa.String(length=64), nullable=False),
        sa.Column("segment", sa.String(length=16), nullable=False),
        sa.Column("hours", sa.Double(), nullable=False),
        sa.Column("counted_by", WORDS, nullable=False),
        sa.Column("timetable", sa.String(length=64), nullable=False),
        sa.Column("warn_hours", sa.Double(), nullable=True),
        sa.Column("warn_percent", sa.Integer(), nullable=True),
        sa.Column("pausable", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_sla_policy")),
        sa.UniqueConstraint("tier", "category", "segment", name=op.f("uq_sla_policy_tier_category_segment")),
    )
    for column in _added():
        op.add_column("ticket", column)
    op.create_index(op.f("ix_ticket_status_warn_at"), "ticket", ["status", "warn_at"])


def downgrade() -> None:
    op.drop_index(op.f("ix_ticket_status_warn_at"), "ticket")
    with op.batch_alter_table("ticket") as ticket:
        for column in _added():
            ticket.drop_column(column.name)
    op.drop_table("sla_policy")
