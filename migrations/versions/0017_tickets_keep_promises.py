"""tickets keep their promises: report, deadline, assignee, incident, categories as data"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

from ura.db import Moment

revision: str = "0017"
down_revision: str | None = "0016"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

WORDS = sa.String(length=16)  # of an enumeration: kept as text


def _added() -> list[sa.Column[Any]]:
    return [
        sa.Column("segment", sa.String(length=16), server_default="", nullable=False),
        sa.Column("report", sa.Text(), server_default="", nullable=False),
        sa.Column("form", sa.JSON(), server_default="{}", nullable=False),
        sa.Column("told_deadline_at", Moment(), nullable=True),
        sa.Column("due_at", Moment(), nullable=True),
        sa.Column("warned_at", Moment(), nullable=True),
        sa.Column("breached_at", Moment(), nullable=True),
        sa.Column("assignee_id", sa.Integer(), nullable=True),
        sa.Column("incident_id", sa.String(length=32), nullable=True),
        sa.Column("erp_protocol", sa.String(length=64), server_default="", nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
    ]


def upgrade() -> None:
    op.create_table(
        "ticket_category",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("title", sa.String(length=80), nullable=False),
        sa.Column("first_tier", WORDS, nullable=False),
        sa.Column("queue", sa.String(length=64), nullable=False),
        sa.Column("form", sa.JSON(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_ticket_category")),
    )
    with op.batch_alter_table("ticket") as ticket:
        ticket.alter_column("category", existing_type=WORDS, type_=sa.String(length=64), existing_nullable=False)
        for column in _added():
            ticket.add_column(column)
        ticket.create_foreign_key(op.f("fk_ticket_assignee_id"), "user", ["assignee_id"], ["id"])
        ticket.create_index(op.f("ix_ticket_assignee_id"), ["assignee_id"])
        ticket.create_index(op.f("ix_ticket_incident_id"), ["incident_id"])
        ticket.create_index(op.f("ix_ticket_status_due_at"), ["status", "due_at"])
    op.add_column("ticket_event", sa.Column("detail", sa.JSON(), server_default="{}", nullable=False))
    op.add_column("ticket_event", sa.Column("internal", sa.Boolean(), server_default=sa.false(), nullable=False))


def downgrade() -> None:
    op.drop_column("ticket_event", "internal")
    op.drop_column("ticket_event", "detail")
    with op.batch_alter_table("ticket") as ticket:
        ticket.drop_index(op.f("ix_ticket_status_due_at"))
        ticket.drop_index(op.f("ix_ticket_incident_id"))
        ticket.drop_index(op.f("ix_ticket_assignee_id"))
        ticket.drop_constraint(op.f("fk_ticket_assignee_id"), type_="foreignkey")
        for column in _added():
            ticket.drop_column(column.name)
        ticket.alter_column("category", existing_type=sa.String(length=64), type_=WORDS, existing_nullable=False)
    op.drop_table("ticket_category")
